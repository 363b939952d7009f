from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled import nairobi

from dashboard.ladder import REASONS, Complaint, Course, Word, judged, ladder, planned, words_of
from dashboard.phrases import because_words

ONSET = nairobi("2026-03-05 09:00")
COURSE = Course(ONSET, ONSET + timedelta(minutes=10), ONSET + timedelta(hours=6), is_over=True)
NOW = ONSET + timedelta(hours=30)
ALL_DAY = [(ONSET - timedelta(days=1), ONSET + timedelta(days=1))]


def minutes(count: float) -> datetime:
    return ONSET + timedelta(minutes=count)


def word(at: datetime, status: str = "acknowledged", **other: Any) -> Word:
    given = {"precision": "minute", "account": "x:1", "office": None, "from_ecitizen": False, "scope": "statement"}
    return Word(at=at, status=status, **(given | other))


def graded(
    first: Word | None, started_at: datetime, listened: list[tuple[datetime, datetime]], now: datetime
) -> tuple[str | None, str]:
    """The grade, and its reason in words."""
    grade, because = judged(first, started_at, listened, now)
    return grade, REASONS[because].format(precision=first.precision if first else "", minutes="")


@pytest.mark.parametrize(
    ("after", "grade"),
    [(0, "A"), (14.9, "A"), (15, "B"), (29.9, "B"), (30, "C"), (120, "D"), (239, "D"), (240, "F"), (2_000, "F")],
)
def test_grades_go_by_the_minutes_from_the_onset(after: float, grade: str) -> None:
    assert graded(word(minutes(after)), ONSET, [(ONSET, minutes(3_000))], minutes(3_000))[0] == grade


def test_nobody_spoke_is_graded_after_four_hours_of_listening_and_not_before() -> None:
    assert graded(None, ONSET, ALL_DAY, minutes(239)) == (None, "nobody has spoken, and four hours have not passed")
    assert graded(None, ONSET, ALL_DAY, minutes(240))[0] == "F"
    grade, reason = graded(None, ONSET, [(ONSET, minutes(200))], minutes(300))
    assert grade is None
    assert "not listened to" in reason


def test_a_word_is_graded_only_where_an_earlier_one_would_have_been_heard() -> None:
    grade, reason = graded(word(minutes(20)), ONSET, [(minutes(5), minutes(300))], NOW)
    assert grade is None
    assert "not listened to" in reason
    assert graded(word(minutes(20)), ONSET, [(ONSET, minutes(20))], NOW)[0] == "B"


def test_a_coarse_time_gives_a_grade_only_where_all_of_it_has_the_same() -> None:
    hour = word(minutes(125), precision="hour")
    assert graded(hour, ONSET, ALL_DAY, NOW)[0] == "D"
    assert graded(word(minutes(60), precision="hour"), ONSET, ALL_DAY, NOW)[0] is None
    day = word(nairobi("2026-03-05 00:00"), precision="day")
    grade, reason = graded(day, ONSET, ALL_DAY, NOW)
    assert grade is None
    assert "known only to the day" in reason
    found = ladder(COURSE, [day], [], ALL_DAY, ALL_DAY, NOW)
    assert found["minutes_to_acknowledge"] is None
    assert found["minutes_to_acknowledge_between"] == [0, 15 * 60]


def test_who_spoke_first_is_kept_apart_from_ecitizens_own_word() -> None:
    words = [
        word(minutes(12), account="x:2", scope="reply"),
        word(minutes(40), account="x:3"),
        word(minutes(130), from_ecitizen=True),
        word(minutes(150), "update"),
        word(minutes(200), "resolved", from_ecitizen=True),
        word(minutes(210), "workaround", from_ecitizen=True),
    ]
    found = ladder(COURSE, words, [Complaint(minutes(1), "a", "words")], ALL_DAY, ALL_DAY, NOW)
    steps = found["ladder"]
    assert steps["first_complaint"] == minutes(1).isoformat()
    assert (steps["first_official"]["account"], steps["first_official"]["scope"]) == ("x:2", "reply")
    assert steps["first_statement"]["account"] == "x:3"
    assert steps["first_from_ecitizen"]["at"] == minutes(130).isoformat()
    assert [step["at"] for step in steps["updates"]] == [minutes(150).isoformat()]
    assert steps["workaround"]["at"] == minutes(210).isoformat()
    assert (found["minutes_to_acknowledge"], found["minutes_to_resolve"]) == (12, 200)
    assert (found["grade"], found["grade_ecitizen"]) == ("A", "D")
    assert found["minutes_quiet_after_resolved"] == 160
    assert not found["spoke_before_alarm"]


def test_a_word_before_our_alarm_is_credited() -> None:
    found = ladder(COURSE, [word(minutes(4))], [], ALL_DAY, ALL_DAY, NOW)
    assert (found["spoke_before_alarm"], found["minutes_to_acknowledge"], found["grade"]) == (True, 4, "A")
    early = ladder(COURSE, [word(minutes(-30))], [], ALL_DAY, ALL_DAY, NOW)
    assert (early["minutes_to_acknowledge"], early["grade"]) == (0, "A")


