"""Counts and agreement of the corpus, as the tables of its data card.

python benchmarks/agreement.py
"""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any

from classifier.commands import default_corpus
from classifier.corpus import HEADS

TABLED = ("problems", "kind", "sentiment", "about", "status", "scope")


def main() -> None:
    path = default_corpus()
    posts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    votes = Counter(len(post["votes"]) for post in posts)
    lengths = sorted(len(post["text"]) for post in posts)
    print(f"{path.name}: {len(posts):,} posts, SHA-256 {sha256(path.read_bytes()).hexdigest()}\n")
    for name, counts in {
        "split": Counter(post["split"] for post in posts),
        "language": Counter(post["lang"] for post in posts),
        "votes": votes,
        "problems named": Counter(min(len(post["problems"]), 3) for post in posts),
        "briefs": {"": len({post["writer"] for post in posts})},
    }.items():
        print(f"- {name}: {', '.join(f'{key} {count:,}' for key, count in sorted(counts.items()))}")
    same = sum(post["votes"][0] == post["votes"][1] for post in posts)
    print(f"- characters: median {lengths[len(lengths) // 2]}, longest {lengths[-1]:,}")
    print(f"- first two votes equal in everything: {same / len(posts):.3f}\n")
    print(
        "| head | label | posts | en | mixed | sw | F1 of vote 2 against vote 1 | kappa |\n|---|---|---|---|---|---|---|---|"
    )
    for head in TABLED:
        for label in HEADS[head]:
            first, second = ([_says(post["votes"][vote], head, label) for post in posts] for vote in (0, 1))
            holds = [post for post in posts if _says(post, head, label)]
            langs = Counter(post["lang"] for post in holds)
            both = sum(a and b for a, b in zip(first, second, strict=True))
            f1 = 2 * both / max(1, sum(first) + sum(second))
            print(
                f"| {head} | {label} | {len(holds)} | {langs['en']} | {langs['mixed']} | {langs['sw']} "
                f"| {f1:.2f} | {_kappa(first, second):.2f} |"
            )


def _says(answer: dict[str, Any], head: str, label: str) -> bool:
    return label in answer[head] if head == "problems" else answer.get(head) == label


def _kappa(first: list[bool], second: list[bool]) -> float:
    """Cohen's kappa."""
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    shares = sum(first) / len(first), sum(second) / len(second)
    expected = shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1])
    return (observed - expected) / (1 - expected) if expected < 1 else 1.0


if __name__ == "__main__":
    main()
