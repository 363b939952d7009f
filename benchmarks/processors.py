"""How far scores move on another kind of processor: the same posts here, and on an emulated processor without its vector instructions.

    python benchmarks/processors.py [--posts 300] [--processor Nehalem Haswell]        (needs Debian's qemu-user)

ONNX Runtime picks other kernels where AVX2 or AVX-512 is missing. Prints, for each processor, the posts whose labels are all the same as
here and the largest difference of a score, beside what `tracker rerun` tolerates; ends with status 1 where that is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from classifier.commands import default_corpus
from classifier.corpus import load_corpus
from classifier.labelling import label_texts
from classifier.model import load_model
from classifier.rerun import TOLERANCE

SEED = 20_260_305
PROCESSORS = ("Nehalem", "Haswell")  # SSE4.2 alone; AVX2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--processor", nargs="*", default=PROCESSORS)
    parser.add_argument("--label", nargs=2, metavar=("TEXTS", "LABELS"), help="what the emulated process is asked")
    options = parser.parse_args()
    if options.label:
        texts, labels = map(Path, options.label)
        labels.write_text(json.dumps(labelled(json.loads(texts.read_text(encoding="utf-8")))), encoding="utf-8")
        return
    texts = sorted({example.text for example in load_corpus(default_corpus()) if example.split == "test"})
    random.Random(SEED).shuffle(texts)
    texts = texts[: options.posts]
    here = labelled(texts)
    print(f"{load_model().id}, {len(texts):,} posts of the test part, seed {SEED}\n")
    print("| processor | SHA-256 of every label and score | posts with equal labels | largest difference of a score |")
    print(f"|---|---|---|---|\n| this one | {digest(here)} | | |")
    fails = False
    for name in options.processor:
        there = emulated(name, texts)
        equal = sum(_labels(a) == _labels(b) for a, b in zip(here, there, strict=True)) / len(texts)
        largest = max(abs(a - b) for one, other in zip(here, there, strict=True) for a, b in _scores(one, other))
        print(f"| {name} (emulated) | {digest(there)} | {equal:.4f} | {largest:.6f} |", flush=True)
        fails |= equal < TOLERANCE["posts_with_equal_labels"] or largest > TOLERANCE["score_difference"]
    print(f"\ntolerated: {TOLERANCE}")
    sys.exit(fails)


def labelled(texts: list[str]) -> list[dict[str, Any]]:
    return [asdict(label) for label in label_texts(load_model(threads=1), texts)]


def emulated(processor: str, texts: list[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "texts.json", Path(folder) / "labels.json"
        asked.write_text(json.dumps(texts), encoding="utf-8")
        command = ["qemu-x86_64", "-cpu", processor, sys.executable, __file__, "--label", str(asked), str(answered)]
        subprocess.run(command, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
        answer: list[dict[str, Any]] = json.loads(answered.read_text(encoding="utf-8"))
        return answer


def digest(labels: list[dict[str, Any]]) -> str:
    return sha256(json.dumps(labels).encode()).hexdigest()[:16]


def _labels(label: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in label.items() if "score" not in name}


def _scores(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[float, float]]:
    names = [name for name in one if name.endswith("_score")]
    problems = [(one["scores"][problem], other["scores"][problem]) for problem in one["scores"]]
    return problems + [(one[name], other[name]) for name in names]


if __name__ == "__main__":
    main()
