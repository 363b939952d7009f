"""The query of the settings, terms and exclusions, in texts that the tracker itself must sift, and as platforms write it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_HYPHENS = "[-\u2010-\u2013\u2212]"  # phones write others than the keyboard's


def matcher(terms: Iterable[str], exclusions: Iterable[str] = ()) -> Callable[[str], bool]:
    """Whether a text holds one of the terms and no exclusion, as whole words: "e citizen" is not in "the citizen"."""
    wanted, unwanted = _pattern(terms), _pattern(exclusions)

    def matches(text: str) -> bool:
        plain = _plain(text)
        return wanted.search(plain) is not None and unwanted.search(plain) is None

    return matches


def distinct(terms: Iterable[str]) -> list[str]:
    """The terms that hold a word, without those that are the same in another case or spacing, as platforms see it."""
    first: dict[str, str] = {}
    for term in (" ".join(each.split()) for each in terms):
        if re.search(r"\w", term):
            first.setdefault(_plain(term).lower(), term)
    return list(first.values())


def as_phrase(term: str) -> str:
    """The term in quotation marks, which it must not hold itself."""
    return f'"{term.replace(chr(34), " ").strip()}"'


def _pattern(terms: Iterable[str]) -> re.Pattern[str]:
    written = [r"\s+".join(map(_part, _plain(term).split())) for term in dict.fromkeys(terms) if term.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(written) or '(?!)'})(?!\w)", re.IGNORECASE)


def _plain(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)  # wide letters, as some keyboards write them


def _part(part: str) -> str:
    return re.escape(part).replace(r"\-", _HYPHENS)
