"""What the overview says of incidents: those that are open, and the rumours going round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.app_pages.frame import plain
from dashboard.phrases import (
    counted_words,
    grade_words,
    officials,
    passed_words,
    record_name,
    spoken_words,
    usual_words,
    what_words,
)
from dashboard.rungs import grade_clock, moment
from dashboard.strings import LANGUAGES, say, shown_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dashboard.ladder import Interval


def incident_banners(
    records: Sequence[dict[str, Any]], listened: Sequence[Interval], now: datetime, language: str
) -> None:
    """What is wrong now: every incident that is open, or of which cannot be told whether it is; none that a person dismissed."""
    for record in reversed(records):
        if record["state"] != "quiet" and record["verdict"] != "dismissed":
            _banner(record, listened, now, language)


def _banner(record: dict[str, Any], listened: Sequence[Interval], now: datetime, language: str) -> None:
    name = "planned" if record["planned"] else record["state"]
    severity = say(language, f"severity_{record['severity_level']}")
    title = say(language, f"banner_{name}", id=record["id"], what=what_words(record, language), severity=severity)
    started_at = moment(record["started_at"])
    since = say(
        language,
        "banner_since",
        since=shown_time(started_at, language),
        passed=passed_words(started_at, now, language),
        people=record["people"],
        peak=record["peak_per_hour"],
        usual=usual_words(record),
    )
    lines = [f"**{plain(title)}**", f"{plain(since)} {counted_words(record, language)}".rstrip()]
    if record["state"] == "cannot_tell":
        lines.append(say(language, "banner_cannot_tell_why"))
    words = spoken_words(officials(record), language)
    lines.append(plain(say(language, "spoken", words=words)) if words else say(language, "spoken_none"))
    if record["unconfirmed"]:
        unconfirmed = spoken_words(record["unconfirmed"], language)
        lines.append(plain(say(language, "unconfirmed_words", words=unconfirmed)))
    if not record["planned"]:
        clock = grade_clock(record, listened, now)
        lines.append(plain(grade_words(record, clock, language)))
        if clock is not None and not clock.heard:
            lines.append(say(language, "clock_unheard"))
    if record["resolved_too_early"]:
        lines.append(f"**{plain(too_early_words(record, language))}**")
    lines.append(record_link(record, language))
    show, icon = {
        "open": (st.error, ":material/warning:"),
        "cannot_tell": (st.warning, ":material/help:"),
        "planned": (st.info, ":material/build:"),
    }[name]
    show("\n\n".join(lines), icon=icon)


def too_early_words(record: dict[str, Any], language: str) -> str:
    """That complaints went on after "resolved", and how many."""
    words = spoken_words([record["ladder"]["resolved"]], language)
    return say(language, "too_early", words=words, count=record["complaints_after_resolved"])


def record_link(record: dict[str, Any], language: str) -> str:
    """A link to the incident's own page, in the language at hand."""
    return f"[{say(language, 'see_record')}](incidents?incident={record['id']}&ui={LANGUAGES[language]})"


def rumour_notices(records: Sequence[dict[str, Any]], language: str) -> None:
    """The bursts of rumours of a period, with what officials denied beside each."""
    shown = [record for record in records if record["verdict"] != "dismissed"]
    if not shown:
        return
    st.subheader(say(language, "rumour_notices"))
    for record in reversed(shown):
        left, right = st.columns(2)
        state = say(language, f"state_{record['state']}")
        since = shown_time(moment(record["started_at"]), language)
        notice = say(
            language,
            "rumour_notice",
            which=record_name(record, language),
            people=record["people"],
            since=since,
            state=state,
        )
        left.info(f"{plain(notice)}\n\n{record_link(record, language)}", icon=":material/campaign:")
        if record["denials"]:
            words = spoken_words(record["denials"], language)
            right.success(plain(say(language, "denied", words=words)), icon=":material/block:")
        else:
            right.warning(say(language, "denied_not"), icon=":material/help:")
