"""Variations of a training text that leave its labels as they are: how people type, and whom they address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_ADDRESSED = re.compile(r"^(@user[ ,:]*)+")
_CAPITAL = re.compile(r"(?<![<A-Z])[A-Z](?![A-Z]*>)")  # those of placeholders such as <PHONE> stay
_PUNCTUATION = re.compile(r"[.,!?;:]+")


def vary(text: str, random: Random, *, readdress: bool = True) -> str:
    """The text as another person might have typed it; about half of the calls change something.

    Who is addressed with `@user` says nothing of what a post is, but a corpus has more desks than users begin that way. It does
    say whether an official message is a statement or a reply: without `readdress` it stays.
    """
    if random.random() < 0.25 and readdress:
        text = _readdress(text, random)
    if random.random() < 0.15:
        text = _CAPITAL.sub(lambda match: match.group().lower(), text)
    if random.random() < 0.12:
        text = _PUNCTUATION.sub("", text)
    if random.random() < 0.10:
        text = text.replace("#", "")
    if random.random() < 0.20:
        words = text.split(" ")
        for _ in range(1 + len(words) // 12):
            index = random.randrange(len(words))
            words[index] = _mistype(words[index], random)
        text = " ".join(words)
    return text


def _readdress(text: str, random: Random) -> str:
    addressed = _ADDRESSED.match(text)
    if addressed:
        return text[addressed.end() :] or text
    if text.startswith("@"):
        return text
    return "@user " * random.choice((1, 1, 1, 2)) + text


def _mistype(word: str, random: Random) -> str:
    """One letter inside the word dropped, swapped with the next, or doubled; short words and marks stay."""
    if len(word) < 4 or word[0] in "@#<":
        return word
    at = random.randrange(1, len(word) - 1)
    return random.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[: at + 1] + word[at:],
        )
    )
