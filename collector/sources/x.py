"""X API v2, recent search, through tweepy. Every post read is paid for ($0.005 in November 2026)."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
import tweepy
from requests.adapters import HTTPAdapter

from collector.page import Page, RateLimited, Refused, TemporaryFailure
from data.errors import InputError, RecordError
from data.store import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collector.page import Stream
    from data.settings import Settings

NAME = "x"
API = "https://api.twitter.com"  # hard-coded in tweepy
ROUTE = "/2/tweets/search/recent"
USD_PER_POST = 0.005
USD_PER_USER = (
    0.010  # whether an expanded author is billed as a user read is not known: counted, to be on the safe side
)
QUERY_CHARACTERS = 512
CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 10, 30
REACH = timedelta(days=7)
# X answers 400 to a start less than a few seconds inside its window, or less than 10 s before now.
MARGIN = timedelta(seconds=60)
LAG = timedelta(seconds=15)
# A walk down to the end of the window begins so far inside that the window does not pass it while it reads.
SLACK = timedelta(minutes=30)
# A walk that was cut off longer ago than this is finished first, and another follows at once.
STALE_WALK = timedelta(minutes=5)
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_FIELDS = {  # the parameter, and what to ask for: X renames tweets to posts
    "tweet.fields": "created_at,author_id,lang,referenced_tweets,note_tweet",
    "post.fields": "created_at,author_id,lang,referenced_posts,note_post",
}


def open_streams(settings: Settings) -> list[Stream]:
    """The search over the terms of the settings. Raises InputError where no token is set."""
    if settings.x_bearer_token is None:
        raise InputError("x is off: set X_BEARER_TOKEN (X is paid per post; see the README)")
    return [Search(settings.x_bearer_token.get_secret_value(), settings.x_url, compile_query(settings.terms))]


def compile_query(terms: tuple[str, ...]) -> str:
    """The terms as one query in X's syntax. Raises InputError where it is longer than X takes."""
    quoted = [f'"{term}"' if not term.lstrip("@#").isalnum() else term for term in dict.fromkeys(terms)]
    query = f"({' OR '.join(quoted)}) -is:retweet"
    if len(query) > QUERY_CHARACTERS:
        raise InputError(
            f"terms make an X query of {len(query)} characters, X takes {QUERY_CHARACTERS}: shorten the list"
        )
    return query


