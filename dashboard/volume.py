"""How many people complain, of what, when: from the store's facts to tables. No Streamlit here.

Counted is each person once in a bar. The cap on near-copies is the detector's, so that a bar shows the posts behind it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Text, and_, func, or_, select, type_coerce

import data.messages
from data import tables
from data.corrections import settled_posts
from data.facts import BUCKET_SECONDS, LANES
from data.labels import PROBLEMS, SENTIMENTS
from data.links import link_of
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Engine, Select

NO_PROBLEM = "none named"
OFFICIAL = "official"  # the source of the officials' timelines: who reads them has not listened for complaints
# The status line compares the last hour with the same hour of so many days before.
USUAL_DAYS = 14
LEAST_USUAL_DAYS = 3
ABOVE_USUAL_PEOPLE = 5
ABOVE_USUAL_TIMES = 3.0
STALE_AFTER = timedelta(minutes=30)
MAX_POSTS = 200_000
# Why a post is no complaint about eCitizen; of several reasons the first.
NOT_COUNTED: tuple[str, ...] = (
    "official_elsewhere",
    "official",
    "promotion",
    "rumour",
    "government",
    "dependency",
    "unrelated",
    "official_unlisted",
    "repost",
    "question",
    "recovery",
    "praise",
    "news",
    "opinion",
    "other",
)
DRAWN_MESSAGES = 25
_KEYS_PER_LOOKUP = 400


@dataclass(frozen=True)
class Window:
    """A stretch of time and what of it to show; empty tuples mean everything."""

    from_at: datetime
    to_at: datetime
    problems: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    langs: tuple[str, ...] = ()

    @property
    def bucket(self) -> timedelta:
        """The width of a bar: some 60 to 200 of them fill the chart."""
        length = self.to_at - self.from_at
        for limit, width in ((1, 0.25), (4, 0.5), (8, 1), (16, 3), (45, 6)):
            if length <= timedelta(days=limit):
                return timedelta(hours=width)
        return timedelta(days=1)


def load_posts(engine: Engine, window: Window) -> pd.DataFrame:
    """The labelled posts of a window as settled, without their texts, the newest MAX_POSTS at most, `at` in East Africa Time.

    `main_problem` is, of the problems settled, the one that the model is surest of; `person` tells authors apart, a post
    without one is its own. `lane` is what the post counts as, None where it counts as nothing: see `data.facts`.
    """
    facts = tables.facts
    columns = [facts.c[name] for name in ("source", "id", "at", "person", "lane", "account", "main_problem")]
    columns += [facts.c[name] for name in ("kind", "sentiment", "about", "lang")]
    chosen = [_inside(window.from_at, window.to_at)]
    if window.sources:
        chosen.append(facts.c.source.in_(window.sources))
    if window.langs:
        chosen.append(facts.c.lang.in_(window.langs))
    query = (
        select(*columns, type_coerce(facts.c.problems, Text).label("problems"))
        .where(_of_all_lanes(*chosen))
        .order_by(facts.c.at.desc(), facts.c.source, facts.c.id)
        .limit(MAX_POSTS)
    )
    with engine.connect() as connection:
        found = connection.execute(query)
        # Plain tuples: pandas asks each Row what it is.
        frame = pd.DataFrame([tuple(row) for row in found], columns=list(found.keys()))
    frame["at"] = pd.to_datetime(frame["at"], utc=True).dt.tz_convert(NAIROBI)
    frame["main_problem"] = frame["main_problem"].fillna(NO_PROBLEM)
    named = {text: json.loads(text) for text in frame["problems"].unique()}
    frame["problems"] = frame["problems"].map(named)
    if window.problems:
        wanted = set(window.problems)
        frame = frame[[bool(wanted.intersection(problems or [NO_PROBLEM])) for problems in frame["problems"]]]
    return frame.reset_index(drop=True)


def _inside(from_at: datetime, to_at: datetime) -> ColumnElement[bool]:
    """The facts from a moment up to another, by bucket, as the index has them, and then to the second."""
    facts = tables.facts
    first, last = _bucket(from_at), _bucket(to_at)
    return and_(facts.c.bucket >= first, facts.c.bucket <= last, facts.c.at >= from_at, facts.c.at < to_at)


def _of_all_lanes(*chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    """Lane by lane, or no index would serve it."""
    lane = tables.facts.c.lane
    return or_(and_(lane.in_(LANES), *chosen), and_(lane.is_(None), *chosen))


def _bucket(moment: datetime) -> int:
    return int(moment.timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS


def with_texts(engine: Engine, posts: pd.DataFrame) -> pd.DataFrame:
    """Some posts of `load_posts` with what the page shows of each: `text`, `services`, `unsure`, `corrected`, `synthetic`."""
    settled = settled_posts()
    shown = ["text", "services", "unsure", "corrected", "synthetic"]
    rows: list[Any] = []
    with engine.connect() as connection:
        for source, of_source in posts.groupby("source"):
            ids = list(of_source["id"])
            for start in range(0, len(ids), _KEYS_PER_LOOKUP):
                some = settled.c.id.in_(ids[start : start + _KEYS_PER_LOOKUP])
                columns = [settled.c[name] for name in ("source", "id", *shown)]
                rows += connection.execute(select(*columns).where(settled.c.source == source, some)).all()
    texts = pd.DataFrame(rows, columns=["source", "id", *shown])
    return posts.merge(texts, on=["source", "id"])  # one that was erased meanwhile is not shown


def complaints(posts: pd.DataFrame) -> pd.DataFrame:
    """What counts: kind `complaint`, about `ecitizen`, neither a repost nor written by an official account."""
    return posts[posts["lane"] == "complaint"]


def in_buckets(posts: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The posts with `bucket`, the begin of their bar, which starts on whole hours or days of Nairobi."""
    if posts.empty:
        return posts.assign(bucket=posts["at"])
    # Floor on the wall clock of Nairobi, which knows no summer time.
    wall = posts["at"].dt.tz_localize(None).dt.floor(pd.Timedelta(window.bucket))
    return posts.assign(bucket=wall.dt.tz_localize(NAIROBI))


