from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from conftest import NOW
from labelled import MODEL, labels, listen, nairobi
from sqlalchemy import select

from dashboard.incidents import Finder, Found, find_all, find_rumours, keep, load_series, replay
from dashboard.record import diverse, records
from data import tables
from data.errors import InputError
from data.official import parse_official
from data.records import Post
from data.store import Span, Store

Tracker = Callable[..., subprocess.CompletedProcess[str]]
STORM = nairobi("2026-03-05 09:00")


@pytest.fixture
def both(opened: Callable[..., Store]) -> Store:
    """A store on SQLite, and again on PostgreSQL, that looked at two weeks."""
    found = opened()
    found.activate_model(MODEL, "0" * 64)
    listen(found, "2026-02-19 00:00", "2026-03-06 20:00")
    return found


def put_all(store: Store, posts: list[tuple[datetime, str, str]], **label: Any) -> None:
    """Many posts at once: when, who, what."""
    given = [
        Post("x", f"{int(at.timestamp())}-{number}", at, text, author_id=person)
        for number, (at, person, text) in enumerate(posts)
    ]
    store.save_page(given)
    store.save_labels(MODEL, [("x", post.id, labels("lockout", **label)) for post in given])


def usual(seed: int, days: int = 14) -> list[tuple[datetime, str, str]]:
    """Some twenty people a day, from seven to ten, for the days before the storm."""
    random = np.random.default_rng(seed)
    start = nairobi("2026-02-19 00:00")
    return [
        (start + timedelta(days=day, hours=float(hour)), f"usual {seed} {day} {n}", f"pending since week {day} {n}")
        for day in range(days)
        for n, hour in enumerate(random.uniform(7, 22, random.poisson(20)))
    ]


def storm(people: int = 60, minutes: int = 120, at: datetime = STORM) -> list[tuple[datetime, str, str]]:
    words = ["cannot log in", "password refused", "locked out again", "otp never comes", "imekataa password"]
    return [
        (
            at + timedelta(minutes=minutes * n / people),
            f"storm {at} {n}",
            f"{words[n % 5]} {'abcdefghij'[n % 10] * 3} {'klmnop'[n % 6] * 4}",
        )
        for n in range(people)
    ]


def kept(store: Store) -> list[dict[str, Any]]:
    with store.engine.connect() as connection:
        return [
            dict(row) for row in connection.execute(select(tables.incidents).order_by(tables.incidents.c.id)).mappings()
        ]


def test_a_storm_is_found_dated_and_ended_and_usual_days_are_not(both: Store) -> None:
    put_all(both, usual(1))
    assert find_all(both.engine, NOW) == []
    put_all(both, storm())
    [found] = find_all(both.engine, NOW)
    assert found.lane == "complaint"
    assert abs(found.started_at - STORM) <= timedelta(minutes=10)
    assert STORM < found.raised_at <= STORM + timedelta(minutes=20)
    assert abs(found.last_at - STORM - timedelta(hours=2)) <= timedelta(minutes=15)
    assert found.state == "quiet"


def test_a_young_store_finds_its_first_storm(both: Store) -> None:
    put_all(both, [post for post in usual(2) if post[0] > nairobi("2026-03-03 00:00")])
    put_all(both, storm())
    assert len(find_all(both.engine, NOW)) == 1


def test_a_lone_shouter_copies_reposts_rumours_and_other_services_are_no_incident(both: Store) -> None:
    put_all(both, usual(3))
    put_all(both, [(at, "one person", text) for at, _, text in storm()])
    put_all(both, [(at, f"copier {n}", f"eCitizen is down @friend{n}") for n, (at, _, _) in enumerate(storm())])
    put_all(both, [(at + timedelta(seconds=1), f"g {who}", text) for at, who, text in storm()], about="government")
    put_all(both, [(at + timedelta(seconds=2), f"d {who}", text) for at, who, text in storm()], about="dependency")
    put_all(both, [(at + timedelta(seconds=3), f"q {who}", text) for at, who, text in storm()], kind="question")
    both.save_page(
        [Post("x", f"rt {n}", at, text, author_id=who, repost_of="1") for n, (at, who, text) in enumerate(storm())]
    )
    both.save_labels(MODEL, [("x", f"rt {n}", labels("outage")) for n in range(60)])
    assert find_all(both.engine, NOW) == []