class Search:
    """Recent search, newest first, from where the last walk began.

    The kept cursor is `{"since_id", "floor", "top", "newest_id", "until_id", "next_token"}`: since_id and floor are where
    the walk ends, top and newest_id where it began, until_id how far it has come. Between walks only since_id and floor.
    """

    source = NAME
    name = "search"

    def __init__(self, bearer_token: str, url: str, query: str) -> None:
        self._query = query
        self._client = tweepy.Client(bearer_token, wait_on_rate_limit=False)
        self._client.session.mount(API, _Gateway(url))
        self._fields = "tweet.fields"

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page of at most 100 posts; see `collector.page`."""
        walk = dict(state or {})
        spans = []
        top = datetime.fromisoformat(walk.setdefault("top", (now - LAG).isoformat()))
        reach = now - REACH + MARGIN
        looked_to = _reached(walk, top)
        floor = datetime.fromisoformat(walk["floor"]) if "floor" in walk else reach + SLACK
        if floor < reach:
            lost_to = min(reach + SLACK, looked_to)
            spans.append(Span(floor, lost_to, "older than the 7 days that X's recent search reaches back"))
            floor = lost_to
        walk["floor"] = floor.isoformat()
        if floor >= looked_to:  # cut off so long ago that nothing of this walk can still be read
            return self._finished(walk, top, now, [], spans, 0.0)

        params: dict[str, Any] = {"query": self._query, "max_results": 100, "expansions": "author_id"}
        params |= {self._fields: _FIELDS[self._fields], "user.fields": "username"}
        since_id = walk.get("since_id")
        if since_id and snowflake_time(since_id) > reach:
            params["since_id"] = since_id
        else:
            params["start_time"] = f"{floor:%Y-%m-%dT%H:%M:%SZ}"
        if "until_id" in walk:
            params["until_id"] = walk["until_id"]
        if "next_token" in walk:
            params["next_token"] = walk["next_token"]
        answer = self._request(params)

        found = [record for record in records(answer) if not isinstance(record, RecordError)]
        broken = [record for record in records(answer) if isinstance(record, RecordError)]
        users = (answer.get("includes") or {}).get("users") if isinstance(answer.get("includes"), dict) else None
        cost = USD_PER_POST * len(answer.get("data") or []) + USD_PER_USER * len(
            users if isinstance(users, list) else []
        )
        ids = [int(record["id"]) for record in found if _is_snowflake(record["id"])]
        # A post newer than `top` may be there before an older one is: the next walk asks for it again.
        settled = [id_ for id_ in ids if snowflake_time(str(id_)) <= top]
        if settled:
            walk["newest_id"] = str(max(*settled, int(walk.get("newest_id", 0))))
        next_token = (answer.get("meta") or {}).get("next_token")
        if ids and min(ids) >= int(walk.get("until_id", max(ids) + 1)):
            # Wherever its token leads, what was asked for has not been read.
            raise TemporaryFailure("x gave a page that was read before")
        if not next_token:
            spans.append(Span(floor, looked_to))
            return self._finished(walk, top, now, [*found, *broken], spans, cost)
        if ids:
            walk["until_id"] = str(min(ids))
            walk.pop("next_token", None)
            looked_from = max(floor, snowflake_time(walk["until_id"]))
            if looked_from < looked_to:
                spans.append(Span(looked_from, looked_to))
        elif walk.get("next_token") == next_token:
            raise TemporaryFailure("x gave the same page twice and no way on")
        else:  # an empty page that is not the last: X's token is the only way on
            walk["next_token"] = next_token
        return Page([*found, *broken], spans, walk, walk, cost)

    def _finished(
        self, walk: dict[str, Any], top: datetime, now: datetime, found: list[Any], spans: list[Span], cost: float
    ) -> Page:
        cursor = {"floor": top.isoformat()}
        since_id = walk.get("newest_id") or walk.get("since_id")
        if since_id:
            cursor["since_id"] = since_id
        return Page(found, spans, cursor, cursor if now - top > STALE_WALK else None, cost)

    def _request(self, params: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.request("GET", ROUTE, params=params)
            answer = response.json()
        except tweepy.TooManyRequests as error:
            reset = error.response.headers.get("x-rate-limit-reset", "")
            at = datetime.fromtimestamp(int(reset), UTC) if reset.isdigit() and len(reset) < 12 else None
            raise RateLimited("x: 450 requests in 15 minutes are used up", at) from None
        except tweepy.BadRequest as error:
            return self._retry_bad_request(params, error)
        except tweepy.Unauthorized:
            raise Refused("x refused X_BEARER_TOKEN (401): check the token in the developer console") from None
        except tweepy.Forbidden:
            raise Refused("x refused this project (403): its access level does not include recent search") from None
        except tweepy.NotFound:
            raise Refused("x knows no such address (404): check TRACKER_X_URL") from None
        except tweepy.TwitterServerError as error:
            raise TemporaryFailure(f"x is failing ({error.response.status_code})") from None
        except tweepy.HTTPException as error:
            if error.response.status_code == 402:
                raise Refused("x says that the credits are spent (402): top up, or wait for the next cycle") from None
            raise TemporaryFailure(f"x answered {error.response.status_code}") from None
        except (requests.RequestException, ValueError, AttributeError, TypeError, RecursionError) as error:
            # ValueError: a body that is no JSON; RecursionError: one nested too deeply; the others: tweepy reading an
            # error body that is no object.
            raise TemporaryFailure(f"x gave no usable answer ({type(error).__name__})") from None
        if not isinstance(answer, dict) or not ("data" in answer or "meta" in answer):
            raise TemporaryFailure("x gave an answer without data")
        if not isinstance(answer.get("data") or [], list) or not isinstance(answer.get("meta") or {}, dict):
            raise TemporaryFailure("x gave an answer of another shape")
        return answer

    def _retry_bad_request(self, params: dict[str, Any], error: tweepy.BadRequest) -> dict[str, Any]:
        said = " ".join(map(str, error.api_messages)) or str(error)
        if "tweet.fields" in said and self._fields in params:
            self._fields = "post.fields"
            kept = {name: value for name, value in params.items() if name != "tweet.fields"}
            return self._request(kept | {self._fields: _FIELDS[self._fields]})
        if "next_token" in params:  # stale since the run that got it; until_id leads on without it
            return self._request({name: value for name, value in params.items() if name != "next_token"})
        raise Refused("x does not take the query (400): shorten or correct `terms` in tracker.toml")


class _Gateway(HTTPAdapter):
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


def snowflake_time(identifier: str) -> datetime:
    """The moment in an id of X."""
    return datetime.fromtimestamp(((int(identifier) >> 22) + _SNOWFLAKE_EPOCH_MS) / 1000, UTC)


def _is_snowflake(identifier: str) -> bool:
    return identifier.isascii() and identifier.isdigit() and len(identifier) < 20


def _reached(walk: Mapping[str, Any], top: datetime) -> datetime:
    return min(top, snowflake_time(walk["until_id"])) if "until_id" in walk else top


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
        user["id"]: user.get("username")
        for user in (users if isinstance(users, list) else [])
        if isinstance(user, dict) and isinstance(user.get("id"), str)
    }
    for item in data if isinstance(data, list) else [data]:
        yield _record(item, names)


def _record(item: Any, names: Mapping[str, str | None]) -> dict[str, Any] | RecordError:
    if not isinstance(item, dict):
        return RecordError(f"expected a post, found {type(item).__name__}")
    identifier = item.get("id")
    if not isinstance(identifier, str) or not identifier:
        return RecordError("id is missing")
    long = item.get("note_tweet") or item.get("note_post")
    text = long.get("text") if isinstance(long, dict) and long.get("text") else item.get("text")
    created_at = item.get("created_at")
    if not created_at and _is_snowflake(identifier):
        created_at = snowflake_time(identifier).isoformat()
    referenced = item.get("referenced_tweets") or item.get("referenced_posts")
    references = {
        reference.get("type"): reference.get("id")
        for reference in (referenced if isinstance(referenced, list) else [])
        if isinstance(reference, dict) and isinstance(reference.get("type"), str)
    }
    author_id = item.get("author_id")
    return {
        "source": NAME,
        "id": identifier,
        "created_at": created_at,
        "text": html.unescape(text) if isinstance(text, str) else text,
        "author": names.get(author_id) if isinstance(author_id, str) else None,
        "author_id": author_id,
        "lang": item.get("lang"),
        "repost_of": references.get("retweeted"),
        "reply_to": references.get("replied_to"),
    }
