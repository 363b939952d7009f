"""X and Reddit on the loopback interface: posts of our own making, paged as the platforms page them, and faults on demand.

What the real ones refuse is refused here: a start outside the window, a token of another query, a wrong key.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
import random
import socket
import struct
import threading
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import select

from collector.runner import Runner, Stopped
from data import tables
from data.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from faults import Plan

    from data.settings import Settings
    from data.store import RunRecord

X_TOKEN = "a bearer token of the tests"
REDDIT_ID, REDDIT_SECRET = "an application of the tests", "its secret"
X_EPOCH_MS = 1_288_834_974_657
X_REACH = timedelta(days=7)
COUNTS_ON_A_PAGE = {"/2/tweets/counts/recent": 20_000, "/2/tweets/counts/all": 31}
REACH_OF_ALL = timedelta(days=19 * 365)
REDDIT_REACH = 1_000

_SAYINGS = (
    "eCitizen haifunguki tangu asubuhi, nimejaribu mara nne",
    "Paid for a good conduct certificate on eCitizen & the money is gone, no receipt",
    "eCitizen is back for me, thank you whoever fixed it",
    "Can somebody at #eCitizen answer? My passport application is stuck",
    "e-citizen inasema huduma haipatikani, nini mbaya?",
    "The eCitizen OTP never comes; is it <only> me?",
)
_HANDLES = ("mti_mkavu", "juu_ya_kilima", "chai_baridi", "basi_la_saa_moja", "kalamu_ya_risasi")


@dataclass
class Clock:
    """The time of a test: it stands still, or goes on by `step` each time it is asked."""

    at: datetime
    step: timedelta = timedelta(0)

    def now(self) -> datetime:
        self.at += self.step
        return self.at


@dataclass(frozen=True)
class Fault:
    """What happens to one request in place of its answer; `path` limits it to the requests whose path holds that."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None  # None: the platform's own words for the status
    drop: bool = False
    truncate: bool = False
    reset: bool = False
    stall_seconds: float = 0.0  # of silence, and then the connection is dropped
    edit: Callable[[Any], Any] | None = None
    path: str = ""


