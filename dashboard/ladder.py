"""What the officials said of an incident and when: the ladder, its gaps and its grade. Pure functions; docs/incidents.md has the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from data.facts import count_people

if TYPE_CHECKING:
    from collections.abc import Sequence

Interval = tuple[datetime, datetime]

# After StatusGator's grades of acknowledgement: below so many minutes.
GRADES = ((15, "A"), (30, "B"), (120, "C"), (240, "D"))
LAST_GRADE = "F"
GRADED_AFTER = timedelta(hours=4)
# What says that there is, or was, a disruption; a notice or a reply of help does not.
SPEAKING = ("acknowledged", "update", "resolved", "workaround")
# A word so long before the first complaint is credited to the incident, one so long after its end still belongs to it.
BEFORE, AFTER = timedelta(hours=2), timedelta(hours=24)
# Complaints that come within this after "resolved" may have been on their way.
STILL_COMING = timedelta(minutes=30)
LEAST_PEOPLE_AFTER = 5
# Why there is a grade, or none; pages say it in their own words.
REASONS = {
    "too_early": "nobody has spoken, and four hours have not passed",
    "not_heard": "no word is known, but the confirmed official accounts were not listened to in its first four hours",
    "never": "nobody spoke within four hours",
    "coarse": "the first word is known only to the {precision}, which leaves the grade open",
    "perhaps_earlier": "confirmed official accounts were not listened to up to the first word known, so an earlier one may be missing",
    "spoken": "the first word came after {minutes}",
}
# An incident whose last complaints were so long over when it was raised was found in hindsight: nobody was alarmed by it.
HINDSIGHT = timedelta(hours=3)
# Why it cannot be known whether a word came before the alarm.
UNKNOWN_BEFORE_ALARM = {
    "hindsight": "it was found in hindsight, from posts that came in later",
    "coarse": "the first word is known only to the {precision}",
}
WIDTHS = {"minute": timedelta(0), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True)
class Word:
    """An official message. `at` is the begin of what its precision leaves open; unconfirmed ones grade nothing."""

    at: datetime
    precision: str
    account: str | None
    office: str | None
    from_ecitizen: bool
    status: str
    scope: str
    text: str = ""
    url: str | None = None
    confirmed: bool = True
    covers_from: datetime | None = None
    covers_to: datetime | None = None

    @property
    def until(self) -> datetime:
        """The end of what its precision leaves open."""
        return self.at + WIDTHS[self.precision]

    @property
    def covers_until(self) -> datetime:
        """The end of the maintenance that it announces; where it gives none, the last grade's time after its begin."""
        return self.covers_to or (self.covers_from or self.at) + GRADED_AFTER


@dataclass(frozen=True)
class Complaint:
    """When somebody complained."""

    at: datetime
    person: str
    copy: str  # equal for near-copies of one text


@dataclass(frozen=True)
class Course:
    """An incident's own clocks: `last_at` is the last that was above usual, its end once it `is_over`."""

    started_at: datetime
    raised_at: datetime
    last_at: datetime
    is_over: bool

    @property
    def ended_at(self) -> datetime | None:
        """None while it is open or cannot be told."""
        return self.last_at if self.is_over else None


def words_of(
    course: Course,
    words: Sequence[Word],
    next_start: datetime | None = None,
    previous_end: datetime | None = None,
) -> list[Word]:
    """The words that can be about an incident, in order of time.

    One that was surely said before its onset, and no later than AFTER the end of the incident before, is that one's alone.
    """
    begin = course.started_at - BEFORE
    if previous_end is not None:
        begin = max(begin, min(previous_end + AFTER, course.started_at))
    end = course.ended_at + AFTER if course.ended_at else datetime.max.replace(tzinfo=course.started_at.tzinfo)
    end = min(end, next_start) if next_start else end
    found = [word for word in words if word.until >= begin and word.at < end]
    return sorted(found, key=lambda word: (word.at, word.until))