def test_where_nobody_looked_nothing_opens_and_nothing_is_calm(opened: Callable[..., Store]) -> None:
    store = opened()
    store.activate_model(MODEL, "0" * 64)
    listen(store, "2026-02-19 00:00", "2026-03-05 10:30")
    put_all(store, usual(4))
    put_all(store, storm(minutes=80))
    series = load_series(store.engine, NOW)
    assert np.isnan(series.people[series.times >= nairobi("2026-03-05 10:30").timestamp()]).all()
    [found] = find_all(store.engine, NOW)
    assert found.state == "cannot_tell"
    assert keep(store.engine, [found], NOW)
    [record] = records(store.engine, NOW)
    assert (record["state"], record["ended_at"], record["ladder"]["quiet"]) == ("cannot_tell", None, None)


def test_a_night_too_quiet_to_tell_is_not_called_over(both: Store) -> None:
    put_all(both, usual(5))
    put_all(both, storm(people=7, minutes=30, at=nairobi("2026-03-05 21:50")))
    assert [each.state for each in find_all(both.engine, nairobi("2026-03-05 23:00"))] == ["open"]
    assert [each.state for each in find_all(both.engine, nairobi("2026-03-06 02:30"))] == ["cannot_tell"]
    assert [each.state for each in find_all(both.engine, nairobi("2026-03-06 13:00"))] == ["quiet"]


def test_live_steps_raise_what_a_replay_of_the_same_store_raises(both: Store) -> None:
    posts = sorted([*usual(6), *storm(), *storm(40, 60, nairobi("2026-03-06 10:00"))])
    past = [post for post in posts if post[0] < nairobi("2026-03-05 08:30")]
    put_all(both, past)
    finder, raised = Finder(both.engine), dict[int, datetime]()
    step, begins = timedelta(minutes=5), (nairobi("2026-03-05 08:30"), nairobi("2026-03-06 09:45"))
    for at in [*(begin + step * n for begin in begins for n in range(1, 34)), NOW]:
        before = at - step if at < NOW else begins[1] + step * 33
        put_all(both, [post for post in posts if before <= post[0] < at])
        for number in keep(both.engine, finder.find(at), at):
            raised[number] = at
    live = kept(both)
    assert len(live) == 2
    replayed = find_all(both.engine, NOW)
    assert [(row["started_at"], row["raised_at"], row["last_at"], row["state"]) for row in live] == [
        (each.started_at, each.raised_at, each.last_at, each.state) for each in replayed
    ]
    assert [record["today"]["differs"] for record in records(both.engine, NOW)] == [False, False]


def test_an_incident_keeps_its_id_and_moment_whatever_the_store_says_later(both: Store) -> None:
    put_all(both, usual(7))
    put_all(both, storm())
    assert keep(both.engine, find_all(both.engine, NOW), NOW) == [1]
    [before] = kept(both)
    put_all(both, storm(60, 60, STORM - timedelta(minutes=40)))  # came in late
    assert keep(both.engine, find_all(both.engine, NOW), NOW + timedelta(minutes=5)) == []
    [after] = kept(both)
    assert [after[name] for name in ("id", "started_at", "raised_at")] == [
        before[name] for name in ("id", "started_at", "raised_at")
    ]
    [record] = records(both.engine, NOW)
    assert record["today"]["differs"]
    assert record["today"]["started_at"] < record["started_at"]
    for number in range(60):
        both.erase_author(f"storm {STORM} {number}")
        both.erase_author(f"storm {STORM - timedelta(minutes=40)} {number}")
    keep(both.engine, find_all(both.engine, NOW), NOW)
    [record] = records(both.engine, NOW)
    assert (record["id"], record["people"], record["state"]) == (1, 0, "quiet")
    times = dict.fromkeys(("started_at", "raised_at", "last_at", "state"))
    assert record["today"] == times | {"people": 0, "problems": {}, "differs": True}


