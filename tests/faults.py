"""What goes wrong, by seed: one plan for the servers of every source, and the ledger of what they served whole."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from jetstream import Break, Status
from platforms import DROPPED, HTML, TRUNCATED, Fault, XPlatform, _bytes, body, edited, status, x_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from platforms import Platform

REFUSALS = (401, 402, 403, 404)
FAILURES = (500, 501, 502, 503, 504)
OLD = timedelta(hours=2), timedelta(days=6), timedelta(days=400)
FAR_AHEAD, A_LITTLE_AHEAD = timedelta(days=400), timedelta(hours=3)  # more than the store takes, and less
_NEW_FIELD = {"$type": "new", "deep": [1, {"y": None}]}


class Pages:
    """How the answers of a platform hold its posts: a JSON list, and each post its fields."""

    old = OLD  # so long ago is a post that stands on an early page

    def read(self, content: bytes) -> list[Any]:
        """The posts of an answer, as they stand in it."""
        raise NotImplementedError

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        """The same answer with other posts."""
        raise NotImplementedError

    def id(self, post: Any) -> str | None:
        """What the post is called in the store; None where it is broken."""
        raise NotImplementedError

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        """Another post like this one, written at a moment."""
        raise NotImplementedError

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        """Another post like this one, without a field that a post must have."""
        raise NotImplementedError

    def bare(self, post: Any) -> Any:
        """The same post without the fields that it need not have."""
        raise NotImplementedError

    def more(self, post: Any) -> Any:
        """The same post with a field that nobody knows."""
        return post | {"new_field": _NEW_FIELD}

    def leads_on(self, content: bytes, requests: list[tuple[str, dict[str, str]]]) -> bool:
        """Whether another page follows: an old post on the last page may be one that was written then."""
        return True

    def is_first(self, path: str, parameters: dict[str, str]) -> bool:
        """Whether the first page of a walk is asked for."""
        return not parameters.keys() & {"after", "max_id", "until_id", "next_token"}

    def back(self, content: bytes, before: list[list[Any]]) -> bytes:
        """An answer that goes back: in place of a page, one that was there `before` in the same walk."""
        return self.write(content, before[0]) if before else content

    def ends_early(self, content: bytes, requests: list[tuple[str, dict[str, str]]]) -> bytes:
        """A later page without a post, where others follow, and with them if it is asked for again; `requests`: up to this one."""
        return content

    def empty(self, platform: Platform) -> Fault:
        """An answer without a post: the first page alone, for an end that a later page names is the end."""

        def edit(content: Any) -> bytes:
            whole = _bytes(content)
            return self.write(whole, []) if self.is_first(*platform.requests[-1]) and self.read(whole) else whole

        return edited(edit)


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _without(post: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in post.items() if name not in names}


class XPages(Pages):
    def read(self, content: bytes) -> list[Any]:
        return list(json.loads(content).get("data", []))

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        return json.dumps(json.loads(content) | {"data": posts}).encode()

    def id(self, post: Any) -> str | None:
        return post.get("id") if "text" in post else None

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        return post | {"id": str(x_id(at, number % 4096)), "created_at": _iso(at)}

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        return _without(post | {"id": str(int(post["id"]) + 1)}, draw.choice(["id", "text"]))

    def bare(self, post: Any) -> Any:
        return _without(post, "lang", "author_id", "created_at", "edit_history_tweet_ids")

    def empty(self, platform: Platform) -> Fault:
        """Not the last, and names a way on: an answer that has nothing to say is X's word that there is nothing."""
        assert isinstance(platform, XPlatform)
        return platform.empty_page()


