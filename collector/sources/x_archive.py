"""X's full-archive search between two dates: the price is asked first, from the archive's own counts; then newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from collector.budget import spent_until
from collector.page import Page
from collector.sources.x import NAME, bearer_token, compile_query, lasting, records
from collector.sources.x_api import ALL, ALL_COUNTS, SETTLED_AFTER, Api, id_time, x_time
from data.errors import InputError
from data.spending import USD_PER_ALL_COUNTS, USD_PER_POST, USD_PER_USER, x_limits
from data.store import Span

if TYPE_CHECKING:
    from collector.budget import Budget
    from data.settings import Settings

EARLIEST = datetime(2006, 3, 26, tzinfo=UTC)  # X's archive begins here
MOST_POSTS = 500  # that X gives in a page of the archive


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is to be read: from `from_at` to before `to_at`, whole seconds."""

    from_at: datetime
    to_at: datetime

    @property
    def stream(self) -> str:
        """The name under which the store keeps how far it was read."""
        return f"archive {x_time(self.from_at)} {x_time(self.to_at)}"


def check_stretch(from_at: datetime, to_at: datetime, now: datetime) -> Stretch:
    """The stretch in whole seconds. Raises InputError where X has no archive of it."""
    from_at, to_at = from_at.replace(microsecond=0), to_at.replace(microsecond=0)
    if from_at >= to_at:
        raise InputError("--archive: the second time must be after the first")
    if from_at < EARLIEST:
        raise InputError(f"--archive: X's archive begins on {EARLIEST:%Y-%m-%d}")
    if to_at > now - SETTLED_AFTER:
        raise InputError("--archive: the stretch must be over; what comes now is read by `tracker collect x`")
    return Stretch(from_at, to_at)


class Quote:
    """How many posts of the stretch are still to be read, by X's counts; `posts` is None until it was asked."""

    source = NAME
    pays = NAME
    name = "archive counts"

    def __init__(self, settings: Settings, stretch: Stretch, state: dict[str, Any] | None) -> None:
        self.limits = x_limits(settings)
        self.budget: Budget | None = None
        self.posts: int | None = None
        self._query = compile_query(settings.terms, settings.exclusions)
        self._api = Api(bearer_token(settings), settings.x_url)
        left_to = id_time(state["until_id"]) if state and "until_id" in state else stretch.to_at
        to_at = min(stretch.to_at, left_to.replace(microsecond=0))
        self._params = {"query": self._query, "granularity": "day"}
        self._params |= {"start_time": x_time(stretch.from_at), "end_time": x_time(to_at)}
        self._nothing_left = to_at <= stretch.from_at
        self.shown = f"{x_time(stretch.from_at)} and {x_time(to_at)}"

    def fetch(self, _state: Any, _now: datetime) -> Page:
        """Ask for the counts; nothing is stored."""
        assert self.budget is not None
        if self._nothing_left:
            self.posts = 0
            return Page([], requests=0)
        counts, requests = self._api.count_posts(ALL_COUNTS, self._params, USD_PER_ALL_COUNTS, self.budget)
        cost = requests * USD_PER_ALL_COUNTS
        if counts is None:
            return Page([], requests=requests, cost_usd=cost, limited=spent_until(self.budget.standing()))
        self.posts = sum(count.posts for count in counts)
        return Page([], requests=requests, cost_usd=cost)

    @property
    def price_usd(self) -> tuple[float, float]:
        """At least (posts alone) and at most (each with its author)."""
        posts = self.posts or 0
        return posts * USD_PER_POST, posts * (USD_PER_POST + USD_PER_USER)


class Archive:
    """The posts of the stretch. The kept cursor is `{"query", "until_id", "read"}` on the way, `{"query", "done"}` at its end."""

    source = NAME
    pays = NAME
    pause_seconds = 1.0  # X takes one such request a second

    def __init__(self, settings: Settings, stretch: Stretch) -> None:
        self.limits = x_limits(settings)
        self.budget: Budget | None = None
        self.name = stretch.stream
        self._stretch = stretch
        self._query = compile_query(settings.terms, settings.exclusions)
        self._api = Api(bearer_token(settings), settings.x_url)

    def kept(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """The cursor, where it is one of the same terms."""
        return dict(state) if state and state.get("query") == self._query else {"query": self._query}

    def fetch(self, state: dict[str, Any] | None, _now: datetime) -> Page:
        """One page of at most 500 posts."""
        assert self.budget is not None
        walk = self.kept(state)
        if walk.get("done"):
            return Page([], requests=0)
        looked_to = self._reached(walk)
        bounds = {"query": self._query, "start_time": x_time(self._stretch.from_at)}
        newest = {"end_time": x_time(self._stretch.to_at)}
        answer = self._api.read_down(ALL, bounds, newest, MOST_POSTS, walk, self._stretch.to_at, self.budget)
        if answer is None:
            return Page([], requests=0, limited=spent_until(self.budget.standing()))
        found = list(records(answer.body))
        if not answer.next_token:
            done = {"query": self._query, "done": True}
            return Page(found, [Span(self._stretch.from_at, looked_to)], done, None, answer.cost_usd)
        looked_from = max(self._stretch.from_at, self._reached(walk))
        spans = [Span(looked_from, looked_to)] if looked_from < looked_to else []
        return Page(found, spans, lasting(walk), walk, answer.cost_usd)

    def _reached(self, walk: dict[str, Any]) -> datetime:
        return min(self._stretch.to_at, id_time(walk["until_id"])) if "until_id" in walk else self._stretch.to_at
