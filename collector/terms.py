"""The terms of the settings, found in texts that the tracker itself must sift: as words, in any case and spacing."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_HYPHENS = "[-\u2010-\u2013\u2212]"  # phones write others than the keyboard's


def matcher(terms: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text holds one of the terms as whole words: "e citizen" is not in "the citizen"."""
    written = [r"\s+".join(map(_part, _plain(term).split())) for term in dict.fromkeys(terms) if term.strip()]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(written) or '(?!)'})(?!\w)", re.IGNORECASE)
    return lambda text: pattern.search(_plain(text)) is not None


def _plain(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)  # wide letters, as some keyboards write them


def _part(part: str) -> str:
    return re.escape(part).replace(r"\-", _HYPHENS)
