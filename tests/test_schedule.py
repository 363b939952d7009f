"""The schedule: each source at its own pace, circuits that open and close, a stop that is heard, and what is told meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from feed_server import NewsSite, items
from platforms import (
    REDDIT_ID,
    REDDIT_SECRET,
    X_TOKEN,
    Clock,
    RedditPlatform,
    XPlatform,
    comments,
    status,
    submissions,
    x_posts,
)
from sqlalchemy import select

from collector.schedule import Schedule
from collector.sources import NAMES, load_source
from data import tables
from data.circuit import FIRST_PAUSE, LONGEST_PAUSE, open_circuit, open_circuits
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collector.runner import Runner
    from data.settings import Settings
    from data.store import RunRecord, Store

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Time:
    """A clock that the waits of a schedule move, up to a moment at which it is asked to stop."""

    def __init__(self, clock: Clock, until: datetime) -> None:
        self._clock, self._until = clock, until
        self._lock = threading.Lock()

    def wait(self, seconds: float) -> bool:
        with self._lock:
            self._clock.at += timedelta(seconds=seconds)
            return self._clock.at >= self._until


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def x(clock: Clock) -> Iterator[XPlatform]:
    with XPlatform(lambda: clock.at) as platform:
        yield platform


def read(name: str, settings: Settings) -> Callable[[Runner], RunRecord]:
    """The runs of a source in one process, whose streams are opened once."""
    streams = load_source(name).open_streams(settings)
    return lambda runner: runner.collect(name, streams)


def run(
    settings: Settings, clock: Clock, until: datetime, *sources: str, every: float = 120, once: bool = False
) -> Schedule:
    """A process of its own, as it were: a store and streams that are opened anew."""
    store = open_store(settings)
    reads = {name: read(name, settings) for name in sources}
    schedule = Schedule(store, lambda: clock.at, Time(clock, until).wait, reads, dict.fromkeys(sources, every))
    schedule.run(once=once)
    store.close()
    return schedule


def runs(store: Store) -> list[Any]:
    with store.engine.connect() as connection:
        return list(connection.execute(select(tables.runs).order_by(tables.runs.c.id)).all())


def x_settings(tmp_path: Path, platform: XPlatform, token: str = X_TOKEN) -> Settings:
    database = f"sqlite:///{tmp_path / 'posts.db'}"
    return load_settings(database_url=database, pseudonym_key=KEY, x_bearer_token=token, x_url=platform.url)


class Held(XPlatform):
    """X, which answers when it is let."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.let = threading.Event()
        self.asked = threading.Event()

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        self.asked.set()
        assert self.let.wait(60)
        return super().answer(method, path, parameters, headers)


