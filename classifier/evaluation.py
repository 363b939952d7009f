"""Scores: F1 with bootstrap intervals, calibration, slices by language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.corpus import HEADS, Example

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

RESAMPLES = 1_000
SEED = 20_260_305
SCORED = ("problems", "kind", "sentiment", "about", "status", "scope")
ECE_BINS = 15


def indicators(head: str, answers: Sequence[Any]) -> NDArray[np.bool_]:
    """(posts, labels): which labels each answer holds."""
    rows = [
        [label in (answer if isinstance(answer, list) else [answer]) for label in HEADS[head]] for answer in answers
    ]
    return np.array(rows, dtype=bool).reshape(len(answers), len(HEADS[head]))


def _f1(tp: NDArray[Any], fp: NDArray[Any], fn: NDArray[Any]) -> NDArray[np.float64]:
    """F1, 0 where there is nothing to find and nothing was found wrongly."""
    whole = 2 * tp + fp + fn
    return _ratio(2 * tp, whole)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0))


class _Counts:
    """Counts of a head under resampling weights: (resamples, posts) in, (resamples, labels) out."""

    def __init__(self, true: NDArray[np.bool_], predicted: NDArray[np.bool_], weights: NDArray[np.float32]) -> None:
        def count(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
            return (weights @ hits.astype(np.float32)).astype(np.float64)

        self.tp, self.fp, self.fn = count(true & predicted), count(~true & predicted), count(true & ~predicted)
        self.support = self.tp + self.fn
        # Macro averages are over the labels that occur in the file, in every resample the same ones.
        occurs = true.any(axis=0)
        per_label = _f1(self.tp, self.fp, self.fn)
        self.per_label_f1 = per_label
        self.macro_f1 = per_label[:, occurs].mean(axis=1) if occurs.any() else np.zeros(len(weights))
        self.micro_f1 = _f1(self.tp.sum(axis=1), self.fp.sum(axis=1), self.fn.sum(axis=1))
        self.weighted_f1 = _ratio((per_label * self.support).sum(axis=1), self.support.sum(axis=1))
        self.accuracy = _ratio(weights @ (true == predicted).all(axis=1).astype(np.float32), weights.sum(axis=1))


def resampling_weights(posts: int, resamples: int = RESAMPLES) -> NDArray[np.float32]:
    """How often each post stands in each bootstrap resample; row 0 is the sample itself."""
    generator = np.random.default_rng(SEED)
    drawn = generator.multinomial(posts, np.full(posts, 1 / posts), size=resamples)
    return np.concatenate([np.ones((1, posts)), drawn]).astype(np.float32)


def _with_interval(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    shown: dict[str, Any] = {name: round(float(values[0]), 4)}
    if len(values) > 1:
        shown[f"{name}_ci95"] = [round(float(bound), 4) for bound in np.percentile(values[1:], [2.5, 97.5])]
    return shown


def score_head(head: str, true: Sequence[Any], predicted: Sequence[Any], resamples: int = 0) -> dict[str, Any]:
    """The scores of one head; with `resamples`, each beside its 95 % bootstrap interval."""
    truth, guess = indicators(head, true), indicators(head, predicted)
    counts = _Counts(truth, guess, resampling_weights(len(true), resamples))
    result: dict[str, Any] = {}
    averages = ("macro_f1", "micro_f1") if head == "problems" else ("macro_f1", "weighted_f1", "accuracy")
    for average in averages:
        result |= _with_interval(average, getattr(counts, average))
    per_label = {}
    for index, label in enumerate(HEADS[head]):
        if not truth[:, index].any() and not guess[:, index].any():
            continue
        tp, fp, fn = counts.tp[:, index], counts.fp[:, index], counts.fn[:, index]
        per_label[label] = (
            _with_interval("precision", _ratio(tp, tp + fp))
            | _with_interval("recall", _ratio(tp, tp + fn))
            | _with_interval("f1", counts.per_label_f1[:, index])
            | {"support": int(truth[:, index].sum())}
        )
    return result | {"per_label": per_label}


def score_answers(
    examples: Sequence[Example],
    answers: Sequence[Mapping[str, Any]],
    *,
    resamples: int = RESAMPLES,
    slices: bool = True,
) -> dict[str, Any]:
    """What INTERFACE "What `evaluate --json` prints" shows, for the heads that the examples answer."""
    result: dict[str, Any] = {"n": len(examples)}
    for head in SCORED:
        pairs = [
            (example.labels[head], answer.get(head))
            for example, answer in zip(examples, answers, strict=True)
            if head in example.labels and (head in ("problems", "kind", "sentiment", "about") or answer.get(head))
        ]
        if pairs:
            true, guess = zip(*pairs, strict=True)
            result[head] = score_head(head, true, [value if value is not None else [] for value in guess], resamples)
    scored = [
        (example.labels["problems"], answer["scores"])
        for example, answer in zip(examples, answers, strict=True)
        if "problems" in example.labels and answer.get("scores")
    ]
    if scored:
        truth = indicators("problems", [labels for labels, _ in scored])
        probability = np.array([[scores[label] for label in HEADS["problems"]] for _, scores in scored])
        result["calibration"] = calibration(truth, probability, resamples)
    if slices:
        result["by_lang"] = {
            lang: score_answers(*_slice(examples, answers, lang), resamples=resamples, slices=False)
            for lang in sorted({example.labels["lang"] for example in examples if "lang" in example.labels})
        }
    return result


def _slice(examples: Sequence[Example], answers: Sequence[Mapping[str, Any]], lang: str) -> tuple[list[Any], list[Any]]:
    pairs = [pair for pair in zip(examples, answers, strict=True) if pair[0].labels.get("lang") == lang]
    return [example for example, _ in pairs], [answer for _, answer in pairs]


def calibration(truth: NDArray[np.bool_], probability: NDArray[np.float64], resamples: int = 0) -> dict[str, Any]:
    """Expected calibration error over every (post, problem), in 15 bins of equal width."""
    bins = np.clip((probability * ECE_BINS).astype(int), 0, ECE_BINS - 1)
    weights = resampling_weights(len(truth), resamples)
    error = np.zeros(len(weights))
    for index in range(ECE_BINS):
        inside = bins == index
        surplus = ((probability - truth) * inside).sum(axis=1)
        error += np.abs(weights @ surplus.astype(np.float32))
    return _with_interval("problems_ece", error / (weights.sum(axis=1) * truth.shape[1]))


def score(examples: Sequence[Example], logits: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Point scores of raw logits at the plain decision (problems at .5), to choose an epoch with."""
    answers = []
    for row in range(len(examples)):
        answer: dict[str, Any] = {
            "problems": [
                label for label, value in zip(HEADS["problems"], logits["problems"][row], strict=True) if value > 0
            ]
        }
        for head in HEADS:
            if head != "problems":
                answer[head] = HEADS[head][int(logits[head][row].argmax())]
        answers.append(answer)
    return score_answers(examples, answers, resamples=0, slices=False)


def compare(
    examples: Sequence[Example], ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Ours minus theirs in macro F1 by head, over the same resamples (paired bootstrap).

    `{"kind": {"difference": .12, "difference_ci95": [.08, .16]}, …}` for the heads that both sides answer.
    """
    result = {}
    for head in SCORED:
        rows = [
            (example.labels[head], mine.get(head), other.get(head))
            for example, mine, other in zip(examples, ours, theirs, strict=True)
            if head in example.labels and mine.get(head) is not None and other.get(head) is not None
        ]
        if not rows:
            continue
        truth, mine, other = (indicators(head, column) for column in zip(*rows, strict=True))
        weights = resampling_weights(len(rows))
        difference = _Counts(truth, mine, weights).macro_f1 - _Counts(truth, other, weights).macro_f1
        result[head] = _with_interval("difference", difference)
    return result
