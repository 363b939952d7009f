"""X's filtered stream: posts within seconds, and by search whatever the stream left out.

The stream and the search are two ways to read the same thing, so they share one cursor: that of `search`. After each
connection the search reads from the cursor to after the moment of connecting; from then on the stream moves the cursor. A post
can come minutes late: in the stream it comes then, and the search begins so much before the cursor.
"""

from __future__ import annotations

import json
import queue
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
import tweepy

from collector.page import Page, RateLimited, Refused, SourceError, TemporaryFailure
from collector.sources.x import NAME, bearer_token, compile_query, open_search, records, rest
from collector.sources.x_api import (
    API,
    FIELDS,
    LAG,
    RULES,
    SETTLED_AFTER,
    Api,
    Gateway,
    failure,
    price,
    remember,
    versions,
)
from data.spending import LEAST_POSTS, USD_PER_POST, USD_PER_USER, x_limits
from data.store import Span

if TYPE_CHECKING:
    from collector.budget import Budget, Reservation
    from data.errors import RecordError
    from data.settings import Settings

log = structlog.get_logger("collector")

TAG = "ecitizen-tracker"
# Posts come unasked. So many may be on their way when the connection is closed: X sends 250 a second at most.
IN_FLIGHT_POSTS = 250
AHEAD_POSTS = 100  # that may come until the next reservation
_AHEAD = IN_FLIGHT_POSTS + LEAST_POSTS, IN_FLIGHT_POSTS + AHEAD_POSTS, USD_PER_POST + USD_PER_USER
BATCH_SECONDS, BATCH_POSTS = 5, 200
ROUND = timedelta(minutes=5)  # then a run is recorded; the connection stays
# After a connection that broke off the search reads alone for so long, twice as long each time.
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)
REST_AFTER_429 = timedelta(seconds=60)  # X's own advice


@dataclass(slots=True)
class _Batch:
    records: list[dict[str, Any] | RecordError] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    posts: int = 0
    usd: float = 0.0
    heard: bool = False
    ended: bool = False


class FilteredStream:
    """Reads the stream; search where there is no connection, or no budget for one."""

    source = NAME
    pays = NAME
    name = "search"

    def __init__(self, settings: Settings, batch_seconds: float = BATCH_SECONDS) -> None:
        self.limits = x_limits(settings)
        self.budget: Budget | None = None
        self._search = open_search(settings)
        self._token, self._url = bearer_token(settings), settings.x_url
        self._query = compile_query(settings.terms, settings.exclusions)
        self._api = Api(self._token, self._url)
        self._connection: _Connection | None = None
        self._held: Reservation | None = None
        self._batch_seconds = batch_seconds
        self._heard = False
        self._connected_at: datetime | None = None  # surely: after its first sign of life
        self._drained_at = self._round_began = self._again_at = datetime.min.replace(tzinfo=UTC)
        self._rest = FIRST_REST

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """What has come in the last seconds, or a page of the search where the stream does not reach back."""
        assert self.budget is not None
        self._search.budget = self.budget
        if self._connection is None and (now < self._again_at or not self._connect(self.budget, now)):
            return self._search.fetch(state, now)
        connection = self._connection
        assert connection is not None
        if self._heard and self._connected_at is None:
            self._connected_at = now
        batch, heard_at = connection.drain(self._batch_seconds), self._drained_at
        self._drained_at = now
        self._heard |= batch.heard
        walk = dict(state or {})
        assert self._held is not None
        if batch.versions:
            remember(walk, self._held.day, batch.versions, now - SETTLED_AFTER - LAG)
        if batch.ended or not self._renew(self.budget, batch):
            self._end(self.budget, batch)
            if batch.ended:
                self._take_rest(connection.failure, now)
            return Page(batch.records, following=walk, cost_usd=batch.usd, requests=0)

        floor = datetime.fromisoformat(walk["floor"]) if "floor" in walk else None
        connected_at = self._connected_at
        if connected_at is None or floor is None or "top" in walk or floor < connected_at:
            if connected_at is None or now - LAG < connected_at:  # the search would not come up to the stream yet
                return Page(batch.records, following=walk, cost_usd=batch.usd, requests=0)
            page = self._search.fetch(walk, now)
            following = page.following or page.cursor or walk
            return Page(
                [*batch.records, *page.records],
                page.spans,
                page.cursor,
                self._unless_round_ends(following, now),
                page.cost_usd + batch.usd,
                counts=page.counts,
                requests=page.requests,
                limited=page.limited,
            )
        settled_to = heard_at - LAG
        if batch.heard and settled_to > floor:
            self._rest = FIRST_REST
            spans, walk = [Span(floor, settled_to)], rest(walk, settled_to)
            return Page(batch.records, spans, walk, self._unless_round_ends(walk, now), batch.usd, requests=0)
        return Page(batch.records, following=self._unless_round_ends(walk, now), cost_usd=batch.usd, requests=0)

    def rest_seconds(self, now: datetime) -> float:
        """How long the search reads alone from now on."""
        return max(0.0, (self._again_at - now).total_seconds())

    def disconnect(self) -> None:
        """End the connection, which outlives the runs, as the process ends."""
        if self._connection is not None and self.budget is not None:
            batch = self._connection.drain(wait_seconds=0)
            batch.ended = True  # what may still come the search asks for again, and X bills it once
            self._end(self.budget, batch)

    def _end(self, budget: Budget, batch: _Batch) -> None:
        assert self._connection is not None
        assert self._held is not None
        self._connection.disconnect()
        if batch.ended:  # else the budget is the reason, and what X may have sent since stays counted
            budget.settle(self._held, batch.posts, batch.usd)
        self._connection = self._held = None

    def _take_rest(self, failure: SourceError, now: datetime) -> None:
        if isinstance(failure, Refused):
            raise failure
        log.warning("stream ended", source=self.source, reason=str(failure))
        self._again_at = now + (max(self._rest, REST_AFTER_429) if isinstance(failure, RateLimited) else self._rest)
        self._rest = min(2 * self._rest, LONGEST_REST)

    def _unless_round_ends(self, following: dict[str, Any], now: datetime) -> dict[str, Any] | None:
        if now - self._round_began < ROUND:
            return following
        self._round_began = now
        return None

    def _connect(self, budget: Budget, now: datetime) -> bool:
        """False where the budget does not hold what may come before it is looked at again."""
        held = budget.reserve_posts(*_AHEAD)
        if held is None:
            return False
        try:
            self._set_rule()
        except SourceError:
            budget.settle(held, 0, 0.0)
            raise
        self._held = held
        self._connection = _Connection(self._token, self._url, held.posts - IN_FLIGHT_POSTS)
        self._connection.open(self._api.fields)
        self._connected_at, self._heard = None, False
        self._drained_at = self._round_began = now
        return True

    def _renew(self, budget: Budget, batch: _Batch) -> bool:
        """Settle what has come and reserve for what will; False where the budget does not hold that."""
        assert self._held is not None
        assert self._connection is not None
        if not batch.posts and budget.holds(self._held):
            return True
        held = budget.renew(self._held, batch.posts, batch.usd, *_AHEAD)
        if held is None:
            return False
        self._held = held
        self._connection.allow(held.posts - IN_FLIGHT_POSTS)
        return True

    def _set_rule(self) -> None:
        """One rule, ours, in this application of X."""
        rules = self._api.ask("GET", RULES, {}).get("data") or []
        ours = [rule for rule in rules if isinstance(rule, dict) and rule.get("tag") == TAG]
        if len(ours) < len(rules):
            raise Refused(
                "x: this application has stream rules of somebody else, whose posts would come and be billed here too: "
                "delete them, or use an application of the tracker's own"
            )
        old = [str(rule.get("id")) for rule in ours if rule.get("value") != self._query]
        if len(old) == len(ours):
            added = self._api.ask("POST", RULES, {}, {"add": [{"value": self._query, "tag": TAG}]})
            if not added.get("data"):
                raise Refused("x does not take the rule of the stream: shorten or correct `terms` in tracker.toml")
        if old:
            self._api.ask("POST", RULES, {}, {"delete": {"ids": old}})


