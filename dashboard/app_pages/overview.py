"""The first page: is something wrong, what, for how many, since when, and what did the officials say."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard import charts, volume
from dashboard.app_pages.banner import incident_banners, rumour_notices
from dashboard.app_pages.frame import LINES_HEIGHT, choose_language, opened_store, stamps
from dashboard.incidents import LANES
from dashboard.record import listened_to, records
from dashboard.rungs import announced, moment
from dashboard.strings import label_name, say, shown_time
from data.circuit import Circuit, open_circuits
from data.errors import TrackerError
from data.labels import PROBLEMS
from data.links import link_of
from data.official import NAIROBI
from data.settings import Settings, load_settings
from data.spending import standing_of_x

REFRESH_SECONDS = 60
CACHE_SECONDS = 20
SHOWN_POSTS = 500
# Pixels: all columns of a table are seen at 1,400, in either language.
POST_WIDTHS = {"reason": 105, "at": 115, "text": 300, "problems": 100, "services": 95}
OFFICIAL_WIDTHS = {"at": 115, "who": 140, "text": 380, "source": 220}
DRAWN_INCIDENTS = 6
PERIODS = ("1", "3", "7", "14", "all", "dates")
STATUS_COLOURS = {
    "above": "red",
    "usual": "green",
    "cannot_tell": "orange",
    "blind": "orange",
    "behind": "orange",
    "empty": "gray",
}


@st.cache_data(ttl=CACHE_SECONDS, max_entries=32)
def _read(url: str, window: volume.Window) -> dict[str, Any]:
    engine = opened_store(url).engine
    posts = volume.load_posts(engine, window)
    found = volume.complaints(posts)
    return {
        "posts": found[["source", "id", "at", "person", "main_problem", "problems", "sentiment", "lang"]],
        "volume": volume.volume_by_problem(posts, window),
        "sentiment": volume.sentiment_over_time(posts, window),
        "lanes": volume.lanes(posts, window),
        "shares": volume.problem_shares(posts),
        "official": volume.official_messages(engine, window),
        "impostors": volume.suspected_impostors(engine),
        "not_counted": volume.not_counted(posts),
        "holes": volume.not_looked_at(engine, window),
    }


@st.cache_data(ttl=CACHE_SECONDS, max_entries=32)
def _incidents(url: str, from_at: datetime, now: datetime) -> dict[str, Any]:
    """The incidents since a moment, and those not over yet, in brief; whatever the filters, which an incident knows nothing of."""
    engine = opened_store(url).engine
    found: dict[str, Any] = {lane: records(engine, now, from_at, lane=lane, brief=True) for lane in LANES}
    with engine.connect() as connection:
        found["listened"] = listened_to(connection)
    return found | {"maintenance": announced(engine, now)}


@st.cache_data(ttl=CACHE_SECONDS, max_entries=4)
def _status(url: str, now: datetime) -> volume.Status:
    return volume.status_line(opened_store(url).engine, now)


@st.cache_data(ttl=CACHE_SECONDS, max_entries=4)
def _resting(url: str, now: datetime) -> list[Circuit]:
    return open_circuits(opened_store(url).engine)


def _choose_window(url: str, now: datetime, language: str) -> volume.Window:
    options = volume.choices(opened_store(url).engine)
    with st.sidebar:
        st.header(say(language, "filters"))
        period = st.selectbox(
            say(language, "period"),
            PERIODS,
            index=PERIODS.index("7"),
            format_func=lambda choice: say(language, f"period_{choice}"),
            key="period",
            bind="query-params",
        )
        from_at, to_at = _period(period, url, now, language)
        problems = st.multiselect(
            say(language, "problem"),
            [*PROBLEMS, volume.NO_PROBLEM],
            format_func=lambda problem: label_name(language, problem),
            placeholder=say(language, "everything"),
            key="problem",
            bind="query-params",
        )
        sources = st.multiselect(
            say(language, "source"),
            options["sources"],
            placeholder=say(language, "everything"),
            key="source",
            bind="query-params",
        )
        langs = st.multiselect(
            say(language, "lang"),
            options["langs"],
            placeholder=say(language, "everything"),
            key="lang",
            bind="query-params",
        )
    return volume.Window(from_at, to_at, tuple(problems), tuple(sources), tuple(langs))


def _period(period: str, url: str, now: datetime, language: str) -> tuple[datetime, datetime]:
    # Whole minutes, so that the cache serves every viewer of the same minute.
    to_at = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if period == "all":
        span = volume.time_span(opened_store(url).engine, now)
        return (span[0], to_at) if span else (to_at - timedelta(days=1), to_at)
    if period == "dates":
        today = now.astimezone(NAIROBI).date()
        chosen = st.date_input(say(language, "days"), (today - timedelta(days=6), today), max_value=today, key="days")
        first, last = (chosen[0], chosen[-1]) if isinstance(chosen, tuple) and chosen else (today, today)
        begin = datetime.combine(first, time(), NAIROBI)
        return begin, min(datetime.combine(last, time(), NAIROBI) + timedelta(days=1), to_at)
    return to_at - timedelta(days=int(period)), to_at


def _status_block(status: volume.Status, language: str) -> None:
    word = say(language, f"word_{status.word}")
    st.markdown(f"### :{STATUS_COLOURS[status.word]}[●] {word}")
    st.markdown(
        say(
            language,
            f"status_{status.word}",
            people=status.people_last_hour,
            usual=status.usual or 0,
            looked=shown_time(status.looked_until, language),
            waiting=f"{status.waiting:,}",
            silent=", ".join(status.silent) or say(language, "everything"),
        )
    )
    st.caption(
        say(
            language,
            "facts",
            newest=shown_time(status.newest_post, language),
            looked=shown_time(status.looked_until, language),
            waiting=f"{status.waiting:,}",
        )
    )


def _budget_notice(url: str, settings: Settings, language: str) -> None:
    """Where the budget of a paid source keeps it from being read."""
    engine = opened_store(url).engine
    where = standing_of_x(engine, settings)
    if where is None or where.word == "reading":
        return
    posts, since = volume.counted_unread(engine, "x")
    amount = say(language, "amount_usd" if where.in_usd else "amount_posts", used=where.used, limit=where.limit)
    text = say(
        language,
        f"budget_{where.word}",
        amount=amount,
        until=shown_time(where.renewed_at, language),
        posts=f"{posts:,}",
        since=shown_time(since, language),
    )
    st.warning(
        text.replace("$", r"\$"), icon=":material/payments:"
    )  # two bare dollars would set what is between as a formula


def _metrics(found: dict[str, Any], window: volume.Window, language: str) -> None:
    shares, official = found["shares"], found["official"]
    named = shares[shares["problem"] != volume.NO_PROBLEM]
    columns = st.columns([1, 1, 1, 1.6])
    columns[0].metric(say(language, "people_complaining"), f"{found['posts']['person'].nunique():,}", border=True)
    if not named.empty and named.iloc[0]["people"]:
        top = named.iloc[0]
        columns[1].metric(
            say(language, "share_of", problem=label_name(language, top["problem"])), f"{top['share']:.0%}", border=True
        )
    if not found["volume"].empty:
        by_bar = found["volume"].groupby("bucket")["people"].sum()
        columns[2].metric(
            say(language, "peak"),
            f"{by_bar.max():,}",
            shown_time(by_bar.idxmax(), language, year=False),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
    spoke = official[
        official["status"].isin(["acknowledged", "update", "resolved", "workaround"]) & official["confirmed"]
    ]
    if spoke.empty:
        columns[3].metric(say(language, "first_official"), say(language, "none"), border=True)
    else:
        # Of words that are known to the same day the admission comes first, as on the ladder.
        first = spoke.sort_values(["from_at", "status"]).iloc[0]
        at = shown_time(first["from_at"], language, first["precision"], year=False)
        columns[3].metric(
            say(language, "first_official"),
            first["who"],
            f"{label_name(language, first['status'])}, {at}",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )


def _posts_table(url: str, posts: pd.DataFrame, language: str) -> None:
    shown = volume.with_texts(opened_store(url).engine, posts.head(SHOWN_POSTS))
    reasons = [label_name(language, reason) for reason in shown["reason"]] if "reason" in shown else None
    table = pd.DataFrame(
        {
            **({"reason": reasons} if reasons is not None else {}),
            # Text, not a moment: a moment would be shifted into the viewer's zone.
            "at": [shown_time(at, language) for at in shown["at"]],
            "text": [text or say(language, "text_erased") for text in shown["text"]],
            "problems": [
                ", ".join(label_name(language, problem) for problem in problems) for problems in shown["problems"]
            ],
            "sentiment": [label_name(language, value) for value in shown["sentiment"]],
            "lang": list(shown["lang"]),
            "services": [", ".join(services) for services in shown["services"]],
            "unsure": list(shown["unsure"]),
            "corrected": list(shown["corrected"]),
            "source": list(shown["source"]),
            "link": [
                None if synthetic else link_of(source, identifier)
                for source, identifier, synthetic in zip(shown["source"], shown["id"], shown["synthetic"], strict=True)
            ],
        }
    )
    names = {name: say(language, f"column_{name}") for name in table.columns}
    widths = POST_WIDTHS if reasons is None else POST_WIDTHS | {"text": 180}
    settings = {name: st.column_config.TextColumn(title, width=widths.get(name)) for name, title in names.items()}
    for name in ("unsure", "corrected"):
        settings[name] = st.column_config.CheckboxColumn(names[name])
    settings["link"] = st.column_config.LinkColumn(names["link"], display_text=say(language, "open"))
    st.dataframe(
        table,
        column_config=settings,
        hide_index=True,
        width="stretch",
        height=380,
        row_height=LINES_HEIGHT,
        placeholder="",
    )
    st.caption(say(language, "posts_note", shown=len(shown), total=len(posts)))


def _behind(
    url: str, found: dict[str, Any], window: volume.Window, chosen: list[dict[str, Any]], language: str
) -> None:
    posts = found["posts"]
    if chosen:
        posts = volume.in_buckets(posts, window)
        picked = pd.Series(data=False, index=posts.index)
        for bar in chosen:
            at = posts["bucket"].map(datetime.isoformat)
            picked |= (at == bar.get("bar")) & (posts["main_problem"] == bar.get("key"))
        posts = posts[picked]
        first = chosen[0]
        when = shown_time(datetime.fromisoformat(first["bar"]), language, year=False)
        st.subheader(say(language, "posts_of_bar", when=when, problem=label_name(language, first["key"])))
    else:
        st.subheader(say(language, "posts"))
    if posts.empty:
        st.info(say(language, "posts_none"))
    else:
        _posts_table(url, posts, language)


def _official_table(official: pd.DataFrame, language: str) -> None:
    st.subheader(say(language, "official"))
    if official.empty:
        st.info(say(language, "official_none"))
        return
    table = pd.DataFrame(
        {
            "at": [shown_time(row.from_at, language, row.precision) for row in official.itertuples()],
            "who": [
                row.who if row.confirmed else f"{row.who} ({say(language, 'unconfirmed')})"
                for row in official.itertuples()
            ],
            "status": [label_name(language, status) for status in official["status"]],
            "scope": [label_name(language, scope) for scope in official["scope"]],
            "text": list(official["text"]),
            "source": [url or "" for url in official["url"]],
        }
    )
    settings = {
        name: st.column_config.TextColumn(say(language, f"column_{name}"), width=OFFICIAL_WIDTHS.get(name))
        for name in table.columns
    }
    st.dataframe(table, column_config=settings, hide_index=True, width="stretch", row_height=LINES_HEIGHT)
    if not official["confirmed"].all():
        st.caption(say(language, "official_note"))


def _impostors(impostors: pd.DataFrame, language: str) -> None:
    if impostors.empty:
        return
    with st.expander(say(language, "impostors", count=len(impostors))):
        st.caption(say(language, "impostors_note"))
        table = impostors.assign(
            at=[shown_time(at, language) for at in impostors["at"]],
            reason=[say(language, reason) for reason in impostors["reason"]],
        )
        settings = {name: st.column_config.TextColumn(say(language, f"column_{name}")) for name in table.columns}
        settings["link"] = st.column_config.LinkColumn(say(language, "column_link"), display_text=say(language, "open"))
        st.dataframe(table, column_config=settings, hide_index=True, width="stretch")


def _not_counted(url: str, posts: pd.DataFrame, language: str) -> None:
    if posts.empty:
        return
    with st.expander(say(language, "not_counted", count=len(posts))):
        st.caption(say(language, "not_counted_note"))
        counts = posts["reason"].value_counts()
        chosen = st.pills(
            say(language, "not_counted_choose"),
            [reason for reason in volume.NOT_COUNTED if reason in counts],
            format_func=lambda reason: f"{label_name(language, reason)} ({counts[reason]:,})",
            selection_mode="multi",
            key="reasons",
        )
        _posts_table(url, posts[posts["reason"].isin(chosen)] if chosen else posts, language)


@st.fragment(run_every=REFRESH_SECONDS)
def _page(url: str, settings: Settings, window_of: object, language: str) -> None:
    """All that follows the clock. `window_of` is the window chosen outside, which moves on with the clock."""
    now = settings.now()
    window = window_of
    assert isinstance(window, volume.Window)
    if st.session_state.get("period", "7") != "dates":
        shift = now.replace(second=0, microsecond=0) + timedelta(minutes=1) - window.to_at
        window = volume.Window(
            window.from_at + shift, window.to_at + shift, window.problems, window.sources, window.langs
        )
    st.caption(say(language, "now", now=shown_time(now, language)))
    with st.spinner(say(language, "reading"), show_time=True):
        status = _status(url, now.replace(second=0, microsecond=0))
        found = _read(url, window)
        incidents = _incidents(url, window.from_at, now.replace(second=0, microsecond=0))
    incident_banners(incidents["complaint"], incidents["listened"], now, language)
    _status_block(status, language)
    for circuit in _resting(url, now.replace(second=0, microsecond=0)):
        since, again = shown_time(circuit.since, language), shown_time(circuit.next_try_at, language)
        told = {"source": circuit.source, "failures": circuit.failures, "reason": circuit.reason}
        st.warning(say(language, "resting", **told, since=since, again=again), icon=":material/cloud_off:")
    _budget_notice(url, settings, language)
    if status.word == "empty":
        return
    if status.newest_post is not None and found["posts"].empty and opened_store(url).active_model() is None:
        st.warning(say(language, "unlabelled", waiting=status.waiting))
        return
    if found["holes"] == [(window.from_at, window.to_at)]:
        st.warning(say(language, "no_coverage"))
    _metrics(found, window, language)
    st.subheader(say(language, "volume"))
    messages = volume.drawn_messages(found["official"])
    begun = {lane: [each for each in incidents[lane] if moment(each["started_at"]) < window.to_at] for lane in LANES}
    drawn = begun["complaint"][-DRAWN_INCIDENTS:]
    chart = charts.volume_chart(
        found["volume"],
        messages,
        found["holes"],
        window,
        language,
        records=drawn,
        maintenance=incidents["maintenance"],
    )
    event = st.altair_chart(
        chart, width="stretch", on_select="rerun", selection_mode=charts.BAR_SELECTION, key="volume"
    )
    st.caption(say(language, "volume_note"))
    if len(messages) < len(found["official"]):
        st.caption(say(language, "official_undrawn", drawn=len(messages), total=len(found["official"])))
    if drawn or incidents["maintenance"]:
        st.caption(say(language, "incident_marks"))
    if len(drawn) < len(begun["complaint"]):
        st.caption(say(language, "incidents_undrawn", drawn=len(drawn), total=len(begun["complaint"])))
    chosen = list((event.get("selection") or {}).get(charts.BAR_SELECTION) or [])
    left, right = st.columns([2, 3])
    with left:
        st.subheader(say(language, "shares"))
        st.altair_chart(charts.shares_chart(found["shares"], language), width="stretch", key="shares")
        st.caption(say(language, "shares_note"))
    with right:
        st.subheader(say(language, "sentiment"))
        st.altair_chart(charts.sentiment_chart(found["sentiment"], window, language), width="stretch", key="sentiments")
        st.caption(say(language, "lanes"))
        st.altair_chart(charts.lanes_chart(found["lanes"], window, language), width="stretch", key="lanes")
    rumour_notices(begun["rumour"], language)
    _behind(url, found, window, chosen, language)
    _official_table(found["official"], language)
    _impostors(found["impostors"], language)
    _not_counted(url, found["not_counted"], language)
    st.caption(say(language, "model", model=opened_store(url).active_model() or "-"))


def _render() -> None:
    language = choose_language()
    st.title(say(language, "title"))
    try:
        settings = load_settings()
        stamps(opened_store(settings.database_url), settings, language)
        window = _choose_window(settings.database_url, settings.now(), language)
        _page(settings.database_url, settings, window, language)
    except TrackerError as error:
        st.error(say(language, "failed", reason=error))
    except SQLAlchemyError as error:  # its message could hold what was asked for; its kind says enough
        st.error(say(language, "failed", reason=type(error).__name__))


_render()
