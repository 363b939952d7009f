"""Which government services a text names, from a list of names and aliases; no model is asked.

Names follow the eCitizen services catalogue (karaalv/kenya-ecitizen-services-dataset, CC BY 4.0).
"""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files

_WORD = re.compile(r"\w+(?:'\w+)?")

# Rows that stand for an office as a whole: dropped where a service of the same office is named.
OFFICE_ROWS = frozenset({"kra tax", "tsc services", "ntsa portal", "immigration services", "land registry"})


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


@cache
def _index() -> tuple[dict[str, list[tuple[tuple[str, ...], str]]], dict[str, str]]:
    """Aliases by their first word, the longest first, with their service; and the agency of each service."""
    by_word: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    agencies = {}
    lines = files("classifier").joinpath("gazetteer.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(lines):
        agencies[row["service"]] = row["agency"]
        for name in (row["service"], *row["aliases"].split("|")):
            words = tuple(_words(name))
            by_word.setdefault(words[0], []).append((words, row["service"]))
    for candidates in by_word.values():
        candidates.sort(key=lambda candidate: -len(candidate[0]))
    return by_word, agencies


def find_services(text: str) -> list[str]:
    """The services named, in alphabetical order; the longest name wins where names overlap."""
    by_word, agencies = _index()
    words = _words(text)
    found = set()
    at = 0
    while at < len(words):
        for name, service in by_word.get(words[at], ()):
            if tuple(words[at : at + len(name)]) == name:
                found.add(service)
                at += len(name)
                break
        else:
            at += 1
    specific = {agencies[service] for service in found if service not in OFFICE_ROWS}
    return sorted(service for service in found if service not in OFFICE_ROWS or agencies[service] not in specific)