def test_today_differs_by_what_a_reader_would_call_different_and_not_by_clocks(both: Store) -> None:
    put_all(both, [*usual(19), *storm()])
    at = STORM + timedelta(hours=1)
    keep(both.engine, find_all(both.engine, at), at)
    step = at + timedelta(minutes=10)
    [record] = records(both.engine, step)
    assert (record["state"], record["today"]["differs"]) == ("open", False), "its end moves on with every step"
    assert record["today"]["last_at"] > kept(both)[0]["last_at"].isoformat()
    assert record["today"]["people"] == record["people"] > 30
    assert record["today"]["problems"] == record["problems"]
    [record] = records(both.engine, NOW)
    assert (record["state"], record["today"]["state"], record["today"]["differs"]) == ("open", "quiet", True)
    keep(both.engine, find_all(both.engine, NOW), NOW)
    [record] = records(both.engine, NOW)
    assert record["raised_at"] != record["today"]["raised_at"]
    assert not record["today"]["differs"]


def test_a_record_says_what_for_whom_and_how_bad(both: Store) -> None:
    put_all(both, usual(8))
    put_all(both, storm())
    put_all(
        both, [(STORM + timedelta(minutes=5 + n), f"m{n}", f"mpesa took my money {'xyzw'[n] * 3}") for n in range(4)]
    )
    both.add_official(
        [
            parse_official(
                {
                    "at": "2026-03-05T09:20:00+03:00",
                    "office": "Huduma Kenya",
                    "status": "acknowledged",
                    "scope": "reply",
                    "text": "system downtime",
                }
            ),
            parse_official(
                {
                    "at": "2026-03-05T10:00:00+03:00",
                    "office": "Directorate of eCitizen",
                    "status": "resolved",
                    "text": "restored",
                }
            ),
        ]
    )
    replay(both.engine, NOW)
    [record] = records(both.engine, NOW)
    assert (record["people"], record["posts"]) == (64, 64)
    assert record["problems"] == {"lockout": 1.0}
    assert record["services"] == {"passport": 1.0}
    assert record["hints"]["mpesa"] == 4
    assert record["hints"]["own_platform"] >= 30
    assert {"password", "locked"} & set(record["words"])
    assert "pending" not in record["words"]
    assert len({sample["text"] for sample in record["samples"]}) == 3
    assert record["peak_per_hour"] >= 30
    assert record["severity_level"] in {"major", "severe"}
    assert record["minutes_to_acknowledge"] in range(10, 31)
    assert record["complaints_after_resolved"] == 29
    assert record["resolved_too_early"]
    assert (record["grade"], record["verdict"], record["notes"]) == (None, None, [])
    assert "not listened to" in record["grade_reason"]
    assert record["evidence"][0].startswith("x:")
    both.confirm_account(
        "x:1", handle=None, office="Huduma Kenya", is_ecitizen=False, evidence="https://huduma.example", who="desk"
    )
    both.save_page([], source="official", stream="x 1", spans=[Span(STORM - timedelta(hours=2), NOW)])
    [record] = records(both.engine, NOW)
    assert record["grade"] in {"A", "B"}
    assert record["grade_ecitizen"] is None, "its own accounts were not listened to"


def test_a_repost_storm_makes_an_incident_no_worse(both: Store) -> None:
    put_all(both, usual(16))
    put_all(both, storm())
    replay(both.engine, NOW)
    [before] = records(both.engine, NOW)
    assert before["people"] == before["people_counted"] == 60
    copies = [(at, f"copier {who}", f"Boycott it now!!! @friend{n}") for n, (at, who, _) in enumerate(storm(600))]
    given = [Post("x", f"copy {n}", at, text, author_id=who) for n, (at, who, text) in enumerate(copies)]
    both.save_page(given)
    both.save_labels(MODEL, [("x", post.id, labels("payment")) for post in given])
    [record] = records(both.engine, NOW)
    assert (record["posts"], record["people"], record["people_counted"]) == (660, 660, 63)
    assert record["severity"] <= before["severity"] * 1.2
    assert record["peak_per_hour"] <= before["peak_per_hour"] + 3
    assert record["problems"] == {"lockout": round(60 / 63, 3), "payment": round(3 / 63, 3)}


