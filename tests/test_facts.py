from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from conftest import KEY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled import MODEL, labels, nairobi, put
from sqlalchemy import select

from data import facts, tables
from data.facts import COPIES_COUNTED, copy_of, count_people, lane_of
from data.records import Post
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from data.store import Store


@pytest.fixture
def both(opened: Callable[..., Store]) -> Store:
    """A store on SQLite, and again on PostgreSQL."""
    found = opened()
    found.activate_model(MODEL, "0" * 64)
    return found


def kept(store: Store, table: Any) -> list[tuple[Any, ...]]:
    with store.engine.connect() as connection:
        return sorted((tuple(row) for row in connection.execute(select(table))), key=str)


def people(store: Store) -> dict[tuple[str, int], tuple[int, int]]:
    return {(row[0], row[1]): (row[2], row[3]) for row in kept(store, tables.volume)}


def bucket(moment: str) -> int:
    return int(nairobi(moment).timestamp())


def test_what_a_post_counts_as() -> None:
    assert lane_of("complaint", "ecitizen") == "complaint"
    assert lane_of("complaint", "government") == "government"
    assert lane_of("complaint", "dependency") == "dependency"
    assert lane_of("complaint", "other") is None
    assert lane_of("rumour", "ecitizen") == "rumour"
    assert {lane_of(kind, "ecitizen") for kind in ("question", "official", "news", "promotion", "praise")} == {None}


def test_copies_differ_in_nothing_that_one_would_read() -> None:
    assert copy_of("eCitizen is DOWN!! https://t.co/a @user 12") == copy_of("ecitizen is down https://t.co/b <PHONE>")
    assert copy_of("eCitizen is down") != copy_of("eCitizen is up")


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz"))))
def test_people_count_once_and_copies_are_capped(posts: list[tuple[str, str]]) -> None:
    counted = count_people(posts)
    assert counted <= len({person for person, _ in posts})
    assert counted <= COPIES_COUNTED * len({copy for _, copy in posts})
    assert counted == count_people([*posts, *posts])
    if len({copy for _, copy in posts}) == len(posts):
        assert counted == len({person for person, _ in posts})


def test_five_minutes_count_people_and_not_posts_copies_or_reposts(both: Store) -> None:
    for person in "ab":
        put(both, "2026-03-05 09:01", labels("outage"), person=person, text=f"{person} cannot log in")
    put(both, "2026-03-05 09:04", labels("outage"), person="a", text="still")
    put(both, "2026-03-05 09:05", labels("outage"), person="a", text="and still")
    for person in "cdefgh":
        put(both, "2026-03-05 09:06", labels("outage"), person=person, text=f"ecitizen down! @{person}")
    assert people(both) == {
        ("complaint", bucket("2026-03-05 09:00")): (3, 2),
        ("complaint", bucket("2026-03-05 09:05")): (7, 1 + COPIES_COUNTED),
    }
    both.save_page([Post("x", "r1", nairobi("2026-03-05 09:10"), "RT down", author_id="z", repost_of="1")])
    both.save_labels(MODEL, [("x", "r1", labels("outage"))])
    assert ("complaint", bucket("2026-03-05 09:10")) not in people(both)


def test_a_correction_an_erasure_and_another_model_move_the_sums(both: Store) -> None:
    first = put(both, "2026-03-05 09:00", labels("outage"), person="a")
    put(both, "2026-03-05 09:00", labels("outage"), person="b", text="another")
    at = bucket("2026-03-05 09:00")
    both.correct("x", first, {"kind": "rumour"}, "desk 1")
    assert people(both) == {("complaint", at): (1, 1), ("rumour", at): (1, 1)}
    both.correct("x", first, {"kind": "complaint", "about": "government"}, "desk 1")
    assert people(both) == {("complaint", at): (1, 1), ("government", at): (1, 1)}
    both.erase_author("b")
    assert people(both) == {("government", at): (1, 1)}
    both.activate_model("other_1@0123456789ab", "1" * 64)
    assert people(both) == {}
    assert kept(both, tables.facts) == []
    both.activate_model(MODEL, "0" * 64)
    assert people(both) == {("government", at): (1, 1)}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "correct", "erase", "author"]),
        st.integers(0, 7),
        st.sampled_from(["complaint", "rumour", "question"]),
        st.sampled_from(["ecitizen", "government", "other"]),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facts_and_sums_are_always_what_a_rebuild_makes(steps: list[tuple[str, int, str, str]], tmp_path: Path) -> None:
    store = open_store(load_settings(database_url=f"sqlite:///{tmp_path / f'{uuid4().hex}.db'}", pseudonym_key=KEY))
    store.activate_model(MODEL, "0" * 64)
    for action, number, kind, about in steps:
        there = [row[1] for row in kept(store, tables.posts)]
        if action == "put":
            moment = f"2026-03-05 09:{number * 2:02d}"
            put(store, moment, labels(kind=kind, about=about), person=f"p{number % 3}", text=f"{kind} {number % 4}")
        elif action == "correct" and there:
            store.correct("x", there[number % len(there)], {"kind": kind, "about": about}, "desk")
        elif action == "erase" and there:
            store.erase_post("x", there[number % len(there)])
        elif action == "author":
            store.erase_author(f"p{number % 3}")
    before = kept(store, tables.facts), kept(store, tables.volume)
    with store.engine.execution_options(writes=True).begin() as connection:
        facts.rebuild(connection)
    assert (kept(store, tables.facts), kept(store, tables.volume)) == before
    store.close()
