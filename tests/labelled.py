"""Posts with labels of our own choosing, so that what a page shows can be worked out by hand."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from data.labels import PROBLEMS
from data.official import NAIROBI
from data.records import Post
from data.store import Labels, Span

if TYPE_CHECKING:
    from data.store import Store

MODEL = "ours_1@0123456789ab"


def nairobi(text: str) -> datetime:
    """`2026-03-05 09:00` of East Africa."""
    return datetime.fromisoformat(text).replace(tzinfo=NAIROBI)


def labels(
    *problems: str, kind: str = "complaint", about: str = "ecitizen", sentiment: str = "negative", lang: str = "en"
) -> Labels:
    """Labels with a score of .9 for the first problem and a little less for each that follows."""
    scores = dict.fromkeys(PROBLEMS, 0.01) | {problem: 0.9 - 0.1 * rank for rank, problem in enumerate(problems)}
    return Labels(list(problems), scores, kind, 0.9, sentiment, 0.9, about, 0.9, lang, False, ["passport"])


def put(store: Store, moment: str, label: Labels, *, person: str = "", source: str = "x", text: str = "a post") -> str:
    """Store one labelled post; returns its id. Without a person it is its own."""
    told = f"{moment} {person} {text} {label.kind} {label.problems}"
    identifier = hashlib.sha256(told.encode()).hexdigest()[:12]
    post = Post(source, identifier, nairobi(moment), text, author_id=person or identifier)
    store.save_page([post])
    store.save_labels(MODEL, [(source, identifier, label)])
    return identifier


def listen(store: Store, from_at: str, to_at: str, source: str = "x") -> None:
    """Say that the span was looked at."""
    store.save_page([], source=source, stream="test", spans=[Span(nairobi(from_at), nairobi(to_at))])


def hours(count: float) -> timedelta:
    """So many hours."""
    return timedelta(hours=count)
