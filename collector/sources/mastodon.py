"""Mastodon, and servers that speak as it does, through Mastodon.py: hashtag timelines, and what is public of an instance."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from mastodon import Mastodon
from mastodon.errors import MastodonAPIError, MastodonRatelimitError

from collector.listings import WITNESSES
from collector.markup import plain_text
from collector.page import Page, Question, RateLimited, Refused, TemporaryFailure
from collector.presence import SiteSilent
from collector.terms import matcher
from collector.web import READ_TIMEOUT_SECONDS, USER_AGENT, AnswerTooLarge, ask, open_session, too_large
from data.errors import InputError, RecordError
from data.records import parse_time
from data.store import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.page import Stream
    from collector.presence import Check
    from data.settings import Settings

log = structlog.get_logger("collector")

NAME = "mastodon"
EVERY_SECONDS = 300.0
PAGE_STATUSES = 40
# How long ago a first walk may go, and one after downtime: the public timeline of the largest instance grows by a page
# every 40 s, and 300 requests in 5 minutes are allowed, so that a day of it takes most of an hour.
HASHTAG_REACH, PUBLIC_FIRST_REACH, PUBLIC_REACH = timedelta(days=30), timedelta(hours=2), timedelta(days=1)
# Posts of other servers come late and are listed by when they were written; those of an instance itself come at once.
HASHTAG_OVERLAP, PUBLIC_OVERLAP = timedelta(days=1), timedelta(minutes=10)
# A walk that was cut off longer ago than this is finished first, and another follows at once.
STALE_WALK = timedelta(minutes=5)
BELOW_ALL = "0"  # an id that no post has
CLOSED_FOR = timedelta(days=1)  # then a timeline that needs a login is asked again
_STATUS_URI = re.compile(r"https?://([^/]+)/(?:ap/)?users/[^/]+/statuses/(\w+)")

# A name with a dot, neither an address nor one that only a local network or a test knows.
_PUBLIC_NAME = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+"
    r"(?!(?:local|localhost|internal|lan|home|corp|test|example|invalid|onion|arpa)$)[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)


class _Closed(Exception):
    """The instance shows this timeline to nobody without a login."""


def open_streams(settings: Settings) -> list[Stream]:
    """Each hashtag and the public timeline of each instance. Raises InputError where no instance is named."""
    if not settings.mastodon_urls:
        raise InputError("mastodon is off: name instances in TRACKER_MASTODON_URLS")
    streams: list[Stream] = []
    for url in dict.fromkeys(url.rstrip("/") for url in settings.mastodon_urls):
        client = Mastodon(
            api_base_url=url,
            ratelimit_method="throw",
            request_timeout=READ_TIMEOUT_SECONDS,
            session=open_session(),
            user_agent=USER_AGENT,
        )
        tags = [*hashtags(settings.terms), None]
        streams += [Timeline(client, url, tag, settings.terms, settings.exclusions) for tag in tags]
    return streams


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    if not settings.mastodon_urls:
        raise InputError("mastodon is off: name instances in TRACKER_MASTODON_URLS")
    tags = ", ".join(f"#{tag}" for tag in hashtags(settings.terms))
    asked = []
    for url in dict.fromkeys(url.rstrip("/") for url in settings.mastodon_urls):
        asked += [
            Question(f"{_place(url)} hashtags", f"/api/v1/timelines/tag/ of {tags}"),
            Question(f"{_place(url)} public", "/api/v1/timelines/public?local=true", sifts=True),
        ]
    return asked


def hashtags(terms: Iterable[str]) -> list[str]:
    """The terms that can be hashtags: those of one word."""
    words = dict.fromkeys(term.lstrip("#@").lower() for term in terms)
    return [word for word in words if re.fullmatch(r"\w+", word) and not word.isdigit()]


def _place(url: str) -> str:
    """Host and path, without a name or a password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_check(settings: Settings) -> Check:
    """What asks whether posts are still there. Raises InputError where no instance is named."""
    if not settings.mastodon_urls:
        raise InputError("mastodon is off: name instances in TRACKER_MASTODON_URLS")
    return Lookup({urlsplit(url).netloc.rpartition("@")[2].lower(): url.rstrip("/") for url in settings.mastodon_urls})


