"""News and notices: RSS and Atom feeds, the items that mention a term."""

from __future__ import annotations

import calendar
import hashlib
import io
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import feedparser

from collector.listings import came_to
from collector.markup import plain_text
from collector.page import Page, Question, Refused, TemporaryFailure
from collector.terms import matcher
from collector.web import ask, open_session
from data.errors import InputError, RecordError
from data.store import Span

if TYPE_CHECKING:
    import requests

    from collector.page import Stream
    from data.settings import Settings

NAME = "news"
EVERY_SECONDS = 600.0
MARKS = 3  # how many of the newest items are remembered, to tell whether the next listing reaches back to this one
_END = re.compile(rb"</(?:\w+:)?(?:rss|feed|rdf)\s*>\s*(?:<!--.*?-->\s*)*\Z", re.IGNORECASE | re.DOTALL)
_NAIROBI_ZONE = re.compile(r"\s*\(?EAT\)?\s*\Z")


def open_streams(settings: Settings) -> list[Stream]:
    """Each feed. Raises InputError where none is named."""
    if not settings.feed_urls:
        raise InputError("news is off: name RSS or Atom feeds in TRACKER_FEED_URLS")
    session = open_session()
    return [Feed(session, url, settings.terms, settings.exclusions) for url in dict.fromkeys(settings.feed_urls)]


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    return [Question(stream.name, "the feed", sifts=True) for stream in open_streams(settings)]


class Feed:
    """A feed, which lists its newest items on one page.

    The kept cursor is `{"floor", "marks", "etag", "last_modified"}`: when it was last read, its newest items then, and what
    to ask with so that an unchanged feed is not sent again.
    """

    source = NAME

    def __init__(
        self, session: requests.Session, url: str, terms: tuple[str, ...], exclusions: tuple[str, ...] = ()
    ) -> None:
        parts = urlsplit(url)
        # A query can hold a key, and the name is logged.
        query = f"?{_digest(parts.query)[:8]}" if parts.query else ""
        self.name = f"{parts.netloc.rpartition('@')[2]}{parts.path}{query}"
        self._host = parts.hostname or ""
        self._session, self._url, self._mentions = session, url, matcher(terms, exclusions)

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """What the feed lists; see `collector.page`."""
        state = state or {}
        name = f"news: {self.name}"
        headers = {"Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.1"}
        # Without marks there is nothing to hold the next listing against: the whole feed is wanted.
        if state.get("marks"):
            for header, kept in (("If-None-Match", "etag"), ("If-Modified-Since", "last_modified")):
                if state.get(kept):
                    headers[header] = state[kept]
        response = ask(self._session, name, "GET", self._url, headers=headers)
        floor = min(datetime.fromisoformat(state["floor"]), now) if "floor" in state else None
        if response.status_code == 304:
            if floor is None or not state.get("marks"):
                raise TemporaryFailure(f"{name} says that it has not changed, though nothing was asked of that")
            return Page([], [Span(floor, now)], state | {"floor": now.isoformat()})
        items = parse(response.content, name)

        dated = sorted(
            (
                (at, id_)
                for item in items
                if (at := published(item)) is not None
                and at <= now
                and (id_ := identifier(item, self._host)) is not None
            ),
            key=lambda pair: pair[0],
            reverse=True,
        )
        found = [record(item, self._host) for item in items if self._mentions(_text(item))]
        if not dated:  # an empty feed proves nothing: neither that nothing was written nor that all was listed
            return Page(found)
        cursor = {"floor": now.isoformat(), "marks": [id_ for _, id_ in dated[:MARKS]]}
        for header, kept in (("ETag", "etag"), ("Last-Modified", "last_modified")):
            if header in response.headers:
                cursor[kept] = response.headers[header]
        listed_at = [at for item in items if (at := published(item)) is not None and at <= now]
        if floor is None:
            return Page(found, [Span(came_to(listed_at), now)], cursor)
        listed = {id_ for _, id_ in dated}
        newer = [at for at in listed_at if at > floor]
        if not newer or listed & set(state.get("marks", ())):
            return Page(found, [Span(floor, now)], cursor)
        looked_from = came_to(newer)
        gap = Span(floor, looked_from, "further back than the newest items that the feed lists")
        return Page(found, [Span(looked_from, now), gap], cursor)


