"""Kills the real `tracker collect` at random moments, and counts afterwards what is stored, lost and doubled."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jetstream import SENT_A_REQUEST, Jetstream, living, traffic
from platforms import (
    REDDIT_ID,
    REDDIT_SECRET,
    X_TOKEN,
    RedditPlatform,
    XPlatform,
    comments,
    submissions,
    x_posts,
)

if TYPE_CHECKING:
    from pathlib import Path

    from platforms import Platform

START_SECONDS = 1.5  # about what the command takes until its first request
DELAY_SECONDS = 0.03
ADDRESS = {"x": "TRACKER_X_URL", "reddit": "TRACKER_REDDIT_URL", "bluesky": "TRACKER_JETSTREAM_URL"}
BUDGET = [f"TRACKER_X_{unit}_PER_{time}" for unit in ("POSTS", "USD") for time in ("DAY", "MONTH")]
STREAMS = {"x": ("search",), "reddit": ("search", "comments"), "bluesky": ("posts",)}


def now() -> datetime:
    return datetime.now(UTC)


def open_platform(source: str, posts: int) -> Platform | Jetstream:
    """A slow server with so many posts of the last days; of Bluesky, so many events."""
    newest = now() - timedelta(minutes=1)
    if source == "x":
        platform: Platform | Jetstream = XPlatform(now, x_posts(posts, newest, timedelta(seconds=100)))
    elif source == "bluesky":
        platform = Jetstream(now, traffic(posts, newest, timedelta(milliseconds=10)))
    else:
        # Reddit lists no more than 1,000 of each.
        items = submissions(posts // 2, newest) + comments(posts // 2, newest, seed=1)
        platform = RedditPlatform(now, items)
    platform.delay_seconds = DELAY_SECONDS
    return platform


class Killing:
    """One database and one source, collected by processes that are killed."""

    def __init__(self, source: str, platform: Platform | Jetstream, folder: Path, seed: int) -> None:
        self.source, self.platform, self.folder = source, platform, folder
        self.landed: Counter[str] = Counter()
        self.database = folder / "posts.db"
        self._draw = random.Random(seed)
        self._round = 100
        self._command = [sys.executable, "-m", "tracker", "collect", source, "--once"]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TRACKER_", "X_", "REDDIT_"))},
            "TRACKER_DATABASE_URL": f"sqlite:///{self.database}",
            "TRACKER_PSEUDONYM_KEY": "a key of the kill test",
            "X_BEARER_TOKEN": X_TOKEN,
            **dict.fromkeys(BUDGET, "1000000"),
            ADDRESS[source]: platform.url,
            "REDDIT_CLIENT_ID": REDDIT_ID,
            "REDDIT_CLIENT_SECRET": REDDIT_SECRET,
        }

    def kill_one(self, most_pages: int) -> str:
        """Start the command, kill it after a random number of pages, and say where that found it."""
        pages_before, ends_before = len(self.platform.requests), self.platform.last_pages
        process = subprocess.Popen(
            self._command, cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        pages = self._draw.randint(0, most_pages)
        if pages:
            self.platform.await_requests(pages_before + pages, lambda: process.poll() is not None)
            time.sleep(self._draw.uniform(0, 2 * DELAY_SECONDS))
        else:
            time.sleep(self._draw.uniform(0, START_SECONDS))
        process.kill()
        complaint = process.communicate()[1].decode(errors="replace")
        assert "Traceback" not in complaint, complaint
        if process.returncode >= 0:
            assert process.returncode == 0, complaint
            where = "after its end"
        elif len(self.platform.requests) == pages_before:
            where = "before the first page"
        elif self.platform.last_pages - ends_before < len(STREAMS[self.source]):
            where = "while it read pages"
        else:
            where = "after the last page"
        self.landed[where] += 1
        return where

    def publish_some(self, most: int) -> None:
        """New posts appear while nobody looks; of Bluesky, so many thousand events."""
        count = self._draw.randint(0, most)
        self._round += 1
        if isinstance(self.platform, Jetstream):
            self.platform.publish(traffic(count * SENT_A_REQUEST, now(), timedelta(microseconds=10), self._round))
        elif isinstance(self.platform, XPlatform):
            self.platform.publish(x_posts(count, now(), timedelta(milliseconds=7), self._round))
        elif isinstance(self.platform, RedditPlatform):
            make = self._draw.choice([submissions, comments])
            self.platform.publish(make(count, now(), timedelta(milliseconds=7), self._round))

    def finish(self) -> None:
        """Run the command to its end: once for the walk that was cut off, once for what came since."""
        for _ in range(2):
            done = subprocess.run(
                self._command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr

    def served(self) -> dict[str, dict[str, datetime]]:
        """What the platform has, by stream and id."""
        if isinstance(self.platform, XPlatform):
            return {"search": {str(post.id): post.at for post in self.platform.posts.values()}}
        if isinstance(self.platform, Jetstream):
            return {"posts": living(self.platform.events)}
        assert isinstance(self.platform, RedditPlatform)
        kinds = {"search": "t3", "comments": "t1"}
        return {
            stream: {item.name: item.at for item in self.platform.items if item.name.startswith(kind)}
            for stream, kind in kinds.items()
        }

    def findings(self) -> dict[str, int]:
        """What is wrong with the database: every figure should be 0."""
        connection = sqlite3.connect(self.database)
        stored = Counter(id_ for (id_,) in connection.execute("SELECT id FROM posts"))
        spans = connection.execute("SELECT stream, from_at, to_at, gap_reason FROM coverage").fetchall()
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        connection.close()
        served = self.served()
        ids = {id_ for posts in served.values() for id_ in posts}
        outside = 0
        for stream, posts in served.items():
            covered = [
                (datetime.fromisoformat(from_at + "Z"), datetime.fromisoformat(to_at + "Z"))
                for name, from_at, to_at, gap in spans
                if name == stream and gap is None
            ]
            newest = max((to_at for _, to_at in covered), default=datetime.min.replace(tzinfo=UTC))
            for at in posts.values():
                if at <= newest and not any(from_at <= at <= to_at for from_at, to_at in covered):
                    outside += 1
        return {
            "lost": len(ids - stored.keys()),
            "foreign": len(stored.keys() - ids),
            "doubled": sum(count - 1 for count in stored.values()),
            "stored but outside every covered span": outside,
            "gaps": sum(gap is not None for *_, gap in spans),
            "spans beyond one a stream": sum(gap is None for *_, gap in spans) - len(served),
            "damaged": int(sound != "ok"),
        }
