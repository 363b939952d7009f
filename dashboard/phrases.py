"""What pages say of an incident, in both languages, as plain text. No Streamlit here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dashboard.rungs import Rung, moment, spoken
from dashboard.strings import label_name, say, shown_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dashboard.rungs import Clock

NAMED_PROBLEMS = 3


def record_name(record: dict[str, Any], language: str) -> str:
    """`Incident 4`, with what people or a notice made of it."""
    name = say(language, "rumour_title" if record["lane"] == "rumour" else "incident_title", id=record["id"])
    told = [say(language, "planned")] if record["planned"] else []
    told += [say(language, f"verdict_{record['verdict']}")] if record["verdict"] else []
    return f"{name} ({', '.join(told)})" if told else name


def rung_lines(rung: Rung, language: str) -> list[str]:
    """`first official word`, `Huduma Kenya: acknowledged (one person)`, `some time on Thu 05 Mar · -415 to +1,025 min`."""
    lines = [", ".join(say(language, f"rung_{name}") for name in rung.names)]
    if rung.who:
        lines.append(f"{rung.who}: {label_name(language, str(rung.status))} ({label_name(language, str(rung.scope))})")
    when = time_words(rung, language)
    return [*lines, when if "onset" in rung.names else f"{when} · {gap_words(rung.gap, language)}"]


def time_words(rung: Rung, language: str) -> str:
    """When, no more precisely than it is known."""
    at = shown_time(rung.from_at, language, rung.precision, year=False)
    return say(language, "time_day", at=at) if rung.precision == "day" else at


def gap_words(gap: tuple[int, int], language: str) -> str:
    """Minutes since the onset: one number only where both ends are known."""
    low, high = gap
    return say(language, "gap", minutes=low) if low == high else say(language, "gap_between", low=low, high=high)


def what_words(record: dict[str, Any], language: str) -> str:
    """The problems that most people name, with their shares: `lockout 46%, outage 18%`."""
    named = [
        f"{label_name(language, name)} {share:.0%}" for name, share in list(record["problems"].items())[:NAMED_PROBLEMS]
    ]
    return ", ".join(named) or say(language, "no_problem_yet")


def passed_words(since: datetime, now: datetime, language: str) -> str:
    """`4 h 5 min`."""
    minutes = max(0, math.floor((now - since).total_seconds() / 60))
    return say(language, "passed", hours=minutes // 60, minutes=minutes % 60)


def usual_words(record: dict[str, Any]) -> str:
    """The usual posts an hour, with no more digits than they deserve."""
    usual = record["usual_per_hour"]
    return f"{usual:.1f}" if usual < 10 else f"{usual:,.0f}"


def counted_words(record: dict[str, Any], language: str) -> str:
    """How many of the people count, where copies of one text are among their posts; else nothing."""
    counted = record["people_counted"]
    return say(language, "people_counted", counted=counted) if counted < record["people"] else ""


def spoken_words(words: Sequence[dict[str, Any]], language: str) -> str:
    """Who said what to whom and when, no more precisely than it is known; each word once."""
    told = []
    for word in words:
        rung = spoken((), word, moment(word["at"]))
        status, scope = label_name(language, word["status"]), label_name(language, word["scope"])
        told.append(
            say(language, "spoken_word", who=rung.who, status=status, scope=scope, at=time_words(rung, language))
        )
    return "; ".join(dict.fromkeys(told))


def officials(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The confirmed words on the ladder, in order of time, each once."""
    ladder = record["ladder"]
    steps = [
        ladder[name] for name in ("first_official", "first_statement", "first_from_ecitizen", "workaround", "resolved")
    ]
    found: list[dict[str, Any]] = []
    for word in sorted([word for word in steps if word] + ladder["updates"], key=lambda word: str(word["at"])):
        if word not in found:
            found.append(word)
    return found


def grade_words(record: dict[str, Any], clock: Clock | None, language: str, own: bool = False) -> str:
    """The grade and why, the clock of the next one, or why there is none; `own` for eCitizen's own word."""
    if clock is not None and not own:
        until = f"{clock.until:%H:%M}"
        return say(language, "clock", minutes=clock.minutes, until=until, grade=clock.grade, next=clock.next_grade)
    grade = record["grade_ecitizen" if own else "grade"]
    name = f"{'own_' if own else ''}grade_{'not' if grade is None else 'is'}"
    return say(language, name, grade=grade, because=because_words(record, language, own))


def because_words(record: dict[str, Any], language: str, own: bool = False) -> str:
    """Why there is a grade, or none."""
    word = record["ladder"]["first_from_ecitizen" if own else "first_official"]
    name = record["grade_ecitizen_because" if own else "grade_because"]
    if word is None:
        return say(language, f"because_{name}")
    gap = spoken((), word, moment(record["started_at"])).gap
    low, high = gap if own else record["minutes_to_acknowledge_between"]  # which knows that it was said by now
    low, high = max(0, low), max(0, high)
    precision = say(language, f"precision_{word['precision']}")
    return say(
        language, f"because_{name}", precision=precision, minutes=f"{low:,}" if low == high else f"{low:,} – {high:,}"
    )
