"""From texts to labels: the model's probabilities, its thresholds, and the services that a text names."""

from __future__ import annotations

import re
from dataclasses import replace
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
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff"
_LATIN_WORD = re.compile(rf"[{_LATIN}]{{2,}}")
_LATIN_LETTER = re.compile(rf"[{_LATIN}]")
_LETTER = re.compile(r"[^\W\d_]")
_PLACEHOLDER = re.compile(r"<[A-Z]+>|@\w+")
_SERVICE = re.compile(r"\be[ -]?citizen[a-z]*|\bm-?pesa\b", re.IGNORECASE)  # written so in every script
_ADDRESSED = re.compile(r"\s*@\w")


def label_texts(
    model: Model,
    texts: Sequence[str],
    progress: Callable[[int], None] = lambda _done: None,
    known: dict[str, Labels] | None = None,
    *,
    official: bool = False,
    replies: Sequence[bool] | None = None,
) -> list[Labels]:
    """The labels of redacted texts, in their order; equal texts are read once.

    `known` carries what this model said from one call to the next: texts in it are not read again, new ones are added,
    and it is emptied at MAX_KNOWN texts or MAX_KNOWN_CHARACTERS. `official`: the texts are of listed accounts, so that each
    gets a status and a scope, whatever kind the model takes it for. `replies`: which texts the platform says answer another post.
    Of what has a scope those are replies, as are the texts that begin with a mention; of the rest the model decides.
    """
    by_text = {} if known is None else known
    if len(by_text) > MAX_KNOWN or sum(map(len, by_text)) > MAX_KNOWN_CHARACTERS:
        by_text.clear()
    distinct = [text for text in dict.fromkeys(texts) if text not in by_text]
    if distinct:
        by_text |= _read(model, distinct, progress, official)
    # A reply is one by its post and not by its text, which others may share.
    is_reply = replies if replies is not None else [False] * len(texts)
    return [
        replace(by_text[text], scope="reply") if answers and by_text[text].scope else by_text[text]
        for text, answers in zip(texts, is_reply, strict=True)
    ]


def _is_latin(text: str) -> bool:
    """Whether it has a word in Latin script, and no more letters of others, placeholders, handles and names of services aside."""
    own = _PLACEHOLDER.sub(" ", text)
    if not _LATIN_WORD.search(own):
        return False
    letters = _LETTER.findall(_SERVICE.sub(" ", own))
    return 2 * sum(map(bool, map(_LATIN_LETTER.match, letters))) >= len(letters)


def _read(model: Model, distinct: Sequence[str], progress: Callable[[int], None], official: bool) -> dict[str, Labels]:
    """The labels of each text, by text."""
    readings = model.read(distinct)
    probabilities = model.probabilities(readings, progress)
    sureness = confidence(
        probabilities["problems"], probabilities["kind"].max(axis=1), probabilities["about"].max(axis=1)
    )
    thresholds = [model.manifest["thresholds"][problem] for problem in HEADS["problems"]]
    found: dict[str, Labels] = {}
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
        lang = best["lang"][0] if _is_latin(text) else "other"
        scope = "reply" if _ADDRESSED.match(text) else best["scope"][0]
        found[text] = Labels(
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
            scope=scope if official or kind == "official" else None,
        )
    return found
