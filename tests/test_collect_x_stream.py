"""X's filtered stream with the real client: each post once, the coverage whole, whatever the connection does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY
from platforms import X_TOKEN, XPost, status, x_id, x_posts
from sqlalchemy import select
from x_stream_server import RULES, End, XStreamPlatform

from collector.runner import Runner, Stopped
from collector.sources.x import compile_query
from collector.sources.x_stream import TAG, FilteredStream
from data import tables
from data.settings import DEFAULT_TERMS, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from data.store import RunRecord, Store

MINUTE = timedelta(minutes=1)
QUERY = compile_query(DEFAULT_TERMS)


class Leaping:
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Leaping:
    return Leaping()


@pytest.fixture
def platform(clock: Leaping) -> Iterator[XStreamPlatform]:
    with XStreamPlatform(clock.now) as platform:
        yield platform


class Following:
    """`tracker collect x --stream` in a thread of the test, on the test's clock; `stop` ends it."""

    def __init__(self, settings: Settings, store: Store, clock: Leaping) -> None:
        self.stream = FilteredStream(settings, batch_seconds=0.1)
        self.runs: list[RunRecord] = []
        self._stop = threading.Event()
        self._runner = Runner(store, clock.now, self._wait)
        self._clock = clock
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _wait(self, seconds: float) -> bool:
        return self._stop.wait(min(seconds, 0.05))

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                self.runs.append(self._runner.collect("x", [self.stream]))
                self._wait(1)
        except Stopped:
            pass
        finally:
            self.stream.disconnect()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def follow(
    platform: XStreamPlatform, opened: Callable[..., Store], clock: Leaping, url: str
) -> Iterator[Callable[..., Following]]:
    started: list[Following] = []

    def start(**setting: Any) -> Following:
        settings = load_settings(
            database_url=url, pseudonym_key=KEY, x_bearer_token=X_TOKEN, x_url=platform.url, **setting
        )
        started.append(Following(settings, opened(pretended_now=None), clock))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'posts.db'}"


def kept(store: Store) -> dict[str, datetime]:
    with store.engine.connect() as connection:
        return {row.id: row.created_at for row in connection.execute(select(tables.posts))}


def coverage(store: Store, *, gaps: bool = False) -> list[tuple[datetime, datetime]]:
    with store.engine.connect() as connection:
        rows = connection.execute(select(tables.coverage).order_by(tables.coverage.c.from_at)).all()
    return [(row.from_at, row.to_at) for row in rows if (row.gap_reason is not None) == gaps]


def served(platform: XStreamPlatform) -> dict[str, datetime]:
    return {str(post.id): post.at for post in platform.posts.values()}


def assert_nothing_claimed_unread(store: Store, platform: XStreamPlatform) -> None:
    spans, stored = coverage(store), kept(store)
    unread = [
        id_
        for id_, at in served(platform).items()
        if id_ not in stored and any(from_at < at <= to_at for from_at, to_at in spans)
    ]
    assert unread == []


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def catch_up(
    follow: Callable[..., Following], platform: XStreamPlatform, clock: Leaping, store: Store, **setting: Any
) -> Following:
    """Listening, and everything older read by the search."""
    following = follow(**setting)
    platform.await_(lambda: platform.listening == 1)
    clock.ahead += timedelta(seconds=20)
    wait_for(lambda: kept(store).keys() == served(platform).keys())
    wait_for(lambda: len(coverage(store)) == 1 and coverage(store)[0][1] > clock.now() - 2 * MINUTE)
    return following


def test_what_is_there_is_searched_and_what_comes_is_streamed_and_covered(
    follow: Callable[..., Following], platform: XStreamPlatform, clock: Leaping, opened: Callable[..., Store]
) -> None:
    store = opened(pretended_now=None)
    platform.publish(x_posts(250, clock.now() - MINUTE))
    catch_up(follow, platform, clock, store)
    assert kept(store).keys() == served(platform).keys()
    assert [(rule["value"], rule["tag"]) for rule in platform.rules.values()] == [(QUERY, TAG)]
    searched = len(platform.requests)
    long = "eCitizen & mimi " + "tangu asubuhi sijapata huduma " * 30 + "mwisho"
    platform.publish(
        [
            XPost(x_id(clock.now(), 7), long, replied_to="99"),
            *x_posts(30, clock.now(), timedelta(milliseconds=5), seed=1),
        ]
    )
    wait_for(lambda: len(kept(store)) == 281)
    assert platform.streamed == 31
    clock.ahead += 10 * MINUTE
    wait_for(lambda: coverage(store)[-1][1] > clock.now() - 2 * MINUTE)
    assert len(platform.requests) == searched
    assert len(coverage(store)) == 1
    assert_nothing_claimed_unread(store, platform)
    with store.engine.connect() as connection:
        row = connection.execute(select(tables.posts).where(tables.posts.c.reply_to == "99")).one()
    assert row.text == long


