"""A TF-IDF rival: word and character n-grams with logistic regression, beside the model on the same posts.

    python benchmarks/rival.py [--auxiliary DIR] [--model FOLDER] [FILE.jsonl ...]        (needs the `train` extra)

The rival learns from the corpus' train and dev parts, which is generous: the model learns from train alone; with
`--auxiliary`, from the labelled public posts as well, as the model does.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_union

from classifier.auxiliary import LABELS_FILE, load_auxiliary
from classifier.commands import default_corpus
from classifier.corpus import HEADS, Example, load_corpus, parse_example
from classifier.evaluation import answered, compare, indicators, score_head
from classifier.labelling import label_texts
from classifier.model import load_model
from data.official import official_handles
from data.redaction import redact

COMPARED = ("problems", "kind", "sentiment", "about", "status", "scope")


def texts_of(examples: list[Example]) -> list[str]:
    return [redact(example.text, keep_handles=official_handles()) for example in examples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--auxiliary", type=Path)
    parser.add_argument("--model", type=Path)
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
    for head in COMPARED:
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
        ours = [asdict(label) for label in label_texts(model, texts)]
        theirs: list[dict[str, Any]] = [{} for _ in examples]
        for head, rival in rivals.items():
            for answer, told in zip(theirs, rival.predict(features.transform(texts)), strict=True):
                answer[head] = (
                    [label for label, is_in in zip(HEADS[head], told, strict=True) if is_in]
                    if head == "problems"
                    else told
                )
        differences = compare(examples, ours, theirs)
        print(f"{name}: {len(examples)} posts, {model.id}\n")
        print("| head | rival macro F1 | model macro F1 | model less rival, paired bootstrap |\n|---|---|---|---|")
        for head in COMPARED:
            if head not in differences:
                continue
            scores = []
            for side in (theirs, ours):
                true, told, _ = answered(head, examples, side)
                scores.append(score_head(head, true, told)["macro_f1"])
            row = differences[head]["macro_f1"]
            low, high = row["difference_ci95"]
            print(
                f"| {head} | {scores[0]:.3f} | {scores[1]:.3f} | {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}] |"
            )
        print()


if __name__ == "__main__":
    main()
