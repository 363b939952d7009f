"""Alerts: what calls for one and when, to whom, in which words, each once."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled import MODEL, labels, nairobi
from sqlalchemy import select

from dashboard.alerts import Watch
from dashboard.channels import Channel, load_channels
from dashboard.messages import text as alert_text
from data import tables
from data.official import parse_official
from data.records import Post
from data.settings import load_settings
from data.store import RunRecord, Span, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from data.store import Store

BEGIN, ONSET = nairobi("2026-03-01 00:00"), nairobi("2026-03-05 09:00")
END = nairobi("2026-03-06 18:00")
MINUTE = timedelta(minutes=1)
WORDS = "password code fails again at login for Wanjiku"


def fill(
    store: Store, posts: Sequence[tuple[datetime, str, str]], *, kind: str = "complaint", synthetic: bool = False
) -> None:
    """Posts as (when, person, text), labelled."""
    made = [
        Post(
            "x", f"{kind}{number}{at:%d%H%M%S}{person}", at, text, author=person, author_id=person, synthetic=synthetic
        )
        for number, (at, person, text) in enumerate(posts)
    ]
    store.save_page(made)
    store.save_labels(MODEL, [(post.source, post.id, labels("lockout", kind=kind)) for post in made])


def burst(begin: datetime, minutes: int, people: int, name: str = "b") -> list[tuple[datetime, str, str]]:
    """So many people, one after the other at even distances, each with words of their own."""
    own = [first + second for first in ascii_lowercase for second in ascii_lowercase]
    return [
        (begin + minutes * MINUTE * number / people, f"{name}{number}", f"{WORDS} {own[number]}")
        for number in range(people)
    ]


def official(store: Store, at: str, status: str, **more: Any) -> None:
    record = {"at": nairobi(at).isoformat(), "precision": "minute", "office": "eCitizen", "status": status}
    store.add_official([parse_official(record | {"scope": "statement", "text": "official words"} | more)])


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days with a complaint or two an hour, and then the time that the tests fill, all of it looked at."""
    path = tmp_path_factory.mktemp("calm") / "posts.db"
    store = open_store(load_settings(database_url=f"sqlite:///{path}", pseudonym_key=KEY, pretended_now=END))
    store.activate_model(MODEL, "0" * 64)
    draw, at, posts = random.Random(5), BEGIN, []
    while at < END:
        posts.append((at, f"c{len(posts)}", f"it is slow {len(posts)}"))
        at += timedelta(minutes=draw.expovariate(1 / 45))
    fill(store, posts)
    store.save_page([], source="x", stream="test", spans=[Span(BEGIN, END)])
    store.close()
    return path