ENDS = [
    pytest.param(End(), id="X closes it"),
    pytest.param(End(abrupt=True), id="it breaks off"),
    pytest.param(End(b'{"data":{"id":"12', abrupt=True), id="it breaks off in a line"),
    pytest.param(End(b'{"data":{"id":"12\r\n'), id="half a line"),
    pytest.param(End(b"<html>Over capacity</html>\r\n"), id="HTML"),
    pytest.param(End(b'{"errors":[{"title":"operational-disconnect"}]}\r\n'), id="X says why"),
    pytest.param(End(b"[1,2]\r\n"), id="no object"),
    pytest.param(End(b'{"data":' * 3_000 + b"\r\n"), id="deep nesting"),
]


@pytest.mark.campaign
@pytest.mark.parametrize("end", ENDS)
def test_what_a_broken_connection_left_out_the_search_reads(
    follow: Callable[..., Following],
    platform: XStreamPlatform,
    clock: Leaping,
    opened: Callable[..., Store],
    end: End,
) -> None:
    store = opened(pretended_now=None)
    platform.publish(x_posts(20, clock.now() - MINUTE))
    catch_up(follow, platform, clock, store)
    before = platform.connections
    platform.publish(x_posts(5, clock.now(), timedelta(milliseconds=5), seed=1))
    platform.end(end)
    platform.await_(lambda: platform.listening == 0)
    platform.publish(x_posts(7, clock.now(), timedelta(milliseconds=5), seed=2))  # nobody listens
    clock.ahead += 2 * MINUTE
    wait_for(lambda: len(kept(store)) == 32)
    platform.await_(lambda: platform.connections > before)
    clock.ahead += MINUTE
    platform.publish(x_posts(3, clock.now(), timedelta(milliseconds=5), seed=3))
    clock.ahead += MINUTE
    wait_for(lambda: len(kept(store)) == 35)
    clock.ahead += 3 * MINUTE
    wait_for(lambda: coverage(store)[-1][1] > clock.now() - 2 * MINUTE)
    assert kept(store).keys() == served(platform).keys()
    assert len(coverage(store)) == 1
    assert coverage(store, gaps=True) == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_while_the_stream_cannot_be_had_the_search_reads(
    follow: Callable[..., Following], platform: XStreamPlatform, clock: Leaping, opened: Callable[..., Store], code: int
) -> None:
    store = opened(pretended_now=None)
    platform.refusals = [code] * 3
    platform.publish(x_posts(20, clock.now() - MINUTE))
    follow()
    wait_for(lambda: len(kept(store)) == 20)
    assert platform.connections == 0
    for _ in range(6):
        clock.ahead += 2 * MINUTE
        platform.publish(x_posts(2, clock.now() - MINUTE, timedelta(milliseconds=5), seed=platform.posts_read))
        time.sleep(0.3)
    platform.await_(lambda: platform.connections == 1)
    clock.ahead += MINUTE
    wait_for(lambda: kept(store).keys() == served(platform).keys())


@pytest.mark.parametrize(
    ("code", "named"),
    [(401, "X_BEARER_TOKEN"), (402, "credits"), (403, "filtered stream"), (404, "TRACKER_X_URL"), (400, "--stream")],
)
def test_a_refused_stream_says_so_costs_nothing_and_loses_nothing(
    follow: Callable[..., Following],
    platform: XStreamPlatform,
    clock: Leaping,
    opened: Callable[..., Store],
    code: int,
    named: str,
) -> None:
    store = opened(pretended_now=None)
    platform.publish(x_posts(20, clock.now() - MINUTE))
    platform.refusals = [code]
    following = follow()
    wait_for(lambda: bool(following.runs))
    assert following.runs[0].outcome == "refused"
    assert named in following.runs[0].note
    platform.await_(lambda: platform.listening == 1)
    clock.ahead += MINUTE
    wait_for(lambda: kept(store).keys() == served(platform).keys())


@pytest.mark.parametrize("fault", [status(403, path=RULES), status(401, path=RULES)], ids=["403", "401"])
def test_rules_that_are_refused_end_the_run(
    follow: Callable[..., Following], platform: XStreamPlatform, fault: Any
) -> None:
    platform.fail(fault)
    following = follow()
    wait_for(lambda: bool(following.runs))
    assert following.runs[0].outcome == "refused"


def test_an_old_rule_of_ours_is_replaced_and_a_foreign_one_is_not_paid_for(
    follow: Callable[..., Following], platform: XStreamPlatform
) -> None:
    platform.rules = {
        "1": {"id": "1", "value": "ecitizen", "tag": TAG},
        "2": {"id": "2", "value": "cats", "tag": "cats"},
    }
    following = follow()
    wait_for(lambda: bool(following.runs))
    assert following.runs[0].outcome == "refused"
    assert "rules of somebody else" in following.runs[0].note
    assert platform.connections == 0
    del platform.rules["2"]
    platform.await_(lambda: platform.listening == 1)
    assert [(rule["value"], rule["tag"]) for rule in platform.rules.values()] == [(QUERY, TAG)]


