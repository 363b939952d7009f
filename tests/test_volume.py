from __future__ import annotations

import random
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from labelled import MODEL, hours, labels, listen, nairobi, put
from sqlalchemy import select

from dashboard import volume
from dashboard.volume import Window
from data.corrections import settled_posts
from data.labels import ABOUTS, KINDS, PROBLEMS
from data.official import parse_official
from data.records import Post
from data.store import RunRecord

if TYPE_CHECKING:
    from data.store import Store

DAY = Window(nairobi("2026-03-05 00:00"), nairobi("2026-03-06 00:00"))


@pytest.fixture(autouse=True)
def _active(store: Store) -> None:
    store.activate_model(MODEL, "0" * 64)


def test_only_complaints_about_ecitizen_count(store: Store) -> None:
    put(store, "2026-03-05 09:00", labels("outage"))
    put(store, "2026-03-05 09:01", labels("outage", about="government"))
    put(store, "2026-03-05 09:02", labels(kind="rumour"))
    put(store, "2026-03-05 09:03", labels())
    posts = volume.load_posts(store.engine, DAY)
    assert len(posts) == 4
    assert sorted(volume.complaints(posts)["main_problem"]) == ["none named", "outage"]
    assert volume.lanes(posts, DAY)[["lane", "people"]].to_dict("records") == [
        {"lane": "government", "people": 1},
        {"lane": "rumour", "people": 1},
    ]


def test_a_repost_is_no_second_voice(store: Store) -> None:
    put(store, "2026-03-05 09:00", labels("outage"), person="ann")
    store.save_page([Post("x", "again", nairobi("2026-03-05 09:05"), "a post", author_id="ben", repost_of="x1")])
    store.save_labels(MODEL, [("x", "again", labels("outage"))])
    posts = volume.load_posts(store.engine, DAY)
    assert len(posts) == 2
    assert len(volume.complaints(posts)) == 1


def test_what_is_counted_is_what_is_settled(store: Store) -> None:
    """The facts against the settled labels themselves, for posts on all sides of the window's ends."""
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    written = []
    for number in range(60):
        at = nairobi("2026-03-04 23:00") + timedelta(seconds=draw.randrange(26 * 3_600))
        problems = draw.sample(PROBLEMS, draw.randrange(3))
        label = labels(*problems, kind=draw.choice(KINDS[:3]), about=draw.choice(ABOUTS))
        written.append(put(store, f"{at:%Y-%m-%d %H:%M:%S}", label, person=f"p{number % 20}"))
    for identifier in written[::7]:
        store.correct("x", identifier, {"problems": ["payment"], "kind": "complaint"}, "desk", None)
    store.erase_post("x", written[0])
    settled = settled_posts()
    inside = (settled.c.created_at >= DAY.from_at, settled.c.created_at < DAY.to_at)
    with store.engine.connect() as connection:
        rows = connection.execute(select(settled).where(*inside)).mappings().all()
    posts = volume.load_posts(store.engine, DAY)
    assert {(row["id"], row["kind"], row["about"], tuple(row["problems"])) for row in rows} == {
        (row.id, row.kind, row.about, tuple(row.problems)) for row in posts.itertuples()
    }
    assert len(posts) == len(rows)
    assert posts["at"].is_monotonic_decreasing
    counted = {row["id"] for row in rows if (row["kind"], row["about"]) == ("complaint", "ecitizen")}
    assert set(volume.complaints(posts)["id"]) == counted


def test_texts_are_read_for_the_posts_that_are_listed(store: Store) -> None:
    for minute in range(10, 20):
        put(store, f"2026-03-05 09:{minute}", labels("outage"), text=f"ya {minute}")
    listed = volume.load_posts(store.engine, DAY).head(3)
    store.erase_post("x", listed["id"].iloc[1])
    shown = volume.with_texts(store.engine, listed)
    assert list(shown["text"]) == ["ya 19", "ya 17"]  # what was erased meanwhile is not shown
    assert shown.iloc[0][["unsure", "corrected", "synthetic"]].tolist() == [False, False, False]
    assert shown.iloc[0]["services"] == ["passport"]
    assert volume.with_texts(store.engine, listed.head(0)).empty