def people_by(posts: pd.DataFrame, window: Window, column: str) -> pd.DataFrame:
    """`bucket`, `column`, `people`: each person once in a bucket, under their latest post's value."""
    once = in_buckets(posts, window).drop_duplicates(["bucket", "person"])
    counted = once.groupby(["bucket", column], observed=True).size().rename("people").reset_index()
    return counted.astype({"people": int})


def volume_by_problem(posts: pd.DataFrame, window: Window) -> pd.DataFrame:
    """People complaining by bucket and main problem."""
    return people_by(complaints(posts), window, "main_problem")


def sentiment_over_time(posts: pd.DataFrame, window: Window) -> pd.DataFrame:
    """People by bucket and sentiment among all posts about eCitizen that are not the officials'."""
    about = posts[(posts["about"] == "ecitizen") & (posts["kind"] != "official")]
    counted = people_by(about, window, "sentiment")
    return counted[counted["sentiment"].isin(SENTIMENTS)]


def lanes(posts: pd.DataFrame, window: Window) -> pd.DataFrame:
    """What is shown beside the complaints and never added to them: `bucket`, `lane`, `people`."""
    reasoned = not_counted(posts)
    shown = reasoned["reason"].isin(["rumour", "promotion", "unrelated"])
    shown |= reasoned["reason"].isin(["government", "dependency"]) & (reasoned["kind"] == "complaint")
    return people_by(reasoned[shown].assign(lane=reasoned["reason"]), window, "lane")


def not_counted(posts: pd.DataFrame) -> pd.DataFrame:
    """The posts that are no complaints about eCitizen, with `reason`: of several that fit, the first of NOT_COUNTED."""
    rest = posts.drop(complaints(posts).index)
    official = rest["account"].notna()
    kind = rest["kind"].replace("official", "official_unlisted")
    reason = kind.where(rest["about"] == "ecitizen", rest["about"].replace("other", "unrelated"))
    # A complaint that counts in no lane is passed on from another, or by a suspected impostor.
    reason = reason.mask((reason == "complaint") & rest["lane"].isna(), "repost")
    for first in ("promotion", "rumour"):
        reason = reason.mask((kind == first) | (rest["lane"] == first), first)
    reason = reason.mask(official, "official").mask(official & (rest["about"] != "ecitizen"), "official_elsewhere")
    return rest.assign(reason=reason)


def problem_shares(posts: pd.DataFrame) -> pd.DataFrame:
    """`problem`, `people`, `share`: of the people complaining, how many name each problem; a person may name several."""
    found = complaints(posts)
    total = found["person"].nunique()
    named = found.assign(problem=[problems or [NO_PROBLEM] for problems in found["problems"]]).explode("problem")
    people = named.groupby("problem")["person"].nunique().rename("people")
    frame = people.reindex([*PROBLEMS, NO_PROBLEM]).fillna(0).astype(int).reset_index()
    frame["share"] = frame["people"] / total if total else 0.0
    return frame.sort_values("people", ascending=False, kind="stable").reset_index(drop=True)


