"""Collecting from Bluesky: the real client against a Jetstream on loopback, the real store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from jetstream import (
    POST,
    Break,
    Jetstream,
    Status,
    about,
    account,
    commit,
    did,
    identity,
    living,
    micros,
    moment,
    post,
    traffic,
    uri,
)
from platforms import Clock, Reading
from sqlalchemy import select

from collector.runner import scrub_erased
from collector.sources import bluesky
from data import tables
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from data.settings import Settings

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PATIENCE_SECONDS, LITTLE_PATIENCE_SECONDS = 60.0, 0.5
FIREHOSE = "posts"


def source(page_events: int = 200, patience: float = PATIENCE_SECONDS) -> Any:
    """The source as it is, but with pages so small, and where a test wants it a patience so short, that they end."""

    def open_streams(settings: Settings) -> list[Any]:
        assert settings.jetstream_url is not None
        limits: Any = {"stall_seconds": patience, "page_events": page_events}
        return [bluesky.Firehose(settings.jetstream_url, settings.terms, **limits)]

    return SimpleNamespace(NAME=bluesky.NAME, open_streams=open_streams)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def platform(clock: Clock) -> Iterator[Jetstream]:
    with Jetstream(lambda: clock.at) as platform:
        yield platform


@pytest.fixture
def settings(platform: Jetstream, tmp_path: Path) -> Settings:
    database = f"sqlite:///{tmp_path / 'posts.db'}"
    return load_settings(database_url=database, pseudonym_key=KEY, jetstream_url=platform.url)


@pytest.fixture
def reading(settings: Settings, clock: Clock) -> Iterator[Reading]:
    reading = Reading(source(), settings, clock)
    yield reading
    reading.store.close()


@pytest.fixture
def hasty(settings: Settings, clock: Clock) -> Iterator[Reading]:
    """With little patience, for streams that stall; a slow machine may then join more often than it must."""
    reading = Reading(source(patience=LITTLE_PATIENCE_SECONDS), settings, clock)
    yield reading
    reading.store.close()


@pytest.fixture
def on_either(platform: Jetstream, clock: Clock, url: str) -> Iterator[Reading]:
    """On SQLite, and again on PostgreSQL."""
    reading = Reading(source(), load_settings(database_url=url, pseudonym_key=KEY, jetstream_url=platform.url), clock)
    yield reading
    reading.store.close()


def assert_all_stored(reading: Reading, platform: Jetstream) -> None:
    assert reading.rows().keys() == living(platform.events).keys()


def deleted(platform: Jetstream) -> int:
    """How many of the posts about eCitizen are gone."""
    return sum(map(about, platform.events)) - len(living(platform.events))


def tombstones(reading: Reading) -> dict[str, int]:
    with reading.store.engine.connect() as connection:
        kinds = connection.execute(select(tables.tombstones.c.kind)).scalars().all()
    return {kind: kinds.count(kind) for kind in set(kinds)}


def test_posts_about_ecitizen_are_stored_once_and_a_run_ends_at_the_present(
    on_either: Reading, platform: Jetstream, clock: Clock
) -> None:
    reading = on_either
    platform.publish(traffic(1_500, NOW - SECOND))
    run = reading.run()
    assert (run.outcome, run.gaps, reading.waits) == ("done", 0, [])
    assert run.requests >= 1_500 / 200
    assert_all_stored(reading, platform)
    (covered,) = reading.coverage(FIREHOSE)
    assert covered[0] - moment(platform.events[0]["time_us"]) < SECOND
    assert covered[1] == NOW

    clock.at += MINUTE
    platform.publish(traffic(500, clock.at - SECOND, seed=1))
    newer = reading.run()
    assert newer.outcome == "done"
    assert_all_stored(reading, platform)
    assert platform.cursors[1] == micros(NOW - timedelta(seconds=10))
    assert len(platform.cursors) == 2
    assert reading.coverage(FIREHOSE) == [(covered[0], clock.at)]
    clock.at += MINUTE
    stored = reading.rows()
    assert reading.run().outcome == "done"
    assert reading.rows() == stored  # read again, each row is left as it is


def test_a_post_is_kept_with_what_the_store_has_room_for_and_no_more(reading: Reading, platform: Jetstream) -> None:
    at = NOW - MINUTE
    parent = {"cid": "bafy", "uri": f"at://{did(2)}/{POST}/3parent"}
    reply = post(at, "@mtu.bsky.social eCitizen 0712345678?", "3a", reply={"parent": parent, "root": parent})
    quote = post(
        at, "eCitizen!", "3b", 2, embed={"$type": "app.bsky.embed.record", "record": parent}, langs=["en", "sw"]
    )
    odd = post(at, "eCitizen…", "3c", 1, reply="x", langs="sw", facets=5)
    platform.publish([reply, quote, odd])
    assert reading.run().new == 3
    rows = reading.rows()
    first, second, third = rows[uri(reply)], rows[uri(quote)], rows[uri(odd)]
    assert uri(reply) == f"at://{did(1)}/{POST}/3a"
    assert (first.text, first.platform_lang, first.reply_to) == ("@user eCitizen <PHONE>?", "sw", parent["uri"])
    assert (second.platform_lang, second.reply_to, second.repost_of) == ("en", None, None)
    assert (third.platform_lang, third.reply_to) == (None, None)
    assert first.author == third.author != second.author
    assert did(1) not in first.author and first.author_handle is None
    assert first.created_at == at - timedelta(milliseconds=350)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2026-03-01T00:00:00+03:00", datetime(2026, 2, 28, 21, tzinfo=UTC)),
        ("2026-03-06T16:59:00.000Z", NOW - MINUTE),
        ("2026-03-06T16:59:30Z", NOW - MINUTE),  # later than it passed by
        ("9999-12-31T23:59:59Z", NOW - MINUTE),
        ("0001-01-01T00:00:00+14:00", NOW - MINUTE),
        ("1970-01-01T00:00:00Z", NOW - MINUTE),
        ("yesterday", NOW - MINUTE),
        (1_772_000_000, NOW - MINUTE),
        (None, NOW - MINUTE),
    ],
)
def test_a_post_is_dated_by_its_author_but_never_later_than_it_passed_by(
    reading: Reading, platform: Jetstream, said: Any, kept: datetime
) -> None:
    platform.publish([post(NOW - MINUTE, "eCitizen iko chini", "3a", createdAt=said)])
    assert reading.run().new == 1
    assert [row.created_at for row in reading.rows().values()] == [kept]


def test_what_is_deleted_there_is_erased_here_and_stays_out(
    on_either: Reading, platform: Jetstream, clock: Clock
) -> None:
    reading = on_either
    kept, gone, by_gone = (
        post(NOW - MINUTE, f"eCitizen {key}", key, author) for key, author in (("3a", 1), ("3b", 1), ("3c", 2))
    )
    platform.publish([kept, gone, by_gone])
    reading.run()
    clock.at += MINUTE
    strangers = [commit(clock.at - SECOND, "delete", f"3z{number}", author=7) for number in range(50)]
    passing = [account(clock.at - SECOND, 1, status) for status in ("deactivated", "suspended", "takendown", None)]
    ended = [account(clock.at - SECOND, author, "deleted") for author in (2, 8)]
    platform.publish([*strangers, *passing, *ended, commit(clock.at - SECOND, "delete", "3b")])
    assert reading.run().outcome == "done"
    assert reading.rows().keys() == {uri(kept)}
    assert tombstones(reading) == {"post": 2, "author": 1}  # of what was here, none of the others

    with reading.store.engine.connect() as connection:
        ((action, detail),) = connection.execute(select(tables.audit.c.action, tables.audit.c.detail)).all()
    assert action == "erase as at the platform"
    told = {"source": "bluesky", "ids": [uri(gone)], "authors": 1, "posts": 2}
    assert {name: detail[name] for name in told} == told

    clock.at += MINUTE
    again = [event | {"time_us": micros(clock.at - SECOND)} for event in (gone, by_gone)]
    platform.publish([*again, post(clock.at - SECOND, "eCitizen, from a closed account", "3d", 2)])
    run = reading.run()
    assert (run.new, run.dropped) == (0, 3)
    assert reading.rows().keys() == {uri(kept)}


@pytest.mark.parametrize("late", [False, True], ids=["post first", "delete first"])
def test_a_post_deleted_at_once_is_never_stored(reading: Reading, platform: Jetstream, late: bool) -> None:
    events = [post(NOW - MINUTE, "eCitizen", "3a"), commit(NOW - MINUTE, "delete", "3a")]
    events += [post(NOW - MINUTE, "eCitizen", "3b", 2), account(NOW - MINUTE, 2, "deleted")]
    platform.publish(reversed(events) if late else events)
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 0)
    assert not reading.rows()


@pytest.mark.parametrize("apart", [False, True])
def test_an_edit_takes_the_place_of_the_text_and_one_that_first_mentions_a_term_is_a_post(
    reading: Reading, platform: Jetstream, clock: Clock, apart: bool
) -> None:
    written = [post(NOW - MINUTE, text, key) for key, text in (("3a", "eCitizen iko chini"), ("3b", "Habari"))]
    written += [post(NOW - MINUTE, "eCitizen haifunguki", key) for key in ("3c", "3d")]

    def edit(at: datetime, key: str, text: str) -> Any:
        return commit(at, "update", key, {"text": text, "createdAt": "x"})

    edits = [edit(NOW + MINUTE, key, "eCitizen iko sawa") for key in ("3a", "3b")]
    edits += [edit(NOW + 2 * MINUTE, "3a", "eCitizen iko sawa sasa"), edit(NOW + MINUTE, "3c", "Habari")]
    edits += [edit(NOW + MINUTE, "3d", "Habari"), edit(NOW + 2 * MINUTE, "3d", "eCitizen tena")]
    platform.publish(written)
    if apart:
        reading.run()
        assert len(reading.rows()) == 3
    platform.publish(edits)
    clock.at = NOW + 3 * MINUTE
    reading.run()
    # The last one was edited twice in a page, so that what it said in between was never stored.
    assert {row.id[-2:]: (row.text, row.edited_at) for row in reading.rows().values()} == {
        "3a": ("eCitizen iko sawa sasa", NOW + 2 * MINUTE),
        "3b": ("eCitizen iko sawa", NOW + MINUTE),
        "3d": ("eCitizen tena", NOW + 2 * MINUTE),
    }
    assert tombstones(reading) == ({"post": 1} if apart else {})


def test_other_collections_kinds_and_operations_are_passed_over(reading: Reading, platform: Jetstream) -> None:
    like = commit(NOW - MINUTE, "create", "3a", {"text": "eCitizen"})
    like["commit"]["collection"] = "app.bsky.feed.like"
    platform.publish([like, identity(NOW - MINUTE), commit(NOW - MINUTE, "merge", "3b", {"text": "eCitizen"})])
    platform.publish([{"kind": "sync", "time_us": micros(NOW - MINUTE), "text": "eCitizen"}])
    run = reading.run()
    assert (run.outcome, run.fetched, run.dropped) == ("done", 0, 0)


def broken(**fields: Any) -> dict[str, Any]:
    event = post(NOW - MINUTE, "eCitizen", "3x")
    event["commit"] |= fields.pop("commit", {})
    return event | fields


@pytest.mark.parametrize(
    "event",
    [
        broken(did=None),
        broken(did="somebody.bsky.social"),
        broken(did="did:plc:x y"),
        broken(did=["did:plc:x"]),
        broken(commit={"rkey": None}),
        broken(commit={"rkey": "../@jane"}),
        broken(commit={"rkey": "k" * 600}),
        broken(commit={"record": None}),
        broken(commit={"record": "eCitizen"}),
        broken(commit={"record": {"text": ["eCitizen"]}}),
        broken(commit={"record": {"text": "eCitizen " * 9_000}}),
        broken(commit={"record": {"text": "eCitizen " * 400_000}}),
        broken(commit={"record": {"text": "eCitizen \0"}}),
        broken(commit={"operation": "delete", "rkey": 5}),
        {"kind": "account", "account": {"active": False, "status": "deleted"}, "did": "x"},
        ["a list"],
        "7",
    ],
)
def test_an_event_that_cannot_be_right_is_counted_and_the_others_are_read(
    reading: Reading, platform: Jetstream, event: Any
) -> None:
    platform.disturb = lambda events: [events[0], event, *events[1:]] if events else []
    platform.publish(traffic(100, NOW - SECOND))
    run = reading.run()
    assert (run.outcome, run.dropped, reading.waits) == ("done", 1, [])
    assert_all_stored(reading, platform)


def test_an_event_without_a_time_is_dated_by_its_post(reading: Reading, platform: Jetstream) -> None:
    odd = [
        post(NOW - MINUTE, "eCitizen", f"3{number}") | {"time_us": at}
        for number, at in enumerate([None, "x", True, 1.7e15, -5, 10**30])
    ]
    platform.disturb = lambda events: [*events[:5], *odd, *events[5:]] if events else []
    platform.publish(traffic(100, NOW - SECOND))
    assert reading.run().outcome == "done"
    stored = reading.rows()
    assert stored.keys() == living(platform.events).keys() | {uri(event) for event in odd}
    assert {stored[uri(event)].created_at for event in odd} == {NOW - MINUTE - timedelta(milliseconds=350)}
    (covered,) = reading.coverage(FIREHOSE)
    assert covered[0] > NOW - MINUTE


BREAKS = ["drop", "close", "cut", "garble", "stall"]


@pytest.mark.parametrize("how", BREAKS[:-1])
@pytest.mark.parametrize("after", [0, 2, 357])
def test_a_break_anywhere_is_mended_by_joining_again_before_it(
    reading: Reading, platform: Jetstream, how: str, after: int
) -> None:
    platform.publish(traffic(1_000, NOW - SECOND))
    platform.fail(Break(how, after))
    run = reading.run()
    assert (run.outcome, run.gaps) == ("done", 0)
    assert run.dropped <= (after > 2) * deleted(platform)  # what is read again when it is known to be gone
    assert len(platform.cursors) == 2
    assert len(reading.waits) == (after == 0)  # where something was read it is kept first, and the way is free
    assert_all_stored(reading, platform)
    assert len(reading.coverage(FIREHOSE)) == 1


@pytest.mark.parametrize("after", [0, 2, 357])
def test_a_stalled_stream_is_joined_again(hasty: Reading, platform: Jetstream, after: int) -> None:
    platform.publish(traffic(1_000, NOW - SECOND))
    platform.fail(Break("stall", after))
    run = hasty.run()
    assert (run.outcome, run.gaps) == ("done", 0)
    assert run.dropped <= (after > 2) * deleted(platform)  # what is read again when it is known to be gone
    assert len(platform.cursors) >= 2
    assert_all_stored(hasty, platform)
    assert len(hasty.coverage(FIREHOSE)) == 1


def test_a_line_that_stays_broken_is_passed_over_and_counted(reading: Reading, platform: Jetstream) -> None:
    def spoil(events: list[dict[str, Any]]) -> list[Any]:
        return [*events[:50], '{"did":"did:plc:x","time_us":17', *events[50:]] if events else []

    platform.disturb = spoil
    platform.publish(event for event in traffic(500, NOW - MINUTE) if about(event) or event["kind"] == "identity")
    run = reading.run()
    assert (run.outcome, run.dropped) == ("done", 1)
    assert_all_stored(reading, platform)


@pytest.mark.parametrize("how", ["drop", "stall"])
def test_a_stream_that_breaks_for_good_keeps_what_was_read_and_claims_no_more(
    reading: Reading, hasty: Reading, platform: Jetstream, how: str
) -> None:
    reading = hasty if how == "stall" else reading
    platform.publish(traffic(1_000, NOW - MINUTE, every=SECOND))
    platform.fail(Break(how, 500), *[Break(how, 12)] * 9)  # twelve were read before: the overlap of ten seconds
    run = reading.run()
    assert run.outcome == "failed"
    assert len(reading.waits) == 5
    read = living(platform.events[:500])
    assert reading.rows().keys() == read.keys()
    (covered,) = reading.coverage(FIREHOSE)
    assert SECOND <= moment(platform.events[500]["time_us"]) - covered[1] <= 5 * SECOND
    platform.mend()
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)
    assert reading.coverage(FIREHOSE) == [(covered[0], NOW)]


@pytest.mark.parametrize(
    ("status", "outcome", "says"),
    [
        (Status(503), "done", ""),
        (Status(500), "done", ""),
        (Status(429), "done", ""),
        (Status(429, retry_after="7"), "done", ""),
        (Status(200), "done", ""),
        (Status(401), "refused", "TRACKER_JETSTREAM_URL"),
        (Status(404), "refused", "TRACKER_JETSTREAM_URL"),
    ],
)
def test_an_answer_in_place_of_a_stream_is_waited_out_or_told(
    reading: Reading, platform: Jetstream, status: Status, outcome: str, says: str
) -> None:
    platform.publish(traffic(300, NOW - MINUTE))
    platform.fail(status)
    run = reading.run()
    assert run.outcome == outcome
    assert says in (run.note or "")
    if outcome == "done":
        (waited,) = reading.waits
        assert waited >= 6 if status.retry_after else waited >= 1
        assert_all_stored(reading, platform)


def test_nobody_there_is_a_failure_after_growing_waits(settings: Settings, clock: Clock) -> None:
    reading = Reading(source(), settings.model_copy(update={"jetstream_url": "ws://127.0.0.1:9"}), clock)
    run = reading.run()
    assert (run.outcome, len(reading.waits)) == ("failed", 5)
    assert "cannot be reached" in run.note
    reading.store.close()


def test_a_cursor_older_than_what_is_kept_leaves_a_gap_and_reading_goes_on(
    reading: Reading, platform: Jetstream, clock: Clock
) -> None:
    platform.publish(traffic(300, NOW - SECOND))
    reading.run()
    clock.at += timedelta(days=4)
    lost = traffic(200, NOW + timedelta(days=1), seed=1)
    found = traffic(400, clock.at - SECOND, seed=2, every=timedelta(minutes=1))
    earlier = living(platform.events)
    platform.publish([*lost, *found])
    run = reading.run()
    assert (run.outcome, run.gaps) == ("done", 1)
    assert reading.rows().keys() == earlier.keys() | living(found).keys()
    ((from_at, to_at),) = reading.coverage(FIREHOSE, gaps=True)
    assert from_at == NOW
    assert to_at == moment(found[0]["time_us"])
    assert [covered[1] for covered in reading.coverage(FIREHOSE)] == [NOW, clock.at]
    assert reading.run().gaps == 0


def test_a_pause_within_reach_is_filled_without_a_gap(reading: Reading, platform: Jetstream, clock: Clock) -> None:
    platform.publish(traffic(300, NOW - SECOND))
    reading.run()
    clock.at += timedelta(hours=30)
    platform.publish(traffic(300, clock.at - SECOND, every=timedelta(minutes=5), seed=1))
    run = reading.run()
    assert (run.outcome, run.gaps) == ("done", 0)
    assert_all_stored(reading, platform)
    assert len(reading.coverage(FIREHOSE)) == 1


def test_an_instance_without_news_is_read_to_its_end_and_its_silence_counts_as_nothing_seen(
    hasty: Reading, platform: Jetstream
) -> None:
    platform.quiet = True
    platform.publish(traffic(60, NOW - MINUTE, every=SECOND))
    run = hasty.run()
    assert run.outcome == "done"
    assert_all_stored(hasty, platform)
    assert [to_at for _, to_at in hasty.coverage(FIREHOSE)] == [moment(platform.events[-4]["time_us"])]


def test_an_instance_that_is_silent_since_long_ago_is_a_failure(hasty: Reading, platform: Jetstream) -> None:
    platform.quiet = True
    platform.publish(traffic(60, NOW - timedelta(hours=3)))
    run = hasty.run()
    assert run.outcome == "failed"
    assert "silent" in run.note
    assert_all_stored(hasty, platform)


def test_a_clock_that_is_behind_is_told_and_nothing_is_claimed(
    reading: Reading, platform: Jetstream, clock: Clock
) -> None:
    clock.at += timedelta(hours=2)
    platform.publish(traffic(1_000, clock.at - SECOND))
    platform.now = lambda: NOW + timedelta(hours=2)
    clock.at = NOW
    run = reading.run()
    assert run.outcome == "failed"
    assert "clock" in run.note
    assert not reading.coverage(FIREHOSE)
    clock.at = NOW + timedelta(hours=2)
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)


def test_a_cursor_from_the_future_reads_on_from_the_present(reading: Reading, platform: Jetstream) -> None:
    reading.store.save_page(
        [], source="bluesky", stream=FIREHOSE, cursor={"time_us": micros(NOW + timedelta(days=900))}
    )
    platform.publish(traffic(300, NOW - SECOND))
    run = reading.run()
    assert (run.outcome, run.gaps) == ("done", 0)
    assert reading.store.cursor("bluesky", FIREHOSE)["time_us"] == micros(NOW)


@pytest.mark.parametrize("ending", ["", "/", "/subscribe", "/gateway", "/gateway/subscribe/", "/subscribe?key=1"])
def test_another_address_may_have_a_path_and_a_final_slash(clock: Clock, tmp_path: Path, ending: str) -> None:
    with Jetstream(lambda: clock.at, traffic(100, NOW - SECOND)) as platform:
        settings = load_settings(
            database_url=f"sqlite:///{tmp_path / 'posts.db'}", pseudonym_key=KEY, jetstream_url=platform.url + ending
        )
        reading = Reading(bluesky, settings, clock)
        assert reading.run().outcome == "done"
        assert_all_stored(reading, platform)
        reading.store.close()


@pytest.mark.parametrize("pages", [1, None])
def test_a_run_that_is_stopped_or_ends_leaves_no_connection_open(
    reading: Reading, platform: Jetstream, pages: int | None
) -> None:
    platform.publish(traffic(1_000, NOW - SECOND))
    assert (reading.run(stop_after=pages) is None) == (pages == 1)
    assert platform.cursors
    assert platform.await_no_connection()


def test_what_was_deleted_in_its_own_page_is_not_stored_when_the_overlap_is_read_again(
    reading: Reading, platform: Jetstream, clock: Clock, settings: Settings
) -> None:
    begin = NOW - 4 * SECOND
    rest = [identity(begin + number * timedelta(milliseconds=5), 50 + number) for number in range(1, 700)]
    gone = post(begin, "eCitizen iko chini", "gone")
    platform.publish([gone, *rest[:300], commit(begin + 2 * SECOND, "delete", "gone"), *rest[400:]])
    whole = Reading(source(page_events=5_000), settings, clock)  # the post and its end are in one page
    assert whole.run().outcome == "done"
    whole.store.close()
    clock.at += MINUTE
    platform.publish(traffic(400, clock.at - SECOND))
    seen = []
    for _ in range(30):  # a page is a run of its own, so that what it stores can be seen
        if reading.run(stop_after=1, report=lambda _line: seen.append(uri(gone) in reading.rows())) is not None:
            break
    assert len(seen) > 1 and not any(seen)
    assert_all_stored(reading, platform)


def test_two_collectors_of_the_stream_on_one_database_store_each_post_once(
    on_either: Reading, platform: Jetstream, clock: Clock
) -> None:
    reading = on_either
    platform.publish(traffic(600, NOW - SECOND))
    assert reading.run(stop_after=1) is None
    settings = load_settings(
        database_url=reading.store.engine.url.render_as_string(hide_password=False),
        pseudonym_key=KEY,
        jetstream_url=platform.url,
    )
    other = Reading(source(), settings, clock)
    assert other.run().outcome == "done"
    other.store.close()
    assert reading.run().outcome == "done"
    assert_all_stored(reading, platform)


def free_pages(reading: Reading) -> int:
    """Pages of the file that hold nothing any more; a scrubbed one has none."""
    with reading.store.engine.connect() as connection:
        return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def test_what_is_erased_is_scrubbed_out_of_the_file_once_an_hour_and_at_the_end(
    reading: Reading, platform: Jetstream, clock: Clock, tmp_path: Path
) -> None:
    said = [post(NOW - MINUTE, f"eCitizen imelala {number} " + "tena " * 100, f"3{number}") for number in range(300)]
    platform.publish(said)
    reading.run()

    def after(gone: range, later: timedelta) -> int:
        clock.at += later
        platform.publish([commit(clock.at - SECOND, "delete", f"3{number}") for number in gone])
        assert reading.run().outcome == "done"
        return free_pages(reading)

    assert after(range(100), MINUTE) == 0
    assert after(range(100, 200), MINUTE) > 0
    assert after(range(200, 299), timedelta(hours=1)) == 0
    assert after(range(299, 300), MINUTE) >= 0
    scrub_erased(reading.store, clock.at, every=None)
    assert free_pages(reading) == 0
    reading.store.close()
    assert b"imelala" not in b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*"))


def test_the_command_scrubs_when_it_ends(
    tracker: Callable[..., CompletedProcess[str]], reading: Reading, platform: Jetstream, clock: Clock
) -> None:
    said = [post(NOW - MINUTE, f"eCitizen imelala {number} " + "tena " * 100, f"3{number}") for number in range(100)]
    platform.publish(said)
    reading.run()
    for gone in (range(50), range(50, 100)):
        platform.publish([commit(NOW - SECOND, "delete", f"3{number}") for number in gone])
        assert tracker("collect", "bluesky", "--once", TRACKER_JETSTREAM_URL=platform.url).returncode == 0
        assert (len(reading.rows()), free_pages(reading)) == (100 - gone.stop, 0)


def test_the_command_collects_and_neither_text_nor_account_is_printed(
    tracker: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    with Jetstream(lambda: NOW, traffic(500, NOW - SECOND)) as platform:
        done = tracker("collect", "bluesky", "--once", "--json", TRACKER_JETSTREAM_URL=platform.url)
        assert done.returncode == 0, done.stderr
        alive = living(platform.events)
        checked = tracker("doctor", "--json", TRACKER_JETSTREAM_URL=platform.url)
    told = json.loads(done.stdout)["bluesky"]
    assert (told["new"], told["gaps"], told["estimated_cost_usd"]) == (len(alive), 0, 0)
    printed = done.stdout + done.stderr
    assert "haifunguki" not in printed and "did:plc" not in printed
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*"))
    assert b"haifunguki" in stored
    checks = {check["name"]: check for check in json.loads(checked.stdout)["checks"]}
    assert checks["bluesky"]["state"] == "ok"
    assert checks["bluesky streams"]["state"] == "ok"


def test_bluesky_can_be_turned_off_and_the_doctor_tells_when_it_does_not_answer(
    tracker: Callable[..., CompletedProcess[str]],
) -> None:
    off = tracker("collect", "bluesky", "--once", TRACKER_JETSTREAM_URL="off")
    assert off.returncode == 2
    assert "TRACKER_JETSTREAM_URL" in off.stderr
    dead = tracker("doctor", TRACKER_JETSTREAM_URL="ws://127.0.0.1:9")
    assert dead.returncode == 1
    assert "does not answer" in dead.stdout
