"""Runs of one source in processes that can be killed: a process with everything imported forks a child for each.

As a script it is that process. It reads jobs as JSON lines, and for each writes the child's id, what the child reports, and
how it ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HUNG_SECONDS = 120


@dataclass(frozen=True)
class Ending:
    """How a run ended: killed, or with the outcome of its record; `crash` is the traceback of what nobody caught."""

    outcome: str
    note: str = ""
    crash: str = ""


class Collecting:
    """The process that forks; use it in a `with` block."""

    def __enter__(self) -> Collecting:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": "/nonexistent", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, job: dict[str, Any]) -> None:
        """Begin a run: `source`, `settings`, `now`, `patience_seconds` and `page_events`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self._pid = os.pidfd_open(self._line()["pid"])  # valid: nobody reaps it before `end`

    def is_over(self) -> bool:
        """Whether the run has ended by itself, or was killed."""
        return bool(select.select([self._pid], [], [], 0)[0])

    def kill(self) -> None:
        """kill -9; of a run that is over, nothing."""
        if not self.is_over():
            signal.pidfd_send_signal(self._pid, signal.SIGKILL)

    def end(self) -> Ending:
        """Wait for the end of the run. A run that takes minutes hangs: it is killed, and that is a crash."""
        hung = not select.select([self._pid], [], [], HUNG_SECONDS)[0]
        if hung:
            self.kill()
        os.close(self._pid)
        assert self._process.stdin is not None
        self._process.stdin.write("reap\n")
        self._process.stdin.flush()
        told: dict[str, Any] = {}
        while "status" not in (line := self._line()):
            told = line
        if hung:
            return Ending("failed", crash=f"no end after {HUNG_SECONDS} s")
        if line["status"] == -signal.SIGKILL:
            return Ending("killed")
        if line["status"] or not told:
            return Ending("failed", crash=told.get("crash", f"exit status {line['status']}"))
        return Ending(**told)

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        told: dict[str, Any] = json.loads(line)
        return told


def main() -> None:
    import gc
    import random
    import tempfile
    import time
    import traceback

    import structlog

    from collector import web
    from collector.runner import Runner
    from collector.sources import bluesky, mastodon, news, reddit, reviews, x
    from data.records import Post
    from data.settings import load_settings
    from data.store import RunRecord, Span, open_store

    modules = {module.NAME: module for module in (bluesky, mastodon, news, reddit, reviews, x)}
    # What the sources log is read by nobody here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    sleep = time.sleep

    def nap(seconds: float) -> bool:
        sleep(min(seconds, 0.001))
        return False

    def tell(said: dict[str, Any]) -> None:
        os.write(1, (json.dumps(said) + "\n").encode())

    def open_streams(source: str, settings: Any, job: dict[str, Any]) -> Any:
        """The streams, with the time-outs and the pages of the job, which are too long for a test."""
        patience = job["patience_seconds"]
        for module in (web, x, mastodon):
            module.READ_TIMEOUT_SECONDS = patience
        reddit.TIMEOUT_SECONDS = patience
        if source == "bluesky":
            limits = {"stall_seconds": patience, "page_events": job["page_events"]}
            return [bluesky.Firehose(settings.jetstream_url, settings.terms, **limits)]
        return modules[source].open_streams(settings)

    def run(job: dict[str, Any]) -> None:
        time.sleep = nap  # prawcore and the clients pause by themselves, too
        random.seed(job["now"])
        settings = load_settings(**job["settings"])
        store = open_store(settings)
        now = datetime.fromisoformat(job["now"])
        streams = open_streams(job["source"], settings, job)
        record = Runner(store, lambda: now, nap).collect(job["source"], streams)
        tell({"outcome": record.outcome, "note": record.note or ""})
        store.close()

    def warm_up() -> None:
        """What is loaded at its first use is loaded here, once for all children."""
        with tempfile.TemporaryDirectory() as folder:
            settings = load_settings(
                database_url=f"sqlite:///{folder}/posts.db",
                pseudonym_key="a key of nobody at all",
                x_bearer_token="t",
                reddit_client_id="i",
                reddit_client_secret="s",
                play_apps="a",
                apple_apps="1",
            )
            store = open_store(settings)
            now = datetime.now(UTC)
            written = Post("x", "1", now, "eCitizen 0712 345678", "somebody", "2")
            store.save_page([written], source="x", stream="s", cursor={}, spans=[Span(now, now)], deleted_posts=["1"])
            store.cursor("x", "s")
            store.save_run(RunRecord("x", now))
            store.close()
            for module in modules.values():
                module.open_streams(settings)
        gc.collect()
        gc.freeze()  # or each child would copy what it only looks at

    warm_up()
    while line := sys.stdin.readline():
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            tell({"pid": os.getpid()})
            try:
                run(job)
            except BaseException:
                tell({"crash": traceback.format_exc()[-2_000:]})
                os._exit(3)
            os._exit(0)
        sys.stdin.readline()
        tell({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


if __name__ == "__main__":
    main()
