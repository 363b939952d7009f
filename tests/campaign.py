"""The fault campaign: one source read through faults and kills, run after run, and what must be true of the store after each.

`Run(source, seed, …).go()` makes servers with posts of our own making, has them read by processes that are killed while
posts come, change and go, then lets one read to the end, and returns its figures and every rule that was broken. `check` and
`check_end` say the rules.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from faults import (
    ApplePages,
    FeedPages,
    MastodonPages,
    Pages,
    Plan,
    PlayPages,
    RedditPages,
    XPages,
)
from feed_server import Item, NewsSite
from jetstream import ABOUT, Jetstream, about, disturbed, identity, living, moment, post, traffic, uri
from mastodon_server import MastodonInstance, Toot
from platforms import (
    REDDIT_ID,
    REDDIT_SECRET,
    X_TOKEN,
    Clock,
    RedditItem,
    RedditPlatform,
    XPlatform,
    XPost,
    x_id,
)
from sqlalchemy import create_engine, select, text
from sqlalchemy.pool import NullPool
from store_server import APPLE_APP, PLAY_APP, AppleStore, PlayStore, Review, ReviewStore

from collector.sources.mastodon import PAGE_STATUSES
from data import tables
from data.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from collecting import Collecting, Ending
    from sqlalchemy import Engine

KEY = "a key of the campaign, nobody's secret"
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
SAYINGS = (
    "eCitizen haifunguki tangu asubuhi",
    "Paid on eCitizen & the money is gone",
    "e-citizen inasema huduma haipatikani",
    "The eCitizen OTP never comes; is it <only> me?",
)


@dataclass
class Written:
    """A post at its platform: how it was written, first and after each edit."""

    id: str
    at: datetime  # where it stands in the listing, or when it passed by
    versions: list[tuple[datetime, str]]
    late: bool = False  # whether a time that was looked at before has it now
    gone: bool = False
    was: str | None = None  # the id of the post of which it is an edit, where an edit is another post


class Scene:
    """The servers of a source, and what is written there."""

    source = ""
    pages: Pages | None = None
    stale_walk = timedelta(0)  # a walk that was cut off so shortly ago goes on, and reads nothing newer
    tolerance = SECOND  # between the time at which a post was written and the one that is stored
    lag = timedelta(0)  # so much of the newest time is left to the next walk
    bursts = (1, 20, 60, 160)  # how many posts come between two runs
    downtime = 9 * DAY  # longer than the platform reaches back

    def __init__(self, draw: random.Random, clock: Clock, plan: Plan) -> None:
        self.draw, self.clock, self.plan = draw, clock, plan
        self.number = 0
        self.looked_at = LONG_AGO  # when the last run began
        self.read_to: dict[str, datetime] = {}  # by stream: when the last run began that was read to its end
        self.posts: dict[str, dict[str, Written]] = {}  # by stream and id

    def servers(self) -> list[AbstractContextManager[Any]]:
        """Not started yet."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Where to read."""
        raise NotImplementedError

    def write(self, at: datetime, *, late: bool = False) -> None:
        """Somebody writes a post; `late`: it is listed now, and was written at `at`."""
        raise NotImplementedError

    def delete(self, gone: Written) -> None:
        """Take a post off its server."""
        raise NotImplementedError

    def edit(self, changed: Written) -> None:
        """Change a post."""
        raise NotImplementedError

    def reach(self, stream: str) -> datetime:
        """The time before which the platform shows nothing any more, or the source does not walk back."""
        raise NotImplementedError

    def is_closed(self, stream: str) -> bool:
        """Whether the source may leave this stream out for now, since it was refused."""
        return False

    def breathe(self) -> None:
        """Before a run."""

    def mend(self) -> None:
        """No more faults."""
        self.plan.rate = 0.0

    # what is the same everywhere

    def say(self) -> tuple[int, str]:
        """A number, and a text that no other post has."""
        self.number += 1
        return self.number, f"{self.draw.choice(SAYINGS)} (no {self.number})"

    def alive(self, stream: str) -> list[Written]:
        return [each for each in self.posts[stream].values() if not each.gone]

    def everything(self) -> dict[str, Written]:
        return {id_: each for posts in self.posts.values() for id_, each in posts.items()}

    def publish(self, count: int, since: datetime) -> None:
        """So many posts since a moment, and some that were written before it."""
        for _ in range(count):
            self.write(since + self.draw.uniform(0.001, 1) * (self.clock.at - since))
        for _ in range(self.draw.choice([0, 0, 1, 2])):
            self.write(self.clock.at, late=True)

    def disturb(self) -> None:
        """While a walk goes on: a post comes, another goes or is changed."""
        self.clock.at += SECOND
        self.write(self.clock.at)
        self.change_one()

    def change_one(self) -> None:
        """One of the newest posts is deleted or edited."""
        streams = [stream for stream in self.posts if self.alive(stream)]
        if not streams:
            return
        posts = sorted(self.alive(self.draw.choice(streams)), key=lambda each: each.at)[-60:]
        one = self.draw.choice(posts)
        if self.draw.random() < 0.5:
            one.gone = True
            self.plan.injected["deleted"] += 1
            self.delete(one)
        else:
            self.plan.injected["edited"] += 1
            self.edit(one)

    def _add(self, written: Written, *streams: str) -> None:
        written.late = written.at <= self.looked_at
        for stream in streams:
            self.posts.setdefault(stream, {})[written.id] = written


