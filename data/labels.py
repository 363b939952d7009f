"""The label names, read from the annotation guide (`guide.md`), which is their only source."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import numpy as np

_ROW = re.compile(r"^\| `(\w+)` \| ([^|]*)", re.MULTILINE)
_INLINE = re.compile(r"`(\w+)` \(([^)]*)\)")


def _guide() -> list[str]:
    text = files("data").joinpath("guide.md").read_text(encoding="utf-8")
    return re.split(r"^## \d+\. ", text, flags=re.MULTILINE)


_problems, _kind, _sentiment, _about, _official = _guide()[1:6]

PROBLEMS: tuple[str, ...] = tuple(name for name, _ in _ROW.findall(_problems))
KINDS: tuple[str, ...] = tuple(name for name, _ in _ROW.findall(_kind))
SENTIMENTS: tuple[str, ...] = tuple(name for name, _ in _INLINE.findall(_sentiment))
ABOUTS: tuple[str, ...] = tuple(name for name, _ in _ROW.findall(_about))
STATUSES: tuple[str, ...] = tuple(name for name, _ in _ROW.findall(_official))
SCOPES: tuple[str, ...] = tuple(name for name, _ in _INLINE.findall(_official))
LANGUAGES: tuple[str, ...] = ("en", "sw", "mixed", "other")

MEANINGS: dict[str, str] = {
    name: meaning.strip()
    for section in (_problems, _kind, _about, _official)
    for name, meaning in _ROW.findall(section)
} | dict(_INLINE.findall(_sentiment) + _INLINE.findall(_official))


def confidence(problems: Any, kind: Any, about: Any) -> Any:
    """How likely it is, heads taken as independent, that kind, about and every problem are right at once.

    From the scores of all problems (along the last axis) and those of the kind and the about that were chosen.
    """
    return np.maximum(problems, 1 - problems).prod(axis=-1) * kind * about