class RedditPages(Pages):
    def read(self, content: bytes) -> list[Any]:
        return list(json.loads(content)["data"]["children"])

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        answer = json.loads(content)
        answer["data"]["children"] = posts
        return json.dumps(answer).encode()

    def id(self, post: Any) -> str | None:
        fields = post["data"]
        return fields["name"] if "created_utc" in fields and ("body" in fields or "title" in fields) else None

    def _with(self, post: Any, **fields: Any) -> Any:
        return post | {"data": post["data"] | fields}

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        id_ = f"ahead{number}"
        return self._with(post, id=id_, name=f"{post['kind']}_{id_}", created_utc=at.timestamp())

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        id_ = f"broken{number}"
        post = self._with(post, id=id_, name=f"{post['kind']}_{id_}")
        missing = draw.choice([["created_utc"], ["body", "title", "selftext"]])
        return post | {"data": _without(post["data"], *missing)}

    def bare(self, post: Any) -> Any:
        return post | {"data": _without(post["data"], "author_fullname", "subreddit", "permalink", "link_id")}

    def more(self, post: Any) -> Any:
        return self._with(post, new_field=_NEW_FIELD)

    def empty(self, platform: Platform) -> Fault:
        """Of the first page, which then names a next one or none."""
        emptied = super().empty(platform).edit
        assert emptied is not None

        def edit(content: Any) -> bytes:
            whole = emptied(content)
            if whole == _bytes(content) or len(platform.requests) % 2:
                return whole
            answer = json.loads(whole)
            answer["data"]["after"] = None
            return json.dumps(answer).encode()

        return edited(edit)

    def leads_on(self, content: bytes, requests: list[tuple[str, dict[str, str]]]) -> bool:
        return bool(json.loads(content)["data"]["after"])

    def back(self, content: bytes, before: list[list[Any]]) -> bytes:
        answer = json.loads(content)
        if not answer["data"]["after"]:
            return content
        answer["data"]["after"] = answer["data"]["children"][0]["data"]["name"]
        return json.dumps(answer).encode()


class MastodonPages(Pages):
    _URI = re.compile(r"https://([^/]+)/users/[^/]+/statuses/(\w+)")

    def read(self, content: bytes) -> list[Any]:
        return list(json.loads(content))

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        return json.dumps(posts).encode()

    def id(self, post: Any) -> str | None:
        match = self._URI.fullmatch(post.get("uri", ""))
        return "/".join(match.groups()) if match and {"content", "created_at"} <= post.keys() else None

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        return self._other(post, number) | {"created_at": _iso(at)}

    def _other(self, post: Any, number: int) -> Any:
        uri = re.sub(r"\w+$", f"o{number}", post["uri"])
        return post | {"id": str(int(post["id"]) + 1), "uri": uri, "url": uri}

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        # Without a time a post gets that of its id, and is one.
        return _without(self._other(post, number), *draw.choice([["uri", "url"], ["content"]]))

    def bare(self, post: Any) -> Any:
        return _without(post, "language", "edited_at", "card", "poll", "emojis", "in_reply_to_id", "account")

    def ends_early(self, content: bytes, requests: list[tuple[str, dict[str, str]]]) -> bytes:
        return content if self.is_first(*requests[-1]) or requests[-1] in requests[-3:-1] else b"[]"


class FeedPages(Pages):
    _ITEM = re.compile(rb"<(item|entry)>.*?</\1>", re.DOTALL)
    _LINK = re.compile(rb"https://habari\.example/\w+")
    _TIME = re.compile(rb"<(pubDate|updated)>.*?</\1>")

    old = OLD[1:]  # not among the three newest, by which the feed is known again

    def leads_on(self, content: bytes, requests: list[tuple[str, dict[str, str]]]) -> bool:
        return len(self.read(content)) > 6  # of fewer items it cannot be known which are out of place

    def read(self, content: bytes) -> list[Any]:
        return [match[0] for match in self._ITEM.finditer(content)]

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        head, *_ = self._ITEM.split(content, maxsplit=1)
        tail = content[content.rindex(b"</channel>" if b"</channel>" in content else b"</feed>") :]
        return head.removesuffix(tail) + b"".join(posts) + tail

    def id(self, post: Any) -> str | None:
        link = self._LINK.search(post)
        return hashlib.sha256(link[0]).hexdigest()[:32] if link and self._TIME.search(post) else None

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        written = format_datetime(at) if b"<pubDate>" in post else f"{at:%Y-%m-%dT%H:%M:%SZ}"
        post = self._LINK.sub(f"https://habari.example/ahead{number}".encode(), post)
        return self._TIME.sub(rf"<\1>{written}</\1>".encode(), post)

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        post = self._LINK.sub(f"https://habari.example/broken{number}".encode(), post)
        return self._TIME.sub(b"", post) if draw.random() < 0.5 else self._LINK.sub(b"", post)

    def bare(self, post: Any) -> Any:
        return re.sub(rb"<(language)>.*?</\1>", b"", post)

    def back(self, content: bytes, before: list[list[Any]]) -> bytes:
        return content  # one page is all there is

    def more(self, post: Any) -> Any:
        return re.sub(rb"(</(?:item|entry)>)\Z", rb"<new:field xmlns:new='urn:new'>1</new:field>\1", post)


