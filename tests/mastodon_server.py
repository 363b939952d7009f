"""An instance of Mastodon on the loopback interface: hashtag and local timelines of posts of our own making."""

from __future__ import annotations

import html
import random
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from platforms import _HANDLES, _SAYINGS, Platform, _Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOME = "jamii.example"


@dataclass(frozen=True)
class Toot:
    """A post as its own server keeps it; every instance that hears of it gives it a number of its own."""

    number: int
    at: datetime
    text: str
    author: str = "mti_mkavu"
    host: str = HOME
    tags: tuple[str, ...] = ("ecitizen",)
    extra: dict[str, Any] = field(default_factory=dict)  # fields of the status that are otherwise usual

    @property
    def id(self) -> str:
        return f"{self.host}/{self.number}"

    @property
    def uri(self) -> str:
        return f"https://{self.host}/users/{self.author}/statuses/{self.number}"


def toots(
    count: int, newest: datetime, every: timedelta = timedelta(minutes=3), seed: int = 0, host: str = HOME
) -> list[Toot]:
    """Posts that mention eCitizen at even steps back from a moment."""
    draw = random.Random(seed)
    return [
        Toot(seed * 10_000 + number, newest - number * every, draw.choice(_SAYINGS), draw.choice(_HANDLES), host)
        for number in range(count)
    ]


class MastodonInstance(Platform):
    """The two kinds of timelines that are read, as an instance shows them without a login."""

    TIMELINES, STATUSES = "/api/v1/timelines/", "/api/v1/statuses/"

    def __init__(self, now: Callable[[], datetime], posts: Iterable[Toot] = (), host: str = HOME) -> None:
        super().__init__(now)
        self.host = host
        self.closed = False  # whether the public timeline needs a login
        self.lists = 1_000_000  # how many of the newest a timeline still lists
        self.most = 40  # posts on a page
        self.posts: dict[int, Toot] = {}  # by the number that this instance gave
        self.publish(posts)

    def publish(self, posts: Iterable[Toot]) -> None:
        """From now on these are listed, too."""
        for post in posts:
            number = round(post.at.timestamp() * 1000) << 16
            while number in self.posts:
                number += 1
            self.posts[number] = post

    def delete(self, gone: Toot) -> None:
        """From now on this is not listed."""
        self.posts = {number: post for number, post in self.posts.items() if post.uri != gone.uri}

    def edit(self, changed: Toot) -> None:
        """The text of a post is another from now on."""
        self.posts = {number: changed if post.uri == changed.uri else post for number, post in self.posts.items()}

    def listed(self, tag: str | None) -> list[tuple[int, Toot]]:
        """A timeline as it stands, newest first."""
        wanted = [
            (number, post)
            for number, post in sorted(self.posts.items(), reverse=True)
            if (tag in post.tags if tag else post.host == self.host)
        ]
        return wanted[: self.lists]

    def served(self, tag: str | None) -> dict[str, datetime]:
        """The posts of a timeline that should be stored, by id."""
        about = re.compile(r"(?<!\w)e[ -]?citizen(?!\w)", re.IGNORECASE)
        return {post.id: post.at for _, post in self.listed(tag) if tag or about.search(post.text) or post.tags}

    def reads(self, path: str) -> bool:
        return path.startswith((self.TIMELINES, self.STATUSES))

    def error_body(self, code: int) -> Any:
        return {"error": f"Fault {code} of the test"}

    def extra_headers(self) -> dict[str, str]:
        reset = datetime.fromtimestamp(time.time() + 300, UTC)
        return {
            "X-RateLimit-Limit": "300",
            "X-RateLimit-Remaining": str(300 - len(self.requests) % 300),
            "X-RateLimit-Reset": f"{reset:%Y-%m-%dT%H:%M:%S.%f}Z",
        }

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if method != "GET" or not self.reads(path) or "Authorization" in headers:
            raise _Answer(404, {"error": "Record not found"})
        if path.startswith(self.STATUSES):
            number = path.removeprefix(self.STATUSES)
            for post in self.posts.values():
                if post.host == self.host and str(post.number) == number:
                    return self._shown(post.number, post)
            raise _Answer(404, {"error": "Record not found"})
        timeline = path.removeprefix(self.TIMELINES)
        tag = timeline.removeprefix("tag/") if timeline.startswith("tag/") else None
        if tag is None and (timeline != "public" or parameters.get("local") not in ("1", "true")):
            raise _Answer(404, {"error": "Record not found"})
        if tag is None and self.closed:
            raise _Answer(422, {"error": "This method requires an authenticated user"})
        below = int(parameters.get("max_id", 1 << 70))
        most = min(int(parameters.get("limit", 20)), self.most)
        page = [(number, post) for number, post in self.listed(tag) if number < below][:most]
        self.last_pages += not page
        return [self._shown(number, post) for number, post in page]

    def _shown(self, number: int, post: Toot) -> dict[str, Any]:
        tags = "".join(
            f' <a href="https://{self.host}/tags/{tag}" class="mention hashtag" rel="tag">#<span>{tag}</span></a>'
            for tag in post.tags
        )
        is_own = post.host == self.host
        return {
            "id": str(number),
            "created_at": f"{post.at:%Y-%m-%dT%H:%M:%S}.{post.at.microsecond // 1000:03d}Z",
            "in_reply_to_id": None,
            "in_reply_to_account_id": None,
            "sensitive": False,
            "spoiler_text": "",
            "visibility": "public",
            "language": "sw",
            "uri": post.uri,
            "url": f"https://{post.host}/@{post.author}/{post.number}",
            "edited_at": None,
            "content": f"<p>{html.escape(post.text)}{tags}</p>",
            "reblog": None,
            "account": {
                "id": str(sum(map(ord, self.host + post.author))),
                "username": post.author,
                "acct": post.author if is_own else f"{post.author}@{post.host}",
                "url": f"https://{post.host}/@{post.author}",
                "display_name": "",
                "bot": False,
            },
            "media_attachments": [],
            "mentions": [],
            "tags": [{"name": tag, "url": f"https://{self.host}/tags/{tag}"} for tag in post.tags],
            "emojis": [],
            "card": None,
            "poll": None,
        } | post.extra
