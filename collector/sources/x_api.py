"""X API v2 through tweepy: what each call may cost is reserved before it and settled after it, and failures by their kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
import tweepy
from requests.adapters import HTTPAdapter

from collector.listings import WITNESSES
from collector.page import RateLimited, Refused, SourceError, TemporaryFailure
from collector.web import never_sent
from data.spending import LEAST_POSTS, USD_PER_POST, USD_PER_USER
from data.store import Count

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from collector.budget import Budget, Reservation

API = "https://api.twitter.com"  # hard-coded in tweepy
RECENT, ALL = "/2/tweets/search/recent", "/2/tweets/search/all"
RECENT_COUNTS, ALL_COUNTS = "/2/tweets/counts/recent", "/2/tweets/counts/all"
STREAM, RULES = "/2/tweets/search/stream", "/2/tweets/search/stream/rules"
_NAMES = {
    RECENT: "recent search",
    ALL: "full-archive search",
    RECENT_COUNTS: "recent counts",
    ALL_COUNTS: "full-archive counts",
    STREAM: "the filtered stream",
    RULES: "the rules of the filtered stream",
}
CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 10, 30
FIELDS = {  # the parameter, and what to ask for: X renames tweets to posts
    "tweet.fields": "created_at,author_id,lang,referenced_tweets,note_tweet,edit_history_tweet_ids",
    "post.fields": "created_at,author_id,lang,referenced_posts,note_post",  # the history of edits comes unasked
}
LAG = timedelta(seconds=15)  # the newest time that is asked for; X answers 400 to one less than 10 s before now
SETTLED_AFTER = timedelta(minutes=5)  # so late a post is found, at most: what is newer is asked for again
_MOST_READ = 2_000  # ids that are kept of what may come again; of more, the rest is counted twice
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657


class StaleToken(SourceError):
    """X does not take the token of the next page, or something else of the request."""


class AnswerLost(TemporaryFailure):
    """The request may have reached X, and its answer be billed, but nothing usable came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of posts as X gave it; `versions` are their own ids, of which an edited post has a new one.

    `day`: the budget day on which it is counted.
    """

    body: dict[str, Any]
    cost_usd: float
    day: str
    versions: list[int] = field(default_factory=list)
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class _Lost:
    """A request whose answer did not arrive, and what is reserved for it."""

    reservation: Reservation
    route: str
    params: dict[str, Any]
    at: datetime


class Api:
    """The calls that one stream makes."""

    def __init__(self, bearer_token: str, url: str) -> None:
        self._client = tweepy.Client(bearer_token, wait_on_rate_limit=False)
        self._client.session.mount(API, Gateway(url))
        self._lost: _Lost | None = None
        self.fields = "tweet.fields"

    def read_down(
        self,
        route: str,
        bounds: dict[str, Any],
        newest: dict[str, Any],
        most: int,
        walk: dict[str, Any],
        since: datetime,
        budget: Budget,
    ) -> Answer | None:
        """The next page of a walk, newest first, of which `walk` says where it is, and which is moved on there.

        From page to page X's token leads. `until_id` is where another process goes on, where the token may be stale: a few
        posts that were read are below it, so that one that stands where it does not belong leads past nothing. `bounds` are
        the parameters that hold for the whole walk, `newest` those where it begins. What was read `since`, and below
        until_id, stands in `read`, since it comes again: X bills it once a day. `page` is for the same process alone.

        None where the budget does not hold the smallest page.
        """
        page, read = walk.pop("page", None), walk.get("read", {"day": "", "ids": [], "below": []})
        asked = bounds | ({"until_id": walk["until_id"]} if "until_id" in walk else newest)
        paid = read["day"], {*read["ids"], *read["below"]}
        answer = None
        if page is not None and page["bounds"] == bounds:
            try:
                params = page["asked"] | {"next_token": page["token"]}
                answer = self.read_posts(route, params, most, budget, paid)
                if answer is None:
                    return None
                asked = page["asked"]
            except StaleToken:
                page = None
        else:
            page = None
        if answer is None:
            answer = self.read_posts(route, asked, most, budget, paid)
        if answer is None:
            return None

        ids = set(answer.versions)
        unasked = {id_ for id_ in ids if "until_id" in asked and id_ >= int(asked["until_id"])}
        known = unasked | ids & (page["given"] if page else set())
        if known and ids <= known | set([] if page else read["below"]):
            # Wherever its token leads, what was asked for has not been read.
            raise TemporaryFailure("x gave a page that was read before")
        if answer.next_token and not ids and page and page["token"] == answer.next_token:
            raise TemporaryFailure("x gave the same page twice and no way on")
        lowest = sorted(ids - known)
        if len(lowest) >= WITNESSES:
            walk["until_id"] = str(min(lowest[WITNESSES - 1], int(walk.get("until_id", lowest[-1]))))
        if answer.next_token:
            given = (page["given"] if page else set()) | ids
            walk["page"] = {"bounds": bounds, "asked": asked, "token": answer.next_token, "given": given}
        remember(walk, answer.day, ids, since)
        return answer

    def read_posts(
        self,
        route: str,
        params: dict[str, Any],
        most: int,
        budget: Budget,
        paid: tuple[str, Collection[int]] = ("", ()),
    ) -> Answer | None:
        """A page of `most` posts, or fewer where the budget ends before; None where it does not hold the smallest page.

        `paid`: the ids that were counted on a day, and are not counted again on it.
        """
        lost, self._lost = self._lost, None
        if lost and (lost.route, lost.params) == (route, params) and budget.holds(lost.reservation):
            held: Reservation | None = lost.reservation  # for the same posts, which X bills once a day
        else:
            held, lost = budget.reserve_posts(LEAST_POSTS, most, USD_PER_POST + USD_PER_USER), None
        if held is None:
            return None
        asked = params | {"max_results": held.posts, "expansions": "author_id", "user.fields": "username"}
        try:
            body = self.ask("GET", route, asked | {self.fields: FIELDS[self.fields]})
        except AnswerLost:
            self._lost = lost or _Lost(held, route, params, budget.now())
            raise
        except SourceError:
            if lost:
                self._lost = lost
            else:
                budget.settle(held, 0, 0.0)
            raise
        # At midnight it is not known on which day X bills it.
        is_same_day = paid[0] == held.day and budget.holds(held)
        posts, cost = price(body, paid[1] if is_same_day else ())
        data = body.get("data") or []
        found = versions(data)
        # Each post written since then may have pushed one of the lost answer off this full page.
        unseen = sum(id_time(version) > lost.at - LAG for version in found) if lost and len(data) >= held.posts else 0
        budget.settle(held, posts + unseen, cost + unseen * (USD_PER_POST + USD_PER_USER))
        return Answer(body, cost, held.day, found, (body.get("meta") or {}).get("next_token"))

    def count_posts(
        self, route: str, params: dict[str, Any], usd: float, budget: Budget
    ) -> tuple[list[Count] | None, int]:
        """How many posts there were, in steps of time, and the requests that it took, each of which costs `usd`.

        None where the budget does not hold all of them.
        """
        found: list[Count] = []
        requests_made = 0
        following: dict[str, Any] = {}
        while True:
            reservation = budget.reserve_request(usd)
            if reservation is None:
                return None, requests_made
            try:
                requests_made += 1
                body = self.ask("GET", route, params | following)
            except AnswerLost:
                raise
            except SourceError:
                budget.settle(reservation, 0, 0.0)
                raise
            found += _counts(body)
            token = (body.get("meta") or {}).get("next_token")
            if not token:
                return found, requests_made
            if following == {"next_token": token}:
                raise TemporaryFailure(f"x gave the same page of {_NAMES[route]} twice and no way on")
            following = {"next_token": token}

    def ask(self, method: str, route: str, params: dict[str, Any], json: Any = None) -> dict[str, Any]:
        """The answer of a call, an object with `data` or `meta`. Raises SourceError by its kind."""
        name = _NAMES[route]
        try:
            response = self._client.request(method, route, params=params, json=json)
            answer = response.json()
        except tweepy.BadRequest as error:
            return self._ask_otherwise(method, route, params, json, error)
        except tweepy.HTTPException as error:
            raise failure(error.response.status_code, error.response.headers, name) from None
        except (requests.RequestException, ValueError, AttributeError, TypeError, RecursionError) as error:
            # ValueError: a body that is no JSON; RecursionError: one nested too deeply; the others: tweepy reading an
            # error body that is no object.
            kind = TemporaryFailure if never_sent(error) else AnswerLost
            raise kind(f"x gave no usable answer ({type(error).__name__})") from None
        if not isinstance(answer, dict) or not ("data" in answer or "meta" in answer):
            raise AnswerLost("x gave an answer without data")
        if not isinstance(answer.get("data") or [], list) or not isinstance(answer.get("meta") or {}, dict):
            raise AnswerLost("x gave an answer of another shape")
        return answer

    def _ask_otherwise(
        self, method: str, route: str, params: dict[str, Any], json: Any, error: tweepy.BadRequest
    ) -> dict[str, Any]:
        said = " ".join(map(str, error.api_messages)) or str(error)
        if "tweet.fields" in said and "tweet.fields" in params:
            self.fields = "post.fields"
            kept = {name: value for name, value in params.items() if name != "tweet.fields"}
            return self.ask(method, route, kept | {self.fields: FIELDS[self.fields]}, json)
        if "next_token" in params and route in {RECENT, ALL}:
            raise StaleToken("x does not take the token of the next page (400)")
        raise Refused(
            f"x does not take the query of {_NAMES[route]} (400): shorten or correct `terms` in tracker.toml, or set the clock where `tracker doctor` says that it is wrong"
        )


class Gateway(HTTPAdapter):
    """Sends tweepy's requests to another base address, with time-outs, which tweepy does not set."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = urlsplit(url)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests does, to the base address of the settings."""
        asked = urlsplit(request.url or "")
        path = self._base.path.rstrip("/") + asked.path
        request.url = urlunsplit((self._base.scheme, self._base.netloc, path, asked.query, ""))
        kwargs["timeout"] = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
        return super().send(request, *args, **kwargs)


