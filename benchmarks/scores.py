"""Scores of a model on the corpus' test part, and on other labelled files, as the tables of the model card.

python benchmarks/scores.py [--model FOLDER] [FILE.jsonl ...]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.card import head_rows, label_examples, score_tables
from classifier.commands import default_corpus
from classifier.corpus import parse_example
from classifier.evaluation import answered, score_answers, score_head, shown_score
from classifier.model import load_model
from data.official import official_handles
from data.redaction import redact

if TYPE_CHECKING:
    from classifier.corpus import Example
    from classifier.model import Model

WANTED = {"problems": ".88", "kind": ".85", "sentiment": ".88", "about": ".90", "status": ".85"}  # macro F1
WANTED_ERROR = ".05"


def whole(model: Model, examples: list[Example]) -> str:
    """The first table of the card, and the status and scope that the messages get as a listed account's."""
    scores = score_answers(examples, [asdict(label) for label in label_examples(model, examples)])
    lines = [f"### The corpus' whole test part: {len(examples):,} posts", "", *head_rows(scores, WANTED), ""]
    for head in ("problems", "kind"):
        all_, half = (shown_score(scores["calibration"], f"{head}_ece{part}") for part in ("", "_from_half"))
        lines.append(
            f"Calibration error of {head} {all_} (wanted {WANTED_ERROR} at most); over what is said with .5 or more {half}."
        )
    messages = [example for example in examples if "scope" in example.labels]
    told = [asdict(label) for label in label_examples(model, messages, official=True)]
    for head in ("status", "scope"):
        true, answers, _ = answered(head, messages, told)
        macro = shown_score(score_head(head, true, answers, 1_000), "macro_f1")
        lines.append(f"Of listed accounts, which get one whatever the kind: {head} macro F1 {macro}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", type=Path)
    chosen = parser.parse_args()
    model = load_model(chosen.model)
    print(f"{model.id}\n")
    posts = [json.loads(line) for line in default_corpus().read_text(encoding="utf-8").splitlines()]
    learnt_briefs = {post["writer"] for post in posts if post["split"] == "train"}
    test = [post for post in posts if post["split"] == "test"]
    print(whole(model, [parse_example(post) for post in test]))
    known, new = [], []
    for post in test:
        (known if post["writer"] in learnt_briefs else new).append(parse_example(post))
    print(score_tables("The corpus' test part, from the briefs of the training part", model, known))
    if new:
        print(score_tables("The corpus' test part, from briefs that training never saw", model, new))
    for path in chosen.files:
        lines = path.read_text(encoding="utf-8").split("\n")
        examples = [parse_example(json.loads(line)) for line in lines if line.strip()]
        redacted = [replace(each, text=redact(each.text, keep_handles=official_handles())) for each in examples]
        print(score_tables(path.name, model, redacted))


if __name__ == "__main__":
    main()