class XScene(Scene):
    source, pages = "x", XPages()
    stale_walk, lag = 5 * MINUTE, 15 * SECOND

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.platform = XPlatform(lambda: self.clock.at)
        self.platform.most = self.draw.choice([10, 25, 100])
        self.platform.plan = self.plan
        self.posts["search"] = {}
        return [self.platform]

    def settings(self) -> dict[str, Any]:
        # Calls that were cut off stay counted: the default budget of a day would end within a run.
        wide = {"x_posts_per_day": 10**6, "x_posts_per_month": 10**6, "x_usd_per_day": 1e6, "x_usd_per_month": 1e6}
        return {"x_bearer_token": X_TOKEN, "x_url": self.platform.url} | wide

    def write(self, at: datetime, *, late: bool = False, was: Written | None = None) -> None:
        number, words = self.say()
        if late:
            at -= self.draw.choice([10 * SECOND, 280 * SECOND]) * self.draw.random()  # an index that is behind
        posted = XPost(x_id(at, number % 4096), words, author_id=str(1000 + number % 7))
        self.platform.publish([posted])
        written = Written(str(posted.id), posted.at, [(posted.at, words)], was=was.id if was else None)
        self._add(written, "search")

    def delete(self, gone: Written) -> None:
        del self.platform.posts[int(gone.id)]

    def edit(self, changed: Written) -> None:
        changed.gone = True
        self.delete(changed)
        self.write(self.clock.at, was=changed)

    def breathe(self) -> None:
        if self.draw.random() < 0.2:
            self.platform.forget_tokens()

    def reach(self, stream: str) -> datetime:
        return self.clock.at - 7 * DAY + 31 * MINUTE


class RedditScene(Scene):
    source, pages = "reddit", RedditPages()

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.platform = RedditPlatform(lambda: self.clock.at)
        self.platform.most = self.draw.choice([15, 30, 100])
        self.platform.lists = 150
        self.platform.plan = self.plan
        self.posts |= {"search": {}, "submissions": {}, "comments": {}}
        return [self.platform]

    def settings(self) -> dict[str, Any]:
        return {
            "reddit_client_id": REDDIT_ID,
            "reddit_client_secret": REDDIT_SECRET,
            "reddit_url": self.platform.url,
        }

    def write(self, at: datetime, *, late: bool = False) -> None:
        number, words = self.say()
        title = f"Help with eCitizen {number}" if self.draw.random() < 0.5 else None
        if late:  # among the newest that were there before: more than a page below them, or an hour, nobody looks
            own = [each.at for each in self.platform.items if (each.title is None) == (title is None)]
            before = sorted(each for each in own if each <= self.looked_at < each + HOUR)[-5:]
            if not before:
                return
            at = self.draw.choice(before) - timedelta(microseconds=1)
        named = title is not None and self.draw.random() < 0.5
        item = RedditItem(f"a{number}", at, words, title, in_subreddits=named)
        self.platform.publish([item])
        streams = ["comments"] if title is None else ["search", "submissions"] if named else ["search"]
        self._add(Written(item.name, at, [(at, self._text(item))]), *streams)

    @staticmethod
    def _text(item: RedditItem) -> str:
        return item.text if item.title is None else f"{item.title}\n\n{item.text}"

    def _item(self, written: Written) -> RedditItem:
        return next(item for item in self.platform.items if item.name == written.id)

    def delete(self, gone: Written) -> None:
        item = self._item(gone)
        if self.draw.random() < 0.5:  # it stays in the listing, without its words
            self.platform.items[self.platform.items.index(item)] = replace(item, text="[deleted]", author=None)
        else:
            self.platform.delete(item)

    def edit(self, changed: Written) -> None:
        item = self._item(changed)
        other = replace(item, text=f"{item.text} EDIT")
        self.platform.items[self.platform.items.index(item)] = other
        changed.versions.append((item.at, self._text(other)))

    def reach(self, stream: str) -> datetime:
        listed = [each.at for each in self.platform.items if (each.title is None) == (stream == "comments")]
        if stream == "submissions":
            listed = [each.at for each in self.platform.items if each.in_subreddits]
        # Where nothing was listed before, who reads more than a page cannot tell a list that ends from one that is cut off.
        return sorted(listed)[-self.platform.lists :][0] if len(listed) > self.platform.most else LONG_AGO


