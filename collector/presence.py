"""What a source answers about posts that are stored: which of them are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from collector.page import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Pending:
    """The platform works on the answer: ask again with `job`, which is kept in the store, after some seconds."""

    job: dict[str, Any]
    seconds: float


class SiteSilent(SourceError):
    """One of many servers, which nobody chose, does not answer; its posts wait for the next round."""


class Check(Protocol):
    """How one platform is asked. Only what it says itself, post by post, makes a post gone: no failure ever does."""

    source: str
    page_posts: int  # asked for at once
    cost_usd: float  # so far

    def site(self, id_: str) -> str | None:
        """Which server is asked about a post, where a source has several; None: it cannot be asked about."""

    def gone(self, ids: Sequence[str], job: dict[str, Any] | None) -> set[str] | Pending:
        """Those that are gone of posts of one site. Raises SourceError where that cannot be known."""