def planned(started_at: datetime, words: Sequence[Word]) -> Word | None:
    """The maintenance that was announced before an incident began and covers its begin."""
    for word in words:
        if word.status != "maintenance" or not word.confirmed or word.covers_from is None:
            continue
        if word.until < started_at and word.covers_from - STILL_COMING <= started_at <= word.covers_until:
            return word
    return None


def ladder(
    course: Course,
    words: Sequence[Word],
    complaints: Sequence[Complaint],
    listened: Sequence[Interval],
    listened_to_own: Sequence[Interval],
    now: datetime,
) -> dict[str, Any]:
    """The fields `ladder` to `grade_reason` of INTERFACE "What incidents --json prints", with the ranges where a time is coarse.

    `words` are those of the incident, `complaints` its own and those after it, `listened` the spans in which confirmed
    official accounts were read, `listened_to_own` those in which eCitizen's own were.
    """
    words = [word for word in words if word.at <= now]
    spoken = [word for word in words if word.confirmed and word.status in SPEAKING]
    # Before the onset only an admission is about it, and none of what was said to be resolved by then: that was another.
    earlier = max(
        (word.until for word in spoken if word.status == "resolved" and word.until < course.started_at), default=None
    )
    told = [
        word
        for word in spoken
        if word.until >= course.started_at
        or (word.status == "acknowledged" and (earlier is None or word.until > earlier))
    ]
    first = next(iter(told), None)
    statement = next((word for word in told if word.scope == "statement"), None)
    own = next((word for word in told if word.from_ecitizen), None)
    ended = [word for word in told if word.status == "resolved" and word.until >= course.started_at]
    resolved = min(ended, key=lambda word: word.until, default=None)  # a day must not hide a minute of that day
    workaround = next((word for word in told if word.status == "workaround"), None)
    # A first word that is coarsely known was said before a later one that is not.
    # And whatever is known was said by now.
    by = min(min((word.until for word in told), default=now), now)
    own_by = min(min((word.until for word in told if word.from_ecitizen), default=now), now)
    grade, because = judged(first, course.started_at, listened, now, by)
    own_grade, own_because = judged(own, course.started_at, listened_to_own, now, own_by)
    after, people_after = _after(resolved, course, complaints)
    before_alarm, before_alarm_because = _before_alarm(first, by, course)
    first_complaint = min((each.at for each in complaints if each.at >= course.started_at), default=course.started_at)
    return {
        "ladder": {
            "first_complaint": first_complaint.isoformat(),
            "raised": course.raised_at.isoformat(),
            "first_official": _step(first),
            "first_statement": _step(statement),
            "first_from_ecitizen": _step(own),
            "updates": [_step(word) for word in told if word.status == "update"],
            "workaround": _step(workaround),
            "resolved": _step(resolved),
            "quiet": course.ended_at.isoformat() if course.ended_at else None,
        },
        "minutes_to_acknowledge": _minutes(first, course.started_at, by),
        "minutes_to_acknowledge_between": _between(first, course.started_at, by),
        "minutes_to_resolve": _minutes(resolved, course.started_at, now),
        "minutes_to_resolve_between": _between(resolved, course.started_at, now),
        "complaints_after_resolved": after,
        "minutes_quiet_after_resolved": _quiet_after(resolved, course),
        "resolved_too_early": people_after is not None and people_after >= LEAST_PEOPLE_AFTER,
        "spoke_before_alarm": before_alarm,
        "spoke_before_alarm_reason": before_alarm_because
        and UNKNOWN_BEFORE_ALARM[before_alarm_because].format(precision=first.precision if first else ""),
        "spoke_before_alarm_because": before_alarm_because,
        "grade": grade,
        "grade_reason": _reason(because, first, course.started_at, by),
        "grade_because": because,
        "grade_ecitizen": own_grade,
        "grade_ecitizen_reason": _reason(own_because, own, course.started_at, own_by),
        "grade_ecitizen_because": own_because,
        "unconfirmed": [_step(word) for word in words if not word.confirmed and word.status in SPEAKING],
        "denials": [_step(word) for word in words if word.status == "denial"],
    }


