"""One module a platform, each of the shape of `collector.page.Source`; a new one is a file here and its name in NAMES."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collector.page import Source

NAMES = ("x", "reddit", "bluesky", "mastodon", "news", "reviews", "official")
REOPENED = (
    "official",
)  # what there is to read can change while it is read again and again: its streams are opened at each run


def load_source(name: str) -> Source:
    """The module of a source; only then are the platform's libraries imported."""
    return cast("Source", import_module(f"{__name__}.{name}"))
