"""Reviews of eCitizen's apps: Google Play, and Apple's public review feed.

Plain requests. google-play-scraper (1.2.7) turns certificate checks off for the whole process when it is imported, takes no
other address and no time-out, and answers a failure with an empty page.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from collector.listings import WITNESSES, came_to, is_below
from collector.page import Page, Question, RateLimited, TemporaryFailure
from collector.web import ask, open_session
from data.errors import InputError, RecordError
from data.records import parse_time
from data.store import Span

if TYPE_CHECKING:
    import requests

    from collector.page import Stream
    from data.settings import Settings

NAME = "reviews"
EVERY_SECONDS = 1200.0  # below the 30 minutes after which the page calls a source silent
STOREFRONT = "ke"
PLAY_LANGUAGES = ("en", "sw")  # Play lists the reviews of one language at a time
PLAY_PAGE_REVIEWS = 100
APPLE_PAGES = 10  # of 50 reviews; Apple lists no more
REACH = timedelta(days=365)  # how long ago a first walk may go
# Both show a review days after it was written, and a page moves up while it is read when one above it is withdrawn.
OVERLAP = timedelta(days=3)
MAX_PAGES = 200  # of one walk
_PLAY_ROUTE = "/_/PlayStoreUi/data/batchexecute"
_PLAY_CALL = "oCPfdb"
_PLAY_NEWEST_FIRST = 2


def open_streams(settings: Settings) -> list[Stream]:
    """Each app at each store. Raises InputError where no app is named."""
    if not settings.play_apps and not settings.apple_apps:
        raise InputError("reviews is off: name apps in TRACKER_PLAY_APPS or TRACKER_APPLE_APPS")
    session = open_session()
    streams: list[Stream] = [
        Play(session, settings.play_url, app, language) for app in settings.play_apps for language in PLAY_LANGUAGES
    ]
    streams += [Apple(session, settings.apple_url, app) for app in settings.apple_apps]
    return streams


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    return [Question(stream.name, "the newest reviews, all of them") for stream in open_streams(settings)]


class _Listing:
    """The reviews of an app, newest first, read down to some days before the last walk began.

    The kept cursor is `{"floor": TIME, "listed": BOOL}` and moves only when a walk is done: pages cost nothing and shift
    while they are read, so a walk that was cut off begins again at the top.
    """

    source = NAME
    name: str

    def request(self, after: Any) -> tuple[list[dict[str, Any] | RecordError], Any]:
        """The reviews of a page, and what to ask the next one with (None: the store lists no more)."""
        raise NotImplementedError

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page; see `collector.page`."""
        state = state or {}
        top = datetime.fromisoformat(state.get("top") or now.isoformat())
        floor = min(datetime.fromisoformat(state["floor"]), top) if "floor" in state else None
        found, after = self.request(state.get("after"))
        if after is not None and after == state.get("after"):
            raise TemporaryFailure(f"reviews: {self.name} gave the same page twice")
        ids = {review["id"] for review in found if isinstance(review, dict)}
        if ids and ids <= state.get("ids", set()):
            # Wherever it leads, the page that was asked for has not been read.
            raise TemporaryFailure(f"reviews: {self.name} gave a page that was read before")
        times = [at for review in found if isinstance(review, dict) and (at := _moment(review)) is not None]
        listed_before, listed_now = state.get("listed", False), state.get("listed_now", False) or bool(times)
        if not times and "after" not in state and listed_before:  # an empty answer proves nothing: look again
            return Page(found)
        if not times and "after" not in state and floor is not None and "empty" not in state:
            return Page(found, [], None, state | {"empty": True})  # twice, before the time since then counts as read

        seen_to = min(came_to(times), top) if times else datetime.fromisoformat(state.get("seen_to") or top.isoformat())
        last = [*state.get("last", []), *times][-WITNESSES:]
        # Where nothing was listed until now, that may have been a mistake.
        read_to = max(floor - OVERLAP, top - REACH) if floor is not None and listed_before else top - REACH
        pages = state.get("pages", 0) + 1
        has_read = is_below(last, read_to)
        if after is not None and not has_read and pages < MAX_PAGES:
            walk = state | {"top": top.isoformat(), "after": after, "seen_to": seen_to.isoformat(), "pages": pages}
            walk |= {"last": last, "listed_now": listed_now, "ids": state.get("ids", set()) | ids}
            return Page(found, [], None, walk)
        cursor = {"floor": top.isoformat(), "listed": listed_before or listed_now}
        looked_from = max(seen_to, top - REACH)
        if floor is None:
            return Page(found, [Span(looked_from, top)], cursor)
        # Where nothing was listed before, one page holds all there is; of more, the answer without any was a mistake.
        if has_read or looked_from <= floor or (not listed_before and pages - (not times) < 2):
            return Page(found, [Span(floor, top)], cursor)
        gap = Span(floor, looked_from, "further back than the newest reviews that the store lists")
        return Page(found, [Span(looked_from, top), gap], cursor)


