"""A post as a platform or a file gives it, and the rules that make a record a post."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from data.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT_CHARACTERS = 65_536  # above the longest post of any platform read (Reddit: 40,000)
MAX_ID_CHARACTERS = 512
EARLIEST = datetime(2005, 1, 1, tzinfo=UTC)  # no platform read is older
CLOCK_TOLERANCE = timedelta(days=1)

_PHONE_LIKE = re.compile(r"\+?(?:254|0)[\d -]{8,12}")
_NUMBERED = ("x", "reviews")  # their own ids can look so
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LANG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2}")


@dataclass(frozen=True, slots=True)
class Post:
    """One public message before redaction: it may only be handed to the store, never written or logged."""

    source: str
    id: str
    created_at: datetime
    text: str
    author: str | None = None
    author_id: str | None = None
    lang: str | None = None
    repost_of: str | None = None
    reply_to: str | None = None
    synthetic: bool = False
    author_name: str | None = None  # the displayed name: held against the official ones at the door, never stored
    edited_at: datetime | None = None  # of the version whose text this is; None: as first written


def parse_time(value: object) -> datetime:
    """UTC from ISO 8601 text (without an offset: UTC), a datetime, or seconds since 1970. Raises ValueError."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, bool):
        raise ValueError("a truth value is not a time")
    elif isinstance(value, int | float):
        try:
            moment = datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(str(error)) from None
    elif isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
    else:
        raise ValueError("not a time")
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def text_field(record: Mapping[str, Any], field: str, *, required: bool = False) -> str | None:
    """The text of a field, None where it is empty; a whole number becomes its digits. Raises RecordError naming the field."""
    value = record.get(field)
    if type(value) is str and value.isascii() and value and "\0" not in value:
        return value
    if value is None or value == "":
        if required:
            raise RecordError(f"{field} is missing")
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise RecordError(f"{field} must be text, found {type(value).__name__}")
    if "\0" in value:
        raise RecordError(f"{field} contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecordError(f"{field} contains half a surrogate pair, which is not Unicode text") from None
    return value


def check_source(name: str) -> None:
    """Raise RecordError for what cannot be the name of a source."""
    if not _SOURCE.fullmatch(name):
        raise RecordError("source must be a short lower-case name such as x or reddit")


def _reference(record: Mapping[str, Any], field: str) -> str | None:
    """The id of another post, or None for what could be a handle or a phone number instead: it is stored as it stands."""
    value = text_field(record, field)
    if value is None or "@" in value or len(value) > MAX_ID_CHARACTERS or _PHONE_LIKE.fullmatch(value):
        return None
    return value


def _edited_at(record: Mapping[str, Any], now: datetime) -> datetime | None:
    if record.get("edited_at") in (None, ""):
        return None
    try:
        return min(parse_time(record["edited_at"]), now)  # one from the future would keep every later edit out
    except ValueError:
        raise RecordError("edited_at is not an ISO 8601 time") from None


def parse_post(record: object, *, now: datetime, source: str | None = None) -> Post:
    """A post from a record with the fields of INTERFACE "A post, in JSONL"; unknown fields are passed over.

    `source` is used where the record names none. Raises RecordError saying which field is wrong and how.
    """
    if not isinstance(record, dict):
        raise RecordError(f"expected an object with source, id, created_at and text, found {type(record).__name__}")
    found_source = text_field(record, "source") or source
    if found_source is None:
        raise RecordError("source is missing (name it in the record or with --source)")
    check_source(found_source)
    identifier = text_field(record, "id", required=True) or ""
    identifier = identifier.removeprefix(f"{found_source}:")  # exported CSV writes x:123, so that spreadsheets keep it
    if not identifier or len(identifier) > MAX_ID_CHARACTERS:
        raise RecordError(f"id must have 1 to {MAX_ID_CHARACTERS} characters")
    if "@" in identifier:
        raise RecordError("id must not hold an @, which would be somebody's handle")
    if found_source not in _NUMBERED and _PHONE_LIKE.fullmatch(identifier):
        raise RecordError("id could be a phone number: give each record a number of its own")
    if record.get("created_at") in (None, ""):
        raise RecordError("created_at is missing")
    try:
        created_at = parse_time(record["created_at"])
    except ValueError:
        raise RecordError("created_at is not an ISO 8601 time") from None
    if not EARLIEST <= created_at <= now + CLOCK_TOLERANCE:
        raise RecordError(f"created_at is before {EARLIEST:%Y} or in the future")
    edited_at = _edited_at(record, now)
    text = text_field(record, "text", required=True) or ""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise RecordError(f"text has {len(text):,} characters, at most {MAX_TEXT_CHARACTERS:,} are taken")
    lang = text_field(record, "lang") or ""
    return Post(
        source=found_source,
        id=identifier,
        created_at=created_at,
        text=text,
        author=text_field(record, "author"),
        author_id=text_field(record, "author_id"),
        lang=lang if _LANG.fullmatch(lang) else None,  # a column that was mistaken for it could hold anything
        repost_of=_reference(record, "repost_of"),
        reply_to=_reference(record, "reply_to"),
        synthetic=record.get("synthetic") in (True, "true", "True", 1),
        author_name=text_field(record, "author_name"),
        edited_at=edited_at,
    )
