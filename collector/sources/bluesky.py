"""Bluesky through Jetstream: all public posts of the network pass by, and those that mention a term are kept. Needs no key.

What is deleted at Bluesky, a post or a whole account, is erased here once the stream says so, and so is a post that after an
edit no longer mentions a term. Reposts are another collection and not read; of a quote only its own words count.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from collector.page import Page, Question, RateLimited, Refused, SourceError, TemporaryFailure
from collector.terms import matcher
from collector.web import ask, open_session
from data.errors import InputError, RecordError
from data.records import EARLIEST, parse_time
from data.store import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from collector.page import Stream
    from collector.presence import Check
    from data.settings import Settings

NAME = "bluesky"
EVERY_SECONDS = 30.0
COLLECTION = "app.bsky.feed.post"
USER_AGENT = "ecitizen-tracker (reads posts that mention a public service)"
PAGE_EVENTS, PAGE_SECONDS = 5_000, 5.0
CONNECT_TIMEOUT_SECONDS = 20
MOST_BYTES = 16 * 2**20  # of one event; a record of a megabyte is longer as JSON, and must not end each connection
CLOSE_TIMEOUT_SECONDS = 0.1  # the stream goes on until the other side has heard of it
STALL_SECONDS = 30.0  # the whole network is never silent for so long
REACH = timedelta(days=2)  # more than is kept (36 hours): an instance asked for more begins with its oldest event
OVERLAP = timedelta(seconds=10)  # read again after a break: the order is not strict, and clocks of instances differ
SETTLED = timedelta(seconds=1)  # how far beyond the cursor a page may have read; see _Reading.known_to
AHEAD = timedelta(minutes=5)  # a time further in the future is taken for a mistake
LULL = timedelta(minutes=2)  # an instance silent twice so shortly before the present has no more, and did not stall
# A time counts once so many events in a row have reached it: a wrong one must not carry the cursor past what is unread.
WITNESSES = 4
MOST_FROM_THE_FUTURE = 100
REMEMBERED_DELETIONS = 50_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]+")
_RECORD_KEY = re.compile(r"[A-Za-z0-9._~:-]+")
_TID_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_TID = re.compile(rf"[234567a-j][{_TID_DIGITS}]{{12}}")
_URI = re.compile(rf"at://{_DID.pattern}/{re.escape(COLLECTION)}/{_RECORD_KEY.pattern}")


def open_streams(settings: Settings) -> list[Stream]:
    """The one stream there is. Raises InputError where it is turned off."""
    if settings.jetstream_url is None:
        raise InputError("bluesky is off: TRACKER_JETSTREAM_URL says so")
    return [Firehose(settings.jetstream_url, settings.terms, settings.exclusions)]


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    if settings.jetstream_url is None:
        raise InputError("bluesky is off: TRACKER_JETSTREAM_URL says so")
    host = urlsplit(settings.jetstream_url).netloc.rpartition("@")[2]
    return [Question(Firehose.name, f"{host}/subscribe?wantedCollections={COLLECTION}", sifts=True)]


def open_check(settings: Settings) -> Check:
    """What asks whether posts are still there. Raises InputError where it is turned off."""
    if settings.bluesky_url is None:
        raise InputError("bluesky is not re-checked: TRACKER_BLUESKY_URL is off")
    return AppView(settings.bluesky_url)


class AppView:
    """Asks Bluesky's public view of the network, which shows no post that was deleted, or whose account is gone."""

    source = NAME
    page_posts = 25  # as many as it takes
    cost_usd = 0.0

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/xrpc/app.bsky.feed.getPosts"
        self._session = open_session()

    def site(self, id_: str) -> str | None:
        """See `collector.presence`."""
        return "" if _URI.fullmatch(id_) else None

    def gone(self, ids: Sequence[str], _job: dict[str, Any] | None) -> set[str]:
        """See `collector.presence`."""
        response = ask(self._session, NAME, "GET", self._url, params=[("uris", id_) for id_ in ids])
        try:
            shown = {post["uri"] for post in response.json()["posts"]}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise TemporaryFailure(f"bluesky gave no usable answer ({type(error).__name__})") from None
        if not shown <= set(ids):
            raise TemporaryFailure("bluesky gave an answer about other posts")
        return set(ids) - shown


