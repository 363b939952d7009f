"""Public posts of people, beside the corpus: used in training where a user has them, never part of the project.

| folder | origin | licence | what is taken |
|---|---|---|---|
| afrisenti_swa | afrisenti-semeval/afrisent-semeval-2023, `data_swa_train.tsv` | CC BY 4.0 | sentiment as its annotators gave it |
| sentitel | davidkabiito/Sentitel, `Dataset_sentitel_train.json` | Unlicense | posts labelled anew by the guide |
| nigerian_isp | KoredeAkande/nigerian_isp_sentiment_analysis, `data_interim_annotated-sample-2021_10_28.csv` | MIT | posts labelled anew by the guide |

The new labels are the project's: `data/corpus/public_labels.jsonl` holds them by the SHA-256 of a post's text, without the
text. Nothing else of these sets is read, no test split above all.
"""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from typing import TYPE_CHECKING

from classifier.corpus import Example, parse_example
from data.errors import InputError
from data.official import official_handles
from data.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AFRISENTI = "afrisenti_swa/data_swa_train.tsv"
SENTITEL = "sentitel/Dataset_sentitel_train.json"
NIGERIAN_ISP = "nigerian_isp/data_interim_annotated-sample-2021_10_28.csv"
LABELS_FILE = "public_labels.jsonl"


def load_auxiliary(folder: Path, labels: Path) -> tuple[list[Example], dict[str, str]]:
    """Training examples of the public sets in `folder`, and the SHA-256 of each file read, that of `labels` among them.

    A post that `labels` holds has those labels; one of AfriSenti the sentiment of its annotators; the rest is left out.
    Raises InputError where a file is missing or is not what it should be.
    """
    known = {}
    try:
        content = labels.read_bytes()
        for line in content.decode().splitlines():
            record = json.loads(line)
            known[record.pop("text_sha256")] = record
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{labels} cannot be read as labels of public posts: {type(error).__name__}") from None
    examples, hashes = [], {labels.name: sha256(content).hexdigest()}
    for name in (AFRISENTI, SENTITEL, NIGERIAN_ISP):
        path = folder / name
        try:
            hashes[name] = sha256(path.read_bytes()).hexdigest()
            rows = dict(_rows(path, name))
            if not rows:
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read as that public set: {type(error).__name__}") from None
        for text, sentiment in rows.items():
            answered = known.get(text_sha256(text), {}) | ({"sentiment": sentiment} if sentiment else {})
            if answered:
                record = {"text": redact(text, keep_handles=official_handles()), "split": "train"}
                examples.append(parse_example(record | answered))
    return examples, hashes


def text_sha256(text: str) -> str:
    """By what a public post's labels are found."""
    return sha256(text.encode()).hexdigest()


def _rows(path: Path, name: str) -> Iterator[tuple[str, str | None]]:
    """Each text with its sentiment, where the set's own is of use."""
    with path.open(encoding="utf-8", newline="") as file:
        if name == AFRISENTI:
            for row in csv.DictReader(file, delimiter="\t"):
                yield row["tweet"].strip(), row["label"].strip()
        elif name == SENTITEL:
            for record in json.load(file):
                yield record["text"].strip(), None
        else:
            for row in csv.DictReader(file):
                yield row["text"].strip(), None