class Lookup:
    """Asks the server where a post was written, which alone knows the number in its id, without a login.

    `instances` are those of the settings, by host. Another host comes out of a post, so that only public servers are
    asked, over TLS, and what they fail at stops nobody.
    """

    source = NAME
    page_posts = PAGE_STATUSES
    cost_usd = 0.0

    def __init__(self, instances: dict[str, str]) -> None:
        self._instances = instances
        self._session = open_session()

    def site(self, id_: str) -> str | None:
        """See `collector.presence`. Other software than Mastodon has other ids, and asks for a login."""
        host, _, number = id_.partition("/")
        if not re.fullmatch(r"[0-9]+", number) or not (host in self._instances or _PUBLIC_NAME.fullmatch(host)):
            return None
        return host

    def gone(self, ids: Sequence[str], _job: dict[str, Any] | None) -> set[str]:
        """See `collector.presence`."""
        host = ids[0].partition("/")[0]
        if host in self._instances:
            return {id_ for id_ in ids if self._is_gone(self._instances[host], id_)}
        try:
            if not _is_public(host):
                raise SiteSilent(f"{host} is no public address")
            return {id_ for id_ in ids if self._is_gone(f"https://{host}", id_)}
        except (TemporaryFailure, Refused) as error:
            raise SiteSilent(str(error)) from None

    def _is_gone(self, base: str, id_: str) -> bool:
        host, _, number = id_.partition("/")
        name = f"mastodon: {host}"
        address = f"{base}/api/v1/statuses/{number}"
        response = ask(self._session, name, "GET", address, also={404, 410}, allow_redirects=False)
        try:
            answer = response.json()
        except (ValueError, RecursionError):  # a page of something else that stands there now, or before it
            answer = None
        if response.status_code in {404, 410} and isinstance(answer, dict) and isinstance(answer.get("error"), str):
            return True
        if response.status_code == 200 and isinstance(answer, dict) and str(answer.get("id")) == number:
            return False
        raise TemporaryFailure(f"{name} gave no usable answer about a post ({response.status_code})")


