"""How much of what is personal the redaction finds, and how much of what it takes is: over cases written by hand.

`part` says when a case was written: the `first` before the rules were tried on any of them, the `fresh` after they had been
mended by the first. A case is never changed to suit the rules.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data.official import official_handles
from data.redaction import MENTION, PLACEHOLDERS, normalise, redact

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("redaction_cases.jsonl").read_text(encoding="utf-8").splitlines()
]
LEAST_RECALL, LEAST_PRECISION = 0.99, 0.97
_MARK = re.compile("(" + "|".join(map(re.escape, (*PLACEHOLDERS, MENTION))) + ")")

Span = tuple[int, int, str]


def spans(text: str, redacted: str) -> list[Span]:
    """Begin, end and placeholder of what was taken out of a text."""
    literals = _MARK.split(redacted)
    pattern = "".join("(.+?)" if index % 2 else re.escape(part) for index, part in enumerate(literals))
    found = re.fullmatch(pattern, text, re.DOTALL)
    assert found, f"{redacted!r} is not {text!r} with parts taken out"
    return [(*found.span(number), mark) for number, mark in enumerate(literals[1::2], 1)]


def inside(span: Span, others: list[Span]) -> bool:
    covered = {place for begin, end, _ in others for place in range(begin, end)}
    return covered.issuperset(range(*span[:2]))


@dataclass
class Figures:
    """Recall: of the personal spans, those of which nothing is left. Precision: of what was taken, that which is personal alone."""

    found: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    wrong_cases: list[str] = field(default_factory=list)

    def add(self, case: dict[str, str]) -> None:
        text = normalise(case["text"])
        redacted = redact(text, keep_handles=official_handles())
        # What is written as a mark already, such as a mention that stays, is no span.
        personal, taken = spans(text, normalise(case["expected"])), spans(text, redacted)
        for span in personal:
            (self.found if inside(span, taken) else self.missed)[span[2]] += 1
        for span in taken:
            (self.right if inside(span, personal) else self.wrong)[span[2]] += 1
        if redacted != normalise(case["expected"]):
            self.wrong_cases.append(f"{case['kind']}: {case['text']}\n    -> {redacted}")

    def recall(self, *marks: str) -> float:
        return _share(self.found, self.missed, marks)

    def precision(self, *marks: str) -> float:
        return _share(self.right, self.wrong, marks)

    def table(self) -> str:
        lines = [
            f"{mark:10} recall {self.recall(mark):.3f} of {self.found[mark] + self.missed[mark]:3}, "
            f"precision {self.precision(mark):.3f} of {self.right[mark] + self.wrong[mark]:3}"
            for mark in (*PLACEHOLDERS, MENTION)
        ]
        total = f"{'all':10} recall {self.recall():.3f} of {self.found.total() + self.missed.total():3}, "
        total += f"precision {self.precision():.3f} of {self.right.total() + self.wrong.total():3}"
        return "\n".join([*lines, total, *self.wrong_cases])


def _share(good: Counter[str], bad: Counter[str], marks: tuple[str, ...]) -> float:
    of = marks or tuple(good | bad)
    total = sum(good[mark] + bad[mark] for mark in of)
    return sum(good[mark] for mark in of) / total if total else 1.0


def figures(part: str | None = None) -> Figures:
    result = Figures()
    for case in CASES:
        if part in (None, case["part"]):
            result.add(case)
    return result


@pytest.mark.parametrize("part", ["first", "fresh", None])
def test_redaction_finds_what_is_personal_and_little_else(part: str | None) -> None:
    result = figures(part)
    print(result.table())
    assert result.recall() >= LEAST_RECALL
    assert result.precision() >= LEAST_PRECISION


def test_the_cases_are_many_different_and_balanced() -> None:
    assert len(CASES) >= 500
    assert len({case["text"] for case in CASES}) == len(CASES)
    personal = sum(case["expected"] != case["text"] for case in CASES)
    assert 0.4 < personal / len(CASES) < 0.6
    assert {case["part"] for case in CASES} == {"first", "fresh"}