class _Silence(TemporaryFailure):
    """The connection stands, and nothing comes."""


@dataclass(slots=True)
class _Reading:
    """A page while it is read; all times are microseconds since 1970, as Jetstream's are."""

    now: int
    until: int  # where the walk ends
    kept_to: int | None  # the time up to which all is read
    newest: int  # the last time heard, in this walk
    looked_from: int | None
    # Where what was read before a break ends, for good: a page ends no earlier, or it could hold a post whose deletion,
    # read before the break, comes after it.
    known_to: int | None = None
    progress: bool = False
    arrived: bool = False
    in_time: int = 0
    from_the_future: int = 0
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: list[RecordError] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    deleted_posts: list[str] = field(default_factory=list)
    deleted_accounts: list[str] = field(default_factory=list)

    def page(self) -> Page:
        """What the runner saves, and where it goes on."""
        if self.looked_from is not None and self.kept_to is not None and self.looked_from < self.kept_to:
            self.spans.append(Span(_moment(self.looked_from), _moment(self.kept_to)))
        cursor = None if self.kept_to is None else {"time_us": self.kept_to}
        following = None if self.arrived else (cursor or {}) | {"until": self.until, "newest": self.newest}
        return Page(
            [*self.found.values(), *self.broken],
            self.spans,
            cursor,
            following,
            deleted_posts=self.deleted_posts,
            deleted_accounts=self.deleted_accounts,
        )