def failure(status: int, headers: Any, name: str) -> SourceError:
    """What a status other than 200 and 400 means, in the words of the run."""
    if status == 429:
        reset = headers.get("x-rate-limit-reset", "")
        at = datetime.fromtimestamp(int(reset), UTC) if reset.isdigit() and len(reset) < 12 else None
        return RateLimited(f"x: the requests for {name} are used up for now (429)", at)
    refusals = {
        401: "x refused X_BEARER_TOKEN (401): check the token in the developer console",
        402: "x says that the credits are spent (402): top up, or wait for the next cycle",
        403: f"x refused this project (403): its access level does not include {name}",
        404: "x knows no such address (404): check TRACKER_X_URL",
    }
    if status in refusals:
        return Refused(refusals[status])
    return TemporaryFailure(f"x is failing ({status})" if status >= 500 else f"x answered {status}")


def price(answer: dict[str, Any], paid: Collection[int] = ()) -> tuple[int, float]:
    """How many posts an answer holds, and what they and their authors cost at most; those that are `paid` do not count."""
    data = answer.get("data") or []
    items = data if isinstance(data, list) else [data]
    again = [each for each in items if any(version in paid for version in versions([each]))]
    authors = [each.get("author_id") for each in again]  # who came with a post that was paid
    includes = answer.get("includes")
    users = includes.get("users") if isinstance(includes, dict) else None
    new_users = [
        user
        for user in (users if isinstance(users, list) else [])
        if not isinstance(user, dict) or user.get("id") not in authors
    ]
    posts = len(items) - len(again)
    return posts, USD_PER_POST * posts + USD_PER_USER * len(new_users)


