"""How many events a second the Bluesky source takes, and how much memory: generated events replayed at full speed.

    python benchmarks/jetstream.py [--events 200000]

The server is a process of its own on the loopback interface; source, runner and store (SQLite) are held to one core. Exit
status 1 below 2,000 events/s, or where other posts are stored than those of the events, or where memory grows beyond SQLite's cache.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from jetstream import about, micros, traffic, uri
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from collector.runner import Runner
from collector.sources import bluesky
from data import tables
from data.settings import load_settings
from data.store import open_store

GOAL = 2_000
DIFFERENT = 5_000  # events generated; they pass by again and again under other ids and times
MOST_GROWTH_MB = 45  # SQLite's cache, which fills up to 32 MB, and some room
EXTRA = 100  # events at the present, where the run ends: it reads as many of them as it takes to know


def passing(begin: datetime) -> list[dict[str, Any]]:
    """Events of which none deletes another."""
    events = [event for event in traffic(DIFFERENT, begin) if event["kind"] != "account"]
    return [event for event in events if event.get("commit", {}).get("operation") != "delete"]


def replay(total: int, begin: datetime, port: Any) -> None:
    """Serve the events, each 500 µs after the one before, as fast as they are taken."""
    parts = []
    for event in passing(begin):
        event["time_us"] = "TIME"
        if "commit" in event:
            event["commit"]["rkey"] += "ROUND"
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        parts.append(line.replace('"TIME"', "TIME"))

    def handle(connection: ServerConnection) -> None:
        for number in range(total):
            line = parts[number % len(parts)].replace("TIME", str(micros(begin) + 500 * number), 1)
            connection.send(line.replace("ROUND", f"r{number // len(parts)}", 1))
        with suppress(ConnectionClosed):
            connection.recv()  # until the client has gone

    with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port.send(server.socket.getsockname()[1])
        server.serve_forever()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    total: int = parser.parse_args().events
    now = datetime.now(UTC)
    begin = now - total * timedelta(microseconds=500)
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=replay, args=(total + EXTRA, begin, theirs), daemon=True)
    server.start()
    url = f"ws://127.0.0.1:{mine.recv()}"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    peaks: list[float] = []  # after each fifth page
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            database_url=f"sqlite:///{folder}/posts.db", pseudonym_key="a key of the benchmark", jetstream_url=url
        )
        store = open_store(settings)
        pages = 0

        def page_saved(_line: str) -> None:
            nonlocal pages
            pages += 1
            if pages % 5 == 0:
                peaks.append(peak_mb())

        runner = Runner(store, lambda: now, lambda _seconds: False, page_saved)
        started, worked = time.monotonic(), time.process_time()
        run = runner.collect("bluesky", bluesky.open_streams(settings))
        seconds, cpu_seconds = time.monotonic() - started, time.process_time() - worked
        peak = peak_mb()
        peaks = peaks or [peak]
        with store.engine.connect() as connection:
            stored = set(connection.execute(select(tables.posts.c.id)).scalars())
        store.close()
    server.terminate()
    # The walk has arrived once so many events in a row are of the present.
    events = passing(begin)
    expected = {
        f"{uri(events[number % len(events)])}r{number // len(events)}"
        for number in range(total + bluesky.WITNESSES)
        if about(events[number % len(events)])
    }
    whole = run.outcome == "done" and stored == expected
    growth = peak - peaks[0]
    print(
        f"{total:,} events, {len(stored):,} posts stored of {len(expected):,} ({len(expected - stored):,} lost, "
        f"{len(stored - expected):,} too many), {pages} pages, outcome {run.outcome}"
    )
    print(
        f"{total / seconds:,.0f} events/s in {seconds:.1f} s; {total / cpu_seconds:,.0f} events per second of one core's time"
    )
    print(f"peak memory {peak:.0f} MB, {growth:.0f} MB above that after the fifth page")
    print("after every fifth page: " + ", ".join(f"{each:.0f}" for each in peaks))
    return int(not whole or total / seconds < GOAL or growth > MOST_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
