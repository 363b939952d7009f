"""Collecting from Reddit: the real client over loopback, the real store."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import prawcore.sessions
import pytest
from conftest import KEY, NOW
from platforms import (
    DROPPED,
    HTML,
    REDDIT_ID,
    REDDIT_SECRET,
    TRUNCATED,
    X_TOKEN,
    Clock,
    Fault,
    Reading,
    RedditItem,
    RedditPlatform,
    XPlatform,
    body,
    comments,
    edited,
    status,
    submissions,
    x_posts,
)

from collector.sources import reddit, x
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SEARCH, SUBMISSIONS, COMMENTS = "/search", "/new", "/comments"


@pytest.fixture(autouse=True)
def _praw_does_not_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the runner hears of a 5xx, prawcore tries twice more by itself and sleeps up to 4 s in between."""
    monkeypatch.setattr(prawcore.sessions.FiniteRetryStrategy, "_sleep_seconds", lambda _self: None)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def platform(clock: Clock) -> Iterator[RedditPlatform]:
    with RedditPlatform(clock.now) as platform:
        yield platform


def reading_of(platform: RedditPlatform, clock: Clock, folder: Path, secret: str = REDDIT_SECRET) -> Reading:
    settings = load_settings(
        database_url=f"sqlite:///{folder / 'posts.db'}",
        pseudonym_key=KEY,
        reddit_client_id=REDDIT_ID,
        reddit_client_secret=secret,
        reddit_url=platform.url,
    )
    return Reading(reddit, settings, clock)


@pytest.fixture
def reading(platform: RedditPlatform, clock: Clock, tmp_path: Path) -> Iterator[Reading]:
    reading = reading_of(platform, clock, tmp_path)
    yield reading
    reading.store.close()


def served(platform: RedditPlatform, *, stream: str | None = None) -> dict[str, datetime]:
    kinds = {"search": "t3", "comments": "t1", None: ("t1", "t3")}
    return {item.name: item.at for item in platform.items if item.name.startswith(kinds[stream])}


def assert_all_stored(reading: Reading, platform: RedditPlatform) -> None:
    assert reading.rows().keys() == served(platform).keys()


def assert_nothing_claimed_unread(reading: Reading, platform: RedditPlatform) -> None:
    for stream in ("search", "comments"):
        reading.assert_nothing_claimed_unread(stream, served(platform, stream=stream))


def asked(platform: RedditPlatform, ending: str) -> list[str | None]:
    return [parameters.get("after") for path, parameters in platform.requests if path.rstrip("/").endswith(ending)]


