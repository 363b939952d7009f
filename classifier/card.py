"""The model card that training writes: what a model was made of, and its scores on posts it has not seen."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from classifier.evaluation import SCORED, indicators, score_answers, shown_score
from classifier.labelling import label_texts
from classifier.model import FOREIGN_SHARE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from classifier.corpus import Example
    from classifier.model import Model
    from data.store import Labels


def model_card(model: Model, record: Mapping[str, Any], test: Sequence[Example]) -> str:
    """Markdown: purpose, data, recipe and scores; `record` is what `training.json` holds."""
    posts, recipe = record["posts"], record["recipe"]
    corrections = posts["corrections"]
    corrected = (
        f"**{corrections:,} posts that analysts had corrected in the store were learnt from as well.**"
        if corrections
        else "No correction of an analyst was learnt from."
    )
    start = record.get("start")
    begun = f" Began half-way between the backbone and {start['model']}." if start else ""
    return f"""# Model card: {model.manifest["name"]}

`{model.id}`: problems, kind, sentiment, about, language, and for official messages status and scope of a public post, by
the annotation guide. For counting complaints over time, not for judging a person nor for any decision about one.

- Learnt from {posts["train"]:,} posts of the corpus and {posts["public"]:,} public posts of people; {posts["dev"]:,} chose
  the epoch and the thresholds, {posts["test"]:,} are scored below. {corrected}
- Recipe, data hashes, versions and the whole curve: `training.json` (seed {recipe["seed"]}, {recipe["epochs"]} epochs,
  {record["seconds"] // 60} minutes on {record["machine"]}).{begun}
- Runtime: {model.manifest["runtime"]}, {model.manifest["precision"]}; reads the first {model.manifest["max_pieces"]} pieces.
- Unsure: below a confidence of {model.manifest["unsure_below"]:.2f}, fitted on dev; and whatever its confidence, a post
  that is longer than what is read, one whose language is `other`, and one of whose pieces {FOREIGN_SHARE:.0%} or more are unknown.
- The language `other` is a test of script: a text without a word in Latin letters, or with more letters of other scripts,
  placeholders, handles and names of services aside. French, German or Spanish is read as if it were `en`, `sw` or `mixed`,
  and labelled so.
- An official message that begins with a mention, or that the platform says answers another post, is a `reply`; the scope of the
  others is the model's.

{score_tables("The corpus' test part", model, test)}"""


def score_tables(name: str, model: Model, examples: Sequence[Example]) -> str:
    """Markdown tables of every score with its interval; the examples' texts are redacted ones."""
    labels = label_examples(model, examples)
    scores = score_answers(examples, [asdict(label) for label in labels])
    lines = [f"### {name}: {len(examples):,} posts", "", *head_rows(scores), ""]
    for head in ("problems", "kind"):
        whole, half = (shown_score(scores["calibration"], f"{head}_ece{part}") for part in ("", "_from_half"))
        lines.append(f"Calibration error of {head} {whole}; over what is said with a probability of .5 or more {half}.")
    named = [
        (example.labels["lang"], label.lang)
        for example, label in zip(examples, labels, strict=True)
        if "lang" in example.labels
    ]
    if named:
        lines.append(f"Language told right: {sum(true == told for true, told in named) / len(named):.3f}.")
    right = _all_right(examples, labels)
    unsure = [label.unsure for label in labels]
    lines.append(
        f"Problems, kind and about all right: {_share(right)} of all, {_share(_where(right, unsure, False))} of those not "
        f"marked unsure, {_share(_where(right, unsure, True))} of the {sum(unsure):,} ({sum(unsure) / len(labels):.1%}) that are."
    )
    lines += ["", "| head | label | precision | recall | F1 | posts |", "|---|---|---|---|---|---|"]
    for head in SCORED:
        for label, row in scores.get(head, {}).get("per_label", {}).items():
            lines.append(
                f"| {head} | {label} | {row['precision']:.2f} | {row['recall']:.2f} | {shown_score(row, 'f1')} | {row['support']} |"
            )
    lines += ["", "| language | posts | problems macro | kind | sentiment | about |", "|---|---|---|---|---|---|"]
    for lang, part in scores.get("by_lang", {}).items():
        cells = [shown_score(part[head], "macro_f1") for head in ("problems", "kind", "sentiment", "about")]
        lines.append(f"| {lang} | {part['n']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def label_examples(model: Model, examples: Sequence[Example], *, official: bool = False) -> list[Labels]:
    """What the model says of examples, as of a stored post; `official` as in `label_texts`."""
    texts, replies = [example.text for example in examples], [example.is_reply for example in examples]
    return label_texts(model, texts, official=official, replies=replies)


def head_rows(scores: Mapping[str, Any], wanted: Mapping[str, str] | None = None) -> list[str]:
    """A Markdown table with a row for each head, and a column with what is `wanted` of it."""
    column = " wanted |" if wanted else ""
    lines = [f"| head | macro F1 | micro F1 or accuracy |{column}", f"|---|---|---|{'---|' if wanted else ''}"]
    for head in SCORED:
        if head in scores:
            other = "micro_f1" if head == "problems" else "accuracy"
            row = f"| {head} | {shown_score(scores[head], 'macro_f1')} | {shown_score(scores[head], other)} |"
            lines.append(row + (f" {wanted.get(head, '')} |" if wanted else ""))
    return lines


def _all_right(examples: Sequence[Example], labels: Sequence[Any]) -> list[bool]:
    truth = indicators("problems", [example.labels["problems"] for example in examples])
    guess = indicators("problems", [label.problems for label in labels])
    return [
        bool(same) and example.labels["kind"] == label.kind and example.labels["about"] == label.about
        for same, example, label in zip((truth == guess).all(axis=1), examples, labels, strict=True)
    ]


def _where(right: Sequence[bool], unsure: Sequence[bool], wanted: bool) -> list[bool]:
    return [is_right for is_right, is_unsure in zip(right, unsure, strict=True) if is_unsure == wanted]


def _share(right: Sequence[bool]) -> str:
    return f"{sum(right) / len(right):.1%}" if right else "none"
