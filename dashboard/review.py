"""Review: one post after the other of those that the model is unsure of, and what an analyst settles. No Streamlit here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.corrections import OFFICIAL_FIELDS
from data.labels import PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from data.store import Store

SHOWN_PROBLEM_SCORE = 0.1


@dataclass(frozen=True)
class Waiting:
    """A post that waits for an analyst. `labels` are the model's, by field; `scores` says how sure it is: (field, label, score)."""

    source: str
    id: str
    at: datetime
    text: str
    synthetic: bool
    lang: str
    services: tuple[str, ...]
    model: str
    labels: dict[str, Any]
    scores: list[tuple[str, str, float]]

    @property
    def key(self) -> str:
        """`x:123`."""
        return f"{self.source}:{self.id}"


def next_post(store: Store, skipped: Collection[str] = (), open_key: str | None = None) -> Waiting | None:
    """The post `open_key` as long as it waits, else the first of the queue that is not among `skipped`; None where none is left.

    New posts go to the head of the queue, so that without `open_key` a post would change while an analyst reads it.
    """
    if open_key is not None and open_key not in skipped:
        source, _, identifier = open_key.partition(":")
        if row := store.review_post(source, identifier):
            return _waiting(row)
    for row in store.review_queue(len(skipped) + 1):
        if f"{row['source']}:{row['id']}" not in skipped:
            return _waiting(row)
    return None


def _waiting(row: dict[str, Any]) -> Waiting:
    by_score = sorted(PROBLEMS, key=lambda problem: row["scores"].get(problem, 0.0), reverse=True)
    scores = [(field, row[field], round(row[f"{field}_score"], 2)) for field in ("kind", "about", "sentiment")]
    scores += [
        ("problems", problem, round(row["scores"].get(problem, 0.0), 2))
        for problem in by_score
        if problem in row["problems"] or row["scores"].get(problem, 0.0) >= SHOWN_PROBLEM_SCORE
    ]
    return Waiting(
        source=row["source"],
        id=row["id"],
        at=row["created_at"],
        text=row["text"],
        synthetic=row["synthetic"],
        lang=row["lang"],
        services=tuple(row["services"]),
        model=row["model"],
        labels={field: row[field] for field in ("problems", "kind", "sentiment", "about", *OFFICIAL_FIELDS)},
        scores=scores,
    )


def settle(store: Store, post: Waiting, chosen: dict[str, Any], who: str, why: str) -> None:
    """Settle every field of the post as chosen; status and scope are left out where the kind is not `official`.

    Raises InputError where the analyst has no name, a label is missing, or the post was erased meanwhile.
    """
    if chosen["kind"] != "official":
        chosen = {field: value for field, value in chosen.items() if field not in OFFICIAL_FIELDS}
    store.correct(post.source, post.id, chosen, who, why or None)