def remember(walk: dict[str, Any], day: str, ids: Collection[int], since: datetime) -> None:
    """These were counted on a day. Kept is what may come again: what is newer than `since`, or below `until_id`."""
    read = walk.get("read", {})
    if read.get("day") != day:
        read = {}
    recent = {*read.get("ids", ()), *(id_ for id_ in ids if id_time(id_) > since)}
    until_id = int(walk.get("until_id", 0))
    below = {id_ for id_ in (*read.get("below", ()), *ids) if id_ < until_id}
    walk["read"] = {"day": day, "ids": sorted(recent)[-_MOST_READ:], "below": sorted(below)[-_MOST_READ:]}


def versions(posts: Iterable[Any]) -> list[int]:
    """The ids of posts, of those that have one."""
    return [int(each["id"]) for each in posts if isinstance(each, dict) and is_id(each.get("id"))]


def id_time(identifier: str | int) -> datetime:
    """The moment in an id of X."""
    return datetime.fromtimestamp(((int(identifier) >> 22) + _SNOWFLAKE_EPOCH_MS) / 1000, UTC)


def is_id(identifier: Any) -> bool:
    """Whether it is an id with a moment in it."""
    return isinstance(identifier, str) and identifier.isascii() and identifier.isdigit() and len(identifier) < 20


def x_time(moment: datetime) -> str:
    """As X takes times, in whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _counts(body: dict[str, Any]) -> list[Count]:
    found = []
    for item in body.get("data") or []:
        try:
            posts = item["tweet_count"] if "tweet_count" in item else item["post_count"]
            from_at, to_at = (datetime.fromisoformat(item[name]).astimezone(UTC) for name in ("start", "end"))
            if isinstance(posts, bool) or not 0 <= int(posts) < 2**31 or from_at >= to_at:
                raise ValueError
        except (KeyError, TypeError, ValueError, OverflowError):
            raise AnswerLost("x gave counts of another shape") from None
        found.append(Count(from_at, to_at, int(posts)))
    return found
