"""Kills deliveries of alerts with SIGKILL at random moments, over HTTP and SMTP on loopback, and counts what came twice or never.

    python benchmarks/kill_alerts.py [--kills 300] [--seed 1]

Exit status 1 where an alert came twice, or is lost without being listed as unsure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from killing_alerts import KEY, LONGEST_SECONDS, NOW, AlertKilling
from receivers import HttpReceiver, SmtpReceiver
from sqlalchemy import insert, select

from dashboard.delivery import UNANSWERED
from data import tables
from data.settings import load_settings
from data.store import open_store

ALERTS_A_KILL = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    wrong = 0
    for name, make in (("http", HttpReceiver), ("smtp", SmtpReceiver)):
        started, receiver = time.monotonic(), make()
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/posts.db"
            store = open_store(load_settings(database_url=url, pseudonym_key=KEY))
            count = arguments.kills * ALERTS_A_KILL
            with store.engine.execution_options(writes=True).begin() as connection:
                for number in range(count):
                    row = {"key": str(number), "channel": "desk", "kind": "opened", "severity": "major", "attempts": 0}
                    row |= {"message": {"title": f"incident {number}", "body": "", "picture": None, "tells": []}}
                    connection.execute(insert(tables.alerts).values(row | {"made_at": NOW, "not_before": NOW}))
            killing = AlertKilling(url, receiver, arguments.seed)
            killing.run(arguments.kills, LONGEST_SECONDS[name])
            with store.engine.connect() as connection:
                rows = connection.execute(select(tables.alerts)).all()
            store.close()
        receiver.close()
        titles = {row.message["title"] for row in rows}
        unsure = {row.message["title"] for row in rows if row.failure == UNANSWERED}
        lost, doubled = killing.lost(titles), killing.doubled()
        print(f"{name}: {arguments.kills} kills (seed {arguments.seed}), {time.monotonic() - started:.0f} s")
        for where, times in killing.landed.most_common():
            print(f"  {where}: {times}")
        print(
            f"  alerts: {count}, doubled: {doubled}, lost: {len(lost)}, unsure: {len(unsure)} (of them arrived: {len(unsure - lost)})"
        )
        wrong += doubled + len(lost - unsure)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
