"""Scores of a model on the corpus' test part, and on other labelled files, as the tables of the model card.

python benchmarks/scores.py [--model FOLDER] [FILE.jsonl ...]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from classifier.card import score_tables
from classifier.commands import default_corpus
from classifier.corpus import parse_example
from classifier.model import load_model
from data.official import official_handles
from data.redaction import redact


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
