"""The window of announced maintenance, read from the words of offices: the right one or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled import MODEL, labels, nairobi

from data.maintenance import DAYS_AHEAD, LONGEST, stated_window
from data.messages import official_messages
from data.official import parse_official
from data.records import Post

if TYPE_CHECKING:
    from data.store import Store

SAID = nairobi("2026-03-04 10:00")  # a Wednesday
NIGHT = ("2026-03-07 22:00", "2026-03-08 05:00")


@pytest.mark.parametrize(
    ("words", "window"),
    [
        ("eCitizen will be down on Saturday from 10pm to Sunday 5am.", NIGHT),
        ("Our site rests on Saturday 7th March 2026, 10.00 p.m. to 5.00 a.m.", NIGHT),
        ("MAINTENANCE\nDate: Saturday, 7 March 2026\nTime: 10:00 PM – 5:00 AM (EAT)", NIGHT),
        ("Off between 2200hrs on Saturday 7th and 0500hrs on Sunday 8th", NIGHT),
        ("From 22:00 on 07/03/2026 to 05:00 on 08/03/2026 we upgrade", NIGHT),
        ("Works: 2026-03-07 22:00 to 05:00, all services", NIGHT),
        ("📅 March 7, 2026 ⏰ 10pm-5am", NIGHT),
        ("Huduma hazitapatikana Jumamosi saa nne usiku hadi Jumapili saa kumi na moja alfajiri.", NIGHT),
        ("Matengenezo tarehe 7 Machi 2026 kuanzia saa nne usiku hadi saa kumi na moja asubuhi", NIGHT),
        ("Planned works tonight 11pm to 4am", ("2026-03-04 23:00", "2026-03-05 04:00")),
        ("Planned works tonight from 1am to 4am", ("2026-03-05 01:00", "2026-03-05 04:00")),
        ("Usiku wa leo saa sita usiku hadi saa tisa usiku", ("2026-03-05 00:00", "2026-03-05 03:00")),
        ("Kesho kati ya saa mbili na saa tano asubuhi", ("2026-03-05 08:00", "2026-03-05 11:00")),
        ("Tomorrow between 2 and 4am", ("2026-03-05 02:00", "2026-03-05 04:00")),
        ("Kesho saa nane na nusu mchana mpaka saa kumi jioni", ("2026-03-05 14:30", "2026-03-05 16:00")),
        ("Down 9am to noon on Friday", ("2026-03-06 09:00", "2026-03-06 12:00")),
        ("Friday 6pm to midnight. Ijumaa 6pm hadi midnight.", ("2026-03-06 18:00", "2026-03-07 00:00")),
        ("Huduma za eCitizen hazitapatikana kuanzia Jumamosi 10pm hadi Jumapili 5am", NIGHT),
        ("The platform shall not be available from Saturday 10:00pm through Sunday 5:00am.", NIGHT),
        ("eCitizen won't be accessible on Saturday, 10pm to 5am", NIGHT),
        ("Today 2pm to 4pm", ("2026-03-04 14:00", "2026-03-04 16:00")),
    ],
)
def test_what_is_stated_plainly_is_read(words: str, window: tuple[str, str]) -> None:
    assert stated_window(words, SAID) == (nairobi(window[0]), nairobi(window[1]))


@pytest.mark.parametrize(
    "words",
    [
        "Scheduled maintenance this weekend.",
        "From 10pm to 5am we upgrade.",  # of which day?
        "Saturday from 10pm for six hours",
        "Saturday 10 to 5",
        "Saturday 10:00 to 05:00",
        "Saturday 11-1am",
        "Saturday 13pm to 15pm",
        "Saturday 8 March 2026, 10pm to 5am",  # the 8th is a Sunday
        "31 February 2026, 1am to 5am",
        "Wednesday 10pm to 5am",  # said on a Wednesday
        "On the 9th, 1am to 5am",
        "Saturday midnight to 4am",
        "Sunday 12am to 5am",
        "Saturday night 1am to 4am",
        "10pm to 2am on Saturday",
        "9.05 to 10pm on Friday",
        "Usiku wa kuamkia Jumapili saa nne usiku hadi saa kumi alfajiri",
        "Jumapili saa saba usiku hadi saa kumi alfajiri",
        "Jumamosi saa nne hadi saa kumi",
        "Jumamosi saa 4 usiku hadi saa 8 usiku",
        "Kesho kutwa saa mbili asubuhi hadi saa tano asubuhi",
        "Saturday 10pm to 2am and Sunday 10pm to 2am",
        "Saturday and Sunday 10pm to 2am",
        "14 to 16 March 10pm to 2am",
        "Sat/Sun 10pm to 2am",
        "eCitizen: Saturday 10pm to 2am. iTax: Friday 10pm to 2am.",
        "Every Saturday 10pm to 2am",
        "Next Friday 10pm to 2am",
        "Saturday's work was done, 10pm to 2am",
        "The works of last Saturday 10pm to Sunday 2am are over",
        "Postponed: Saturday 10pm to Sunday 2am",
        "Maintenance moved from Saturday 10pm to Sunday 10pm",
        "Matengenezo ya Jumamosi saa nne usiku hadi Jumapili saa mbili asubuhi yameahirishwa",
        "Our counters are open Saturday 8am to 1pm",
        "Saturday 10pm to 2am GMT",
        "1 March 2026 10pm to 2 March 2026 5am",  # over
        "7 March 2027 10pm to 5am",
        "7 March 2026 10pm to 20 March 2026 5am",
        "There will be no maintenance on Saturday 7 March from 10pm to 11pm. eCitizen is fully available.",
        "eCitizen won’t be under maintenance Saturday 10pm to 11pm",
        "eCitizen wont be down on Saturday from 10pm to 11pm",
        "The maintenance window is NOT on Saturday 7 March from 10pm to 11pm",
        "It is not true that eCitizen will not be available on Saturday from 10pm to 5am",
        "Claims that eCitizen maintenance is planned for Saturday 7 March from 10pm to 11pm are false.",
        "There is no planned eCitizen maintenance. Reports of downtime on Saturday 7 March from 10pm to 5am are fake.",
        "FAKE: eCitizen maintenance Saturday 10pm to 5am",
        "Is eCitizen down on Saturday from 10pm to 5am? Ask us first.",
        "Hakuna matengenezo ya eCitizen Jumamosi saa nne usiku hadi Jumapili saa mbili asubuhi",
        "Hakutakuwa na matengenezo ya eCitizen Jumamosi saa nne usiku hadi Jumapili saa mbili asubuhi",
        "Si kweli kwamba eCitizen itafungwa Jumamosi saa nne usiku hadi Jumapili saa mbili asubuhi",
        "Uongo: eCitizen itafungwa Jumamosi saa nne usiku hadi Jumapili saa mbili asubuhi",
        "Matengenezo ya Jumamosi saa nne usiku hadi Jumapili saa mbili asubuhi hayatafanyika",
        "eCitizen services will resume on Saturday 7 March from 8am to 5pm after the disruption",
        "eCitizen will be back on Saturday from 8am to 5pm",
        "eCitizen services are restored and available on Saturday 7 March from 8am to 5pm",
        "Huduma za eCitizen zitapatikana Jumamosi saa mbili asubuhi hadi saa kumi jioni",
        "Our eCitizen support desk will help you Saturday 7 March from 8am to 5pm as we carry out maintenance",
        "KRA iTax will be under scheduled maintenance on Saturday 7 March from 10pm to 5am. Pay later on eCitizen.",
        "Huduma Centres will be closed for maintenance Saturday 7 March from 8am to 5pm. eCitizen stays up.",
        "NTSA portal on eCitizen: maintenance Saturday 7 March from 8am to 5pm.",
        "eCitizen: M-Pesa will not be available on Saturday 7 March from 10pm to 5am",
        "Some eCitizen services will be off on Saturday 7 March from 10pm to 5am",
    ],
)
def test_what_leaves_anything_open_gives_none(words: str) -> None:
    assert stated_window(words, SAID) is None


def test_somebody_elses_maintenance_is_read_where_it_is_not_about_ecitizen() -> None:
    words = "iTax offline Saturday 10pm to Sunday 5am."
    assert stated_window(words, SAID) is None
    assert stated_window(words, SAID, "government") == (nairobi(NIGHT[0]), nairobi(NIGHT[1]))


def test_tonight_said_after_midnight_may_be_either_night() -> None:
    assert stated_window("Down tonight 10pm to 4am", nairobi("2026-03-05 00:30")) is None


def english(at: datetime) -> str:
    return f"{at:%I:%M%p}".lower().lstrip("0")


FORMS = (
    lambda a, b: f"down from {english(a)} on {a:%A %d %B %Y} to {english(b)} on {b:%A %d %B %Y}",
    lambda a, b: f"down {a:%A} {english(a)} - {b:%A} {english(b)}",
    lambda a, b: f"between {a:%d/%m/%Y} {a:%H%M}hrs and {b:%d/%m/%Y} {b:%H%M}hrs",
    lambda a, b: f"{a:%B} {a.day}, {a:%Y}: {a:%H:%M}hrs to {b:%H:%M}hrs",
    lambda a, b: f"Kuanzia {a:%Y-%m-%d} {a:%H%M}h hadi {b:%Y-%m-%d} {b:%H%M}h",
)


@given(
    ahead=st.integers(1, 5),
    minute=st.integers(1, 24 * 60 - 1),
    length=st.integers(1, 23 * 60),
    form=st.sampled_from(FORMS),
    around=st.sampled_from(["{}", "NOTICE! {}. We apologise.", "Tangazo: {}, ili kuboresha huduma"]),
)
def test_a_window_that_was_written_is_read_as_it_was_meant(
    ahead: int, minute: int, length: int, form: Any, around: str
) -> None:
    begin = nairobi("2026-03-04 00:00") + timedelta(days=ahead, minutes=minute)
    end = begin + timedelta(minutes=length)
    found = stated_window(around.format(form(begin, end)), SAID)
    # 12am beside a day is midnight of that day to some and of the next to others.
    is_open = (
        "12:" in english(begin)[:3] + english(end)[:3] and form in FORMS[:2] and (begin.hour == 0 or end.hour == 0)
    )
    assert found == (None if is_open else (begin, end))


PIECES = [
    *("saturday", "sun", "jumapili", "tonight", "kesho", "leo", "7 march", "14th", "2026-03-09", "1/4/2026", "31 feb"),
    *(
        "10pm",
        "5 a.m.",
        "12am",
        "midnight",
        "noon",
        "22:00",
        "08:00",
        "0600hrs",
        "2",
        "saa nne usiku",
        "saa tatu",
        "13pm",
    ),
    *("to", "-", "and", "na", "between", "kati ya", "hadi", "from", "on", ",", ".", "works", "night", "\n"),
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join) | st.text(),
    st.integers(-(10**6), 10**6),
)
def test_whatever_is_written_gives_a_window_ahead_or_none(words: str, minutes: int) -> None:
    said = SAID + timedelta(minutes=minutes)
    if (found := stated_window(words, said)) is not None:
        begin, end = found
        assert begin < end <= begin + LONGEST and end > said
        assert begin < said + timedelta(days=DAYS_AHEAD)
        assert stated_window(f"{words} and {words}", said) in (None, found)


def test_a_collected_post_says_what_it_covers_and_a_person_says_it_better(store: Store) -> None:
    store.activate_model(MODEL, "0" * 64)
    theirs = {"handle": "HudumaKenya", "office": "Huduma Kenya", "is_ecitizen": False}
    store.confirm_account("x:456", evidence="https://www.huduma.example/", who="desk 2", **theirs)
    ours = {"handle": "eCitizenKenya", "office": "Directorate of eCitizen", "is_ecitizen": True}
    store.confirm_account("x:123", evidence="https://www.ecitizen.example/", who="desk 2", **ours)
    words = "eCitizen rests on Saturday 07/03/2026 from 10pm to 5am"
    edited = SAID + timedelta(hours=1)
    store.save_page(
        [
            Post("x", "1", SAID, words, author="eCitizenKenya", author_id="123"),
            Post("x", "2", SAID, words, author="eCitizenKenya", author_id="123"),
            Post("x", "3", SAID, words, author="eCitizenKenya", author_id="123", edited_at=edited),
            Post("x", "4", SAID, words, author="eCitizenKenya", author_id="123"),
            Post("x", "5", SAID, words, author="HudumaKenya", author_id="456"),
            Post("x", "6", SAID, words.replace("eCitizen", "Our system"), author="HudumaKenya", author_id="456"),
        ]
    )
    status = replace(labels(kind="official"), status="maintenance", scope="statement", services=[])
    store.save_labels(MODEL, [("x", number, status) for number in ("1", "3", "5", "6")])
    store.save_labels(MODEL, [("x", "2", replace(status, status="notice"))])
    store.save_labels(MODEL, [("x", "4", replace(status, services=["passport"]))])

    def windows() -> dict[str, tuple[datetime | None, datetime | None]]:
        return {message["post"]: (message["from"], message["to"]) for message in official_messages(store.engine)}

    night = (nairobi(NIGHT[0]), nairobi(NIGHT[1]))
    none = dict.fromkeys(("x:2", "x:3", "x:4", "x:6"), (None, None))
    assert windows() == {"x:1": night, "x:5": night} | none
    by_hand = {"at": SAID.isoformat(), "account": "x:123", "status": "maintenance", "text": "shorter"}
    by_hand |= {"from": "2026-03-07T23:00+03:00", "to": "2026-03-08T01:00+03:00", "url": "https://x.com/i/status/1"}
    store.add_official([parse_official(by_hand)])
    assert windows()["x:1"] == (nairobi("2026-03-07 23:00"), nairobi("2026-03-08 01:00"))
