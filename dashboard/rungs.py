"""What pages show of an incident's record: the rungs of its ladder, the clock of its grade, and its span. No Streamlit here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dashboard.incidents import official_words
from dashboard.ladder import GRADED_AFTER, GRADES, LAST_GRADE, WIDTHS
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from dashboard.ladder import Interval, Word

# Steps that an official message takes; it may take several at once.
SPOKEN = ("first_official", "first_statement", "first_from_ecitizen", "workaround", "resolved")
# A stretch that ends so shortly before now still counts as listened to: collection has its pauses.
LISTENING = timedelta(minutes=30)


@dataclass(frozen=True)
class Rung:
    """A step of the ladder, or several that one message took. `gap` is the least and the most whole minutes since the onset."""

    names: tuple[str, ...]
    from_at: datetime
    until_at: datetime
    gap: tuple[int, int]
    precision: str = "minute"
    who: str | None = None
    status: str | None = None
    scope: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Clock:
    """While nobody has spoken: the grade that a word would have now, until when, and what comes after.

    `heard` says whether confirmed official accounts were listened to from the onset on; else a word may have been missed.
    """

    grade: str
    until: datetime
    minutes: int
    next_grade: str
    heard: bool


def rungs(record: dict[str, Any], now: datetime | None = None) -> list[Rung]:
    """The steps taken so far, in the order in which each had surely been taken; what is known was said by `now`."""
    ladder, started_at = record["ladder"], moment(record["started_at"])
    steps = [Rung(("onset",), started_at, started_at, (0, 0))]
    own = [(name, ladder[name]) for name in ("first_complaint", "raised", "quiet")]
    steps += [_own(name, at, started_at) for name, at in own if at]
    words = [(name, ladder[name]) for name in SPOKEN] + [("update", word) for word in ladder["updates"]]
    taken: dict[tuple[Any, ...], list[str]] = {}
    said: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, word in words:
        if word is not None:
            key = (word["at"], word["precision"], word["account"], word["office"], word["status"], word["scope"])
            taken.setdefault(key, []).append(name)
            said[key] = word
    steps += [spoken(tuple(dict.fromkeys(taken[key])), word, started_at, now) for key, word in said.items()]
    return sorted(steps, key=lambda step: (step.until_at, step.from_at))


def spoken(names: tuple[str, ...], word: dict[str, Any], started_at: datetime, now: datetime | None = None) -> Rung:
    """An official message of a record as a rung."""
    from_at = moment(word["at"])
    until_at = from_at + WIDTHS[word["precision"]]
    until_at = max(from_at, min(until_at, now.astimezone(NAIROBI))) if now else until_at
    if word["status"] != "acknowledged" and until_at >= started_at:  # before the onset only an admission is about it
        from_at = max(from_at, started_at)
    return Rung(
        names,
        from_at,
        until_at,
        (_minutes(from_at, started_at), _minutes(until_at, started_at)),
        word["precision"],
        word["office"] or word["account"],
        word["status"],
        word["scope"],
        word["url"],
    )


def _own(name: str, at: str, started_at: datetime) -> Rung:
    return Rung((name,), moment(at), moment(at), (_minutes(moment(at), started_at),) * 2)


def _minutes(at: datetime, started_at: datetime) -> int:
    return int((at - started_at) / timedelta(minutes=1))


def grade_clock(record: dict[str, Any], listened: Sequence[Interval], now: datetime) -> Clock | None:
    """The clock of the grade for anyone's first word; None once somebody has spoken, after four hours, and for what was announced."""
    started_at = moment(record["started_at"])
    passed = now - started_at
    if record["ladder"]["first_official"] or record["planned"] or passed >= GRADED_AFTER:
        return None
    ends = [(timedelta(minutes=minutes), grade) for minutes, grade in GRADES]
    place = next(place for place, (end, _) in enumerate(ends) if passed < end)
    end, grade = ends[place]
    after = ends[place + 1][1] if place + 1 < len(ends) else LAST_GRADE
    heard = any(since <= started_at and to_at >= now - LISTENING for since, to_at in listened)
    left = math.ceil((end - passed) / timedelta(minutes=1))
    return Clock(grade, started_at + end, left, after, heard)


def announced(engine: Engine, now: datetime) -> list[Word]:
    """The maintenance announced so far with the time that it covers, in order of time."""
    told = [word for word in official_words(engine, now) if word.status == "maintenance" and word.confirmed]
    return [word for word in told if word.covers_from]


def span(record: dict[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """From the onset to the end, or to now where there is none yet."""
    ended_at = record["ended_at"]
    return moment(record["started_at"]), moment(ended_at) if ended_at else now.astimezone(NAIROBI)


def moment(text: str) -> datetime:
    """A time of a record, in East Africa Time."""
    return datetime.fromisoformat(text).astimezone(NAIROBI)
