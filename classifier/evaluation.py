"""Scores: F1 with bootstrap intervals, calibration, slices by language, comparisons; and what the report draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.corpus import HEADS, Example
from data.labels import confidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Answer = Mapping[str, Any]

RESAMPLES = 1_000
SEED = 20_260_305
EVERY_POST = ("problems", "kind", "sentiment", "about")  # the heads that every post has an answer to
SCORED = (*EVERY_POST, "status", "scope")
AVERAGES = {head: ("macro_f1", "weighted_f1", "accuracy") for head in SCORED} | {"problems": ("macro_f1", "micro_f1")}
ECE_BINS = 15


def indicators(head: str, answers: Sequence[Any]) -> NDArray[np.bool_]:
    """(posts, labels): which labels each answer holds."""
    rows = [
        [label in (answer if isinstance(answer, list) else [answer]) for label in HEADS[head]] for answer in answers
    ]
    return np.array(rows, dtype=bool).reshape(len(answers), len(HEADS[head]))


def _f1(tp: NDArray[Any], fp: NDArray[Any], fn: NDArray[Any]) -> NDArray[np.float64]:
    """F1, NaN where there is nothing to find and nothing was found wrongly."""
    whole = 2 * tp + fp + fn
    return np.where(whole > 0, _ratio(2 * tp, whole), np.nan)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0))


class _Counts:
    """Counts of a head under resampling weights: (resamples, groups) in, (resamples, labels) out.

    A score is NaN in a resample that has nothing to score: a rare label that was not drawn was neither found nor missed.
    """

    def __init__(self, true: NDArray[np.bool_], predicted: NDArray[np.bool_], weights: NDArray[np.float64]) -> None:
        def count(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
            return weights @ hits.astype(np.float64)

        self.tp, self.fp, self.fn = count(true & predicted), count(~true & predicted), count(true & ~predicted)
        self.support = self.tp + self.fn
        self.per_label_f1 = per_label = _f1(self.tp, self.fp, self.fn)
        self.macro_f1 = _mean(
            per_label, true.any(axis=0) & ~np.isnan(per_label)
        )  # over the labels that occur in the file
        self.micro_f1 = _f1(self.tp.sum(axis=1), self.fp.sum(axis=1), self.fn.sum(axis=1))
        self.weighted_f1 = _mean(per_label, self.support)
        self.accuracy = _ratio(count((true == predicted).all(axis=1)), weights.sum(axis=1))


def _mean(values: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Row by row over the labels that weigh something, NaN where none does."""
    whole = weights.sum(axis=1)
    return np.where(whole > 0, _ratio((np.nan_to_num(values) * weights).sum(axis=1), whole), np.nan)


def _resampled(
    tables: Sequence[NDArray[np.bool_]], resamples: int
) -> tuple[list[NDArray[np.bool_]], NDArray[np.float64]]:
    """The distinct rows of tables that stand side by side, and how many posts have each in each bootstrap resample.

    (1 + resamples, groups); row 0 is the sample itself. Posts drawn with replacement and counted by group are one
    multinomial draw over the groups, of which there are far fewer than posts.
    """
    groups, counts = np.unique(np.hstack(tables), axis=0, return_counts=True)
    drawn = np.random.default_rng(SEED).multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    edges = np.cumsum([table.shape[1] for table in tables])[:-1]
    return np.split(groups, edges, axis=1), np.concatenate([counts[None], drawn]).astype(np.float64)


