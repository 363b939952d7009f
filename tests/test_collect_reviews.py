"""Collecting reviews from both stores: requests over loopback, the real store."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from faults import ApplePages, PlayPages
from platforms import DROPPED, HTML, TRUNCATED, Clock, Fault, Reading, _bytes, body, edited, status
from store_server import APPLE_APP, PLAY_APP, AppleStore, PlayStore, Review, ReviewStore, reviews

from collector import web
from collector.sources import reviews as source
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path
    from subprocess import CompletedProcess

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(params=["play", "apple"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Iterator[ReviewStore]:
    with (PlayStore if request.param == "play" else AppleStore)(clock.now) as store:
        yield store


def kind(store: ReviewStore) -> str:
    return "play" if isinstance(store, PlayStore) else "apple"


def stream(store: ReviewStore) -> str:
    return f"play {PLAY_APP} en" if isinstance(store, PlayStore) else f"apple {APPLE_APP}"


def reading_of(store: ReviewStore, clock: Clock, folder: Path) -> Reading:
    settings = load_settings(
        database_url=f"sqlite:///{folder / 'posts.db'}",
        pseudonym_key=KEY,
        play_apps=(PLAY_APP,) if kind(store) == "play" else (),
        apple_apps=(APPLE_APP,) if kind(store) == "apple" else (),
        play_url=f"{store.url}/",
        apple_url=f"{store.url}/gateway",
    )
    return Reading(source, settings, clock)


@pytest.fixture
def reading(store: ReviewStore, clock: Clock, tmp_path: Path) -> Iterator[Reading]:
    reading = reading_of(store, clock, tmp_path)
    yield reading
    reading.store.close()


def served(store: ReviewStore) -> dict[str, datetime]:
    return {review.id(kind(store)): review.at for review in store.reviews.values()}


def test_reviews_are_read_to_their_end_and_the_next_run_stops_at_what_is_known(
    reading: Reading, store: ReviewStore, clock: Clock
) -> None:
    store.publish(reviews(180, NOW - HOUR))
    run = reading.run()
    assert (run.outcome, run.new, run.dropped, run.gaps) == ("done", 180, 0, 0)
    assert reading.rows().keys() == served(store).keys()
    store.requests.clear()
    clock.at += DAY
    store.publish(reviews(60, clock.at - HOUR, timedelta(minutes=20), seed=1))
    again = reading.run()
    assert (again.new, again.gaps) == (60, 0)
    assert len(store.requests) <= 4  # Play has a listing of another language, whose emptiness is not believed at once
    assert reading.rows().keys() == served(store).keys()
    assert len(reading.coverage(stream(store))) == 1
    reading.assert_nothing_claimed_unread(stream(store), served(store))


def test_the_text_is_title_and_words_without_stars_or_the_developers_reply(
    reading: Reading, store: ReviewStore, tmp_path: Path
) -> None:
    store.publish(
        [
            Review(
                1, NOW - HOUR, "Cannot log in, call 0712 345 601", "Useless", "Wanjiku Wa Mtaani", 1, reply="So sorry"
            ),
            Review(2, NOW - 2 * HOUR, "", "", stars=5),
        ]
    )
    run = reading.run()
    assert (run.new, run.dropped) == (1, 1)
    (row,) = reading.rows().values()
    title = "" if kind(store) == "play" else "Useless\n\n"
    assert row.text == f"{title}Cannot log in, call <PHONE>"
    assert row.created_at == NOW - HOUR
    assert row.author and row.author_handle
    reading.store.close()
    kept = b"".join(each.read_bytes() for each in tmp_path.glob("posts.db*"))
    assert b"Cannot log in" in kept
    assert not any(secret in kept for secret in (b"Wanjiku", b"So sorry"))


def test_an_edited_review_has_a_later_time_and_stays_one_post(
    reading: Reading, store: ReviewStore, clock: Clock
) -> None:
    first = reviews(20, NOW - HOUR)
    store.publish(first)
    reading.run()
    clock.at += 5 * DAY
    store.publish([replace(first[13], at=clock.at - HOUR, text="It broke again")])
    store.publish(reviews(3, clock.at - HOUR, seed=1))
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 3, 0)
    assert reading.rows().keys() == served(store).keys()
    assert [row.text for row in reading.rows().values() if row.edited_at == clock.at - HOUR].count(
        "It broke again"
    ) == 1


def test_the_only_review_and_none_at_all(reading: Reading, store: ReviewStore, clock: Clock) -> None:
    assert reading.run().outcome == "done"
    clock.at += HOUR
    store.publish(reviews(1, clock.at))
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 1, 0)
    assert reading.coverage(stream(store)) == [(NOW, clock.at)]


def test_what_the_store_no_longer_lists_is_a_gap(reading: Reading, store: ReviewStore, clock: Clock) -> None:
    store.publish(reviews(10, NOW - HOUR))
    reading.run()
    clock.at += 20 * DAY
    store.most, store.lists = 5, 50  # Apple: ten pages
    flood = reviews(70, clock.at - HOUR, 6 * HOUR, seed=1)
    store.publish(flood)
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 50, 1)
    assert reading.coverage(stream(store), gaps=True) == [(NOW, flood[49].at)]
    reading.assert_nothing_claimed_unread(stream(store), served(store))
    clock.at += HOUR
    assert reading.run().gaps == 0


EMPTY = {
    "play": body(b")]}'\n\n" + json.dumps([["wrb.fr", "oCPfdb", "[]", None]]).encode()),
    "apple": body({"feed": {"author": {}}}),
}


def test_an_empty_answer_where_reviews_were_listed_before_proves_nothing(
    reading: Reading, store: ReviewStore, clock: Clock
) -> None:
    store.publish(reviews(10, NOW - HOUR))
    reading.run()
    clock.at += HOUR
    store.publish(reviews(2, clock.at, seed=1))
    store.fail(EMPTY[kind(store)])
    run = reading.run()
    assert (run.outcome, run.new, reading.coverage(stream(store))[-1][1]) == ("done", 0, NOW)
    run = reading.run()
    assert (run.new, run.gaps, len(reading.coverage(stream(store)))) == (2, 0, 1)


@pytest.mark.parametrize("place", [0, 4, 9], ids=["first", "between", "last"])
@pytest.mark.parametrize("lists", [60, 45], ids=["all are listed", "some are listed no more"])
def test_an_old_review_on_an_early_page_ends_no_walk_and_hides_no_gap(
    reading: Reading, store: ReviewStore, clock: Clock, place: int, lists: int
) -> None:
    def age(content: bytes) -> bytes:
        shown = pages.read(content)
        shown.insert(place, pages.dated(shown[0], 1, NOW - 30 * DAY))
        return pages.write(content, shown)

    pages = PlayPages() if isinstance(store, PlayStore) else ApplePages()
    store.publish(reviews(1, NOW - DAY))
    reading.run()
    clock.at += 10 * DAY
    written = reviews(60, clock.at - HOUR, 2 * HOUR, seed=1)
    store.publish(written)
    store.most = 10
    if lists < 60:
        store.reviews = {each.number: each for each in written[:lists]}
    store.fail(*[edited(lambda content: age(_bytes(content)))] * 4)
    run = reading.run()
    assert run is not None and run.outcome == "done"
    assert reading.rows().keys() >= {each.id(kind(store)) for each in written[:lists]}
    gaps = [] if lists == 60 else [(NOW, written[lists - 1].at)]
    assert reading.coverage(stream(store), gaps=True) == gaps


def test_a_first_look_that_was_empty_by_mistake_hides_nothing(
    reading: Reading, store: ReviewStore, clock: Clock
) -> None:
    store.publish(reviews(120, NOW - HOUR, DAY))
    store.fail(EMPTY[kind(store)])
    first = reading.run()
    assert first is not None and first.new == 0
    clock.at += HOUR
    second = reading.run()
    assert second is not None and (second.outcome, second.new, second.gaps) == ("done", 120, 0)


def test_a_second_empty_answer_by_mistake_claims_nothing(reading: Reading, store: ReviewStore, clock: Clock) -> None:
    reading.run()
    clock.at += DAY
    store.publish(reviews(20, clock.at, timedelta(minutes=9)))
    store.fail(EMPTY[kind(store)])
    run = reading.run()
    assert run is not None and (run.new, run.gaps) == (20, 0)


def test_a_walk_that_was_stopped_begins_again_at_the_top_and_nothing_is_lost(
    reading: Reading, store: ReviewStore, clock: Clock
) -> None:
    store.publish(reviews(180, NOW - HOUR))
    assert reading.run(stop_after=2) is None
    assert (len(reading.rows()), reading.coverage(stream(store))) == (100, [])
    clock.at += HOUR
    store.publish(reviews(30, clock.at, timedelta(minutes=1), seed=1))
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 110)
    assert reading.rows().keys() == served(store).keys()


PASSING = [
    pytest.param(status(500), id="500"),
    pytest.param(status(502), id="502"),
    pytest.param(status(503), id="503"),
    pytest.param(status(503, Retry_After="3"), id="503 that says when"),
    pytest.param(status(400), id="400"),
    pytest.param(status(429), id="429"),
    pytest.param(DROPPED, id="dropped connection"),
    pytest.param(TRUNCATED, id="truncated body"),
    pytest.param(HTML, id="HTML"),
    pytest.param(body(b""), id="an empty body"),
    pytest.param(body([]), id="an empty list"),
    pytest.param(body({}), id="an empty object"),
    pytest.param(body({"feed": []}), id="a feed of another shape"),
    pytest.param(body([["wrb.fr", "oCPfdb", None]]), id="an answer of nothing"),
    pytest.param(body([["wrb.fr", "oCPfdb", "[5]"]]), id="reviews of another shape"),
    pytest.param(body(None), id="null"),
    pytest.param(body(5), id="a number"),
    pytest.param(body(b"[[" * 50_000), id="deep nesting"),
    pytest.param(body(b"\xff\xfe"), id="bytes"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_costs_one_wait_and_no_review(reading: Reading, store: ReviewStore, fault: Fault) -> None:
    store.publish(reviews(60, NOW - HOUR))
    store.fail(fault)
    run = reading.run()
    assert (run.outcome, run.new, len(reading.waits)) == ("done", 60, 1)
    assert 1 <= reading.waits[0] <= 120


def test_play_says_429_under_a_200(clock: Clock, tmp_path: Path) -> None:
    with PlayStore(clock.now, reviews(5, NOW)) as store:
        store.fail(body([["wrb.fr", "oCPfdb", None, ["com.google.play.gateway.proto.PlayGatewayError"]]]))
        reading = reading_of(store, clock, tmp_path)
        assert (reading.run().new, len(reading.waits)) == (5, 1)
        reading.store.close()


@pytest.mark.parametrize("code", [401, 402, 403, 404, 410])
def test_a_refusal_is_told_at_once(reading: Reading, store: ReviewStore, code: int) -> None:
    store.fail(status(code), status(code))
    run = reading.run()
    assert (run.outcome, reading.waits) == ("refused", [])
    assert str(code) in run.note


def test_an_answer_without_end_is_refused(reading: Reading, store: ReviewStore) -> None:
    store.fail(*[body(b" " * (web.MAX_ANSWER_BYTES + 1))] * 2)
    run = reading.run()
    assert (run.outcome, reading.waits) == ("refused", [])


def test_a_rate_limit_is_waited_out_as_long_as_the_store_asks(reading: Reading, store: ReviewStore) -> None:
    store.publish(reviews(1, NOW))
    store.fail(status(429, Retry_After="240"))
    assert reading.run().new == 1
    (waited,) = reading.waits
    assert 239 <= waited <= 244


@pytest.mark.parametrize(
    "odd",
    [
        [],
        5,
        None,
        {"id": 5},
        ["x"],
        ["odd", None, 1, None, None, None],
        ["odd", [], 1, None, {}, ["x"]],
        ["", [], 1, 0, "a", [1]],
    ],
)
def test_a_review_of_play_with_odd_fields_costs_no_other(clock: Clock, tmp_path: Path, odd: Any) -> None:
    def add(answer: bytes) -> bytes:
        lines = json.loads(answer.removeprefix(b")]}'"))
        reviews_, *rest = json.loads(lines[0][2])
        lines[0][2] = json.dumps([[odd, *reviews_], *rest])
        return json.dumps(lines).encode()

    with PlayStore(clock.now, reviews(60, NOW)) as store:
        store.fail(edited(add))
        reading = reading_of(store, clock, tmp_path)
        run = reading.run()
        assert (run.outcome, run.new, run.dropped) == ("done", 60, 1)
        reading.store.close()


@pytest.mark.parametrize("field", ["id", "updated", "title", "content", "author"])
@pytest.mark.parametrize("value", [None, {}, {"label": 5}, [], "x"])
def test_a_review_of_apple_with_odd_fields_costs_no_other(clock: Clock, tmp_path: Path, field: str, value: Any) -> None:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        answer["feed"]["entry"][3][field] = value
        return answer

    with AppleStore(clock.now, reviews(60, NOW)) as store:
        store.fail(edited(change))
        reading = reading_of(store, clock, tmp_path)
        run = reading.run()
        assert (run.outcome, run.new + run.dropped) == ("done", 60)
        assert run.new >= 59
        reading.store.close()


def test_a_store_that_leads_in_a_circle_fails_and_claims_nothing(clock: Clock, tmp_path: Path) -> None:
    tokens = itertools.cycle([b"token-1", b"token-2"])
    with PlayStore(clock.now, reviews(60, NOW)) as store:
        store.most = 5
        store.fail(*[edited(lambda answer: re.sub(rb"token-\d+", next(tokens), answer))] * source.MAX_PAGES)
        reading = reading_of(store, clock, tmp_path)
        run = reading.run()
        assert (run.outcome, run.gaps, reading.coverage(stream(store))) == ("failed", 0, [])
        assert run.requests < 20
        reading.store.close()


def test_a_first_answer_without_reviews_does_not_make_a_cut_off_list_all_there_is(clock: Clock, tmp_path: Path) -> None:
    with PlayStore(clock.now) as store:
        reading = reading_of(store, clock, tmp_path)
        reading.run()
        clock.at += DAY
        written = reviews(90, clock.at, timedelta(minutes=10))
        store.publish(written)
        store.most, store.lists = 20, 50
        assert reading.run().new == 50
        assert reading.coverage(stream(store), gaps=True) == [(NOW, written[49].at)]
        reading.store.close()


def test_a_walk_has_an_end(clock: Clock, tmp_path: Path) -> None:
    with PlayStore(clock.now, reviews(5 * source.MAX_PAGES + 50, NOW)) as store:
        store.most = 5
        reading = reading_of(store, clock, tmp_path)
        assert reading.run().requests == source.MAX_PAGES + 1  # the last for the other language
        reading.store.close()


def test_a_page_that_was_read_before_is_asked_again(reading: Reading, store: ReviewStore) -> None:
    store.publish(reviews(120, NOW))
    pages: list[Any] = []

    def keep(answer: Any) -> Any:
        pages.append(answer)
        return answer

    def again(answer: Any) -> Any:
        """The first page, and the way on from the second."""
        if isinstance(answer, dict):
            return pages[0]
        token, *_ = re.findall(rb"token-\d+", answer)
        return re.sub(rb"token-\d+", token, pages[0])

    store.fail(edited(keep), edited(again))
    run = reading.run()
    assert (run.outcome, run.new, len(reading.waits)) == ("done", 120, 1)


def test_the_command_the_doctor_and_the_settings(tracker: Callable[..., CompletedProcess[str]]) -> None:
    with (
        PlayStore(lambda: NOW, reviews(7, NOW - HOUR)) as play,
        AppleStore(lambda: NOW, reviews(5, NOW - HOUR)) as apple,
    ):
        environment = {
            "TRACKER_PLAY_APPS": PLAY_APP,
            "TRACKER_APPLE_APPS": APPLE_APP,
            "TRACKER_PLAY_URL": play.url,
            "TRACKER_APPLE_URL": apple.url,
        }
        done = tracker("collect", "reviews", "--once", "--json", **environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["reviews"]["new"] == 12
        checks = json.loads(tracker("doctor", "--json", **environment).stdout)["checks"]
        assert {check["name"]: check["state"] for check in checks}["reviews"] == "ok"
    off = tracker("collect", "reviews", "--once")
    assert off.returncode == 2
    assert "TRACKER_PLAY_APPS" in off.stderr
    wrong = tracker("doctor", TRACKER_APPLE_APPS="123/../456")
    assert wrong.returncode == 2
    assert "APPLE_APPS" in wrong.stderr.upper()
