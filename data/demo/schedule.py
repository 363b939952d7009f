"""Gives the replay's posts their times, ids and made-up authors: `python -m data.demo.schedule`.

Everything is drawn from SEED by the phase that each text was written for, so that running it again changes nothing.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

from data.official import NAIROBI

SEED = 20_260_305
REPEAT_SHARE = 0.12  # of a failure's posts, how many come from somebody who posted before
# How busy each hour of Nairobi's day is: asleep from midnight, at work from eight, home in the evening.
DIURNAL = [1, 1, 1, 1, 2, 4, 8, 12, 16, 18, 18, 17, 16, 16, 17, 17, 16, 15, 14, 14, 13, 11, 7, 3]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NAIROBI)


# For each phase: its span, and the share of the span at which its posts are densest (None: as the day goes).
PHASES: dict[str, dict[str, tuple[datetime, datetime, float | None]]] = {
    "replay_2025": {
        "ordinary_2025": (_at("2024-12-27 00:00"), _at("2025-01-10 00:00"), None),
        "bystander": (_at("2024-12-31 06:00"), _at("2025-01-06 22:00"), None),
        "first_signs": (_at("2025-01-03 05:50"), _at("2025-01-03 07:00"), 0.8),
        "wave": (_at("2025-01-03 07:00"), _at("2025-01-03 12:30"), 0.35),
        "afternoon": (_at("2025-01-03 12:30"), _at("2025-01-03 15:30"), 0.4),
        "after_restored": (_at("2025-01-03 15:30"), _at("2025-01-05 21:00"), 0.05),
    },
    "replay_2026": {
        "ordinary_2026": (_at("2026-02-21 00:00"), _at("2026-03-06 20:00"), None),
        "bystander": (_at("2026-03-04 06:00"), _at("2026-03-06 19:00"), None),
        "rumour": (_at("2026-03-02 13:00"), _at("2026-03-03 23:00"), 0.35),
        "first_signs": (_at("2026-03-05 06:40"), _at("2026-03-05 08:00"), 0.8),
        "wave": (_at("2026-03-05 08:00"), _at("2026-03-05 17:00"), 0.25),
        "evening": (_at("2026-03-05 17:00"), _at("2026-03-05 23:40"), 0.3),
        "after_restored": (_at("2026-03-06 05:40"), _at("2026-03-06 19:50"), 0.3),
    },
}
SPANS = {
    "replay_2025": (_at("2024-12-27 00:00"), _at("2025-01-10 00:00")),
    "replay_2026": (_at("2026-02-21 00:00"), _at("2026-03-06 20:00")),
}
NOW = _at("2026-03-06 20:00")


def _moment(generator: random.Random, begin: datetime, end: datetime, densest: float | None) -> datetime:
    length = end - begin
    while True:
        share = generator.random() if densest is None else generator.triangular(0, 1, densest)
        moment = begin + length * share
        # A phase within a day keeps its own shape; longer ones sleep at night.
        if length < timedelta(hours=20) or generator.random() * max(DIURNAL) < DIURNAL[moment.astimezone(NAIROBI).hour]:
            return moment.replace(microsecond=0)


def schedule(name: str, texts: list[dict[str, str]]) -> list[dict[str, object]]:
    """The posts of a replay in time order, each with the fields of INTERFACE "A post, in JSONL" and its phase."""
    generator = random.Random(f"{SEED} {name}")  # noqa: S311 - repeatable
    timed = sorted(
        ((_moment(generator, *PHASES[name][text["phase"]]), text) for text in texts), key=lambda pair: pair[0]
    )
    posts: list[dict[str, object]] = []
    people: dict[str, list[int]] = {}
    for number, (moment, text) in enumerate(timed, 1):
        before = people.setdefault(text["source"], [])
        repeats = before and generator.random() < REPEAT_SHARE
        person = generator.choice(before[-60:]) if repeats else number
        before.append(person)
        year = name.rpartition("_")[2]
        posts.append(
            {
                "source": text["source"],
                "id": f"demo-{year}-{number:04d}",
                "created_at": moment.isoformat(),
                "text": text["text"],
                "author": f"demo_person_{year}_{person}",
                "author_id": f"demo-{year}-{person}",
                "synthetic": True,
                "phase": text["phase"],
            }
        )
    return posts


def main() -> None:
    """Write the replays anew from their own texts."""
    folder = Path(__file__).parent
    for name in PHASES:
        path = folder / f"{name}.jsonl"
        texts = sorted(
            map(json.loads, path.read_text(encoding="utf-8").splitlines()),
            key=lambda post: (post["phase"], post["text"]),
        )
        lines = (json.dumps(post, ensure_ascii=False) for post in schedule(name, texts))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
