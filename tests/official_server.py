"""The timelines of accounts on the loopback interface, as X, Bluesky's AppView and an instance of Mastodon list them."""

from __future__ import annotations

import html
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from platforms import X_TOKEN, Platform, _Answer, x_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

X_ACCOUNT, DID, NAME = "783214", "did:plc:hudumaexample", "huduma"
_WORDS = (
    "Kindly note that the system is under maintenance",
    "Access to services has been restored",
    "Hello, kindly DM us your reference",
    "Tunafahamu tatizo la kuingia, tunalifanyia kazi",
)


@dataclass(frozen=True)
class Said:
    """A post of the account, or one that it reposted (`by_another`)."""

    number: int
    at: datetime
    text: str
    by_another: bool = False
    reply_to: int | None = None


def sayings(count: int, newest: datetime, every: timedelta = timedelta(minutes=10), seed: int = 0) -> list[Said]:
    """Posts at even steps back from a moment; each third answers somebody."""
    draw = random.Random(seed)
    return [
        Said(
            seed * 100_000 + n,
            newest - n * every,
            f"{draw.choice(_WORDS)} ({seed}/{n})",
            reply_to=7 if n % 3 == 0 else None,
        )
        for n in range(count)
    ]


class Accounts(Platform):
    """One account on each of the three platforms, with the same posts."""

    def __init__(self, now: Callable[[], datetime], posts: Iterable[Said] = ()) -> None:
        super().__init__(now)
        self.posts = list(posts)
        self.most = 100  # on a page
        self.spelling = "tweet"
        self.x_lists = 3_200
        self.page_of: str | None = None  # the address that the lookup names; None: the account's own

    def reads(self, path: str) -> bool:
        return path.startswith("/2/users/") or "getAuthorFeed" in path or path.endswith("/statuses")

    def error_body(self, code: int) -> Any:
        return {"error": f"Fault{code}", "title": "Fault", "status": code}

    @property
    def page(self) -> str:
        """The Mastodon account's own address."""
        return f"{self.url}/@{NAME}"

    def x_key(self, post: Said) -> str:
        return str(x_id(post.at, post.number % 4096))

    def bluesky_key(self, post: Said) -> str:
        return f"at://{DID}/app.bsky.feed.post/3k{post.number:011d}"

    def mastodon_key(self, post: Said) -> str:
        return f"{self.url.removeprefix('http://')}/{self._mastodon_number(post)}"

    def _mastodon_number(self, post: Said) -> int:
        return (round(post.at.timestamp() * 1000) << 16) + post.number % 65536

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if method != "GET":
            raise _Answer(405, self.error_body(405))
        newest_first = sorted(self.posts, key=lambda post: (post.at, post.number), reverse=True)
        if path == f"/2/users/{X_ACCOUNT}/tweets":
            return self._x(newest_first, parameters, headers)
        if path == "/xrpc/app.bsky.feed.getAuthorFeed" and parameters.get("actor") == DID:
            return self._bluesky(newest_first, parameters)
        if path == "/api/v1/accounts/lookup" and parameters.get("acct") == NAME:
            return {"id": "42", "acct": NAME, "url": self.page_of or self.page}
        if path == "/api/v1/accounts/42/statuses":
            return self._mastodon(newest_first, parameters)
        raise _Answer(404, self.error_body(404))

    def _x(self, posts: list[Said], parameters: dict[str, str], headers: Any) -> Any:
        if headers.get("Authorization") != f"Bearer {X_TOKEN}":
            raise _Answer(401, self.error_body(401))
        known = {"max_results", "exclude", "start_time", "end_time", "pagination_token", f"{self.spelling}.fields"}
        if parameters.keys() - known or not 5 <= int(parameters["max_results"]) <= 100:
            raise _Answer(400, self.error_body(400))
        asked = (parameters["start_time"], parameters.get("end_time", "2999-01-01T00:00:00Z"))
        start, end = (datetime.strptime(each, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for each in asked)
        listed = [post for post in posts[: self.x_lists] if start <= post.at < end]
        begin = int(parameters.get("pagination_token", "token0").removeprefix("token"))
        page = listed[begin : begin + min(self.most, int(parameters["max_results"]))]
        # What is excluded is taken out of a page, which is then shorter, or empty.
        shown = [post for post in page if not post.by_another]
        meta: dict[str, Any] = {"result_count": len(shown)}
        if begin + len(page) < len(listed):
            meta["next_token"] = f"token{begin + len(page)}"
        if not shown:
            return {"meta": meta}
        return {"data": [self._tweet(post) for post in shown], "meta": meta}

    def _tweet(self, post: Said) -> dict[str, Any]:
        tweet = {
            "id": self.x_key(post),
            "text": html.escape(post.text, quote=False),
            "author_id": X_ACCOUNT,
            "lang": "en",
        }
        tweet["created_at"] = f"{post.at:%Y-%m-%dT%H:%M:%S}.{post.at.microsecond // 1000:03d}Z"
        if post.reply_to:
            return tweet | {f"referenced_{self.spelling}s": [{"type": "replied_to", "id": str(post.reply_to)}]}
        return tweet

    def _bluesky(self, posts: list[Said], parameters: dict[str, str]) -> Any:
        begin = int(parameters.get("cursor", "0"))
        page = posts[begin : begin + min(self.most, int(parameters["limit"]))]
        feed = []
        for post in page:
            did = "did:plc:somebodyelse" if post.by_another else DID
            item: dict[str, Any] = {
                "post": {
                    "uri": self.bluesky_key(post).replace(DID, did),
                    "cid": "bafy",
                    "author": {"did": did, "handle": "huduma.example", "displayName": "Huduma"},
                    "record": {"$type": "app.bsky.feed.post", "text": post.text, "createdAt": post.at.isoformat()},
                    "indexedAt": (post.at + timedelta(seconds=1)).isoformat(),
                }
            }
            if post.by_another:
                item["reason"] = {"$type": "app.bsky.feed.defs#reasonRepost", "indexedAt": post.at.isoformat()}
            feed.append(item)
        more = begin + len(page) < len(posts)
        return {"feed": feed} | ({"cursor": str(begin + len(page))} if more else {})

    def _mastodon(self, posts: list[Said], parameters: dict[str, str]) -> Any:
        if parameters.get("exclude_reblogs") != "true":
            raise _Answer(400, self.error_body(400))
        below = int(parameters.get("max_id", 1 << 90))
        own = [post for post in posts if not post.by_another and self._mastodon_number(post) < below]
        return [
            {
                "id": str(self._mastodon_number(post)),
                "created_at": post.at.isoformat(),
                "visibility": "public",
                "language": "en",
                "uri": f"{self.url}/users/{NAME}/statuses/{self._mastodon_number(post)}",
                "url": f"{self.page}/{self._mastodon_number(post)}",
                "content": f"<p>{html.escape(post.text)}</p>",
                "spoiler_text": "",
                "reblog": None,
                "in_reply_to_id": None,
                "account": {"id": "42", "acct": NAME, "url": self.page, "display_name": "Huduma"},
            }
            for post in own[: min(self.most, int(parameters["limit"]))]
        ]
