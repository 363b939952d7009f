"""The runner: waiting, retries, cursors and saving, once for all sources."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
import tenacity
from sqlalchemy.exc import SQLAlchemyError

from collector.budget import Budget
from collector.page import Connected, Paid, RateLimited, Refused, SourceError, TemporaryFailure
from data.circuit import FIRST_PAUSE, LONGEST_PAUSE
from data.errors import RecordError, StoreError
from data.records import Post, parse_post
from data.store import RunRecord
from data.withdrawal import last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collector.page import Page, Stream
    from data.store import Store

log = structlog.get_logger("collector")

T = TypeVar("T")

ATTEMPTS = 6
BACKOFF_SECONDS, BACKOFF_CAP_SECONDS = 2, 120
RATE_LIMIT_CAP_SECONDS = 15 * 60  # the longest window of any platform read
SCRUBBED = (
    "scrubbed"  # among the sources; its cursor is the line of the audit log up to which what was erased is scrubbed
)
SCRUB_EVERY = timedelta(hours=1)


class Stopped(Exception):
    """The person, or the supervisor, asked to stop; what was read is saved."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Reads streams into a store. `wait` sleeps for some seconds and returns True when asked to stop."""

    store: Store
    now: Callable[[], datetime]
    wait: Callable[[float], bool]
    report: Callable[[str], None] = lambda _line: None

    def collect(self, source: str, streams: Sequence[Stream]) -> RunRecord:
        """Read each stream of a source from its cursor to its end, page by page, and keep a record of the run.

        A failing stream does not stop the next one. Raises Stopped when asked to stop, with the pages read saved.
        """
        run = RunRecord(source, self.now(), outcome="done")
        try:
            for stream in streams:
                try:
                    self._walk(stream, run)
                except SourceError as error:
                    run.outcome = "refused" if isinstance(error, Refused) else "failed"
                    run.note = str(error)
                    log.warning(
                        "stream failed", source=source, stream=stream.name, outcome=run.outcome, reason=str(error)
                    )
        except Stopped:
            run.outcome = "stopped"
            raise
        except Exception as error:
            run.outcome, run.note = "failed", type(error).__name__
            raise
        finally:
            for stream in streams:
                if isinstance(stream, Connected):
                    stream.close()
            run.ended_at = self.now()
            self.store.save_run(run)
            counts = {
                name: getattr(run, name) for name in ("fetched", "new", "duplicate", "dropped", "gaps", "requests")
            }
            log.info("run ended", source=source, outcome=run.outcome, note=run.note, cost_usd=run.cost_usd, **counts)
        scrub_erased(self.store, self.now())
        return run

    def _walk(self, stream: Stream, run: RunRecord) -> None:
        if isinstance(stream, Paid):
            stream.budget = Budget(self.store.engine, stream.pays, stream.limits, self.now)
        state = self.store.cursor(stream.source, stream.name)
        while True:
            page = self.fetch_page(stream, state, run)
            posts = self._posts(page, run)
            tally = self.store.save_page(
                posts,
                source=stream.source,
                stream=stream.name,
                cursor=page.cursor,
                spans=page.spans,
                counts=page.counts,
                deleted_posts=page.deleted_posts,
                deleted_accounts=page.deleted_accounts,
                scrub=False,  # which takes a second for each 100 MB, during which nobody else can write
            )
            if tally.erased:
                log.info("erased as at the platform", source=stream.source, posts=tally.erased)
            if tally.updated:
                log.info("edited at the platform", source=stream.source, posts=tally.updated)
            run.fetched += len(page.records)
            run.new += tally.new
            run.duplicate += tally.duplicate + tally.updated
            run.dropped += tally.dropped
            run.gaps += sum(span.gap_reason is not None for span in page.spans)
            run.cost_usd += page.cost_usd
            run.requests += page.requests - 1  # one is counted when it is tried
            if page.limited and run.outcome == "done":  # it hides no stream that failed before
                run.outcome, run.note = "limited", page.limited
            log.info("page saved", **_names(stream), read=len(page.records), new=tally.new)
            for span in page.spans:
                if span.gap_reason is not None:
                    from_at, to_at = span.from_at.isoformat(), span.to_at.isoformat()
                    log.warning("gap", **_names(stream), from_at=from_at, to_at=to_at, reason=span.gap_reason)
            self.report(f"{stream.source} {stream.name}: {run.fetched:,} read, {run.new:,} new")
            if page.following is None:
                return
            if self.wait(getattr(stream, "pause_seconds", 0)):
                raise Stopped
            state = page.following

    def _posts(self, page: Page, run: RunRecord) -> list[Post]:
        posts = []
        for record in page.records:
            try:
                if isinstance(record, RecordError):
                    raise record
                posts.append(parse_post(record, now=self.now()))
            except RecordError as error:
                run.dropped += 1
                log.info("record dropped", source=run.source, reason=str(error))
        return posts

    def fetch_page(self, stream: Stream, state: Any, run: RunRecord) -> Page:
        """A page of a stream, however long the platform has to be waited for. Raises SourceError, and Stopped."""

        def fetch() -> Page:
            run.requests += 1
            return stream.fetch(state, self.now())

        def sleep(seconds: float) -> None:
            if self.wait(seconds):
                raise Stopped

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((TemporaryFailure, RateLimited)),
            wait=self._pause,
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            sleep=sleep,
            before_sleep=lambda state: self._say(stream, state),
            reraise=True,
        )
        return retrying(fetch)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited) and error.reset_at is not None:
            # A skewed clock on either side must not turn into a stampede or an endless wait.
            seconds = (error.reset_at - datetime.now(UTC)) / timedelta(seconds=1) + 1
            return min(max(seconds, 1), RATE_LIMIT_CAP_SECONDS) + random.uniform(0, 2)  # noqa: S311 - jitter
        ceiling = min(BACKOFF_SECONDS * 2**state.attempt_number, BACKOFF_CAP_SECONDS)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter

    def _say(self, stream: Stream, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        seconds = state.next_action.sleep if state.next_action else 0
        log.warning("waiting", source=stream.source, stream=stream.name, reason=str(error), seconds=round(seconds))
        self.report(f"{stream.source} {stream.name}: {error}; trying again in {seconds:.0f} s")


def scrub_erased(store: Store, now: datetime, every: timedelta | None = SCRUB_EVERY) -> None:
    """Scrub what was erased as at the platform since the last time, so often at most; None: now.

    What is to be scrubbed follows from the audit log, so that a kill leaves nothing behind for good.
    """
    if store.engine.dialect.name != "sqlite":
        return
    kept = store.cursor(SCRUBBED, "") or {"line": 0}
    line = last_line(store, "erase as at the platform")
    if line <= kept["line"]:
        return
    if every is not None and "at" in kept and timedelta(0) <= now - datetime.fromisoformat(kept["at"]) < every:
        return
    tried = {"at": now.isoformat()}  # kept before, since one that fails would fail again at once
    try:
        store.save_page([], source=SCRUBBED, cursor=kept | tried)
        store.scrub()
        store.save_page([], source=SCRUBBED, cursor=tried | {"line": line})
    except StoreError as error:
        log.warning("erased texts may still stand in the database's file", reason=str(error))


def log_database_failure(error: StoreError | SQLAlchemyError, **more: Any) -> None:
    """One line, without the statement: of SQLAlchemy's own message only the driver's word is told."""
    said = str(error if isinstance(error, StoreError) else getattr(error, "orig", None) or type(error).__name__)
    log.error("database failed", reason=said.partition("\n")[0], **more)


def outlast(work: Callable[[], T], wait: Callable[[float], bool]) -> T:
    """What comes of the work, tried again after pauses as of a source that rests where the database fails. Raises Stopped."""
    pause = FIRST_PAUSE
    while True:
        try:
            return work()
        except (StoreError, SQLAlchemyError) as error:
            log_database_failure(error, seconds=round(pause.total_seconds()))
        if wait(pause.total_seconds()):
            raise Stopped
        pause = min(2 * pause, LONGEST_PAUSE)


def _names(stream: Stream) -> dict[str, str]:
    return {"source": stream.source, "stream": stream.name}
