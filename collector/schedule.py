"""The schedule: each source in a thread of its own, at its own interval, so that a slow or failing one delays no other."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from collector.runner import Runner, Stopped
from data.circuit import open_circuit
from data.console import announce
from data.errors import TrackerError
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from data.circuit import Circuit
    from data.store import RunRecord, Store

    Read = Callable[[Runner], RunRecord | None]  # one run of a source; None: it keeps no record, or has nothing to read

log = structlog.get_logger("collector")

# A source that waits for an answer when asked to stop has nothing unsaved: it is left behind after this.
STOP_SECONDS = 8.0
LEAST_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.2


@dataclass(slots=True)
class Schedule:
    """Collects from sources until asked to stop. `wait` is as in Runner; `show` takes a source and what it does now."""

    store: Store
    now: Callable[[], datetime]
    wait: Callable[[float], bool]
    reads: Mapping[str, Read]
    every_seconds: Mapping[str, float]
    show: Callable[[str, str], None] = lambda _source, _does: None
    records: dict[str, RunRecord] = field(default_factory=dict)  # the last run of each source that came to its end
    failed: set[str] = field(default_factory=set)
    _resting: set[str] = field(default_factory=set)

    def run(self, *, once: bool = False) -> None:
        """Run each source, again and again or once; a source that rests is tried all the same where it is run once."""
        threads = [
            threading.Thread(target=self._tend, args=(source, once), name=source, daemon=True) for source in self.reads
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not self.wait(0):
                thread.join(_LOOK_SECONDS)
        until = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.warning("left while it waits for an answer", source=thread.name)

    def _tend(self, source: str, once: bool) -> None:
        every = self.every_seconds[source]
        while True:
            due = time.monotonic() + every
            try:
                self._turn(source, once)
            except Stopped:
                self.failed.add(source)
                return
            except Exception as error:
                # Of an error that nobody foresaw only its kind is told: its words could hold a post.
                reason = str(error) if isinstance(error, TrackerError) else type(error).__name__
                self.failed.add(source)
                log.error("run failed", source=source, reason=reason)
            if once:
                return
            pause = max(due - time.monotonic(), LEAST_PAUSE_SECONDS)
            if source not in self._resting:
                self.show(source, f"next in {pause:,.0f} s")
            if self.wait(pause):
                return

    def _turn(self, source: str, once: bool) -> None:
        """One run, unless the source rests."""
        before = open_circuit(self.store.engine, source)
        if before is not None and not once and self.now() < before.next_try_at:
            if source not in self._resting:  # since an earlier process: say it again
                self._rest(before)
            return
        self.show(source, "reading")
        run = self.reads[source](Runner(self.store, self.now, self.wait, lambda line: self.show(source, line)))
        if run is None:
            return
        self.records[source] = run
        cost = f", about ${run.cost_usd:.2f}" if run.cost_usd else ""
        outcome = "" if run.outcome == "done" else f" ({run.outcome}: {run.note})"
        announce(f"{source}: {run.fetched:,} read, {run.new:,} new, {run.requests} requests{cost}{outcome}")
        if run.outcome not in {"done", "limited"}:  # a budget that holds is no failure
            self.failed.add(source)
        after = open_circuit(self.store.engine, source)
        if after is not None:
            self._rest(after)
        elif before is not None:
            announce(f"{source} answers again", "circuit closed", source=source)
        if after is None:
            self._resting.discard(source)

    def _rest(self, circuit: Circuit) -> None:
        self._resting.add(circuit.source)
        next_try_at = circuit.next_try_at.astimezone(NAIROBI)
        log.error(
            "circuit open",
            source=circuit.source,
            failures=circuit.failures,
            reason=circuit.reason,
            next_try_at=next_try_at.isoformat(timespec="seconds"),
            sooner=f"tracker collect {circuit.source} --once",
        )
        self.show(circuit.source, f"rests until {next_try_at:%H:%M} EAT: {circuit.reason}")
