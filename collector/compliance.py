"""Compliance: a round over the posts that are stored, newest first; what the platform says is gone is erased here."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import and_, func, or_, select

from collector.budget import Budget
from collector.page import Page, Paid, RateLimited, Refused, SourceError, TemporaryFailure
from collector.presence import Check, Pending, SiteSilent
from collector.runner import ATTEMPTS, Runner, Stopped, scrub_erased
from data import tables
from data.commands import COMPLY_STREAM
from data.store import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement

    from data.store import Store

log = structlog.get_logger("collector")

SHOWN_SERVERS = 3
LARGE_POSTS = 20  # of so many, more than half that are gone are not believed without a person's word
# A round that was cut off longer ago than this is finished first, and a whole one follows at once.
STALE_ROUND = timedelta(hours=1)
JOB_PATIENCE_SECONDS = (
    600.0  # a platform that works longer on a job is asked by the next run, and the other sources now
)


class Suspicious(SourceError):
    """More is gone than can well be: a person is to look first."""


@dataclass(frozen=True, slots=True)
class _Looked(Page):
    asked: int = 0
    unanswered: int = 0
    unaskable: int = 0
    wait_seconds: float = 0.0


@dataclass(slots=True)
class Round:
    """What came of re-checking a source."""

    source: str
    asked: int = 0
    gone: int = 0
    unanswered: int = 0  # their servers are silent, or the answer said nothing of them
    unaskable: int = 0  # their ids are none that the platform takes
    requests: int = 0
    cost_usd: float = 0.0
    outcome: str = "done"
    note: str | None = None


@dataclass(slots=True)
class Recheck:
    """The posts of a source as a stream of pages whose content is what is gone.

    The state is `{"since", "began_at", "after"}`: the newest post written since `since` that is older than `after`, which is
    `[time, id]`, comes next; with `job`, the platform works on the posts down to `to`; with `left_out`, a server was given up.
    Between rounds only `finished_at`, of the last round in which none was, and `tried_at`, of the last in which any answered.
    """

    store: Store
    check: Check
    trust: bool = False
    silent: dict[str, str] = field(default_factory=dict)  # why, by site
    given_up: dict[str, SourceError] = field(default_factory=dict)  # why, by site that should have answered
    _asked: Counter[str] = field(default_factory=Counter)  # by site
    _gone: Counter[str] = field(default_factory=Counter)
    _attempts: int = 0  # at the present page
    source: str = field(init=False)
    name: str = COMPLY_STREAM

    def __post_init__(self) -> None:
        """Its source is that of the check."""
        self.source = self.check.source

    def fetch(self, state: dict[str, Any], now: datetime) -> _Looked:
        """Ask about one page of posts; see `collector.page`. Raises Suspicious where too many are gone."""
        posts = self._next_posts(state)
        by_site: dict[str, list[str]] = {}
        for _, id_ in posts:
            site = self.check.site(id_)
            if site is not None:
                by_site.setdefault(site, []).append(id_)
        asked, gone = Counter[str](), Counter[str]()
        deleted: list[str] = []
        unanswered = 0
        for site, ids in by_site.items():
            if site in self.silent or site in self.given_up:
                unanswered += len(ids)
                continue
            try:
                answer = self.check.gone(ids, state.get("job"))
                if not isinstance(answer, Pending):
                    asked[site], gone[site] = len(ids), sum(id_ in answer for id_ in ids)
                    self._doubt(site, asked[site], gone[site])
            except SiteSilent as error:
                self.silent[site] = str(error)
                unanswered += len(ids)
                log.warning("server is silent", source=self.source, reason=str(error))
                continue
            except SourceError as error:
                self._attempts += 1
                may_work = isinstance(error, TemporaryFailure | RateLimited) and self._attempts < ATTEMPTS
                if not site or may_work:
                    raise
                return self._give_up(site, error, state)
            if isinstance(answer, Pending):
                waiting = state | {"job": answer.job, "to": _key(posts[-1])}
                return _Looked([], cursor=waiting, following=waiting, wait_seconds=answer.seconds)
            deleted += [id_ for id_ in ids if id_ in answer]
        self._attempts = 0
        self._asked += asked
        self._gone += gone
        following = {name: value for name, value in state.items() if name not in ("job", "to")}
        if posts or "to" in state:  # of a job's posts all can have been erased meanwhile
            following["after"] = state.get("to") or _key(posts[-1])
            return _Looked(
                [],
                cursor=following,
                following=following,
                deleted_posts=deleted,
                asked=asked.total(),
                unanswered=unanswered,
                unaskable=len(posts) - sum(map(len, by_site.values())),
            )
        is_whole = not self.given_up and "left_out" not in state
        if state["since"] is None and (is_whole or self._asked.total()):
            following["tried_at"] = now.isoformat()
            if is_whole:
                following["finished_at"] = now.isoformat()
        return _Looked([], cursor=_between_rounds(following))

    def _give_up(self, site: str, error: SourceError, state: dict[str, Any]) -> _Looked:
        """One server of many stops no other: the same page once more without it."""
        self.given_up[site] = error
        self._attempts = 0
        log.warning("server is left out", source=self.source, reason=str(error))
        following = state | {"left_out": True}
        return _Looked([], cursor=following, following=following)

    def _doubt(self, site: str, asked: int, gone: int) -> None:
        """A platform that is ill can look healthy and know none of its posts."""
        of_all, gone_of_all = self._asked[site] + asked, self._gone[site] + gone
        for many, lost in ((asked, gone), (of_all, gone_of_all)):
            if many >= LARGE_POSTS and lost > many / 2 and not self.trust:
                where = f"{self.source} ({site})" if site else self.source
                raise Suspicious(
                    f"{where} says that {lost:,} of {many:,} posts are gone, which is more than half: nothing of these was "
                    f"erased. Look at some of them; if they are gone, `tracker comply {self.source} --yes` erases them"
                )

    def _next_posts(self, state: dict[str, Any]) -> list[tuple[datetime, str]]:
        posts = tables.posts
        query = select(posts.c.created_at, posts.c.id).where(*_asked_about(self.source, state["since"]))
        if state.get("after"):
            query = query.where(_older(state["after"]))
        query = query.where(~_older(state["to"])) if "to" in state else query.limit(self.check.page_posts)
        query = query.order_by(posts.c.created_at.desc(), posts.c.id.desc())
        with self.store.engine.connect() as connection:
            return [(row.created_at, row.id) for row in connection.execute(query)]


def _asked_about(source: str, since: str | None) -> list[ColumnElement[bool]]:
    posts = tables.posts
    # Of posts written for a demonstration the platform knows nothing.
    wanted = [posts.c.source == source, ~posts.c.synthetic]
    return wanted + ([posts.c.created_at >= datetime.fromisoformat(since)] if since else [])


def _older(key: list[str]) -> ColumnElement[bool]:
    posts, at = tables.posts, datetime.fromisoformat(key[0])
    return or_(posts.c.created_at < at, and_(posts.c.created_at == at, posts.c.id < key[1]))


def _key(post: tuple[datetime, str]) -> list[str]:
    return [post[0].isoformat(), post[1]]


def count_posts(store: Store, source: str, since: datetime | None = None) -> int:
    """How many posts a round asks about."""
    query = select(func.count()).select_from(tables.posts)
    query = query.where(*_asked_about(source, since.isoformat() if since else None))
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def last_round(store: Store, source: str, *, whole: bool = True) -> datetime | None:
    """When the last round of a source ended, in which no server was left out; with `whole=False`, or some were."""
    kept = store.cursor(source, COMPLY_STREAM) or {}
    ended_at = kept.get("finished_at") if whole else kept.get("tried_at") or kept.get("finished_at")
    return datetime.fromisoformat(ended_at) if ended_at else None


def recheck(
    runner: Runner,
    check: Check,
    *,
    since: datetime | None = None,
    trust: bool = False,
    progress: Callable[[int], None] = lambda _asked: None,
) -> Round:
    """Ask a platform about the stored posts of its source, or those written since a moment, and erase what is gone.

    A round that was cut off goes on where it was. Raises Stopped when asked to stop, with what was erased kept.
    """
    store, source = runner.store, check.source
    result, requests = Round(source), RunRecord(source, runner.now())
    stream = Recheck(store, check, trust)
    if isinstance(check, Paid):
        check.budget = Budget(store.engine, check.pays, check.limits, runner.now)
    kept = store.cursor(source, COMPLY_STREAM) or {}
    bound = since.isoformat() if since else None
    again, waited = False, 0.0
    if "began_at" in kept and kept["since"] == bound:
        is_stale = runner.now() - datetime.fromisoformat(kept["began_at"]) > STALE_ROUND
        state, again = kept, is_stale or "left_out" in kept
    else:
        state = _begin(kept, bound, runner.now())
    try:
        while True:
            looked = runner.fetch_page(stream, state, requests)
            assert isinstance(looked, _Looked)
            tally = store.save_page(
                [],
                source=source,
                stream=COMPLY_STREAM,
                cursor=looked.cursor,
                deleted_posts=looked.deleted_posts,
            )
            result.gone += tally.erased
            result.asked += looked.asked
            result.unanswered += looked.unanswered
            result.unaskable += looked.unaskable
            progress(result.asked)
            if looked.following is None and not again:
                break
            state, again = (
                looked.following or _begin(looked.cursor, bound, runner.now()),
                again and bool(looked.following),
            )
            waited = waited + looked.wait_seconds if looked.wait_seconds else 0.0
            if waited > JOB_PATIENCE_SECONDS:
                result.outcome = "waiting"
                result.note = f"{source} is still at work on the answer, which the next run takes up"
                break
            if runner.wait(looked.wait_seconds):
                raise Stopped
        if stream.given_up:
            result.outcome, result.note = _left_out(stream.given_up)
    except SourceError as error:
        result.outcome = "refused" if isinstance(error, Refused | Suspicious) else "failed"
        result.note = str(error)
        if isinstance(error, Refused):  # or a job that X could not do would be asked after for ever
            _keep(store, {name: value for name, value in state.items() if name not in ("job", "to")}, source)
    except Stopped:
        result.outcome = "stopped"
        raise
    finally:
        scrub_erased(store, runner.now(), every=None)
        result.requests, result.cost_usd = requests.requests, check.cost_usd
        if stream.silent and result.note is None:
            result.note = f"{len(stream.silent):,} servers did not answer, such as {min(stream.silent)}"
        store.record("comply", {"since": bound} | asdict(result))
    return result


def _begin(kept: dict[str, Any], since: str | None, now: datetime) -> dict[str, Any]:
    return _between_rounds(kept) | {"since": since, "began_at": now.isoformat()}


def _between_rounds(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name in ("finished_at", "tried_at")}


def _left_out(given_up: dict[str, SourceError]) -> tuple[str, str]:
    """Outcome and note of a round in which these servers were given up; what a person must mend comes first."""
    errors = sorted(given_up.values(), key=lambda error: isinstance(error, TemporaryFailure | RateLimited))
    outcome = "failed" if isinstance(errors[0], TemporaryFailure | RateLimited) else "refused"
    more = f"; and {len(errors) - SHOWN_SERVERS:,} more" if len(errors) > SHOWN_SERVERS else ""
    return outcome, "; ".join(map(str, errors[:SHOWN_SERVERS])) + more


def _keep(store: Store, state: dict[str, Any], source: str) -> None:
    store.save_page([], source=source, stream=COMPLY_STREAM, cursor=state)
