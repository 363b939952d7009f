"""X API v2, recent search, newest first. Every post read is paid for; see `data.spending` for the prices.

Near the end of the budget posts are only counted, which is cheap, and at its end nothing is asked: the cursor stays,
and the walk goes on from it as soon as there is a budget again.
"""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from collector.budget import limited
from collector.page import Page, Question, Refused
from collector.sources.x_api import LAG, RECENT, RECENT_COUNTS, SETTLED_AFTER, Api, id_time, is_id, x_time
from collector.terms import as_phrase, distinct
from data.errors import InputError, RecordError
from data.spending import USD_PER_RECENT_COUNTS, Limits, x_limits
from data.store import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collector.budget import Budget
    from collector.page import Stream
    from data.settings import Settings

NAME = "x"
EVERY_SECONDS = 120.0
QUERY_CHARACTERS = 512
MOST_POSTS = 100  # that X gives in a page
REACH = timedelta(days=7)
MARGIN = timedelta(seconds=60)  # X answers 400 to a start less than a few seconds inside its window
# A walk down to the end of the window begins so far inside that the window does not pass it while it reads.
SLACK = timedelta(minutes=30)
# A walk that was cut off longer ago than this is finished first, and another follows at once.
STALE_WALK = timedelta(minutes=5)
COUNT_EVERY = timedelta(minutes=15)  # 96 requests a day, $0.48


def open_streams(settings: Settings) -> list[Stream]:
    """The search over the terms of the settings. Raises InputError where no token is set."""
    return [open_search(settings)]


def open_search(settings: Settings) -> Search:
    """The search over the terms of the settings. Raises InputError where no token is set."""
    return Search(
        bearer_token(settings), settings.x_url, compile_query(settings.terms, settings.exclusions), x_limits(settings)
    )


def bearer_token(settings: Settings) -> str:
    """The token of the settings. Raises InputError where none is set."""
    if settings.x_bearer_token is None:
        raise InputError("x is off: set X_BEARER_TOKEN (X is paid per post; see the README)")
    return settings.x_bearer_token.get_secret_value()


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    query = compile_query(settings.terms, settings.exclusions)
    return [Question("search", f"{RECENT}, {len(query)} of {QUERY_CHARACTERS} characters: {query}")]


def compile_query(terms: Sequence[str], exclusions: Sequence[str] = ()) -> str:
    """Terms and exclusions as one query in X's syntax. Raises InputError where it is longer than X takes."""
    wanted = " OR ".join(map(_written, distinct(terms)))
    if not wanted:
        raise InputError("terms hold no word: name in tracker.toml what to look for")
    query = f"({wanted}) -is:retweet" + "".join(f" -{_written(term)}" for term in distinct(exclusions))
    if len(query) > QUERY_CHARACTERS:
        raise InputError(
            f"terms and exclusions make an X query of {len(query)} characters, X takes {QUERY_CHARACTERS}: shorten the list"
        )
    return query


def _written(term: str) -> str:
    """A word, handle or hashtag as it is; all else as a phrase, so that nothing in it is taken for an operator."""
    is_word = re.fullmatch(r"[@#]?[^\W_]+", term) and term.upper() not in ("OR", "AND")
    return term if is_word else as_phrase(term)


