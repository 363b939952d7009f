"""Google Play and Apple's review feed on the loopback interface: reviews of our own making, newest first, page by page."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from platforms import _HANDLES, _SAYINGS, Platform, _Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PLAY_APP, APPLE_APP = "ke.example.app", "123456789"


@dataclass(frozen=True)
class Review:
    """A review as a store keeps it."""

    number: int
    at: datetime
    text: str
    title: str = ""
    author: str = "Mti Mkavu"
    stars: int = 1
    language: str = "en"
    reply: str | None = None

    def id(self, store: str) -> str:
        return f"{store}/{self.number}"


def reviews(count: int, newest: datetime, every: timedelta = timedelta(hours=5), seed: int = 0) -> list[Review]:
    """Reviews at even steps back from a moment."""
    draw = random.Random(seed)
    return [
        Review(seed * 10_000 + number, newest - number * every, draw.choice(_SAYINGS), author=draw.choice(_HANDLES))
        for number in range(count)
    ]


class ReviewStore(Platform):
    """Reviews by their number; one that is published again is one that was edited."""

    def __init__(self, now: Callable[[], datetime], published: Iterable[Review] = ()) -> None:
        super().__init__(now)
        self.reviews: dict[int, Review] = {}
        self.most = 50  # reviews on a page
        self.publish(published)

    def publish(self, published: Iterable[Review]) -> None:
        """From now on these are listed, too."""
        self.reviews |= {review.number: review for review in published}

    def listed(self) -> list[Review]:
        """All reviews, newest first."""
        return sorted(self.reviews.values(), key=lambda review: (review.at, review.number), reverse=True)

    def error_body(self, code: int) -> Any:
        return f"<html>Fault {code} of the test</html>".encode()


class PlayStore(ReviewStore):
    """The call behind the reviews on the pages of Google Play."""

    lists = 1_000_000

    def reads(self, path: str) -> bool:
        return path == "/_/PlayStoreUi/data/batchexecute"

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if method != "POST" or not self.reads(path) or parameters.get("gl") != "ke":
            raise _Answer(404, self.error_body(404))
        (((call, wanted, _, _),),) = json.loads(parameters["f.req"])
        _, (_, order, page, _, filters), (app, _) = json.loads(wanted)
        if (call, order, app, filters) != ("oCPfdb", 2, PLAY_APP, [None] * 9):
            raise _Answer(400, self.error_body(400))
        listed = [each for each in self.listed() if each.language == parameters["hl"]][: self.lists]
        begin = 0
        if len(page) == 3:
            number = int(page[2].removeprefix("token-"))
            begin = next((place for place, each in enumerate(listed) if each.number == number), len(listed))
        most = min(page[0], self.most)
        shown, rest = listed[begin : begin + most], listed[begin + most :]
        self.last_pages += not rest
        answer: list[Any] = [[self._shown(each) for each in shown]] if shown else []
        if rest:
            answer += [[None, f"token-{rest[0].number}"], [7]]
        lines = [["wrb.fr", "oCPfdb", json.dumps(answer), None, None, None, "generic"], ["di", 25], ["e", 4]]
        return b")]}'\n\n" + json.dumps(lines).encode()

    @staticmethod
    def _shown(review: Review) -> list[Any]:
        reply = ["Karani", review.reply, [int(review.at.timestamp()) + 60, 0]] if review.reply else None
        moment = [int(review.at.timestamp()), 5_000]
        return [
            str(review.number),
            [review.author, []],
            review.stars,
            None,
            review.text,
            moment,
            3,
            reply,
            None,
            [],
            "1.0",
        ]


class AppleStore(ReviewStore):
    """The feed of the Kenyan storefront: ten pages and no more."""

    def reads(self, path: str) -> bool:
        return path.startswith("/ke/rss/customerreviews/page=")

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if not self.reads(path):
            raise _Answer(404, self.error_body(404))
        number = int(path.partition("page=")[2].partition("/")[0])
        if not path.endswith(f"/id={APPLE_APP}/sortby=mostrecent/json") or not 1 <= number <= 10:
            raise _Answer(400, self.error_body(400))
        shown = self.listed()[(number - 1) * self.most : number * self.most]
        self.last_pages += not shown
        entries = [{"id": {"label": APPLE_APP}, "title": {"label": "The app itself"}}] * (number == 1)
        entries += [self._shown(each) for each in shown]
        feed: dict[str, Any] = {"author": {}, "updated": {"label": f"{self.now():%FT%TZ}"}}
        if entries:
            feed["entry"] = entries[0] if len(entries) == 1 else entries
        return {"feed": feed}

    @staticmethod
    def _shown(review: Review) -> dict[str, Any]:
        written = review.at.astimezone(UTC) - timedelta(hours=7)
        return {
            "author": {
                "uri": {"label": f"https://itunes.apple.com/ke/reviews/id{sum(map(ord, review.author))}"},
                "name": {"label": review.author},
            },
            "updated": {"label": f"{written:%Y-%m-%dT%H:%M:%S}-07:00"},
            "im:rating": {"label": str(review.stars)},
            "im:version": {"label": "1.0"},
            "id": {"label": str(review.number)},
            "title": {"label": review.title},
            "content": {"label": review.text, "attributes": {"type": "text"}},
        }
