"""How much the query misses: of the posts in a wide sample that are about eCitizen, the share that holds a term of the settings.

    python benchmarks/query_recall.py data/corpus/posts.jsonl [FILE ...]

Each file is JSONL with `text` and `about` (`lang` and `split` are used where they are there). For each it prints the share found, with a 95 % interval of Wilson,
by language and, for the corpus, in the part `test` alone; what was missed, by reason; and what else the query brings. No text is printed.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from collector.terms import matcher
from data.settings import load_settings

_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)?")
NAMES = ("ecitizen", "e-citizen", "e citizen")
_PAYBILL = re.compile(r"\b(?:222\s?222|206\s?206)\b")


def edits(left: str, right: str) -> int:
    """The least number of letters to add, take out, change or swap with a neighbour."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b)))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def why_missed(text: str, without_exclusions: Any) -> str:
    """The first reason that holds."""
    if without_exclusions(text):
        return "an exclusion"
    if re.search(r"\bcitizen\s+(?:portal|site|app|account|website)\b", text, re.IGNORECASE):
        return "citizen portal, without the e"
    words = [word.lower() for word in _WORD.findall(text)]
    pairs = [f"{one} {two}" for one, two in itertools.pairwise(words) if one == "e"]
    candidates = [word for word in [*words, *pairs] if word not in ("citizen", "citizens")]
    if any(edits(word, name) <= 2 for word in candidates for name in NAMES):
        return "another spelling of eCitizen"
    if _PAYBILL.search(text):
        return "the number of the paybill alone"
    return "no name at all"


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's, 95 %."""
    z, share = 1.96, hits / count
    middle, width = (
        share + z * z / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)),
    )
    return (middle - width) / (1 + z * z / count), (middle + width) / (1 + z * z / count)


def shown(hits: int, count: int) -> str:
    if not count:
        return "none"
    low, high = interval(hits, count)
    return f"{hits:,} of {count:,}, {hits / count:.1%} [{low:.1%}, {high:.1%}]"


def measure(path: Path, terms: tuple[str, ...], exclusions: tuple[str, ...]) -> None:
    matches, named = matcher(terms, exclusions), matcher(terms)
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        post = json.loads(line)
        if "text" not in post or "about" not in post:
            sys.exit(f"{path}, line {number}: text or about is missing")
        hit = matches(post["text"])
        if post["about"] != "ecitizen":
            others[post["about"]] += hit
            continue
        parts = ["all", *(f"{name} {post[name]}" for name in ("lang", "split") if post.get(name))]
        total.update(parts)
        if hit:
            found.update(parts)
        else:
            missed[why_missed(post["text"], named)] += 1
    print(f"\n{path}")
    if not total:
        print("  no post about eCitizen: nothing to find")
    for part in sorted(total):
        print(f"  found, {part}: {shown(found[part], total[part])}")
    for reason, count in missed.most_common():
        print(f"  missed, {reason}: {count:,}")
    brought = sum(others.values())
    listed = ", ".join(f"{about} {count:,}" for about, count in others.most_common() if count)
    print(f"  about something else among what it brings: {shown(brought, brought + found['all'])} ({listed})")


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} FILE...")
    settings = load_settings()
    print(f"{len(settings.terms)} terms, {len(settings.exclusions)} exclusions")
    for name in sys.argv[1:]:
        measure(Path(name), settings.terms, settings.exclusions)


if __name__ == "__main__":
    main()
