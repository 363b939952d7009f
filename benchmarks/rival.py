"""A TF-IDF rival: word and character n-grams with logistic regression, beside the model on the same posts.

    python benchmarks/rival.py [--auxiliary DIR] [--model FOLDER] [--heads HEAD ...] [FILE.jsonl ...]        (needs the `train` extra)

The rival learns from the corpus' train and dev parts, which is generous: the model learns from train alone; with
`--auxiliary`, from the labelled public posts as well, as the model does. Of status and scope it is told which posts are official. The
model is not, so that one which it takes for another kind is a miss, but in the rows "of listed accounts", of whose posts the
tracker knows it too.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_union

from classifier.auxiliary import LABELS_FILE, load_auxiliary
from classifier.card import label_examples
from classifier.commands import default_corpus
from classifier.corpus import HEADS, Example, load_corpus, parse_example
from classifier.evaluation import EVERY_POST, compare, indicators
from classifier.model import load_model
from data.official import official_handles
from data.redaction import redact

OF_MESSAGES = ("status", "scope")
COMPARED = (*EVERY_POST, *OF_MESSAGES)


def texts_of(examples: list[Example]) -> list[str]:
    return [redact(example.text, keep_handles=official_handles()) for example in examples]


def print_row(
    title: str, head: str, examples: list[Example], ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> None:
    """A row of the table; none where the examples do not answer the head."""
    row = compare(examples, ours, theirs).get(head, {}).get("macro_f1")
    if row is not None:
        low, high = row["difference_ci95"]
        print(
            f"| {title} | {row['theirs']:.3f} | {row['ours']:.3f} | {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}] |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--auxiliary", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--heads", nargs="+", choices=COMPARED, default=COMPARED)
    chosen = parser.parse_args()
    corpus = load_corpus(default_corpus())
    learnt = [example for example in corpus if example.split != "test"]
    if chosen.auxiliary:
        learnt += load_auxiliary(chosen.auxiliary, default_corpus().with_name(LABELS_FILE))[0]
    sets = {"the corpus' test part": [example for example in corpus if example.split == "test"]}
    for path in chosen.files:
        lines = path.read_text(encoding="utf-8").split("\n")
        sets[path.name] = [parse_example(json.loads(line)) for line in lines if line.strip()]
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True),
    )
    matrix = features.fit_transform(texts_of(learnt))
    rivals: dict[str, Any] = {}
    for head in chosen.heads:
        regression = LogisticRegression(C=10, max_iter=500, class_weight="balanced")
        asked = [index for index, example in enumerate(learnt) if head in example.labels]
        answers = [learnt[index].labels[head] for index in asked]
        if head == "problems":
            rivals[head] = OneVsRestClassifier(regression).fit(matrix[asked], indicators(head, answers).astype(int))
        else:
            rivals[head] = regression.fit(matrix[asked], answers)
    model = load_model(chosen.model)
    print(f"the rival learnt from {len(learnt):,} posts\n")
    for name, examples in sets.items():
        texts = texts_of(examples)
        redacted = [replace(example, text=text) for example, text in zip(examples, texts, strict=True)]
        ours = [asdict(label) for label in label_examples(model, redacted)]
        theirs: list[dict[str, Any]] = [{} for _ in examples]
        for head, rival in rivals.items():
            for answer, told in zip(theirs, rival.predict(features.transform(texts)), strict=True):
                answer[head] = (
                    [label for label, is_in in zip(HEADS[head], told, strict=True) if is_in]
                    if head == "problems"
                    else told
                )
        listed = [asdict(label) for label in label_examples(model, redacted, official=True)]
        print(f"{name}: {len(examples)} posts, {model.id}\n")
        print("| head | rival macro F1 | model macro F1 | model less rival, paired bootstrap |\n|---|---|---|---|")
        for head in chosen.heads:
            print_row(head, head, examples, ours, theirs)
            if head in OF_MESSAGES:
                print_row(f"{head}, of listed accounts", head, examples, listed, theirs)
        print()


if __name__ == "__main__":
    main()
