"""Reddit through praw: a search over all of Reddit, and what mentions a term in the named subreddits: submissions and comments."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import praw
import prawcore

from collector.listings import WITNESSES, came_to, is_below
from collector.page import Page, Question, RateLimited, Refused, TemporaryFailure
from collector.terms import as_phrase, distinct, matcher
from collector.web import open_session
from data.errors import InputError, RecordError
from data.store import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collector.page import Stream
    from collector.presence import Check
    from data.settings import Settings

NAME = "reddit"
EVERY_SECONDS = 120.0
QUERY_CHARACTERS = 512
PAGE_ITEMS = 100
TIMEOUT_SECONDS = 30
# A search finds an item some time after it was written, and what a moderator lets in is listed by when it was written.
OVERLAP = timedelta(hours=1)
USER_AGENT = "ecitizen-tracker (reads posts that mention a public service)"
GONE = ("[deleted]", "[removed]")  # no set: what an item holds in place of a text may not be hashable


def open_streams(settings: Settings) -> list[Stream]:
    """The search, and both kinds of items of the subreddits. Raises InputError where no credentials are set."""
    reddit = _open_client(settings)
    return [Listing(reddit, name, settings) for name in ("search", "submissions", "comments")]


def open_check(settings: Settings) -> Check:
    """What asks whether posts are still there. Raises InputError where no credentials are set."""
    return Info(_open_client(settings))


def _open_client(settings: Settings) -> praw.Reddit:
    if settings.reddit_client_id is None or settings.reddit_client_secret is None:
        raise InputError("reddit is off: set REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET")
    compile_query(settings.terms, settings.exclusions)
    # Always said: a praw.ini in the working directory could name others.
    base = settings.reddit_url.rstrip("/") if settings.reddit_url else None
    addresses = {
        "reddit_url": base or "https://www.reddit.com",
        "oauth_url": f"{base}/" if base else "https://oauth.reddit.com",  # the slash keeps a path in the address
    }
    return praw.Reddit(
        client_id=settings.reddit_client_id.get_secret_value(),
        client_secret=settings.reddit_client_secret.get_secret_value(),
        user_agent=USER_AGENT,
        timeout=TIMEOUT_SECONDS,
        ratelimit_seconds=0,
        check_for_updates=False,
        check_for_async=False,
        requestor_kwargs={"session": open_session()},
        **addresses,
    )


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    query = compile_query(settings.terms, settings.exclusions)
    return [
        Question("search", f"r/all/search, newest first, {len(query)} of {QUERY_CHARACTERS} characters: {query}"),
        Question("submissions", f"r/{'+'.join(settings.subreddits)}/new, newest first", sifts=True),
        Question("comments", f"r/{'+'.join(settings.subreddits)}/comments, newest first", sifts=True),
    ]


def compile_query(terms: Sequence[str], exclusions: Sequence[str] = ()) -> str:
    """Terms and exclusions as one query in Reddit's syntax. Raises InputError where it is longer than Reddit takes."""
    wanted = " OR ".join(as_phrase(term) for term in distinct(term.lstrip("#@") for term in terms))
    if not wanted:
        raise InputError("terms hold no word: name in tracker.toml what to look for")
    unwanted = "".join(f" NOT {as_phrase(term)}" for term in distinct(term.lstrip("#@") for term in exclusions))
    query = f"({wanted}){unwanted}" if unwanted else wanted
    if len(query) > QUERY_CHARACTERS:
        raise InputError(
            f"terms and exclusions make a Reddit query of {len(query)} characters, Reddit takes {QUERY_CHARACTERS}: "
            "shorten the list"
        )
    return query