def test_a_word_between_two_incidents_is_credited_to_one(both: Store) -> None:
    put_all(both, [*usual(23), *storm(60, 60), *storm(60, 60, STORM + timedelta(hours=7))])
    told = {"at": "2026-03-05T15:10:00+03:00", "office": "Huduma Kenya", "status": "acknowledged", "text": "downtime"}
    both.add_official([parse_official(told)])
    replay(both.engine, NOW)
    first, second = records(both.engine, NOW, brief=True)
    assert first["minutes_to_acknowledge"] in range(360, 375)
    assert (second["minutes_to_acknowledge"], second["ladder"]["first_official"]) == (None, None)


def test_a_look_from_an_earlier_time_opens_nothing_that_is_over(both: Store) -> None:
    put_all(both, [*usual(24), *storm()])
    keep(both.engine, find_all(both.engine, NOW), NOW)
    before = kept(both)
    early = STORM + timedelta(hours=3)
    assert [each.state for each in find_all(both.engine, early)] == ["open"]
    assert keep(both.engine, find_all(both.engine, early), early) == []
    assert kept(both) == before and before[0]["state"] == "quiet"


def test_words_that_set_an_incident_apart_are_no_function_words(both: Store) -> None:
    put_all(both, usual(25))
    put_all(both, [(at, who, f"this is what they have kwa sababu {text}") for at, who, text in storm()])
    replay(both.engine, NOW)
    words = set(records(both.engine, NOW)[0]["words"])
    assert words & {"password", "locked", "sababu"} and not words & {"this", "what", "they", "have", "kwa"}


def test_words_that_one_person_repeats_do_not_set_an_incident_apart(both: Store) -> None:
    put_all(both, [*usual(17), *storm()])
    again = [(STORM + timedelta(minutes=n), "one person", f"Wanjiku took it {'abcde'[n] * 3}") for n in range(5)]
    put_all(both, again)
    replay(both.engine, NOW)
    assert "wanjiku" not in records(both.engine, NOW)[0]["words"]


def test_planned_maintenance_is_shown_as_planned(both: Store) -> None:
    put_all(both, usual(9))
    put_all(both, storm())
    told = {
        "at": "2026-03-04T12:00:00+03:00",
        "office": "Directorate of eCitizen",
        "status": "maintenance",
        "text": "planned",
    }
    both.add_official([parse_official(told | {"from": "2026-03-05T08:55:00+03:00", "to": "2026-03-05T11:30:00+03:00"})])
    replay(both.engine, NOW)
    assert [record["planned"] for record in records(both.engine, NOW)] == [True]


def test_an_imported_past_credits_no_word_before_an_alarm_that_nobody_had(both: Store) -> None:
    put_all(both, [*usual(18), *storm()])
    told = {"office": "Huduma Kenya", "status": "acknowledged", "text": "system downtime"}
    both.add_official([parse_official(told | {"at": "2026-03-05T09:05:00+03:00"})])
    keep(both.engine, find_all(both.engine, NOW), NOW)
    [record] = records(both.engine, NOW)
    assert (record["spoke_before_alarm"], record["spoke_before_alarm_because"]) == (None, "hindsight")


def test_maintenance_without_an_end_does_not_hide_a_whole_day(both: Store) -> None:
    put_all(both, [*usual(20), *storm(180, 540)])
    told = {"at": "2026-03-04T12:00:00+03:00", "office": "Directorate of eCitizen", "status": "maintenance"}
    both.add_official([parse_official(told | {"text": "planned", "from": "2026-03-05T08:55:00+03:00"})])
    replay(both.engine, STORM + timedelta(hours=3))
    assert [record["planned"] for record in records(both.engine, STORM + timedelta(hours=3))] == [True]
    keep(both.engine, find_all(both.engine, NOW), NOW)
    assert [record["planned"] for record in records(both.engine, NOW)] == [False]