class Search:
    """Recent search, newest first, down to some minutes before the last walk began, since X finds a post late.

    The kept cursor is `{"since_id", "floor", "top", "newest_id", "until_id", "read", "counted_to"}`: since_id and floor are
    where the walk ends, top and newest_id where the next one will, until_id how far it has come, `read` what was paid and
    may come again. Between walks only since_id, floor and read; counted_to is there while posts are only counted.
    """

    source = NAME
    pays = NAME
    name = "search"

    def __init__(self, token: str, url: str, query: str, limits: Limits) -> None:
        self.limits = limits
        self.budget: Budget | None = None
        self._query = query
        self._api = Api(token, url)
        self._first_floor: datetime | None = None  # until there is a cursor, so that a repeated request is the same

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page of at most 100 posts; see `collector.page`."""
        assert self.budget is not None
        walk = dict(state or {})
        spans = []
        top = datetime.fromisoformat(walk["top"]) if "top" in walk else now - LAG
        reach = now - REACH + MARGIN
        looked_to = _reached(walk, top)
        if self._first_floor is None or self._first_floor < reach:
            self._first_floor = reach + SLACK
        floor = datetime.fromisoformat(walk["floor"]) if "floor" in walk else self._first_floor
        is_lost = looked_to <= reach
        if floor < min(reach, looked_to):  # else the walk had come to its floor, and was in what it reads again
            lost_to = min(reach + SLACK, looked_to)
            spans.append(Span(floor, lost_to, "older than the 7 days that X's recent search reaches back"))
            floor = lost_to
            is_lost |= floor >= looked_to
        walk["floor"] = floor.isoformat()
        if is_lost:  # cut off so long ago that nothing of this walk can still be read
            cursor = rest(walk, top)
            return Page([], spans, cursor, _following(cursor, top, now), requests=0)

        bounds: dict[str, Any] = {"query": self._query}
        since_id = walk.get("since_id")
        if since_id and id_time(since_id) > reach:
            bounds["since_id"] = since_id
        else:
            bounds["start_time"] = x_time(max(floor - SETTLED_AFTER, reach))
        settled_to = top - SETTLED_AFTER
        answer = self._api.read_down(RECENT, bounds, {}, MOST_POSTS, walk, settled_to, self.budget)
        if answer is None:
            return self._count(self.budget, walk, floor, now, spans)

        walk["top"] = top.isoformat()
        walk.pop("counted_to", None)
        found = list(records(answer.body))
        # A newer post may be there before an older one is: the next walk asks for it again.
        settled = [version for version in answer.versions if id_time(version) <= settled_to]
        if settled:
            walk["newest_id"] = str(max(*settled, int(walk.get("newest_id", 0))))
        if not answer.next_token:
            if floor < looked_to:  # or the walk is in what it reads again
                spans.append(Span(floor, looked_to))
            cursor = rest(walk, top)
            return Page(found, spans, cursor, _following(cursor, top, now), answer.cost_usd)
        looked_from = max(floor, _reached(walk, top))
        if looked_from < looked_to:
            spans.append(Span(looked_from, looked_to))
        return Page(found, spans, lasting(walk), walk, answer.cost_usd)

    def _count(self, budget: Budget, walk: dict[str, Any], floor: datetime, now: datetime, spans: list[Span]) -> Page:
        """The budget does not hold another page: how many posts there were since the unread ones begin, by the minute."""
        reach = now - REACH + MARGIN
        counted_to = datetime.fromisoformat(walk["counted_to"]) if "counted_to" in walk else floor
        from_at = max(_whole_minute(max(floor, counted_to)), _whole_minute(reach + timedelta(minutes=1)))
        to_at = _whole_minute(now - LAG)
        counts, requests, refused = None, 0, ""
        if to_at - from_at >= COUNT_EVERY:
            params = {"query": self._query, "granularity": "minute"}
            params |= {"start_time": x_time(from_at), "end_time": x_time(to_at)}
            try:
                counts, requests = self._api.count_posts(RECENT_COUNTS, params, USD_PER_RECENT_COUNTS, budget)
            except Refused as error:
                requests, refused = 1, f"; {error}"
        if counts is not None:
            walk["counted_to"] = to_at.isoformat()
        return Page(
            [],
            spans,
            walk,
            cost_usd=0.0 if refused else requests * USD_PER_RECENT_COUNTS,
            counts=counts or [],
            requests=requests,
            limited=limited(budget.standing()) + refused,
        )


def lasting(walk: Mapping[str, Any]) -> dict[str, Any]:
    """What of a walk is kept in the store: a token is stale in another run."""
    return {name: value for name, value in walk.items() if name != "page"}


def rest(walk: Mapping[str, Any], top: datetime) -> dict[str, Any]:
    """The cursor between two walks: all is read up to `top`, but for what X finds late."""
    cursor: dict[str, Any] = {"floor": top.isoformat()}
    since_id = walk.get("newest_id") or walk.get("since_id")
    if since_id:
        cursor["since_id"] = since_id
    read = walk.get("read", {"ids": ()})
    ids = [id_ for id_ in read["ids"] if id_time(id_) > top - SETTLED_AFTER]
    if ids:
        cursor["read"] = read | {"ids": ids, "below": []}
    return cursor


def _reached(walk: Mapping[str, Any], top: datetime) -> datetime:
    return min(top, id_time(walk["until_id"])) if "until_id" in walk else top


def _following(cursor: dict[str, Any], top: datetime, now: datetime) -> dict[str, Any] | None:
    return cursor if now - top > STALE_WALK else None


def _whole_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def is_page(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer of X API v2 that carries posts."""
    data = value.get("data")
    if isinstance(data, list):
        return any(isinstance(item, dict) and "id" in item for item in data) or "meta" in value
    return (isinstance(data, dict) and "id" in data and "text" in data) or (
        data is None and isinstance(value.get("meta"), dict) and "result_count" in value["meta"]
    )