def test_a_source_that_does_not_answer_delays_no_other(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with Held(lambda: now) as held, RedditPlatform(lambda: now, submissions(3, now - MINUTE)) as reddit:
        held.publish(x_posts(2, now - MINUTE))
        settings = load_settings(
            database_url=f"sqlite:///{tmp_path / 'posts.db'}",
            pseudonym_key=KEY,
            x_bearer_token=X_TOKEN,
            x_url=held.url,
            reddit_client_id=REDDIT_ID,
            reddit_client_secret=REDDIT_SECRET,
            reddit_url=reddit.url,
        )
        store = open_store(settings)
        reads = {name: read(name, settings) for name in ("x", "reddit")}
        stop = threading.Event()
        schedule = Schedule(store, lambda: now, stop.wait, reads, {"x": 1, "reddit": 0.01})
        thread = threading.Thread(target=schedule.run)
        thread.start()
        assert held.asked.wait(60)
        # Two requests a run: so it has run twice more since X was asked for the first time, and holds its answer still.
        assert reddit.await_requests(len(reddit.requests) + 6, lambda: not thread.is_alive())
        assert "x" not in schedule.records and schedule.records["reddit"].outcome == "done"
        held.let.set()
        while "x" not in schedule.records:
            assert thread.is_alive()
            stop.wait(0.01)
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
        assert schedule.records["x"].new == 2
        store.close()


def test_each_source_has_its_own_interval(tmp_path: Path, clock: Clock, x: XPlatform) -> None:
    settings = x_settings(tmp_path, x)
    run(settings, clock, NOW + 9 * MINUTE, "x", every=120)
    store = open_store(settings)
    begun = [each.started_at for each in runs(store)]
    assert len(begun) == 5
    assert all(abs(later - earlier - 2 * MINUTE) < MINUTE for earlier, later in itertools.pairwise(begun))
    store.close()


def test_a_refused_source_is_asked_ever_more_rarely_across_restarts_and_comes_back(
    tmp_path: Path, clock: Clock, x: XPlatform
) -> None:
    x.publish(x_posts(3, NOW - MINUTE))
    wrong = x_settings(tmp_path, x, "a key that is wrong")
    for hour in range(1, 7):  # each hour the service is started again
        run(wrong, clock, NOW + hour * HOUR, "x")
    store = open_store(wrong)
    tried = [each.started_at for each in runs(store)]
    assert {each.outcome for each in runs(store)} == {"refused"}
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    expected = [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(len(pauses))]
    assert len(pauses) >= 6
    for pause, least in zip(pauses, expected, strict=True):
        assert least <= pause <= least + 4 * MINUTE  # the next round after it
    (circuit,) = open_circuits(store.engine)
    assert (circuit.source, circuit.failures, circuit.since) == ("x", len(tried), tried[0])
    assert "X_BEARER_TOKEN" in circuit.reason

    right = x_settings(tmp_path, x)
    run(right, clock, circuit.next_try_at - MINUTE, "x")
    assert len(runs(store)) == len(tried)
    run(right, clock, circuit.next_try_at + 5 * MINUTE, "x")
    assert runs(store)[-1].outcome == "done"
    assert open_circuits(store.engine) == []
    store.close()


def test_run_once_tries_a_source_that_rests_and_so_closes_its_circuit(
    tmp_path: Path, clock: Clock, x: XPlatform
) -> None:
    assert run(x_settings(tmp_path, x, "wrong"), clock, NOW + MINUTE, "x", once=True).failed == {"x"}
    settings = x_settings(tmp_path, x)
    store = open_store(settings)
    assert open_circuit(store.engine, "x") is not None
    clock.at += MINUTE
    assert run(settings, clock, NOW + HOUR, "x", once=True).failed == set()
    assert open_circuit(store.engine, "x") is None
    store.close()


def test_a_failing_source_rests_after_five_runs_and_one_that_got_on_does_not(
    tmp_path: Path, clock: Clock, x: XPlatform
) -> None:
    settings = x_settings(tmp_path, x)
    store = open_store(settings)
    x.fail(*[status(503)] * 1_000)
    for number in range(1, 6):
        assert open_circuit(store.engine, "x") is None
        run(settings, clock, clock.at + HOUR, "x", once=True)
        clock.at += MINUTE
        assert len(runs(store)) == number
    circuit = open_circuit(store.engine, "x")
    assert circuit is not None and circuit.failures == 5 and "503" in circuit.reason
    # One page is read and saved, then it fails again: that is no reason to rest.
    x.mend()
    x.publish(x_posts(150, NOW - MINUTE))
    x.fail(status(200), *[status(503)] * 10)
    assert run(settings, clock, clock.at + HOUR, "x", once=True).failed == {"x"}
    assert runs(store)[-1].outcome == "failed" and runs(store)[-1].new == 100
    assert open_circuit(store.engine, "x") is None
    store.close()


def test_a_feed_that_is_gone_stops_no_other(tmp_path: Path, clock: Clock) -> None:
    with NewsSite(lambda: clock.at, items(3, NOW - MINUTE)) as site:
        urls = f"{site.url}/rss,{site.url}/gone"
        settings = load_settings(database_url=f"sqlite:///{tmp_path / 'posts.db'}", pseudonym_key=KEY, feed_urls=urls)
        run(settings, clock, NOW + HOUR - MINUTE, "news", every=600)
        store = open_store(settings)
        assert [each.outcome for each in runs(store)] == ["refused"] * 6
        assert open_circuits(store.engine) == []
        store.close()


def start(tmp_path: Path, *words: str, stderr: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    ours = {"TRACKER_DATABASE_URL": f"sqlite:///{tmp_path / 'posts.db'}", "TRACKER_PSEUDONYM_KEY": KEY}
    return subprocess.Popen(
        [sys.executable, "-m", "tracker", *words],
        cwd=tmp_path,
        env={**os.environ, **ours, **environment},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_source_though_one_holds_its_answer_and_keeps_what_was_read(
    tmp_path: Path, number: signal.Signals
) -> None:
    now = datetime.now(UTC)
    listed = submissions(3, now - MINUTE) + comments(3, now - MINUTE, seed=1)
    with Held(lambda: now) as held, RedditPlatform(lambda: now, listed) as reddit:
        environment = {"X_BEARER_TOKEN": X_TOKEN, "TRACKER_X_URL": held.url, "TRACKER_REDDIT_URL": reddit.url}
        environment |= {"REDDIT_CLIENT_ID": REDDIT_ID, "REDDIT_CLIENT_SECRET": REDDIT_SECRET}
        process = start(tmp_path, "collect", "x", "reddit", "--json", **environment)
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["event"] == "run ended":
                break
        assert held.asked.wait(60)
        process.send_signal(number)
        printed, told = process.communicate(timeout=60)
        held.let.set()
    assert process.returncode == 0
    events = [json.loads(line) for line in told.splitlines()]
    assert [(each["source"], each["event"]) for each in events[-2:-1]] == [("x", "left while it waits for an answer")]
    assert events[-1]["event"] == "stopped"
    assert json.loads(printed)["reddit"]["new"] == 6
    with sqlite3.connect(tmp_path / "posts.db") as connection:
        assert connection.execute("SELECT count(*) FROM posts").fetchone() == (6,)
    connection.close()


def test_machines_get_one_json_line_an_event(tmp_path: Path, tracker: Callable[..., Any], x: XPlatform) -> None:
    x.publish(x_posts(150, NOW - MINUTE))
    x.fail(status(503))
    environment = {"X_BEARER_TOKEN": X_TOKEN, "TRACKER_X_URL": x.url, "TRACKER_FEED_URLS": "off"}
    done = tracker("collect", "x", "news", "--once", **environment)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["event"] for each in events] == ["source off", "waiting", "page saved", "page saved", "run ended"]
    assert all({"level", "timestamp"} <= each.keys() for each in events)
    assert (events[0]["source"], events[1]["source"], events[-1]["fetched"]) == ("news", "x", 150)
    as_text = tracker("collect", "x", "news", "--once", **environment, TRACKER_LOGS="text")
    # What was written in the last minutes is read again.
    assert "x: 5 read, 0 new, 1 requests" in as_text.stderr and "{" not in as_text.stderr
    assert "logs" in tracker("collect", "x", TRACKER_LOGS="loud").stderr


def test_people_see_sentences_and_what_each_source_does(tmp_path: Path, x: XPlatform) -> None:
    x.publish(x_posts(3, NOW - MINUTE))
    ours, theirs = pty.openpty()
    environment = {"X_BEARER_TOKEN": X_TOKEN, "TRACKER_X_URL": x.url, "TRACKER_NOW": NOW.isoformat(), "TERM": "xterm"}
    process = start(tmp_path, "collect", "x", "--once", stderr=theirs, **environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            some = os.read(ours, 65_536)
        except OSError:  # the other side is closed
            break
        if not some:
            break
        shown += some
    os.close(ours)
    process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert b"x: 3 read, 3 new, 1 requests" in shown
    assert b"x search: 3 read" in shown and b'"event"' not in shown


def test_intervals_are_set_by_source_and_a_wrong_name_is_told(tracker: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "tracker.toml").write_text("[every_seconds]\nx = 300\n")
    assert load_settings().every_seconds == {"x": 300}
    (tmp_path / "tracker.toml").write_text("[every_seconds]\norkut = 300\n")
    wrong = tracker("collect", "x")
    assert wrong.returncode == 2 and "orkut" in wrong.stderr
    (tmp_path / "tracker.toml").write_text("[every_seconds]\nx = 0\n")
    wrong = tracker("collect", "x")
    assert wrong.returncode == 2 and "every_seconds" in wrong.stderr


def test_every_source_has_the_shape_of_a_source_and_is_looked_at_before_the_page_calls_it_silent() -> None:
    from dashboard.volume import STALE_AFTER

    for name in NAMES:
        module = load_source(name)
        assert name == module.NAME
        assert 1 <= module.EVERY_SECONDS < STALE_AFTER.total_seconds()