def test_what_nobody_can_tell_the_end_of_does_not_gather_complaints_for_ever(both: Store) -> None:
    put_all(both, usual(21))
    at = nairobi("2026-02-21 09:00")
    put_all(both, storm(20, 30, at))
    unknown = Found("complaint", at, at, at + timedelta(minutes=30), "cannot_tell")
    keep(both.engine, [unknown], NOW)
    [record] = records(both.engine, NOW)
    assert 20 <= record["people"] < 80, "what came within a day, and not in two weeks"
    following = nairobi("2026-02-21 14:00")
    keep(both.engine, [unknown, Found("complaint", following, following, following, "quiet")], NOW)
    assert records(both.engine, NOW)[0]["people"] < record["people"]


def test_a_rumour_has_its_own_notice_with_the_denial_beside_it(both: Store) -> None:
    put_all(both, usual(10))
    rumour = [
        (nairobi("2026-03-02 10:00") + timedelta(hours=n), f"r{n}", f"they stole it all {'abcdefgh'[n]}")
        for n in range(8)
    ]
    put_all(both, rumour, kind="rumour")
    put_all(both, [(nairobi("2026-02-25 10:00"), "r99", "somebody hacked it")], kind="rumour")
    both.add_official(
        [
            parse_official(
                {
                    "at": "2026-03-03",
                    "precision": "day",
                    "office": "Auditor-General",
                    "status": "denial",
                    "text": "misleading",
                }
            )
        ]
    )
    [found] = find_rumours(both.engine, NOW)
    assert found.started_at == nairobi("2026-03-02 10:00")
    assert found.raised_at == nairobi("2026-03-02 14:00"), "the fifth person of a day"
    replay(both.engine, NOW)
    assert records(both.engine, NOW) == []
    [record] = records(both.engine, NOW, lane="rumour")
    assert record["people"] == 8
    assert [step["office"] for step in record["denials"]] == ["Auditor-General"]
    told = {"at": "2026-03-02T11:00:00+03:00", "office": "Huduma Kenya", "text": "payments are slow"}
    both.add_official([parse_official(told | {"status": status}) for status in ("acknowledged", "resolved")])
    [record] = records(both.engine, NOW, lane="rumour")
    assert (
        record["ladder"]["first_official"] is record["ladder"]["resolved"] is record["minutes_to_acknowledge"] is None
    )
    assert (record["grade"], record["grade_ecitizen"], record["spoke_before_alarm"]) == (None, None, None)
    assert "no grade" in record["grade_reason"] and not record["resolved_too_early"]


def test_two_services_on_one_store_raise_an_incident_once(both: Store) -> None:
    put_all(both, usual(11))
    put_all(both, storm())
    first, second = Finder(both.engine), Finder(both.engine)
    assert len(keep(both.engine, first.find(NOW), NOW)) == 1
    assert keep(both.engine, second.find(NOW), NOW) == []


def test_a_persons_word_is_kept_and_the_newest_verdict_counts(both: Store) -> None:
    put_all(both, usual(12))
    put_all(both, storm())
    replay(both.engine, NOW)
    [record] = records(both.engine, NOW)
    both.note_incident(record["id"], "desk 1", "dismissed", "a joke? call 0712345678")
    both.note_incident(record["id"], "desk 2", "confirmed")
    both.note_incident(record["id"], "desk 2", note="the bank confirms")
    [record] = records(both.engine, NOW)
    assert record["verdict"] == "confirmed"
    assert [each["note"] for each in record["notes"]] == ["a joke? call <PHONE>", None, "the bank confirms"]
    assert all(each["who"].startswith("p:") for each in record["notes"])
    for wrong in (
        {"incident": 99, "who": "a", "verdict": "confirmed"},
        {"incident": record["id"], "who": " ", "note": "x"},
    ):
        with pytest.raises(InputError):
            both.note_incident(**wrong)
    with pytest.raises(InputError, match="verdict"):
        both.note_incident(record["id"], "a", "maybe")
    with pytest.raises(InputError, match="nothing is said"):
        both.note_incident(record["id"], "a")