class MastodonScene(Scene):
    source, pages = "mastodon", MastodonPages()
    bursts = (1, 6, 12, 60)  # its client takes milliseconds a post
    stale_walk = 5 * MINUTE
    downtime = 5 * HOUR

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.instances = [
            MastodonInstance(lambda: self.clock.at, host=host) for host in ("jamii.example", "nyingine.example")
        ]
        most = self.draw.choice([4, 9, 40])
        for instance in self.instances:
            instance.most, instance.plan, instance.lists = most, self.plan, 45
            for kind in ("#ecitizen", "public"):
                self.posts[self._stream(instance, kind)] = {}
        return list(self.instances)

    @staticmethod
    def _stream(instance: MastodonInstance, kind: str) -> str:
        return f"{instance.url.removeprefix('http://')} {kind}"

    def settings(self) -> dict[str, Any]:
        return {"mastodon_urls": [each.url for each in self.instances], "terms": ["eCitizen", "e-citizen"]}

    def write(self, at: datetime, *, late: bool = False) -> None:
        number, words = self.say()
        own, other = self.draw.sample(self.instances, 2)
        if late:  # from a server that neither is; what is written on an instance itself is listed at once
            at -= self.draw.uniform(0, 20) * HOUR
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        toot = Toot(number, at, words, host="mbali.example" if late else own.host)
        own.publish([toot])
        written = Written(toot.id, at, [(at, f"{words} #ecitizen")])
        self._add(written, self._stream(own, "#ecitizen"))
        if not late:
            self._add(written, self._stream(own, "public"))
            if self.draw.random() < 0.5:
                other.publish([toot])
                self._add(written, self._stream(other, "#ecitizen"))

    def _toots(self, written: Written) -> Iterator[tuple[MastodonInstance, Toot]]:
        for instance in self.instances:
            for toot in list(instance.posts.values()):
                if toot.id == written.id:
                    yield instance, toot

    def delete(self, gone: Written) -> None:
        for instance, toot in self._toots(gone):
            instance.delete(toot)

    def edit(self, changed: Written) -> None:
        words = f"{changed.versions[-1][1].removesuffix(' #ecitizen')} EDIT"
        changed.versions.append((changed.at, f"{words} #ecitizen"))
        for instance, toot in self._toots(changed):
            instance.edit(replace(toot, text=words, extra={"edited_at": f"{self.clock.at:%FT%TZ}"}))

    def reach(self, stream: str) -> datetime:
        address, kind = stream.split()
        instance = next(each for each in self.instances if each.url.endswith(address))
        if kind == "public":
            listed, floor = instance.listed(None), self.clock.at - 2 * HOUR
        else:
            listed, floor = instance.listed("ecitizen"), self.clock.at - 30 * DAY
        # Who has read a whole page cannot tell a list that ends from one that is cut off.
        return max(floor, listed[-1][1].at) if len(listed) >= PAGE_STATUSES else floor

    def is_closed(self, stream: str) -> bool:
        asked = "/public" if stream.endswith("public") else "/tag/"
        return any(asked in path and self.clock.at - at <= DAY + MINUTE for path, at in self.plan.refused.items())


