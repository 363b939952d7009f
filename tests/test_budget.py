"""The budget of X: what is reserved, spent and never exceeded; against a server that bills as X does."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import streamlit as st
from conftest import KEY, NOW
from hypothesis import given
from hypothesis import strategies as any_
from platforms import (
    DROPPED,
    HTML,
    REDDIT_ID,
    REDDIT_SECRET,
    TRUNCATED,
    X_TOKEN,
    Clock,
    Reading,
    RedditPlatform,
    XPlatform,
    XPost,
    edited,
    status,
    submissions,
    x_id,
    x_posts,
)
from sqlalchemy import func, select
from streamlit.testing.v1 import AppTest
from test_page import PAGE, words

from collector.budget import Budget
from collector.sources import x
from dashboard import volume
from data import tables
from data.errors import InputError
from data.settings import load_settings
from data.spending import READING_SHARE, Limits, Spent, affordable_posts, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from data.store import Store

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMITS = Limits(1_000, 3_000, 10.0, 25.0)
TODAY = "2026-03-06"
SLIVER = 1e-6  # sums of prices are not exact


def spending(store: Store) -> dict[str, tuple[int, int, float]]:
    """By day: posts, requests and dollars."""
    with store.engine.connect() as connection:
        return {
            row.day: (row.posts, row.requests, round(row.cost_usd, 6))
            for row in connection.execute(select(tables.spending).where(tables.spending.c.source == "x"))
        }


def counted(store: Store) -> dict[datetime, int]:
    with store.engine.connect() as connection:
        return {row.from_at: row.posts for row in connection.execute(select(tables.counts))}


# The ledger


def test_what_is_reserved_is_counted_and_settling_counts_what_it_really_cost(opened: Callable[..., Store]) -> None:
    store = opened()
    budget = Budget(store.engine, "x", LIMITS, lambda: NOW)
    reserved = budget.reserve_posts(10, 100, 0.015)
    assert (reserved.posts, round(reserved.usd, 6)) == (100, 1.5)
    assert spending(store) == {TODAY: (100, 1, 1.5)}
    budget.settle(reserved, 40, 0.35)
    assert spending(store) == {TODAY: (40, 1, 0.35)}
    assert Budget(opened().engine, "x", LIMITS, lambda: NOW).standing().spent == Spent(40, 40, 0.35, 0.35)
    assert Budget(store.engine, "y", LIMITS, lambda: NOW).standing().spent == Spent(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("limits", "readable"),
    [
        (Limits(1_000, 10**6, 10**6, 10**6), 900),
        (Limits(10**6, 500, 10**6, 10**6), 450),
        (Limits(10**6, 10**6, 10.0, 10**6), 600),
        (Limits(10**6, 10**6, 10**6, 5.0), 300),
        (Limits(0, 10**6, 10**6, 10**6), 0),
        (Limits(10**6, 10**6, 0.0, 10**6), 0),
    ],
    ids=["posts a day", "posts a month", "dollars a day", "dollars a month", "no post", "no dollar"],
)
def test_each_limit_ends_reading_at_nine_tenths_and_the_last_page_is_smaller(
    store: Store, limits: Limits, readable: int
) -> None:
    budget = Budget(store.engine, "x", limits, lambda: NOW)
    pages = []
    while (reserved := budget.reserve_posts(10, 70, 0.015)) is not None:
        pages.append(reserved.posts)
    assert sum(pages) == readable
    assert all(page == 70 for page in pages[:-1])
    assert readable - 10 < spending(store).get(TODAY, (0,))[0] <= readable


def test_requests_may_spend_the_last_tenth_and_no_more(store: Store) -> None:
    budget = Budget(store.engine, "x", replace(LIMITS, usd_per_day=0.15), lambda: NOW)
    assert budget.reserve_posts(10, 100, 0.015) is None
    while budget.reserve_posts(1, 3, 0.015):
        pass
    assert budget.standing().word == "counting"
    asked = 0
    while budget.reserve_request(0.005):
        asked += 1
    assert spending(store)[TODAY] == (9, 3 + asked, 0.15)
    assert asked == 3
    assert budget.standing().word == "stopped"


def test_a_new_utc_day_and_a_new_month_renew_the_budget(store: Store) -> None:
    clock = Clock(datetime(2026, 3, 30, 23, 59, 59, tzinfo=UTC))
    budget = Budget(store.engine, "x", Limits(100, 150, 10**6, 10**6), clock.now)
    late = budget.reserve_posts(10, 90, 0.015)
    assert budget.reserve_posts(10, 90, 0.015) is None
    assert budget.standing().renewed_at == datetime(2026, 3, 31, tzinfo=UTC)
    clock.at += timedelta(seconds=2)
    next_day = budget.reserve_posts(10, 90, 0.015)
    assert next_day.posts == 45  # 135 a month
    budget.settle(late, 80, 1.2)  # on the day on which it was begun
    assert {day: row[0] for day, row in spending(store).items()} == {"2026-03-30": 80, "2026-03-31": 45}
    rest = budget.reserve_posts(10, 90, 0.015)
    assert rest.posts == 10
    where = budget.standing()
    assert (where.word, where.setting, where.amount) == ("counting", "x_posts_per_month", "135 of 150 posts")
    assert where.renewed_at == datetime(2026, 4, 1, tzinfo=UTC)
    clock.at += DAY
    assert budget.standing().word == "reading"


amounts = any_.integers(0, 10**6)
dollars = any_.floats(0, 10**5, allow_nan=False).map(lambda value: round(value, 3))


@given(any_.builds(Limits, amounts, amounts, dollars, dollars), any_.builds(Spent, amounts, amounts, dollars, dollars))
def test_what_is_affordable_never_goes_beyond_a_limit_and_the_standing_agrees(limits: Limits, spent: Spent) -> None:
    posts = affordable_posts(limits, spent, 0.015)
    if posts > 0:
        assert spent.posts_of_day + posts <= limits.posts_per_day * READING_SHARE + SLIVER
        assert spent.posts_of_month + posts <= limits.posts_per_month * READING_SHARE + SLIVER
        assert spent.usd_of_day + posts * 0.015 <= limits.usd_per_day * READING_SHARE + SLIVER
        assert spent.usd_of_month + posts * 0.015 <= limits.usd_per_month * READING_SHARE + SLIVER
    where = standing(limits, spent, NOW)
    assert (where.word == "reading") == (posts >= 10)
    if where.word == "counting":
        assert spent.usd_of_day + 0.005 <= limits.usd_per_day + SLIVER


SPENDER = """
import os, random, signal, sys
from datetime import datetime, UTC
from collector.budget import Budget
from data.settings import load_settings
from data.spending import Limits
from data.store import open_store
draw = random.Random(int(sys.argv[1]))
budget = Budget(open_store(load_settings()).engine, "x", Limits(2_000, 10**6, 10**6, 10**6), lambda: datetime(2026, 3, 6, tzinfo=UTC))
print("ready", flush=True)
sys.stdin.readline()
real = 0
for _ in range(60):
    reserved = budget.reserve_posts(10, 100, 0.015)
    if reserved is None:
        break
    used = draw.randint(0, reserved.posts)
    real += used
    print(real, flush=True)
    if draw.random() < 0.05 or sys.argv[1] == "0":  # one for certain, whoever is first to the limit
        os.kill(os.getpid(), signal.SIGKILL)
    budget.settle(reserved, used, used * 0.015)