def test_samples_are_of_different_people_and_words(both: Store) -> None:
    put_all(both, [*storm(20), *[(STORM, f"c{n}", "cannot log in aaa kkkk") for n in range(9)]])
    with both.engine.connect() as connection:
        from dashboard.record import _posts

        posts = _posts(connection, "complaint", STORM, NOW)
    taken = diverse(posts, 3)
    assert len({post.person for post in taken}) == len({post.copy for post in taken}) == 3
    assert diverse([], 3) == []


def test_the_verb_finds_and_lists_and_an_empty_store_says_so(store: Store, tracker: Tracker) -> None:
    done = tracker("incidents")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no incident" in done.stderr
    assert json.loads(tracker("incidents", "--json").stdout) == []
    store.activate_model(MODEL, "0" * 64)
    listen(store, "2026-02-19 00:00", "2026-03-06 20:00")
    put_all(store, usual(13))
    put_all(store, storm())
    done = tracker("incidents")
    assert done.returncode == 0, done.stderr
    assert "Thu 05 Mar 2026 09:" in done.stdout
    assert "EAT" in done.stdout
    [found] = json.loads(tracker("incidents", "--json").stdout)
    assert (found["state"], found["people"]) == ("quiet", 60)
    assert tracker("incidents", "confirm", "1", "--who", "desk").returncode == 0
    assert tracker("incidents", "note", "1", "seen", "--who", "desk").returncode == 0
    assert json.loads(tracker("incidents", "--json").stdout)[0]["verdict"] == "confirmed"
    assert "  verdict: confirmed\n" in (listed := tracker("incidents").stdout)
    assert " EAT: seen\n" in listed
    assert json.loads(tracker("incidents", "--to", "2026-03-01", "--json").stdout) == []
    assert len(json.loads(tracker("incidents", "--from", "2026-03-05", "--json").stdout)) == 1
    wrong = tracker("incidents", "dismiss", "7", "--who", "desk")
    assert (wrong.returncode, "no incident 7" in wrong.stderr) == (2, True)
    assert tracker("incidents", "--lane", "x").returncode == 2


def test_labels_that_stall_are_no_calm_and_what_was_labelled_later_counts(both: Store) -> None:
    put_all(both, usual(14))
    posts = storm(120, 240)
    early = [post for post in posts if post[0] < STORM + timedelta(minutes=60)]
    put_all(both, early)
    late = [
        Post("x", f"late {number}", at, text, author_id=who)
        for number, (at, who, text) in enumerate(post for post in posts if post not in early)
    ]
    both.save_page(late)
    finder = Finder(both.engine)
    [found] = finder.find(STORM + timedelta(hours=4))
    assert found.state == "cannot_tell"
    both.save_labels(MODEL, [("x", post.id, labels("lockout")) for post in late])
    [found] = finder.find(STORM + timedelta(hours=9, minutes=5))
    assert found.last_at >= STORM + timedelta(minutes=230)
    assert found.state == "quiet"


def test_a_backlog_of_labels_hides_no_incident_that_shows_without_it(both: Store) -> None:
    put_all(both, usual(22))
    put_all(both, storm(120, 60))
    waits = storm(144, 60, STORM + timedelta(seconds=7))
    both.save_page([Post("x", f"w {n}", at, text, author_id=f"w {who}") for n, (at, who, text) in enumerate(waits)])
    finder = Finder(both.engine)
    raised = [finder.find(STORM + timedelta(minutes=minute)) for minute in range(5, 65, 5)]
    assert [len(each) for each in raised[2:]] == [1] * 10
    [found] = raised[-1]
    assert (found.state, found.started_at) == ("open", STORM)
    series = load_series(both.engine, STORM + timedelta(hours=1))
    assert np.isnan(series.people[-12:]).all() and (series.at_least[-12:] >= 8).all()
    [still] = Finder(both.engine).find(STORM + timedelta(hours=1))
    assert still == found


