"""Tables to pictures. Wall-clock times of Nairobi are drawn as if they were UTC, so that no viewer's zone shifts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from dashboard.phrases import record_name, rung_lines
from dashboard.rungs import rungs, span
from dashboard.strings import label_name, say, shown_time
from dashboard.volume import NO_PROBLEM
from data.labels import PROBLEMS, SENTIMENTS
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dashboard.ladder import Word
    from dashboard.rungs import Rung
    from dashboard.volume import Window

# Told apart with colour-blind eyes (Okabe and Ito, Paul Tol), on white and on black.
PROBLEM_COLOURS = dict(
    zip(
        [*PROBLEMS, NO_PROBLEM],
        ["#D55E00", "#0072B2", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#8C6D31", "#AA3377", "#9A9A9A"],
        strict=True,
    )
)
SENTIMENT_COLOURS = dict(zip(SENTIMENTS, ["#D55E00", "#009E73", "#9A9A9A"], strict=True))
LANE_COLOURS = {
    "rumour": "#AA3377",
    "government": "#8C6D31",
    "dependency": "#56B4E9",
    "promotion": "#E69F00",
    "unrelated": "#9A9A9A",
}
# What officials said is an outline in the ink of the words beside it, which name the status: no hue is left that no problem has.
INK, INCIDENT_COLOUR = "#6b7280", "#D55E00"
# The step that a message took first names its shape; colour is never alone, and a square is a problem's in the legend.
RUNG_SHAPES = {
    "onset": "triangle-right",
    "first_complaint": "triangle-left",
    "raised": "triangle-up",
    "first_official": "circle",
    "first_statement": "circle",
    "first_from_ecitizen": "circle",
    "update": "circle",
    "workaround": "cross",
    "resolved": "diamond",
    "quiet": "triangle-down",
}
VOLUME_HEIGHT, ROW_HEIGHT, LADDER_ROW_HEIGHT, SIDE_HEIGHT = 300, 22, 72, 240
BAR_SELECTION = "bar"
# Inside the chart: it is as wide as the page, and what stands left of it would push its right end off a phone.
_PEOPLE_AXIS = alt.Axis(
    tickMinStep=1, format="d", ticks=False, domain=False, labelAlign="left", labelBaseline="bottom", labelPadding=-3
)
_LABEL_CHARACTERS = 46


@dataclass(frozen=True)
class Frame:
    """The ends of a time axis."""

    from_at: datetime
    to_at: datetime


def wall(moments: Any) -> Any:
    """East Africa Time as a wall clock that Vega takes for UTC."""
    return (
        pd.to_datetime(pd.Series(moments), utc=True).dt.tz_convert(NAIROBI).dt.tz_localize(None).dt.tz_localize("UTC")
    )


def _domain(window: Window | Frame) -> list[dict[str, int]]:
    ends = wall([window.from_at, window.to_at])
    return [
        {"year": end.year, "month": end.month, "date": end.day, "hours": end.hour, "minutes": end.minute, "utc": True}
        for end in ends
    ]


def _x(field: str, window: Window | Frame, language: str | None) -> alt.X:
    """The time axis, labelled in a language; None for no labels."""
    ticks = None
    if language is not None:
        weekdays, months = say(language, "weekdays").split(), say(language, "months").split()
        label = (
            f"{weekdays}[utcday(datum.value)] + utcFormat(datum.value, ' %d ')"
            f" + {months}[utcmonth(datum.value)] + utcFormat(datum.value, ' %H:%M')"
        )
        ticks = alt.Axis(title=None, labelExpr=label, labelOverlap=True, labelFlush=45, labelBound=True, tickCount=10)
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc", domain=_domain(window)), axis=ticks)


def _bars(
    frame: pd.DataFrame, window: Window, column: str, colours: dict[str, str], language: str, legend_columns: int = 5
) -> alt.Chart:
    """Stacked rectangles: a Vega-Lite bar that has two ends in time lies on its side."""
    rows = frame.assign(order=[list(colours).index(value) for value in frame[column]]).sort_values(["bucket", "order"])
    rows["top"] = rows.groupby("bucket")["people"].cumsum()
    rows["bottom"] = rows["top"] - rows["people"]
    width = pd.Timedelta(window.bucket)
    rows["from_at"] = wall(rows["bucket"]).to_numpy()
    rows["until_at"] = wall(rows["bucket"] + width * 0.92).to_numpy()
    rows["when"] = [shown_time(bucket, language, year=False) for bucket in rows["bucket"]]
    rows["bar"] = [bucket.isoformat() for bucket in rows["bucket"]]
    rows["name"] = [label_name(language, value) for value in rows[column]]
    rows["key"] = rows[column]
    names = [label_name(language, value) for value in colours]
    legend = alt.Legend(title=None, orient="bottom", columns=legend_columns, symbolType="square", labelLimit=0)
    return (
        alt.Chart(rows[["from_at", "until_at", "bar", "when", "name", "key", "people", "top", "bottom"]])
        .mark_rect()
        .encode(
            x=_x("from_at", window, language),
            x2="until_at:T",
            y=alt.Y("bottom:Q", title=None, axis=_PEOPLE_AXIS),
            y2="top:Q",
            color=alt.Color("name:N", scale=alt.Scale(domain=names, range=list(colours.values())), legend=legend),
            tooltip=[
                alt.Tooltip("when:N", title="EAT"),
                alt.Tooltip("name:N", title=" "),
                alt.Tooltip("people:Q", title=say(language, "people_complaining")),
            ],
        )
    )


def volume_chart(
    volume: pd.DataFrame,
    official: pd.DataFrame,
    holes: list[tuple[datetime, datetime]],
    window: Window,
    language: str,
    width: int | str = "container",
    records: Sequence[dict[str, Any]] = (),
    maintenance: Sequence[Word] = (),
) -> alt.VConcatChart:
    """Official messages above, then the strip of incidents, on the same axis as the stacked bars below, with the unseen spans in grey."""
    select = alt.selection_point(name=BAR_SELECTION, fields=["bar", "key"], on="click")
    bars = _bars(volume, window, "main_problem", PROBLEM_COLOURS, language).add_params(select)
    bars = bars.encode(opacity=alt.condition(select, alt.value(1.0), alt.value(0.35)))
    behind = [_holes(holes, window, language), _bands(official, window, language)]
    rules = [_rules(records, window, language)] if records else []
    below = alt.layer(*[layer for layer in behind if layer is not None], bars, *rules)
    below = below.properties(height=VOLUME_HEIGHT, width=width)
    told = ", ".join(f"{row.who} {label_name(language, row.status)}" for row in official.itertuples()) or say(
        language, "none"
    )
    description = f"{say(language, 'volume')}. {say(language, 'official')}: {told}."
    above = [] if official.empty else [_messages(official, window, language, width)]
    strip = incident_strip(records, maintenance, window, language)
    above += [] if strip is None else [strip]
    return alt.vconcat(*above, below, spacing=4).resolve_scale(color="independent").properties(description=description)


def _spans(official: pd.DataFrame, window: Window) -> pd.DataFrame:
    rows = official.copy()
    # A message with a known minute would be a line without width.
    least = (window.to_at - window.from_at) / 250
    until = rows["until_at"].where(rows["until_at"] - rows["from_at"] >= least, rows["from_at"] + least)
    rows["start"] = wall(rows["from_at"].clip(lower=pd.Timestamp(window.from_at)))
    rows["end"] = wall(until.clip(upper=pd.Timestamp(window.to_at)))
    return rows


def _bands(official: pd.DataFrame, window: Window, language: str) -> alt.Chart | None:
    if official.empty:
        return None
    rows = _spans(official, window)[["start", "end"]]
    outline = alt.Chart(rows).mark_rect(filled=False, color=INK, strokeDash=[1, 3])
    return outline.encode(x=_x("start", window, language), x2="end:T")


def _messages(official: pd.DataFrame, window: Window, language: str, width: int | str) -> alt.LayerChart:
    rows = _spans(official, window)
    rows["row"] = range(len(rows))
    rows["status"] = [label_name(language, status) for status in rows["status"]]
    doubt = f" ({say(language, 'unconfirmed')})"
    said = [f"{'' if row.confirmed else doubt}: {row.status}" for row in rows.itertuples()]
    rows["label"] = [
        _shortened(who, _LABEL_CHARACTERS - len(rest)) + rest for who, rest in zip(rows["who"], said, strict=True)
    ]
    rows["time"] = [shown_time(row.from_at, language, row.precision, year=False) for row in rows.itertuples()]
    rows["to"] = [label_name(language, scope) for scope in rows["scope"]]
    # A label stands right of its mark, or left of it where the right edge is near.
    middle = wall([window.from_at + (window.to_at - window.from_at) / 2])[0]
    rows["left"] = rows["start"] > middle
    tooltip = [
        alt.Tooltip(f"{field}:N", title=title)
        for field, title in (("time", "EAT"), ("who", " "), ("status", "  "), ("to", "   "), ("text", "    "))
    ]
    rows = rows[["start", "end", "row", "label", "time", "who", "status", "to", "text", "left"]]
    y = alt.Y("row:O", axis=None)
    base = alt.Chart(rows)
    marks = base.mark_bar(height=12, cornerRadius=3, color=INK, fillOpacity=0.15, stroke=INK, strokeWidth=1.5).encode(
        x=_x("start", window, None), x2="end:T", y=y, tooltip=tooltip
    )
    style = {"fontSize": 11, "baseline": "middle", "color": INK}
    right = (
        base.transform_filter("!datum.left")
        .mark_text(align="left", dx=6, **style)
        .encode(x=_x("end", window, None), y=y, text="label:N", tooltip=tooltip)
    )
    left = (
        base.transform_filter("datum.left")
        .mark_text(align="right", dx=-6, **style)
        .encode(x=_x("start", window, None), y=y, text="label:N", tooltip=tooltip)
    )
    return alt.layer(marks, right, left).properties(height=ROW_HEIGHT * len(rows), width=width)


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _holes(holes: list[tuple[datetime, datetime]], window: Window, language: str) -> alt.Chart | None:
    if not holes:
        return None
    rows = pd.DataFrame({"start": wall([start for start, _ in holes]), "end": wall([end for _, end in holes])})
    return alt.Chart(rows).mark_rect(color="#9A9A9A", opacity=0.30).encode(x=_x("start", window, language), x2="end:T")


def incident_strip(
    records: Sequence[dict[str, Any]], maintenance: Sequence[Word], window: Window, language: str
) -> alt.LayerChart | None:
    """The incidents of a window from onset to quiet with their steps, and the maintenance that was announced; None without any."""
    shown = [
        _strip_row(record_name(record, language), *span(record, window.to_at), language, planned=record["planned"])
        for record in records
    ]
    for word in maintenance:
        begin = word.covers_from or word.at
        name = f"{say(language, 'rung_planned')}: {word.office or word.account}"
        shown.append(_strip_row(name, begin, word.covers_to or begin, language, planned=True))
    rows = _clipped(pd.DataFrame(shown, columns=["label", "from_at", "until_at", "when", "planned"]), window)
    if rows.empty:
        return None
    middle = wall([window.from_at + (window.to_at - window.from_at) / 2])[0]
    rows["left"] = rows["end"] > middle
    rows["colour"] = [INK if planned else INCIDENT_COLOUR for planned in rows["planned"]]
    rows = rows.drop(columns=["from_at", "until_at"])
    y = alt.Y("label:N", sort=list(rows["label"]), axis=None)
    tooltip = [alt.Tooltip("label:N", title=" "), alt.Tooltip("when:N", title="EAT")]
    bars = alt.Chart(rows).mark_bar(height=8, opacity=0.45, cornerRadius=2)
    layers = [
        bars.encode(
            x=_x("start", window, None), x2="end:T", y=y, color=alt.Color("colour:N", scale=None), tooltip=tooltip
        )
    ]
    for left, end, align, shift in ((False, "end", "left", 10), (True, "start", "right", -10)):
        text = alt.Chart(rows[rows["left"] == left]).mark_text(
            align=align, dx=shift, fontSize=11, baseline="middle", color=INK
        )
        layers.append(text.encode(x=_x(end, window, None), y=y, text="label:N"))
    steps = [
        _step(rung, language) | {"label": record_name(record, language)}
        for record in records
        for rung in rungs(record)
        # What is known to the hour or the day has a band of its own.
        if rung.names != ("first_complaint",) and (rung.who is None or rung.precision == "minute")
    ]
    if steps:
        marks = _clipped(pd.DataFrame(steps), window)
        legend = alt.Legend(title=None, orient="bottom", symbolFillColor=INK, symbolStrokeWidth=0, symbolSize=60)
        layers += _rung_marks(marks, alt.Y("label:N", sort=list(rows["label"]), axis=None), window, language, legend)
    return alt.layer(*layers).properties(height=ROW_HEIGHT * len(rows), width="container")


def _rules(records: Sequence[dict[str, Any]], window: Window, language: str) -> alt.Chart:
    """Where incidents began and became quiet, through the bars."""
    ends = [rung.from_at for record in records for rung in rungs(record) if {"onset", "quiet"} & set(rung.names)]
    rows = pd.DataFrame({"start": wall([end for end in ends if window.from_at <= end < window.to_at])})
    return alt.Chart(rows).mark_rule(color=INCIDENT_COLOUR, strokeDash=[4, 3]).encode(x=_x("start", window, language))


def _strip_row(label: str, from_at: datetime, until_at: datetime, language: str, *, planned: bool) -> dict[str, Any]:
    begin, end = from_at.astimezone(NAIROBI), until_at.astimezone(NAIROBI)
    when = " – ".join(shown_time(at, language, year=False) for at in (begin, end))
    return {"label": label, "from_at": begin, "until_at": end, "when": when, "planned": planned}


def ladder_chart(record: dict[str, Any], now: datetime, language: str) -> alt.LayerChart:
    """Each step of an incident in a row of its own: its words above its mark, which is as wide as its time is known."""
    steps = pd.DataFrame([_step(rung, language) for rung in rungs(record, now)])
    steps["row"] = range(len(steps))
    start, end = span(record, now)
    first, last = min(start, steps["from_at"].min()), max(end, steps["until_at"].max())
    margin = (last - first) * 0.02
    window = Frame(first - margin, last + margin)
    steps = _clipped(steps, window)
    y = alt.Y("row:O", axis=None)
    whole = pd.DataFrame({"start": wall([start]), "end": wall([end])})
    colour = INK if record["planned"] else INCIDENT_COLOUR
    behind = alt.Chart(whole).mark_rect(color=colour, opacity=0.10).encode(x=_x("start", window, language), x2="end:T")
    words = (
        alt.Chart(steps[["row", "lines"]])
        .mark_text(align="left", baseline="top", dy=-34, lineBreak="\n", lineHeight=15, fontSize=12, color=INK)
        .encode(x=alt.value(4), y=y, text="lines:N")
    )
    told = "; ".join(steps["lines"]).replace("\n", " · ")
    layers = [behind, words, *_rung_marks(steps, y, window, language, None, LADDER_ROW_HEIGHT * 0.28)]
    return alt.layer(*layers).properties(
        height=LADDER_ROW_HEIGHT * len(steps), width="container", description=f"{say(language, 'ladder')}: {told}."
    )


def _step(rung: Rung, language: str) -> dict[str, Any]:
    return {
        "from_at": rung.from_at,
        "until_at": rung.until_at,
        "wide": rung.precision != "minute",
        "name": rung.names[0],
        "lines": "\n".join(rung_lines(rung, language)),
        "colour": INK if rung.who else INCIDENT_COLOUR,
    }


def _rung_marks(
    rows: pd.DataFrame, y: alt.Y, window: Window | Frame, language: str, legend: alt.Legend | None, lower: float = 0
) -> list[alt.Chart]:
    """Points for what is known to the minute, outlined bars for what is not."""
    rows = rows.assign(step=[say(language, f"rung_{name}") for name in rows["name"]])
    rows["told"] = rows["lines"].str.replace("\n", " · ")
    tooltip = alt.Tooltip("told:N", title=" ")
    colour = alt.Color("colour:N", scale=None)
    names = list(dict.fromkeys(say(language, f"rung_{name}") for name in RUNG_SHAPES if name in set(rows["name"])))
    shapes = [RUNG_SHAPES[name] for name in RUNG_SHAPES if name in set(rows["name"])]
    wide = alt.Chart(rows[rows["wide"]]).mark_bar(height=10, cornerRadius=2, filled=False, strokeWidth=2, yOffset=lower)
    points = alt.Chart(rows[~rows["wide"]]).mark_point(filled=True, size=80, opacity=1, yOffset=lower)
    return [
        wide.encode(x=_x("start", window, language), x2="end:T", y=y, color=colour, tooltip=tooltip),
        points.encode(
            x=_x("start", window, language),
            y=y,
            color=colour,
            shape=alt.Shape("step:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
            tooltip=tooltip,
        ),
    ]


def _clipped(rows: pd.DataFrame, window: Window | Frame) -> pd.DataFrame:
    """The rows that a window shows, with `start` and `end` inside it."""
    rows = rows[(rows["from_at"] < window.to_at) & (rows["until_at"] >= window.from_at)].copy()
    rows["start"] = wall(rows["from_at"].clip(lower=pd.Timestamp(window.from_at))).to_numpy()
    rows["end"] = wall(rows["until_at"].clip(upper=pd.Timestamp(window.to_at))).to_numpy()
    return rows


def sentiment_chart(frame: pd.DataFrame, window: Window, language: str) -> alt.Chart:
    """People by sentiment, stacked."""
    chart = _bars(frame, window, "sentiment", SENTIMENT_COLOURS, language)
    return chart.properties(height=SIDE_HEIGHT, description=say(language, "sentiment"))


def lanes_chart(frame: pd.DataFrame, window: Window, language: str) -> alt.Chart:
    """What is shown beside the complaints, stacked."""
    return _bars(frame, window, "lane", LANE_COLOURS, language, legend_columns=2).properties(
        height=SIDE_HEIGHT, description=say(language, "lanes")
    )


def shares_chart(shares: pd.DataFrame, language: str) -> alt.LayerChart:
    """The share of each problem, largest first, with its number beside it."""
    rows = shares[shares["people"] > 0].copy()
    rows["name"] = [label_name(language, problem) for problem in rows["problem"]]
    rows["colour"] = [PROBLEM_COLOURS[problem] for problem in rows["problem"]]
    rows["shown"] = [f"{share:.0%} ({people:,})" for share, people in zip(rows["share"], rows["people"], strict=True)]
    base = alt.Chart(rows).encode(
        y=alt.Y("name:N", sort=list(rows["name"]), title=None, axis=alt.Axis(labelLimit=200)),
        x=alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, max(1.0, float(rows["share"].max() or 0)) * 1.25])),
    )
    bars = base.mark_bar(height=14, cornerRadius=2).encode(color=alt.Color("colour:N", scale=None))
    text = base.mark_text(align="left", dx=5, color=INK).encode(text="shown:N")
    description = "; ".join(f"{row.name} {row.shown}" for row in rows[["name", "shown"]].itertuples(index=False))
    return alt.layer(bars, text).properties(height=alt.Step(24), description=description)