@pytest.fixture
def fresh(calm: Path, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """A copy of the calm store, and another at each call."""
    stores: list[Store] = []

    def make() -> Store:
        path = tmp_path / f"copy{len(stores)}.db"
        shutil.copy(calm, path)
        stores.append(open_store(load_settings(database_url=f"sqlite:///{path}", pseudonym_key=KEY, pretended_now=END)))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(fresh: Callable[[], Store]) -> Store:
    return fresh()


def channel(monkeypatch: pytest.MonkeyPatch, **setting: Any) -> Channel:
    monkeypatch.setenv("DESK_URL", "json://127.0.0.1:9/")
    [made] = load_channels(
        load_settings(alert_channels={"desk": {"url_from": "DESK_URL", "cool_down_minutes": 0} | setting})
    )
    return made


def walk(store: Store, channel: Channel, begin: datetime, end: datetime, step: timedelta = 5 * MINUTE) -> None:
    watch, now = Watch(store.engine, [channel], "https://outages.example.org"), begin
    while now <= end:
        watch.step(now)
        now += step


def written(store: Store, channel: str = "desk") -> list[Any]:
    table = tables.alerts
    with store.engine.connect() as connection:
        return list(connection.execute(select(table).where(table.c.channel == channel).order_by(table.c.number)))


def kinds(store: Store) -> list[str]:
    return [row.key.removeprefix("incident:1:") for row in written(store)]


def test_an_incident_is_told_from_its_beginning_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 200, 300))
    official(store, "2026-03-05 09:50", "acknowledged")
    official(store, "2026-03-05 10:30", "resolved")
    desk = channel(monkeypatch)
    walk(store, desk, ONSET, ONSET + timedelta(hours=2.2))
    walk(store, desk, ONSET + timedelta(hours=2.5), ONSET + timedelta(hours=8), 30 * MINUTE)
    assert [
        (f"{row.made_at.astimezone(ONSET.tzinfo):%H:%M}", row.key.removeprefix("incident:1:")) for row in written(store)
    ] == [
        ("09:05", "opened"),
        ("09:05", "boundary:15"),
        ("09:15", "escalated:major"),
        ("09:20", "boundary:30"),
        ("09:50", "acknowledged"),
        ("10:55", "escalated:severe"),
        ("11:05", "resolved_too_early"),
        ("16:30", "quiet"),
    ]
    opened, *_, quiet = written(store)
    assert opened.message["title"] == "eCitizen: incident 1 has begun (minor)"
    lines = opened.message["body"].split("\n")
    assert lines[0].startswith("8 people posting since Thu 05 Mar 2026 09:00 EAT, at most 8 an hour; usual are 1.")
    assert lines[1] == "They name: lockout 100%."
    assert lines[2].startswith("Words that set it apart: ")
    assert lines[3] == "No official word is known, 5 minutes after it began."
    assert lines[4] == "A first word before 09:15 EAT still earns grade A."
    assert lines[-1] == "https://outages.example.org/incidents?incident=1"
    assert "First official word: eCitizen, acknowledged (everyone), Thu 05 Mar 2026 09:50 EAT." in quiet.message["body"]
    assert "Called resolved by eCitizen, Thu 05 Mar 2026 10:30 EAT; 165 complaints since." in quiet.message["body"]


def test_while_nobody_speaks_each_boundary_and_each_hour_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 260, 130))
    walk(store, channel(monkeypatch), ONSET, ONSET + timedelta(hours=4, minutes=10), 9 * MINUTE)
    assert [key for key in kinds(store) if not key.startswith("escalated")] == [
        "opened",
        *("boundary:30", "unacknowledged:1", "boundary:120", "unacknowledged:2", "unacknowledged:3", "boundary:240"),
        "unacknowledged:4",
    ]


@pytest.fixture(scope="module")
def troubled(calm: Path) -> Path:
    """The calm store with an incident of which somebody speaks after two hours."""
    path = calm.with_name("troubled.db")
    shutil.copy(calm, path)
    store = open_store(load_settings(database_url=f"sqlite:///{path}", pseudonym_key=KEY, pretended_now=END))
    fill(store, burst(ONSET, 150, 180))
    official(store, "2026-03-05 11:05", "resolved")
    store.close()
    return path


@pytest.mark.campaign
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.integers(20, 290), min_size=30, max_size=60), offset=st.integers(0, 240))
def test_however_time_is_cut_into_steps_the_same_is_told_once(
    troubled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gaps: list[int], offset: int
) -> None:
    path = tmp_path / "cut.db"
    shutil.copy(troubled, path)
    store = open_store(load_settings(database_url=f"sqlite:///{path}", pseudonym_key=KEY, pretended_now=END))
    desk, now, number = channel(monkeypatch), ONSET + timedelta(seconds=offset), 0
    watch = Watch(store.engine, [desk], "https://outages.example.org")
    while now <= ONSET + timedelta(hours=2.2):
        watch.step(now)
        if number % 7 == 3:  # killed and started again
            watch = Watch(store.engine, [desk], "https://outages.example.org")
        now += timedelta(seconds=gaps[number % len(gaps)])
        number += 1
    walk(store, desk, ONSET + timedelta(hours=3), ONSET + timedelta(hours=7), 60 * MINUTE)
    told = kinds(store)
    assert len(told) == len(set(told))
    once = {
        "opened",
        "boundary:15",
        "boundary:30",
        "boundary:120",
        "unacknowledged:1",
        "unacknowledged:2",
        "acknowledged",
    }
    assert {key for key in told if not key.startswith("escalated")} == once | {"quiet"}
    assert max(row.severity for row in written(store)) == "severe"
    store.close()