def official_messages(engine: Engine, window: Window) -> pd.DataFrame:
    """The official messages about eCitizen, or by it, that touch a window: `from_at` to `until_at`, as their time is known."""
    messages = data.messages.official_messages(engine, window.from_at - timedelta(days=1), window.to_at)
    columns = [
        "from_at",
        "until_at",
        "precision",
        "who",
        "confirmed",
        "from_ecitizen",
        "status",
        "scope",
        "text",
        "url",
    ]
    width = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(0)}
    rows = []
    for message in reversed(messages):
        if message["about"] != "ecitizen" and not message["from_ecitizen"]:
            continue
        from_at = message["at"].astimezone(NAIROBI)
        until_at = from_at + width[message["precision"]]
        if until_at >= window.from_at:
            who = message["office"] or message["account"]
            rows.append(message | {"from_at": from_at, "until_at": until_at, "who": who})
    return pd.DataFrame(rows, columns=[*columns, "synthetic"])


def drawn_messages(official: pd.DataFrame) -> pd.DataFrame:
    """Those that a chart has room for: before the others what speaks of a disruption, and of these the newest."""
    if len(official) <= DRAWN_MESSAGES:
        return official
    other = official["status"].isin(["help", "notice"])
    return official.assign(other=other)[::-1].sort_values("other", kind="stable").head(DRAWN_MESSAGES).sort_index()


def suspected_impostors(engine: Engine) -> pd.DataFrame:
    """Accounts that look like an official one: `at`, `source`, `resembles`, `reason` and `link` to a post, the newest first."""
    table = tables.suspected_impostors
    query = select(table).where(table.c.dismissed_at.is_(None))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(table.c.first_seen_at.desc(), table.c.author)).mappings()
        found = [
            {
                "at": row["first_seen_at"].astimezone(NAIROBI),
                "source": row["source"],
                "resembles": row["resembles"],
                "reason": row["reason"],
                "link": link_of(*row["first_post"].split(":", 1)),
            }
            for row in rows
        ]
    return pd.DataFrame(found, columns=["at", "source", "resembles", "reason", "link"])


def looked_at(engine: Engine, window: Window) -> list[tuple[datetime, datetime]]:
    """The spans of a window that at least one of the shown sources looked at, in order, without overlap."""
    table = tables.coverage
    query = select(table.c.from_at, table.c.to_at).where(
        table.c.gap_reason.is_(None),
        table.c.source != OFFICIAL,
        table.c.to_at >= window.from_at,
        table.c.from_at <= window.to_at,
    )
    if window.sources:
        query = query.where(table.c.source.in_(window.sources))
    with engine.connect() as connection:
        spans = sorted((row.from_at, row.to_at) for row in connection.execute(query))
    return _merged((max(start, window.from_at), min(end, window.to_at)) for start, end in spans)


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def not_looked_at(engine: Engine, window: Window) -> list[tuple[datetime, datetime]]:
    """The holes: a calm there is no calm."""
    holes, at = [], window.from_at
    for start, end in looked_at(engine, window):
        if start > at:
            holes.append((at, start))
        at = max(at, end)
    if at < window.to_at:
        holes.append((at, window.to_at))
    return holes


@dataclass(frozen=True)
class Status:
    """The status line. `word` is empty, blind, behind, cannot_tell, usual or above; `silent` names the sources not looked at."""

    word: str
    people_last_hour: int
    usual: float | None
    looked_until: datetime | None
    newest_post: datetime | None
    waiting: int
    silent: tuple[str, ...] = ()


