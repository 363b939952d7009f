"""A Jetstream on the loopback interface: events of our own making, replayed from a cursor as Jetstream does, and faults."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from faults import Plan
    from websockets.http11 import Request, Response

POST = "app.bsky.feed.post"
KEPT = timedelta(hours=36)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SENT_A_REQUEST = 1_000  # so many events count as one page of `requests`

ABOUT = (
    "eCitizen haifunguki tangu asubuhi, nimejaribu mara nne",
    "Paid for a good conduct certificate on e-citizen & the money is gone",
    "E Citizen iko chini 😭 tena",
    "Can somebody at #eCitizen answer? https://accounts.ecitizen.go.ke/login",
)
NOT_ABOUT = (
    "The citizen has a right to know, said the citizen",
    "Good morning, Nairobi! ☀️",
    "my cat is a citizen of the world",
    "decitizenship is not a word \\u0065",
    "",
)


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def moment(at_us: int) -> datetime:
    return EPOCH + at_us * timedelta(microseconds=1)


def did(number: int) -> str:
    return f"did:plc:{number:024x}"


def uri(event: dict[str, Any]) -> str:
    return f"at://{event['did']}/{POST}/{event['commit']['rkey']}"


def commit(
    at: datetime, operation: str, key: str, record: dict[str, Any] | None = None, author: int = 1
) -> dict[str, Any]:
    """An event about one record."""
    change: dict[str, Any] = {"rev": "3l" + key, "operation": operation, "collection": POST, "rkey": key}
    if record is not None:
        change |= {"record": record, "cid": "bafyreia" + key}
    return {"did": did(author), "time_us": micros(at), "kind": "commit", "commit": change}


def post(at: datetime, text: str, key: str, author: int = 1, **fields: Any) -> dict[str, Any]:
    """A post that is new; `fields` are of its record, and None takes one out."""
    said = at - timedelta(milliseconds=350)
    record = {"$type": POST, "createdAt": f"{said:%Y-%m-%dT%H:%M:%S}.{said.microsecond // 1000:03d}Z", "text": text}
    record |= {"langs": ["sw"]} | fields
    return commit(at, "create", key, {name: value for name, value in record.items() if value is not None}, author)


def account(at: datetime, author: int, status: str | None) -> dict[str, Any]:
    """An account is gone (deleted, deactivated, …), or with None there again."""
    said: dict[str, Any] = {"active": status is None, "did": did(author), "seq": 30_340_180_351, "time": at.isoformat()}
    return {
        "did": did(author),
        "time_us": micros(at),
        "kind": "account",
        "account": said | ({"status": status} if status else {}),
    }


def identity(at: datetime, author: int = 9) -> dict[str, Any]:
    said = {"did": did(author), "handle": "somebody.bsky.social", "seq": 30_340_180_350, "time": at.isoformat()}
    return {"did": did(author), "time_us": micros(at), "kind": "identity", "identity": said}


def traffic(
    count: int, newest: datetime, every: timedelta = timedelta(milliseconds=20), seed: int = 0
) -> list[dict[str, Any]]:
    """What passes by, in the order of time: posts about eCitizen and others, deletes of both, accounts that end."""
    draw = random.Random(seed)
    events: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    authors = [100_000 * (seed + 1) + number for number in range(60)]
    for number in range(count):
        at = newest - (count - 1 - number) * every
        kind = draw.random()
        key, author = f"k{seed}x{number}", draw.choice(authors)
        if kind < 0.15:
            events.append(post(at, f"{draw.choice(ABOUT)} ({seed}/{number})", key, author))
            own.append(events[-1])
        elif kind < 0.80:
            events.append(post(at, draw.choice(NOT_ABOUT), key, author, langs=None))
        elif kind < 0.84 and own:
            gone = draw.choice(own)
            events.append(commit(at, "delete", gone["commit"]["rkey"]))
            events[-1]["did"] = gone["did"]
        elif kind < 0.92:
            events.append(commit(at, "delete", key, author=author))
        elif kind < 0.93:
            events.append(account(at, author, draw.choice(["deleted", "deactivated", "takendown", None])))
            if events[-1]["account"].get("status") == "deleted":
                authors.remove(author)
                authors.append(100_000 * (seed + 1) + 60 + number)  # or long traffic would run out of them
                own = [each for each in own if each["did"] != did(author)]
        else:
            events.append(identity(at, author))
    return events


def about(event: dict[str, Any]) -> bool:
    record = event.get("commit", {}).get("record")
    return record is not None and any(record["text"].startswith(each) for each in ABOUT)


def living(events: Iterable[dict[str, Any]]) -> dict[str, datetime]:
    """The posts about eCitizen that nobody deleted, with the times at which they passed by."""
    alive: dict[str, datetime] = {}
    buried: set[str] = set()
    for event in events:
        if event["kind"] == "account" and event["account"].get("status") == "deleted":
            buried.add(event["did"])
            alive = {each: at for each, at in alive.items() if f"/{event['did']}/" not in each}
        elif event["kind"] == "commit" and event["commit"]["operation"] == "delete":
            alive.pop(uri(event), None)
        elif about(event) and event["did"] not in buried:
            alive[uri(event)] = moment(event["time_us"])
    return alive


@dataclass(frozen=True)
class Break:
    """What ends one connection after so many frames: drop, close, cut (in the middle of a frame), stall, or garble a line."""

    how: str
    after: int = 0


@dataclass(frozen=True)
class Status:
    """An answer with this status in place of a stream."""

    code: int
    retry_after: str | None = None


class Jetstream:
    """A threaded server on 127.0.0.1; use it in a `with` block. It never is silent for long unless `quiet`."""

    def __init__(self, now: Callable[[], datetime], events: Iterable[dict[str, Any]] = ()) -> None:
        self.now = now
        self.plan: Plan | None = None  # which counts the events, and keeps what was sent
        self.events: list[dict[str, Any]] = list(events)
        self.quiet = False
        self.kept = KEPT
        self.disturb: Callable[[list[dict[str, Any]]], Iterable[Any]] = list
        self.cursors: list[int] = []  # of each connection
        self.requests: list[int] = []  # how many events were sent, each thousand
        self.last_pages = 0  # connections that were sent all there was
        self.delay_seconds = 0.0  # for each thousand
        self._faults: list[Break | Status] = []
        self._changed = threading.Condition()
        self._closing = False
        self._server: Server = serve(
            self._handle, "127.0.0.1", 0, process_request=self._greet, close_timeout=1, ping_interval=None
        )
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def __enter__(self) -> Jetstream:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._closing = True
        for connection in list(self._server.all_connections):
            with suppress(OSError):  # or a client that reads no more would hold it up
                connection.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()

    def publish(self, events: Iterable[dict[str, Any]]) -> None:
        """From now on these have passed by, too."""
        self.events = [*self.events, *events]

    def fail(self, *faults: Break | Status) -> None:
        """These happen to the next connections, one each, in order."""
        with self._changed:
            self._faults += faults

    def mend(self) -> None:
        """No more faults."""
        with self._changed:
            self._faults.clear()

    def await_requests(self, count: int, give_up: Callable[[], bool]) -> bool:
        """Wait until so many thousands of events were sent; False where `give_up` says so first."""
        with self._changed:
            while len(self.requests) < count:
                if give_up():
                    return False
                self._changed.wait(0.02)
        return True

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        with self._changed:
            fault = self._faults[0] if self._faults else None
            if not isinstance(fault, Status):
                return None
            self._faults.pop(0)
        response = connection.respond(HTTPStatus(fault.code), "<html>Fault of the test</html>")
        if fault.retry_after:
            response.headers["Retry-After"] = fault.retry_after
        return response

    def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        asked = parse_qs(parts.query)
        cursor = int(asked["cursor"][0])
        if not parts.path.endswith("/subscribe") or asked["wantedCollections"] != [POST] or cursor < 10**15:
            connection.close(1008, "not as Jetstream is asked")
            return
        with self._changed:
            self.cursors.append(cursor)
            fault = self._faults.pop(0) if self._faults else None
        assert not isinstance(fault, Status)
        with suppress(ConnectionClosed, OSError):  # the client has gone
            self._send(connection, max(cursor, micros(self.now() - self.kept)), fault)

    def _send(self, connection: ServerConnection, cursor: int, fault: Break | None) -> None:
        for number, event in enumerate(self._passing(cursor)):
            line = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            if number and number % SENT_A_REQUEST == 0:
                with self._changed:
                    self.requests.append(number)
                    self._changed.notify_all()
                time.sleep(self.delay_seconds)
            if fault is not None and number == fault.after:
                if fault.how == "garble":
                    line = line[: len(line) // 2]
                else:
                    self._break(connection, fault.how, line)
                    return
            if self.plan is not None:
                if number % 20 == 0:
                    self.plan.tick()
                if isinstance(event, dict) and isinstance(event.get("commit"), dict) and about(event):
                    self.plan.note_event(uri(event))
            connection.send(line)

    def _passing(self, cursor: int) -> Iterator[Any]:
        """From the cursor on, then the others as they come; in between something always passes."""
        sent = 0
        told = False
        while not self._closing:
            events = self.events
            yield from self.disturb([event for event in events[sent:] if event["time_us"] >= cursor])
            sent = len(events)
            self.last_pages += not told
            told = True
            if not self.quiet:
                yield identity(self.now())
            time.sleep(0.002)

    def _break(self, connection: ServerConnection, how: str, line: str) -> None:
        if how == "close":
            connection.close(1001)
        elif how == "stall":
            while not self._closing and connection.recv_events_thread.is_alive():
                time.sleep(0.01)
        else:
            if how == "cut":
                frame = bytes([0x81, 126]) + len(line.encode()).to_bytes(2) + line.encode()
                connection.socket.sendall(frame[: len(frame) // 2])
            connection.socket.shutdown(socket.SHUT_RDWR)


def disturbed(seed: int, rate: float) -> Callable[[list[dict[str, Any]]], Iterator[Any]]:
    """Events doubled, out of order, with times that cannot be, with more fields than are known; and things that are none."""
    draw = random.Random(seed)
    nonsense: list[Any] = [
        7,
        [],
        {},
        {"kind": "commit"},
        {"kind": "commit", "commit": {"collection": POST, "operation": "create"}},
    ]
    nonsense += [
        {"kind": "commit", "commit": 5},
        {"kind": "account", "account": None},
        {"kind": "new", "time_us": "soon"},
    ]

    def disturb(events: list[dict[str, Any]]) -> Iterator[Any]:
        waiting = list(events)
        while waiting:
            event = waiting.pop(0)
            chance = draw.random() / rate if rate else 1
            if chance < 0.2:
                yield event
            elif chance < 0.4 and waiting and waiting[0]["did"] != event["did"]:
                waiting.insert(1, event)  # Jetstream keeps the order of each account
                continue
            elif chance < 0.5:
                ahead = draw.choice([timedelta(seconds=100), timedelta(days=400)])
                yield event | {"time_us": event["time_us"] + ahead // timedelta(microseconds=1)}
                continue
            elif chance < 0.6:
                yield draw.choice(nonsense)
            elif chance < 0.7:
                event = event | {"new_field": {"$type": "x", "deep": [1, {"y": None}]}}
            yield event

    return disturb