def _is_public(host: str) -> bool:
    """Whether a name leads to addresses of the public internet and to no others."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found)


class Timeline:
    """A timeline of an instance, newest first, down to where the last walk began.

    The kept cursor is `{"floor", "anchor", "top", "max_id", "seen_to", "settled"}`: the walk ends at the post `anchor`, began at
    the time `top`, and has come to `max_id`, written at `seen_to`; `settled` is the anchor of the next walk, the newest post that
    none can come in below. Between walks only floor and anchor. A public timeline that needs a login adds `closed_at`.
    """

    source = NAME

    def __init__(
        self, client: Mastodon, url: str, tag: str | None, terms: tuple[str, ...], exclusions: tuple[str, ...] = ()
    ) -> None:
        self.name = f"{_place(url)} {f'#{tag}' if tag else 'public'}"
        self._host = urlsplit(url).hostname or ""
        self._client, self._tag = client, tag
        self._matches, self._excludes = matcher(terms, exclusions), matcher(exclusions)
        self._reaches = (HASHTAG_REACH, HASHTAG_REACH) if tag else (PUBLIC_FIRST_REACH, PUBLIC_REACH)
        self._overlap = HASHTAG_OVERLAP if tag else PUBLIC_OVERLAP

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page of at most 40 posts; see `collector.page`."""
        walk = dict(state or {})
        # Of this walk as long as nothing cuts it off: how many posts were listed, and whether the instance said that there are no more.
        listed, ends = walk.pop("listed", None if "max_id" in walk else 0), walk.pop("ends", False)
        if "closed_at" in walk and now - datetime.fromisoformat(walk["closed_at"]) < CLOSED_FOR:
            return Page([])
        try:
            statuses = self._request(walk.get("max_id"))
        except _Closed:
            if "closed_at" not in walk:
                log.warning("timeline needs a login and is left out", source=NAME, stream=self.name)
            return Page([], [], walk | {"closed_at": now.isoformat()})
        walk.pop("closed_at", None)

        top = datetime.fromisoformat(walk.setdefault("top", now.isoformat()))
        written = {str(status["id"]): _moment(status, "created_at") for status in statuses if _has_id(status)}
        if statuses and not written:
            raise TemporaryFailure(f"mastodon: {self.name} lists posts without ids")
        found = [self._record(status) for status in statuses if self._is_wanted(status)]
        if not written:
            return self._at_the_end(walk, top, now, found, listed, ends=ends)
        lowest = min(written, key=_order)
        if "max_id" in walk and _order(lowest) >= _order(walk["max_id"]):
            raise TemporaryFailure(f"mastodon: {self.name} gave the same page twice")
        walk["max_id"] = lowest
        listed = None if listed is None else listed + len(written)
        seen_to = datetime.fromisoformat(walk.get("seen_to", top.isoformat()))
        walk["seen_to"] = min(seen_to, written[lowest] or seen_to).isoformat()
        # Several in a row, since one that is listed now can say that it is old.
        newest_first = sorted(written, key=_order, reverse=True)
        is_old = [at is not None and at <= top - self._overlap for at in map(written.get, newest_first)]
        ends_at = range(len(is_old) - WITNESSES + 1)
        settled = next((newest_first[place] for place in ends_at if all(is_old[place : place + WITNESSES])), None)
        if settled and "settled" not in walk:
            walk["settled"] = settled

        reach = top - self._reach(walk)
        if "anchor" in walk and _order(lowest) <= _order(walk["anchor"]):
            floor = datetime.fromisoformat(walk["floor"])
            return self._finished(walk, top, now, found, [Span(min(floor, top), top)])
        # Not the oldest alone: a post can carry any time that its server likes.
        if all(at is not None and at < reach for at in written.values()):
            floor = datetime.fromisoformat(walk["floor"]) if "floor" in walk else reach
            spans = [Span(max(floor, reach), top)] if floor < top else []
            if floor < reach:
                spans.append(Span(floor, reach, f"longer ago than the tracker walks back ({self._reach(walk)})"))
            return self._finished(walk, top, now, found, spans)
        return Page(found, [], walk, walk if listed is None else walk | {"listed": listed})

    def _at_the_end(
        self, walk: dict[str, Any], top: datetime, now: datetime, found: list[Any], listed: int | None, *, ends: bool
    ) -> Page:
        """The instance lists nothing more."""
        if "max_id" not in walk and "anchor" in walk:  # it listed something before: this proves nothing
            return Page(found)
        seen_to = max(datetime.fromisoformat(walk.get("seen_to", top.isoformat())), top - self._reach(walk))
        # It may be a mistake: what is below is given up once the same answer comes again.
        again = Page(found, [], None, walk | {"listed": listed, "ends": True})
        if "floor" not in walk:
            return self._finished(walk, top, now, found, [Span(seen_to, top)]) if ends else again
        floor = min(datetime.fromisoformat(walk["floor"]), top)
        if seen_to <= floor:
            return self._finished(walk, top, now, found, [Span(floor, top)])
        if listed is None:
            # Since it was cut off, posts may have left the list, or the last ones were deleted: another walk tells which.
            anew = {name: walk[name] for name in ("floor", "anchor") if name in walk}
            return Page(found, [Span(seen_to, top)], anew, anew)
        if not ends:
            return again
        if listed < PAGE_STATUSES:  # no instance lists less than a page: this is all there is
            return self._finished(walk, top, now, found, [Span(floor, top)])
        gap = Span(floor, seen_to, "the instance no longer lists that far back")
        return self._finished(walk, top, now, found, [Span(seen_to, top), gap])

    def _reach(self, walk: dict[str, Any]) -> timedelta:
        return self._reaches["floor" in walk]

    def _finished(
        self, walk: dict[str, Any], top: datetime, now: datetime, found: list[Any], spans: list[Span]
    ) -> Page:
        cursor = {"floor": top.isoformat()}
        # Where all that is listed is so new that posts may still come in below it, the next walk goes to the end, too.
        anchor = walk.get("settled") or walk.get("anchor") or (BELOW_ALL if "max_id" in walk else None)
        if anchor:
            cursor["anchor"] = anchor
        return Page(found, spans, cursor, cursor if now - top > STALE_WALK else None)

    def _is_wanted(self, status: Any) -> bool:
        try:
            text = _text(status)
        except RecordError:
            return self._tag is not None  # a post of the hashtag that cannot be read is counted
        return not self._excludes(text) if self._tag else self._matches(text)

    def _record(self, status: Any) -> dict[str, Any] | RecordError:
        return record(status, self._host)

    def _request(self, max_id: str | None) -> list[Any]:
        name = f"mastodon: {self.name}"
        try:
            with warnings.catch_warnings():
                # Mastodon.py warns of timelines that need a login, and of what the server calls deprecated.
                warnings.simplefilter("ignore")
                if self._tag is None:
                    statuses = self._client.timeline_local(max_id=max_id, limit=PAGE_STATUSES)
                else:
                    statuses = self._client.timeline_hashtag(self._tag, max_id=max_id, limit=PAGE_STATUSES)
        except MastodonRatelimitError:
            raise RateLimited(f"{name}: the requests of this window are used up", self._reset_at()) from None
        except MastodonAPIError as error:
            raise self._failure(name, error) from None
        except Exception as error:  # of the network, or what Mastodon.py meets where it casts an odd answer
            if isinstance(error.__context__, AnswerTooLarge):
                raise Refused(too_large(name)) from None
            raise TemporaryFailure(f"{name} gave no usable answer ({type(error).__name__})") from None
        if not isinstance(statuses, list):
            raise TemporaryFailure(f"{name} gave an answer of another shape")
        return list(statuses)

    def _reset_at(self) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._client.ratelimit_reset, UTC)
        except (TypeError, ValueError, OverflowError, OSError):  # none was told, or milliseconds
            return None

    def _failure(self, name: str, error: MastodonAPIError) -> Exception:
        code = error.args[1] if len(error.args) > 2 else None  # the other messages quote the body
        if code in {401, 403, 404, 422} and self._tag is None:
            return _Closed()
        if code in {401, 402, 403, 404, 410, 422, 451}:
            return Refused(f"{name} is not shown without a login ({code}): take the instance off TRACKER_MASTODON_URLS")
        return TemporaryFailure(f"{name} is failing ({code or 'no JSON'})")