def test_reposts_and_officials_that_wait_for_labels_hide_nothing(both: Store) -> None:
    account: dict[str, Any] = {"handle": "eCitizenKenya", "office": "Directorate of eCitizen", "is_ecitizen": True}
    both.confirm_account("x:123", evidence="https://www.ecitizen.example/", who="desk 2", **account)
    posts = [Post("x", f"w {n}", STORM, f"again {n}", author_id=f"w {n}", repost_of="x:1") for n in range(9)]
    both.save_page([*posts, Post("x", "own", STORM, "we are aware", author_id="123")])
    series = load_series(both.engine, STORM + timedelta(minutes=10))
    assert series.waits_from is None and not np.isnan(series.people[-2:]).any()


def test_a_rumour_that_nobody_looked_after_is_not_called_over(opened: Callable[..., Store]) -> None:
    store = opened()
    store.activate_model(MODEL, "0" * 64)
    listen(store, "2026-02-19 00:00", "2026-03-02 12:00")
    begin = nairobi("2026-03-02 10:00")
    put_all(
        store,
        [(begin + n * timedelta(minutes=5), f"r{n}", f"they say {'abcdefgh'[n]}") for n in range(8)],
        kind="rumour",
    )

    def states(*moments: str) -> list[str]:
        return [find_rumours(store.engine, nairobi(moment))[0].state for moment in moments]

    assert states("2026-03-02 20:00", "2026-03-03 12:00", "2026-03-04 12:00") == ["open", "cannot_tell", "cannot_tell"]
    keep(store.engine, find_rumours(store.engine, NOW), NOW)
    [record] = records(store.engine, NOW, lane="rumour")
    assert (record["state"], record["ended_at"]) == ("cannot_tell", None)
    listen(store, "2026-03-05 00:00", "2026-03-06 20:00")
    assert states("2026-03-05 12:00", "2026-03-06 12:00") == ["cannot_tell", "quiet"]


def test_a_young_store_asks_for_more_people_and_days_that_nobody_looked_at_are_no_calm(
    opened: Callable[..., Store],
) -> None:
    store = opened()
    store.activate_model(MODEL, "0" * 64)
    begin = nairobi("2026-03-05 00:00")
    five = [(begin + n * timedelta(hours=4.5), f"r{n}", f"thing {'abcde'[n]}") for n in range(5)]
    listen(store, "2026-03-01 00:00", "2026-03-06 00:00")
    put_all(store, five, kind="rumour")
    assert find_rumours(store.engine, NOW) == []
    listen(store, "2026-02-22 00:00", "2026-03-06 00:00")
    assert len(find_rumours(store.engine, NOW)) == 1
    before = [(nairobi("2026-03-03 09:00"), f"u{n}", f"other {n}") for n in range(4)]
    put_all(store, before, kind="rumour")  # four in ten days
    assert len(find_rumours(store.engine, NOW)) == 1


def test_a_handful_of_rumours_in_a_day_is_minor_and_many_in_an_hour_are_not(both: Store) -> None:
    slow = [(nairobi("2026-03-01 08:00") + n * timedelta(hours=3), f"s{n}", f"slow {'abcdefgh'[n]}") for n in range(8)]
    fast = [(STORM + n * timedelta(minutes=2), f"f{n}", f"fast {'abcdefghijklmnopqrst'[n]}") for n in range(20)]
    put_all(both, slow + fast, kind="rumour")
    replay(both.engine, NOW)
    found = records(both.engine, NOW, lane="rumour")
    assert [record["severity_level"] for record in found] == ["minor", "major"]


def test_a_clock_that_jumped_ahead_and_back_finds_what_comes(both: Store) -> None:
    put_all(both, usual(15))
    finder = Finder(both.engine)
    assert finder.find(NOW + timedelta(days=2)) == []
    put_all(both, storm())
    assert len(finder.find(STORM + timedelta(hours=2))) == 1