def parse(body: bytes, name: str) -> list[Any]:
    """The items of a feed. Raises TemporaryFailure where it is none, or was cut off, and Refused where it is a trap."""
    # A feed has no use for entities of its own, which can unfold to gigabytes; without NULs, UTF-16 reads as ASCII.
    if b"<!entity" in body.replace(b"\0", b"").lower():
        raise Refused(f"{name} declares XML entities, which no feed needs: take it off TRACKER_FEED_URLS")
    try:
        # As a file: what is given as it stands, feedparser may take for an address or a path, and open it.
        parsed = feedparser.parse(io.BytesIO(body))
    except Exception as error:  # feedparser's loose parser raises what it meets
        raise TemporaryFailure(f"{name} cannot be read ({type(error).__name__})") from None
    if not parsed.get("version"):
        start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
        is_page = start.startswith((b"<!doctype html", b"<html"))
        what = "a web page" if is_page else "something else" if start else "nothing"
        raise TemporaryFailure(f"{name} gave {what} in place of a feed")
    if parsed.get("bozo") and not _END.search(body.replace(b"\0", b"")):
        raise TemporaryFailure(f"{name} was cut off")
    return list(parsed.get("entries", []))


def published(item: Any) -> datetime | None:
    """When an item was published, or else updated."""
    for field in ("published", "updated", "created"):
        written = item[field] if field in item else None  # noqa: SIM401 - feedparser's get() answers with other fields
        if not isinstance(written, str):
            continue
        if _NAIROBI_ZONE.search(written):  # which feedparser takes for UTC
            try:
                return parsedate_to_datetime(_NAIROBI_ZONE.sub(" +0300", written)).astimezone(UTC)
            except (ValueError, OverflowError):
                continue
        moment = item[f"{field}_parsed"] if f"{field}_parsed" in item else None  # noqa: SIM401
        try:
            if moment is not None:
                return datetime.fromtimestamp(calendar.timegm(moment), UTC)
        except (ValueError, OverflowError, OSError, TypeError):
            continue
    return None


def identifier(item: Any, host: str) -> str | None:
    """The same for an item in every feed of a site: of its guid, or else its link; never the words themselves."""
    guid, link = item.get("id"), item.get("link")
    if isinstance(guid, str) and guid.strip():
        guid = guid.strip()
        # A guid that is no address is the site's own, and two sites can have the same.
        return f"{host}/{_digest(guid)}" if "://" not in guid and not guid.startswith("tag:") else _digest(guid)
    return _digest(link.strip()) if isinstance(link, str) and link.strip() else None


def record(item: Any, host: str) -> dict[str, Any] | RecordError:
    """An item as a record; the author is the site."""
    id_, at = identifier(item, host), published(item)
    if id_ is None:
        return RecordError("guid and link are missing")
    if at is None:
        return RecordError("the item has no time")
    language = item["language"] if "language" in item else None  # noqa: SIM401
    return {
        "source": NAME,
        "id": id_,
        "created_at": at,
        "text": _text(item),
        "author_id": host,
        "lang": language if isinstance(language, str) else None,
    }


def _text(item: Any) -> str:
    """Title and summary; the summary is left out where it only repeats the title, or is longer than any."""
    parts = []
    for field in ("title", "summary"):
        markup = item.get(field)
        try:
            part = plain_text(markup, links=False) if isinstance(markup, str) else ""
        except ValueError:
            continue
        if part and part not in parts:
            parts.append(part)
    return "\n\n".join(parts)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()[:32]