class PlayPages(Pages):
    def read(self, content: bytes) -> list[Any]:
        answer = self._answer(content)
        return list(answer[0]) if answer else []

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        answer = self._answer(content)
        return self._wrapped(content, [posts, *answer[1:]])

    @staticmethod
    def _answer(content: bytes) -> Any:
        return json.loads(json.loads(content.removeprefix(b")]}'"))[0][2])

    @staticmethod
    def _wrapped(content: bytes, answer: Any) -> bytes:
        lines = json.loads(content.removeprefix(b")]}'"))
        lines[0][2] = json.dumps(answer)
        return b")]}'\n\n" + json.dumps(lines).encode()

    def id(self, post: Any) -> str | None:
        return f"play/{post[0]}" if len(post) > 5 and post[0] and post[4] and post[5] else None

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        return [f"ahead{number}", *post[1:5], [int(at.timestamp()), 0], *post[6:]]

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        place = draw.choice([4, 5])
        return [f"broken{number}", *post[1:place], None, *post[place + 1 :]]

    def bare(self, post: Any) -> Any:
        return [post[0], None, post[2], None, *post[4:6]]

    def more(self, post: Any) -> Any:
        return [*post, _NEW_FIELD]

    def leads_on(self, content: bytes, requests: list[tuple[str, dict[str, str]]]) -> bool:
        return len(self._answer(content)) > 1

    def is_first(self, path: str, parameters: dict[str, str]) -> bool:
        (((_, wanted, _, _),),) = json.loads(parameters["f.req"])
        return len(json.loads(wanted)[1][2]) < 3

    def back(self, content: bytes, before: list[list[Any]]) -> bytes:
        answer = self._answer(content)
        if len(answer) < 2:
            return content
        return self._wrapped(content, [answer[0], [None, f"token-{answer[0][0][0]}"], *answer[2:]])


class ApplePages(Pages):
    def read(self, content: bytes) -> list[Any]:
        entries = json.loads(content)["feed"].get("entry", [])
        return [each for each in (entries if isinstance(entries, list) else [entries]) if "im:rating" in each]

    def write(self, content: bytes, posts: list[Any]) -> bytes:
        answer = json.loads(content)
        answer["feed"]["entry"] = posts
        return json.dumps(answer).encode()

    def id(self, post: Any) -> str | None:
        return f"apple/{post['id']['label']}" if {"id", "updated"} <= post.keys() else None

    def dated(self, post: Any, number: int, at: datetime) -> Any:
        return post | {"id": {"label": f"ahead{number}"}, "updated": {"label": at.isoformat()}}

    def broken(self, post: Any, number: int, draw: random.Random) -> Any:
        return _without(post | {"id": {"label": f"broken{number}"}}, draw.choice(["id", "updated"]))

    def bare(self, post: Any) -> Any:
        return _without(post, "author", "im:version", "title")

    def is_first(self, path: str, parameters: dict[str, str]) -> bool:
        return "page=1/" in path