def test_a_person_counts_once_in_a_bar_and_again_in_the_next(store: Store) -> None:
    for minute in ("01", "05", "09", "20"):
        put(store, f"2026-03-05 09:{minute}", labels("lockout"), person="ann")
    put(store, "2026-03-05 09:02", labels("lockout"), person="ben")
    bars = volume.volume_by_problem(volume.load_posts(store.engine, DAY), DAY)
    assert DAY.bucket == hours(0.25)
    assert bars.to_dict("records") == [
        {"bucket": pd.Timestamp(nairobi("2026-03-05 09:00")), "main_problem": "lockout", "people": 2},
        {"bucket": pd.Timestamp(nairobi("2026-03-05 09:15")), "main_problem": "lockout", "people": 1},
    ]


def test_a_bar_of_a_day_begins_at_midnight_in_nairobi(store: Store) -> None:
    put(store, "2026-03-05 00:30", labels("slow"))  # still the 4th in UTC
    month = Window(nairobi("2026-02-01 00:00"), nairobi("2026-04-01 00:00"))
    bars = volume.volume_by_problem(volume.load_posts(store.engine, month), month)
    assert list(bars["bucket"]) == [pd.Timestamp(nairobi("2026-03-05 00:00"))]


def test_shares_are_of_people_and_may_overlap(store: Store) -> None:
    put(store, "2026-03-05 09:00", labels("payment", "support"), person="ann")
    put(store, "2026-03-05 10:00", labels("payment"), person="ann")
    put(store, "2026-03-05 09:00", labels("lockout"), person="ben")
    shares = volume.problem_shares(volume.load_posts(store.engine, DAY)).set_index("problem")
    assert shares.loc["payment", ["people", "share"]].tolist() == [1, 0.5]
    assert shares.loc["support", "share"] == 0.5
    assert shares.loc["lockout", "share"] == 0.5
    assert shares.loc["outage", "people"] == 0


def test_filters_narrow_by_problem_source_and_language(store: Store) -> None:
    put(store, "2026-03-05 09:00", labels("payment"))
    put(store, "2026-03-05 09:00", labels("lockout", lang="sw"), source="reddit")
    put(store, "2026-03-05 09:00", labels())

    def found(**chosen: tuple[str, ...]) -> int:
        return len(volume.load_posts(store.engine, Window(DAY.from_at, DAY.to_at, **chosen)))

    assert found() == 3
    assert found(problems=("payment",)) == 1
    assert found(problems=("none named", "lockout")) == 2
    assert found(sources=("reddit",)) == 1
    assert found(langs=("sw",)) == 1
    assert found(langs=("sw",), sources=("x",)) == 0


def test_another_models_labels_do_not_count(store: Store) -> None:
    put(store, "2026-03-05 09:00", labels("payment"))
    store.activate_model("other_1@ffffffffffff", "f" * 64)
    assert volume.load_posts(store.engine, DAY).empty


def test_holes_are_what_no_source_looked_at(store: Store) -> None:
    listen(store, "2026-03-04 20:00", "2026-03-05 06:00")
    listen(store, "2026-03-05 05:00", "2026-03-05 08:00", source="reddit")
    listen(store, "2026-03-05 12:00", "2026-03-05 18:00")
    assert volume.not_looked_at(store.engine, DAY) == [
        (nairobi("2026-03-05 08:00"), nairobi("2026-03-05 12:00")),
        (nairobi("2026-03-05 18:00"), nairobi("2026-03-06 00:00")),
    ]
    only_reddit = Window(DAY.from_at, DAY.to_at, sources=("reddit",))
    assert len(volume.not_looked_at(store.engine, only_reddit)) == 2


def test_an_official_message_is_as_wide_as_its_time_is_known(store: Store) -> None:
    said = {"office": "Huduma Kenya", "status": "acknowledged", "text": "Kindly try later"}
    store.add_official(
        [
            parse_official(said | {"at": "2026-03-05T14:37+03:00", "precision": "day"}),
            parse_official(said | {"at": "2026-03-05T14:37+03:00", "precision": "hour"}),
            parse_official(said | {"at": "2026-03-05T14:37+03:00"}),
            parse_official(said | {"at": "2026-03-03T14:37+03:00", "precision": "day"}),
        ]
    )
    shown = volume.official_messages(store.engine, DAY)
    assert [(row.precision, row.from_at, row.until_at) for row in shown.itertuples()] == [
        ("day", nairobi("2026-03-05 00:00"), nairobi("2026-03-06 00:00")),
        ("hour", nairobi("2026-03-05 14:00"), nairobi("2026-03-05 15:00")),
        ("minute", nairobi("2026-03-05 14:37"), nairobi("2026-03-05 14:37")),
    ]


