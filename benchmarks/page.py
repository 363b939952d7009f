"""How long the pages read: a month of 60,000 labelled posts with an incident, on SQLite or the given database, which must be empty.

python benchmarks/page.py [DATABASE_URL]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dashboard import volume
from dashboard.incidents import LANES, replay
from dashboard.record import records
from data.labels import PROBLEMS
from data.records import Post
from data.settings import load_settings
from data.store import Labels, Span, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.store import Store

NOW = datetime(2026, 3, 31, 17, 0, tzinfo=UTC)
DAYS, POSTS, PAGE, SEED = 30, 60_000, 1_000, 5
MODEL = "drawn@000000000000"
WORDS = [
    "ecitizen",
    "mfumo",
    "malipo",
    "password",
    "otp",
    "iko",
    "down",
    "tena",
    "leo",
    "asubuhi",
    "nimelipa",
    "passport",
    "licence",
    "cheti",
    "inachelewa",
    "sana",
    "bado",
    "please",
    "help",
]


def fill(store: Store) -> None:
    """Two thirds are complaints, by a third as many people, and one day has an incident of six hours."""
    draw = random.Random(SEED)
    store.activate_model(MODEL, "0" * 64)
    begin = NOW - timedelta(days=DAYS)
    for start in range(0, POSTS, PAGE):
        posts, labels = [], []
        for number in range(start, start + PAGE):
            if draw.random() < 0.02:
                at = begin + timedelta(days=20, hours=6, seconds=draw.randrange(6 * 3_600))
            else:
                at = begin + timedelta(seconds=draw.randrange(DAYS * 86_400))
            text = " ".join(draw.choices(WORDS, k=draw.randrange(6, 30)))
            posts.append(Post("x", str(number), at, text, author_id=str(draw.randrange(POSTS // 3))))
            problems = draw.sample(PROBLEMS, draw.choice((0, 1, 1, 2)))
            scores = {problem: round(draw.random(), 3) for problem in PROBLEMS}
            kind = draw.choice(("complaint", "complaint", "complaint", "complaint", "news", "rumour"))
            about = draw.choice(("ecitizen", "ecitizen", "ecitizen", "ecitizen", "government", "dependency"))
            drawn = Labels(problems, scores, kind, 0.9, "negative", 0.9, about, 0.9, "en", False, ["passport"])
            labels.append(("x", str(number), drawn))
        store.save_page(posts)
        store.save_labels(MODEL, labels)
    store.save_page([], source="x", stream="drawn", spans=[Span(begin, NOW)])


def main() -> None:
    """Fill, then read as the pages do, each three times; the best time is told."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/posts.db"
        store = open_store(load_settings(database_url=url, pseudonym_key="a key of the benchmark", pretended_now=NOW))
        if not store.is_empty():
            raise SystemExit("the database is in use: name an empty one")
        timed("fill", lambda: fill(store), 1)
        timed("incidents raised", lambda: replay(store.engine, NOW), 1)
        engine, month = store.engine, volume.Window(NOW - timedelta(days=DAYS), NOW)
        timed("status line", lambda: volume.status_line(engine, NOW))
        posts = timed("posts of a month", lambda: volume.load_posts(engine, month))
        timed("four charts of it", lambda: charts(posts, month))
        timed("texts of the 500 newest", lambda: volume.with_texts(engine, volume.complaints(posts).head(500)))
        for lane in LANES:
            found = timed(f"records, lane {lane}", lambda lane=lane: records(engine, NOW, lane=lane))
            print(f"  {len(found)} of them")
        store.close()


def charts(posts: Any, window: volume.Window) -> None:
    """What the overview computes."""
    volume.volume_by_problem(posts, window)
    volume.sentiment_over_time(posts, window)
    volume.lanes(posts, window)
    volume.problem_shares(posts)


def timed(what: str, do: Callable[[], Any], times: int = 3) -> Any:
    """Print the least of the times."""
    took, found = [], None
    for _ in range(times):
        started = time.perf_counter()
        found = do()
        took.append(time.perf_counter() - started)
    print(f"{what}: {min(took):.2f} s", flush=True)
    return found


if __name__ == "__main__":
    main()