class NewsScene(Scene):
    source, pages = "news", FeedPages()

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.site = NewsSite(lambda: self.clock.at)
        self.site.plan = self.plan
        self.path = self.draw.choice(["/rss", "/atom"])
        self.stream = f"{self.site.url.removeprefix('http://')}{self.path}"
        self.posts[self.stream] = {}
        return [self.site]

    def settings(self) -> dict[str, Any]:
        return {"feed_urls": [f"{self.site.url}{self.path}"]}

    def write(self, at: datetime, *, late: bool = False) -> None:
        number, words = self.say()
        words = words.replace("<only>", "only")  # the title of a feed may hold HTML
        if late:
            at -= self.draw.random() * 10 * MINUTE
        item = Item(number, at.replace(microsecond=0), words, "<p>Soma <b>zaidi</b></p>")
        self.site.publish([item])
        assert item.at is not None
        self._add(Written(item.id, item.at, [(item.at, f"{words}\n\nSoma zaidi")]), self.stream)

    def _item(self, written: Written) -> Item:
        return next(item for item in self.site.items if item.id == written.id)

    def delete(self, gone: Written) -> None:
        self.site.items.remove(self._item(gone))

    def edit(self, changed: Written) -> None:
        item = self._item(changed)
        other = replace(item, title=f"{item.title} EDIT")
        self.site.items[self.site.items.index(item)] = other
        changed.versions.append((item.at, f"{other.title}\n\nSoma zaidi"))

    def reach(self, stream: str) -> datetime:
        if len(self.site.items) <= self.site.lists:
            return LONG_AGO
        # Items of the second at which the feed was last read may be listed, and others of that second no more.
        read_to = self.read_to.get(stream, LONG_AGO)
        return min((each.at for each in self.site.listed() if each.at and each.at > read_to), default=read_to)


class ReviewScene(Scene):
    source = "reviews"
    store: ReviewStore
    stream = ""

    def write(self, at: datetime, *, late: bool = False) -> None:
        number, words = self.say()
        if late:
            at -= self.draw.uniform(0, 2) * DAY
        review = Review(number, at.replace(microsecond=0), words)
        self.store.publish([review])
        self._add(Written(self._id(number), review.at, [(review.at, words)]), self.stream)

    def _id(self, number: int) -> str:
        return f"{self.stream.split()[0]}/{number}"

    def delete(self, gone: Written) -> None:
        del self.store.reviews[int(gone.id.rpartition("/")[2])]

    def edit(self, changed: Written) -> None:
        number = int(changed.id.rpartition("/")[2])
        at = self.clock.at.replace(microsecond=0)
        other = replace(self.store.reviews[number], at=at, text=f"{changed.versions[-1][1]} EDIT")
        self.store.publish([other])
        changed.versions.append((at, other.text))
        changed.at, changed.late = at, at <= self.looked_at

    def reach(self, stream: str) -> datetime:
        listed, most = self.store.listed(), self.lists
        return max(listed[most - 1].at if len(listed) > most else LONG_AGO, self.clock.at - 365 * DAY)

    @property
    def lists(self) -> int:
        raise NotImplementedError


class PlayScene(ReviewScene):
    pages = PlayPages()

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.store = PlayStore(lambda: self.clock.at)
        self.store.most, self.store.lists, self.store.plan = self.draw.choice([7, 20]), 90, self.plan
        self.stream = f"play {PLAY_APP} en"
        self.posts[self.stream] = {}
        return [self.store]

    @property
    def lists(self) -> int:
        assert isinstance(self.store, PlayStore)
        return self.store.lists

    def settings(self) -> dict[str, Any]:
        return {"play_apps": [PLAY_APP], "play_url": self.store.url, "apple_apps": []}


class AppleScene(ReviewScene):
    pages = ApplePages()

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.store = AppleStore(lambda: self.clock.at)
        self.store.most, self.store.plan = self.draw.choice([7, 15]), self.plan
        self.stream = f"apple {APPLE_APP}"
        self.posts[self.stream] = {}
        return [self.store]

    @property
    def lists(self) -> int:
        return 10 * self.store.most

    def settings(self) -> dict[str, Any]:
        return {"play_apps": [], "apple_url": self.store.url, "apple_apps": [APPLE_APP]}

    def disturb(self) -> None:
        """Pages go by their number here, and move up when one above them is withdrawn: that is left to between the walks."""
        self.clock.at += SECOND
        self.write(self.clock.at)