"""


def test_many_processes_at_once_killed_or_not_never_reserve_more_than_the_limit(
    opened: Callable[..., Store], url: str
) -> None:
    store = opened()
    environment = os.environ | {"TRACKER_DATABASE_URL": url, "TRACKER_PSEUDONYM_KEY": KEY}
    command = [sys.executable, "-c", SPENDER]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = [subprocess.Popen([*command, str(seed)], env=environment, text=True, **pipes) for seed in range(4)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    real, killed = 0, 0
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        output, complaint = child.communicate(timeout=120)
        assert child.returncode in {0, -signal.SIGKILL}, complaint
        killed += child.returncode != 0
        real += int(output.split()[-1]) if output.split() else 0
    print(f"{real} posts used, {killed} of 4 killed, counted {spending(store)}")
    ((posts, requests, _),) = spending(store).values()
    assert real <= posts <= 1_800
    assert killed
    assert requests > 20
    assert (
        Budget(store.engine, "x", Limits(2_000, 10**6, 10**6, 10**6), lambda: NOW).reserve_posts(10, 100, 0.015) is None
        or killed == 4
    )


# X within it


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def platform(clock: Clock) -> Iterator[XPlatform]:
    with XPlatform(clock.now) as platform:
        yield platform


@pytest.fixture
def reader(platform: XPlatform, clock: Clock, tmp_path: Path) -> Iterator[Callable[..., Reading]]:
    """Collects with a budget, each time as a process that starts anew."""
    readings: list[Reading] = []

    def open_(**setting: Any) -> Reading:
        wide: dict[str, Any] = {"x_url": platform.url}
        wide |= dict.fromkeys(("x_posts_per_day", "x_posts_per_month"), 10**6)
        wide |= dict.fromkeys(("x_usd_per_day", "x_usd_per_month"), 10**6)
        settings = load_settings(
            database_url=f"sqlite:///{tmp_path / 'posts.db'}",
            pseudonym_key=KEY,
            x_bearer_token=X_TOKEN,
            **wide | setting,
        )
        readings.append(Reading(x, settings, clock))
        return readings[-1]

    yield open_
    for each in readings:
        each.store.close()


def served(platform: XPlatform) -> dict[str, datetime]:
    return {str(post.id): post.at for post in platform.posts.values()}


def test_near_the_limit_posts_are_counted_and_on_the_next_day_reading_goes_on_where_it_stopped(
    reader: Callable[..., Reading], platform: XPlatform, clock: Clock
) -> None:
    clock.at = NOW - 26 * HOUR
    assert reader().run().outcome == "done"
    clock.at = NOW
    platform.publish(x_posts(500, NOW - 2 * MINUTE, every=3 * MINUTE))
    reading = reader(x_posts_per_day=300, x_usd_per_day=10.0)
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("limited", 268, 0)  # two of the last page were read before
    assert platform.billed_posts[TODAY] == 268
    assert "268 of 300 posts" in run.note
    assert "x_posts_per_day" in run.note
    assert "Sat 07 Mar 03:00 EAT" in run.note
    reading.assert_nothing_claimed_unread("search", served(platform))
    assert platform.counts_asked == 1
    found = counted(reading.store)
    assert found
    for begin, posts in found.items():
        assert posts == sum(begin <= at < begin + MINUTE for at in served(platform).values())
    assert sum(found.values()) == 500

    # Within a quarter of an hour nothing more is asked, and after it only what came since.
    clock.at += 5 * MINUTE
    again = reading.run()
    assert (again.outcome, again.requests, again.cost_usd) == ("limited", 0, 0)
    platform.publish(x_posts(7, clock.at, timedelta(seconds=10), seed=1))
    clock.at += 20 * MINUTE
    later = reading.run()
    assert (later.outcome, later.requests, later.cost_usd) == ("limited", 1, 0.005)
    assert sum(counted(reading.store).values()) == 507
    assert volume.counted_unread(reading.store.engine, "x")[0] == 7

    clock.at = datetime(2026, 3, 7, 0, 5, tzinfo=UTC)
    next_day = reader(x_posts_per_day=300, x_usd_per_day=10.0).run()
    assert (next_day.outcome, next_day.new, next_day.gaps) == ("done", 239, 0)
    assert next_day.duplicate <= 6  # two posts below where it goes on, and what is minutes older than where it ends
    assert reading.rows().keys() == served(platform).keys()
    (covered,) = reading.coverage("search")
    assert clock.at - covered[1] < MINUTE
    assert volume.counted_unread(reading.store.engine, "x") == (0, None)


def test_at_the_limit_nothing_is_asked_of_x(reader: Callable[..., Reading], platform: XPlatform, clock: Clock) -> None:
    platform.publish(x_posts(100, NOW - MINUTE))
    reading = reader(x_usd_per_day=0.17)
    first = reading.run()
    assert (first.outcome, first.new) == ("limited", 10)
    for _ in range(60):
        clock.at += 16 * MINUTE
        if clock.at.day != NOW.day:
            break
        platform.publish(x_posts(1, clock.at - MINUTE))
        reading.run()
    assert platform.billed_usd[TODAY] <= 0.17 + SLIVER
    clock.at = datetime(2026, 3, 6, 23, 55, tzinfo=UTC)
    reading.run()
    asked = len(platform.requests), platform.counts_asked
    last = reading.run()
    assert (len(platform.requests), platform.counts_asked) == asked
    assert (last.outcome, last.requests) == ("limited", 0)


def test_a_budget_of_nothing_asks_nothing(reader: Callable[..., Reading], platform: XPlatform) -> None:
    platform.publish(x_posts(5, NOW - MINUTE))
    run = reader(x_usd_per_month=0).run()
    assert (run.outcome, run.requests, run.new) == ("limited", 0, 0)
    assert platform.billed_usd.total() == 0
    assert "nothing is asked" in run.note


def test_what_comes_out_of_reach_before_there_is_a_budget_again_is_a_gap_and_nothing_else_is(
    reader: Callable[..., Reading], platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(60, NOW - MINUTE, every=10 * MINUTE))
    reading = reader(x_posts_per_month=70)
    first = reading.run()
    assert first.new == 60
    (before,) = reading.coverage("search")
    for day in range(1, 13):
        clock.at = NOW + day * DAY
        platform.publish(x_posts(40, clock.at - MINUTE, every=30 * MINUTE, seed=day))
        run = reading.run()
        assert run.outcome == "limited"
        reading.assert_nothing_claimed_unread("search", served(platform))
    (gap,) = reading.coverage("search", gaps=True)
    assert gap[0] == before[1]
    assert timedelta(0) <= gap[1] - (clock.at - 7 * DAY) < HOUR
    clock.at += HOUR
    wide = reader()
    after = wide.run()
    assert after.outcome == "done"
    reading.assert_nothing_claimed_unread("search", served(platform))
    (gap,) = reading.coverage("search", gaps=True)
    unread = {id_ for id_, at in served(platform).items() if gap[0] < at <= gap[1]}
    assert served(platform).keys() - reading.rows().keys() == unread != set()


@pytest.mark.parametrize("fault", [DROPPED, TRUNCATED, HTML], ids=["dropped", "truncated", "HTML"])
def test_a_lost_answer_is_paid_for_once(reader: Callable[..., Reading], platform: XPlatform, fault: Any) -> None:
    platform.publish(x_posts(150, NOW - MINUTE))
    platform.fail(fault, fault)
    reading = reader()
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 150)
    posts, _, usd = spending(reading.store)[TODAY]
    assert (posts, usd) == (150, pytest.approx(run.cost_usd))
    assert platform.billed_usd[TODAY] <= usd + SLIVER


def test_what_was_pushed_off_the_page_while_its_answer_was_lost_is_counted_too(
    reader: Callable[..., Reading], platform: XPlatform, clock: Clock
) -> None:
    def arrive(line: str) -> None:
        if "trying again" in line:
            clock.at += 2 * MINUTE
            platform.publish(x_posts(30, clock.at - MINUTE, timedelta(seconds=1), seed=9))

    reading = reader()
    reading.run()
    clock.at += 10 * MINUTE
    platform.publish(x_posts(100, clock.at - MINUTE, timedelta(seconds=1)))
    platform.fail(DROPPED)
    run = reading.run(stop_after=1, report=arrive)
    assert run is None  # after the first page
    assert len(reading.rows()) == 100
    assert platform.billed_posts[TODAY] == 130
    assert spending(reading.store)[TODAY][0] == 130
    assert reading.run().outcome == "done"
    assert platform.billed_posts[TODAY] == len(reading.rows()) == 130
    assert platform.billed_usd[TODAY] <= spending(reading.store)[TODAY][2] + SLIVER


def test_what_was_lost_for_good_stays_counted(reader: Callable[..., Reading], platform: XPlatform) -> None:
    platform.publish(x_posts(150, NOW - MINUTE))
    platform.fail(*[DROPPED] * 6)
    reading = reader()
    run = reading.run()
    assert run.outcome == "failed"
    assert spending(reading.store)[TODAY] == (100, 1, 1.5)
    assert platform.billed_posts[TODAY] == 100


@pytest.mark.parametrize(
    "fault", [status(503), status(429), status(401), status(402), status(403), status(400)], ids=str
)
def test_a_refused_request_costs_nothing(reader: Callable[..., Reading], platform: XPlatform, fault: Any) -> None:
    platform.publish(x_posts(5, NOW - MINUTE))
    platform.fail(*[fault] * 12)
    reading = reader()
    run = reading.run()
    assert run.outcome in {"failed", "refused"}
    assert spending(reading.store)[TODAY][::2] == (0, 0.0)
    assert platform.billed_usd.total() == 0


def test_an_x_that_cannot_be_reached_costs_nothing(reader: Callable[..., Reading]) -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        reading = reader(x_url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        run = reading.run()
    assert run.outcome == "failed"
    assert spending(reading.store) == {TODAY: (0, 6, 0.0)}


@pytest.mark.parametrize("name", ["tweet_count", "post_count"])
def test_counts_are_read_in_both_spellings(reader: Callable[..., Reading], platform: XPlatform, name: str) -> None:
    platform.count_name = name
    platform.publish(x_posts(30, NOW - 5 * MINUTE))
    reading = reader(x_posts_per_day=0)
    run = reading.run()
    assert (run.outcome, run.requests) == ("limited", 1)
    assert sum(counted(reading.store).values()) == 30


def test_counts_that_x_refuses_are_said_and_cost_nothing(reader: Callable[..., Reading], platform: XPlatform) -> None:
    platform.fail(status(403, path=XPlatform.COUNTS))
    reading = reader(x_posts_per_day=0)
    run = reading.run()
    assert run.outcome == "limited"
    assert "recent counts" in run.note
    assert spending(reading.store)[TODAY] == (0, 1, 0.0)
    assert reading.run() is not None
    assert counted(reading.store)


BAD_COUNT = edited(
    lambda answer: answer | {"data": [{"start": "soon", "end": None, "tweet_count": "7"}]}, path=XPlatform.COUNTS
)


@pytest.mark.parametrize(
    "fault",
    [
        status(503, path=XPlatform.COUNTS),
        status(429, path=XPlatform.COUNTS),
        replace(DROPPED, path=XPlatform.COUNTS),
        replace(HTML, path=XPlatform.COUNTS),
        BAD_COUNT,
    ],
    ids=["503", "429", "dropped", "HTML", "another shape"],
)
def test_counting_goes_on_after_a_fault(reader: Callable[..., Reading], platform: XPlatform, fault: Any) -> None:
    platform.publish(x_posts(30, NOW - 5 * MINUTE))
    platform.fail(fault)
    reading = reader(x_posts_per_day=0)
    run = reading.run()
    assert run.outcome == "limited"
    assert len(reading.waits) == 1
    assert sum(counted(reading.store).values()) == 30
    assert platform.billed_usd[TODAY] <= spending(reading.store)[TODAY][2] + SLIVER


FAULTS = [status(503), status(429), status(402), DROPPED, TRUNCATED, HTML, status(503, path=XPlatform.COUNTS)]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_no_day_and_no_month_costs_more_than_its_budget_and_every_post_is_read_once(
    reader: Callable[..., Reading], platform: XPlatform, clock: Clock, seed: int
) -> None:
    print(f"seed {seed}")
    draw = random.Random(seed)
    clock.at = datetime(2026, 3, 29, 9, tzinfo=UTC)
    limits = {"x_posts_per_day": draw.randint(100, 400), "x_usd_per_day": draw.uniform(1, 4)}
    limits |= {"x_posts_per_month": draw.randint(300, 900), "x_usd_per_month": draw.uniform(2, 12)}
    reading = reader(**limits)
    for round_ in range(40):
        platform.publish(x_posts(draw.randint(0, 60), clock.at, timedelta(seconds=1), seed=round_))
        platform.mend()
        platform.fail(*draw.choices(FAULTS, k=draw.choice([0, 0, 1, 3])))
        reading.run(stop_after=draw.choice([None, None, 1, 2]))
        reading.assert_nothing_claimed_unread("search", served(platform))
        if draw.random() < 0.2:
            reading = reader(**limits)
        clock.at += draw.choice([MINUTE, 20 * MINUTE, 3 * HOUR, 8 * HOUR])
    print({day: (platform.billed_posts[day], round(usd, 3)) for day, usd in platform.billed_usd.items()}, limits)
    months: dict[str, list[float]] = {}
    for day, usd in platform.billed_usd.items():
        posts = platform.billed_posts[day]
        assert posts <= limits["x_posts_per_day"]
        assert usd <= limits["x_usd_per_day"] + SLIVER
        kept_posts, _, kept_usd = spending(reading.store)[day]
        assert posts <= kept_posts
        assert usd <= kept_usd + SLIVER
        month = months.setdefault(day[:7], [0, 0])
        month[0] += posts
        month[1] += usd
    for posts, usd in months.values():
        assert posts <= limits["x_posts_per_month"]
        assert usd <= limits["x_usd_per_month"] + SLIVER
    assert "limited" in reading.outcomes()
    platform.mend()
    wide = reader()
    wide.run()
    clock.at += MINUTE
    last = wide.run()
    assert last.outcome == "done"
    rows, gaps = wide.rows(), wide.coverage("search", gaps=True)
    lost = [id_ for id_, at in served(platform).items() if id_ not in rows and not any(a <= at <= b for a, b in gaps)]
    assert lost == []


# Real commands


@contextmanager
def x_and_reddit() -> Iterator[tuple[XPlatform, RedditPlatform]]:
    def now() -> datetime:
        return datetime.now(UTC)

    newest = now() - MINUTE
    on_x, on_reddit = XPlatform(now, x_posts(900, newest, timedelta(seconds=100))), RedditPlatform(now)
    on_reddit.publish(submissions(20, newest))
    with on_x, on_reddit:
        yield on_x, on_reddit


def environment(url: str, on_x: XPlatform, **more: str) -> dict[str, str]:
    return (
        os.environ
        | {
            "TRACKER_DATABASE_URL": url,
            "TRACKER_PSEUDONYM_KEY": KEY,
            "X_BEARER_TOKEN": X_TOKEN,
            "TRACKER_X_URL": on_x.url,
        }
        | more
    )


def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def test_two_collectors_on_one_store_killed_at_random_read_each_post_once_and_stay_within_the_budget(
    opened: Callable[..., Store], url: str, tmp_path: Path
) -> None:
    seed = 20_261_130
    print(f"seed {seed}")
    draw = random.Random(seed)
    store = opened(pretended_now=None)
    command = [sys.executable, "-m", "tracker", "collect", "x", "--once"]
    with x_and_reddit() as (on_x, _):
        on_x.delay_seconds = 0.02
        given_ = environment(url, on_x, TRACKER_X_POSTS_PER_DAY="1000", TRACKER_X_USD_PER_DAY="12")
        pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        killed = 0
        for _ in range(3):
            pair = [subprocess.Popen(command, cwd=tmp_path, env=given_, **pipes) for _ in range(2)]
            before = len(on_x.requests)
            on_x.await_requests(before + draw.randint(1, 6), lambda pair=pair: all(map(_ended, pair)))
            time.sleep(draw.uniform(0, 0.04))
            for each in pair:
                each.kill()
            for each in pair:
                complaint = each.communicate()[1].decode(errors="replace")
                assert "Traceback" not in complaint, complaint
                killed += each.returncode == -signal.SIGKILL
        pair = [subprocess.Popen(command, cwd=tmp_path, env=given_, **pipes) for _ in range(2)]
        for each in pair:
            complaint = each.communicate(timeout=120)[1].decode(errors="replace")
            assert each.returncode == 0, complaint
        days = spending(store)
        print(f"killed {killed} of 6; billed {dict(on_x.billed_posts)} {dict(on_x.billed_usd)}; counted {days}")
        assert killed >= 3
        for day, usd in on_x.billed_usd.items():
            assert on_x.billed_posts[day] <= days[day][0] <= 1_000
            assert usd <= days[day][2] <= 12 + SLIVER
        # With a budget it is read to its end.
        for _ in range(2):
            done = subprocess.run(
                command, cwd=tmp_path, env=environment(url, on_x), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        with store.engine.connect() as connection:
            ids = list(connection.execute(select(tables.posts.c.id)).scalars())
            gaps = connection.execute(
                select(func.count()).select_from(tables.coverage).where(tables.coverage.c.gap_reason.is_not(None))
            ).scalar_one()
    assert sorted(ids) == sorted(served(on_x))
    assert gaps == 0


def test_at_the_limit_x_stops_alone_and_collect_and_doctor_say_so(
    tmp_path: Path, opened: Callable[..., Store], url: str
) -> None:
    store = opened(pretended_now=None)
    with x_and_reddit() as (on_x, on_reddit):
        given_ = environment(
            url,
            on_x,
            TRACKER_X_USD_PER_DAY="2",
            REDDIT_CLIENT_ID=REDDIT_ID,
            REDDIT_CLIENT_SECRET=REDDIT_SECRET,
            TRACKER_REDDIT_URL=on_reddit.url,
        )
        words_: dict[str, Any] = {"cwd": tmp_path, "env": given_, "capture_output": True, "text": True, "check": False}
        tracker = [sys.executable, "-m", "tracker"]
        done = subprocess.run([*tracker, "collect", "x", "reddit", "--once", "--json"], **words_)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["reddit"]["outcome"] == "done"
        assert found["reddit"]["new"] == 20
        assert found["x"]["outcome"] == "limited"
        assert found["x"]["estimated_cost_usd"] <= 2
        assert "TRACKER" not in found["x"]["note"]
        assert "x_usd_per_day" in found["x"]["note"]
        assert "x_usd_per_day" in done.stderr
        asked = subprocess.run([*tracker, "doctor", "--json"], **words_)
        assert asked.returncode == 0, asked.stderr + asked.stdout
        checks = {check["name"]: check for check in json.loads(asked.stdout)["checks"]}
    assert checks["x budget"]["state"] == "warning"
    assert "of $2.00" in checks["x budget"]["says"]
    assert "TRACKER_X_USD_PER_DAY" in checks["x budget"]["says"]
    assert checks["x run"]["state"] == "warning"
    assert spending(store)


def test_doctor_says_what_is_spent_while_there_is_enough(tracker: Callable[..., Any]) -> None:
    done = tracker(
        "doctor", "--json", X_BEARER_TOKEN=X_TOKEN, TRACKER_X_URL="http://127.0.0.1:9", TRACKER_X_USD_PER_DAY="3"
    )
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["x budget"]["state"] == "ok"
    assert checks["x budget"]["says"].startswith("$0.00 of $3.00 and 0 of ")
    without = {check["name"] for check in json.loads(tracker("doctor", "--json").stdout)["checks"]}
    assert "x budget" not in without


# Settings and the page


@pytest.mark.parametrize("name", ["POSTS_PER_DAY", "POSTS_PER_MONTH", "USD_PER_DAY", "USD_PER_MONTH"])
@pytest.mark.parametrize("value", ["-1", "much", "nan", "inf"])
def test_a_budget_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TRACKER_X_{name}", value)
    with pytest.raises(InputError, match=f"(?i)x_{name}"):
        load_settings()


def test_without_a_word_the_budget_is_small_and_the_file_can_set_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in list(os.environ):
        if name.startswith("TRACKER_X_"):
            monkeypatch.delenv(name)
    assert load_settings().x_usd_per_month <= 150
    assert load_settings().x_usd_per_day <= 10
    (tmp_path / "tracker.toml").write_text("x_posts_per_day = 5\n")
    assert load_settings().x_posts_per_day == 5


@pytest.fixture
def _page_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", f"sqlite:///{tmp_path / 'posts.db'}")
    monkeypatch.setenv("TRACKER_PSEUDONYM_KEY", KEY)
    monkeypatch.setenv("TRACKER_NOW", NOW.isoformat())
    monkeypatch.setenv("TRACKER_X_USD_PER_DAY", "1")
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("_page_settings")
def test_the_page_says_that_the_budget_is_used_in_both_languages(
    store: Store, reader: Callable[..., Reading], platform: XPlatform
) -> None:
    def shown(language: str = "English") -> str:
        page = AppTest.from_file(str(PAGE), default_timeout=60)
        page.query_params["ui"] = language
        return words(page.run())

    assert "budget" not in shown()
    platform.publish(x_posts(200, NOW - 5 * MINUTE))
    reader(x_usd_per_day=1.0).run()
    text = shown()
    assert "X's budget is nearly used" in text
    assert "of \\$1.00" in text
    assert "Sat 07 Mar 2026 03:00 EAT" in text
    assert "Bajeti ya X" in shown("Kiswahili")
    budget = Budget(store.engine, "x", Limits(10**6, 10**6, 1.0, 10**6), lambda: NOW)
    while budget.reserve_request(0.005):
        pass
    assert "X is not looked at until" in shown()


# Edits


def test_an_edited_post_is_one_post_and_its_record_says_when_it_was_edited(
    reader: Callable[..., Reading], platform: XPlatform, clock: Clock
) -> None:
    first = XPost(x_id(NOW - 20 * MINUTE), "eCitizen iko chini")
    others = x_posts(150, NOW - 2 * MINUTE, timedelta(seconds=20), seed=3)
    platform.publish([first, *others])
    reading = reader()
    run = reading.run()
    assert run.new == 151
    clock.at += 10 * MINUTE
    # X shows the newest version alone, under an id of its own.
    second = XPost(x_id(NOW + 3 * MINUTE), "eCitizen imerudi", history=(first.id, x_id(NOW + 3 * MINUTE)))
    del platform.posts[first.id]
    platform.publish([second, *x_posts(120, NOW + 8 * MINUTE, timedelta(seconds=3), seed=4)])
    again = reading.run()
    assert (again.new, again.duplicate, again.outcome) == (120, 11, "done")
    assert str(second.id) not in reading.rows()
    assert len(reading.rows()) == 271
    clock.at += MINUTE
    last = reading.run()
    assert (last.new, last.cost_usd) == (0, 0)


@pytest.mark.parametrize("name", ["edit_history_tweet_ids", "edit_history_post_ids"])
def test_a_version_is_known_by_the_first_ones_id_and_dated_by_both(name: str) -> None:
    ids = [str(x_id(NOW + number * MINUTE)) for number in range(3)]
    item = {"id": ids[2], "text": "b", "created_at": "2026-03-06T17:02:00.000Z", name: [ids[1], ids[0], ids[2]]}
    (record,) = x.records({"data": [item]})
    assert not isinstance(record, Exception)
    assert record["id"] == ids[0]
    assert datetime.fromisoformat(record["created_at"]) == NOW
    assert datetime.fromisoformat(record["edited_at"]) == NOW + 2 * MINUTE
    (plain,) = x.records({"data": [item | {"id": ids[0]}]})
    assert not isinstance(plain, Exception)
    assert (plain["id"], plain["edited_at"], plain["created_at"]) == (ids[0], None, item["created_at"])


@given(
    any_.one_of(
        any_.none(), any_.text(), any_.integers(), any_.lists(any_.one_of(any_.none(), any_.integers(), any_.text()))
    )
)
def test_a_history_of_any_shape_leaves_the_post_as_it_is(history: Any) -> None:
    identifier = str(x_id(NOW))
    older = isinstance(history, list) and any(
        isinstance(each, str) and each.isascii() and each.isdigit() and int(each) < int(identifier) for each in history
    )
    (record,) = x.records({"data": [{"id": identifier, "text": "b", "edit_history_tweet_ids": history}]})
    assert not isinstance(record, Exception)
    assert older or (record["id"], record["edited_at"]) == (identifier, None)
