"""X's full archive through the real command: the price first, then the posts, within the budget and from where it stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_tracker
from conftest import KEY
from platforms import DROPPED, HTML, TRUNCATED, X_TOKEN, XPlatform, edited, status, x_id, x_posts
from sqlalchemy import select

from data import tables
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FROM, TO = datetime(2025, 1, 3, tzinfo=UTC), datetime(2025, 2, 20, tzinfo=UTC)
STRETCH = ("--archive", "2025-01-03", "2025-02-20T03:00+03:00")
HOUR = timedelta(hours=1)


@pytest.fixture
def platform() -> Iterator[XPlatform]:
    with XPlatform(lambda: datetime.now(UTC)) as platform:
        platform.publish(x_posts(1_100, TO - HOUR, HOUR))
        platform.publish(x_posts(20, TO + 30 * HOUR, HOUR, seed=1))
        platform.publish(x_posts(20, FROM - HOUR, HOUR, seed=2))
        yield platform


@pytest.fixture
def archive(platform: XPlatform, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str, stretch: tuple[str, ...] = STRETCH, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = given(platform, tmp_path) | environment
        return run_tracker(["collect", "x", *stretch, *words], cwd=tmp_path, env=environment)

    return run


def given(platform: XPlatform, folder: Path) -> dict[str, str]:
    return os.environ | {
        "TRACKER_DATABASE_URL": f"sqlite:///{folder / 'posts.db'}",
        "TRACKER_PSEUDONYM_KEY": KEY,
        "X_BEARER_TOKEN": X_TOKEN,
        "TRACKER_X_URL": platform.url,
    }


def kept(folder: Path) -> dict[str, Any]:
    store = open_store(load_settings(database_url=f"sqlite:///{folder / 'posts.db'}", pseudonym_key=KEY))
    with store.engine.connect() as connection:
        spans = connection.execute(select(tables.coverage).order_by(tables.coverage.c.from_at)).all()
        found = {
            "ids": set(connection.execute(select(tables.posts.c.id)).scalars()),
            "spans": [(row.from_at, row.to_at, row.gap_reason) for row in spans],
            "streams": {row.stream for row in spans},
            "spent": connection.execute(select(tables.spending.c.posts, tables.spending.c.cost_usd)).all(),
        }
    store.close()
    return found


def inside(platform: XPlatform) -> set[str]:
    return {str(post.id) for post in platform.posts.values() if FROM <= post.at < TO}


def test_the_price_is_quoted_and_nothing_is_read_without_yes(
    archive: Callable[..., Any], platform: XPlatform, tmp_path: Path
) -> None:
    done = archive("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["posts"], found["price_usd"], found["outcome"]) == (1_100, [5.5, 16.5], "quoted")
    assert "--yes" in done.stderr
    assert "1,100 posts" in done.stderr
    assert platform.counts_asked == 2  # 31 days at a time
    assert platform.billed_usd.total() == pytest.approx(0.02)
    assert platform.posts_read == 0
    assert kept(tmp_path)["ids"] == set()
    assert kept(tmp_path)["spent"] == [(0, pytest.approx(0.02))]


def test_with_yes_the_stretch_is_read_once_and_covered(
    archive: Callable[..., Any], platform: XPlatform, tmp_path: Path
) -> None:
    platform.fail(status(503), DROPPED)
    done = archive("--yes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["fetched"], found["new"], found["outcome"]) == (1_100, 1_100, "done")
    after = kept(tmp_path)
    assert after["ids"] == inside(platform)
    assert after["spans"] == [(FROM, TO, None)]
    assert after["streams"] == {"archive 2025-01-03T00:00:00Z 2025-02-20T00:00:00Z"}
    assert {parameters["max_results"] for _, parameters in platform.requests} == {"500"}
    asked = len(platform.requests), platform.counts_asked
    again = archive("--yes", "--json")
    assert (again.returncode, json.loads(again.stdout)["posts"]) == (0, 0)
    assert (len(platform.requests), platform.counts_asked) == asked


def test_the_budget_ends_it_and_the_same_command_goes_on(
    archive: Callable[..., Any], platform: XPlatform, tmp_path: Path
) -> None:
    first = archive("--yes", "--json", TRACKER_X_POSTS_PER_DAY="400")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert (found["outcome"], found["new"], found["affordable_posts"]) == ("limited", 358, 360)
    assert "x_posts_per_day" in found["note"]
    assert "goes on" in first.stderr
    halfway = kept(tmp_path)
    ((from_at, to_at, _),) = halfway["spans"]
    assert to_at == TO
    inside_of_it = {str(each.id) for each in platform.posts.values() if from_at <= each.at < to_at}
    assert inside_of_it <= halfway["ids"]
    assert len(halfway["ids"] - inside_of_it) == 2  # a single post does not say how far it has come
    rest = archive("--json", TRACKER_X_POSTS_PER_DAY="10000")
    assert 742 <= json.loads(rest.stdout)["posts"] <= 745
    last = archive("--yes", "--json", TRACKER_X_POSTS_PER_DAY="10000")
    assert (json.loads(last.stdout)["new"], json.loads(last.stdout)["outcome"]) == (742, "done")
    assert kept(tmp_path)["ids"] == inside(platform)
    assert kept(tmp_path)["spans"] == [(FROM, TO, None)]


def test_killed_at_any_moment_it_goes_on_and_each_post_is_read_once(
    archive: Callable[..., Any], platform: XPlatform, tmp_path: Path
) -> None:
    seed = 5
    print(f"seed {seed}")
    draw = random.Random(seed)
    command = [sys.executable, "-m", "tracker", "collect", "x", *STRETCH, "--yes"]
    environment = given(platform, tmp_path) | {"TRACKER_X_USD_PER_DAY": "25"}
    killed = 0
    for _ in range(3):
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        before = len(platform.requests)
        platform.await_requests(before + 1, lambda process=process: process.poll() is not None)
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    assert killed
    assert platform.billed_usd.total() <= 25
    done = archive("--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path)["ids"] == inside(platform)
    assert kept(tmp_path)["spans"] == [(FROM, TO, None)]


@pytest.mark.parametrize("limit", ["10000", "400"], ids=["in one run", "and the budget ends it"])
def test_an_old_post_on_an_early_page_leads_past_nothing(
    archive: Callable[..., Any], platform: XPlatform, tmp_path: Path, limit: str
) -> None:
    platform.most = 100
    old = platform.posts[x_id(TO - 1_000 * HOUR)]
    shown = {"id": str(old.id), "text": old.text, "author_id": old.author_id}
    platform.fail(edited(lambda answer: answer["data"].insert(40, shown) or answer))
    assert archive("--yes", TRACKER_X_POSTS_PER_DAY=limit, TRACKER_X_USD_PER_DAY="100").returncode == 0
    halfway = kept(tmp_path)
    for from_at, to_at, _ in halfway["spans"]:
        assert {str(each.id) for each in platform.posts.values() if from_at < each.at < to_at} <= halfway["ids"]
    wide = {"TRACKER_X_POSTS_PER_DAY": "10000", "TRACKER_X_USD_PER_DAY": "100"}
    assert archive("--yes", **wide).returncode == 0
    assert kept(tmp_path)["ids"] == inside(platform)
    assert kept(tmp_path)["spans"] == [(FROM, TO, None)]


def test_other_terms_read_the_stretch_anew(archive: Callable[..., Any], platform: XPlatform) -> None:
    assert archive("--yes").returncode == 0
    other = archive("--json", TRACKER_TERMS='["huduma"]')
    assert json.loads(other.stdout)["posts"] == 1_100


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (status(403, path=XPlatform.ALL_COUNTS), "full-archive counts"),
        (status(403, path=XPlatform.ALL), "full-archive search"),
        (status(402, path=XPlatform.ALL_COUNTS), "credits"),
        (status(401, path=XPlatform.ALL), "X_BEARER_TOKEN"),
    ],
    ids=["no counts", "no search", "no credits", "no token"],
)
def test_what_x_refuses_is_one_line_and_status_1(
    archive: Callable[..., Any], platform: XPlatform, fault: Any, named: str, tmp_path: Path
) -> None:
    platform.fail(fault)
    done = archive("--yes")
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert kept(tmp_path)["spans"] == []
    assert archive("--yes").returncode == 0
    assert kept(tmp_path)["ids"] == inside(platform)


@pytest.mark.parametrize("fault", [HTML, TRUNCATED], ids=["HTML", "truncated"])
def test_a_passing_fault_is_waited_out(
    archive: Callable[..., Any], platform: XPlatform, fault: Any, tmp_path: Path
) -> None:
    platform.fail(fault)
    assert archive("--yes").returncode == 0
    assert kept(tmp_path)["ids"] == inside(platform)


def test_a_budget_that_does_not_hold_the_question_says_so(archive: Callable[..., Any], platform: XPlatform) -> None:
    done = archive("--yes", TRACKER_X_USD_PER_DAY="0.005")
    assert done.returncode == 1
    assert "x_usd_per_day" in done.stderr
    assert platform.billed_usd.total() == 0


@pytest.mark.parametrize(
    ("stretch", "words", "named"),
    [
        (("--archive", "yesterday", "2025-01-05"), (), "--archive takes two ISO 8601 times"),
        (("--archive", "2025-01-05", "2025-01-04"), (), "second time is before"),
        (("--archive", "2025-01-05", "2025-01-05"), (), "second time must be after"),
        (("--archive", "2001-01-05", "2025-01-05"), (), "begins on 2006-03-26"),
        (("--archive", "2025-01-05", "2099-01-05"), (), "must be over"),
        (STRETCH, ("reddit",), "x alone"),
        (STRETCH, ("--once",), "x alone"),
        ((), ("--yes",), "--yes goes with --archive"),
    ],
)
def test_a_wrong_command_line_is_status_2(
    archive: Callable[..., Any], stretch: tuple[str, ...], words: tuple[str, ...], named: str
) -> None:
    done = archive(*words, stretch=stretch)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    off = archive(X_BEARER_TOKEN="")
    assert (off.returncode, "X_BEARER_TOKEN" in off.stderr) == (2, True)
