"""Posts that stand, all but word for word, in two parts of the corpus, in the demo's replay, or in other files given.

    python benchmarks/near_copies.py [FILE.jsonl ...]

Two texts are near-copies where more than SHARE of their word 4-grams are common (Jaccard; shorter texts are one gram). Mentions
and placeholders are no words: whom two posts address does not make them differ. Posts that are one word alone, a greeting or
a sigh, are counted apart: nobody copied them. Ends with status 1 where there are any others.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from classifier.commands import default_corpus

SHARE = 0.5
WORDS = 4
MARKS = re.compile(r"<[A-Z]+>|@\w+")
DEMO = Path(__file__).parent.parent / "data" / "demo"


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", MARKS.sub(" ", text).lower())


def grams(text: str) -> frozenset[tuple[str, ...]]:
    words = words_of(text)
    return frozenset(tuple(words[at : at + WORDS]) for at in range(max(1, len(words) - WORDS + 1)))


def read(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    posts = [json.loads(line) for line in default_corpus().read_text(encoding="utf-8").splitlines()]
    texts = [(post["split"], post["text"]) for post in posts]
    for path in [*sorted(DEMO.glob("replay_*.jsonl")), *map(Path, sys.argv[1:])]:
        texts += [(path.name, text) for text in read(path)]
    parts = {"train", "dev", "test"}
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    seen: list[frozenset[tuple[str, ...]]] = []
    found: Counter[tuple[str, str]] = Counter()
    one_word: Counter[str] = Counter()
    for index, (part, text) in enumerate(texts):
        own = grams(text)
        common = Counter(other for gram in own for other in holders[gram])
        for other, shared in common.items():
            theirs = texts[other][0]
            # Within a part, and among the posts of a file from elsewhere, copies do no harm.
            if theirs != part and {theirs, part} & parts and shared / len(own | seen[other]) > SHARE:
                if len(words := words_of(text)) < 2:
                    one_word[" ".join(words)] += 1
                    continue
                found[theirs, part] += 1
                print(f"{theirs} | {texts[other][1]}\n{part} | {text}\n")
        for gram in own:
            holders[gram].append(index)
        seen.append(own)
    counts = Counter(part for part, _ in texts)
    print(", ".join(f"{part} {count:,}" for part, count in counts.items()))
    print(f"{sum(one_word.values())} pairs of one word alone {dict(one_word) or ''}".rstrip())
    print(f"{sum(found.values())} near-copies between them {dict(found) or ''}".rstrip())
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