def _has_id(status: Any) -> bool:
    return isinstance(status, dict) and isinstance(status.get("id"), str | int) and bool(str(status["id"]))


def _order(id_: str) -> tuple[int, str]:
    """Ids are numbers, or words of one length that sort by time (Pleroma, GoToSocial)."""
    return len(id_), id_


def _moment(status: dict[str, Any], field: str) -> datetime | None:
    try:
        return parse_time(status.get(field))
    except ValueError:
        return None


def _text(status: Any) -> str:
    """The warning before a post, and the post; of a boost, the post that is boosted."""
    if not isinstance(status, dict):
        raise RecordError(f"expected a post, found {type(status).__name__}")
    boosted = status.get("reblog")
    said = boosted if isinstance(boosted, dict) else status
    content, warning = said.get("content"), said.get("spoiler_text") or ""
    if not isinstance(content, str) or not isinstance(warning, str):
        raise RecordError("text must be text")
    try:
        return f"{warning}\n\n{plain_text(content)}".strip()
    except ValueError as error:
        raise RecordError(f"text has {error}") from None


def _host(page: Any) -> str | None:
    try:
        return urlsplit(page).hostname if isinstance(page, str) else None
    except ValueError:
        return None


def _global_id(status: dict[str, Any]) -> str:
    """HOST/ID of the server where it was written, the same on every instance and without the handle that a URI holds."""
    uri = status.get("uri") or status.get("url")
    if not isinstance(uri, str) or not (host := urlsplit(uri).hostname):
        raise RecordError("uri is missing")
    if match := _STATUS_URI.fullmatch(uri):
        return f"{match[1].lower()}/{match[2]}"
    return f"{host}/{hashlib.sha256(uri.encode(errors='replace')).hexdigest()[:32]}"


def _id_time(identifier: Any) -> datetime | None:
    """The moment in an id of Mastodon: milliseconds since 1970 above its lowest 16 bits. Other servers have other ids."""
    if not isinstance(identifier, str | int) or not re.fullmatch(r"[0-9]{17,19}", str(identifier)):
        return None
    return datetime.fromtimestamp((int(identifier) >> 16) / 1000, UTC)


def record(status: Any, instance: str) -> dict[str, Any] | RecordError:
    """A post of a timeline as a record; `instance` is the host that lists it."""
    try:
        text = _text(status)
        identifier = _global_id(status)
        boosted = status.get("reblog")
        repost_of = _global_id(boosted) if isinstance(boosted, dict) else None
    except (RecordError, ValueError) as error:
        return error if isinstance(error, RecordError) else RecordError("uri is not an address")
    if status.get("visibility") not in ("public", "unlisted"):
        return RecordError("not public")
    account = status.get("account")
    account = account if isinstance(account, dict) else {}
    handle, page = account.get("acct"), account.get("url")
    if isinstance(handle, str) and handle and "@" not in handle:  # an author of the instance itself
        handle = f"{handle}@{_host(page) or instance}"
    parent, name = status.get("in_reply_to_id"), account.get("display_name")
    return {
        "source": NAME,
        "id": identifier,
        "created_at": status.get("created_at") or _id_time(status.get("id")),
        "edited_at": _moment(boosted if isinstance(boosted, dict) else status, "edited_at"),
        "text": text,
        "author": handle,
        # The number of an account is another on every instance; its page is not.
        "author_id": page if isinstance(page, str) else None,
        "author_name": name if isinstance(name, str) else None,
        "lang": status.get("language"),
        "repost_of": repost_of,
        "reply_to": f"{instance}/{parent}" if isinstance(parent, str | int) else None,
    }
