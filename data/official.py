"""Official accounts and offices, and what they said."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from data.errors import RecordError
from data.labels import SCOPES, STATUSES
from data.records import parse_time, text_field

if TYPE_CHECKING:
    from datetime import datetime

NAIROBI = ZoneInfo("Africa/Nairobi")
_NO_NAME = re.compile(r"\b(?:the|directorate|department|office|of|kenya|kenyan|portal|support)\b|[^\w ]")
PRECISIONS = ("minute", "hour", "day")


@dataclass(frozen=True, slots=True)
class OfficialAccount:
    """An account on the allow-list; without a handle and an id, an office of which no account is known.

    It is confirmed once somebody (`confirmed_by`) has checked its id. `evidence` is an address: of the account where it is
    confirmed, else of a report in which the office speaks.
    """

    source: str | None
    handle: str | None
    office: str
    is_ecitizen: bool
    account_id: str | None = None
    evidence: str | None = None
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether its messages count as its office's word."""
        return self.account_id is not None and self.confirmed_by is not None

    @property
    def key(self) -> str | None:
        """`x:123`, or `x:@handle` as long as no id is known: what `posts.account` holds."""
        if self.account_id is not None:
            return f"{self.source}:{self.account_id}"
        return f"{self.source}:@{self.handle}" if self.handle else None


@dataclass(frozen=True, slots=True)
class OfficialMessage:
    """What an office said. `at` is the begin of the day or hour where `precision` is no finer: no minute is invented."""

    at: datetime
    precision: str
    account: str | None
    office: str | None
    from_ecitizen: bool
    status: str
    scope: str
    text: str
    covers_from: datetime | None = None
    covers_to: datetime | None = None
    url: str | None = None
    synthetic: bool = False


@cache
def official_accounts() -> tuple[OfficialAccount, ...]:
    """The accounts that ship with the tracker."""
    lines = files("data").joinpath("official_accounts.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(OfficialAccount(**json.loads(line)) for line in lines if line)


@cache
def official_handles() -> frozenset[str]:
    """Handles whose mentions stay in a text, lower case and without @."""
    return frozenset(account.handle.lower() for account in official_accounts() if account.handle)


def is_ecitizen_office(name: str) -> bool:
    """Whether a person who types this means eCitizen's own office: Directorate of eCitizen, ecitizen kenya, e-Citizen."""
    words = re.sub(r"\be[ -]citizen", "ecitizen", name.casefold())
    return " ".join(_NO_NAME.sub(" ", words).split()) == "ecitizen"


def is_listed_office(name: str) -> bool:
    """Whether an office of this name ships with the tracker."""
    return is_ecitizen_office(name) or name.casefold() in {each.office.casefold() for each in official_accounts()}


def parse_official(record: object) -> OfficialMessage:
    """An official message from a record with the fields of `tracker status add`.

    Raises RecordError saying which field is wrong. A `day` or `hour` time is moved to the begin of that day or hour in Nairobi.
    """
    if not isinstance(record, dict):
        raise RecordError(f"expected an object with at, status and text, found {type(record).__name__}")
    text = (text_field(record, "text", required=True) or "").strip()
    if not text:
        raise RecordError("text is missing")
    status = _one_of(record, "status", STATUSES)
    scope = _one_of(record, "scope", SCOPES, default="statement")
    precision = _one_of(record, "precision", PRECISIONS, default="minute")
    account, office = text_field(record, "account"), text_field(record, "office")
    if not account and not office:
        raise RecordError("who said it is missing: give account (SOURCE:ID) or office (a name)")
    if account and ":" not in account:
        raise RecordError("account must be SOURCE:ID, such as x:123")
    at = _time(record, "at")
    if at is None:
        raise RecordError("at is missing")
    covers_from, covers_to = _time(record, "from"), _time(record, "to")
    if covers_from and covers_to and covers_to < covers_from:
        raise RecordError("to is before from")
    return OfficialMessage(
        at=_begin(at, precision),
        precision=precision,
        account=account,
        office=office,
        # Of an account the store knows it, which holds the list as it is now.
        from_ecitizen=not account and is_ecitizen_office(office or ""),
        status=status,
        scope=scope,
        text=text,
        covers_from=covers_from,
        covers_to=covers_to,
        url=text_field(record, "url"),
        synthetic=record.get("synthetic") is True,
    )


def _begin(at: datetime, precision: str) -> datetime:
    local = at.astimezone(NAIROBI)
    if precision == "day":
        return local.replace(hour=0, minute=0, second=0, microsecond=0)
    if precision == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    return at


def _one_of(record: dict[str, Any], field: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = record.get(field) or default
    if value not in allowed:
        raise RecordError(f"{field} must be one of {', '.join(allowed)}")
    return str(value)


def _time(record: dict[str, Any], field: str) -> datetime | None:
    value = record.get(field)
    if value in (None, ""):
        return None
    try:
        moment = parse_time(value)
        moment.astimezone(NAIROBI)
    except (ValueError, OverflowError):
        raise RecordError(f"{field} is not an ISO 8601 time") from None
    return moment