def test_who_spoke_before_the_first_alert_stands_in_it_and_is_not_told_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, burst(ONSET, 60, 60))
    official(store, "2026-03-05 09:08", "acknowledged")
    walk(store, channel(monkeypatch), ONSET + 12 * MINUTE, ONSET + 30 * MINUTE, 6 * MINUTE)
    assert [key for key in kinds(store) if not key.startswith("escalated")] == ["opened"]
    assert "09:08 EAT" in written(store)[0].message["body"]


def test_a_word_before_the_alarm_that_is_learnt_after_it_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 120, 120))
    desk = channel(monkeypatch)
    watch = Watch(store.engine, [desk], "https://outages.example.org")
    watch.step(ONSET + 7 * MINUTE)
    official(store, "2026-03-05 09:03", "acknowledged")
    for minute in (9, 30, 60):
        watch.step(ONSET + minute * MINUTE)
    assert [key for key in kinds(store) if not key.startswith(("escalated", "boundary"))] == ["opened", "acknowledged"]
    told = next(row for row in written(store) if row.kind == "acknowledged")
    assert "09:03 EAT" in told.message["body"]


def test_copies_of_one_text_are_told_and_make_nothing_worse(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 60, 60))
    fill(store, [(at, f"copier {who}", "eCitizen is down, repost!") for at, who, _ in burst(ONSET, 60, 600)])
    walk(store, channel(monkeypatch), ONSET, ONSET + 60 * MINUTE, 10 * MINUTE)
    last = written(store)[-1]
    assert {row.severity for row in written(store)} <= {"minor", "major"}
    assert last.message["body"].startswith("661 people posting")
    assert "64 of them count: of people who post copies of one text, three." in last.message["body"]


def test_planned_maintenance_does_not_alarm(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    covers = {"from": nairobi("2026-03-05 09:00").isoformat(), "to": nairobi("2026-03-05 12:00").isoformat()}
    official(store, "2026-03-04 12:00", "maintenance", **covers)
    fill(store, burst(ONSET, 60, 60))
    walk(store, channel(monkeypatch), ONSET, ONSET + 40 * MINUTE, 10 * MINUTE)
    with store.engine.connect() as connection:
        assert connection.execute(select(tables.incidents.c.planned)).scalars().all() == [True]
    assert kinds(store) == []


@pytest.mark.parametrize(
    ("words", "is_planned"),
    [
        ("Planned upgrade: eCitizen is off on Thursday 5 March from 9am to 12 noon.", True),
        ("Claims that eCitizen maintenance is planned for Thursday 5 March from 9am to 12pm are false.", False),
    ],
)
def test_only_maintenance_that_a_collected_post_announces_does_not_alarm(
    store: Store, monkeypatch: pytest.MonkeyPatch, words: str, is_planned: bool
) -> None:
    account: dict[str, Any] = {"handle": "eCitizenKenya", "office": "Directorate of eCitizen", "is_ecitizen": True}
    store.confirm_account("x:123", evidence="https://www.ecitizen.example/", who="desk 2", **account)
    store.save_page([Post("x", "notice", nairobi("2026-03-03 12:00"), words, author_id="123")])
    notice = replace(labels(kind="official"), status="maintenance", scope="statement", services=[])
    store.save_labels(MODEL, [("x", "notice", notice)])
    fill(store, burst(ONSET, 60, 60))
    walk(store, channel(monkeypatch), ONSET, ONSET + 40 * MINUTE, 10 * MINUTE)
    with store.engine.connect() as connection:
        assert connection.execute(select(tables.incidents.c.planned)).scalars().all() == [is_planned]
    assert (kinds(store) == []) is is_planned


def test_a_dismissed_incident_is_silent_from_then_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 60, 60))
    desk = channel(monkeypatch)
    walk(store, desk, ONSET, ONSET + 10 * MINUTE)
    before = kinds(store)
    store.note_incident(1, "desk 2", "dismissed")
    walk(store, desk, ONSET + 20 * MINUTE, ONSET + 60 * MINUTE, 10 * MINUTE)
    assert before == kinds(store) == ["opened", "boundary:15"]


