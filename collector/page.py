"""What a source hands to the runner, and the ways in which a request can fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from data.errors import RecordError, TrackerError

if TYPE_CHECKING:
    from datetime import datetime

    from collector.budget import Budget
    from data.settings import Settings
    from data.spending import Limits
    from data.store import Count, Span


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a platform.

    `cursor` is kept in the store with the posts (None: leave the kept one); `following` is what to hand to the next
    fetch of the same walk (None: the walk is done). Spans say what this page looked at, or could not. What was deleted at
    the platform, posts by id and accounts with all that they wrote, is erased in the same transaction. `limited` says
    why less was read than there is, where a budget is the reason.
    """

    records: list[dict[str, Any] | RecordError]
    spans: list[Span] = field(default_factory=list)
    cursor: Any = None
    following: Any = None
    cost_usd: float = 0.0
    deleted_posts: list[str] = field(default_factory=list)
    deleted_accounts: list[str] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    requests: int = 1  # that it took
    limited: str | None = None


class Stream(Protocol):
    """One thing to read on a platform: a search, a listing. `fetch` is the only part with a network."""

    source: str
    name: str

    def fetch(self, state: Any, now: datetime) -> Page:
        """The next page: from the kept cursor (None at the first time) or the `following` of the page before."""


@runtime_checkable
class Connected(Protocol):
    """A stream that holds a connection from page to page; the runner closes it when a run ends, however it ends."""

    def close(self) -> None:
        """Let the connection go; the next fetch makes another."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a stream asks its platform; where it `sifts`, all that comes is read, and what matches the query is kept."""

    stream: str
    asks: str
    sifts: bool = False


class Source(Protocol):
    """A module of `sources/`."""

    NAME: str
    EVERY_SECONDS: float  # between the begins of two runs, where tracker.toml says nothing

    def open_streams(self, settings: Settings) -> list[Stream]:
        """What to read. Raises InputError where the source is off, saying what to set."""

    def questions(self, settings: Settings) -> list[Question]:
        """What the platform will be asked, without a network and without keys."""


@runtime_checkable
class Paid(Protocol):
    """A stream that costs money: before it is read the runner gives it the budget, which it must ask before each call."""

    pays: str  # the source whose budget it is
    limits: Limits
    budget: Budget | None


class SourceError(TrackerError):
    """A platform did not answer as it should."""


class TemporaryFailure(SourceError):
    """It may work in a moment: a time-out, a dropped connection, a 5xx, a malformed body."""


class RateLimited(SourceError):
    """The platform asks to wait, until `reset_at` where it says so."""

    def __init__(self, message: str, reset_at: datetime | None) -> None:
        super().__init__(message)
        self.reset_at = reset_at


class Refused(SourceError):
    """It will not work until a person does something: a wrong key, a missing tier, spent credits."""