def test_both_listings_are_read_to_their_end_and_the_next_run_stops_at_what_is_known(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    platform.publish([*submissions(250, NOW - MINUTE), *comments(320, NOW - MINUTE, seed=1)])
    run = reading.run()
    assert (run.outcome, run.fetched, run.new, run.gaps, run.cost_usd) == ("done", 570, 570, 0, 0)
    assert len(asked(platform, SEARCH)) == 3
    assert len(asked(platform, COMMENTS)) == 4
    assert_all_stored(reading, platform)

    platform.requests.clear()
    clock.at += HOUR
    platform.publish([*submissions(5, clock.at, seed=2), *comments(130, clock.at, timedelta(seconds=9), seed=3)])
    again = reading.run()
    assert (again.new, again.gaps) == (135, 0)
    assert len(asked(platform, SEARCH)) == 1
    assert len(asked(platform, COMMENTS)) == 2
    assert_all_stored(reading, platform)
    for stream in ("search", "comments"):
        assert len(reading.coverage(stream)) == 1
        assert clock.at - reading.coverage(stream)[0][1] < MINUTE


def test_texts_are_stored_as_reddit_keeps_them(reading: Reading, platform: RedditPlatform) -> None:
    platform.publish(
        [
            RedditItem("aa", NOW - MINUTE, "Is it <down> & out?\n\n&amp; why, ?a=1&section=2", title="eCitizen & me"),
            RedditItem("ab", NOW - 2 * MINUTE, "", title="eCitizen, title alone"),
            RedditItem("ba", NOW - 3 * MINUTE, "5 > 4 on eCitizen, &lt;b&gt;", parent="t3_aa"),
        ]
    )
    assert reading.run().new == 3
    rows = reading.rows()
    assert rows["t3_aa"].text == "eCitizen & me\n\nIs it <down> & out?\n\n&amp; why, ?a=1&section=2"
    assert rows["t3_ab"].text == "eCitizen, title alone"
    assert (rows["t1_ba"].text, rows["t1_ba"].reply_to) == ("5 > 4 on eCitizen, &lt;b&gt;", "t3_aa")
    assert rows["t1_ba"].created_at == NOW - 3 * MINUTE


def test_comments_that_name_no_term_are_left_alone(reading: Reading, platform: RedditPlatform) -> None:
    about = comments(40, NOW - MINUTE)
    texts = ("Ugali au wali leo?", "The citizen, says The Citizen")
    others = [
        replace(each, id=f"o{number}x{each.id}", text=text)
        for number, text in enumerate(texts)
        for each in comments(140, NOW - MINUTE)
    ]
    platform.publish([*about, *others])
    run = reading.run()
    assert (run.outcome, run.dropped) == ("done", 0)
    assert reading.rows().keys() == {item.name for item in about}


def test_what_is_gone_at_reddit_is_not_stored_and_a_gone_author_is_nobody(
    reading: Reading, platform: RedditPlatform
) -> None:
    platform.publish(
        [
            RedditItem("aa", NOW - MINUTE, "[removed]", title="eCitizen"),
            RedditItem("ab", NOW - 2 * MINUTE, "still here", title="eCitizen", author=None),
            RedditItem("ac", NOW - 3 * MINUTE, "still here", title="eCitizen", author="chai_baridi"),
        ]
    )
    run = reading.run()
    assert (run.new, run.dropped) == (2, 1)
    rows = reading.rows()
    assert (rows["t3_ab"].author, rows["t3_ab"].author_handle) == (None, None)
    assert None not in (rows["t3_ac"].author, rows["t3_ac"].author_handle)


def test_no_handle_and_no_secret_reaches_the_disk(reading: Reading, platform: RedditPlatform, tmp_path: Path) -> None:
    platform.publish([RedditItem("aa", NOW - MINUTE, "help", title="eCitizen", author="kalamu_ya_risasi")])
    reading.run()
    reading.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*"))
    assert b"t3_aa" in kept
    assert b"kalamu" not in kept
    assert REDDIT_SECRET.encode() not in kept


def test_what_lies_beyond_the_thousand_newest_is_a_gap(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    platform.publish(submissions(30, NOW - MINUTE))
    reading.run()
    clock.at += 50 * HOUR
    flood = submissions(1_300, clock.at - MINUTE, 2 * MINUTE, seed=1)
    platform.publish(flood)
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 1_000, 1)
    ((from_at, to_at),) = reading.coverage("search", gaps=True)
    assert (from_at, to_at) == (NOW, flood[999].at)
    assert_nothing_claimed_unread(reading, platform)
    assert reading.run().gaps == 0


def test_what_is_listed_late_is_read_at_the_cost_of_one_page_at_most(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    platform.publish([*submissions(300, NOW - MINUTE, timedelta(seconds=10)), *comments(5, NOW - MINUTE, seed=1)])
    reading.run()
    for seconds in (0, 30, 30 * 60):  # a page of 100 goes 17 minutes back
        clock.at += 2 * MINUTE
        late = NOW - MINUTE - timedelta(seconds=seconds + 5)
        platform.publish(
            [
                RedditItem(f"late{seconds}", late, "found late by the search", title="eCitizen"),
                RedditItem(f"let{seconds}", late, "eCitizen, let in by a moderator"),
            ]
        )
        platform.requests.clear()
        run = reading.run()
        assert run is not None and (run.outcome, run.new, run.gaps) == ("done", 2, 0)
        assert (len(asked(platform, SEARCH)), len(asked(platform, COMMENTS))) == (2, 1)
    assert_all_stored(reading, platform)
    assert len(reading.coverage("search")) == 1


@pytest.mark.parametrize("vague_end", [False, True], ids=["that is known to be the last", "before an empty one"])
def test_a_full_last_page_makes_no_gap_where_posts_were_read(
    reading: Reading, platform: RedditPlatform, clock: Clock, vague_end: bool
) -> None:
    platform.vague_end = vague_end
    reading.run()
    clock.at += 50 * HOUR
    platform.publish(submissions(200, clock.at - MINUTE))
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)
    for _, to_at in reading.coverage("search", gaps=True):
        assert to_at <= min(served(platform).values())


def test_a_walk_that_was_stopped_begins_again_at_the_top_and_nothing_is_lost(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    platform.publish([*submissions(350, NOW - MINUTE), *comments(150, NOW - MINUTE, seed=1)])
    assert reading.run(stop_after=2) is None
    assert len(reading.rows()) == 200
    assert_nothing_claimed_unread(reading, platform)
    clock.at += HOUR
    platform.publish(submissions(120, clock.at - MINUTE, timedelta(seconds=5), seed=2))
    run = reading.run()
    assert (run.outcome, run.new, run.duplicate) == ("done", 420, 200)
    assert_all_stored(reading, platform)
    assert reading.coverage("search", gaps=True) == []


def test_a_first_walk_that_was_cut_off_counts_as_looked_at_only_where_it_is_read_again(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    platform.lists = 150
    platform.publish(submissions(150, NOW - MINUTE))
    assert reading.run(stop_after=1) is None
    clock.at += 50 * HOUR
    flood = submissions(300, clock.at - MINUTE, MINUTE, seed=1)
    platform.publish(flood)
    assert reading.run().outcome == "done"
    assert reading.coverage("search") == [(flood[149].at, clock.at)]


@pytest.mark.parametrize("leads_on", [True, False])
def test_an_empty_listing_where_there_was_something_before_proves_nothing(
    reading: Reading, platform: RedditPlatform, clock: Clock, leads_on: bool
) -> None:
    def empty(answer: dict) -> dict:
        answer["data"] |= {"children": []} | ({} if leads_on else {"after": None})
        return answer

    platform.publish(submissions(130, NOW - MINUTE))
    reading.run()
    clock.at += HOUR
    platform.publish(submissions(120, clock.at - MINUTE, timedelta(seconds=5), seed=1))
    platform.fail(edited(empty, path=SEARCH))
    reading.run()
    assert_nothing_claimed_unread(reading, platform)
    clock.at += HOUR
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)
    assert reading.coverage("search", gaps=True) == []


def test_a_first_look_that_was_empty_by_mistake_hides_nothing(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    platform.publish(submissions(250, NOW - MINUTE))
    platform.fail(
        edited(lambda answer: answer | {"data": answer["data"] | {"children": [], "after": None}}, path=SEARCH)
    )
    first = reading.run()
    assert first is not None and first.new == 0
    clock.at += HOUR
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)
    assert reading.coverage("search", gaps=True) == []


def test_a_second_empty_listing_by_mistake_claims_nothing(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    def empty(answer: dict) -> dict:
        answer["data"] |= {"children": [], "after": None}
        return answer

    reading.run()
    clock.at += 50 * HOUR
    platform.publish(submissions(120, clock.at - MINUTE))
    platform.fail(edited(empty, path=SEARCH))
    run = reading.run()
    assert run is not None and run.new == 120
    assert_nothing_claimed_unread(reading, platform)


def test_new_submissions_of_the_named_subreddits_are_read_and_sifted(
    reading: Reading, platform: RedditPlatform, clock: Clock
) -> None:
    def named(id_: str, at: datetime, text: str, title: str) -> RedditItem:
        return RedditItem(id_, at, text, title, in_subreddits=True)

    found = [
        named("aa", NOW - MINUTE, "", "eCitizen is down again"),
        named("ab", NOW - 2 * MINUTE, "the OTP of eCitizen never comes", "Help"),
    ]
    others = [
        named(f"o{number}", NOW - number * MINUTE, "The Citizen wrote", "Ugali or rice?") for number in range(130)
    ]
    platform.publish([*found, *others])
    platform.fail(*[edited(_nothing, path=SEARCH)] * 9)  # a search that finds none of them
    run = reading.run()
    assert run is not None and (run.outcome, run.new, run.dropped) == ("done", 2, 0)
    assert reading.rows().keys() == {"t3_aa", "t3_ab"}
    assert reading.rows()["t3_ab"].text == "Help\n\nthe OTP of eCitizen never comes"
    assert {path for path, _ in platform.requests if path.endswith("/new/")} == {"/r/Kenya+nairobi/new/"}
    assert reading.coverage("submissions") == [(others[-1].at, NOW)]

    platform.requests.clear()
    clock.at += HOUR
    platform.publish([named("ac", clock.at - MINUTE, "", "eCitizen is back")])
    assert (again := reading.run()) is not None and (again.new, again.gaps) == (1, 0)
    assert len(asked(platform, "/new")) <= 2
    assert len(reading.coverage("submissions")) == 1


def _nothing(answer: dict) -> dict:
    answer["data"] |= {"children": [], "after": None}
    return answer


@pytest.mark.parametrize("seconds", [None, 0.0, -2 * 3600.0], ids=["none", "the epoch", "two hours before the floor"])
@pytest.mark.parametrize("place", [0, 50, 99], ids=["first", "between", "last"])
@pytest.mark.parametrize("listing", [SEARCH, SUBMISSIONS, COMMENTS])
def test_an_old_item_on_an_early_page_ends_no_walk(
    reading: Reading, platform: RedditPlatform, clock: Clock, listing: str, place: int, seconds: float | None
) -> None:
    def write(count: int, newest: datetime, seed: int) -> list[RedditItem]:
        items = (comments if listing == COMMENTS else submissions)(count, newest, 4 * MINUTE, seed)
        return [replace(item, in_subreddits=listing == SUBMISSIONS) for item in items]

    def age(answer: dict) -> dict:
        answer["data"]["children"][place]["data"]["created_utc"] = NOW.timestamp() + seconds if seconds else seconds
        return answer

    if listing == SUBMISSIONS:
        platform.fail(*[edited(_nothing, path=SEARCH)] * 9)
    platform.publish(write(120, NOW - 5 * MINUTE, 1))
    reading.run()
    clock.at += 20 * HOUR
    platform.publish(write(250, clock.at - MINUTE, 2))
    platform.fail(edited(age, path=listing))
    run = reading.run()
    assert run is not None and (run.outcome, run.gaps) == ("done", 0)
    # The one that was dated wrongly is dropped where it has no time, or one that no post can have.
    assert len(served(platform).keys() - reading.rows().keys()) <= (not seconds)


def test_an_old_item_hides_no_gap(reading: Reading, platform: RedditPlatform, clock: Clock) -> None:
    platform.lists = 250
    platform.publish(comments(30, NOW - MINUTE))
    reading.run()
    clock.at += 50 * HOUR
    flood = comments(400, clock.at - MINUTE, 2 * MINUTE, seed=1)
    platform.publish(flood)

    def age(answer: dict) -> dict:
        answer["data"]["children"][20]["data"]["created_utc"] = 0
        return answer

    platform.fail(*[edited(age, path=COMMENTS)] * 3)
    run = reading.run()
    assert run is not None and (run.outcome, run.gaps) == ("done", 1)
    assert reading.coverage("comments", gaps=True) == [(NOW, flood[249].at)]


def _without(field: str) -> Callable[[dict], dict]:
    def change(answer: dict) -> dict:
        del answer["data"]["children"][3]["data"][field]
        return answer

    return change


# prawcore asks three times before it tells of a 5xx, a dropped or a cut-off answer.
PASSING = [
    pytest.param([status(500)] * 3, id="500"),
    pytest.param([status(502, b"<html>")] * 3, id="502 in HTML"),
    pytest.param([status(503)] * 3, id="503"),
    pytest.param([status(504)] * 3, id="504"),
    pytest.param([DROPPED] * 3, id="dropped connection"),
    pytest.param([TRUNCATED] * 3, id="truncated body"),
    pytest.param([status(429)], id="429"),
    pytest.param([status(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")], id="429 with a date"),
    pytest.param([status(400)], id="400"),
    pytest.param([status(418)], id="a status nobody knows"),
    pytest.param([status(302, Location="/login/")], id="302"),
    pytest.param([HTML], id="HTML for JSON"),
    pytest.param([body([])], id="an empty list"),
    pytest.param([body([1, 2])], id="a list"),
    pytest.param([body(None)], id="null"),
    pytest.param([body(b"")], id="an empty body"),
    pytest.param([status(204, b"")], id="204"),
    pytest.param([body({})], id="an empty object"),
    pytest.param([body("x")], id="a string"),
    pytest.param([body({"kind": "Listing", "data": {}})], id="a listing of nothing"),
    pytest.param([body({"kind": "Listing", "data": {"children": 5, "after": None}})], id="children of another type"),
    pytest.param([body(b'{"kind":' * 5_000)], id="deep nesting"),
    pytest.param([edited(_without("id"))], id="an item without id"),
    pytest.param([status(503, path="access_token")], id="503 for the token"),
    pytest.param([body(HTML.body, path="access_token")], id="HTML for the token"),
]


@pytest.mark.parametrize("faults", PASSING)
def test_a_passing_fault_costs_one_wait_and_no_post(
    reading: Reading, platform: RedditPlatform, faults: list[Fault]
) -> None:
    platform.publish([*submissions(130, NOW - MINUTE), *comments(20, NOW - MINUTE, seed=1)])
    platform.fail(*faults)
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 150)
    assert len(reading.waits) == 1
    assert 1 <= reading.waits[0] <= 120
    assert_all_stored(reading, platform)


@pytest.mark.parametrize("fault", [body([]), status(503)], ids=["a list", "503"])
def test_a_fault_that_stays_fails_one_stream_and_not_the_other(
    reading: Reading, platform: RedditPlatform, clock: Clock, fault: Fault
) -> None:
    platform.publish([*submissions(20, NOW - MINUTE), *comments(20, NOW - MINUTE, seed=1)])
    platform.fail(*[replace(fault, path=SEARCH)] * 18)
    run = reading.run()
    assert (run.outcome, run.new) == ("failed", 20)
    assert len(reading.waits) == 5
    assert reading.rows().keys() == served(platform, stream="comments").keys()
    assert_nothing_claimed_unread(reading, platform)
    platform.mend()
    clock.at += MINUTE
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([status(401)] * 3, id="401"),
        pytest.param([status(401, WWW_Authenticate="Bearer")] * 3, id="401 that names no error"),
        pytest.param(
            [status(401, WWW_Authenticate='Bearer realm="reddit", error="invalid_token"')] * 3, id="invalid token"
        ),
        pytest.param([status(403)], id="403"),
        pytest.param([status(404)], id="404"),
    ],
)
@pytest.mark.parametrize("refused", [SEARCH, COMMENTS], ids=["search", "comments"])
def test_a_refusal_of_one_stream_is_told_at_once_and_the_other_is_read(
    reading: Reading, platform: RedditPlatform, clock: Clock, faults: list[Fault], refused: str
) -> None:
    platform.publish([*submissions(20, NOW - MINUTE), *comments(20, NOW - MINUTE, seed=1)])
    platform.fail(*(replace(fault, path=refused) for fault in faults))
    run = reading.run()
    assert (run.outcome, run.new, reading.waits) == ("refused", 20, [])
    assert "reddit" in run.note
    assert_nothing_claimed_unread(reading, platform)
    clock.at += MINUTE
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)


def test_a_wrong_secret_is_refused_by_name_and_never_shown(
    platform: RedditPlatform, clock: Clock, tmp_path: Path
) -> None:
    reading = reading_of(platform, clock, tmp_path, secret="not the secret at all")
    run = reading.run()
    assert (run.outcome, run.new, reading.waits) == ("refused", 0, [])
    assert "REDDIT_CLIENT_SECRET" in run.note or "credentials" in run.note
    assert "not the secret" not in run.note
    reading.store.close()


@pytest.mark.parametrize(("seconds", "at_least", "at_most"), [("240", 239, 244), ("0.5", 1, 4), ("999999", 900, 902)])
def test_a_rate_limit_is_waited_out_as_long_as_reddit_asks(
    reading: Reading, platform: RedditPlatform, seconds: str, at_least: float, at_most: float
) -> None:
    platform.publish(submissions(5, NOW - MINUTE))
    platform.fail(status(429, retry_after=seconds))
    assert reading.run().outcome == "done"
    (waited,) = reading.waits
    assert at_least <= waited <= at_most
    assert_all_stored(reading, platform)


ODD_ITEM = {"kind": "t3", "data": {"id": "odd", "title": ["x"], "selftext": {}, "author": None, "created_utc": "x"}}


@pytest.mark.parametrize("field", ["name", "created_utc", "title", "author", "selftext"])
def test_an_item_without_a_field_costs_no_other_item(reading: Reading, platform: RedditPlatform, field: str) -> None:
    platform.publish(submissions(150, NOW - MINUTE))
    platform.fail(edited(_without(field)))
    run = reading.run()
    assert run.outcome == "done"
    assert len(served(platform).keys() - reading.rows().keys()) <= 1
    assert run.new + run.dropped == 150


def test_an_item_of_wrong_types_is_counted_and_the_others_are_stored(
    reading: Reading, platform: RedditPlatform
) -> None:
    platform.publish(submissions(150, NOW - MINUTE))
    platform.fail(edited(lambda answer: answer["data"]["children"].append(ODD_ITEM) or answer))
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)


def test_a_refused_source_does_not_stop_the_other_and_the_command_says_so(
    tracker: Callable[..., CompletedProcess[str]],
) -> None:
    def now() -> datetime:
        return NOW

    with XPlatform(now, x_posts(5, NOW - MINUTE)) as x, RedditPlatform(now, submissions(7, NOW - MINUTE)) as other:
        x.fail(status(402))
        environment = {
            "X_BEARER_TOKEN": X_TOKEN,
            "TRACKER_X_URL": x.url,
            "REDDIT_CLIENT_ID": REDDIT_ID,
            "REDDIT_CLIENT_SECRET": REDDIT_SECRET,
            "TRACKER_REDDIT_URL": other.url,
        }
        refused = tracker("collect", "all", "--once", "--json", **environment)
        mended = tracker("collect", "x", "reddit", "--once", "--json", **environment)
    assert refused.returncode == 1
    told = json.loads(refused.stdout)
    assert (told["x"]["outcome"], told["x"]["new"]) == ("refused", 0)
    assert (told["reddit"]["outcome"], told["reddit"]["new"], told["reddit"]["fetched"]) == ("done", 7, 7)
    assert "credits" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert mended.returncode == 0
    told = json.loads(mended.stdout)
    assert (told["x"]["new"], told["x"]["estimated_cost_usd"], told["x"]["requests"]) == (5, 0.055, 1)
    for field in ("duplicate", "dropped", "gaps"):
        assert told["x"][field] == told["reddit"][field] == 0 or field == "duplicate"


@pytest.mark.parametrize("ending", ["/", "/gateway", "/gateway/"])
def test_a_base_address_may_end_in_a_slash_and_have_a_path(
    ending: str, platform: RedditPlatform, clock: Clock, tmp_path: Path
) -> None:
    platform.publish(submissions(3, NOW - MINUTE))
    with XPlatform(clock.now, x_posts(5, NOW - MINUTE)) as other:
        settings = load_settings(
            database_url=f"sqlite:///{tmp_path / 'posts.db'}",
            pseudonym_key=KEY,
            reddit_client_id=REDDIT_ID,
            reddit_client_secret=REDDIT_SECRET,
            reddit_url=platform.url + ending,
            x_bearer_token=X_TOKEN,
            x_url=other.url + ending,
        )
        for module, count in ((reddit, 3), (x, 5)):
            reading = Reading(module, settings, clock)
            assert (run := reading.run()).outcome == "done", run.note
            assert run.new == count
            reading.store.close()


def test_a_source_without_credentials_is_off_and_alone_ends_with_status_2(
    tracker: Callable[..., CompletedProcess[str]],
) -> None:
    off = tracker("collect", "x", "--once")
    assert off.returncode == 2
    assert "X_BEARER_TOKEN" in off.stderr
    with XPlatform(lambda: NOW, x_posts(5, NOW - MINUTE)) as x:
        run = tracker("collect", "all", "--once", "--json", X_BEARER_TOKEN=X_TOKEN, TRACKER_X_URL=x.url)
    assert run.returncode == 0
    assert json.loads(run.stdout)["x"]["new"] == 5
    assert "REDDIT_CLIENT_ID" in json.loads(run.stdout)["reddit"]["off"]
    unknown = tracker("collect", "orkut", "--once")
    assert unknown.returncode == 2
    assert "orkut" in unknown.stderr