class Plan:
    """The faults of one run of the campaign, the same for the same seed and the same requests, and what was served whole.

    Each request of a platform is answered wrongly with the probability `rate`. What is wrong with a page is wrong with its
    answer: a post of ours is never changed in what a post must have, for then it would not have been served. Posts that are
    wrong are put in beside ours.
    """

    def __init__(self, seed: int, rate: float, pages: Pages | None, stall_seconds: float) -> None:
        self.draw_from = random.Random(seed)
        self.rate, self.pages, self.stall_seconds = rate, pages, stall_seconds
        self.injected: Counter[str] = Counter()
        self.served: set[str] = set()  # ids in the store, of posts that were served whole
        self.never: set[str] = set()  # ids of posts that were served and are none
        self.refused: dict[str, datetime] = {}  # the path, and the time of the server
        self.requests = 0
        self.on_request: Callable[[], None] = lambda: None
        self._junk = 0
        self._before: dict[tuple[int, str], list[list[Any]]] = {}  # the pages of a walk that were served as they are
        self._changed = threading.Condition(threading.RLock())

    def tick(self) -> None:
        """A request, or some events of a stream."""
        with self._changed:
            self.requests += 1
            self.on_request()
            self._changed.notify_all()

    def await_requests(self, count: int, give_up: Callable[[], bool]) -> None:
        """Wait until there were so many, or `give_up` says so."""
        with self._changed:
            while self.requests < count and not give_up():
                self._changed.wait(0.005)

    def note(self, content: bytes) -> None:
        """This was served whole."""
        assert self.pages is not None
        try:
            posts = self.pages.read(content)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return  # it is one of the bodies that are none
        ids = {id_ for post in posts if (id_ := self._id(post)) is not None}
        with self._changed:
            self.served |= ids

    def _id(self, post: Any) -> str | None:
        assert self.pages is not None
        try:
            return self.pages.id(post)
        except (TypeError, KeyError, IndexError, AttributeError):
            return None

    def note_event(self, id_: str) -> None:
        """This was sent whole."""
        with self._changed:
            self.served.add(id_)

    def draw(self, platform: Platform, path: str) -> Fault | None:
        """What is to happen to this request; None: nothing."""
        with self._changed:
            self.tick()
            if not platform.reads(path):  # a login
                kinds = self._answers() if self._strikes() else {}
            else:
                assert self.pages is not None
                walk = id(platform), re.sub(r"\d+", "", path)
                if self.pages.is_first(*platform.requests[-1]) or walk not in self._before:
                    self._before[walk] = []
                before = self._before[walk]
                kinds = self._answers() | self._pages_gone_wrong(platform, before) if self._strikes() else {}
                kinds = kinds or {"": self._remembered(before)}
            if not kinds:
                return None
            kind = self.draw_from.choice(list(kinds))
            if kind in map(str, REFUSALS):
                self.refused[path] = platform.now()
            fault = kinds[kind]
            if fault.edit is None:
                self.injected[kind] += 1
            return fault

    def _strikes(self) -> bool:
        return self.draw_from.random() < self.rate

    def _answers(self) -> dict[str, Fault]:
        """Answers that are wrong whatever was asked."""
        draw = self.draw_from
        soon = str(int(time.time()) + draw.choice([-100, 1, 600, 10**6]))
        reset = {"x-rate-limit-reset": soon, "X-RateLimit-Reset": soon}
        garbage = draw.choice([b"", b"{", b"[]", b"null", b'{"data":' * 3_000, b"\xff\xfe\x00", b"<rss><item>"])
        if isinstance(self.pages, MastodonPages) and garbage == b"[]":
            garbage = b"{"  # a list without a post is an answer there: see `empty` and `ends_early`
        # A refusal ends a run, so that one in three would end almost every one.
        refusals = REFUSALS if draw.random() < 0.3 else ()
        return {str(code): status(code) for code in (*refusals, *FAILURES)} | {
            "429 with reset": Fault(429, {**reset, "Retry-After": "3"}),
            "429 without reset": Fault(429, dict.fromkeys(reset, "")),
            "time-out": Fault(stall_seconds=self.stall_seconds),
            "reset": Fault(reset=True),
            "dropped": DROPPED,
            "truncated": TRUNCATED,
            "malformed": body(garbage),
            "HTML": HTML,
        }

    def _pages_gone_wrong(self, platform: Platform, before: list[list[Any]]) -> dict[str, Fault]:
        pages = self.pages
        assert pages is not None
        self._junk += 10
        number, draw = self._junk, random.Random(self.draw_from.random())

        def changed(kind: str, change: Callable[[list[Any]], list[Any]]) -> Fault:
            def edit(whole: bytes) -> bytes:
                posts = pages.read(whole)
                return pages.write(whole, change(posts)) if posts else whole

            return self._counted(kind, edit)

        def beside(make: Callable[[Any, int], Any], *, never: bool = False) -> Callable[[list[Any]], list[Any]]:
            def change(posts: list[Any]) -> list[Any]:
                made = [make(draw.choice(posts), number + each) for each in range(draw.randint(1, 3))]
                if never:
                    self.never.update(filter(None, map(self._id, made)))
                for post in made:
                    posts.insert(draw.randint(0, len(posts)), post)
                return posts

            return change

        def ahead(by: timedelta) -> Callable[[Any, int], Any]:
            return lambda post, number: pages.dated(post, number, platform.now() + by)

        def old(whole: bytes) -> bytes:
            posts = pages.read(whole)
            if not posts or not pages.leads_on(whole, platform.requests):
                return whole
            for each in range(draw.randint(1, 2)):
                at = platform.now() - draw.choice(pages.old)
                posts.insert(draw.randint(0, len(posts)), pages.dated(draw.choice(posts), number + each, at))
            return pages.write(whole, posts)

        return {
            "old": self._counted("old", old),
            "duplicated": changed("duplicated", lambda posts: [*posts, *draw.choices(posts, k=3)]),
            "reordered": changed("reordered", lambda posts: draw.sample(posts, len(posts))),
            "overlapping": changed("overlapping", lambda posts: [*(before[-1][-3:] if before else []), *posts]),
            "far ahead": changed("far ahead", beside(ahead(FAR_AHEAD), never=True)),
            "ahead": changed("ahead", beside(ahead(A_LITTLE_AHEAD))),
            "missing fields": changed(
                "missing fields", beside(lambda post, number: pages.broken(post, number, draw), never=True)
            ),
            "fewer fields": changed("fewer fields", lambda posts: [pages.bare(post) for post in posts]),
            "unknown fields": changed("unknown fields", lambda posts: [pages.more(post) for post in posts]),
            "going back": self._counted("going back", lambda whole: pages.back(whole, before)),
            "empty": self._counted("empty", lambda whole: _bytes(pages.empty(platform).edit(whole))),
            "ends early": self._counted("ends early", lambda whole: pages.ends_early(whole, platform.requests)),
        }

    def _counted(self, kind: str, edit: Callable[[bytes], bytes]) -> Fault:
        """An edit that counts as a fault where it changes something."""

        def change(content: Any) -> bytes:
            whole = _bytes(content)
            found = edit(whole)
            if found != whole:
                with self._changed:
                    self.injected[kind] += 1
            return found

        return edited(change)

    def _remembered(self, before: list[list[Any]]) -> Fault:
        """The true answer, kept: a later one can overlap with it, or go back to it."""

        def edit(content: Any) -> Any:
            assert self.pages is not None
            posts = self.pages.read(_bytes(content))
            if posts:
                before.append(posts)
            return content

        return edited(edit)

    def connection_faults(self, most_events: int) -> list[Break | Status]:
        """What happens to the next connections of a stream."""
        faults: list[Break | Status] = []
        draw = self.draw_from
        while draw.random() < self.rate and len(faults) < 4:
            kind = draw.choice(["stall", "drop", "close", "cut", "garble", "500", "502", "503", "429", "401", "404"])
            self.injected[kind] += 1
            after = draw.choice([0, 3, draw.randrange(most_events + 1)])
            faults.append(Status(int(kind)) if kind.isdigit() else Break(kind, after))
        return faults