class BlueskyScene(Scene):
    source = "bluesky"
    downtime = 3 * DAY
    tolerance = MINUTE  # a post of a wrong time is dated by the clock of the collector, which stands still in a run

    def servers(self) -> list[AbstractContextManager[Any]]:
        self.stream = Jetstream(lambda: self.clock.at)
        self.stream.plan = self.plan
        self.stream.disturb = disturbed(self.draw.randrange(10**6), self.draw.choice([0, 0.05, 0.3]))
        self.posts["posts"] = {}
        return [self.stream]

    def settings(self) -> dict[str, Any]:
        return {"jetstream_url": self.stream.url}

    def publish(self, count: int, since: datetime) -> None:
        self.number += 1
        events = traffic(5 * count, self.clock.at, (self.clock.at - since) / (5 * count + 1), self.number)
        self._pass(events)

    def _pass(self, events: list[dict[str, Any]]) -> None:
        self.stream.publish(events)
        for event in events:
            if about(event):
                said = event["commit"]["record"]
                written = [(datetime.fromisoformat(said["createdAt"]), said["text"])]
                self._add(Written(uri(event), moment(event["time_us"]), written), "posts")
        alive = living(self.stream.events)
        for id_, each in self.posts["posts"].items():
            if id_ not in alive and not each.gone:
                each.gone = True
                self.plan.injected["deleted"] += 1

    def disturb(self) -> None:
        self.clock.at += SECOND
        self.number += 1
        self._pass([post(self.clock.at, f"{ABOUT[0]} (in between {self.number})", f"m{self.number}")])

    def change_one(self) -> None:
        pass  # the traffic deletes by itself

    def deleted_at(self, id_: str) -> datetime:
        """When the stream said so."""
        for event in self.stream.events:
            if event["kind"] == "account" and event["account"].get("status") == "deleted":
                if f"/{event['did']}/" in id_ and moment(event["time_us"]) >= self.posts["posts"][id_].at:
                    return moment(event["time_us"])
            elif event["kind"] == "commit" and event["commit"]["operation"] == "delete" and uri(event) == id_:
                return moment(event["time_us"])
        return LONG_AGO

    def breathe(self) -> None:
        # The network is never silent: what comes back after a break overlaps with what was read before it.
        self.stream.publish(identity(self.clock.at - number * SECOND) for number in range(8, -1, -1))
        self.stream.mend()
        self.stream.fail(*self.plan.connection_faults(len(self.stream.events)))

    def mend(self) -> None:
        super().mend()
        self.stream.mend()

    def reach(self, stream: str) -> datetime:
        kept = [moment(each["time_us"]) for each in self.stream.events]
        kept = sorted(at for at in kept if at >= self.clock.at - self.stream.kept)
        return kept[min(12, len(kept) - 1)] if kept else self.clock.at


SCENES: dict[str, tuple[type[Scene], ...]] = {
    "x": (XScene,),
    "reddit": (RedditScene,),
    "bluesky": (BlueskyScene,),
    "mastodon": (MastodonScene,),
    "news": (NewsScene,),
    "reviews": (PlayScene, AppleScene),
}


Spans = list[tuple[datetime, datetime]]


def united(spans: Spans) -> Spans:
    """The same time in spans that do not touch."""
    found: Spans = []
    for from_at, to_at in sorted(spans):
        if to_at < from_at:
            continue
        if found and from_at <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], to_at))
        else:
            found.append((from_at, to_at))
    return found


def without(spans: Spans, others: Spans) -> Spans:
    """What is left of the spans where the others are taken out."""
    left = united(spans)
    for begin, end in united(others):
        left = [
            part
            for from_at, to_at in left
            for part in ((from_at, min(to_at, begin)), (max(from_at, end), to_at))
            if part[0] < part[1]
        ]
    return left


def holds(spans: Spans, at: datetime) -> bool:
    return any(from_at < at <= to_at for from_at, to_at in spans)


@dataclass
class Stored:
    """What the database holds of a source."""

    posts: list[tuple[str, datetime, str]]  # id, created_at, text
    covered: dict[str, Spans]
    gaps: dict[str, Spans]  # less what was looked at after all, which wins on the chart, too
    cursors: dict[str, Any]

    @property
    def ids(self) -> set[str]:
        return {id_ for id_, _, _ in self.posts}


