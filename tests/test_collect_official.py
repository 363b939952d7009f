"""Collecting what officials say: three platforms and their feeds over loopback, the real store."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from feed_server import Item, NewsSite
from official_server import DID, X_ACCOUNT, Accounts, Said, sayings
from platforms import DROPPED, HTML, TRUNCATED, X_TOKEN, Clock, Fault, Reading, body, edited, status
from sqlalchemy import select

from collector.sources import official
from data import tables
from data.errors import InputError
from data.settings import load_settings
from data.spending import USD_PER_POST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path
    from subprocess import CompletedProcess

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLATFORMS = ("x", "bluesky", "mastodon")
PATHS = {"x": "/2/users/", "bluesky": "getAuthorFeed", "mastodon": "/statuses"}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def accounts(clock: Clock) -> Iterator[Accounts]:
    with Accounts(clock.now) as accounts:
        yield accounts


@pytest.fixture(params=PLATFORMS)
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def account_id(accounts: Accounts, source: str) -> str:
    return {"x": X_ACCOUNT, "bluesky": DID, "mastodon": accounts.page}[source]


def reading_of(folder: Path, clock: Clock, accounts: Accounts, *sources: str, **setting: Any) -> Reading:
    """A store in which the account of each source is confirmed, and nothing is read yet."""
    settings = load_settings(
        database_url=f"sqlite:///{folder / 'posts.db'}",
        pseudonym_key=KEY,
        x_url=accounts.url,
        bluesky_url=f"{accounts.url}/gateway/",
        **({"x_bearer_token": X_TOKEN} | setting),
    )
    reading = Reading(official, settings, clock)
    for source in sources:
        confirm(reading, accounts, source)
    return reading


def confirm(reading: Reading, accounts: Accounts, source: str) -> None:
    reading.store.confirm_account(
        f"{source}:{account_id(accounts, source)}",
        handle="HudumaKenya" if source == "x" else None,
        office="Huduma Kenya",
        is_ecitizen=False,
        evidence="https://huduma.example/contacts",
        who="desk 2",
    )


@pytest.fixture
def reading(accounts: Accounts, clock: Clock, source: str, tmp_path: Path) -> Iterator[Reading]:
    reading = reading_of(tmp_path, clock, accounts, source)
    yield reading
    reading.store.close()


def stream(accounts: Accounts, source: str) -> str:
    return f"{source} {account_id(accounts, source).removeprefix('http://')}"


def key(accounts: Accounts, source: str, post: Said) -> str:
    return {"x": accounts.x_key, "bluesky": accounts.bluesky_key, "mastodon": accounts.mastodon_key}[source](post)


def served(accounts: Accounts, source: str, since: datetime | None = None) -> dict[str, datetime]:
    own = (post for post in accounts.posts if not post.by_another and (since is None or post.at > since))
    return {key(accounts, source, post): post.at for post in own}


def stored(reading: Reading, source: str) -> dict[str, Any]:
    with reading.store.engine.connect() as connection:
        rows = connection.execute(select(tables.posts).where(tables.posts.c.source == source))
        return {row.id: row for row in rows}


def assert_nothing_claimed_unread(reading: Reading, accounts: Accounts, source: str) -> None:
    kept = stored(reading, source).keys()
    for from_at, to_at in reading.coverage(stream(accounts, source)):
        unread = [id_ for id_, at in served(accounts, source).items() if from_at < at <= to_at and id_ not in kept]
        assert not unread, f"{from_at}..{to_at} counts as looked at, {len(unread)} posts of it are not stored"


def test_a_timeline_is_read_recognised_and_gone_on_with(
    reading: Reading, accounts: Accounts, clock: Clock, source: str
) -> None:
    accounts.posts += sayings(250, NOW - MINUTE)
    run = reading.run()
    assert run is not None and (run.outcome, run.source, run.new, run.gaps) == ("done", "official", 250, 0)
    rows = stored(reading, source)
    assert rows.keys() == served(accounts, source).keys()
    assert {row.account for row in rows.values()} == {f"{source}:{account_id(accounts, source)}"}
    assert {row.created_at for row in rows.values()} == {post.at for post in accounts.posts}
    assert reading.store.impostors() == []
    [(from_at, to_at)] = reading.coverage(stream(accounts, source))
    assert (from_at, to_at) == (NOW - official.REACH, NOW)
    assert (run.cost_usd > 0) == (source == "x")

    accounts.requests.clear()
    clock.at += HOUR
    accounts.posts += sayings(3, clock.at - MINUTE, MINUTE, seed=2)
    again = reading.run()
    assert again is not None and (again.new, again.gaps) == (3, 0)
    assert len(accounts.requests) == 1
    assert stored(reading, source).keys() == served(accounts, source).keys()
    assert reading.coverage(stream(accounts, source)) == [(NOW - official.REACH, clock.at)]


def test_x_is_asked_for_no_more_than_is_new_and_its_cost_is_counted(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x")
    accounts.posts += sayings(20, NOW - 5 * MINUTE)
    first = reading.run()
    assert first is not None and first.cost_usd == pytest.approx(20 * USD_PER_POST)
    clock.at += HOUR
    accounts.posts += sayings(2, clock.at - MINUTE, MINUTE, seed=2)
    second = reading.run()
    assert second is not None and second.cost_usd == pytest.approx(2 * USD_PER_POST)
    _, parameters = accounts.requests[-1]
    assert parameters["start_time"] == f"{NOW - official.OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    assert "expansions" not in parameters
    reading.store.close()


def test_x_that_knows_the_other_spelling_is_asked_in_it(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x")
    accounts.spelling = "post"
    accounts.posts += sayings(150, NOW - MINUTE)
    run = reading.run()
    assert run is not None and (run.outcome, run.new) == ("done", 150)
    assert sum(row.reply_to == "7" for row in stored(reading, "x").values()) == 50
    reading.store.close()


def test_what_is_reposted_is_left_out(reading: Reading, accounts: Accounts, source: str) -> None:
    own = sayings(30, NOW - MINUTE)
    others = [Said(90_000 + n, NOW - n * MINUTE, "It is down for me, too", by_another=True) for n in range(150)]
    accounts.posts += [*own, *others]
    run = reading.run()
    assert run is not None and run.outcome == "done"
    assert stored(reading, source).keys() == served(accounts, source).keys()


def test_after_a_long_silence_all_that_the_platform_lists_is_read(
    reading: Reading, accounts: Accounts, clock: Clock, source: str
) -> None:
    accounts.posts += sayings(5, NOW - MINUTE)
    assert reading.run() is not None
    clock.at += 20 * DAY
    accounts.posts += sayings(400, clock.at - MINUTE, HOUR, seed=2)
    run = reading.run()
    assert run is not None and (run.outcome, run.new, run.gaps) == ("done", 400, 0)
    assert reading.coverage(stream(accounts, source)) == [(NOW - official.REACH, clock.at)]
    assert stored(reading, source).keys() == served(accounts, source).keys()


def test_what_x_no_longer_lists_is_a_gap(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x")
    accounts.posts += sayings(3_300, NOW - MINUTE, MINUTE)
    run = reading.run()
    assert run is not None and (run.new, run.gaps) == (3_200, 1)
    assert reading.coverage(stream(accounts, "x"), gaps=True) == [(NOW - official.REACH, NOW - 3_200 * MINUTE)]
    assert_nothing_claimed_unread(reading, accounts, "x")
    reading.store.close()


EMPTY = {"bluesky": body({"feed": []}, path=PATHS["bluesky"]), "mastodon": body([], path=PATHS["mastodon"])}


@pytest.mark.parametrize("source", EMPTY)
def test_an_empty_answer_where_posts_were_listed_before_moves_no_cursor(
    accounts: Accounts, clock: Clock, tmp_path: Path, source: str
) -> None:
    reading = reading_of(tmp_path, clock, accounts, source)
    accounts.posts += sayings(5, NOW - 5 * MINUTE)
    assert reading.run() is not None
    clock.at += 3 * DAY
    accounts.posts += sayings(100, clock.at - 10 * MINUTE, seed=3)
    for _ in range(3):
        accounts.fail(EMPTY[source])
        empty = reading.run()
        assert empty is not None and (empty.outcome, empty.new) == ("done", 0)
        assert reading.coverage(stream(accounts, source)) == [(NOW - official.REACH, NOW)]
    run = reading.run()
    assert run is not None and (run.new, run.gaps) == (100, 0)
    assert stored(reading, source).keys() == served(accounts, source).keys()
    assert reading.coverage(stream(accounts, source)) == [(NOW - official.REACH, clock.at)]
    reading.store.close()


@pytest.mark.parametrize("source", EMPTY)
def test_an_end_that_comes_too_early_is_asked_for_again(
    accounts: Accounts, clock: Clock, tmp_path: Path, source: str
) -> None:
    reading = reading_of(tmp_path, clock, accounts, source)
    accounts.posts += sayings(250, NOW - MINUTE)
    accounts.fail(EMPTY[source])  # of the first walk
    run = reading.run()
    assert run is not None and run.new == 250
    clock.at += 5 * DAY
    accounts.posts += sayings(250, clock.at - MINUTE, seed=3)
    accounts.fail(Fault(path=PATHS[source]), EMPTY[source])
    run = reading.run()
    assert run is not None and (run.outcome, run.new, run.gaps) == ("done", 250, 0)
    assert stored(reading, source).keys() == served(accounts, source).keys()
    reading.store.close()


def test_a_walk_that_the_budget_cuts_off_goes_on_below_what_it_has_read(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x", x_posts_per_day=500)  # of which nine tenths are read
    accounts.posts += sayings(5, NOW - MINUTE)
    assert reading.run() is not None
    clock.at += 10 * DAY
    accounts.posts += sayings(900, clock.at - MINUTE, 15 * MINUTE, seed=2)
    outcomes = []
    for day in range(3):
        run = reading.run()
        assert run is not None
        outcomes.append((run.outcome, run.new))
        clock.at += DAY
        accounts.posts += sayings(1, clock.at - MINUTE, seed=3 + day)
    assert outcomes == [("limited", 400), ("limited", 399), ("done", 101)]  # a post is read again where it goes on
    assert_nothing_claimed_unread(reading, accounts, "x")
    last = reading.run()
    assert last is not None and last.outcome == "done"
    assert stored(reading, "x").keys() == served(accounts, "x").keys()
    reading.store.close()


def test_what_x_may_no_longer_list_once_the_budget_is_renewed_is_a_gap(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x", x_posts_per_day=500)
    assert reading.run() is not None
    clock.at += 10 * DAY
    accounts.x_lists = 600
    accounts.posts += sayings(600, clock.at - MINUTE, 15 * MINUTE, seed=2)
    assert reading.run() is not None
    clock.at += DAY
    accounts.posts += sayings(100, clock.at - MINUTE, MINUTE, seed=3)
    run = reading.run()
    assert run is not None and (run.new, run.gaps) == (100, 1)
    assert_nothing_claimed_unread(reading, accounts, "x")
    reading.store.close()


def posts_counted(reading: Reading) -> int:
    with reading.store.engine.connect() as connection:
        return sum(connection.execute(select(tables.spending.c.posts)).scalars())


@pytest.mark.parametrize("fault", [status(500), status(503), status(503, Retry_After="1"), status(418)])
def test_a_request_that_x_does_not_answer_costs_nothing(
    accounts: Accounts, clock: Clock, tmp_path: Path, fault: Fault
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x")
    accounts.posts += sayings(5, NOW - MINUTE)
    for _ in range(3):
        accounts.fail(*[fault] * 6)
        run = reading.run()
        assert run is not None and run.outcome == "failed"
    assert posts_counted(reading) == 0
    assert reading.run() is not None
    assert posts_counted(reading) == 5
    reading.store.close()


def test_an_x_that_cannot_be_reached_costs_nothing(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    reading_of(tmp_path, clock, accounts, "x").store.close()
    settings = load_settings(
        database_url=f"sqlite:///{tmp_path / 'posts.db'}",
        pseudonym_key=KEY,
        x_bearer_token=X_TOKEN,
        x_url="http://127.0.0.1:9",
    )
    reading = Reading(official, settings, clock)
    run = reading.run()
    assert run is not None and run.outcome == "failed"
    assert posts_counted(reading) == 0
    reading.store.close()


def test_what_was_lost_stays_counted_though_x_then_gives_no_answer(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x")
    accounts.posts += sayings(5, NOW - MINUTE)
    accounts.fail(TRUNCATED, *[status(503)] * 5)
    run = reading.run()
    assert run is not None and run.outcome == "failed"
    assert posts_counted(reading) == official.X_POSTS
    reading.store.close()


def test_a_timeline_that_fails_is_not_hidden_by_one_at_the_end_of_the_budget(
    accounts: Accounts, clock: Clock, tmp_path: Path, tracker: Callable[..., CompletedProcess[str]]
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "bluesky", "x", x_posts_per_day=0)
    accounts.fail(status(403, path=PATHS["bluesky"]))
    run = reading.run()
    assert run is not None and run.outcome == "refused" and "bluesky" in str(run.note)
    accounts.mend()
    run = reading.run()
    assert run is not None and run.outcome == "limited"
    reading.store.close()
    urls = {"X_BEARER_TOKEN": X_TOKEN, "TRACKER_X_URL": accounts.url, "TRACKER_BLUESKY_URL": accounts.url}
    accounts.fail(status(403, path=PATHS["bluesky"]))
    failed = tracker("collect", "official", "--once", **urls, TRACKER_X_POSTS_PER_DAY="0")
    assert failed.returncode == 1


def test_a_walk_that_was_stopped_goes_on_or_begins_again_when_its_token_is_stale(
    reading: Reading, accounts: Accounts, clock: Clock, source: str
) -> None:
    accounts.posts += sayings(300, NOW - MINUTE)
    assert reading.run(stop_after=2) is None
    assert reading.coverage(stream(accounts, source)) == []
    pages = len(accounts.requests)
    run = reading.run()
    assert run is not None and run.fetched < 300
    assert stored(reading, source).keys() == served(accounts, source).keys()
    clock.at += DAY
    accounts.posts += sayings(300, clock.at - MINUTE, 2 * MINUTE, seed=2)
    assert reading.run(stop_after=2) is None
    clock.at += HOUR
    accounts.posts += sayings(10, clock.at - MINUTE, MINUTE, seed=3)
    assert reading.run() is not None
    assert stored(reading, source).keys() == served(accounts, source).keys()
    assert reading.coverage(stream(accounts, source)) == [(NOW - official.REACH, clock.at)]
    assert pages


FAULTS = [
    pytest.param(status(429, x_rate_limit_reset="1"), id="429"),
    pytest.param(status(429), id="429 without a reset"),
    pytest.param(status(500), id="500"),
    pytest.param(status(503), id="503"),
    pytest.param(status(504), id="504"),
    pytest.param(DROPPED, id="dropped"),
    pytest.param(TRUNCATED, id="truncated"),
    pytest.param(HTML, id="HTML"),
    pytest.param(body(b""), id="empty"),
    pytest.param(body(b"[" * 100_000), id="nested"),
    pytest.param(body({"error": "odd"}), id="an object without posts"),
    pytest.param(body("odd"), id="a string"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_waited_out(reading: Reading, accounts: Accounts, source: str, fault: Fault) -> None:
    accounts.posts += sayings(250, NOW - MINUTE)
    accounts.fail(Fault(path="never"), fault)
    run = reading.run()
    assert run is not None and run.outcome == "done", run.note
    assert len(reading.waits) == 1
    assert stored(reading, source).keys() == served(accounts, source).keys()


@pytest.mark.parametrize("code", [401, 402, 403, 404])
def test_a_refusal_says_what_to_do_and_covers_nothing(
    reading: Reading, accounts: Accounts, source: str, code: int
) -> None:
    accounts.posts += sayings(5, NOW - MINUTE)
    accounts.fail(status(code))
    run = reading.run()
    assert run is not None and run.outcome == "refused" and f"({code})" in str(run.note)
    assert ("X_BEARER_TOKEN" in str(run.note)) == (source == "x")
    assert stored(reading, source) == {} and reading.coverage(stream(accounts, source)) == []
    again = reading.run()
    assert again is not None and (again.outcome, again.new) == ("done", 5)


ODD = [None, 1, "x", [], {}, {"post": None}, {"post": {"record": {}}}, {"id": 5}, {"id": "1", "text": ["x"]}]


def test_odd_items_are_dropped_and_the_others_kept(reading: Reading, accounts: Accounts, source: str) -> None:
    accounts.posts += sayings(10, NOW - MINUTE)

    def change(answer: Any) -> Any:
        if source == "mastodon":
            return [*ODD, *answer]
        name = "data" if source == "x" else "feed"
        return answer | {name: [*ODD, *answer[name]]}

    accounts.fail(edited(change, path=PATHS[source]))
    run = reading.run()
    assert run is not None and run.outcome == "done"
    assert stored(reading, source).keys() == served(accounts, source).keys()
    assert run.dropped == len(ODD)


def test_posts_of_another_account_are_not_taken_for_its_own(reading: Reading, accounts: Accounts, source: str) -> None:
    accounts.posts += sayings(3, NOW - MINUTE)

    def change(answer: Any) -> Any:
        text = json.dumps(answer)
        swaps = {"x": X_ACCOUNT, "bluesky": DID, "mastodon": f'{accounts.page}"'}
        return json.loads(text.replace(swaps[source], swaps[source].replace(swaps[source][-2], "9")))

    accounts.fail(edited(change, path=PATHS[source]))
    run = reading.run()
    assert run is not None and run.dropped == 3
    assert stored(reading, source) == {}


def test_a_page_that_comes_again_for_ever_ends_the_run(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x")
    accounts.posts += sayings(5, NOW - MINUTE)
    accounts.fail(*[edited(lambda answer: answer | {"meta": {"next_token": "token0"}})] * 10)
    run = reading.run()
    assert run is not None and run.outcome == "failed" and "same page twice" in str(run.note)
    assert reading.coverage(stream(accounts, "x")) == []
    reading.store.close()


def test_a_mastodon_account_that_is_another_is_refused(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    reading = reading_of(tmp_path, clock, accounts, "mastodon")
    accounts.posts += sayings(3, NOW - MINUTE)
    accounts.page_of = "https://elsewhere.example/@huduma"
    run = reading.run()
    assert run is not None and run.outcome == "refused" and "not the account that was confirmed" in str(run.note)
    assert stored(reading, "mastodon") == {}
    reading.store.close()


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 6))])
def test_faults_and_stops_lose_nothing_and_claim_nothing_unread(
    accounts: Accounts, clock: Clock, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    print(f"seed {seed}")
    reading = reading_of(tmp_path, clock, accounts, *PLATFORMS)
    accounts.most = draw.choice([7, 20, 100])
    faults = [each.values[0] for each in FAULTS]
    for number in range(1, 9):
        clock.at += timedelta(minutes=draw.randrange(1, 400))
        accounts.posts += sayings(draw.randrange(40), clock.at, timedelta(seconds=draw.randrange(1, 300)), seed=number)
        accounts.fail(*(draw.choice(faults) for _ in range(draw.randrange(3))))
        reading.run(stop_after=draw.choice([None, 1, 2, 5]))
        for source in PLATFORMS:
            assert_nothing_claimed_unread(reading, accounts, source)
    accounts.mend()
    clock.at += HOUR
    last = reading.run()
    assert last is not None and last.outcome == "done"
    for source in PLATFORMS:
        assert stored(reading, source).keys() == served(accounts, source).keys()
        assert reading.coverage(stream(accounts, source), gaps=True) == []
    reading.store.close()


# Feeds, and what is on


def test_a_feed_of_a_confirmed_site_is_read_whole(accounts: Accounts, clock: Clock, tmp_path: Path) -> None:
    notice = Item(1, NOW - HOUR, "Huduma centres close at noon", "<p>On Friday</p>")
    with NewsSite(clock.now, [notice]) as site:
        reading = reading_of(tmp_path, clock, accounts, notice_urls=(f"{site.url}/rss", "https://other.example/rss"))
        with pytest.raises(InputError, match="official is off: confirm an account"):
            reading.run()
        reading.store.confirm_account(
            "news:127.0.0.1",
            handle=None,
            office="Huduma Kenya",
            is_ecitizen=False,
            evidence="https://huduma.example/",
            who="desk 2",
        )
        run = reading.run()
        assert run is not None and (run.outcome, run.source, run.new) == ("done", "official", 1)
        assert [row.account for row in stored(reading, "news").values()] == ["news:127.0.0.1"]
        [(_, to_at)] = reading.coverage(f"news {site.url.removeprefix('http://')}/rss")
        assert to_at == NOW
    reading.store.close()


def test_accounts_that_cannot_be_read_are_told_with_what_is_lacking(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(tmp_path, clock, accounts, "x", x_bearer_token=None)
    with pytest.raises(InputError, match="confirmed cannot be read without X_BEARER_TOKEN"):
        reading.run()
    reading.store.close()


def test_an_account_on_x_without_an_id_is_neither_read_nor_resolved(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(tmp_path, clock, accounts)
    with pytest.raises(InputError, match="official is off"):
        reading.run()
    assert accounts.requests == []
    reading.store.close()


def test_an_account_is_read_from_its_confirmation_on_and_no_more_once_that_is_taken_back(
    accounts: Accounts, clock: Clock, tmp_path: Path
) -> None:
    accounts.posts += sayings(4, NOW - MINUTE)
    reading = reading_of(tmp_path, clock, accounts)
    with NewsSite(clock.now) as site:
        ours = {"TRACKER_DATABASE_URL": f"sqlite:///{tmp_path / 'posts.db'}", "TRACKER_PSEUDONYM_KEY": KEY}
        ours |= {"TRACKER_NOW": NOW.isoformat(), "TRACKER_FEED_URLS": f"{site.url}/rss"}
        ours |= {"TRACKER_BLUESKY_URL": accounts.url}
        process = subprocess.Popen(
            [sys.executable, "-m", "tracker", "collect", "official", "news", "--every", "1"],
            cwd=tmp_path,
            env={**os.environ, **ours},
            stderr=subprocess.PIPE,
            text=True,
        )

        def until(event: str, source: str) -> dict[str, Any]:
            assert process.stderr is not None
            for line in process.stderr:
                told: dict[str, Any] = json.loads(line)
                if (told["event"], told.get("source")) == (event, source):
                    return told
            raise AssertionError(f"{event} of {source} was never told")

        try:
            until("source off", "official")
            until("run ended", "news")
            for _ in range(2):  # twice the same account: the second run finds nothing new
                confirm(reading, accounts, "bluesky")
                found = until("run ended", "official")
                assert found["outcome"] == "done" and found["fetched"] == 4
            assert len(stored(reading, "bluesky")) == 4
            reading.store.unconfirm_account(f"bluesky:{DID}", "desk 2")
            until("run ended", "news")
            until("run ended", "news")  # a run that had begun before is over
            asked = len(accounts.requests)
            until("run ended", "news")
            until("run ended", "news")
            assert len(accounts.requests) == asked
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.communicate()
    reading.store.close()


def test_the_command_reads_and_says_what_it_did(
    accounts: Accounts, clock: Clock, tmp_path: Path, tracker: Callable[..., CompletedProcess[str]]
) -> None:
    accounts.posts += sayings(4, NOW - MINUTE)
    off = tracker("collect", "official", "--once")
    assert off.returncode == 2 and "official is off" in off.stderr and "Traceback" not in off.stderr
    reading_of(tmp_path, clock, accounts, *PLATFORMS).store.close()
    urls = {"X_BEARER_TOKEN": X_TOKEN, "TRACKER_X_URL": accounts.url, "TRACKER_BLUESKY_URL": accounts.url}
    done = tracker("collect", "official", "--once", "--json", **urls)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["official"]
    assert (found["fetched"], found["new"], found["outcome"]) == (12, 12, "done")
    assert found["estimated_cost_usd"] == pytest.approx(4 * USD_PER_POST)
    assert X_TOKEN not in done.stdout + done.stderr