class Listing:
    """A listing, newest first, read down to a little before where the last walk began, for which it takes one page at most.

    The kept cursor is `{"floor": TIME, "listed": BOOL}` and moves only when a walk is done: Reddit's pages cost nothing and shift while
    they are read, so a walk that was cut off begins again at the top.
    """

    source = NAME

    def __init__(self, reddit: praw.Reddit, name: str, settings: Settings) -> None:
        self.name = name
        self._reddit = reddit
        self._matches, self._excludes = matcher(settings.terms, settings.exclusions), matcher(settings.exclusions)
        self._query = compile_query(settings.terms, settings.exclusions)
        self._subreddits = "+".join(settings.subreddits)

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page of at most 100 items; see `collector.page`."""
        state = state or {}
        top = datetime.fromisoformat(state.get("top") or now.isoformat())
        floor = datetime.fromisoformat(state["floor"]) if "floor" in state else None
        items, after = self._request(state.get("after"))

        times = [moment for item in items if (moment := _created(item)) is not None]
        oldest = min(came_to(times), top) if times else datetime.fromisoformat(state.get("oldest") or top.isoformat())
        before = list(map(datetime.fromisoformat, state.get("last", [])))
        last = [*before, *times][-WITNESSES:]
        found = [record(item, escaped=False) for item in items if self._is_wanted(item)]
        if after is not None and (after == state.get("after") or not items):
            raise TemporaryFailure("reddit gave the same page twice, or an empty one that is not the last")
        if not items and "after" not in state and state.get("listed"):
            return Page([])  # it listed something before: this proves nothing
        if not items and "after" not in state and floor is not None and "empty" not in state:
            return Page([], [], None, state | {"empty": True})  # twice, before the time since then counts as read
        listed = state.get("listed", False) or bool(items)
        # Where nothing was listed until now, that may have been a mistake, and all is read. Else one page below the floor is
        # enough: a busy listing has more in an hour than is worth asking for at every run.
        whole = state.get("whole", not state.get("listed", False))
        has_read = floor is not None and not whole and (is_below(before, floor) or is_below(last, floor - OVERLAP))
        if after is not None and not has_read:
            following = {"top": top.isoformat(), "after": after, "oldest": oldest.isoformat(), "listed": listed}
            following |= {"last": [at.isoformat() for at in last], "whole": whole}
            following |= {"floor": floor.isoformat()} if floor else {}
            return Page(found, [], None, following)  # what a walk looked at is known at its end
        cursor = {"floor": top.isoformat(), "listed": listed}
        if floor is None:
            return Page(found, [Span(oldest, top)], cursor)
        if has_read or oldest <= floor or "after" not in state:  # a listing of one page holds all there is
            return Page(found, [Span(min(floor, top), top)], cursor)
        gap = Span(floor, oldest, "further back than the 1,000 newest that Reddit lists")
        return Page(found, [Span(oldest, top), gap], cursor)

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        if self.name == "search":
            return not self._excludes(f"{item.get('title') or ''}\n{item.get('selftext') or ''}")
        if self.name == "submissions":
            return self._matches(f"{item.get('title') or ''}\n{item.get('selftext') or ''}")
        return self._matches(str(item.get("body") or ""))

    def _request(self, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """The items of a page, and where the next one begins."""
        # Not praw's own iterators: they take an empty body for the end of the listing.
        params: dict[str, str | int] = {"limit": PAGE_ITEMS} | ({"after": after} if after else {})
        if self.name == "search":
            path = "r/all/search/"
            params |= {"q": self._query, "sort": "new", "t": "all", "syntax": "lucene", "restrict_sr": "False"}
        else:
            path = f"r/{self._subreddits}/{'new' if self.name == 'submissions' else 'comments'}/"
        return _listing(self._reddit, path, params)


class Info:
    """Looks up posts by id, which costs nothing: what authors or moderators deleted has lost its text or its author."""

    source = NAME
    page_posts = PAGE_ITEMS
    cost_usd = 0.0

    def __init__(self, reddit: praw.Reddit) -> None:
        self._reddit = reddit

    def site(self, id_: str) -> str | None:
        """See `collector.presence`."""
        return "" if re.fullmatch(r"t[13]_[a-z0-9]+", id_) else None

    def gone(self, ids: Sequence[str], _job: dict[str, Any] | None) -> set[str]:
        """See `collector.presence`. What Reddit leaves out of its answer, such as a private subreddit's, is not said to be gone."""
        items, _ = _listing(self._reddit, "api/info", {"id": ",".join(ids)})
        return {item["name"] for item in items if isinstance(item.get("name"), str) and _is_gone(item)}


def _is_gone(item: Mapping[str, Any]) -> bool:
    texts = [item.get("body")] if "body" in item else [item.get("title"), item.get("selftext")]
    # praw makes of an author [deleted] none at all; where the answer names no author it says nothing.
    return ("author" in item and item["author"] is None) or any(text in GONE for text in texts)


