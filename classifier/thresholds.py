"""What is fitted on dev after training: a threshold a problem, a temperature a head, and when to be unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.corpus import HEADS
from classifier.evaluation import indicators
from data.labels import confidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from classifier.corpus import Example

TEMPERATURES = np.round(np.geomspace(0.4, 3.0, 61), 4)
THRESHOLDS = np.round(np.arange(0.2, 0.801, 0.02), 2)
NEUTRAL_THRESHOLD = 0.5


def sigmoid(values: NDArray[Any]) -> NDArray[np.float64]:
    """The logistic function, without overflow."""
    return np.exp(-np.logaddexp(0.0, -values.astype(np.float64)))


def softmax(values: NDArray[Any]) -> NDArray[np.float64]:
    """Row by row."""
    shifted = values.astype(np.float64) - values.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_thresholds(examples: Sequence[Example], logits: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """`{"temperatures": {head: …}, "thresholds": {problem: …}, "unsure_below": …}` from dev alone."""
    temperatures, probabilities = {}, {}
    for head in HEADS:
        answered = [index for index, example in enumerate(examples) if head in example.labels]
        truth = indicators(head, [examples[index].labels[head] for index in answered])
        squash = sigmoid if head == "problems" else softmax
        temperatures[head] = 1.0
        if answered:
            losses = [_log_loss(squash(logits[head][answered] / t), truth, head) for t in TEMPERATURES]
            temperatures[head] = float(TEMPERATURES[int(np.argmin(losses))])
        probabilities[head] = squash(logits[head] / temperatures[head])
    truth = indicators("problems", [example.labels.get("problems", []) for example in examples])
    thresholds = {
        problem: _best_threshold(truth[:, index], probabilities["problems"][:, index])
        for index, problem in enumerate(HEADS["problems"])
    }
    cut = np.array(list(thresholds.values()))
    right = ((probabilities["problems"] >= cut) == truth).all(axis=1)
    for head in ("kind", "about"):
        named = np.array([HEADS[head].index(example.labels[head]) for example in examples])
        right &= probabilities[head].argmax(axis=1) == named
    best = {head: probabilities[head].max(axis=1) for head in ("kind", "about")}
    sure = confidence(probabilities["problems"], best["kind"], best["about"])
    return {
        "temperatures": temperatures,
        "thresholds": thresholds,
        "unsure_below": _unsure_below(sure, right),
    }


def _log_loss(probability: NDArray[np.float64], truth: NDArray[np.bool_], head: str) -> float:
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    if head == "problems":
        return float(-np.where(truth, np.log(clipped), np.log(1 - clipped)).mean())
    return float(-np.log(clipped[truth]).mean())


def _best_threshold(truth: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """The one of best F1, drawn towards .5 since dev is small: the middle of all within .005 of the best."""
    scores = []
    for threshold in THRESHOLDS:
        guess = probability >= threshold
        tp, wrong = (guess & truth).sum(), (guess ^ truth).sum()
        scores.append(2 * tp / (2 * tp + wrong) if tp else 0.0)
    if not any(scores):
        return NEUTRAL_THRESHOLD
    good = THRESHOLDS[np.array(scores) >= max(scores) - 0.005]
    return float(good[np.argmin(np.abs(good - NEUTRAL_THRESHOLD))])


def _unsure_below(sureness: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The confidence under which an answer is more often wrong than right on dev."""
    order = np.argsort(sureness)
    surplus_wrong = np.cumsum(np.where(right[order], -1, 1))
    if surplus_wrong.max(initial=0) <= 0:
        return 0.0
    return float(sureness[order[int(surplus_wrong.argmax())]])
