"""The incidents: each one's state and grade, the record of the one chosen, and what people say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard import charts
from dashboard.app_pages.banner import too_early_words
from dashboard.app_pages.frame import LINES_HEIGHT, choose_language, opened_store, plain, stamps
from dashboard.incidents import LANES
from dashboard.phrases import (
    because_words,
    counted_words,
    grade_words,
    record_name,
    spoken_words,
    usual_words,
    what_words,
)
from dashboard.record import SAMPLE_POSTS, listened_to, records
from dashboard.rungs import grade_clock, moment
from dashboard.strings import label_name, say, shown_time
from data.errors import InputError, TrackerError
from data.links import link_of
from data.settings import load_settings

if TYPE_CHECKING:
    from datetime import datetime

    from data.store import Store

CACHE_SECONDS = 20
# Pixels: all columns of a table are seen at 1,400, in either language.
WIDTHS = {
    "id": 50,
    "state": 110,
    "started": 115,
    "ended": 115,
    "people": 60,
    "problems": 155,
    "because": 200,
    "denials": 380,
    "verdict": 100,
}
NOTE_WIDTHS = {"at": 115, "verdict": 110, "note": 230}
SHARES = ("problems", "services", "langs", "sources")


@st.cache_data(ttl=CACHE_SECONDS, max_entries=8)
def _all(url: str, lane: str, now: datetime) -> list[dict[str, Any]]:
    """The newest first."""
    return records(opened_store(url).engine, now, lane=lane, brief=True)[::-1]


@st.cache_data(ttl=CACHE_SECONDS, max_entries=8)
def _one(url: str, lane: str, incident: int, now: datetime) -> dict[str, Any] | None:
    """None where it was erased meanwhile."""
    return next(iter(records(opened_store(url).engine, now, lane=lane, only=incident)), None)


def _table(found: list[dict[str, Any]], lane: str, language: str) -> None:
    columns: dict[str, list[Any]] = {
        "id": [record["id"] for record in found],
        "state": [_state(record, language) for record in found],
        "started": [shown_time(moment(record["started_at"]), language) for record in found],
        "ended": [shown_time(moment(record["ended_at"]), language) if record["ended_at"] else "" for record in found],
        "people": [record["people"] for record in found],
    }
    if lane == "complaint":
        columns |= {
            "severity": [say(language, f"severity_{record['severity_level']}") for record in found],
            "problems": [what_words(record, language) for record in found],
            "grade": [record["grade"] or say(language, "no_grade") for record in found],
            "because": [because_words(record, language) for record in found],
        }
    else:
        columns["denials"] = [spoken_words(record["denials"], language) or say(language, "none") for record in found]
    columns["verdict"] = [_verdict(record, language) for record in found]
    titles = {name: say(language, f"column_{name}") for name in columns} | {
        "people": say(language, "column_people_naming")
    }
    settings = {name: st.column_config.TextColumn(title, width=WIDTHS.get(name)) for name, title in titles.items()}
    for name in ("id", "people"):
        settings[name] = st.column_config.NumberColumn(titles[name], format="%d", width=WIDTHS[name])
    table = pd.DataFrame(columns)
    st.dataframe(table, column_config=settings, hide_index=True, width="stretch", row_height=LINES_HEIGHT)


def _state(record: dict[str, Any], language: str) -> str:
    state = say(language, f"state_{record['state']}")
    return f"{state}; {say(language, 'planned')}" if record["planned"] else state


def _verdict(record: dict[str, Any], language: str) -> str:
    return say(language, f"verdict_{record['verdict']}" if record["verdict"] else "not_judged")


def _choose_lane(url: str, now: datetime, language: str) -> str:
    """The lane chosen, at first that of the incident in the address."""
    if "lane" not in st.session_state:
        named = st.query_params.get("incident")
        rumours = {str(record["id"]) for record in _all(url, "rumour", now)} if named else set()
        st.session_state["lane"] = "rumour" if named in rumours else "complaint"
    return str(
        st.radio(
            say(language, "incidents_lane"),
            LANES,
            format_func=lambda lane: say(language, f"lane_{lane}"),
            horizontal=True,
            key="lane",
        )
    )


def _choose(found: list[dict[str, Any]], lane: str, language: str) -> int:
    """The incident chosen, which the address then names; at first the one that it names, else the newest."""
    names = {
        record["id"]: f"{record_name(record, language)} · {shown_time(moment(record['started_at']), language)}"
        for record in found
    }
    ids = list(names)
    named = st.query_params.get("incident", "")
    at = next((place for place, each in enumerate(ids) if str(each) == named), None)
    if named and at is None and "told" not in st.session_state and not st.session_state.get("chosen"):
        st.warning(say(language, "incident_unknown", id=plain(named[:20])))
    chosen = st.selectbox(
        say(language, "incident_choose"),
        ids,
        index=at or 0,
        format_func=lambda each: names.get(each, str(each)),
        key=f"incident {lane} {language}",
    )
    st.session_state["chosen"] = True
    st.query_params["incident"] = str(chosen)
    return int(chosen)


def _head(record: dict[str, Any], store: Store, now: datetime, language: str) -> None:
    st.header(record_name(record, language), anchor=False)
    columns = st.columns(4 if record["lane"] == "complaint" else 3)
    columns[0].metric(
        say(language, "column_state"),
        say(language, f"state_{record['state']}"),
        say(language, f"severity_{record['severity_level']}") if record["lane"] == "complaint" else None,
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    columns[1].metric(
        say(language, "column_people"),
        f"{record['people']:,}",
        say(language, "posts_count", posts=record["posts"]),
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    columns[2].metric(
        say(language, "peak_hour"),
        f"{record['peak_per_hour']:,}",
        say(language, "usual_hour", usual=usual_words(record)),
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    if capped := counted_words(record, language):
        st.caption(capped)
    if record["lane"] == "complaint":
        own = f"{say(language, 'grade_own')}: {record['grade_ecitizen'] or say(language, 'no_grade')}"
        columns[3].metric(
            say(language, "column_grade"),
            record["grade"] or say(language, "no_grade"),
            own,
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        with store.engine.connect() as connection:
            clock = grade_clock(record, listened_to(connection), now)
        st.markdown(plain(grade_words(record, clock, language)))
        if clock is not None and not clock.heard:
            st.markdown(say(language, "clock_unheard"))
        st.markdown(plain(grade_words(record, None, language, own=True)))


def _ladder(record: dict[str, Any], now: datetime, language: str) -> None:
    st.subheader(say(language, "ladder"), anchor=False)
    if record["resolved_too_early"]:
        st.warning(plain(too_early_words(record, language)), icon=":material/warning:")
    st.altair_chart(charts.ladder_chart(record, now, language), width="stretch", key="ladder")
    st.caption(say(language, "ladder_note"))
    told = [say(language, "credited")] if record["spoke_before_alarm"] else []
    if unknown := record["spoke_before_alarm_because"]:
        told.append(say(language, f"not_credited_{unknown}"))
    if record["complaints_after_resolved"] is not None and not record["resolved_too_early"]:
        told.append(say(language, "after_resolved", count=record["complaints_after_resolved"]))
    if record["minutes_quiet_after_resolved"] is not None:
        told.append(say(language, "quiet_after", minutes=record["minutes_quiet_after_resolved"]))
    for line in told:
        st.markdown(line)
    if record["unconfirmed"]:
        st.markdown(f"**{say(language, 'unconfirmed_title')}**")
        st.text(spoken_words(record["unconfirmed"], language))
        st.caption(say(language, "unconfirmed_note"))


def _denials(record: dict[str, Any], language: str) -> None:
    if not record["denials"]:
        st.warning(say(language, "denied_not"), icon=":material/help:")
    for denial in record["denials"]:
        with st.container(border=True):
            st.markdown(plain(say(language, "denied", words=spoken_words([denial], language))))
            st.text(denial["text"])
            if denial["url"]:
                st.caption(plain(denial["url"]))


def _today(record: dict[str, Any], language: str) -> None:
    today = record["today"]
    if not today["differs"]:
        st.caption(say(language, "today_same"))
    elif today["started_at"] is None:
        st.info(say(language, "today_gone"), icon=":material/difference:")
    else:
        started, last, raised = (
            shown_time(moment(today[name]), language) for name in ("started_at", "last_at", "raised_at")
        )
        state = say(language, f"state_{today['state']}")
        text = say(
            language, "today_differs", started=started, last=last, raised=raised, state=state, people=today["people"]
        )
        st.info(text, icon=":material/difference:")


def _shares(record: dict[str, Any], language: str) -> None:
    st.subheader(say(language, "shares_of"), anchor=False)
    shown = [name for name in SHARES if name != "problems" or record["lane"] == "complaint"]
    for column, name in zip(st.columns(len(shown)), shown, strict=True):
        with column:
            st.markdown(f"**{say(language, f'share_{name}')}**")
            if not record[name]:
                st.caption(say(language, "share_none"))
                continue
            table = pd.DataFrame(
                {
                    "name": [label_name(language, each) for each in record[name]],
                    "share": [f"{share:.0%}" for share in record[name].values()],
                }
            )
            settings = {
                "name": st.column_config.TextColumn(say(language, "column_name")),
                "share": st.column_config.TextColumn(say(language, "column_share"), width=66),
            }
            st.dataframe(table, column_config=settings, hide_index=True, width="stretch")


def _words(record: dict[str, Any], language: str) -> None:
    left, right = st.columns([2, 3])
    with left:
        st.subheader(say(language, "hints"), anchor=False)
        named = sorted(((people, name) for name, people in record["hints"].items() if people), reverse=True)
        for people, name in named:
            st.markdown(
                "- "
                + say(
                    language, "hint", people=people, total=record["people_counted"], what=say(language, f"hint_{name}")
                )
            )
        if not named:
            st.markdown(say(language, "hints_none"))
        st.caption(say(language, "hints_note"))
        if record["words"]:
            st.markdown(f"**{say(language, 'apart')}**")
            st.text(", ".join(record["words"]))
    with right:
        st.subheader(say(language, "samples"), anchor=False)
        for sample in record["samples"][:SAMPLE_POSTS]:
            with st.container(border=True):
                st.text(sample["text"])  # not Markdown: a post is hostile input
                source, _, identifier = sample["post"].partition(":")
                link = None if record["synthetic"] else link_of(source, identifier)
                st.caption(plain(source) if link is None else f"{plain(source)} · [{say(language, 'open')}]({link})")
        st.caption(say(language, "samples_note"))
    with st.expander(say(language, "evidence", count=len(record["evidence"]))):
        keys = [key.partition(":") for key in record["evidence"]]
        links = [None if record["synthetic"] else link_of(source, identifier) for source, _, identifier in keys]
        table = pd.DataFrame({"id": record["evidence"], "link": links})
        settings = {
            "id": st.column_config.TextColumn(say(language, "column_id")),
            "link": st.column_config.LinkColumn(say(language, "column_link"), display_text=say(language, "open")),
        }
        st.dataframe(table, column_config=settings, hide_index=True, width="stretch")


def _say_so(store: Store, record: dict[str, Any], language: str) -> None:
    st.subheader(say(language, "say_so"), anchor=False)
    st.caption(say(language, "say_so_note"))
    incident = record["id"]
    with st.form(f"say {incident}", clear_on_submit=False):
        who = st.text_input(
            say(language, "who"),
            value=st.session_state.get("analyst", ""),
            help=say(language, "who_help"),
            key=f"who {incident}",
            max_chars=200,
        )
        note = st.text_area(say(language, "note"), key=f"note {incident}", max_chars=2_000, height=80)
        buttons = st.columns(3)
        pressed = {
            verdict: column.form_submit_button(
                say(language, name), help=say(language, f"{name}_help"), key=f"{name} {incident}", width="stretch"
            )
            for column, (name, verdict) in zip(
                buttons, (("confirm", "confirmed"), ("dismiss", "dismissed"), ("only_note", None)), strict=True
            )
        }
    for verdict, is_pressed in pressed.items():
        if not is_pressed:
            continue
        if not who.strip():
            st.error(say(language, "not_kept", reason=say(language, "missing_who")))
        elif verdict is None and not note.strip():
            st.error(say(language, "not_kept", reason=say(language, "missing_note")))
        else:
            try:
                store.note_incident(incident, who, verdict, note)
            except InputError as error:
                st.error(plain(say(language, "not_kept", reason=error)))
                continue
            st.session_state["analyst"] = who
            st.session_state["told"] = incident
            del st.session_state[f"note {incident}"]
            st.cache_data.clear()
            st.rerun()


def _notes(record: dict[str, Any], language: str) -> None:
    st.subheader(say(language, "notes"), anchor=False)
    if not record["notes"]:
        st.caption(say(language, "notes_none"))
        return
    table = pd.DataFrame(
        {
            "at": [shown_time(moment(note["at"]), language) for note in record["notes"]],
            "verdict": [_verdict(note, language) if note["verdict"] else "" for note in record["notes"]],
            "note": [note["note"] or "" for note in record["notes"]],
            "by": [note["who"] for note in record["notes"]],
        }
    )
    settings = {
        name: st.column_config.TextColumn(say(language, f"column_{name}"), width=NOTE_WIDTHS.get(name))
        for name in table.columns
    }
    st.dataframe(table, column_config=settings, hide_index=True, width="stretch", row_height=LINES_HEIGHT)


def _page(store: Store, url: str, now: datetime, language: str) -> None:
    if (told := st.session_state.pop("told", None)) is not None:
        st.toast(say(language, "kept", id=told), icon=":material/check:")
    lane = _choose_lane(url, now, language)
    with st.spinner(say(language, "reading"), show_time=True):
        found = _all(url, lane, now)
    if not found:
        st.info(say(language, "rumours_none" if lane == "rumour" else "incidents_none"))
        return
    _table(found, lane, language)
    chosen = _choose(found, lane, language)
    with st.spinner(say(language, "reading"), show_time=True):
        record = _one(url, lane, chosen, now)
    if record is None:
        st.warning(say(language, "incident_unknown", id=chosen))
        return
    _head(record, store, now, language)
    if lane == "complaint":
        _ladder(record, now, language)
    else:
        _denials(record, language)
    _today(record, language)
    _shares(record, language)
    _words(record, language)
    left, right = st.columns([2, 3])
    with left:
        _say_so(store, record, language)
    with right:
        _notes(record, language)


def _render() -> None:
    language = choose_language()
    st.title(say(language, "incidents"))
    try:
        settings = load_settings()
        store = opened_store(settings.database_url)
        stamps(store, settings, language)
        st.caption(say(language, "incidents_note"))
        _page(store, settings.database_url, settings.now().replace(second=0, microsecond=0), language)
    except TrackerError as error:
        st.error(say(language, "failed", reason=error))
    except SQLAlchemyError as error:  # its message could hold what was asked for; its kind says enough
        st.error(say(language, "failed", reason=type(error).__name__))


_render()