def records(answer: Mapping[str, Any]) -> Iterator[dict[str, Any] | RecordError]:
    """The posts of an answer as records; full texts of long posts, handles from the expansion, both spellings."""
    data = answer.get("data") or []
    includes = answer.get("includes")
    users = includes.get("users") if isinstance(includes, dict) else None
    names = {
        user["id"]: (user.get("username"), user.get("name"))
        for user in (users if isinstance(users, list) else [])
        if isinstance(user, dict) and isinstance(user.get("id"), str)
    }
    for item in data if isinstance(data, list) else [data]:
        yield _record(item, names)


def _record(item: Any, names: Mapping[str, tuple[str | None, Any]]) -> dict[str, Any] | RecordError:
    if not isinstance(item, dict):
        return RecordError(f"expected a post, found {type(item).__name__}")
    identifier = item.get("id")
    if not isinstance(identifier, str) or not identifier:
        return RecordError("id is missing")
    long = item.get("note_tweet") or item.get("note_post")
    text = long.get("text") if isinstance(long, dict) and long.get("text") else item.get("text")
    created_at = item.get("created_at")
    if not created_at and is_id(identifier):
        created_at = id_time(identifier).isoformat()
    edited_at = None
    history = item.get("edit_history_tweet_ids") or item.get("edit_history_post_ids")
    versions = [each for each in (history if isinstance(history, list) else []) if is_id(each)]
    first = min(versions, key=int, default=identifier)
    if is_id(identifier) and int(first) < int(
        identifier
    ):  # a version of its own id, of a post that has the first one's
        created_at, edited_at, identifier = id_time(first).isoformat(), id_time(identifier).isoformat(), first
    referenced = item.get("referenced_tweets") or item.get("referenced_posts")
    references = {
        reference.get("type"): reference.get("id")
        for reference in (referenced if isinstance(referenced, list) else [])
        if isinstance(reference, dict) and isinstance(reference.get("type"), str)
    }
    author_id = item.get("author_id")
    handle, name = names.get(author_id, (None, None)) if isinstance(author_id, str) else (None, None)
    return {
        "source": NAME,
        "id": identifier,
        "created_at": created_at,
        "text": html.unescape(text) if isinstance(text, str) else text,
        "author": handle,
        "author_id": author_id,
        "author_name": name if isinstance(name, str) else None,
        "lang": item.get("lang"),
        "edited_at": edited_at,
        "repost_of": references.get("retweeted"),
        "reply_to": references.get("replied_to"),
    }
