"""News sites on the loopback interface: feeds of items of our own making, as RSS and as Atom, which can be asked whether they changed."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from platforms import _SAYINGS, Platform, _Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Item:
    """An item as its site keeps it; `extra` stands in it as it is."""

    number: int
    at: datetime | None
    title: str
    summary: str = ""
    extra: str = ""

    @property
    def link(self) -> str:
        return f"https://habari.example/{self.number}"

    @property
    def id(self) -> str:
        return hashlib.sha256(self.link.encode()).hexdigest()[:32]


def items(count: int, newest: datetime, every: timedelta = timedelta(minutes=20), seed: int = 0) -> list[Item]:
    """Items about eCitizen at even steps back from a moment."""
    draw = random.Random(seed)
    return [
        Item(seed * 10_000 + number, newest - number * every, draw.choice(_SAYINGS), "<p>Soma <b>zaidi</b></p>")
        for number in range(count)
    ]


class NewsSite(Platform):
    """`/rss` and `/atom`: the newest items of one site."""

    def __init__(self, now: Callable[[], datetime], published: Iterable[Item] = ()) -> None:
        super().__init__(now)
        self.items = list(published)
        self.lists = 20
        self.unchanged = 0  # answers that said so

    def publish(self, published: Iterable[Item]) -> None:
        """From now on these are listed, too."""
        self.items += published

    def listed(self) -> list[Item]:
        """What a feed lists, newest first."""
        return sorted(self.items, key=lambda item: item.at or self.now(), reverse=True)[: self.lists]

    def reads(self, path: str) -> bool:
        return path in {"/rss", "/atom"}

    def error_body(self, code: int) -> Any:
        return f"<html>Fault {code} of the test</html>".encode()

    def extra_headers(self) -> dict[str, str]:
        return {"Content-Type": "text/xml; charset=utf-8", "ETag": self._tag()}

    def _tag(self) -> str:
        return f'"{hashlib.sha256(repr(self.listed()).encode()).hexdigest()[:12]}"'

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if method != "GET" or not self.reads(path):
            raise _Answer(404, self.error_body(404))
        if headers.get("If-None-Match") == self._tag():
            self.unchanged += 1
            raise _Answer(304, b"")
        write = self._rss if path == "/rss" else self._atom
        return write().encode()

    def _rss(self) -> str:
        rows = "".join(
            f"<item><title>{escape(item.title)}</title><link>{item.link}</link><guid>{item.link}</guid>"
            f"<description>{escape(item.summary)}</description>"
            + (f"<pubDate>{format_datetime(item.at)}</pubDate>" if item.at else "")
            + f"{item.extra}</item>"
            for item in self.listed()
        )
        return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Habari</title>{rows}</channel></rss>'

    def _atom(self) -> str:
        rows = "".join(
            f"<entry><title>{escape(item.title)}</title><id>{item.link}</id><link href='{item.link}'/>"
            f"<summary type='html'>{escape(item.summary)}</summary>"
            + (f"<updated>{item.at:%Y-%m-%dT%H:%M:%SZ}</updated>" if item.at else "")
            + f"{item.extra}</entry>"
            for item in self.listed()
        )
        return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Habari</title>{rows}</feed>'