def judged(
    word: Word | None,
    started_at: datetime,
    listened: Sequence[Interval],
    now: datetime,
    by: datetime | None = None,
) -> tuple[str | None, str]:
    """The grade of a first word, or None, and which of REASONS it has. `by` is when it was surely said, where that is known better."""
    if word is None:
        if now < started_at + GRADED_AFTER:
            return None, "too_early"
        if not _within((started_at, started_at + GRADED_AFTER), listened):
            return None, "not_heard"
        return LAST_GRADE, "never"
    grades = {_grade(moment - started_at) for moment in (word.at, min(word.until, by or word.until))}
    if len(grades) > 1:
        return None, "coarse"
    if not _within((started_at, min(max(word.at, started_at), started_at + GRADED_AFTER)), listened):
        return None, "perhaps_earlier"
    return grades.pop(), "spoken"


def _before_alarm(first: Word | None, by: datetime, course: Course) -> tuple[bool | None, str | None]:
    """Whether somebody had spoken when the alarm was raised; None where that cannot be known, and why."""
    if first is None:
        return False, None
    if course.raised_at > course.last_at + HINDSIGHT:
        return None, "hindsight"
    if by <= course.raised_at:
        return True, None
    return (False, None) if first.at > course.raised_at else (None, "coarse")


def _reason(because: str, word: Word | None, started_at: datetime, by: datetime) -> str:
    if word is None:
        return REASONS[because]
    return REASONS[because].format(precision=word.precision, minutes=_said(word, started_at, by))


def _grade(gap: timedelta) -> str:
    return next((grade for minutes, grade in GRADES if gap < timedelta(minutes=minutes)), LAST_GRADE)


def _said(word: Word, started_at: datetime, by: datetime) -> str:
    low, high = _between(word, started_at, by) or (0, 0)
    return f"{low} minutes" if low == high else f"{low} to {high} minutes"


def _within(span: Interval, spans: Sequence[Interval]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in spans)


def _step(word: Word | None) -> dict[str, Any] | None:
    if word is None:
        return None
    return {
        "at": word.at.isoformat(),
        "precision": word.precision,
        "account": word.account,
        "office": word.office,
        "status": word.status,
        "scope": word.scope,
        "text": word.text,
        "url": word.url,
    }


def _between(word: Word | None, started_at: datetime, by: datetime | None = None) -> list[int] | None:
    """Least and most whole minutes from the onset to a word; a word before it counts as 0."""
    if word is None:
        return None
    return [
        max(0, int((moment - started_at) / timedelta(minutes=1)))
        for moment in (word.at, min(word.until, by or word.until))
    ]


def _minutes(word: Word | None, started_at: datetime, by: datetime | None = None) -> int | None:
    between = _between(word, started_at, by)
    return between[0] if between and between[0] == between[1] else None


def _after(resolved: Word | None, course: Course, complaints: Sequence[Complaint]) -> tuple[int | None, int | None]:
    """Complaints since "resolved", and the people among those that cannot have been on their way; None where a day is all that is known.

    What comes when they are no more than usual again is no sign that it persists.
    """
    if resolved is None or resolved.precision == "day":
        return None, None
    later = [each for each in complaints if resolved.until < each.at <= course.last_at]
    still = [(each.person, each.copy) for each in later if each.at > resolved.until + STILL_COMING]
    return len(later), count_people(still)


def _quiet_after(resolved: Word | None, course: Course) -> int | None:
    if resolved is None or resolved.precision != "minute" or course.ended_at is None:
        return None
    return max(0, int((course.ended_at - resolved.at) / timedelta(minutes=1)))
