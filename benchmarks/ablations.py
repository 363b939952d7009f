"""What each choice of the recipe is worth: short trainings from the backbone that differ in one thing, on the same posts.

    python benchmarks/ablations.py --auxiliary DIR [--posts 2500] [--epochs 3] [--only NAME ...] [FILE.jsonl ...]

Needs the `train` extra; about seven minutes a run on two cores without bf16. Scores are on the corpus' dev part, and on the files given; the
seed is varied too, since a difference smaller than that between two seeds says nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from classifier.auxiliary import LABELS_FILE
from classifier.commands import default_corpus
from classifier.corpus import Example, load_corpus, parse_example
from classifier.evaluation import score_answers
from classifier.labelling import label_texts
from classifier.model import load_model
from classifier.train import Recipe, train
from data.official import official_handles
from data.redaction import redact

SEED = 20_260_305
TEST_POSTS = 50  # training scores a test part, which these runs do not look at
CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another seed": {"seed": 8},
    "texts as they are": {"vary_texts": False},
    "no label smoothing": {"label_smoothing": 0.0},
    "no posts joined": {"joined_posts": 0.0},
    "no pieces hidden": {"hidden_pieces": 0.0},
    "no mean of the weights": {"averaging": 0.0},
    "word vectors trained too": {"freeze_words": False},
    "half the learning rate": {"learning_rate": 1e-4},
    "public posts beside them": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--auxiliary", type=Path, required=True)
    parser.add_argument("--posts", type=int, default=2_500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CHANGES, default=list(CHANGES))
    chosen = parser.parse_args()
    sets = {"dev": [example for example in load_corpus(default_corpus()) if example.split == "dev"]}
    for path in chosen.files:
        lines = path.read_text(encoding="utf-8").split("\n")
        examples = [parse_example(json.loads(line)) for line in lines if line.strip()]
        sets[path.stem] = [replace(each, text=redact(each.text, keep_handles=official_handles())) for each in examples]
    print(f"{chosen.posts:,} posts of the train part, {chosen.epochs} epochs; macro F1, of problems also micro F1\n")
    print("| run | posts | problems | micro | kind | sentiment | about |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        corpus = _sample(Path(folder), chosen.posts)
        for name in chosen.only:
            recipe = Recipe(epochs=chosen.epochs, **CHANGES[name])
            public = chosen.auxiliary if name.startswith("public") else None
            made = train([corpus], Path(folder), f"ablation_{list(CHANGES).index(name)}", recipe, auxiliary=public)
            model = load_model(made)
            for part, examples in sets.items():
                print(f"| {name} | {part} | {_row(model, examples)} |", flush=True)


def _sample(folder: Path, posts: int) -> Path:
    """A corpus of as many train posts, the whole dev part and a little of test, beside the labels of public posts."""
    rows = [json.loads(line) for line in default_corpus().read_text(encoding="utf-8").splitlines()]
    parts = {split: [row for row in rows if row["split"] == split] for split in ("train", "dev", "test")}
    kept = random.Random(SEED).sample(parts["train"], posts) + parts["dev"] + parts["test"][:TEST_POSTS]
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")
    (folder / LABELS_FILE).write_bytes(default_corpus().with_name(LABELS_FILE).read_bytes())
    return path


def _row(model: Any, examples: list[Example]) -> str:
    labels = label_texts(model, [example.text for example in examples])
    scores = score_answers(examples, [asdict(label) for label in labels], resamples=0, slices=False)
    cells = [scores["problems"]["macro_f1"], scores["problems"]["micro_f1"]]
    cells += [scores[head]["macro_f1"] for head in ("kind", "sentiment", "about")]
    return " | ".join(f"{cell:.3f}" for cell in cells)


if __name__ == "__main__":
    main()