def status(code: int, body: Any = None, *, path: str = "", **headers: str) -> Fault:
    """An answer with this status; `x_rate_limit_reset="…"` becomes that header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(code, named, None if body is None else _bytes(body), path=path)


def body(content: Any, *, path: str = "") -> Fault:
    """A 200 with this body: bytes as they are, anything else as JSON."""
    return Fault(body=_bytes(content), path=path)


def edited(change: Callable[[Any], Any], *, path: str = "") -> Fault:
    """The true answer, changed."""
    return Fault(edit=change, path=path)


DROPPED = Fault(drop=True)
TRUNCATED = Fault(truncate=True)
HTML = Fault(headers={"Content-Type": "text/html"}, body=b"<html><h1>Over capacity</h1></html>")


def _bytes(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


class _Answer(Exception):
    """Ends the handling of a request with a status and a JSON body."""

    def __init__(self, code: int, content: Any) -> None:
        super().__init__(code)
        self.code, self.content = code, content


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


class Platform:
    """A threaded server on 127.0.0.1, at its root and under /gateway; use it in a `with` block."""

    repeated: tuple[str, ...] = ()  # parameters that come more than once

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.plan: Plan | None = None  # what goes wrong by itself, beside what `fail` asks for
        self.requests: list[tuple[str, dict[str, str]]] = []  # the path and parameters of each reading request
        self.delay_seconds = 0.0
        self.last_pages = 0  # answers that named no next page
        self.refused = 0  # requests that were wrong
        self.gzipped = 0
        self._faults: list[Fault] = []
        self._changed = threading.Condition()
        self._server = _HttpServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Any:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, *faults: Fault) -> None:
        """These happen to the next requests, one each, in order."""
        with self._changed:
            self._faults += faults

    def mend(self) -> None:
        """No more faults."""
        with self._changed:
            self._faults.clear()

    def await_requests(self, count: int, give_up: Callable[[], bool]) -> bool:
        """Wait until so many reading requests have come in; False where `give_up` says so first."""
        with self._changed:
            while len(self.requests) < count:
                if give_up():
                    return False
                self._changed.wait(0.02)
        return True

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        """The JSON value of a request; raises _Answer for another status than 200."""
        raise NotImplementedError

    def reads(self, path: str) -> bool:
        """Whether the path is one that posts are read from."""
        raise NotImplementedError

    def stream(self, path: str, headers: Any, write: Callable[[bytes], None]) -> int | None:
        """Write to a request that is answered bit by bit, until its end; a status where it is refused, None where it is no such."""
        return None

    def error_body(self, code: int) -> Any:
        """What the platform writes under a status."""
        raise NotImplementedError

    def extra_headers(self) -> dict[str, str]:
        """What the platform sends with every answer."""
        return {}

    def _fault(self, path: str) -> Fault | None:
        with self._changed:
            for fault in self._faults:
                if fault.path in path and (fault.path or self.reads(path)):
                    self._faults.remove(fault)
                    return fault
        return None

    def _reply(
        self, method: str, target: str, headers: Any, form: str
    ) -> tuple[int, dict[str, str], bytes, Fault | None]:
        parts = urlsplit(target.removeprefix("/gateway"))
        query = parts.query if form.startswith("{") else f"{parts.query}&{form}"
        given = parse_qs(query, keep_blank_values=True) | ({"json": [form]} if form.startswith("{") else {})
        parameters = {name: " ".join(values) if name in self.repeated else values[-1] for name, values in given.items()}
        if self.reads(parts.path):
            with self._changed:
                self.requests.append((parts.path, parameters))
                self._changed.notify_all()
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        fault = self._fault(parts.path)
        if fault is None and self.plan is not None:
            fault = self.plan.draw(self, parts.path)
        if fault is not None and (fault.body is not None or fault.status != 200):
            content = _bytes(self.error_body(fault.status)) if fault.body is None else fault.body
            return fault.status, self.extra_headers() | fault.headers, content, fault
        try:
            code, content = 200, self.answer(method, parts.path, parameters, headers)
        except _Answer as answer:
            code, content = answer.code, answer.content
            self.refused += 1
        if fault is not None and fault.edit is not None and code == 200:
            content = fault.edit(content)
        return code, self.extra_headers(), _bytes(content), fault

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def _handle(self) -> None:
                form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                begun = False

                def write(part: bytes) -> None:
                    nonlocal begun
                    if not begun:
                        self.send_response(200)
                        self.send_header("Transfer-Encoding", "chunked")
                        self.end_headers()
                    begun = True
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if part else b"0\r\n\r\n")
                    self.wfile.flush()

                streamed = platform.stream(self.path, self.headers, write)
                if streamed is not None:
                    self.close_connection = True
                    if not begun:
                        self.send_response(streamed)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                    return
                code, headers, content, fault = platform._reply(self.command, self.path, self.headers, form)
                if fault is not None and (fault.drop or fault.reset or fault.stall_seconds):
                    time.sleep(fault.stall_seconds)
                    self.close_connection = True
                    if fault.reset:
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        os.close(self.connection.detach())  # at once, or shutdown() would say a polite good-bye first
                    else:
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                is_whole = code == 200 and not (fault is not None and fault.truncate)
                if platform.plan is not None and is_whole and platform.reads(urlsplit(self.path).path):
                    platform.plan.note(content)
                headers = {"Content-Type": "application/json; charset=utf-8"} | headers
                if content and "gzip" in self.headers.get("Accept-Encoding", ""):
                    content = gzip.compress(content, 1)
                    headers["Content-Encoding"] = "gzip"
                    platform.gzipped += 1
                self.send_response(code)
                for name, value in headers.items():
                    if value:  # "" takes a header out that is otherwise always sent
                        self.send_header(name, value)
                if self.close_connection:
                    self.send_header("Connection", "close")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if fault is not None and fault.truncate:
                    content = content[: len(content) // 2]
                    self.close_connection = True
                self.wfile.write(content)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = _handle

            def log_message(self, *_words: Any) -> None:
                pass

        return Handler


@dataclass(frozen=True)
class XPost:
    """A post as X keeps it; the time is in the id."""

    id: int
    text: str
    username: str = "mti_mkavu"
    author_id: str = "1001"
    lang: str = "en"
    replied_to: str | None = None
    says_when: bool = True  # recorded answers lack created_at
    history: tuple[int, ...] = ()  # of an edited post: the ids of its versions up to this one

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(((self.id >> 22) + X_EPOCH_MS) / 1000, UTC)


def x_id(at: datetime, sequence: int = 0) -> int:
    """The id that X gives at a moment."""
    return (round(at.timestamp() * 1000) - X_EPOCH_MS << 22) | sequence


def x_posts(count: int, newest: datetime, every: timedelta = timedelta(minutes=1), seed: int = 0) -> list[XPost]:
    """Posts at even steps back from a moment."""
    draw = random.Random(seed)
    posts = []
    for number in range(count):
        author = draw.randrange(len(_HANDLES))
        text = f"{draw.choice(_SAYINGS)} ({seed}/{number})"
        posts.append(XPost(x_id(newest - number * every, seed % 4096), text, _HANDLES[author], str(1001 + author)))
    return posts


class XPlatform(Platform):
    """Recent search of X API v2."""

    ROUTE, ALL = "/2/tweets/search/recent", "/2/tweets/search/all"
    COUNTS, ALL_COUNTS = "/2/tweets/counts/recent", "/2/tweets/counts/all"

    def __init__(self, now: Callable[[], datetime], posts: Iterable[XPost] = ()) -> None:
        super().__init__(now)
        self.posts = {post.id: post for post in posts}
        self.spelling = "tweet"  # or "post": which names of fields are known
        self.count_name = "tweet_count"  # or "post_count"
        self.posts_read = 0
        self.billed_usd: Counter[str] = Counter()  # by UTC day: posts, the authors named with them, and counts
        self.billed_posts: Counter[str] = Counter()
        self._billed: set[tuple[str, str, int | str]] = set()
        self.counts_asked = 0
        self.most = 100  # posts on a page, however many are asked for
        self._tokens: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = {}
        self._count_tokens: dict[str, datetime] = {}

    def publish(self, posts: Iterable[XPost]) -> None:
        """From now on these are found, too."""
        self.posts |= {post.id: post for post in posts}

    def forget_tokens(self) -> None:
        """Every next_token given so far is stale."""
        self._tokens.clear()

    def empty_page(self) -> Fault:
        """An answer without a post that yet names a next page: all of the page was filtered away, and comes after it."""

        def empty(_answer: Any) -> Any:
            parameters = self.requests[-1][1]
            highest = self._bounds(parameters)[1]
            return {"meta": {"result_count": 0, "next_token": self._new_token(highest, parameters)}}

        return edited(empty)

    def reads(self, path: str) -> bool:
        return path == self.ROUTE or path == self.ALL

    def error_body(self, code: int) -> Any:
        return {"title": "Fault", "detail": "of the test", "type": "about:blank", "status": code}

    def extra_headers(self) -> dict[str, str]:
        left = 450 - len(self.requests) % 450
        return {"x-rate-limit-limit": "450", "x-rate-limit-remaining": str(left), "x-rate-limit-reset": _soon(900)}

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if method != "GET" or path not in {self.ROUTE, self.ALL, *COUNTS_ON_A_PAGE}:
            raise _Answer(404, self.error_body(404))
        if headers.get("Authorization") != f"Bearer {X_TOKEN}":
            raise _Answer(401, self.error_body(401))
        if path in COUNTS_ON_A_PAGE:
            return self._counts(path, parameters)
        self._check_names(parameters)
        fields = set(parameters.get(f"{self.spelling}.fields", "id").split(","))
        plain = {"id", "text", "created_at", "author_id", "lang", f"note_{self.spelling}"}
        for name in fields - plain - ({"edit_history_tweet_ids"} if self.spelling == "tweet" else set()):
            if name != f"referenced_{self.spelling}s":
                self._refuse("fields", parameters, f"{self.spelling}.fields: [{name}] is not one of its values")
        most = self._number(parameters, "max_results", "10", 10, 500 if path == self.ALL else 100)
        lowest, highest = self._bounds(parameters, REACH_OF_ALL if path == self.ALL else X_REACH)
        found = sorted((post for post in self.posts.values() if lowest < post.id < highest), key=lambda post: -post.id)
        most = min(most, self.most)
        page, rest = found[:most], found[most:]
        answer: dict[str, Any] = {"meta": {"result_count": len(page)}}
        if page:
            answer["data"] = [self._shown(post, fields) for post in page]
            answer["meta"] |= {"newest_id": str(page[0].id), "oldest_id": str(page[-1].id)}
            if parameters.get("expansions") == "author_id":
                users = {post.author_id: post.username for post in page}
                answer["includes"] = {
                    "users": [{"id": user, "username": name, "name": name} for user, name in users.items()]
                }
        if rest:
            answer["meta"]["next_token"] = self._new_token(page[-1].id, parameters)
        else:
            self.last_pages += 1
        self.posts_read += len(page)
        self._bill_posts(page)
        return answer

    def _bill_posts(self, page: Iterable[XPost]) -> None:
        """A post, and the author named with it, is billed once a UTC day."""
        day = f"{self.now():%Y-%m-%d}"
        with self._changed:
            for post in page:
                for kind, number, usd in (("post", post.id, 0.005), ("user", post.author_id, 0.010)):
                    if (day, kind, number) not in self._billed:
                        self._billed.add((day, kind, number))
                        self.billed_usd[day] += usd
                        self.billed_posts[day] += kind == "post"

    def _counts(self, path: str, parameters: dict[str, str]) -> Any:
        for name in parameters.keys() - {"query", "granularity", "start_time", "end_time", "next_token"}:
            self._refuse(name, parameters, f"The query parameter [{name}] is not known")
        step = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
        width = step[parameters.get("granularity", "hour")]
        asked = {name: value for name, value in parameters.items() if name != "next_token"}
        lowest, _ = self._bounds(asked, REACH_OF_ALL if path == self.ALL_COUNTS else X_REACH)
        start = datetime.strptime(parameters["start_time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        end = datetime.strptime(parameters["end_time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if not start < end <= self.now() - timedelta(seconds=10):
            self._refuse(
                "end_time", parameters, "'end_time' must be at least 10 seconds before now, and after start_time"
            )
        if "next_token" in parameters:  # the newest come first, page by page
            end = self._count_tokens[parameters["next_token"]]
        moments = sorted(post.at for post in self.posts.values() if lowest < post.id)
        shown: list[Any] = []
        while end > start and len(shown) < COUNTS_ON_A_PAGE[path]:
            cut = end.replace(second=0, microsecond=0)
            cut = cut.replace(minute=0) if width > step["minute"] else cut
            cut = cut.replace(hour=0) if width > step["hour"] else cut
            begin = max(start, cut if cut < end else cut - width)
            found = bisect_left(moments, end) - bisect_left(moments, begin)
            shown.append({"start": f"{begin:%FT%T}.000Z", "end": f"{end:%FT%T}.000Z", self.count_name: found})
            end = begin
        shown.reverse()
        meta: dict[str, Any] = {"total_tweet_count": sum(each[self.count_name] for each in shown)}
        if end > start:
            meta["next_token"] = f"c{len(self._count_tokens)}"
            self._count_tokens[meta["next_token"]] = end
        self.counts_asked += 1
        with self._changed:
            self.billed_usd[f"{self.now():%Y-%m-%d}"] += 0.010 if path == self.ALL_COUNTS else 0.005
        return {"data": shown, "meta": meta}

    def _check_names(self, parameters: dict[str, str]) -> None:
        known = {"query", "max_results", "next_token", "since_id", "until_id", "start_time", "end_time", "expansions"}
        known |= {"user.fields", f"{self.spelling}.fields"}
        for name in parameters:
            if name not in known:
                self._refuse(name, parameters, f"The query parameter [{name}] is not one of [{', '.join(known)}]")
        if not 0 < len(parameters.get("query", "")) <= 512:
            self._refuse("query", parameters, "query: size must be between 1 and 512")
        if "since_id" in parameters and "start_time" in parameters:
            self._refuse("since_id", parameters, "'since_id' and 'start_time' exclude each other")

    def _bounds(self, parameters: dict[str, str], reach: timedelta = X_REACH) -> tuple[int, int]:
        """The ids between which posts are looked for, both excluded."""
        oldest = self.now() - reach
        lowest, highest = x_id(oldest) - 1, x_id(self.now() + timedelta(days=1))
        if "start_time" in parameters:
            start = datetime.strptime(parameters["start_time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            if not oldest <= start <= self.now() - timedelta(seconds=10):
                self._refuse("start_time", parameters, f"Invalid 'start_time'. Must be on or after {oldest:%FT%H:%MZ}")
            lowest = x_id(start) - 1
        if "end_time" in parameters:
            end = datetime.strptime(parameters["end_time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            highest = x_id(end)
        for name in ("since_id", "until_id"):
            if name in parameters and int(parameters[name]) < x_id(oldest):
                self._refuse(name, parameters, f"'{name}' must be a tweet id created after {oldest:%FT%H:%MZ}")
        lowest = int(parameters.get("since_id", lowest))
        if "until_id" in parameters and "end_time" in parameters:
            self._refuse("until_id", parameters, "'until_id' and 'end_time' exclude each other")
        highest = int(parameters.get("until_id", highest))
        if highest <= lowest:
            self._refuse("until_id", parameters, "'until_id' must be larger than 'since_id' and after 'start_time'")
        if "next_token" in parameters:
            below, of_query = self._tokens.get(parameters["next_token"], (0, ()))
            if of_query != self._query_of(parameters):
                self._refuse("next_token", parameters, "Invalid 'next_token'")
            highest = min(highest, below)
        return lowest, highest

    def _number(self, parameters: dict[str, str], name: str, default: str, low: int, high: int) -> int:
        value = int(parameters.get(name, default))
        if not low <= value <= high:
            self._refuse(name, parameters, f"{name} is not between {low} and {high}")
        return value

    def _new_token(self, below: int, parameters: dict[str, str]) -> str:
        token = f"b26v89c19zqg8o3f{len(self._tokens):08d}"
        self._tokens[token] = (below, self._query_of(parameters))
        return token

    @staticmethod
    def _query_of(parameters: dict[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((name, value) for name, value in parameters.items() if name != "next_token"))

    @staticmethod
    def _refuse(name: str, parameters: dict[str, str], message: str) -> None:
        error = {"parameters": {name: [parameters.get(name)]}, "message": message}
        problem = "https://api.twitter.com/2/problems/invalid-request"
        raise _Answer(400, {"errors": [error], "title": "Invalid Request", "detail": "…", "type": problem})

    def _shown(self, post: XPost, fields: set[str]) -> dict[str, Any]:
        escaped = html.escape(post.text, quote=False)
        shown: dict[str, Any] = {"id": str(post.id), "text": escaped}
        history = "edit_history_tweet_ids" if self.spelling == "tweet" else "edit_history_post_ids"
        shown[history] = [str(version) for version in post.history or (post.id,)]
        if len(post.text) > 280:
            shown["text"] = escaped[:279] + "…"
            if f"note_{self.spelling}" in fields:
                shown[f"note_{self.spelling}"] = {"text": escaped}
        given: dict[str, Any] = {"author_id": post.author_id, "lang": post.lang}
        if post.says_when:
            given["created_at"] = f"{post.at:%Y-%m-%dT%H:%M:%S}.{post.at.microsecond // 1000:03d}Z"
        if post.replied_to:
            reference = "referenced_tweets" if self.spelling == "tweet" else "referenced_posts"
            given[reference] = [{"type": "replied_to", "id": post.replied_to}]
        return shown | {name: value for name, value in given.items() if name in fields}


@dataclass(frozen=True)
class RedditItem:
    """A submission (with a title) or a comment as Reddit keeps it; the id is without its type."""

    id: str
    at: datetime
    text: str
    title: str | None = None
    author: str | None = "mti_mkavu"
    parent: str = "t3_zzz"
    in_subreddits: bool = False  # whether the submission is in one of those that are named; comments all are

    @property
    def name(self) -> str:
        return f"{'t1' if self.title is None else 't3'}_{self.id}"


def submissions(
    count: int, newest: datetime, every: timedelta = timedelta(minutes=7), seed: int = 0
) -> list[RedditItem]:
    """Submissions about eCitizen at even steps back from a moment."""
    return [replace(each, title=f"Help with eCitizen {each.id}") for each in comments(count, newest, every, seed)]


def comments(count: int, newest: datetime, every: timedelta = timedelta(minutes=3), seed: int = 0) -> list[RedditItem]:
    """Comments that mention eCitizen at even steps back from a moment."""
    draw = random.Random(seed)
    return [
        RedditItem(f"{seed}x{number}", newest - number * every, draw.choice(_SAYINGS), author=draw.choice(_HANDLES))
        for number in range(count)
    ]


class RedditPlatform(Platform):
    """The token endpoint, the search over all of Reddit, and the submissions and comments of some subreddits."""

    TOKEN, SEARCH, INFO = "/api/v1/access_token", "/r/all/search", "/api/info"

    def __init__(self, now: Callable[[], datetime], items: Iterable[RedditItem] = ()) -> None:
        super().__init__(now)
        self.items = list(items)
        self.lists = REDDIT_REACH
        self.most = 100  # items on a page
        self.vague_end = False  # whether a full page names a next one even where nothing follows
        self._gone: dict[str | None, datetime] = {}  # by name; a listing goes on after one of them, too
        self._access_token = base64.b64encode(random.randbytes(9)).decode()

    def publish(self, items: Iterable[RedditItem]) -> None:
        """From now on these are listed, too."""
        self.items += items

    def delete(self, gone: RedditItem) -> None:
        """From now on this is not listed."""
        self._gone[gone.name] = gone.at
        self.items = [item for item in self.items if item is not gone]

    def reads(self, path: str) -> bool:
        return path != self.TOKEN

    def error_body(self, code: int) -> Any:
        return {"message": "Fault of the test", "error": code}

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        path = path.rstrip("/")
        if path == self.TOKEN:
            login = base64.b64encode(f"{REDDIT_ID}:{REDDIT_SECRET}".encode()).decode()
            if headers.get("Authorization") != f"Basic {login}":
                raise _Answer(401, {"message": "Unauthorized", "error": 401})
            return {"access_token": self._access_token, "token_type": "bearer", "expires_in": 86_400, "scope": "*"}
        if headers.get("Authorization") != f"bearer {self._access_token}":
            raise _Answer(401, {"message": "Unauthorized", "error": 401})
        if path == self.INFO:
            wanted = parameters["id"].split(",")
            if len(wanted) > 100:
                raise _Answer(400, self.error_body(400))
            found = [reddit_child(item) for item in self.items if item.name in wanted]
            return {"kind": "Listing", "data": {"after": None, "before": None, "dist": len(found), "children": found}}
        is_search = path == self.SEARCH
        is_new = path.startswith("/r/") and path.endswith("/new")
        if not is_search and not is_new and not (path.startswith("/r/") and path.endswith("/comments")):
            raise _Answer(404, self.error_body(404))
        if is_search and (parameters.get("sort") != "new" or not parameters.get("q")):
            raise _Answer(400, self.error_body(400))
        listed = [item for item in self.items if (item.title is not None) == (is_search or is_new)]
        listed = [item for item in listed if item.in_subreddits or not is_new]
        listed = sorted(listed, key=lambda item: item.at, reverse=True)[: self.lists]
        names = [item.name for item in listed]
        after = parameters.get("after")
        begin = names.index(after) + 1 if after in names else 0 if after is None else len(names)
        if after in self._gone:
            begin = sum(item.at >= self._gone[after] for item in listed)
        page = listed[begin : begin + min(int(parameters.get("limit", 25)), self.most)]
        more = begin + len(page) < len(listed)
        self.last_pages += not more
        more = more or (self.vague_end and len(page) == 100)
        raw = parameters.get("raw_json") == "1"
        children = [reddit_child(item, raw=raw) for item in page]
        return {
            "kind": "Listing",
            "data": {
                "after": page[-1].name if page and more else None,
                "before": None,
                "dist": len(page),
                "modhash": None,
                "children": children,
            },
        }


def reddit_child(item: RedditItem, *, raw: bool = False) -> dict[str, Any]:
    """An item as Reddit lists it; without `raw_json` it escapes & < >."""
    shown = item.text if raw else html.escape(item.text, quote=False)
    fields: dict[str, Any] = {
        "id": item.id,
        "name": item.name,
        "author": item.author or "[deleted]",
        "created_utc": item.at.timestamp(),
        "subreddit": "Kenya",
        "subreddit_id": "t5_2qmqe",
        "permalink": f"/r/Kenya/comments/{item.id}/",
    }
    if item.author:
        fields["author_fullname"] = f"t2_{item.author[:4]}"
    if item.title is None:
        fields |= {"body": shown, "parent_id": item.parent, "link_id": item.parent, "replies": ""}
    else:
        title = item.title if raw else html.escape(item.title, quote=False)
        fields |= {"title": title, "selftext": shown, "is_self": True, "num_comments": 0, "url": "https://example.org/"}
    return {"kind": item.name[:2], "data": fields}


def _soon(seconds: int) -> str:
    return str(int(time.time()) + seconds)


class Reading:
    """Collects a source as the command does, each run with streams of its own, without sleeping: waits are recorded."""

    def __init__(self, module: ModuleType, settings: Settings, clock: Clock) -> None:
        self._module, self._settings, self._clock = module, settings, clock
        self.source: str = module.NAME
        self.store: Store = open_store(settings)
        self.waits: list[float] = []
        self._pages_left: int | None = None

    def run(
        self, *, stop_after: int | None = None, report: Callable[[str], None] = lambda _line: None
    ) -> RunRecord | None:
        """One run; `stop_after` asks it to stop after so many pages, and None is returned where it did."""
        self.waits.clear()
        self._pages_left = stop_after
        runner = Runner(self.store, self._clock.now, self._wait, report)
        try:
            return runner.collect(self.source, self._module.open_streams(self._settings))
        except Stopped:
            return None

    def _wait(self, seconds: float) -> bool:
        if seconds:
            self.waits.append(seconds)
            return False
        if self._pages_left is not None:
            self._pages_left -= 1
        return self._pages_left == 0

    def rows(self) -> dict[str, Any]:
        """What is stored, by id."""
        with self.store.engine.connect() as connection:
            query = select(tables.posts).where(tables.posts.c.source == self.source)
            return {row.id: row for row in connection.execute(query)}

    def outcomes(self) -> list[str | None]:
        """How the kept runs ended, in their order."""
        with self.store.engine.connect() as connection:
            return list(connection.execute(select(tables.runs.c.outcome).order_by(tables.runs.c.id)).scalars())

    def coverage(self, stream: str, *, gaps: bool = False) -> list[tuple[datetime, datetime]]:
        """The spans that a stream looked at, or could not."""
        table = tables.coverage
        query = select(table).where(table.c.source == self.source, table.c.stream == stream).order_by(table.c.from_at)
        with self.store.engine.connect() as connection:
            found = connection.execute(query).all()
        return [(row.from_at, row.to_at) for row in found if (row.gap_reason is not None) == gaps]

    def assert_nothing_claimed_unread(self, stream: str, served: Mapping[str, datetime]) -> None:
        """Every served post inside a covered span is stored: neither cursor nor coverage runs ahead of the posts."""
        stored = self.rows().keys()
        for from_at, to_at in self.coverage(stream):
            unread = [id_ for id_, at in served.items() if from_at < at <= to_at and id_ not in stored]
            assert not unread, f"{from_at}..{to_at} counts as looked at, {len(unread)} posts of it are not stored"