def test_whether_a_word_came_before_the_alarm_is_said_only_where_it_is_known() -> None:
    def before(*words: Word, course: Course = COURSE) -> tuple[bool | None, str | None]:
        found = ladder(course, words_of(course, words), [], ALL_DAY, ALL_DAY, NOW)
        return found["spoke_before_alarm"], found["spoke_before_alarm_reason"]

    hour, day = word(ONSET, precision="hour"), word(nairobi("2026-03-05 00:00"), precision="day")
    assert before() == (False, None)
    assert before(word(minutes(10))) == (True, None)
    assert before(word(minutes(11))) == (False, None)
    assert before(hour) == (None, "the first word is known only to the hour")
    assert before(day, word(minutes(4))) == (True, None), "one of them surely came before"
    imported = replace(COURSE, raised_at=COURSE.last_at + timedelta(hours=4))
    assert before(word(minutes(4)), course=imported) == (
        None,
        "it was found in hindsight, from posts that came in later",
    )
    live = replace(COURSE, raised_at=COURSE.last_at + timedelta(minutes=5), is_over=False)
    assert before(word(minutes(4)), course=live) == (True, None)


def test_unconfirmed_accounts_notices_and_help_grade_nothing() -> None:
    words = [word(minutes(2), confirmed=False), word(minutes(3), "notice"), word(minutes(4), "help")]
    found = ladder(COURSE, words, [], ALL_DAY, ALL_DAY, NOW)
    assert found["ladder"]["first_official"] is None
    assert found["grade"] == "F"
    assert [step["at"] for step in found["unconfirmed"]] == [minutes(2).isoformat()]


def test_resolved_too_early_counts_who_still_complains() -> None:
    after = [Complaint(minutes(61 + 3 * n), f"p{n % 6}", f"words {n}") for n in range(30)]
    found = ladder(COURSE, [word(minutes(60), "resolved")], after, ALL_DAY, ALL_DAY, NOW)
    assert (found["complaints_after_resolved"], found["resolved_too_early"]) == (30, True)
    few = ladder(COURSE, [word(minutes(60), "resolved")], after[:9], ALL_DAY, ALL_DAY, NOW)
    assert (few["complaints_after_resolved"], few["resolved_too_early"]) == (9, False), "they were on their way"
    shouter = [Complaint(minutes(100 + n), "one", f"words {n}") for n in range(50)]
    assert not ladder(COURSE, [word(minutes(60), "resolved")], shouter, ALL_DAY, ALL_DAY, NOW)["resolved_too_early"]
    copies = [Complaint(minutes(100 + n), f"p{n}", "the same words") for n in range(50)]
    assert not ladder(COURSE, [word(minutes(60), "resolved")], copies, ALL_DAY, ALL_DAY, NOW)["resolved_too_early"]
    day = word(nairobi("2026-03-05 00:00"), "resolved", precision="day")
    assert ladder(COURSE, [day], after, ALL_DAY, ALL_DAY, NOW)["complaints_after_resolved"] is None


def test_the_usual_complaints_that_follow_do_not_make_resolved_too_early() -> None:
    usual_again = [Complaint(minutes(100 + 20 * n), f"p{n}", f"words {n}") for n in range(9)]
    waits = replace(COURSE, last_at=minutes(70), is_over=False)
    found = ladder(waits, [word(minutes(60), "resolved")], usual_again, ALL_DAY, ALL_DAY, minutes(300))
    assert (found["complaints_after_resolved"], found["resolved_too_early"]) == (0, False)


def test_an_admission_of_what_was_resolved_before_the_onset_is_of_another() -> None:
    words = [word(minutes(-100)), word(minutes(-30), "resolved")]
    found = ladder(COURSE, words_of(COURSE, words), [], ALL_DAY, ALL_DAY, NOW)
    assert (found["ladder"]["first_official"], found["grade"]) == (None, "F")
    again = ladder(COURSE, words_of(COURSE, [*words, word(minutes(-5))]), [], ALL_DAY, ALL_DAY, NOW)
    assert (again["minutes_to_acknowledge"], again["grade"]) == (0, "A")


def test_which_words_belong_to_an_incident() -> None:
    said = [word(minutes(at)) for at in (-200, -100, 50, 6 * 60 + 23 * 60, 6 * 60 + 25 * 60)]
    assert words_of(COURSE, said) == said[1:4]
    assert words_of(COURSE, said, next_start=minutes(600)) == said[1:3]
    open_ = replace(COURSE, is_over=False)
    assert words_of(open_, said) == said[1:]


def test_a_word_after_one_incident_and_before_the_next_is_the_first_ones_alone() -> None:
    second = replace(COURSE, started_at=minutes(12 * 60), raised_at=minutes(12 * 60 + 5), last_at=minutes(14 * 60))
    between, inside = word(minutes(11 * 60 + 10)), word(minutes(12 * 60 + 20), "update")
    assert words_of(COURSE, [between, inside], next_start=second.started_at) == [between]
    assert words_of(second, [between, inside], previous_end=COURSE.ended_at) == [inside]
    assert words_of(second, [between, inside]) == [between, inside]
    long_ago = minutes(11 * 60 - 24 * 60)
    assert words_of(second, [between, inside], previous_end=long_ago) == [between, inside]
    day = word(nairobi("2026-03-05 00:00"), precision="day")
    assert words_of(second, [day], previous_end=COURSE.ended_at) == [day], "perhaps it was said after the onset"


