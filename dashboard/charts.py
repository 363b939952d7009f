"""Tables to pictures. Wall-clock times of Nairobi are drawn as if they were UTC, so that no viewer's zone shifts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from dashboard.strings import label_name, say
from dashboard.volume import NO_PROBLEM
from data.labels import PROBLEMS, SENTIMENTS
from data.official import NAIROBI

if TYPE_CHECKING:
    from datetime import datetime

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
STATUS_COLOURS = {
    "acknowledged": "#E69F00",
    "update": "#56B4E9",
    "resolved": "#009E73",
    "workaround": "#8C6D31",
    "maintenance": "#9A9A9A",
    "denial": "#AA3377",
    "notice": "#0072B2",
    "help": "#CC79A7",
}
VOLUME_HEIGHT, ROW_HEIGHT, SIDE_HEIGHT = 300, 22, 240
BAR_SELECTION = "bar"
_LABEL_CHARACTERS = 46


def wall(moments: Any) -> Any:
    """East Africa Time as a wall clock that Vega takes for UTC."""
    return (
        pd.to_datetime(pd.Series(moments), utc=True).dt.tz_convert(NAIROBI).dt.tz_localize(None).dt.tz_localize("UTC")
    )


def _domain(window: Window) -> list[dict[str, int]]:
    ends = wall([window.from_at, window.to_at])
    return [
        {"year": end.year, "month": end.month, "date": end.day, "hours": end.hour, "minutes": end.minute, "utc": True}
        for end in ends
    ]


def _x(field: str, window: Window, *, axis: bool = True) -> alt.X:
    ticks = alt.Axis(title=None, format="%a %d %b %H:%M", labelOverlap=True, labelFlush=True, tickCount=10)
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc", domain=_domain(window)), axis=ticks if axis else None)


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
    rows["when"] = [f"{moment:%a %d %b %H:%M}" for moment in rows["bucket"]]
    rows["name"] = [label_name(language, value) for value in rows[column]]
    rows["key"] = rows[column]
    names = [label_name(language, value) for value in colours]
    legend = alt.Legend(title=None, orient="bottom", columns=legend_columns, symbolType="square")
    return (
        alt.Chart(rows[["from_at", "until_at", "when", "name", "key", "people", "top", "bottom"]])
        .mark_rect()
        .encode(
            x=_x("from_at", window),
            x2="until_at:T",
            y=alt.Y("bottom:Q", title=None, axis=alt.Axis(tickMinStep=1, format="d")),
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
) -> alt.VConcatChart:
    """Official messages above, on the same axis as the stacked bars below, with the unseen spans in grey."""
    select = alt.selection_point(name=BAR_SELECTION, fields=["when", "key"], on="click")
    bars = _bars(volume, window, "main_problem", PROBLEM_COLOURS, language).add_params(select)
    bars = bars.encode(opacity=alt.condition(select, alt.value(1.0), alt.value(0.35)))
    behind = [_holes(holes, window), _bands(official, window)]
    below = alt.layer(*[layer for layer in behind if layer is not None], bars)
    # Problems and statuses have colours of their own.
    below = below.properties(height=VOLUME_HEIGHT, width=width).resolve_scale(color="independent")
    told = ", ".join(f"{row.who} {row.status}" for row in official.itertuples()) or say(language, "none")
    description = f"{say(language, 'volume')}. {say(language, 'official')}: {told}."
    parts = [below] if official.empty else [_messages(official, window, language, width), below]
    return alt.vconcat(*parts, spacing=4).resolve_scale(color="independent").properties(description=description)


def _spans(official: pd.DataFrame, window: Window) -> pd.DataFrame:
    rows = official.copy()
    # A message with a known minute would be a line without width.
    least = (window.to_at - window.from_at) / 250
    until = rows["until_at"].where(rows["until_at"] - rows["from_at"] >= least, rows["from_at"] + least)
    rows["start"] = wall(rows["from_at"].clip(lower=pd.Timestamp(window.from_at)))
    rows["end"] = wall(until.clip(upper=pd.Timestamp(window.to_at)))
    return rows


def _bands(official: pd.DataFrame, window: Window) -> alt.Chart | None:
    if official.empty:
        return None
    rows = _spans(official, window)[["start", "end", "status"]]
    colour = alt.Color(
        "status:N", scale=alt.Scale(domain=list(STATUS_COLOURS), range=list(STATUS_COLOURS.values())), legend=None
    )
    return alt.Chart(rows).mark_rect(opacity=0.10).encode(x=_x("start", window), x2="end:T", color=colour)


def _messages(official: pd.DataFrame, window: Window, language: str, width: int | str) -> alt.LayerChart:
    rows = _spans(official, window)
    rows["row"] = range(len(rows))
    shown = {"day": "%a %d %b", "hour": "%a %d %b ~%H:00", "minute": "%a %d %b %H:%M"}
    times = [row.from_at.strftime(shown[row.precision]) for row in rows.itertuples()]
    doubt = f" ({say(language, 'unconfirmed')})"
    labels = [
        f"{row.who}{'' if row.confirmed else doubt}: {label_name(language, row.status)}" for row in rows.itertuples()
    ]
    rows["label"] = [text if len(text) <= _LABEL_CHARACTERS else text[: _LABEL_CHARACTERS - 1] + "…" for text in labels]
    rows["time"] = times
    rows["to"] = [label_name(language, scope) for scope in rows["scope"]]
    # A label stands right of its mark, or left of it where the right edge is near.
    middle = wall([window.from_at + (window.to_at - window.from_at) / 2])[0]
    rows["left"] = rows["start"] > middle
    colour = alt.Color(
        "status:N", scale=alt.Scale(domain=list(STATUS_COLOURS), range=list(STATUS_COLOURS.values())), legend=None
    )
    tooltip = [
        alt.Tooltip(f"{field}:N", title=title)
        for field, title in (("time", "EAT"), ("who", " "), ("status", "  "), ("to", "   "), ("text", "    "))
    ]
    rows = rows[["start", "end", "row", "label", "time", "who", "status", "to", "text", "left"]]
    y = alt.Y("row:O", axis=None)
    base = alt.Chart(rows)
    marks = base.mark_bar(height=12, cornerRadius=3).encode(
        x=_x("start", window, axis=False), x2="end:T", y=y, color=colour, tooltip=tooltip
    )
    style = {"fontSize": 11, "baseline": "middle", "color": "#6b7280"}
    right = (
        base.transform_filter("!datum.left")
        .mark_text(align="left", dx=6, **style)
        .encode(x=_x("end", window, axis=False), y=y, text="label:N", tooltip=tooltip)
    )
    left = (
        base.transform_filter("datum.left")
        .mark_text(align="right", dx=-6, **style)
        .encode(x=_x("start", window, axis=False), y=y, text="label:N", tooltip=tooltip)
    )
    return alt.layer(marks, right, left).properties(height=ROW_HEIGHT * len(rows), width=width)


def _holes(holes: list[tuple[datetime, datetime]], window: Window) -> alt.Chart | None:
    if not holes:
        return None
    rows = pd.DataFrame({"start": wall([start for start, _ in holes]), "end": wall([end for _, end in holes])})
    return alt.Chart(rows).mark_rect(color="#9A9A9A", opacity=0.30).encode(x=_x("start", window), x2="end:T")


def sentiment_chart(frame: pd.DataFrame, window: Window, language: str) -> alt.Chart:
    """People by sentiment, stacked."""
    chart = _bars(frame, window, "sentiment", SENTIMENT_COLOURS, language)
    return chart.properties(height=SIDE_HEIGHT, description=say(language, "sentiment"))


def lanes_chart(frame: pd.DataFrame, window: Window, language: str) -> alt.Chart:
    """What is shown beside the complaints, stacked."""
    return _bars(frame, window, "lane", LANE_COLOURS, language, legend_columns=3).properties(
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
    text = base.mark_text(align="left", dx=5, color="#6b7280").encode(text="shown:N")
    description = "; ".join(f"{row.name} {row.shown}" for row in rows[["name", "shown"]].itertuples(index=False))
    return alt.layer(bars, text).properties(height=alt.Step(24), description=description)
