"""Sentiment on AfriSenti Swahili's dev split, and optionally of a model that never saw its train split.

    python benchmarks/afrisenti.py DIR [--model FOLDER]

DIR is the folder of public sets that `tracker train --auxiliary` takes; the test split is not read.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from classifier.evaluation import RESAMPLES, score_head
from classifier.labelling import label_texts
from classifier.model import load_model
from data.official import official_handles
from data.redaction import redact


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=None)
    options = parser.parse_args()
    with (options.folder / "afrisenti_swa" / "data_swa_dev.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    model = load_model(options.model)
    labels = label_texts(model, [redact(row["tweet"], keep_handles=official_handles()) for row in rows])
    scores = score_head("sentiment", [row["label"] for row in rows], [label.sentiment for label in labels], RESAMPLES)
    print(f"{model.id}, AfriSenti Swahili dev, {len(rows)} posts\n")
    print("| measure | value | 95 % interval |\n|---|---|---|")
    for name in ("macro_f1", "weighted_f1", "accuracy"):
        low, high = scores[f"{name}_ci95"]
        print(f"| {name} | {scores[name]:.3f} | {low:.3f} to {high:.3f} |")
    for label, row in scores["per_label"].items():
        print(
            f"| F1 of {label} ({row['support']}) | {row['f1']:.3f} | {row['f1_ci95'][0]:.3f} to {row['f1_ci95'][1]:.3f} |"
        )


if __name__ == "__main__":
    main()