class _Connection(tweepy.StreamingClient):
    """One connection, read in a thread of its own. tweepy would connect again for ever and unseen: this one ends."""

    def __init__(self, token: str, url: str, allowance: int) -> None:
        super().__init__(token, daemon=True)
        self.session.mount(API, Gateway(url))
        self.failure: SourceError = TemporaryFailure("x ended the stream")
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # b"": a sign of life; None: the end
        self._connected = False
        self._received, self._taken, self._allowance = 0, 0, allowance

    def open(self, fields: str) -> None:
        """Begin to read."""
        name = fields.replace(".", "_")
        self.filter(threaded=True, expansions="author_id", user_fields="username", **{name: FIELDS[fields]})

    def allow(self, posts: int) -> None:
        """So many more than were drained may come; at one more the connection ends by itself."""
        self._allowance = self._taken + posts

    def drain(self, wait_seconds: float) -> _Batch:
        """All that has come, after waiting a little for the first."""
        batch = _Batch()
        try:
            line = self._lines.get(timeout=wait_seconds) if wait_seconds else self._lines.get_nowait()
            while True:
                batch.heard = True
                if line is None:
                    batch.ended = True
                    return batch
                if line:
                    self._read(line, batch)
                if batch.posts >= BATCH_POSTS:
                    return batch
                line = self._lines.get_nowait()
        except queue.Empty:
            return batch

    def _read(self, line: bytes, batch: _Batch) -> None:
        self._taken += 1
        try:
            value = json.loads(line)
            if not isinstance(value, dict) or not isinstance(value.get("data"), dict):
                raise ValueError
        except (ValueError, RecursionError):
            # A line cut short, or X's word that it ends the stream. A post may be lost in it: the search finds it.
            self.failure = TemporaryFailure("x sent a line that is no post on the stream")
            self.disconnect()
            batch.posts += 1
            batch.usd += USD_PER_POST + USD_PER_USER
            batch.ended = True
            return
        posts, usd = price(value)
        batch.posts += posts
        batch.usd += usd
        batch.records += records(value)
        batch.versions += versions([value["data"]])

    def on_connect(self) -> None:
        if self._connected:
            self.disconnect()
        self._connected = True
        self._lines.put(b"")

    def on_data(self, raw_data: bytes) -> None:
        self._received += 1
        self._lines.put(raw_data)
        if self._received >= self._allowance:
            self.disconnect()

    def on_keep_alive(self) -> None:
        self._lines.put(b"")

    def on_request_error(self, status_code: int) -> None:
        if status_code == 429:
            self.failure = RateLimited("x: the stream has another connection, or too many were tried (429)", None)
        elif status_code == 400:
            self.failure = Refused("x does not take the stream's parameters (400): collect without --stream")
        else:
            self.failure = failure(status_code, {}, "the filtered stream")
        self.disconnect()

    def on_closed(self, response: Any) -> None:
        self.disconnect()

    def on_connection_error(self) -> None:
        self.failure = TemporaryFailure("x: the stream broke off, or was silent for 30 seconds")
        self.disconnect()

    def on_exception(self, exception: Exception) -> None:
        self.failure = TemporaryFailure(f"x: the stream broke off ({type(exception).__name__})")

    def on_disconnect(self) -> None:
        self._lines.put(None)