def test_what_is_found_in_hindsight_does_not_alarm(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 60, 60))
    walk(store, channel(monkeypatch), ONSET + timedelta(hours=6), ONSET + timedelta(hours=7), 30 * MINUTE)
    with store.engine.connect() as connection:
        assert len(connection.execute(select(tables.incidents.c.id)).all()) == 1
    assert kinds(store) == []


def test_a_rumour_has_a_notice_of_its_own_with_the_denial(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 30, 9, "r"), kind="rumour")
    official(store, "2026-03-05 09:20", "denial")
    walk(store, channel(monkeypatch), ONSET, ONSET + 60 * MINUTE, 10 * MINUTE)
    [row] = written(store)
    assert (row.key, row.kind) == ("incident:1:rumour", "rumour")
    assert row.message["title"] == "eCitizen: a rumour spreads (notice 1)"
    assert row.message["body"].startswith("9 people posting since Thu 05 Mar 2026 09:00 EAT")
    assert "Denied by eCitizen, Thu 05 Mar 2026 09:20 EAT." in row.message["body"]


def test_quiet_hours_hold_what_happened_drop_reminders_and_let_the_severe_pass(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, burst(ONSET, 120, 240))
    desk = channel(monkeypatch, quiet_hours="22:00-11:30")
    walk(store, desk, ONSET, ONSET + timedelta(hours=1.9), 7 * MINUTE)
    told = {row.key.removeprefix("incident:1:"): row for row in written(store)}
    assert list(told) == ["opened", "escalated:major", "escalated:severe", "unacknowledged:1", "boundary:120"]
    over = nairobi("2026-03-05 11:30")
    assert told["opened"].not_before == told["escalated:major"].not_before == over
    for key in ("escalated:severe", "unacknowledged:1", "boundary:120"):
        assert told[key].not_before == told[key].made_at < over
    assert desk.quiet_until(nairobi("2026-03-05 23:30")) == nairobi("2026-03-06 11:30")
    assert desk.quiet_until(nairobi("2026-03-05 11:30")) is None
    assert desk.quiet_until(nairobi("2026-03-05 21:59")) is None


def test_a_channel_hears_of_an_incident_once_it_is_severe_enough(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 120, 180))
    walk(store, channel(monkeypatch, least_severity="severe"), ONSET, ONSET + timedelta(hours=2), 10 * MINUTE)
    first, *rest = written(store)
    assert (first.kind, first.severity) == ("opened", "severe")
    assert first.made_at > ONSET + 30 * MINUTE
    assert {row.severity for row in rest} <= {"severe"}


def test_a_cool_down_keeps_alerts_of_one_incident_apart(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, burst(ONSET, 60, 120))
    walk(store, channel(monkeypatch, cool_down_minutes=25), ONSET, ONSET + 50 * MINUTE)
    rows = written(store)
    cooled = [row for row in rows if row.key.endswith("escalated:major")]
    assert [row.kind for row in rows if row.made_at < cooled[0].made_at] == ["opened", "boundary", "boundary"]
    assert cooled[0].made_at - rows[2].made_at >= 25 * MINUTE


