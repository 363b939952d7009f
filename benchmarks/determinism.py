"""The same 10,000 posts in three orders, three batch sizes, with 1 and 2 threads: are labels and scores identical?

python benchmarks/determinism.py [--posts 10000]
"""

from __future__ import annotations

import argparse
import random
from hashlib import sha256

import numpy as np

import classifier.model
from classifier.commands import default_corpus
from classifier.corpus import HEADS, load_corpus
from classifier.model import load_model

SEED = 20_260_305


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--posts", type=int, default=10_000)
    options = parser.parse_args()
    corpus = sorted({example.text for example in load_corpus(default_corpus())})
    random.Random(SEED).shuffle(corpus)
    # A number makes distinct texts where the corpus alone has too few.
    texts = [
        corpus[index % len(corpus)] + (f" {index}" if index >= len(corpus) else "") for index in range(options.posts)
    ]
    print(f"{load_model().id}, {len(texts):,} texts, seed {SEED}\n")
    print("| order | pieces a batch | threads | SHA-256 of every score, by text |\n|---|---|---|---|")
    found = set()
    shuffled = random.Random(SEED).sample(range(len(texts)), len(texts))
    orders = {
        "as is": list(range(len(texts))),
        "by length": sorted(range(len(texts)), key=lambda index: len(texts[index])),
        "shuffled": shuffled,
    }
    # Every order with every batch size, threads in turn: each pair of settings occurs, at half the time of all triples.
    for row, batch_pieces in enumerate((512, 4_096, 16_384)):
        classifier.model.BATCH_PIECES = batch_pieces
        for column, (name, order) in enumerate(orders.items()):
            threads = 1 + (row + column) % 2
            model = load_model(threads=threads)
            table = model.probabilities(model.read([texts[index] for index in order]))
            scores = np.empty((len(texts), sum(map(len, HEADS.values()))))
            scores[order] = np.concatenate([table[head] for head in HEADS], axis=1)
            digest = sha256(scores.tobytes()).hexdigest()
            found.add(digest)
            print(f"| {name} | {batch_pieces:,} | {threads} | {digest[:16]} |", flush=True)
    print("\nidentical, bit for bit" if len(found) == 1 else f"\n{len(found)} different answers")
    raise SystemExit(len(found) != 1)


if __name__ == "__main__":
    main()
