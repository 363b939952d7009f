"""Whether a text mentions a term."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def mentions(text: str, terms: tuple[str, ...]) -> bool:
    """Whether any term stands in the text as words of its own, in any case and width; a space in a term is any white space."""
    return _pattern(terms).search(_folded(text)) is not None


@lru_cache(maxsize=8)
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str]:
    words = (r"\s+".join(map(re.escape, _folded(term).split())) for term in terms)
    # Without the edges, "e citizen" is found in "the citizen".
    return re.compile(r"(?<!\w)(?:" + "|".join(word for word in words if word) + r")(?!\w)")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