class Play(_Listing):
    """The reviews of an app on Google Play in one language, by the call that its own pages make."""

    def __init__(self, session: requests.Session, url: str, app: str, language: str) -> None:
        self.name = f"play {app} {language}"
        self._session, self._app = session, app
        self._url = f"{url.rstrip('/')}{_PLAY_ROUTE}?hl={language}&gl={STOREFRONT}"

    def request(self, after: Any) -> tuple[list[dict[str, Any] | RecordError], Any]:
        """See `_Listing`."""
        name = f"reviews: {self.name}"
        page = [PLAY_PAGE_REVIEWS] if after is None else [PLAY_PAGE_REVIEWS, None, after]
        wanted = json.dumps([None, [2, _PLAY_NEWEST_FIRST, page, None, [None] * 9], [self._app, 7]])
        form = {"f.req": json.dumps([[[_PLAY_CALL, wanted, None, "generic"]]])}
        response = ask(self._session, name, "POST", self._url, data=form)
        if b"PlayGatewayError" in response.content:  # how it says 429 under a 200
            raise RateLimited(f"{name} asks to wait", None)
        try:
            answers = json.loads(response.content.removeprefix(b")]}'"))
            payload = next(each[2] for each in answers if each[:2] == ["wrb.fr", _PLAY_CALL])
            answer = json.loads(payload)
            reviews = (answer[0] or []) if answer else []
            tokens = [each[-1] for each in answer[1:] if isinstance(each, list) and each and isinstance(each[-1], str)]
            found = [play_record(review) for review in reviews]
        except (ValueError, TypeError, KeyError, IndexError, StopIteration, RecursionError) as error:
            raise TemporaryFailure(f"{name} gave no usable answer ({type(error).__name__})") from None
        return found, (tokens[0] if tokens and tokens[0] and reviews else None)


class Apple(_Listing):
    """The reviews of an app in the Kenyan App Store, from the feed that Apple publishes."""

    def __init__(self, session: requests.Session, url: str, app: str) -> None:
        self.name = f"apple {app}"
        self._session = session
        self._url = f"{url.rstrip('/')}/{STOREFRONT}/rss/customerreviews/page={{}}/id={app}/sortby=mostrecent/json"

    def request(self, after: Any) -> tuple[list[dict[str, Any] | RecordError], Any]:
        """See `_Listing`."""
        name = f"reviews: {self.name}"
        number = after or 1
        response = ask(self._session, name, "GET", self._url.format(number))
        try:
            feed = json.loads(response.content)["feed"]
            entries = feed.get("entry") or []
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise TemporaryFailure(f"{name} gave no usable answer ({type(error).__name__})") from None
        entries = entries if isinstance(entries, list) else [entries]  # one alone comes without a list
        # The app itself is the first entry of a page, and has no rating.
        found = [apple_record(entry) for entry in entries if not isinstance(entry, dict) or "im:rating" in entry]
        return found, (number + 1 if entries and number < APPLE_PAGES else None)


def play_record(review: Any) -> dict[str, Any] | RecordError:
    """A review of Google Play as a record, without its stars and without the developer's reply."""
    if not isinstance(review, list) or len(review) < 6:
        return RecordError("expected a review")
    id_, person, _, _, text, moment = review[:6]
    if not isinstance(id_, str) or not id_:
        return RecordError("id is missing")
    seconds = moment[0] if isinstance(moment, list) and moment else None
    return {
        "source": NAME,
        "id": f"play/{id_}",
        "created_at": seconds,
        "edited_at": seconds,  # the time of the version: an edited review has the same id and a later time
        "text": text,
        "author": person[0] if isinstance(person, list) and person else None,
        "author_id": f"play/{id_}",  # a person has one review of an app, and names are shared by many
    }


def apple_record(entry: Any) -> dict[str, Any] | RecordError:
    """A review of the App Store as a record: title and text, without its stars."""
    if not isinstance(entry, dict):
        return RecordError("expected a review")
    id_ = _label(entry, "id")
    if not id_:
        return RecordError("id is missing")
    parts = [part.strip() for part in (_label(entry, "title"), _label(entry, "content")) if part]
    author = entry.get("author")
    author = author if isinstance(author, dict) else {}
    return {
        "source": NAME,
        "id": f"apple/{id_}",
        "created_at": _label(entry, "updated"),
        "edited_at": _label(entry, "updated"),
        "text": "\n\n".join(dict.fromkeys(part for part in parts if part)),
        "author": _label(author, "name"),
        "author_id": _label(author, "uri") or f"apple/{id_}",
    }


def _label(entry: dict[str, Any], field: str) -> str | None:
    held = entry.get(field)
    label = held.get("label") if isinstance(held, dict) else None
    return label if isinstance(label, str) else None


def _moment(review: dict[str, Any]) -> datetime | None:
    try:
        return parse_time(review["created_at"])
    except ValueError:
        return None