def _listing(reddit: praw.Reddit, path: str, params: dict[str, str | int]) -> tuple[list[dict[str, Any]], str | None]:
    try:
        listing = reddit.get(path, params=params)
        # vars: an attribute that is not there would make praw ask Reddit for it, one request an item.
        return [_plain(vars(item)) for item in listing.children], listing.after
    except prawcore.TooManyRequests as error:
        seconds = error.retry_after
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + float(seconds), UTC) if seconds else None
        raise RateLimited("reddit asks to wait", at) from None
    except (prawcore.OAuthException, prawcore.InvalidToken, prawcore.ResponseException) as error:
        raise _failure(error) from None
    except (KeyError, IndexError):  # prawcore, on repeated 401 without a header, or with one that names no error
        raise Refused("reddit refused the token (401): check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET") from None
    except (
        prawcore.PrawcoreException,
        praw.exceptions.PRAWException,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise TemporaryFailure(f"reddit gave no usable answer ({type(error).__name__})") from None


def _failure(error: Exception) -> Refused | TemporaryFailure:
    if isinstance(error, prawcore.OAuthException):
        return Refused("reddit refused the application: check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403}:
        return Refused(f"reddit refused the application ({status}): check its credentials and that it is approved")
    if status == 404:
        return Refused("reddit knows no such subreddit (404): check `subreddits` in tracker.toml")
    return TemporaryFailure(f"reddit is failing ({status})")


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    author = fields.get("author")
    return fields if author is None else fields | {"author": str(author)}


def _created(item: Mapping[str, Any]) -> datetime | None:
    return _moment(item.get("created_utc"))


def _moment(seconds: Any) -> datetime | None:
    """A time as Reddit gives it; `edited` is false where there is none, and true for edits of its first years."""
    try:
        return None if seconds is None or isinstance(seconds, bool) else datetime.fromtimestamp(float(seconds), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def is_listing(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a listing of Reddit's API."""
    return value.get("kind") == "Listing" and isinstance(value.get("data"), dict)


def is_item(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a submission or a comment, as in Reddit's archives."""
    if value.get("kind") in ("t1", "t3") and isinstance(value.get("data"), dict):
        return True
    return "created_utc" in value and ("body" in value or "selftext" in value or "title" in value)


def records(listing: Mapping[str, Any]) -> Iterator[dict[str, Any] | RecordError]:
    """The items of a listing as records."""
    children = listing["data"].get("children")
    for child in children if isinstance(children, list) else []:
        if isinstance(child, dict) and child.get("kind") in ("t1", "t3"):
            yield record(child)


def record(item: Mapping[str, Any], *, escaped: bool = True) -> dict[str, Any] | RecordError:
    """A submission (title and text) or a comment as a record; the id carries Reddit's type: `t3_…`, `t1_…`.

    `escaped`: whether the text is as in files, with `&amp;` for `&`; praw asks for it as it was written.
    """
    if isinstance(item.get("data"), dict):
        item = item["data"]
    is_comment = "body" in item
    identifier = item.get("name") or item.get("id")
    if not isinstance(identifier, str) or not identifier:
        return RecordError("id is missing")
    if not identifier.startswith(("t1_", "t3_")):
        identifier = ("t1_" if is_comment else "t3_") + identifier
    parts = [item.get("body")] if is_comment else [item.get("title"), item.get("selftext")]
    if any(part in GONE for part in parts):
        return RecordError("deleted at Reddit")
    if any(part is not None and not isinstance(part, str) for part in parts):
        return RecordError("text must be text")
    text = "\n\n".join(part for part in parts if part)
    moment = _created(item)
    author = item.get("author")
    crosspost = item.get("crosspost_parent")
    return {
        "source": NAME,
        "id": identifier,
        "created_at": moment,
        "edited_at": _moment(item.get("edited")),
        "text": html.unescape(text) if escaped else text,
        "author": None if author in GONE else author,
        "author_id": item.get("author_fullname"),
        "repost_of": crosspost if isinstance(crosspost, str) else None,
        "reply_to": item.get("parent_id") if is_comment else None,
    }
