"""From texts to labels: the model's probabilities, its thresholds, and the services that a text names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from classifier.corpus import HEADS
from classifier.gazetteer import find_services
from data.labels import confidence
from data.store import Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from classifier.model import Model

SCORE_DIGITS = 4
MAX_KNOWN = 50_000
MAX_KNOWN_CHARACTERS = 10_000_000
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_PLACEHOLDER = re.compile(r"<[A-Z]+>|@\w+")


def label_texts(
    model: Model,
    texts: Sequence[str],
    progress: Callable[[int], None] = lambda _done: None,
    known: dict[str, Labels] | None = None,
    *,
    official: bool = False,
) -> list[Labels]:
    """The labels of redacted texts, in their order; equal texts are read once.

    `known` carries what this model said from one call to the next: texts in it are not read again, new ones are added,
    and it is emptied at MAX_KNOWN texts or MAX_KNOWN_CHARACTERS. `official`: the texts are of listed accounts, so that each
    gets a status and a scope, whatever kind the model takes it for.
    """
    by_text = {} if known is None else known
    if len(by_text) > MAX_KNOWN or sum(map(len, by_text)) > MAX_KNOWN_CHARACTERS:
        by_text.clear()
    distinct = [text for text in dict.fromkeys(texts) if text not in by_text]
    if not distinct:
        return [by_text[text] for text in texts]
    readings = model.read(distinct)
    probabilities = model.probabilities(readings, progress)
    sureness = confidence(
        probabilities["problems"], probabilities["kind"].max(axis=1), probabilities["about"].max(axis=1)
    )
    thresholds = [model.manifest["thresholds"][problem] for problem in HEADS["problems"]]
    for row, text in enumerate(distinct):
        best = {
            head: (HEADS[head][int(np.argmax(table[row]))], round(float(table[row].max()), SCORE_DIGITS))
            for head, table in probabilities.items()
            if head != "problems"
        }
        scores = {
            problem: round(float(score), SCORE_DIGITS)
            for problem, score in zip(HEADS["problems"], probabilities["problems"][row], strict=True)
        }
        kind = best["kind"][0]
        lang = best["lang"][0] if _LATIN_WORD.search(_PLACEHOLDER.sub(" ", text)) else "other"
        by_text[text] = Labels(
            problems=[
                problem for problem, cut in zip(HEADS["problems"], thresholds, strict=True) if scores[problem] >= cut
            ],
            scores=scores,
            kind=kind,
            kind_score=best["kind"][1],
            sentiment=best["sentiment"][0],
            sentiment_score=best["sentiment"][1],
            about=best["about"][0],
            about_score=best["about"][1],
            lang=lang,
            # What the model has not learnt to read, or read in part alone, it can be wrong about with full confidence.
            unsure=bool(sureness[row] < model.manifest["unsure_below"])
            or lang == "other"
            or not readings[row].is_whole,
            services=find_services(text),
            status=best["status"][0] if official or kind == "official" else None,
            scope=best["scope"][0] if official or kind == "official" else None,
        )
    return [by_text[text] for text in texts]
