"""An evaluation as one HTML page that needs nothing else: no network, no script, no font of its own."""

from __future__ import annotations

import re
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from classifier.corpus import HEADS
from classifier.evaluation import (
    AVERAGES,
    EVERY_POST,
    RESAMPLES,
    SCORED,
    answered,
    claims,
    confusion,
    coverage,
    mistakes,
    reliability,
    right,
    sureness,
    swaps,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from classifier.corpus import Example

WORST = 40
TEXT_CHARACTERS = 400
CURVE_POINTS = 200
# Below so few posts a share says little.
LEAST_KEPT = 20
AVERAGE_NAMES = {"macro_f1": "macro F1", "micro_f1": "micro F1", "weighted_f1": "weighted F1", "accuracy": "accuracy"}
# Told apart with colour-blind eyes (Okabe and Ito), on white and on black.
BLUE, ORANGE, GREEN, PINK = (f"var(--{name})" for name in ("blue", "orange", "green", "pink"))
# What the confidence of a post is about, with the colour of its curve.
_UNSURE_HEADS = {
    "at once": ("all of these at once", BLUE),
    "problems": ("every problem", ORANGE),
    "kind": ("kind", GREEN),
    "about": ("about", PINK),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --line: #dfe4ea; --page: #ffffff; --blue: #0072b2; --orange: #d55e00; --green: #009e73; --pink: #cc79a7; --panel: #f6f8fa; --hit: 0,114,178; --miss: 213,94,0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #36404d; --page: #12161c; --blue: #4aa3df; --orange: #f08040; --green: #2fbf93; --pink: #dd9cc0; --panel: #1b212a; --hit: 30,115,175; --miss: 205,95,25; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1120px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 44px 0 6px; padding-top: 10px; border-top: 1px solid var(--line); }
h3 { font-size: 15px; margin: 0 0 6px; }
p { margin: 4px 0 12px; max-width: 80ch; }
.soft, caption, th, .unit { color: var(--soft); }
nav { margin: 12px 0; display: flex; flex-wrap: wrap; gap: 4px 16px; }
a { color: inherit; }
.stamp { border-left: 4px solid var(--orange); background: var(--panel); padding: 8px 12px; margin: 12px 0; max-width: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; background: var(--panel); padding: 14px 16px; border-radius: 8px; margin: 16px 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 500; text-align: left; vertical-align: bottom; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.n, th.n { text-align: right; }
td.text { white-space: normal; min-width: 26em; overflow-wrap: anywhere; }
td.text, td.top { vertical-align: top; }
tbody th { color: var(--ink); font-weight: 400; }
tr.group th { color: var(--ink); font-weight: 600; padding-top: 14px; }
.unit { font-size: 12.5px; }
.side { display: flex; flex-wrap: wrap; gap: 32px 48px; align-items: flex-start; margin-top: 12px; }
.heat th, .heat td { border: 0; padding: 0 8px 0 0; }
.heat tbody th { vertical-align: middle; }
.heat td { padding: 0; min-width: 38px; height: 30px; text-align: center; border: 1px solid var(--page); }
.heat td.n { padding: 0 6px 0 10px; text-align: right; color: var(--soft); }
.heat thead th { height: 104px; }
.heat thead th span { writing-mode: vertical-rl; transform: rotate(180deg); padding-top: 4px; line-height: 1.1; }
.heat td.zero { color: var(--line); }
.heat td.divider { border-left: 3px solid var(--page); }
.tag { border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; font-size: 12.5px; color: var(--soft); }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
svg .grid { stroke: var(--line); }
svg .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
.side > * { min-width: 0; max-width: 100%; }
figure { margin: 0; flex: 1 1 420px; }
.side > figure { max-width: 500px; }
figcaption { color: var(--soft); font-size: 13.5px; }
@media print { body { padding: 0; max-width: none; } nav { display: none; } h2 { break-after: avoid; } tr, figure { break-inside: avoid; } }
"""


def report_page(
    title: str,
    facts: Mapping[str, str],
    stamps: Sequence[str],
    examples: Sequence[Example],
    answers: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
    against: str | None = None,
) -> str:
    """The page, from redacted examples, their answers and what `evaluate --json` prints.

    `facts` are shown at the head as they are, `stamps` above everything; `against` names the predictions that
    `result["against"]` compares with.
    """
    parts = [
        ("scores", "Scores", _summary(result)),
        ("against", f"Against {against}", _against(result.get("against", {}))),
        ("labels", "Label by label", _per_label(result)),
        ("confusion", "What is taken for what", _confusions(examples, answers)),
        ("problems", "Problems missed and found wrongly", _swaps(examples, answers)),
        ("languages", "By language", _languages(result)),
        ("calibration", "Can the probabilities be believed?", _reliability(examples, answers, result)),
        ("unsure", "What leaving out the unsure gains", _coverage(examples, answers)),
        ("errors", "The worst errors", _worst(examples, answers)),
    ]
    parts = [part for part in parts if part[2]]
    links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _ in parts)
    sections = "".join(
        f'<section id="{anchor}"><h2>{escape(name)}</h2>{body}</section>\n' for anchor, name, body in parts
    )
    named = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    marks = "".join(f'<p class="stamp" role="note">{escape(stamp)}</p>' for stamp in stamps)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{marks}
<dl>{named}</dl>
<nav aria-label="Sections">{links}</nav>
<main>
{sections}</main>
<p class="soft">Intervals are 95 % bootstrap intervals of {RESAMPLES:,} resamples of the posts. Macro averages are over the labels that occur in the file.
Texts are redacted, but names in free text are not recognised: keep this page within the team.</p>
</body>
</html>
"""


def _table(head: Sequence[tuple[str, str]], rows: Iterable[str], name: str = "") -> str:
    """A table of ready rows; `head` gives each column's class and name."""
    columns = "".join(f'<th scope="col" class="{kind}">{escape(text)}</th>' for kind, text in head)
    return (
        f'<div class="wide"><table class="{name}"><thead><tr>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _score(scores: Mapping[str, Any], name: str, digits: int = 2) -> str:
    """The value and its interval."""
    if name not in scores:
        return "<td></td>"
    if scores[name] is None:
        return '<td class="soft">none occurs</td>'
    low, high = scores[f"{name}_ci95"]
    return f'<td>{scores[name]:.3f} <span class="unit">{low:.{digits}f} to {high:.{digits}f}</span></td>'


def _whisker(scores: Mapping[str, Any], name: str) -> str:
    """The interval as a line and the value as a dot on a scale from 0 to 1."""
    if scores[name] is None:
        return "<td></td>"
    low, high = scores[f"{name}_ci95"]
    width, pad = 180, 6

    def at(value: float) -> str:
        return f"{pad + value * (width - 2 * pad):.1f}"

    ticks = "".join(f'<line class="grid" x1="{at(x)}" x2="{at(x)}" y1="2" y2="16"/>' for x in (0, 0.25, 0.5, 0.75, 1))
    return (
        f'<td><svg width="{width}" height="18" role="img" aria-label="{scores[name]:.2f}, from {low:.2f} to {high:.2f}">{ticks}'
        f'<line x1="{at(low)}" x2="{at(high)}" y1="9" y2="9" style="stroke:{BLUE}" stroke-width="3" stroke-linecap="round" opacity=".45"/>'
        f'<circle cx="{at(scores[name])}" cy="9" r="4" style="fill:{BLUE}"/></svg></td>'
    )


def _summary(result: Mapping[str, Any]) -> str:
    rows = []
    for head in SCORED:
        for average in AVERAGES[head] if head in result else ():
            first = average == AVERAGES[head][0]
            rows.append(
                f'<tr><th scope="row">{head if first else ""}</th><td>{AVERAGE_NAMES[average]}</td>'
                f"{_score(result[head], average)}{_whisker(result[head], average)}</tr>"
            )
    calibration = result.get("calibration", {})
    for head in ("problems", "kind"):
        for name, what in ((f"{head}_ece", ""), (f"{head}_ece_from_half", " of what is said with .5 or more")):
            if name in calibration:
                rows.append(
                    f'<tr><th scope="row">{head}</th><td>calibration error{what}</td>{_score(calibration, name, 3)}'
                    '<td class="unit">less is better</td></tr>'
                )
    return _table([("", "question"), ("", "measure"), ("", "value and interval"), ("", "0 to 1")], rows)


def _against(compared: Mapping[str, Any]) -> str:
    rows = []
    for head, measures in compared.items():
        for average, row in measures.items():
            if average == "n":
                continue
            low, high = row["difference_ci95"]
            rows.append(
                f'<tr><th scope="row">{head}</th><td>{AVERAGE_NAMES[average]}</td><td class="n">{measures["n"]:,}</td>'
                f'<td class="n">{row["ours"]:.3f}</td><td class="n">{row["theirs"]:.3f}</td>'
                f'<td>{row["difference"]:+.3f} <span class="unit">{low:+.3f} to {high:+.3f}</span></td>'
                f'<td class="n">{row["share_reversed"]:.3f}</td></tr>'
            )
    if not rows:
        return ""
    names = ("question", "measure", "posts", "these", "the others", "difference and interval", "reversed")
    classes = ("", "", "n", "n", "n", "", "n")
    return (
        "<p>Both sets of predictions over the same resamples (paired bootstrap). <em>Reversed</em> is the share of resamples in which the "
        "difference is nil or of the other sign, read like a one-sided p-value.</p>"
        + _table(list(zip(classes, names, strict=True)), rows)
    )


def _per_label(result: Mapping[str, Any]) -> str:
    rows = []
    for head in SCORED:
        if head not in result:
            continue
        rows.append(f'<tr class="group"><th colspan="6" scope="rowgroup">{head}</th></tr>')
        for label, scores in result[head]["per_label"].items():
            rows.append(
                f'<tr><th scope="row">{label}</th><td class="n">{scores["support"]:,}</td>{_score(scores, "precision")}'
                f"{_score(scores, 'recall')}{_score(scores, 'f1')}{_whisker(scores, 'f1')}</tr>"
            )
    return _table(
        [("", "label"), ("n", "posts"), ("", "precision"), ("", "recall"), ("", "F1"), ("", "F1, 0 to 1")], rows
    )


def _cell(count: int, whole: int, colour: str, extra: str = "") -> str:
    """A count on a ground as strong as its share of the whole."""
    if not count:
        return f'<td class="zero {extra}">·</td>'
    # Never so strong that the number in front cannot be read.
    return (
        f'<td class="{extra}" style="background:rgba(var(--{colour}),{0.06 + 0.69 * count / whole:.2f})">{count:,}</td>'
    )


def _heat(rows: Sequence[str], columns: Sequence[str], cells: Sequence[str], corner: str, last: str) -> str:
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in (*columns, last))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{line}</tr>' for name, line in zip(rows, cells, strict=True)
    )
    return (
        f'<div class="wide"><table class="heat"><thead><tr><th class="soft">{escape(corner)}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _confusions(examples: Sequence[Example], answers: Sequence[Mapping[str, Any]]) -> str:
    figures = []
    for head in (*EVERY_POST[1:], "status"):
        true, told, _ = answered(head, examples, answers)
        if not true:
            continue
        table = confusion(head, true, told)
        names = HEADS[head]
        rows = [index for index in range(len(names)) if table[index].any()]
        columns = [index for index in range(len(names)) if table[:, index].any() or index in rows]
        labels = [names[index] for index in columns]
        if table[:, -1].any():
            columns, labels = [*columns, len(names)], [*labels, "no answer"]
        cells = []
        for row in rows:
            whole = int(table[row].sum())
            line = "".join(_cell(int(table[row, at]), whole, "hit" if at == row else "miss") for at in columns)
            cells.append(f'{line}<td class="n">{whole:,}</td>')
        heat = _heat([names[row] for row in rows], labels, cells, "labelled ↓  answered →", "posts")
        figures.append(f"<div><h3>{head}</h3>{heat}</div>")
    if not figures:
        return ""
    return (
        "<p>Each row is a label and how its posts were answered: blue is right, orange wrong, the stronger the larger its share of the row.</p>"
        f'<div class="side">{"".join(figures)}</div>'
    )


def _swaps(examples: Sequence[Example], answers: Sequence[Mapping[str, Any]]) -> str:
    true, told, _ = answered("problems", examples, answers)
    if not true:
        return ""
    names = HEADS["problems"]
    table = swaps(true, told)
    cells = []
    for row, name in enumerate((*names, None)):
        whole = max(1, int(table[row].sum()))
        line = "".join(
            "<td></td>" if row == at else _cell(int(count), whole, "miss", "divider" if at == len(names) else "")
            for at, count in enumerate(table[row])
        )
        if name is None:
            cells.append(f"{line}<td></td><td></td>")
            continue
        posts = sum(name in labels for labels in true)
        missed = sum(name in labels and name not in told[index] for index, labels in enumerate(true))
        cells.append(f'{line}<td class="n">{missed:,}</td><td class="n">{posts:,}</td>')
    whole_right = sum(set(labels) == set(answer) for labels, answer in zip(true, told, strict=True))
    heat = _heat(
        [*names, "nothing missed"],
        [*names, "nothing found wrongly", "missed"],
        cells,
        "missed ↓  found wrongly →",
        "labelled",
    )
    return (
        f"<p>{whole_right:,} of {len(true):,} posts have every problem right and no other. For the rest: which problem was missed (row) where which "
        "was found wrongly (column). A post with two mistakes of one sort stands in two cells.</p>" + heat
    )


def _languages(result: Mapping[str, Any]) -> str:
    by_lang = result.get("by_lang", {})
    shown = [(head, AVERAGES[head][0]) for head in EVERY_POST if head in result]
    if "problems" in result:
        shown.insert(1, ("problems", "micro_f1"))
    rows = [
        f'<tr><th scope="row">{escape(lang)}</th><td class="n">{part["n"]:,}</td>'
        + "".join(_score(part.get(head, {}), average) for head, average in shown)
        + _score(part.get("calibration", {}), "problems_ece", 3)
        + "</tr>"
        for lang, part in by_lang.items()
    ]
    if not rows:
        return ""
    head = [("", "language"), ("n", "posts"), *(("", f"{name}, {AVERAGE_NAMES[average]}") for name, average in shown)]
    return (
        "<p>Macro averages of different languages are over the labels that occur in each, so that small slices are not strictly comparable.</p>"
        + _table([*head, ("", "calibration error" if "calibration" in result else "")], rows)
    )


def _plot(title: str, across: str, up: str, marks: str) -> str:
    """A square from 0 to 1 both ways; `marks` is drawn in the coordinates of `_at`."""
    grid = "".join(
        f'<line class="grid" x1="{_at(tick, 0)[0]}" x2="{_at(tick, 1)[0]}" y1="{_at(0, 0)[1]}" y2="{_at(0, 1)[1]}"/>'
        f'<line class="grid" x1="{_at(0, tick)[0]}" x2="{_at(1, tick)[0]}" y1="{_at(0, tick)[1]}" y2="{_at(0, tick)[1]}"/>'
        f'<text x="{_at(tick, 0)[0]}" y="322" text-anchor="middle">{tick:.1f}</text>'
        f'<text x="42" y="{float(_at(0, tick)[1]) + 4}" text-anchor="end">{tick:.1f}</text>'
        for tick in (0, 0.2, 0.4, 0.6, 0.8, 1)
    )
    return (
        f'<svg viewBox="0 0 500 346" width="500" height="346" role="img" aria-label="{escape(title)}">{grid}{marks}'
        f'<text x="270" y="342" text-anchor="middle">{escape(across)}</text>'
        f'<text transform="translate(12 154) rotate(-90)" text-anchor="middle">{escape(up)}</text></svg>'
    )


def _at(x: float, y: float) -> tuple[str, str]:
    return f"{50 + 440 * x:.1f}", f"{304 - 294 * y:.1f}"


def _line(points: Iterable[tuple[float, float]], colour: str, width: float = 2.5) -> str:
    path = " ".join(",".join(_at(x, y)) for x, y in points)
    return f'<polyline points="{path}" fill="none" style="stroke:{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def _reliability(examples: Sequence[Example], answers: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> str:
    names = {
        "problems": ("every problem of every post", "probability given to the problem", "share of posts that have it"),
        "kind": ("the kind that was chosen", "probability given to the kind", "share that was right"),
    }
    figures = []
    for head, (hits, probability) in claims(examples, answers).items():
        points = reliability(hits, probability)
        (x0, y0), (x1, y1) = _at(0, 0), _at(1, 1)
        marks = [f'<line class="ideal" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/>']
        for one, two in pairwise(points):
            if min(one["count"], two["count"]) >= LEAST_KEPT:
                marks.append(_line([(each["probability"], each["share"]) for each in (one, two)], BLUE, 1.5))
        most = max(point["count"] for point in points)
        for point in points:
            x, low = _at(point["probability"], point["low"])
            _, high = _at(point["probability"], point["high"])
            _, y = _at(point["probability"], point["share"])
            radius = 3 + 6 * (point["count"] / most) ** 0.5
            told = f"{point['probability']:.2f} said, {point['share']:.2f} so, {point['count']:,.0f} times"
            marks.append(
                f'<g opacity="{1 if point["count"] >= LEAST_KEPT else 0.35}">'
                f'<line x1="{x}" x2="{x}" y1="{low}" y2="{high}" style="stroke:{BLUE}" stroke-width="1.5" opacity=".5"/>'
                f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" style="fill:{BLUE}"><title>{told}</title></circle></g>'
            )
        what, across, up = names[head]
        error = result["calibration"][f"{head}_ece"]
        figures.append(
            f"<figure><h3>{head}: {what}</h3>{_plot(f'Reliability of {head}', across, up, ''.join(marks))}"
            f"<figcaption>Calibration error {error:.3f} over {hits.size:,} probabilities.</figcaption></figure>"
        )
    if not figures:
        return ""
    return (
        "<p>On the dashed line a probability means what it says: of all that are given .8, 80 % are so. Below it the answers are too sure of themselves. "
        f"Larger dots stand for more posts, faint ones for fewer than {LEAST_KEPT}; the strokes are 95 % intervals.</p>"
        f'<div class="side">{"".join(figures)}</div>'
    )


def _coverage(examples: Sequence[Example], answers: Sequence[Mapping[str, Any]]) -> str:
    heads = [head for head in _UNSURE_HEADS if any(head in example.labels for example in examples)]
    confidence: list[float] = []
    kept: list[tuple[Example, Mapping[str, Any]]] = []
    for example, answer in zip(examples, answers, strict=True):
        sure = sureness(answer)
        if sure is not None and all(head in example.labels for head in heads):
            confidence.append(sure)
            kept.append((example, answer))
    if not kept or not heads:
        return ""
    lines = {head: [right(head, example.labels[head], answer.get(head)) for example, answer in kept] for head in heads}
    if len(heads) > 1:
        lines = {"at once": [all(each) for each in zip(*lines.values(), strict=True)]} | lines
    marks, rows = [], []
    for head, hits in lines.items():
        name, colour = _UNSURE_HEADS[head]
        shares, accuracy = coverage(hits, confidence)
        points = [
            (float(x), float(y)) for x, y in zip(shares, accuracy, strict=True) if x * len(kept) >= LEAST_KEPT or x == 1
        ]
        marks.append(_line(points[:: max(1, len(points) // CURVE_POINTS)] + points[-1:], colour))
        cells = "".join(f'<td class="n">{_accuracy_at(shares, accuracy, part)}</td>' for part in (0.25, 0.5, 0.75, 1))
        key = f'<svg width="14" height="10" aria-hidden="true"><rect width="14" height="10" rx="2" style="fill:{colour}"/></svg>'
        rows.append(f'<tr><td>{key}</td><th scope="row">{name}</th>{cells}</tr>')
    line, caption = _unsure_mark([answer.get("unsure") for _, answer in kept], next(iter(lines.values())))
    columns = [("", ""), ("", "right in"), *(("n", f"surest {part} %") for part in (25, 50, 75)), ("n", "all posts")]
    marks.append(line)
    plot = _plot("Accuracy by coverage", "share of posts kept, the surest first", "share of them right", "".join(marks))
    return (
        "<p>Posts are ranked by one confidence, that kind, about and every problem are right at once; the curve shows how right the answers are when only "
        "the surest are kept.</p>"
        f'<div class="side"><figure>{plot}<figcaption>{caption}</figcaption></figure><div>{_table(columns, rows)}</div></div>'
    )


def _unsure_mark(flags: Sequence[bool | None], hits: Sequence[bool]) -> tuple[str, str]:
    """A dashed line at the share that is not marked unsure, and what it means; nothing where posts carry no mark."""
    if None in flags:
        return "", ""
    unsure = sum(map(bool, flags))
    share = 1 - unsure / len(flags)
    (x, bottom), (_, top) = _at(share, 0), _at(share, 1)
    told = []
    for what, flag in (("others", False), ("unsure", True)):
        some = [hit for hit, mark in zip(hits, flags, strict=True) if mark == flag]
        if some:
            told.append(f"{sum(some) / len(some):.0%} of the {what}")
    return (
        f'<line class="ideal" x1="{x}" x2="{x}" y1="{bottom}" y2="{top}"/>',
        f"The dashed line is where the share that is not marked unsure ends: {unsure:,} of {len(flags):,} posts ({1 - share:.0%}) are marked unsure. "
        f"Right by the first row of the table: {', '.join(told)}.",
    )


def _accuracy_at(share: NDArray[Any], accuracy: NDArray[Any], part: float) -> str:
    """The accuracy of the smallest set that holds this part of the posts."""
    return f"{accuracy[int((share >= part - 1e-9).argmax())]:.1%}"


def _worst(examples: Sequence[Example], answers: Sequence[Mapping[str, Any]]) -> str:
    found = []
    for number, (example, answer) in enumerate(zip(examples, answers, strict=True), 1):
        if wrong := mistakes(example, answer):
            sure = max((sure for _, _, sure in wrong if sure is not None), default=None)
            found.append((sure, len(wrong), number, example, wrong))
    if not found:
        return "<p>None: every answer is right.</p>"
    graded = any(sure is not None for sure, *_ in found)
    found.sort(key=lambda each: (-(each[0] or 0), -each[1], each[2]))
    rows = []
    for sure, _, number, example, wrong in found[:WORST]:
        text = _CONTROL.sub(" ", example.text)
        text = text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"
        told = "<br>".join(
            f'<span class="soft">{head}</span> {escape(what)}' + ("" if level is None else f" ({level:.2f})")
            for head, what, level in wrong
        )
        tag = f' <span class="tag">{escape(example.labels["lang"])}</span>' if "lang" in example.labels else ""
        grade = "" if sure is None else f"{sure:.2f}"
        rows.append(
            f'<tr><td class="n top">{grade}</td><td class="n top soft">{number:,}</td>'
            f'<td class="text"><bdi>{escape(text)}</bdi>{tag}</td><td class="top">{told}</td></tr>'
        )
    order = "the surest first" if graded else "those with most mistakes first, as no scores are given"
    shown = f"{min(len(found), WORST)} of {len(found):,}" if len(found) > WORST else f"{len(found):,}"
    head = [("n", "how sure"), ("n", "record"), ("", "text, redacted"), ("", "what is wrong, and how sure")]
    return f"<p>{shown} posts with a mistake, {order}.</p>" + _table(head, rows)