def test_alerts_speak_kiswahili_carry_the_stamps_and_hold_no_post(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, burst(ONSET, 60, 60), synthetic=True)
    desk = channel(monkeypatch, language="sw")
    watch = Watch(store.engine, [desk], "https://outages.example.org", pretended=END)
    watch.step(ONSET + 20 * MINUTE)
    row = written(store)[0]
    assert row.message["title"] == "[DEMO] [REPLAY] eCitizen: tukio 1 limeanza (kubwa)"
    assert alert_text("sw", "title_unacknowledged", id=1, hours=1).endswith("baada ya muda wa saa 1")
    assert alert_text("sw", "minor") == "dogo"  # of tukio
    assert "Wanataja: kushindwa kuingia 100%." in row.message["body"]
    assert "tangu Alh 05 Mac 2026 09:00 EAT" in row.message["body"] and "Mar" not in row.message["body"]
    assert "DEMO: machapisho ni ya kubuni." in row.message["body"]
    assert "REPLAY: saa ni ya kuigiza" in row.message["body"]
    with store.engine.connect() as connection:
        posts = connection.execute(select(tables.posts.c.text, tables.posts.c.author)).all()
    for post in posts:
        assert post.text not in row.message["body"]
        assert post.author not in row.message["body"]


def run(source: str, at: datetime, outcome: str) -> RunRecord:
    return RunRecord(source, at, at + MINUTE, outcome)


def test_a_silent_source_is_told_once_for_each_time_it_falls_silent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, night = channel(monkeypatch), END
    store.save_run(run("x", night - timedelta(hours=2), "done"))
    walk(store, desk, night, night + 25 * MINUTE)
    assert written(store) == []
    walk(store, desk, night + 31 * MINUTE, night + 90 * MINUTE, 20 * MINUTE)
    [row] = written(store)
    assert row.kind == "blind" and row.severity == "major"
    assert "x: not looked at since Fri 06 Mar 2026 18:00 EAT" in row.message["body"]
    later = night + timedelta(hours=2)
    store.save_page([], source="x", stream="test", spans=[Span(night, later)])
    walk(store, desk, later, later + 90 * MINUTE, 30 * MINUTE)
    assert len(written(store)) == 2
    walk(store, desk, later + timedelta(hours=30), later + timedelta(hours=30))  # turned off by then
    assert len(written(store)) == 2


def test_a_source_that_runs_in_vain_after_a_long_silence_is_told_once_however_long_it_lasts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, back = channel(monkeypatch), END + timedelta(hours=30)
    store.save_run(run("x", BEGIN, "done"))
    for hour in range(72):
        store.save_run(run("x", back + timedelta(hours=hour), "failed"))
    walk(store, desk, back, back + timedelta(hours=72), timedelta(hours=6))
    [row] = written(store)
    assert "x: not looked at since Fri 06 Mar 2026 18:00 EAT" in row.message["body"]


def test_a_source_whose_runs_all_fail_is_told_though_it_looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = nairobi("2026-03-04 12:00")
    store.save_run(run("x", begin - timedelta(hours=1), "done"))
    for number in range(4):
        store.save_run(run("x", begin + number * 5 * MINUTE, "failed"))
    walk(store, channel(monkeypatch), begin + 20 * MINUTE, begin + 40 * MINUTE, 10 * MINUTE)
    [row] = written(store)
    assert "x: no run has ended well since Wed 04 Mar 2026 11:00 EAT" in row.message["body"]


def test_posts_that_wait_for_labels_are_blindness_too(
    fresh: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, later = fresh(), END + 10 * MINUTE
    url = store.engine.url.render_as_string()
    after = open_store(load_settings(database_url=url, pseudonym_key=KEY, pretended_now=later))
    after.save_page([Post("x", "waits", later, "ecitizen iko down", author="ann")])
    after.close()
    desk = channel(monkeypatch)
    walk(store, desk, later + 20 * MINUTE, later + 20 * MINUTE)
    assert written(store) == []
    walk(store, desk, later + 40 * MINUTE, later + 60 * MINUTE, 10 * MINUTE)
    [row] = written(store)
    assert "labels: posts wait for theirs since Fri 06 Mar 2026 18:00 EAT" in row.message["body"]
