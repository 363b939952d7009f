"""What the pages say of incidents: the functions behind them, then each page in Streamlit's own test runner."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import pytest
import streamlit
from conftest import KEY
from labelled import MODEL, labels, listen, nairobi, put
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from dashboard import charts, phrases, strings
from dashboard.incidents import Found, keep
from dashboard.ladder import REASONS, UNKNOWN_BEFORE_ALARM
from dashboard.record import records
from dashboard.rungs import SPOKEN, announced, grade_clock, rungs
from dashboard.strings import say
from dashboard.volume import Window
from data import tables
from data.official import NAIROBI, parse_official
from data.store import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.store import Store

PAGES = Path(strings.__file__).parent / "app_pages"
ONSET, RAISED, NOW = nairobi("2026-03-05 09:00"), nairobi("2026-03-05 09:15"), nairobi("2026-03-05 10:00")
HOSTILE = "<script>alert(1)</script> **malipo** [x](javascript:alert(1)) :red[x] $x^2$"
pages = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _active(store: Store) -> None:
    store.activate_model(MODEL, "0" * 64)
    listen(store, "2026-02-01 00:00", "2026-03-06 20:00")


def wave(store: Store, people: int = 8, *, to: str = "2026-03-05 09:40", copy: str = "") -> None:
    """People who complain of being locked out, one every few minutes of 5 March from 9 on, in words of their own or in copies."""
    step = (nairobi(to) - ONSET) / people
    for number in range(people):
        text = f"{copy} {number}" if copy else f"imekata password {ascii_lowercase[number]}"
        at = (ONSET + number * step).replace(tzinfo=None).isoformat(" ", "seconds")
        put(store, at, labels("lockout"), person=f"p{number}", text=text)


def raise_one(store: Store, *, state: str = "open", lane: str = "complaint", last: datetime = NOW) -> int:
    """Raise an incident as the service does."""
    keep(store.engine, [Found(lane, ONSET, RAISED, RAISED, "open")], RAISED)
    keep(store.engine, [Found(lane, ONSET, RAISED, last, state)], max(last, RAISED))
    with store.engine.connect() as connection:
        return int(connection.execute(select(tables.incidents.c.id)).scalars().all()[-1])


def official(store: Store, at: str, status: str, *, precision: str = "minute", **more: Any) -> None:
    said = {"office": "Huduma Kenya", "text": "Kindly try later"} | more
    store.add_official([parse_official(said | {"at": f"{at}+03:00", "precision": precision, "status": status})])


def record(store: Store, now: datetime = NOW, **how: Any) -> dict[str, Any]:
    [found] = records(store.engine, now, **how)
    return found


# The functions


def test_the_rungs_stand_in_order_and_no_more_precisely_than_known(store: Store) -> None:
    wave(store)
    official(store, "2026-03-05", "acknowledged", precision="day", scope="reply")
    official(store, "2026-03-05T09:20", "resolved", office="Directorate of eCitizen")
    raise_one(store, state="quiet")
    steps = rungs(record(store, brief=True))
    assert [(step.names, step.gap) for step in steps] == [
        (("onset",), (0, 0)),
        (("first_complaint",), (0, 0)),
        (("raised",), (15, 15)),
        (("first_statement", "first_from_ecitizen", "resolved"), (20, 20)),
        (("quiet",), (60, 60)),
        (("first_official",), (-540, 900)),
    ]
    # What is known was said by now; and before the onset nobody said that this was resolved.
    known = {step.names: step.gap for step in rungs(record(store, brief=True), datetime(2026, 3, 5, 8, tzinfo=UTC))}
    assert known["first_official",] == (-540, 120)
    official(store, "2026-03-05", "workaround", precision="day", office="Directorate of eCitizen", text="Try the app")
    assert [step.gap for step in rungs(record(store, brief=True)) if "workaround" in step.names] == [(0, 900)]
    assert phrases.rung_lines(steps[-1], "en") == [
        "first official word",
        "Huduma Kenya: acknowledged (one person)",
        "some time on Thu 05 Mar · -540 to +900 min",
    ]
    assert phrases.rung_lines(steps[3], "sw")[2] == "Alh 05 Mac 09:20 · dakika +20"


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [
        (0, ("A", 15, "B")),
        (14.5, ("A", 1, "B")),
        (15, ("B", 15, "C")),
        (30, ("C", 90, "D")),
        (120, ("D", 120, "F")),
        (239, ("D", 1, "F")),
        (240, None),
    ],
)
def test_the_clock_of_the_grade_counts_down_to_each_boundary(
    store: Store, minutes: float, shown: tuple[str, int, str] | None
) -> None:
    raise_one(store)
    now = ONSET + timedelta(minutes=minutes)
    clock = grade_clock(record(store, brief=True), [], now)
    assert (clock and (clock.grade, clock.minutes, clock.next_grade)) == shown
    if clock:
        assert clock.until == now + timedelta(minutes=clock.minutes) or minutes == 14.5
        assert not clock.heard


def test_the_clock_says_whether_anybody_listened(store: Store) -> None:
    raise_one(store)
    found = record(store, brief=True)

    def heard(since: str, until: str) -> bool:
        clock = grade_clock(found, [(nairobi(since), nairobi(until))], NOW)
        assert clock is not None
        return clock.heard

    assert heard("2026-03-05 08:00", "2026-03-05 09:30")
    assert not heard("2026-03-05 09:01", "2026-03-05 10:00")
    assert not heard("2026-03-05 08:00", "2026-03-05 09:29")


def test_there_is_no_clock_once_somebody_spoke_or_for_what_was_announced(store: Store) -> None:
    covers = {"from": "2026-03-05T08:00+03:00", "to": "2026-03-05T12:00+03:00"}
    official(store, "2026-03-04T18:00", "maintenance", **covers)
    raise_one(store)
    planned = record(store, brief=True)
    assert planned["planned"]
    assert grade_clock(planned, [], NOW) is None
    assert grade_clock(planned | {"planned": False}, [], NOW) is not None
    official(store, "2026-03-05T09:30", "acknowledged")
    assert grade_clock(record(store, brief=True) | {"planned": False}, [], NOW) is None
    [word] = announced(store.engine, NOW)
    assert word.covers_from == nairobi("2026-03-05 08:00")
    assert announced(store.engine, nairobi("2026-03-04 17:59")) == []


@pytest.mark.parametrize("language", list(strings.LANGUAGES))
def test_every_reason_and_rung_can_be_said(language: str) -> None:
    for name in REASONS:
        assert say(language, f"because_{name}", precision="p", minutes="m")
    for name in UNKNOWN_BEFORE_ALARM:
        assert say(language, f"not_credited_{name}")
    assert say("en", "because_coarse", precision="hour") == REASONS["coarse"].format(precision="hour")
    for name in (*SPOKEN, "onset", "first_complaint", "raised", "update", "quiet"):
        assert say(language, f"rung_{name}")
        assert name in charts.RUNG_SHAPES


def test_the_pages_give_the_reason_of_the_record_in_both_languages(store: Store) -> None:
    raise_one(store)
    official(store, "2026-03-05T09:00", "acknowledged", precision="hour")
    found = record(store, brief=True)
    assert found["grade"] is None
    assert phrases.grade_words(found, None, "en") == f"No grade: {found['grade_reason']}."
    assert phrases.grade_words(found, None, "sw").startswith("Hakuna alama: neno la kwanza linajulikana kwa saa tu")
    store.confirm_account(
        "x:1", handle=None, office="KRA", is_ecitizen=False, evidence="https://kra.example", who="desk"
    )
    heard = Span(nairobi("2026-03-05 08:00"), nairobi("2026-03-05 10:00"))
    store.save_page([], source="official", stream="x 1", spans=[heard])
    official(store, "2026-03-05T08:50", "acknowledged", office="KRA")
    graded = record(store, brief=True)
    assert graded["grade"] == "A"
    assert phrases.grade_words(graded, None, "en") == "Grade A: the first word came after 0 min."
    for each, language in product((found, graded, graded | {"grade_ecitizen": "F"}), ("en", "sw")):
        own = phrases.grade_words(each, None, language, own=True)
        assert own.count(":") == 1 and "eCitizen" in own and "None" not in own


def test_a_brief_record_is_the_whole_one_without_what_takes_the_texts(store: Store) -> None:
    wave(store)
    raise_one(store)
    whole, brief = record(store), record(store, brief=True)
    assert set(whole) - set(brief) == {"hints", "words", "samples", "today"}
    assert {name: whole[name] for name in brief} == brief
    assert records(store.engine, NOW, only=brief["id"] + 1) == []


def test_an_incident_that_is_open_belongs_to_every_period_after_it(store: Store) -> None:
    raise_one(store, last=RAISED)
    assert len(records(store.engine, NOW, NOW, brief=True)) == 1
    raise_one(store, state="quiet", last=RAISED)
    assert records(store.engine, NOW, NOW, brief=True) == []


def test_the_volume_chart_marks_the_incident_and_the_announced_maintenance(store: Store) -> None:
    wave(store)
    official(store, "2026-03-04T18:00", "maintenance", **{"from": "2026-03-05T20:00+03:00"})
    raise_one(store, state="quiet")
    window = Window(nairobi("2026-03-05 00:00"), nairobi("2026-03-06 00:00"))
    strip = charts.incident_strip(records(store.engine, NOW, brief=True), announced(store.engine, NOW), window, "en")
    assert strip is not None
    drawn = strip.to_dict()
    rows = [row for some in drawn["datasets"].values() for row in some]
    assert {row["label"] for row in rows} == {"Incident 1", "announced maintenance: Huduma Kenya"}
    assert {row["step"] for row in rows if "step" in row} == {"onset", "raised", "quiet"}
    before = Window(nairobi("2026-03-01 00:00"), nairobi("2026-03-02 00:00"))
    assert charts.incident_strip(records(store.engine, NOW, brief=True), [], before, "en") is None


# The pages


@pytest.fixture
def page(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Shows a page at a pretended time."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", store.engine.url.render_as_string())
    monkeypatch.setenv("TRACKER_PSEUDONYM_KEY", KEY)

    def show(name: str = "incidents", now: datetime = NOW, **named: str) -> AppTest:
        monkeypatch.setenv("TRACKER_NOW", now.isoformat())
        streamlit.cache_data.clear()
        streamlit.cache_resource.clear()
        shown = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
        for key, value in named.items():
            shown.query_params[key] = value
        shown.run()
        assert not shown.exception
        return shown

    return show


def words(shown: AppTest) -> str:
    kinds = ("title", "header", "markdown", "caption", "info", "success", "warning", "error", "subheader", "toast")
    return "\n".join(str(element.value) for kind in kinds for element in shown.get(kind))


def metrics(shown: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in shown.metric}


@pages
def test_without_incidents_the_page_says_what_to_do(page: Callable[..., AppTest]) -> None:
    shown = page()
    assert say("en", "incidents_none") in words(shown)
    shown.radio(key="lane").set_value("rumour").run()
    assert say("en", "rumours_none") in words(shown)


@pages
def test_the_record_shows_who_how_many_and_what_they_say(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store, copy=HOSTILE)
    official(store, "2026-03-05", "acknowledged", precision="day")
    incident = raise_one(store)
    shown = page()
    assert metrics(shown) | {"State": "open", "People posting": "8", "Grade": "none"} == metrics(shown)
    assert say("en", "people_counted", counted=3) in words(shown)
    assert shown.dataframe[0].value["id"].tolist() == [incident]
    assert shown.dataframe[0].value["because"].tolist() == [
        "the first word is known only to the day, which leaves the grade open"
    ]
    # Near-copies are one sample.
    assert [text.value for text in shown.text if "malipo" in text.value] == [f"{HOSTILE} 0"]
    assert "alert(1)" not in words(shown)
    assert shown.query_params["incident"] == str(incident)


@pages
def test_what_the_store_would_show_today_is_said_where_it_differs(store: Store, page: Callable[..., AppTest]) -> None:
    raise_one(store, state="quiet")
    assert say("en", "today_gone") in words(page())


@pages
def test_a_person_confirms_and_the_note_is_redacted(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    incident = raise_one(store)
    shown = page()
    assert say("en", "hint", people=8, total=8, what=say("en", "hint_own_platform")) in words(shown)

    def press(name: str) -> None:
        shown.button(key=f"{name} {incident}").click().run()
        assert not shown.exception

    press("confirm")
    assert say("en", "missing_who") in words(shown)
    assert record(store)["verdict"] is None
    shown.text_input(key=f"who {incident}").input("Desk Two")
    press("only_note")
    assert say("en", "missing_note") in words(shown)
    shown.text_area(key=f"note {incident}").input("the bank confirms, call 0712345678")
    press("confirm")
    found = record(store)
    assert found["verdict"] == "confirmed"
    assert [note["note"] for note in found["notes"]] == ["the bank confirms, call <PHONE>"]
    assert "desk" not in str(found["notes"]).lower()
    assert shown.dataframe[-1].value["note"].tolist() == ["the bank confirms, call <PHONE>"]
    assert shown.text_input(key=f"who {incident}").value == "Desk Two"
    assert shown.text_area(key=f"note {incident}").value == ""
    assert f"Incident {incident} (confirmed)" in words(shown)


@pages
def test_the_address_names_the_incident_and_an_unknown_one_is_said(store: Store, page: Callable[..., AppTest]) -> None:
    first = raise_one(store, state="quiet")
    later = Found("complaint", ONSET + timedelta(days=1), RAISED, RAISED + timedelta(days=1), "quiet")
    now = NOW + timedelta(days=1)
    [second] = keep(store.engine, [later], now)
    assert f"Incident {second}" in [header.value for header in page(now=now).header]
    assert f"Incident {first}" in [header.value for header in page(now=now, incident=str(first)).header]
    shown = page(now=now, incident="99*")
    assert say("en", "incident_unknown", id=r"99\*") in words(shown)
    assert f"Incident {second}" in [header.value for header in shown.header]


@pages
def test_a_rumour_stands_apart_with_the_denial_beside_it(store: Store, page: Callable[..., AppTest]) -> None:
    for number in range(6):
        put(store, f"2026-03-05 09:0{number}", labels(kind="rumour"), person=f"p{number}", text=f"trillion {number}")
    rumour = raise_one(store, lane="rumour")
    notice = rf"Rumour {rumour}\: 6 people since"
    assert notice in words(page("overview"))
    assert say("en", "denied_not") in words(page("overview"))
    official(store, "2026-03-05T09:30", "denial", office="Office of the *Auditor*", text=HOSTILE)
    shown = page("overview")
    assert r"Denied\: Office of the \*Auditor\*\: denial, to everyone, Thu 05 Mar 09\:30" in words(shown)
    assert "is open" not in words(shown)
    shown = page(incident=str(rumour))
    assert shown.radio(key="lane").value == "rumour"
    assert HOSTILE in [text.value for text in shown.text]
    assert "Grade" not in metrics(shown)


@pages
def test_the_banner_says_what_how_bad_since_when_and_the_clock(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    incident = raise_one(store)
    [banner] = page("overview").error
    assert f"**Incident {incident} is open\\: lockout 100%" in banner.value
    assert r"Since Thu 05 Mar 2026 09\:00 EAT \(1 h 0 min\)\: 8 people posting, at most 8 in an hour" in banner.value
    assert "No official word is known." in banner.value
    assert r"in the next 60 min \(until 11\:00 EAT\) would be graded C, after that D" in banner.value
    assert "tracker status add" in banner.value
    assert f"(incidents?incident={incident}&ui=English)" in banner.value
    shown = page("overview", ui="Kiswahili")
    assert f"Tukio {incident} linaendelea" in shown.error[0].value
    assert "&ui=Kiswahili" in shown.error[0].value


@pages
def test_a_hostile_office_is_no_markdown_in_the_banner(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    official(store, "2026-03-05T09:30", "acknowledged", office="[x](javascript:alert(1)) <b>$y$ :red[z]")
    raise_one(store)
    [banner] = page("overview").error
    assert r"\[x\]\(javascript\:alert\(1\)\) \<b\>\$y\$ \:red\[z\]\: acknowledged" in banner.value


@pages
def test_resolved_too_early_is_said_with_the_count(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store, 20, to="2026-03-05 10:00")
    official(store, "2026-03-05T09:05", "resolved")
    raise_one(store)
    found = record(store, brief=True)
    assert found["resolved_too_early"]
    [banner] = page("overview").error
    assert rf"Resolved too early\: {found['complaints_after_resolved']} complaints since" in banner.value
    assert f"Resolved too early\\: {found['complaints_after_resolved']} complaints since" in words(page())


@pages
@pytest.mark.parametrize(("state", "kind"), [("cannot_tell", "warning"), ("quiet", None)])
def test_what_cannot_be_told_is_no_calm_and_what_is_quiet_no_banner(
    store: Store, page: Callable[..., AppTest], state: str, kind: str | None
) -> None:
    wave(store)
    raise_one(store, state=state)
    shown = page("overview")
    assert not shown.error
    told = [element.value for element in shown.warning]
    assert any("cannot be told" in text for text in told) == (kind == "warning")


@pages
def test_a_dismissed_incident_is_no_banner_but_stays_in_the_list(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    incident = raise_one(store)
    store.note_incident(incident, "desk", "dismissed", "a joke that went round")
    assert not page("overview").error
    assert page().dataframe[0].value["verdict"].tolist() == ["dismissed"]


@pages
def test_planned_maintenance_is_shown_as_such(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    official(store, "2026-03-04T18:00", "maintenance", **{"from": "2026-03-05T08:00+03:00"})
    raise_one(store)
    shown = page("overview")
    assert not shown.error
    assert any("Planned maintenance, announced beforehand" in element.value for element in shown.info)
    assert "graded" not in words(shown)


@pages
def test_an_open_incident_is_told_whatever_days_are_shown(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    raise_one(store)
    shown = page("overview")
    shown.selectbox(key="period").select("dates").run()
    day = NOW.astimezone(NAIROBI).date() - timedelta(days=20)
    shown.date_input(key="days").set_value((day, day)).run()
    assert not shown.exception
    assert len(shown.error) == 1


@pages
def test_synthetic_incidents_carry_no_links(store: Store, page: Callable[..., AppTest]) -> None:
    wave(store)
    raise_one(store)
    assert "https://x.com/i/status/" in words(page())
    with store.engine.begin() as connection:
        connection.execute(tables.incidents.update().values(synthetic=True))
    assert "https://x.com" not in words(page())


def test_a_post_that_nobody_knows_the_problem_of_is_said_so(store: Store) -> None:
    put(store, "2026-03-05 09:00", replace(labels(), problems=[]), person="ann")
    raise_one(store)
    assert phrases.what_words(record(store, brief=True), "en") == "no problem named"