def _with_interval(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """The score of the sample and, from those resamples that have something to score, its interval; None where nothing has."""
    shown: dict[str, Any] = {name: None if np.isnan(values[0]) else round(float(values[0]), 4)}
    if len(values) > 1:
        drawn = values[1:][~np.isnan(values[1:])]
        bounds = [round(float(bound), 4) for bound in np.percentile(drawn, [2.5, 97.5])] if len(drawn) else None
        shown[f"{name}_ci95"] = bounds
    return shown


def shown_score(scores: Mapping[str, Any], name: str) -> str:
    """A score with its interval, for people."""
    if scores[name] is None:
        return "none occurs"
    low, high = scores[f"{name}_ci95"]
    return f"{scores[name]:.3f} [{low:.3f}, {high:.3f}]"


def score_head(head: str, true: Sequence[Any], predicted: Sequence[Any], resamples: int = 0) -> dict[str, Any]:
    """The scores of one head; with `resamples`, each beside its 95 % bootstrap interval."""
    (truth, guess), weights = _resampled([indicators(head, true), indicators(head, predicted)], resamples)
    counts = _Counts(truth, guess, weights)
    result: dict[str, Any] = {}
    for average in AVERAGES[head]:
        result |= _with_interval(average, getattr(counts, average))
    per_label = {}
    for index, label in enumerate(HEADS[head]):
        if not truth[:, index].any() and not guess[:, index].any():
            continue
        tp, fp, fn = counts.tp[:, index], counts.fp[:, index], counts.fn[:, index]
        drawn = tp + fp + fn > 0
        per_label[label] = (
            _with_interval("precision", np.where(drawn, _ratio(tp, tp + fp), np.nan))
            | _with_interval("recall", np.where(drawn, _ratio(tp, tp + fn), np.nan))
            | _with_interval("f1", counts.per_label_f1[:, index])
            | {"support": int(counts.support[0, index])}
        )
    return result | {"per_label": per_label}


def answered(
    head: str, examples: Sequence[Example], answers: Sequence[Answer]
) -> tuple[list[Any], list[Any], list[Answer]]:
    """The labels, the answers to them, and the whole answers, of the posts that have a label of this head.

    An answer that was not given, such as the status of a post that was not taken for official, is an empty list: a miss.
    """
    pairs = [
        (example.labels[head], answer)
        for example, answer in zip(examples, answers, strict=True)
        if head in example.labels
    ]
    told = [[] if answer.get(head) is None else answer[head] for _, answer in pairs]
    return [label for label, _ in pairs], told, [answer for _, answer in pairs]


def score_answers(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    *,
    resamples: int = RESAMPLES,
    slices: bool = True,
) -> dict[str, Any]:
    """What INTERFACE "What `evaluate --json` prints" shows, for the heads that the examples answer; an average of nothing is None."""
    result: dict[str, Any] = {"n": len(examples)}
    for head in SCORED:
        true, told, _ = answered(head, examples, answers)
        if true:
            result[head] = score_head(head, true, told, resamples)
    calibration: dict[str, Any] = {}
    for head, (hits, probability) in claims(examples, answers).items():
        calibration |= _calibration_error(f"{head}_ece", hits, probability, resamples)
        # Most claims are that a problem is not there, and easy: they hide how those fare by which a problem is.
        calibration |= _calibration_error(f"{head}_ece_from_half", hits, probability, resamples, least=0.5)
    if calibration:
        result["calibration"] = calibration
    if slices:
        result["by_lang"] = {
            lang: score_answers(*_slice(examples, answers, lang), resamples=resamples, slices=False)
            for lang in sorted({example.labels["lang"] for example in examples if "lang" in example.labels})
        }
    return result


def _slice(examples: Sequence[Example], answers: Sequence[Answer], lang: str) -> tuple[list[Any], list[Any]]:
    pairs = [pair for pair in zip(examples, answers, strict=True) if pair[0].labels.get("lang") == lang]
    return [example for example, _ in pairs], [answer for _, answer in pairs]


def claims(
    examples: Sequence[Example], answers: Sequence[Answer]
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """What was said with a probability, and whether it was so, (posts, claims) each.

    Of problems every one is a claim, of kind the one that was chosen; heads without probabilities are left out.
    """
    found = {}
    true, _, whole = answered("problems", examples, answers)
    scored = [index for index, answer in enumerate(whole) if answer.get("scores")]
    if scored:
        probability = [[whole[index]["scores"][label] for label in HEADS["problems"]] for index in scored]
        found["problems"] = indicators("problems", [true[index] for index in scored]), np.array(probability, float)
    true, told, whole = answered("kind", examples, answers)
    scored = [index for index, answer in enumerate(whole) if answer.get("kind_score") is not None]
    if scored:
        hits = np.array([[true[index] == told[index]] for index in scored])
        found["kind"] = hits, np.array([[whole[index]["kind_score"]] for index in scored], float)
    return found


def _bins(probability: NDArray[np.float64]) -> NDArray[np.int_]:
    return np.asarray(np.clip((probability * ECE_BINS).astype(int), 0, ECE_BINS - 1))


def _calibration_error(
    name: str, hits: NDArray[np.bool_], probability: NDArray[np.float64], resamples: int, least: float = 0.0
) -> dict[str, Any]:
    """Expected calibration error over the claims of a probability from `least` up, in 15 bins of equal width.

    Posts are what is resampled; the score is None where there is no such claim.
    """
    bins, counts = _bins(probability), probability >= least
    surplus = np.stack(
        [((probability - hits) * (counts & (bins == index))).sum(axis=1) for index in range(ECE_BINS)], axis=1
    )  # (posts, bins)
    claimed = counts.sum(axis=1)
    generator = np.random.default_rng(SEED)
    posts = len(hits)
    samples = [np.arange(posts), *(generator.integers(0, posts, posts) for _ in range(resamples))]
    error = [
        np.abs(surplus[drawn].sum(axis=0)).sum() / whole if (whole := claimed[drawn].sum()) else np.nan
        for drawn in samples
    ]
    return _with_interval(name, np.array(error))


def reliability(hits: NDArray[np.bool_], probability: NDArray[np.float64]) -> list[dict[str, float]]:
    """For each of 15 bins that is not empty: the mean probability, the share that was so with its Wilson 95 % interval, and the claims."""
    bins = _bins(probability)
    points = []
    for index in range(ECE_BINS):
        inside = bins == index
        count = int(inside.sum())
        if not count:
            continue
        share = float(hits[inside].mean())
        z2 = 1.96**2
        middle = (share + z2 / (2 * count)) / (1 + z2 / count)
        half = 1.96 * (share * (1 - share) / count + z2 / (4 * count**2)) ** 0.5 / (1 + z2 / count)
        points.append(
            {
                "probability": float(probability[inside].mean()),
                "share": share,
                "low": max(0.0, middle - half),
                "high": min(1.0, middle + half),
                "count": count,
            }
        )
    return points


def sureness(answer: Answer) -> float | None:
    """The confidence by which a post is marked unsure, from the scores of an answer; None where one is lacking."""
    if not answer.get("scores") or answer.get("kind_score") is None or answer.get("about_score") is None:
        return None
    problems = np.array(list(answer["scores"].values()), float)
    return float(confidence(problems, answer["kind_score"], answer["about_score"]))


def right(head: str, label: Any, told: Any) -> bool:
    """Whether an answer is right: for problems, when it has every one and no other."""
    return set(label) == set(told or []) if head == "problems" else bool(label == told)


def coverage(hits: Sequence[bool], confidence: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of posts kept from each confidence up, and the share of those that are right; equal confidences together."""
    order = np.argsort(-np.asarray(confidence), kind="stable")
    ordered = np.asarray(confidence)[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    kept = np.arange(1, len(order) + 1)
    return (kept / len(order))[last], (np.cumsum(np.asarray(hits)[order]) / kept)[last]


def confusion(head: str, true: Sequence[str], told: Sequence[Any]) -> NDArray[np.int_]:
    """(labels, labels + 1) posts: a row each label, a column each answer, the last where no answer was given."""
    names = HEADS[head]
    table = np.zeros((len(names), len(names) + 1), dtype=int)
    for label, answer in zip(true, told, strict=True):
        table[names.index(label), names.index(answer) if answer in names else len(names)] += 1
    return table


def swaps(true: Sequence[Sequence[str]], told: Sequence[Sequence[str]]) -> NDArray[np.int_]:
    """(problems + 1, problems + 1) posts: which problem was missed (rows) where which was found wrongly (columns).

    The last column is for posts where nothing was found wrongly, the last row for those where nothing was missed.
    """
    names = HEADS["problems"]
    table = np.zeros((len(names) + 1, len(names) + 1), dtype=int)
    for labels, answers in zip(true, told, strict=True):
        missed = [index for index, name in enumerate(names) if name in labels and name not in answers]
        wrong = [index for index, name in enumerate(names) if name in answers and name not in labels]
        if missed or wrong:
            table[np.ix_(missed or [len(names)], wrong or [len(names)])] += 1
    return table


def mistakes(example: Example, answer: Answer) -> list[tuple[str, str, float | None]]:
    """What is wrong with an answer: the head, what was said in place of what, and how sure of it the answer was."""
    found: list[tuple[str, str, float | None]] = []
    scores = answer.get("scores") or {}
    for head in SCORED:
        if head not in example.labels:
            continue
        label, told = example.labels[head], answer.get(head)
        if head != "problems":
            if label != told:
                found.append((head, f"{told or 'no answer'}, not {label}", answer.get(f"{head}_score")))
            continue
        for name in HEADS[head]:
            if (name in label) != (name in (told or [])):
                sure = scores.get(name)
                if name in label:
                    found.append((head, f"{name} missed", None if sure is None else 1 - sure))
                else:
                    found.append((head, f"{name} found wrongly", sure))
    return found


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


def compare(examples: Sequence[Example], ours: Sequence[Answer], theirs: Sequence[Answer]) -> dict[str, Any]:
    """Ours beside theirs over the same resamples (paired bootstrap), for the heads that both sides answer.

    `{"kind": {"n": …, "macro_f1": {"ours": .72, "theirs": .6, "difference": .12, "difference_ci95": [.08, .16],
    "share_reversed": 0.0}, "accuracy": …}}`; `share_reversed` is the share of resamples in which the difference is nil
    or of the other sign, read like a one-sided p-value. An average that one side lacks, as nothing occurs, is left out.
    """
    result: dict[str, Any] = {}
    for head in SCORED:
        sides = [answered(head, examples, side) for side in (ours, theirs)]
        true = sides[0][0]
        if not true or not all(any(answer.get(head) is not None for answer in whole) for _, _, whole in sides):
            continue
        tables, weights = _resampled(
            [indicators(head, column) for column in (true, sides[0][1], sides[1][1])], RESAMPLES
        )
        mine, other = (_Counts(tables[0], side, weights) for side in tables[1:])
        result[head] = {"n": len(true)}
        for average in AVERAGES[head]:
            if average == "weighted_f1":
                continue
            scores, rival = getattr(mine, average), getattr(other, average)
            difference = np.round(scores - rival, 9)  # so that equal scores summed in another order stay equal
            if np.isnan(difference[0]):
                continue
            drawn = difference[1:][~np.isnan(difference[1:])]
            result[head][average] = {
                "ours": round(float(scores[0]), 4),
                "theirs": round(float(rival[0]), 4),
                **_with_interval("difference", difference),
                "share_reversed": round(float((drawn * difference[0] <= 0).mean()), 4),
            }
    return result