class Firehose:
    """The stream of posts, from a little before the kept cursor to the moment at which the walk began.

    The kept cursor is `{"time_us"}`, the time up to which all is stored; within a walk `until`, where it ends, and `newest`,
    the last time heard, stand beside it. The connection lasts from page to page; after a break the stream is joined anew.
    """

    source = NAME
    name = "posts"

    def __init__(
        self,
        url: str,
        terms: Iterable[str],
        exclusions: Iterable[str] = (),
        *,
        stall_seconds: float = STALL_SECONDS,
        page_events: int = PAGE_EVENTS,
    ) -> None:
        self._url = url
        self._mentions = matcher(terms, exclusions)
        self._stall_seconds, self._page_events = stall_seconds, page_events
        self._connection: ClientConnection | None = None
        self._leads_on_from: dict[str, Any] | None = None  # the state that the open connection has the next event for
        self._earliest = 0  # what was asked for
        self._joined = False  # whether it is known where the stream began after connecting
        self._known_to: int | None = None  # see _Reading
        self._times: deque[int] = deque(maxlen=WITNESSES)
        self._silences = 0
        self._broken_lines: set[int] = set()
        self._deleted: OrderedDict[str, None] = OrderedDict()  # a delete may be a few events before its post

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """At most `page_events` events, or those of PAGE_SECONDS; see `collector.page`."""
        state = state or {}
        until = state.get("until", _micros(now))
        kept_to = min(state["time_us"], until) if "time_us" in state else None
        if self._connection is None or state != self._leads_on_from:
            self._join(kept_to, until)
        reading = _Reading(_micros(now), until, kept_to, state.get("newest", 0), kept_to, self._known_to)
        try:
            self._read(reading)
        except TemporaryFailure as failure:
            self.close()
            if isinstance(failure, _Silence) and self._silences > 1 and until - reading.newest < LULL // _MICROSECOND:
                reading.arrived = True
            elif not reading.progress or reading.known_to is not None:
                raise
        self._known_to = None
        page = reading.page()
        if page.following is None:
            self.close()
        self._leads_on_from = page.following
        return page

    def _join(self, kept_to: int | None, until: int) -> None:
        self.close()
        begin = until - REACH // _MICROSECOND if kept_to is None else kept_to - OVERLAP // _MICROSECOND
        self._connection = _connect(self._url, begin)
        self._earliest = _micros(EARLIEST) if kept_to is None else begin
        self._joined = False
        self._known_to = kept_to
        self._times.clear()

    def close(self) -> None:
        """See `collector.page.Connected`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, reading: _Reading) -> None:
        ends, events = time.monotonic() + PAGE_SECONDS, 0
        while events < self._page_events or reading.known_to is not None:
            events += 1
            # Without progress there is nothing to save yet: what is read again after a break does not count.
            may_end = reading.progress and reading.known_to is None
            left = ends - time.monotonic() if may_end else self._stall_seconds
            line = self._receive(left) if left > 0 else None
            if line is None and may_end:
                return
            if line is None:
                self._silences += 1
                raise _Silence("bluesky's stream has fallen silent")
            self._take(line, reading)
            if reading.arrived:
                return
            if reading.from_the_future > MOST_FROM_THE_FUTURE and not reading.in_time:
                raise TemporaryFailure("bluesky's events are from the future: correct this machine's clock")

    def _receive(self, seconds: float) -> bytes | None:
        assert self._connection is not None
        try:
            return self._connection.recv(min(seconds, self._stall_seconds), decode=False)
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError):
            raise TemporaryFailure("bluesky dropped the connection") from None

    def _take(self, line: bytes, reading: _Reading) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            # Read once more, since it may be a fault on the way; broken again, it is passed over.
            if hash(line) not in self._broken_lines:
                self._broken_lines.add(hash(line))
                raise TemporaryFailure("bluesky sent a broken line") from None
            event = None
        if not isinstance(event, dict):
            reading.broken.append(RecordError("not an event"))
            return
        seen_at = self._take_time(event.get("time_us"), reading)
        if event.get("kind") == "commit":
            self._take_commit(event, seen_at, reading)
        elif event.get("kind") == "account":
            self._take_account(event, reading)

    def _take_time(self, at: Any, reading: _Reading) -> int:
        """The time of the event, or ours where it has none that can be right."""
        if type(at) is not int or at < _micros(EARLIEST):
            return reading.now
        if at > reading.now + AHEAD // _MICROSECOND:
            reading.from_the_future += 1
            return reading.now
        if at < self._earliest:
            return at
        reading.in_time += 1
        if at > reading.newest:
            reading.newest, reading.progress, self._silences = at, True, 0
        self._times.append(at)
        if len(self._times) < WITNESSES:
            return at
        reached = min(self._times)
        if not self._joined:
            self._joined = True
            if reading.kept_to is None:
                reading.looked_from = reading.kept_to = sorted(self._times)[WITNESSES // 2]
            elif reached > reading.kept_to:
                gap = Span(_moment(reading.kept_to), _moment(reached), "further back than Jetstream keeps")
                reading.spans.append(gap)
                reading.looked_from = reading.kept_to = reached
        if reading.known_to is not None and reached >= reading.known_to + SETTLED // _MICROSECOND:
            reading.known_to = None
        if reading.kept_to is None or reached > reading.kept_to:
            reading.kept_to, reading.progress = reached, True
        reading.arrived = reached >= reading.until
        return at

    def _take_commit(self, event: dict[str, Any], seen_at: int, reading: _Reading) -> None:
        commit = event.get("commit")
        if not isinstance(commit, dict):
            reading.broken.append(RecordError("commit is missing"))
            return
        operation = commit.get("operation")
        if commit.get("collection") != COLLECTION or operation not in ("create", "update", "delete"):
            return
        post: Any = commit.get("record")
        if operation != "delete":
            if not isinstance(post, dict) or not isinstance(post.get("text"), str):
                reading.broken.append(RecordError("text is missing"))
                return
            mentions = self._mentions(post["text"])
            if operation == "create" and not mentions:
                return
        did, key = _whole(_DID, event.get("did")), _whole(_RECORD_KEY, commit.get("rkey"))
        if did is None or key is None:
            reading.broken.append(RecordError("id is missing"))
            return
        identifier = f"at://{did}/{COLLECTION}/{key}"
        if operation == "delete":
            reading.deleted_posts.append(identifier)
            reading.found.pop(identifier, None)
            self._remember_deletion(identifier)
        elif identifier in self._deleted or did in self._deleted:
            reading.broken.append(RecordError("deleted at Bluesky"))
        elif operation == "create":
            reading.found.setdefault(identifier, record(identifier, did, post, _moment(seen_at)))
        else:
            edited = record(identifier, did, post, _moment(seen_at)) | {"edited_at": _moment(seen_at)}
            self._take_edit(edited, reading, mentions=mentions)

    @staticmethod
    def _take_edit(edited: dict[str, Any], reading: _Reading, *, mentions: bool) -> None:
        identifier = edited["id"]
        earlier = reading.found.pop(identifier, {})
        if earlier.get("edited_at") and earlier["edited_at"] >= edited["edited_at"]:
            edited = earlier
        elif not mentions:  # its author took back what the tracker is about
            reading.deleted_posts.append(identifier)
            return
        if identifier in reading.deleted_posts:
            reading.deleted_posts.remove(identifier)
        reading.found[identifier] = edited

    def _take_account(self, event: dict[str, Any], reading: _Reading) -> None:
        account, did = event.get("account"), _whole(_DID, event.get("did"))
        # Suspended, taken down, deactivated: these can come back.
        if not isinstance(account, dict) or account.get("active") is not False or account.get("status") != "deleted":
            return
        if did is None:
            reading.broken.append(RecordError("did is missing"))
            return
        reading.deleted_accounts.append(did)
        reading.found = {id_: post for id_, post in reading.found.items() if post["author_id"] != did}
        self._remember_deletion(did)

    def _remember_deletion(self, what: str) -> None:
        self._deleted[what] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)


def _connect(url: str, cursor: int) -> ClientConnection:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    path = path if path.endswith("/subscribe") else f"{path}/subscribe"
    asked = urlencode({"wantedCollections": COLLECTION, "cursor": max(cursor, 0)})
    query = f"{parts.query}&{asked}" if parts.query else asked
    try:
        return connect(
            parts._replace(path=path, query=query).geturl(),
            legacy=True,  # one connection; reconnecting is the runner's
            user_agent_header=USER_AGENT,
            open_timeout=CONNECT_TIMEOUT_SECONDS,
            close_timeout=CLOSE_TIMEOUT_SECONDS,
            max_size=MOST_BYTES,
        )
    except InvalidStatus as error:
        raise _failure(error) from None
    except (WebSocketException, OSError, EOFError, ValueError) as error:
        raise TemporaryFailure(f"bluesky cannot be reached ({type(error).__name__})") from None


def _failure(error: InvalidStatus) -> SourceError:
    status = error.response.status_code
    if status == 429:
        seconds = error.response.headers.get("Retry-After", "")
        wait = timedelta(seconds=int(seconds)) if seconds.isdigit() and len(seconds) < 7 else None
        return RateLimited("bluesky asks to wait", datetime.now(UTC) + wait if wait else None)
    if 300 <= status < 500 and status != 408:
        return Refused(f"bluesky refused to stream ({status}): check TRACKER_JETSTREAM_URL")
    return TemporaryFailure(f"bluesky is failing ({status})")


def record(identifier: str, did: str, post: Mapping[str, Any], seen_at: datetime) -> dict[str, Any]:
    """A post as a record; the id is its `at://` address, which stays, and the stream knows no handles."""
    reply, langs = post.get("reply"), post.get("langs")
    parent = reply.get("parent") if isinstance(reply, dict) else None
    lang = langs[0] if isinstance(langs, list) and langs else None
    uri = parent.get("uri") if isinstance(parent, dict) else None
    return {
        "source": NAME,
        "id": identifier,
        "created_at": _written(post.get("createdAt"), identifier, seen_at),
        "text": post["text"],
        "author_id": did,
        "lang": lang if isinstance(lang, str) else None,
        "reply_to": uri if isinstance(uri, str) else None,
    }


def _written(said: Any, identifier: str, seen_at: datetime) -> datetime:
    """When the author's program says, or else the id, if that can be: it names any time it likes."""
    try:
        at = parse_time(said) if isinstance(said, str) else _id_time(identifier) or seen_at
    except ValueError:
        at = _id_time(identifier) or seen_at
    return min(at, seen_at) if at >= EARLIEST else seen_at


def _id_time(identifier: str) -> datetime | None:
    """The moment in a record key that is a TID: microseconds since 1970 above its lowest 10 bits."""
    key = identifier.rpartition("/")[2]
    if not _TID.fullmatch(key):
        return None
    number = 0
    for letter in key:
        number = number * 32 + _TID_DIGITS.index(letter)
    return _moment(number >> 10)


def _whole(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
