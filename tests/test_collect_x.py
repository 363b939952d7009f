"""Collecting from X: the real client over loopback, the real store."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from conftest import KEY, NOW
from platforms import (
    DROPPED,
    HTML,
    TRUNCATED,
    X_REACH,
    X_TOKEN,
    Clock,
    Fault,
    Reading,
    XPlatform,
    XPost,
    body,
    edited,
    status,
    x_id,
    x_posts,
)
from sqlalchemy import select

from collector.sources import x
from data import tables
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def platform(clock: Clock) -> Iterator[XPlatform]:
    with XPlatform(clock.now) as platform:
        yield platform


@pytest.fixture
def reading(platform: XPlatform, clock: Clock, tmp_path: Path) -> Iterator[Reading]:
    settings = load_settings(
        database_url=f"sqlite:///{tmp_path / 'posts.db'}",
        pseudonym_key=KEY,
        x_bearer_token=X_TOKEN,
        x_url=platform.url,
    )
    reading = Reading(x, settings, clock)
    yield reading
    reading.store.close()


def served(platform: XPlatform) -> dict[str, datetime]:
    return {str(post.id): post.at for post in platform.posts.values()}


def assert_all_stored(reading: Reading, platform: XPlatform) -> None:
    assert reading.rows().keys() == served(platform).keys()


def asked(platform: XPlatform, name: str) -> list[str | None]:
    return [parameters.get(name) for _, parameters in platform.requests]


def test_all_pages_are_read_and_the_next_run_asks_only_for_newer(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(250, NOW - MINUTE))
    run = reading.run()
    assert (run.outcome, run.fetched, run.new, run.duplicate, run.dropped) == ("done", 250, 250, 0, 0)
    posts_usd, authors_usd = 250 * 0.005, 3 * 5 * 0.010  # five people write, and each page names them
    assert run.cost_usd == pytest.approx(posts_usd + authors_usd)
    assert run.requests == 3
    assert_all_stored(reading, platform)
    assert asked(platform, "max_results") == ["100"] * 3
    assert platform.gzipped == 3

    platform.requests.clear()
    clock.at += MINUTE
    again = reading.run()
    assert (again.new, again.duplicate, again.cost_usd) == (0, 5, 0)  # of the last five minutes: X bills them once
    assert asked(platform, "since_id") == [str(x_id(NOW - 6 * MINUTE))]

    clock.at += MINUTE
    platform.publish(x_posts(3, NOW + MINUTE, timedelta(seconds=5), seed=1))
    assert (newer := reading.run()).new == 3
    assert 3 * 0.005 <= newer.cost_usd <= 3 * (0.005 + 0.010)
    assert_all_stored(reading, platform)

    clock.at += timedelta(minutes=10)
    reading.run()
    clock.at += MINUTE
    last = reading.run()
    assert (last.fetched, last.cost_usd) == (0, 0)


def test_the_whole_reach_is_covered_without_a_gap_though_the_clock_goes_on(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    clock.step = timedelta(seconds=2)
    platform.publish(x_posts(450, NOW - MINUTE, every=timedelta(minutes=20)))
    assert reading.run().gaps == 0
    assert_all_stored(reading, platform)
    assert reading.coverage("search", gaps=True) == []
    (only,) = reading.coverage("search")
    assert only[0] - (NOW - X_REACH) < timedelta(hours=1)
    assert NOW - only[1] < MINUTE
    reading.assert_nothing_claimed_unread("search", served(platform))
    reading.run()
    assert len(reading.coverage("search")) == 1


def test_long_posts_are_stored_in_full_and_entities_are_read(reading: Reading, platform: XPlatform) -> None:
    long = "eCitizen & mimi: " + "tangu asubuhi sijapata huduma, naomba msaada wenu jamani. " * 30 + "mwisho"
    platform.publish([XPost(x_id(NOW - MINUTE), long), XPost(x_id(NOW - 2 * MINUTE), "2 < 3 & 5 > 4, &amp; eCitizen")])
    reading.run()
    assert {row.text for row in reading.rows().values()} == {long, "2 < 3 & 5 > 4, &amp; eCitizen"}


def test_a_post_without_created_at_is_dated_by_its_id(reading: Reading, platform: XPlatform) -> None:
    at = datetime(2026, 3, 5, 6, 12, 9, 345_000, UTC)
    platform.publish([XPost(x_id(at), "eCitizen iko chini", says_when=False)])
    reading.run()
    assert [row.created_at for row in reading.rows().values()] == [at]


def test_authors_replies_and_languages_are_kept_and_no_handle_reaches_the_disk(
    reading: Reading, platform: XPlatform, tmp_path: Path
) -> None:
    first = XPost(x_id(NOW - MINUTE), "eCitizen?", "kalamu_ya_risasi", "77", "sw", replied_to="4242")
    second = XPost(x_id(NOW - 2 * MINUTE), "eCitizen!", "kalamu_ya_risasi", "77")
    third = XPost(x_id(NOW - 3 * MINUTE), "eCitizen…", "chai_baridi", "78")
    platform.publish([first, second, third])
    reading.run()
    rows = reading.rows()
    one, same, other = (rows[str(post.id)] for post in (first, second, third))
    assert (one.reply_to, one.platform_lang, same.reply_to) == ("4242", "sw", None)
    assert one.author == same.author != other.author
    assert one.author_handle == same.author_handle != other.author_handle
    assert None not in (one.author, one.author_handle)
    reading.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*"))
    assert b"kalamu_ya_risasi" not in kept
    assert X_TOKEN.encode() not in kept


def test_a_cursor_older_than_seven_days_leaves_a_gap_and_reading_goes_on(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(5, NOW - MINUTE))
    reading.run()
    clock.at += timedelta(days=9)
    platform.publish(x_posts(130, clock.at - MINUTE, every=timedelta(hours=1), seed=1))
    unreachable = x_posts(3, NOW + timedelta(days=1), seed=2)
    platform.publish(unreachable)
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 130, 1)
    ((from_at, to_at),) = reading.coverage("search", gaps=True)
    assert abs(from_at - NOW) < MINUTE
    assert timedelta(0) <= to_at - (clock.at - X_REACH) < timedelta(hours=1)
    reading.assert_nothing_claimed_unread("search", served(platform))
    assert reading.run().gaps == 0


def test_a_walk_that_was_stopped_in_what_it_reads_again_is_whole_after_downtime(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(250, NOW - timedelta(seconds=20), every=timedelta(seconds=1)))
    reading.run()
    clock.at += timedelta(hours=1)
    stopped_at = clock.at
    platform.publish(x_posts(90, clock.at - MINUTE, every=timedelta(seconds=20), seed=1))
    assert reading.run(stop_after=2) is None
    clock.at += timedelta(days=9)
    platform.publish(x_posts(20, clock.at - MINUTE, seed=2))
    assert (reading.run().outcome, len(reading.rows())) == ("done", 360)
    ((from_at, to_at),) = reading.coverage("search", gaps=True)
    assert abs(from_at - stopped_at) < MINUTE
    assert to_at - (clock.at - X_REACH) < timedelta(hours=1)
    reading.assert_nothing_claimed_unread("search", served(platform))


def test_a_walk_that_was_stopped_goes_on_where_it_was_and_then_reads_what_came_since(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(450, NOW - MINUTE))
    assert reading.run(stop_after=2) is None
    assert len(reading.rows()) == 200
    reading.assert_nothing_claimed_unread("search", served(platform))
    platform.requests.clear()
    clock.at += timedelta(hours=1)
    platform.publish(x_posts(7, clock.at - MINUTE, seed=1))
    run = reading.run()
    # Two posts below where it goes on, and five minutes below where the next one ends, are read again.
    assert (run.outcome, run.new, run.duplicate) == ("done", 257, 2 + 5)
    assert asked(platform, "until_id")[0] == str(x_posts(450, NOW - MINUTE)[197].id)
    assert_all_stored(reading, platform)
    assert platform.posts_read == 457 + 2 + 5
    assert run.cost_usd == pytest.approx(257 * 0.005 + len(set(asked(platform, "next_token"))) * 5 * 0.010, abs=0.1)
    (covered,) = reading.coverage("search")
    assert covered[0] < min(served(platform).values())
    assert clock.at - covered[1] < MINUTE


def test_a_stopped_walk_whose_rest_is_out_of_reach_leaves_a_gap_for_that_rest_alone(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(300, NOW - MINUTE, every=timedelta(minutes=30)))
    assert reading.run(stop_after=1) is None
    oldest_read = min(row.created_at for row in reading.rows().values())
    clock.at += timedelta(days=6, hours=12)  # the walk began 6.5 days ago and had come down to 8.5 days ago
    platform.publish(x_posts(20, clock.at - MINUTE, seed=1))
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 20)
    ((_, to_at),) = reading.coverage("search", gaps=True)
    assert to_at <= oldest_read + 2 * timedelta(minutes=30)  # two posts below where a walk goes on say nothing
    reading.assert_nothing_claimed_unread("search", served(platform))
    assert (reading.run().outcome, reading.run().gaps) == ("done", 0)


def test_without_tweet_fields_it_asks_for_post_fields_and_reads_the_new_names(
    reading: Reading, platform: XPlatform
) -> None:
    platform.spelling = "post"
    long = "eCitizen " + "haifanyi kazi " * 40 + "mwisho"
    platform.publish([*x_posts(150, NOW - MINUTE), XPost(x_id(NOW - 200 * MINUTE), long, replied_to="99")])
    assert reading.run().new == 151
    last = reading.rows()[str(x_id(NOW - 200 * MINUTE))]
    assert (last.text, last.reply_to) == (long, "99")
    assert [("tweet.fields" in each, "post.fields" in each) for _, each in platform.requests] == [
        (True, False),
        (False, True),
        (False, True),
    ]


NO_TEXT = edited(lambda answer: answer | {"data": [{"id": str(x_id(NOW - MINUTE) + 1)}, *answer["data"]]})
NO_ID = edited(lambda answer: answer | {"data": [{"text": "eCitizen"}, *answer["data"]]})
ODD_IDS = edited(
    lambda answer: answer | {"data": [{"id": "9" * 40, "text": "e"}, {"id": "²", "text": "e"}, *answer["data"]]}
)
NO_OBJECT = edited(lambda answer: answer | {"data": [*answer["data"], "a post", None, ["x"]]})
ODD_USERS = edited(lambda answer: answer | {"includes": {"users": [{"id": ["x"]}, 7, {}]}})
USERS_NO_LIST = edited(lambda answer: answer | {"includes": {"users": 5}})
ODD_REFERENCES = edited(
    lambda answer: answer | {"data": [each | {"referenced_tweets": [{"type": ["x"]}, 1]} for each in answer["data"]]}
)
DEEP = body(b'{"data":' * 5_000)
EMPTY_OBJECT, LIST, NULL, NUMBERS = body({}), body([]), body(None), body({"data": 5, "meta": []})

RESET = "x_rate_limit_reset"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(500), id="500"),
        pytest.param(status(502, b"<html>Bad gateway</html>"), id="502 in HTML"),
        pytest.param(status(503), id="503"),
        pytest.param(status(504, [1]), id="504 with a list"),
        pytest.param(status(429, x_rate_limit_reset="soon"), id="429 with a word for a time"),
        pytest.param(status(429, x_rate_limit_reset=""), id="429 without a time"),
        pytest.param(status(418), id="a status nobody knows"),
        pytest.param(DROPPED, id="dropped connection"),
        pytest.param(TRUNCATED, id="truncated body"),
        pytest.param(HTML, id="HTML for JSON"),
        pytest.param(LIST, id="a list"),
        pytest.param(NULL, id="null"),
        pytest.param(EMPTY_OBJECT, id="an empty object"),
        pytest.param(NUMBERS, id="data and meta of other types"),
        pytest.param(DEEP, id="deep nesting"),
    ],
)
@pytest.mark.parametrize("after_pages", [0, 1], ids=["first page", "second page"])
def test_a_passing_fault_costs_one_wait_and_no_post(
    reading: Reading, platform: XPlatform, fault: Fault, after_pages: int
) -> None:
    platform.publish(x_posts(250, NOW - MINUTE))
    if after_pages:
        assert reading.run(stop_after=after_pages) is None
    platform.fail(fault)
    run = reading.run()
    assert run.outcome == "done"
    assert run.new == 250 - 100 * after_pages
    assert len(reading.waits) == 1
    assert 1 <= reading.waits[0] <= 120
    assert_all_stored(reading, platform)


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        pytest.param(NO_TEXT, 1, id="no text"),
        pytest.param(NO_ID, 1, id="no id"),
        pytest.param(NO_OBJECT, 3, id="no object"),
        pytest.param(ODD_USERS, 0, id="odd users"),
        pytest.param(USERS_NO_LIST, 0, id="users that are no list"),
        pytest.param(ODD_REFERENCES, 0, id="odd references"),
    ],
)
def test_a_broken_post_is_counted_and_the_others_are_stored(
    reading: Reading, platform: XPlatform, fault: Fault, broken: int
) -> None:
    platform.publish(x_posts(150, NOW - MINUTE))
    platform.fail(fault)
    run = reading.run()
    assert (run.outcome, run.new, run.dropped, reading.waits) == ("done", 150, broken, [])
    assert_all_stored(reading, platform)


def test_an_id_that_no_post_can_have_does_not_lead_the_cursor_astray(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish(x_posts(150, NOW - MINUTE))
    platform.fail(ODD_IDS)
    assert reading.run().outcome == "done"
    clock.at += MINUTE
    platform.publish(x_posts(5, NOW, timedelta(seconds=5), seed=1))
    assert (run := reading.run()).outcome == "done"
    assert (run.new, run.duplicate) == (5, 5)
    assert served(platform).keys() <= reading.rows().keys()


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (status(401), "X_BEARER_TOKEN"),
        (status(402), "credits"),
        (status(403), "403"),
        (status(404), "TRACKER_X_URL"),
        (status(400), "terms"),
    ],
    ids=["401", "402", "403", "404", "400"],
)
def test_a_refusal_is_told_at_once_and_the_walk_goes_on_when_it_is_mended(
    reading: Reading, platform: XPlatform, fault: Fault, named: str
) -> None:
    platform.publish(x_posts(250, NOW - MINUTE))
    assert reading.run(stop_after=1) is None
    platform.fail(fault, fault)  # the second for the attempt without next_token that a 400 may cost
    run = reading.run()
    assert (run.outcome, run.new, run.fetched, reading.waits) == ("refused", 0, 0, [])
    assert named in run.note
    assert X_TOKEN not in run.note
    reading.assert_nothing_claimed_unread("search", served(platform))
    platform.mend()
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)
    assert len(reading.coverage("search")) == 1


def test_a_fault_that_stays_ends_the_run_after_growing_waits_and_loses_nothing(
    reading: Reading, platform: XPlatform
) -> None:
    platform.publish(x_posts(250, NOW - MINUTE))
    assert reading.run(stop_after=1) is None
    platform.fail(*[status(503)] * 6)
    run = reading.run()
    assert (run.outcome, run.new, run.requests) == ("failed", 0, 6)
    assert len(reading.waits) == 5
    assert reading.waits[0] <= 4 < 16 <= reading.waits[-1] <= 120
    assert len(reading.rows()) == 100
    reading.assert_nothing_claimed_unread("search", served(platform))
    assert (after := reading.run()).outcome == "done"
    assert after.new == 150
    assert_all_stored(reading, platform)


@pytest.mark.parametrize(
    ("from_now", "at_least", "at_most"),
    [(300, 298, 304), (-300, 1, 3), (0, 1, 4), (86_400, 900, 902)],
    ids=["in five minutes", "in the past", "now", "tomorrow"],
)
def test_a_rate_limit_is_waited_out_until_the_time_that_x_names(
    reading: Reading, platform: XPlatform, from_now: int, at_least: float, at_most: float
) -> None:
    platform.publish(x_posts(5, NOW - MINUTE))
    platform.fail(status(429, x_rate_limit_reset=str(int(time.time()) + from_now)))
    assert reading.run().outcome == "done"
    (waited,) = reading.waits
    assert at_least <= waited <= at_most
    assert_all_stored(reading, platform)


def test_a_post_that_the_search_finds_late_is_read_by_the_next_run(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    platform.publish([XPost(x_id(NOW - timedelta(seconds=2)), "eCitizen")])
    reading.run()
    clock.at += MINUTE
    platform.publish([XPost(x_id(NOW - timedelta(seconds=9)), "eCitizen?")])
    assert reading.run().new == 1
    assert_all_stored(reading, platform)


@pytest.mark.parametrize("late", [40, 4 * 60], ids=["40 s", "4 minutes"])
def test_a_post_that_the_search_finds_minutes_late_is_read_though_newer_ones_were_read_before(
    reading: Reading, platform: XPlatform, clock: Clock, late: int
) -> None:
    slow = XPost(x_id(NOW - timedelta(seconds=35)), "eCitizen, slow to be found")
    platform.most = 5
    platform.publish(x_posts(24, NOW - timedelta(seconds=20), timedelta(seconds=2)))
    for second in range(0, 600, 20):
        if second >= late - 35:
            platform.publish([slow])
        reading.run()
        clock.at += timedelta(seconds=20)
    assert_all_stored(reading, platform)
    assert platform.billed_posts.total() == 25
    assert len(reading.coverage("search")) == 1


def test_what_is_read_again_is_counted_once_a_day_as_x_bills_it(
    reading: Reading, platform: XPlatform, clock: Clock
) -> None:
    clock.at = datetime(2026, 3, 6, 23, 0, tzinfo=UTC)
    while clock.at < datetime(2026, 3, 7, 1, 0, tzinfo=UTC):
        clock.at += 2 * MINUTE
        platform.publish(x_posts(3, clock.at - timedelta(seconds=20), timedelta(seconds=40), seed=clock.at.minute))
        assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)
    assert platform.posts_read > 2 * len(platform.posts)
    with reading.store.engine.connect() as connection:
        rows = connection.execute(select(tables.spending)).all()
    assert {row.day: row.posts for row in rows} == dict(platform.billed_posts)
    for row in rows:
        assert platform.billed_usd[row.day] <= row.cost_usd + 1e-6


def old_post(platform: XPlatform, place: int, which: int) -> Fault:
    """A page on which a post from far below stands."""
    old = sorted(platform.posts.values(), key=lambda each: -each.id)[which]
    shown = {"id": str(old.id), "text": old.text, "author_id": old.author_id}
    return edited(lambda answer: answer["data"].insert(place, shown) or answer)


@pytest.mark.parametrize("stop_after", [None, 1, 2], ids=["in one run", "cut off after it", "cut off a page later"])
@pytest.mark.parametrize("place", [0, 40, 100], ids=["first", "between", "last"])
def test_an_old_post_on_an_early_page_leads_past_nothing(
    reading: Reading, platform: XPlatform, clock: Clock, stop_after: int | None, place: int
) -> None:
    reading.run()
    clock.at += timedelta(hours=10)
    platform.publish(x_posts(500, clock.at - MINUTE))
    platform.fail(old_post(platform, place, 450), old_post(platform, place, 480))
    if stop_after:
        assert reading.run(stop_after=stop_after) is None
        reading.assert_nothing_claimed_unread("search", served(platform))
        platform.forget_tokens()
    run = reading.run()
    assert (run.outcome, run.gaps, reading.waits) == ("done", 0, [])
    assert_all_stored(reading, platform)
    assert len(reading.coverage("search")) == 1


def test_a_token_that_is_stale_in_the_middle_of_a_run_is_left_out(reading: Reading, platform: XPlatform) -> None:
    platform.publish(x_posts(350, NOW - MINUTE))
    pages = 0

    def forget(_line: str) -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            platform.forget_tokens()

    run = reading.run(report=forget)
    assert (run.outcome, run.duplicate, reading.waits) == ("done", 2, [])
    assert_all_stored(reading, platform)


@pytest.mark.parametrize("left", [0, 2], ids=["nothing below", "two posts below"])
def test_a_walk_that_was_cut_off_before_its_last_page_ends(reading: Reading, platform: XPlatform, left: int) -> None:
    platform.publish(x_posts(100 + left, NOW - MINUTE))
    assert reading.run(stop_after=1) is None or not left
    run = reading.run()
    assert (run.outcome, reading.waits) == ("done", [])
    assert_all_stored(reading, platform)


def test_each_run_is_kept_with_how_it_ended(reading: Reading, platform: XPlatform) -> None:
    def breaks(_line: str) -> None:
        raise BrokenPipeError

    platform.publish(x_posts(250, NOW - MINUTE))
    reading.run(stop_after=1)
    with pytest.raises(BrokenPipeError):
        reading.run(report=breaks)
    platform.fail(status(403))
    reading.run()
    platform.fail(*[DROPPED] * 6)
    reading.run()
    reading.run()
    assert reading.outcomes() == ["stopped", "failed", "refused", "failed", "done"]
    assert_all_stored(reading, platform)


def test_empty_pages_are_walked_past(reading: Reading, platform: XPlatform) -> None:
    platform.publish(x_posts(250, NOW - MINUTE))
    platform.fail(platform.empty_page(), platform.empty_page())
    assert reading.run(stop_after=3) is None
    platform.fail(platform.empty_page())
    assert reading.run().outcome == "done"
    assert platform.refused == 0
    assert_all_stored(reading, platform)
    assert len(reading.coverage("search")) == 1


def test_a_stale_next_token_is_left_out_and_the_walk_goes_on(reading: Reading, platform: XPlatform) -> None:
    platform.publish(x_posts(250, NOW - MINUTE))
    platform.fail(platform.empty_page())
    assert reading.run(stop_after=1) is None
    platform.forget_tokens()
    run = reading.run()
    assert (run.outcome, reading.waits) == ("done", [])
    assert_all_stored(reading, platform)


def test_the_same_empty_page_for_ever_ends_the_run_and_claims_nothing(reading: Reading, platform: XPlatform) -> None:
    platform.publish(x_posts(50, NOW - MINUTE))
    stuck = body({"meta": {"result_count": 0, "next_token": "b26v"}})
    platform.fail(*[stuck] * 20)
    run = reading.run()
    assert (run.outcome, run.new) == ("failed", 0)
    assert run.requests < 10
    reading.assert_nothing_claimed_unread("search", served(platform))


@pytest.mark.parametrize("total", [250, 150], ids=["with a way on", "as the last page"])
def test_a_page_that_was_read_before_leads_past_nothing(reading: Reading, platform: XPlatform, total: int) -> None:
    posts = x_posts(total, NOW - MINUTE)
    platform.publish(posts)
    assert reading.run(stop_after=1) is None
    again = [{"id": str(each.id), "text": each.text} for each in posts[:100]]
    platform.fail(edited(lambda answer: answer | {"data": again}))
    run = reading.run()
    assert (run.outcome, len(reading.waits)) == ("done", 1)
    assert_all_stored(reading, platform)


def test_a_look_alike_is_known_by_its_displayed_name_which_is_not_kept(reading: Reading, platform: XPlatform) -> None:
    platform.publish([XPost(x_id(NOW - MINUTE), "eCitizen is restored", username="eCitizen_KE", author_id="9")])
    assert reading.run() is not None
    [suspect] = reading.store.impostors()
    assert suspect["resembles"] == "x:@eCitizenKenya"
    answer = {
        "data": [{"id": "1", "text": "eCitizen is restored", "author_id": "7", "created_at": "2026-03-05T08:00:00Z"}],
        "includes": {"users": [{"id": "7", "username": "wanja_88", "name": "eCitizen Kenya"}]},
    }
    [record] = x.records(answer)
    assert isinstance(record, dict)
    assert (record["author"], record["author_name"]) == ("wanja_88", "eCitizen Kenya")
