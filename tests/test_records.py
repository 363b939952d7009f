from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import NOW
from hypothesis import given
from hypothesis import strategies as st

from data.errors import RecordError
from data.records import CLOCK_TOLERANCE, EARLIEST, MAX_ID_CHARACTERS, MAX_TEXT_CHARACTERS, Post, parse_post

SECRET = "0712345678"
GOOD: dict[str, Any] = {
    "source": "x",
    "id": "123",
    "created_at": "2026-03-05T06:12:09Z",
    "text": "eCitizen imelala",
    "author": "jane",
    "author_id": "42",
    "lang": "sw",
    "repost_of": None,
    "reply_to": "122",
}
OPTIONAL = ("author", "author_id", "lang", "repost_of", "reply_to")


def test_a_record_becomes_the_post_it_describes() -> None:
    moment = datetime(2026, 3, 5, 6, 12, 9, tzinfo=UTC)
    expected = Post("x", "123", moment, "eCitizen imelala", "jane", "42", "sw", None, "122")
    assert parse_post(GOOD, now=NOW) == expected
    unnamed = GOOD | {"source": None, "id": 123, "unknown": [{}]}
    assert parse_post(unnamed, now=NOW, source="x") == expected
    assert parse_post(GOOD | {"id": "x:123"}, now=NOW, source="reddit") == expected


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-05T06:12:09Z",
        "2026-03-05T06:12:09",
        "2026-03-05 06:12:09",
        " 2026-03-05T09:12:09+03:00 ",
        "20260305T061209Z",
        1772691129,
        1772691129.0,
        datetime(2026, 3, 5, 6, 12, 9),  # noqa: DTZ001 - as Parquet gives it
        datetime(2026, 3, 5, 9, 12, 9, tzinfo=UTC) - timedelta(hours=3),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(written: object) -> None:
    created_at = parse_post(GOOD | {"created_at": written}, now=NOW).created_at
    assert created_at.isoformat() == "2026-03-05T06:12:09+00:00"


@pytest.mark.parametrize("lang", [SECRET, "jane@example.com", "Jane Wanjiku Doe", "a"])
def test_what_is_no_language_is_not_kept_as_one(lang: str) -> None:
    assert parse_post(GOOD | {"lang": lang}, now=NOW).lang is None
    assert parse_post(GOOD | {"lang": "zh-Hant"}, now=NOW).lang == "zh-Hant"


WRONG: list[tuple[str, Any]] = [
    *((field, None) for field in ("source", "id", "created_at", "text")),
    *((field, "") for field in ("source", "id", "created_at", "text")),
    *(
        (field, value)
        for field in ("source", "id", "text", *OPTIONAL)
        for value in ([SECRET], {"a": SECRET}, True, 1.5)
    ),
    *((field, f"{SECRET}\0") for field in ("source", "id", "text", *OPTIONAL)),
    *((field, f"{SECRET}\ud800") for field in ("source", "id", "text", *OPTIONAL)),
    ("source", f"X{SECRET}"),
    ("source", "x" * 33),
    ("source", "x y"),
    ("id", "x:"),
    ("id", "1" * (MAX_ID_CHARACTERS + 1)),
    ("text", "e" * (MAX_TEXT_CHARACTERS + 1)),
    ("created_at", [SECRET]),
    ("created_at", True),
    ("created_at", SECRET),
    ("created_at", f"05/03/2026 {SECRET}"),
    ("created_at", 10**30),
    ("created_at", float("nan")),
    ("created_at", float("inf")),
    ("created_at", int(SECRET) * 1000),
    ("created_at", "1985-11-23"),  # of birth, perhaps
    ("created_at", "0001-01-01T00:00:00+14:00"),
    ("created_at", "9999-12-31T23:59:59-12:00"),
    ("created_at", (EARLIEST - timedelta(seconds=1)).isoformat()),
    ("created_at", (NOW + CLOCK_TOLERANCE + timedelta(seconds=1)).isoformat()),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_field_is_named_and_its_value_is_not_quoted(field: str, value: Any) -> None:
    with pytest.raises(RecordError) as raised:
        parse_post(GOOD | {field: value}, now=NOW)
    message = str(raised.value)
    assert message.startswith(field)
    assert SECRET not in message and "1985" not in message
    assert raised.value.__suppress_context__ or raised.value.__context__ is None  # a traceback quotes nothing either


@pytest.mark.parametrize("identifier", ["0712345679", "+254712345679", "254 712 345 679", "desk:0712-345-679"])
def test_a_phone_number_is_no_id_of_the_teams_own_records(identifier: str) -> None:
    with pytest.raises(RecordError, match="could be a phone number") as raised:
        parse_post(GOOD | {"source": "desk", "id": identifier}, now=NOW)
    assert "679" not in str(raised.value)
    assert parse_post(GOOD | {"source": "x", "id": "25471234567"}, now=NOW).id == "25471234567"  # of 2010


@pytest.mark.parametrize("record", [None, [GOOD], SECRET, 5, True])
def test_what_is_no_object_is_refused_without_quoting_it(record: object) -> None:
    with pytest.raises(RecordError, match="expected an object") as raised:
        parse_post(record, now=NOW)
    assert SECRET not in str(raised.value)


MARK = "§"
MARKED = st.text(max_size=20).map(lambda text: f"{MARK}{text}{MARK}")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | MARKED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MARKED, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries({}, optional={name: st.just(good) | JSON for name, good in GOOD.items()}) | JSON


@given(RECORDS)
def test_any_json_is_a_post_or_a_record_error_that_quotes_nothing(record: Any) -> None:
    try:
        post = parse_post(record, now=NOW)
    except RecordError as error:
        assert MARK not in str(error)
    else:
        assert re.fullmatch("[a-z][a-z0-9_]*", post.source) and post.id and post.text
        assert post.created_at.utcoffset() == timedelta(0)
        assert EARLIEST <= post.created_at <= NOW + CLOCK_TOLERANCE
        for value in (post.id, post.text, *(getattr(post, name) for name in OPTIONAL)):
            assert value is None or (isinstance(value, str) and "\0" not in value and value.encode())
