"""Kills real deliveries of alerts at random moments, and counts afterwards what a receiver has twice, or never."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dashboard.channels import load_channels
from dashboard.delivery import deliver
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from receivers import HttpReceiver, SmtpReceiver

KEY = "a key of the tests, nobody's secret"
NOW = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)
# From a small server in front of imports that are done already: a process begins in some milliseconds.
# About what two alerts take, so that most are killed while they send.
LONGEST_SECONDS = {"http": 0.06, "smtp": 0.3}
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["dashboard.delivery", "apprise", "killing_alerts"])


def send_all(database: str, address: str, now: datetime, started: Any) -> None:
    """What `tracker alerts run --once` does after it has looked."""
    os.environ |= {"DESK_URL": address, "TRACKER_PSEUDONYM_KEY": KEY}
    settings = load_settings(database_url=database, alert_channels={"desk": {"url_from": "DESK_URL"}})
    store, channels = open_store(settings), load_channels(settings)
    started.set()
    deliver(store.engine, channels, lambda: now)


class AlertKilling:
    """One database and one receiver, between them processes that are killed."""

    def __init__(self, database: str, receiver: HttpReceiver | SmtpReceiver, seed: int) -> None:
        self.receiver, self.seed = receiver, seed
        self.landed: Counter[str] = Counter()
        self._database, self._draw, self._now = database, random.Random(seed), NOW

    def run(self, kills: int, longest_seconds: float) -> None:
        """So many processes that are killed within this time, in which some alerts are sent, then one to the end."""
        for _ in range(kills):
            before = len(self.receiver.got)
            process = self._start()
            process.join(self._draw.uniform(0, longest_seconds))
            self.landed["while it had alerts to send" if process.is_alive() else "after its end"] += 1
            process.kill()
            process.join()
            self.landed["alerts that arrived before a kill"] += len(self.receiver.got) - before
        process = self._start()
        process.join()
        assert process.exitcode == 0

    def kill_at_receipt(self, times: int) -> None:
        """Kill the process each time when the receiver has an alert whole and has not answered."""
        for _ in range(times):
            received, killed = threading.Event(), threading.Event()

            def hold(received: threading.Event = received, killed: threading.Event = killed) -> None:
                received.set()
                killed.wait()

            self.receiver.hold = hold
            process = self._start()
            assert received.wait(60)
            process.kill()
            process.join()
            killed.set()
        self.receiver.hold = lambda: None
        process = self._start()
        process.join()
        assert process.exitcode == 0

    def _start(self) -> Any:
        started = _processes.Event()
        self._now += timedelta(minutes=4)  # the lease of what the last one had claimed is over
        process = _processes.Process(
            target=send_all, args=(self._database, self.receiver.url, self._now, started), daemon=True
        )
        process.start()
        assert started.wait(60)
        return process

    def doubled(self) -> int:
        """How many messages came more than once."""
        return sum(count - 1 for count in Counter(got.key for got in self.receiver.got).values())

    def lost(self, titles: Iterable[str]) -> set[str]:
        """Which never came."""
        return set(titles) - {got.title for got in self.receiver.got}