def read(engine: Engine, source: str) -> Stored:
    """What is stored. Raises where the database is damaged."""
    posts, coverage, cursors = tables.posts, tables.coverage, tables.cursors
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA quick_check")).scalar() == "ok"
        query = select(posts.c.id, posts.c.created_at, posts.c.text).where(posts.c.source == source)
        found = [tuple(row) for row in connection.execute(query)]
        spans = connection.execute(select(coverage).where(coverage.c.source == source)).all()
        kept = connection.execute(select(cursors).where(cursors.c.source == source)).all()
    streams = {row.stream for row in [*spans, *kept]}
    by_kind: list[dict[str, Spans]] = [{stream: [] for stream in streams} for _ in range(2)]
    for row in spans:
        by_kind[row.gap_reason is not None][row.stream].append((row.from_at, row.to_at))
    covered, gaps = by_kind
    gaps = {stream: without(gaps[stream], covered[stream]) for stream in streams}
    return Stored(found, covered, gaps, {row.stream: row.cursor for row in kept})


def place(cursor: Any) -> datetime | None:
    """Up to where a kept cursor says that all is stored."""
    if not cursor:
        return None
    if "time_us" in cursor:
        return moment(cursor["time_us"])
    return datetime.fromisoformat(cursor["floor"]) if "floor" in cursor else None


redacted = lru_cache(100_000)(redact)


def seconds(spans: Spans) -> str:
    return ", ".join(f"{from_at:%d %H:%M:%S.%f}..{to_at:%d %H:%M:%S.%f}" for from_at, to_at in spans)


@dataclass
class Result:
    """The figures of a run, and the rules that were broken."""

    source: str
    seed: int
    kills: Counter[str] = field(default_factory=Counter)  # by where they landed
    requests: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    served: int = 0
    stored: int = 0
    gaps: int = 0
    broken: list[str] = field(default_factory=list)


