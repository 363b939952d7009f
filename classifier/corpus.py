"""Labelled posts: the corpus of the project, and the files that `evaluate` is given."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data.errors import InputError
from data.labels import ABOUTS, KINDS, LANGUAGES, PROBLEMS, SCOPES, SENTIMENTS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The questions that the model answers of a post, in the order of its outputs.
HEADS: dict[str, tuple[str, ...]] = {
    "problems": PROBLEMS,
    "kind": KINDS,
    "sentiment": SENTIMENTS,
    "about": ABOUTS,
    "lang": LANGUAGES,
    "status": STATUSES,
    "scope": SCOPES,
}
SPLITS = ("train", "dev", "test")
_LABEL_LIKE = re.compile(r"[A-Za-z_ -]{1,24}")


@dataclass(frozen=True, slots=True)
class Example:
    """A post with its labels; `labels` holds a list for problems and one name for each other head that was answered.
    `is_reply`: the platform says that it answers another post."""

    text: str
    labels: dict[str, Any]
    split: str | None = None
    votes: list[dict[str, Any]] = field(default_factory=list)
    is_reply: bool = False

    def shares(self, head: str) -> list[float]:
        """The share of the votes for each label of a head; all zero where nobody answered it."""
        answers = [vote[head] for vote in self.votes or [self.labels] if vote.get(head) is not None]
        if not answers:
            return [0.0] * len(HEADS[head])
        chosen = [answer if isinstance(answer, list) else [answer] for answer in answers]
        return [sum(label in choice for choice in chosen) / len(chosen) for label in HEADS[head]]


def parse_example(record: dict[str, Any]) -> Example:
    """A labelled post. Raises InputError where a label is not in the guide."""
    text = record.get("text")
    if not isinstance(text, str):
        raise InputError("text is missing")
    labels = checked_labels(record)
    votes = record.get("votes") or []
    if not isinstance(votes, list) or not all(isinstance(vote, dict) for vote in votes):
        raise InputError("votes must be a list of objects")
    votes = [checked_labels(vote) | ({"lang": labels["lang"]} if "lang" in labels else {}) for vote in votes]
    return Example(text, labels, record.get("split"), votes, bool(record.get("reply_to")))


def checked_labels(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record answers of the guide's questions: a list for problems, one name for each other head.

    Raises InputError where a label is not in the guide.
    """
    labels: dict[str, Any] = {}
    for head, names in HEADS.items():
        value = record.get(head)
        if value is None or (value == "" and head != "problems"):
            continue
        if head == "problems":
            value = [part.strip() for part in value.split("|") if part.strip()] if isinstance(value, str) else value
            if not isinstance(value, list):
                raise InputError("problems must be a list")
        elif isinstance(value, list):
            raise InputError(f"{head} must be one label")
        given = value if isinstance(value, list) else [value]
        wrong = [label for label in given if label not in names]
        if wrong:
            # Where columns have shifted the value is a text, which no message quotes.
            quoted = isinstance(wrong[0], str) and _LABEL_LIKE.fullmatch(wrong[0])
            shown = repr(wrong[0]) if quoted else "a value"
            raise InputError(f"{head} has {shown}, which is not in the guide: use {', '.join(names)}")
        labels[head] = value
    return labels


def load_corpus(path: Path) -> list[Example]:
    """The examples of a JSONL file. Raises InputError with the line that is wrong."""
    examples = []
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise InputError("expected a JSON object")
            example = parse_example(record)
            if example.split not in SPLITS:
                raise InputError(f"split must be one of {', '.join(SPLITS)}")
        except (InputError, ValueError) as error:
            raise InputError(f"{path}, line {number}: {error}") from None
        examples.append(example)
    return examples
