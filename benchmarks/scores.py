"""Scores of a model on the corpus' test part, and on other labelled files, as the tables of the model card.

python benchmarks/scores.py [--model FOLDER] [FILE.jsonl ...]
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from classifier.commands import default_corpus
from classifier.corpus import Example, load_corpus, parse_example
from classifier.evaluation import SCORED, indicators, score_answers
from classifier.labelling import label_texts
from classifier.model import Model, load_model
from data.official import official_handles
from data.redaction import redact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", type=Path)
    chosen = parser.parse_args()
    model = load_model(chosen.model)
    print(f"{model.id}\n")
    test = [example for example in load_corpus(default_corpus()) if example.split == "test"]
    show("the corpus' test part", model, test)
    for path in chosen.files:
        import json

        lines = path.read_text(encoding="utf-8").splitlines()
        show(path.name, model, [parse_example(json.loads(line)) for line in lines if line.strip()])


def show(name: str, model: Model, examples: list[Example]) -> None:
    texts = [redact(example.text, keep_handles=official_handles()) for example in examples]
    labels = label_texts(model, texts)
    answers = [asdict(label) for label in labels]
    scores = score_answers(examples, answers)
    print(f"### {name}: {len(examples)} posts\n")
    print("| head | macro F1 | micro F1 or accuracy |\n|---|---|---|")
    for head in SCORED:
        if head in scores:
            other = "micro_f1" if head == "problems" else "accuracy"
            print(f"| {head} | {interval(scores[head], 'macro_f1')} | {interval(scores[head], other)} |")
    print(f"\nCalibration error of problems {interval(scores['calibration'], 'problems_ece')}.")
    named = [
        (example.labels["lang"], label.lang)
        for example, label in zip(examples, labels, strict=True)
        if "lang" in example.labels
    ]
    if named:
        print(f"Language told right: {sum(true == told for true, told in named) / len(named):.3f}.")
    unsure = [index for index, label in enumerate(labels) if label.unsure]
    print(f"Marked unsure: {len(unsure)} ({len(unsure) / len(labels):.1%}).\n")
    print("| head | label | precision | recall | F1 | posts |\n|---|---|---|---|---|---|")
    for head in SCORED:
        for label, row in scores.get(head, {}).get("per_label", {}).items():
            print(
                f"| {head} | {label} | {row['precision']:.2f} | {row['recall']:.2f} | {interval(row, 'f1')} | {row['support']} |"
            )
    print("\n| language | posts | problems micro | kind | sentiment | about |\n|---|---|---|---|---|---|")
    for lang, part in scores["by_lang"].items():
        cells = [interval(part["problems"], "micro_f1")] + [
            interval(part[head], "macro_f1") for head in ("kind", "sentiment", "about")
        ]
        print(f"| {lang} | {part['n']} | {' | '.join(cells)} |")
    truth = indicators("problems", [example.labels["problems"] for example in examples])
    guess = indicators("problems", [label.problems for label in labels])
    print(f"\nPosts with every problem right: {(truth == guess).all(axis=1).mean():.3f}.\n")


def interval(scores: dict, name: str) -> str:
    low, high = scores[f"{name}_ci95"]
    return f"{scores[name]:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