class Run:
    """One database and one source with the servers of its own.

    The seed settles posts, faults and how many requests a kill waits for; the few milliseconds after that, and with them
    where exactly a kill lands, are the machine's.
    """

    def __init__(self, source: str, seed: int, collecting: Collecting, url: str) -> None:
        self.draw = random.Random(seed)
        self.collecting, self.url = collecting, url
        self.engine = create_engine(url, poolclass=NullPool)
        self.clock = Clock(datetime(2026, 3, 6, 17, 0, tzinfo=UTC))
        kind = self.draw.choice(SCENES[source])
        rate = self.draw.choice([0.0, 0.2, 0.4, 0.6])
        self.patience_seconds = 0.25
        self.plan = Plan(self.draw.randrange(10**9), rate, kind.pages, 2 * self.patience_seconds)
        self.scene = kind(self.draw, self.clock, self.plan)
        self.result = Result(source, seed)
        self.page_events = self.draw.choice([30, 100, 300])
        self._required: dict[str, set[str]] = {}  # by stream: once there was a run that must have read them
        self._reached: dict[str, datetime] = {}  # the latest time before which the platform had nothing any more
        self._may_lack: dict[str, Spans] = {}  # time that may be a gap

    def go(self) -> Result:
        """The whole run."""
        scene, draw, clock = self.scene, self.draw, self.clock
        started = scene.servers()
        for server in started:
            server.__enter__()
        try:
            self._required = {stream: set() for stream in scene.posts}
            self._may_lack = {stream: [] for stream in scene.posts}
            self._reached = dict.fromkeys(scene.posts, LONG_AGO)
            scene.publish(draw.randint(1, scene.bursts[2]), clock.at - draw.choice([HOUR, DAY, 6 * DAY]))
            for number in range(draw.randint(2, 5)):
                self._collect(kill=number == 0 or draw.random() < 0.7)
                self.check()
                before = clock.at
                clock.at += draw.choice([SECOND, 3 * MINUTE, HOUR, HOUR, scene.downtime])
                scene.publish(draw.choice(scene.bursts), before)
                for _ in range(draw.choice([0, 1, 2])):
                    scene.change_one()
            scene.mend()
            self.patience_seconds = 30.0
            clock.at += 25 * HOUR if any(map(scene.is_closed, scene.posts)) else MINUTE
            for _ in range(2):  # once for the walk that was cut off, once for what came since
                ending = self._collect(kill=False)
                if ending.outcome != "done":
                    self._broken(f"the last run ended {ending.outcome}: {ending.note}")
                self.check()
                clock.at += 10 * MINUTE
            self.check_end()
        finally:
            for server in started:
                server.__exit__(None, None, None)
        self.result.requests, self.result.injected = self.plan.requests, self.plan.injected
        return self.result

    def _collect(self, *, kill: bool) -> Ending:
        scene, plan, clock = self.scene, self.plan, self.clock
        scene.breathe()
        kept = read(self.engine, scene.source).cursors
        begun = clock.at
        # What a walk that goes on has above it is left to the next one.
        since = {
            stream: begun - (scene.stale_walk if "top" in (kept.get(stream) or {}) else timedelta(0))
            for stream in scene.posts
        }
        reach = {stream: scene.reach(stream) for stream in scene.posts}
        there = {
            stream: [
                each
                for each in scene.alive(stream)
                # A walk that goes on may have passed the place of one that came late.
                if reach[stream] < each.at <= since[stream] and not (each.late and since[stream] < begun)
            ]
            for stream in scene.posts
        }
        scene.looked_at = begun
        rate = 0.005 if scene.source == "bluesky" else 0.08

        def note_reach() -> None:
            for stream in scene.posts:
                self._reached[stream] = max(self._reached[stream], scene.reach(stream))

        def on_request() -> None:
            if plan.rate and plan.draw_from.random() < rate:
                scene.disturb()
                note_reach()  # a list that was cut off there may be longer again at the end of the run

        note_reach()
        plan.on_request = on_request
        before, empty_before = plan.requests, plan.injected["empty"]
        job = {
            "source": scene.source,
            "settings": {"database_url": self.url, "pseudonym_key": KEY} | scene.settings(),
            "now": begun.isoformat(),
            "patience_seconds": self.patience_seconds,
            "page_events": self.page_events,
        }
        self.collecting.start(job)
        if kill:
            after = self.draw.choice(
                [0, 1, 1, self.draw.randint(1, 4), self.draw.randint(1, 4), self.draw.randint(1, 12)]
            )
            plan.await_requests(before + after, self.collecting.is_over)
            time.sleep(self.draw.uniform(0, 0.03 if after else 0.15))
            self.collecting.kill()
        ending = self.collecting.end()
        plan.on_request = lambda: None
        if kill:
            was = "after the end" if ending.outcome != "killed" else "while it read" if plan.requests > before else ""
            self.result.kills[was or "before the first request"] += 1
        if ending.crash:
            self._broken(f"crashed: {ending.crash}")
        note_reach()
        for stream in scene.posts:
            if ending.outcome == "done" and plan.injected["empty"] == empty_before and not scene.is_closed(stream):
                # An edited review is listed by the time of the edit: above a walk that began before it.
                self._required[stream] |= {
                    each.id
                    for each in there[stream]
                    if not each.gone and self._reached[stream] < each.at <= since[stream]
                }
                self._may_lack[stream].append((scene.read_to.get(stream, LONG_AGO), self._reached[stream]))
                scene.read_to[stream] = since[stream] - scene.lag
                self._reached[stream] = LONG_AGO
                for each in there[stream]:
                    each.late = False
        return ending

    def _broken(self, what: str) -> None:
        self.result.broken.append(what)

    def check(self) -> None:
        """What must be true after every run, however it ended.

        1. What the store says was looked at is stored: each post of a covered span, and each below the cursor that is in no
           gap. Left out: a post that is gone from its platform, and one listed after its time had been looked at (an index
           that is behind, a post from another server), until a run has been read to its end.
        2. No phantom: each stored post was served whole, in the words of one of its versions and at the time of one. (A post
           has one id, which the store holds once: a second copy would be a phantom.)
        3. After a run that ended `done`, each post that the platform listed from its beginning to its end is stored, and stays.
           Left out: a run that was told there is nothing, which proves nothing and is asked again by the next one; a
           timeline that was refused, which is left alone for a day.
        4. A gap is where nothing could be read: between the last run that was read to its end and the time before which the
           platform listed nothing any more.
        """
        stored, scene = read(self.engine, self.scene.source), self.scene
        ids, known = stored.ids, scene.everything()
        edits = {each.was for each in known.values() if each.was and each.id in ids}
        for stream, posts in scene.posts.items():
            covered, gaps = stored.covered.get(stream, []), stored.gaps.get(stream, [])
            claimed = list(covered)
            below = place(stored.cursors.get(stream))
            if below is not None and covered:
                claimed += without([(min(covered)[0], below)], gaps)
            claimed = united(claimed)
            lost = [
                each
                for each in posts.values()
                if not each.gone and not each.late and each.id not in ids | edits and holds(claimed, each.at)
            ]
            if lost:
                where = ", ".join(f"{each.id} of {each.at:%d %H:%M:%S.%f}" for each in lost[:3])
                self._broken(f"{stream}: {len(lost)} posts count as read and are not stored ({where})")
            missing = {id_ for id_ in self._required[stream] - ids - edits if not self._is_erased(posts[id_])}
            missing = {id_ for id_ in missing if not (posts[id_].was in ids and posts[id_].was)}
            if missing:
                self._broken(f"{stream}: {len(missing)} posts were there for a whole run and are not stored {missing}")
            lacking = without(
                gaps,
                [
                    *self._may_lack[stream],
                    (scene.read_to.get(stream, LONG_AGO), self._reached[stream]),
                ],
            )
            lacking = [(from_at, to_at) for from_at, to_at in lacking if to_at - from_at > SECOND]
            if lacking:
                self._broken(f"{stream}: a gap where all could be read: {seconds(lacking)}")
        phantoms = ids - (self.plan.served - self.plan.never)
        if phantoms:
            self._broken(f"stored and never served: {sorted(phantoms)[:3]}")
        wrong = [
            id_
            for id_, at, words in stored.posts
            if id_ in known
            and not (
                any(redacted(version) == words for _, version in known[id_].versions)
                and any(abs(at - written) <= scene.tolerance for written, _ in known[id_].versions)
            )
        ]
        if wrong:
            self._broken(f"stored otherwise than it was written: {wrong[:3]}")

    def _is_erased(self, each: Written) -> bool:
        return each.gone and isinstance(self.scene, BlueskyScene)

    def check_end(self) -> None:
        """What must be true once all was read, beside `check`.

        5. From the first look to the last, all time is either looked at or a gap.
        6. A post that is there and not stored is in a gap, or older than the first look, or it was listed after its time had
           been looked at and pushed out of the list again before a run was read to its end.
        7. What a platform said was deleted (Bluesky alone says so) is not stored, unless it said so in a gap: then it was
           never told. Elsewhere a post that was read before it was deleted stays, until `comply` asks; one that was deleted
           before it was read was never there.
        """
        stored, scene = read(self.engine, self.scene.source), self.scene
        ids = stored.ids
        edits = {each.was for each in scene.everything().values() if each.was and each.id in ids}
        for stream, posts in scene.posts.items():
            covered, gaps = stored.covered.get(stream, []), stored.gaps.get(stream, [])
            whole = united([*covered, *gaps])
            if len(whole) > 1:
                self._broken(
                    f"{stream}: time neither looked at nor a gap: {seconds(without([(whole[0][0], whole[-1][1])], whole))}"
                )
            if not whole:
                if scene.alive(stream):
                    self._broken(f"{stream}: nothing counts as looked at")
                continue
            read_to = scene.read_to.get(stream, LONG_AGO)
            if whole[-1][1] < read_to:
                self._broken(f"{stream}: looked at until {whole[-1][1]}, read until {read_to}")
            lost = [
                each
                for each in posts.values()
                if not each.gone
                and not each.late
                and each.id not in ids | edits
                and not (each.was and each.was in ids)
                and each.at > whole[0][0]
                and not holds([(from_at - SECOND, to_at) for from_at, to_at in gaps], each.at)
            ]
            if lost:
                self._broken(f"{stream}: {len(lost)} posts are lost: {[(each.id, str(each.at)) for each in lost[:3]]}")
            if isinstance(scene, BlueskyScene):
                told = [id_ for id_ in ids if id_ in posts and posts[id_].gone]
                kept = [id_ for id_ in told if not holds(gaps, scene.deleted_at(id_))]
                if kept:
                    self._broken(f"{stream}: stored though deleted: {kept[:3]}")
        self.result.served = len(self.plan.served & scene.everything().keys())
        self.result.stored = len(ids)
        self.result.gaps = sum(map(len, stored.gaps.values()))