def test_the_budget_is_reserved_ahead_and_at_its_end_the_stream_is_left_and_posts_are_counted(
    follow: Callable[..., Following], platform: XStreamPlatform, clock: Leaping, opened: Callable[..., Store]
) -> None:
    store = opened(pretended_now=None)
    following = catch_up(follow, platform, clock, store, x_posts_per_day=1_000)
    for number in range(200):  # until the search, which reads after the stream, has used up the rest
        if any(run.outcome == "limited" for run in following.runs):
            break
        platform.publish(x_posts(30, clock.now(), timedelta(milliseconds=3), seed=number))
        time.sleep(0.15)
    wait_for(lambda: any(run.outcome == "limited" for run in following.runs))
    assert platform.listening == 0
    clock.ahead += 20 * MINUTE
    wait_for(lambda: platform.counts_asked > 0)
    following.stop()
    with store.engine.connect() as connection:
        spent = dict(connection.execute(select(tables.spending.c.day, tables.spending.c.posts)).all())
    print(dict(platform.billed_posts), spent)
    for day, posts in platform.billed_posts.items():
        assert posts <= spent[day] <= 1_000
    assert_nothing_claimed_unread(store, platform)
    assert platform.streamed >= 500


@pytest.mark.parametrize("seed", range(2))
def test_any_mix_of_ends_and_silences_reads_each_post_once(
    follow: Callable[..., Following],
    platform: XStreamPlatform,
    clock: Leaping,
    opened: Callable[..., Store],
    seed: int,
) -> None:
    print(f"seed {seed}")
    draw = random.Random(seed)
    store = opened(pretended_now=None)
    following = follow()
    ends = [each.values[0] for each in ENDS]
    for round_ in range(20):
        if platform.listening and draw.random() < 0.1:
            before = platform.connections
            platform.end(End())
            platform.await_(lambda before=before: platform.listening == 0 or platform.connections > before)
        platform.publish(x_posts(draw.randint(0, 30), clock.now(), timedelta(milliseconds=2), seed=round_ + 1))
        if draw.random() < 0.3:
            platform.refusals = draw.choices([503, 429, 500], k=draw.randint(1, 2))
            platform.end(draw.choice(ends))
        if draw.random() < 0.15:
            following.stop()
            following = follow()
        time.sleep(draw.uniform(0, 0.2))
        clock.ahead += draw.choice([timedelta(0), timedelta(seconds=20), 3 * MINUTE])
        assert_nothing_claimed_unread(store, platform)
    platform.refusals = []
    for _ in range(8):
        clock.ahead += 2 * MINUTE
        time.sleep(0.3)
    wait_for(lambda: kept(store).keys() == served(platform).keys())
    assert_nothing_claimed_unread(store, platform)
    assert len(coverage(store)) == 1


def test_the_command_follows_until_it_is_told_to_stop(
    platform: XStreamPlatform, opened: Callable[..., Store], tmp_path: Path, url: str
) -> None:
    platform.publish(x_posts(5, datetime.now(UTC) - 5 * MINUTE))
    environment = os.environ | {
        "TRACKER_DATABASE_URL": url,
        "TRACKER_PSEUDONYM_KEY": KEY,
        "X_BEARER_TOKEN": X_TOKEN,
        "TRACKER_X_URL": platform.url,
    }
    command = [sys.executable, "-m", "tracker", "collect", "x", "--stream"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    store = opened(pretended_now=None)
    platform.await_(lambda: platform.listening == 1)
    platform.publish(x_posts(4, datetime.now(UTC), timedelta(milliseconds=3), seed=1))
    wait_for(lambda: len(kept(store)) >= 4)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "stopped" in said
    with store.engine.connect() as connection:
        (posts,) = connection.execute(select(tables.spending.c.posts)).scalars()
    assert posts == len(kept(store))
    for words in (["--stream", "--once"], ["--stream", "reddit"]):
        wrong = subprocess.run(
            [*command[:4], "x", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert wrong.returncode == 2
        assert "x alone" in wrong.stderr


def test_a_database_that_fails_does_not_end_the_command(
    platform: XStreamPlatform, opened: Callable[..., Store], tmp_path: Path, url: str
) -> None:
    store = opened(pretended_now=None)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE runs RENAME TO away_runs")
    environment = os.environ | {
        "TRACKER_DATABASE_URL": url,
        "TRACKER_PSEUDONYM_KEY": KEY,
        "X_BEARER_TOKEN": X_TOKEN,
        "TRACKER_X_URL": f"{platform.url}/nothing",
    }
    command = [sys.executable, "-m", "tracker", "collect", "x", "--stream"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = next((line for line in process.stderr if "database failed" in line), "")
    assert '"seconds": 300' in said and "INSERT" not in said
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.communicate()