NOW = nairobi("2026-03-05 09:30")


def test_an_empty_store_says_so(store: Store) -> None:
    assert volume.status_line(store.engine, NOW).word == "empty"


def test_a_store_that_nobody_fills_any_more_is_blind_and_not_calm(store: Store) -> None:
    put(store, "2026-03-05 08:00", labels("outage"))
    listen(store, "2026-02-10 00:00", "2026-03-05 08:55")
    assert volume.status_line(store.engine, NOW).word == "blind"


def test_a_young_store_cannot_tell(store: Store) -> None:
    put(store, "2026-03-05 09:00", labels("outage"))
    listen(store, "2026-03-03 09:00", "2026-03-05 09:30")
    assert volume.status_line(store.engine, NOW).word == "cannot_tell"


@pytest.mark.parametrize(("people", "word"), [(4, "usual"), (5, "above")])
def test_above_usual_takes_five_people_and_three_times_the_usual(store: Store, people: int, word: str) -> None:
    listen(store, "2026-02-10 00:00", "2026-03-05 09:30")
    for day in range(1, 5):
        put(store, f"2026-03-0{day} 09:00", labels("slow"))
    for number in range(people):
        put(store, "2026-03-05 09:10", labels("lockout"), person=f"p{number}")
    put(store, "2026-03-05 08:20", labels("lockout"), person="an hour ago")
    status = volume.status_line(store.engine, NOW)
    assert (status.word, status.people_last_hour) == (word, people)


def test_one_loud_person_is_not_above_usual(store: Store) -> None:
    listen(store, "2026-02-10 00:00", "2026-03-05 09:30")
    for minute in range(10, 30):
        put(store, f"2026-03-05 09:{minute}", labels("lockout"), person="ann")
    assert volume.status_line(store.engine, NOW).word == "usual"


def test_the_last_hour_is_exact_to_the_second(store: Store) -> None:
    listen(store, "2026-02-10 00:00", "2026-03-05 09:30")
    for moment in ("08:32:29", "08:32:30", "09:32:29", "09:32:30"):
        put(store, f"2026-03-05 {moment}", labels("outage"))
    now = nairobi("2026-03-05 09:32:30")
    assert volume.status_line(store.engine, now).people_last_hour == 2
    store.save_page([Post("x", "late", nairobi("2026-03-05 09:32:30"), "ecitizen iko down")])
    store.save_page([Post("x", "later", nairobi("2026-03-05 09:32:31"), "ecitizen iko down")])
    status = volume.status_line(store.engine, now)
    assert (status.word, status.waiting) == ("behind", 1)


def test_what_comes_after_the_pretended_now_is_not_known_yet(store: Store) -> None:
    listen(store, "2026-02-10 00:00", "2026-03-05 23:00")
    put(store, "2026-03-05 12:00", labels("outage"))
    status = volume.status_line(store.engine, NOW)
    assert status.word == "empty"
    assert status.looked_until == NOW


def test_posts_that_wait_for_labels_are_no_calm(store: Store) -> None:
    listen(store, "2026-02-10 00:00", "2026-03-05 09:30")
    put(store, "2026-03-04 09:00", labels("slow"))
    store.save_page([Post("x", "new", nairobi("2026-03-05 09:20"), "ecitizen iko down")])
    assert volume.status_line(store.engine, NOW).word == "behind"


def test_a_silent_source_is_named_while_another_goes_on(store: Store) -> None:
    listen(store, "2026-02-10 00:00", "2026-03-05 09:30")
    listen(store, "2026-02-10 00:00", "2026-03-05 01:00", source="reddit")
    put(store, "2026-03-05 09:00", labels("slow"))
    for source in ("x", "reddit", "mastodon"):
        store.save_run(RunRecord(source, nairobi("2026-03-05 09:25")))
    status = volume.status_line(store.engine, NOW)
    assert (status.word, status.silent) == ("blind", ("mastodon", "reddit"))
