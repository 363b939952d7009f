"""Names that could be taken for an official account's: case, signs, look-alike letters, an added word, a slip of one letter.

The rule compares whole names. "Citizen Kenya" is nobody's look-alike, since people read the first letter of a name; a name
that only contains an official one ("eCitizen victims") is none either, unless the rest are words that offices add themselves.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST_CORE = 4  # letters that must be left when an added word is taken off
LEAST_FOR_A_SLIP = 7  # letters without any added word: in shorter names one letter makes another name
MOST_CHARACTERS = 200  # no platform has longer names
WAYS = ("same", "word", "letter")
_NAMES_KEPT = 8_192  # in memory alone, with what they resemble

# Letters of other alphabets, digits and signs that are drawn like Latin letters (Unicode's decomposition takes care of the
# accented ones). `l` becomes `i`, as I, l and 1 are one in most type.
_CONFUSABLE = str.maketrans(
    {
        drawn: letter
        for letter, alike in {
            "a": "аαɑ4@", "b": "вβь8", "c": "сϲᴄ", "d": "ԁđð", "e": "еєε3ё", "g": "ɡց", "h": "һн", "i": "іιıl1|ӏɩ", "j": "јϳ",
            "k": "кκ", "m": "м", "n": "пηᴨ", "o": "оοσ0ø", "p": "рρ", "q": "ԛ", "s": "ѕ5$", "t": "тτ7", "u": "υս", "v": "νѵ",
            "w": "ԝωѡ", "x": "хχ", "y": "уγү", "z": "ᴢ",
        }.items()
        for drawn in alike
    }
)  # fmt: skip
_SIGNS, _END_DIGITS = re.compile(r"[\W_]+"), re.compile(r"^\d+|\d+$")
_PAIRS = (("rn", "m"), ("vv", "w"))
# Words that offices add to a name, and impostors too.
_ADDED_WORDS = """
    ke kenya kenyan gov govt govke goke gok go government republic serikali official rasmi real the
    help helpdesk helpline desk care customercare customer support team service services info online app portal web site
    contact contacts ask agent agents assist assistance msaada huru updates update alert alerts digital plc ltd page bot
"""
# What is left of a name must not be an everyday word: "Kenya Power" is no added word before "power".
_EVERYDAY = frozenset({"citizen", "citizens", "power", "immigration", "revenue"})


def skeleton(name: str) -> str:
    """The letters and digits of a name as the eye takes them: `3C1TIZEN_Kenya` is `ecitizenkenya`; I, l and 1 are one."""
    plain = name[:MOST_CHARACTERS]
    plain = (plain if plain.isascii() else unicodedata.normalize("NFKD", plain)).casefold()
    drawn = _SIGNS.sub("", plain.translate(_CONFUSABLE))
    for pair, letter in _PAIRS:
        drawn = drawn.replace(pair, letter)
    return drawn


_WORDS = tuple(sorted({skeleton(word) for word in _ADDED_WORDS.split()}, key=len, reverse=True))


def core(drawn: str, least: int = LEAST_CORE) -> str:
    """A skeleton without the words that offices add, as long as `least` letters and no everyday word are left."""
    for has, cut in ((str.endswith, str.removesuffix), (str.startswith, str.removeprefix)):
        while has(drawn, _WORDS):
            rest = cut(drawn, next(word for word in _WORDS if has(drawn, word)))
            if len(rest) < least or rest in _EVERYDAY:
                break
            drawn = rest
    return drawn


def _shorter(drawn: str) -> set[str]:
    """A skeleton, and what is left of it with any of the added words taken off, in any order."""
    found, ahead = {drawn}, [drawn]
    while ahead:
        whole = ahead.pop()
        rests = {cut(whole, word) for word in _WORDS for cut in (str.removesuffix, str.removeprefix)}
        fresh = {rest for rest in rests - found if len(rest) >= LEAST_CORE}
        found |= fresh
        ahead += fresh
    return found


def is_slip(one: str, other: str) -> bool:
    """Whether one letter left out, added, changed or swapped with its neighbour makes one of the other; never the first."""
    if one == other or abs(len(one) - len(other)) > 1 or one[:1] != other[:1]:
        return False
    start = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True  # the longer one has a letter more at its end
    rest, others = one[start:], other[start:]
    swapped = rest[:2] == others[1::-1] and rest[2:] == others[2:]
    return swapped or rest[1:] == others[1:] or rest[1:] == others or rest == others[1:]


class Lookalikes:
    """Finds what a handle or a displayed name resembles among the listed names, given as (key, name) in order of weight."""

    def __init__(self, listed: Iterable[tuple[str, str]]) -> None:
        self._whole: dict[str, str] = {}
        self._cores: dict[str, str] = {}
        self._slips: dict[tuple[str, int], list[tuple[str, str]]] = {}  # by first letter and length
        for key, name in listed:
            drawn = skeleton(name)
            if len(drawn) < LEAST_CORE:
                continue
            reduced = core(drawn)
            self._whole.setdefault(drawn, key)
            self._cores.setdefault(reduced, key)
            if len(core(drawn, 1)) >= LEAST_FOR_A_SLIP:
                for length in range(len(reduced) - 1, len(reduced) + 2):
                    self._slips.setdefault((reduced[0], length), []).append((reduced, key))
        self._holds_one = re.compile("|".join(sorted(map(re.escape, self._cores))) or "(?!)").search
        self.find = lru_cache(_NAMES_KEPT)(self._look_at)  # most people write more than once

    def _look_at(self, name: str) -> tuple[str, str] | None:
        """(key, one of WAYS) of the listed name that this one resembles, None where it resembles none."""
        drawn = skeleton(name)
        if found := self._find(drawn):
            return found
        # Digits at an end can stand for letters (`ecitizenkeny4`) or be a number (`ecitizen254`).
        plain = _SIGNS.sub("", name[:MOST_CHARACTERS])
        bare = _END_DIGITS.sub("", plain)
        if bare != plain and (again := self._find(skeleton(bare))):
            return again[0], "word"
        return None

    def _find(self, drawn: str) -> tuple[str, str] | None:
        if drawn in self._whole:
            return self._whole[drawn], "same"
        if self._holds_one(drawn):
            for rest in sorted(_shorter(drawn), key=len, reverse=True):
                if key := self._whole.get(rest) or self._cores.get(rest):
                    return key, "word"
        reduced = core(drawn)
        for listed, key in self._slips.get((reduced[:1], len(reduced)), ()):
            if is_slip(listed, reduced):
                return key, "letter"
        return None


@lru_cache(maxsize=4)
def lookalikes(listed: tuple[tuple[str, str], ...]) -> Lookalikes:
    """The index of a list, made once as long as the list stays."""
    return Lookalikes(listed)