def status_line(engine: Engine, now: datetime) -> Status:
    """Whether more people complain in the last hour than usual at this hour of the day.

    Blind where a source that was ever collected from is silent, behind where a post of the last hour has no label yet.

    Usual is the median over the covered ones of the 14 days before; below 3 covered days it cannot be told.
    """
    posts, facts, coverage = tables.posts, tables.facts, tables.coverage
    with engine.connect() as connection:
        count, newest = connection.execute(
            select(func.count(), func.max(posts.c.created_at)).where(posts.c.created_at <= now)
        ).one()
        has_fact = select(facts.c.id).where(facts.c.source == posts.c.source, facts.c.id == posts.c.id).exists()
        textless = select(func.count()).where(posts.c.text_erased_at.is_not(None), posts.c.created_at <= now, ~has_fact)
        waiting = (
            count - connection.execute(_labelled_until(now)).scalar_one() - connection.execute(textless).scalar_one()
        )
        covered = connection.execute(
            select(coverage.c.source, func.max(coverage.c.to_at))
            .where(coverage.c.gap_reason.is_(None), coverage.c.source != OFFICIAL, coverage.c.from_at <= now)
            .group_by(coverage.c.source)
        )
        until: dict[str, datetime] = {row[0]: row[1] for row in covered}
        collected = set(connection.execute(select(tables.runs.c.source).distinct()).scalars()) - {OFFICIAL}
    latest = max(until.values(), default=None)
    looked_until = min(latest, now) if latest else None
    # Where nothing was ever collected, imports alone say what was looked at.
    late = now - STALE_AFTER
    silent = tuple(sorted(source for source in collected if source not in until or until[source] < late))
    if count == 0:
        return Status("empty", 0, None, looked_until, None, 0)
    hour = timedelta(hours=1)
    recent = _people(engine, now - hour, now)
    usual = _usual(engine, now, hour)
    if looked_until is None or looked_until < late or silent:
        word = "blind"
    elif waiting and _unlabelled_since(engine, now - hour, now):
        word = "behind"
    elif usual is None:
        word = "cannot_tell"
    elif recent >= ABOVE_USUAL_PEOPLE and recent >= ABOVE_USUAL_TIMES * max(usual, 1):
        word = "above"
    else:
        word = "usual"
    return Status(word, recent, usual, looked_until, newest, waiting, silent)


def _labelled_until(now: datetime) -> Select[tuple[int]]:
    """How many posts up to now have a label: the whole buckets from the index alone, then the one that now is in."""
    facts = tables.facts
    whole = select(func.count()).where(facts.c.bucket < _bucket(now)).select_from(facts).scalar_subquery()
    of_last = _of_all_lanes(facts.c.bucket == _bucket(now), facts.c.at <= now)
    return select(whole + select(func.count()).where(of_last).select_from(facts).scalar_subquery())


def _unlabelled_since(engine: Engine, from_at: datetime, to_at: datetime) -> bool:
    posts, facts = tables.posts, tables.facts
    labelled = select(facts.c.id).where(facts.c.source == posts.c.source, facts.c.id == posts.c.id)
    query = select(posts.c.id).where(posts.c.created_at >= from_at, posts.c.created_at <= to_at, ~labelled.exists())
    query = query.where(posts.c.text_erased_at.is_(None))
    with engine.connect() as connection:
        return connection.execute(query.limit(1)).scalar() is not None


def _people(engine: Engine, from_at: datetime, to_at: datetime) -> int:
    """Distinct people complaining from a moment up to another."""
    facts = tables.facts
    query = select(func.count(facts.c.person.distinct())).where(facts.c.lane == "complaint", _inside(from_at, to_at))
    with engine.connect() as connection:
        return connection.execute(query).scalar_one()


def _usual(engine: Engine, now: datetime, hour: timedelta) -> float | None:
    spans = looked_at(engine, Window(now - timedelta(days=USUAL_DAYS) - hour, now))
    counts = []
    for day in range(1, USUAL_DAYS + 1):
        to_at = now - timedelta(days=day)
        if any(start <= to_at - hour and to_at <= end for start, end in spans):
            counts.append(_people(engine, to_at - hour, to_at))
    return float(pd.Series(counts).median()) if len(counts) >= LEAST_USUAL_DAYS else None


def counted_unread(engine: Engine, source: str) -> tuple[int, datetime | None]:
    """How many posts the platform counted after the last that was read, and since when; None where nothing was counted."""
    counts, coverage = tables.counts, tables.coverage
    of_source = (coverage.c.source == source, coverage.c.gap_reason.is_(None))
    with engine.connect() as connection:
        read_to = connection.execute(select(func.max(coverage.c.to_at)).where(*of_source)).scalar()
        query = select(func.sum(counts.c.posts), func.min(counts.c.from_at)).where(counts.c.source == source)
        if read_to is not None:
            query = query.where(counts.c.to_at > read_to)
        posts, since = connection.execute(query).one()
    return int(posts or 0), since


def choices(engine: Engine) -> dict[str, list[str]]:
    """The sources and languages there are, for the filters."""
    with engine.connect() as connection:
        sources = sorted(connection.execute(select(tables.posts.c.source).distinct()).scalars())
        langs = sorted(connection.execute(select(tables.labels.c.lang).distinct()).scalars())
    return {"sources": sources, "langs": langs}


def time_span(engine: Engine, now: datetime) -> tuple[datetime, datetime] | None:
    """From the first post to now; None in an empty store."""
    with engine.connect() as connection:
        first = connection.execute(select(func.min(tables.posts.c.created_at))).scalar()
    return (first, now) if first is not None else None