def test_what_is_known_was_said_by_now_however_coarse_its_time_is() -> None:
    words = [word(nairobi("2026-03-05 00:00"), status, precision="day") for status in ("acknowledged", "resolved")]
    found = ladder(replace(COURSE, is_over=False), words, [], ALL_DAY, ALL_DAY, minutes(60))
    assert found["minutes_to_resolve_between"] == found["minutes_to_acknowledge_between"] == [0, 60]
    assert (found["grade"], found["grade_because"]) == (None, "coarse")
    found = ladder(replace(COURSE, is_over=False), words, [], ALL_DAY, ALL_DAY, minutes(12))
    assert (found["grade"], found["grade_reason"]) == ("A", "the first word came after 0 to 12 minutes")
    assert "0 – 12 min" in because_words(found | {"started_at": ONSET.isoformat()}, "en")


def test_maintenance_is_planned_where_it_was_announced_before_and_covers_the_begin() -> None:
    window = {"covers_from": minutes(-10), "covers_to": minutes(120)}
    announced = word(minutes(-600), "maintenance", **window)
    assert planned(ONSET, [announced]) is announced
    assert planned(ONSET, [word(minutes(5), "maintenance", **window)]) is None
    assert planned(minutes(121), [announced]) is None
    assert planned(ONSET, [word(minutes(-600), "maintenance", confirmed=False, **window)]) is None
    assert planned(ONSET, [word(minutes(-600), "maintenance")]) is None


WORDS = st.lists(
    st.builds(
        lambda after, status, precision, own, confirmed: word(
            minutes(after), status, precision=precision, from_ecitizen=own, confirmed=confirmed
        ),
        st.integers(-3_000, 3_000),
        st.sampled_from(
            ["acknowledged", "update", "resolved", "workaround", "maintenance", "denial", "notice", "help"]
        ),
        st.sampled_from(["minute", "hour", "day"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)


@given(words=WORDS, listened=st.sampled_from([[], ALL_DAY, [(ONSET, minutes(60))]]), now=st.integers(0, 4_000))
def test_any_words_give_a_ladder_in_order_and_no_grade_without_listening(
    words: list[Word], listened: list[tuple[datetime, datetime]], now: int
) -> None:
    found = ladder(COURSE, words_of(COURSE, words), [], listened, listened, minutes(now))
    first, own = found["ladder"]["first_official"], found["ladder"]["first_from_ecitizen"]
    if own is not None:
        assert first is not None
        assert first["at"] <= own["at"]
    between = found["minutes_to_acknowledge_between"]
    assert (between is None) == (first is None)
    if between:
        assert 0 <= between[0] <= between[1]
        assert (found["minutes_to_acknowledge"] is None) == (between[0] != between[1])
    if not listened:
        assert found["grade"] is None or found["minutes_to_acknowledge_between"] == [0, 0]
    assert found["grade"] is not None or found["grade_reason"]


def test_resolved_before_the_onset_is_the_end_of_another() -> None:
    found = ladder(COURSE, [word(minutes(-90), "resolved")], [], ALL_DAY, ALL_DAY, NOW)
    assert (found["ladder"]["first_official"], found["spoke_before_alarm"], found["grade"]) == (None, False, "F")


def test_a_coarse_word_does_not_hide_a_precise_one() -> None:
    day = word(nairobi("2026-03-05 00:00"), "update", precision="day")
    found = ladder(COURSE, words_of(COURSE, [day, word(minutes(5))]), [], ALL_DAY, ALL_DAY, NOW)
    assert (found["minutes_to_acknowledge_between"], found["grade"]) == ([0, 5], "A")
    found = ladder(COURSE, words_of(COURSE, [day, word(minutes(20))]), [], ALL_DAY, ALL_DAY, NOW)
    assert (found["minutes_to_acknowledge_between"], found["grade"]) == ([0, 20], None)
    ends = [word(nairobi("2026-03-05 00:00"), "resolved", precision="day"), word(minutes(60), "resolved")]
    assert ladder(COURSE, ends, [], ALL_DAY, ALL_DAY, NOW)["minutes_to_resolve"] == 60


def test_a_word_after_four_hours_of_silence_leaves_the_f() -> None:
    assert graded(word(minutes(400)), ONSET, [(ONSET, minutes(300))], NOW)[0] == "F"


def test_maintenance_known_to_the_day_was_perhaps_not_announced_before() -> None:
    window = {"covers_from": minutes(-10), "covers_to": minutes(120)}
    same_day = word(nairobi("2026-03-05 00:00"), "maintenance", precision="day", **window)
    assert planned(ONSET, [same_day]) is None
