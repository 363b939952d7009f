"""Incidents: spans in which more people complain than usual, as they were raised and as the store shows them today.

An incident is raised once and keeps its id, `raised_at` and `started_at`; everything else about it is read from the store
whenever it is asked for. `Finder` says what the store as it is now would raise. docs/incidents.md is the account.
"""

from __future__ import annotations

from bisect import bisect_right
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import and_, func, insert, select, update

from dashboard.detection import Detector, Scores, alarms
from dashboard.ladder import Word, planned
from dashboard.volume import Window, looked_at
from data import tables
from data.facts import BUCKET_SECONDS, count_people
from data.messages import official_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from dashboard.detection import Alarm, Floats

COMPLAINTS, RUMOURS = LANES = ("complaint", "rumour")
RUMOUR_PEOPLE, RUMOUR_TIMES, USUAL_DAYS = 5, 4, 14
# What is usual before anything is known: so many people a day, believed as much as so many days looked at.
PRIOR_RUMOURS, PRIOR_DAYS = 3.0, 4.0
LOOKED_DAY = 0.95
HOUR_SECONDS = 3_600
SETTLES_AFTER = timedelta(hours=1)
MOST_WAIT = timedelta(days=2)  # a post that has no label after so long is not waited for
_INCIDENTS_LOCK = 0x696E6369  # "inci": on PostgreSQL two services would each raise the same


@dataclass(frozen=True)
class Series:
    """People by five minutes: `times` the begins in seconds since 1970, `people` NaN where no source looked or labels wait.

    `at_least` holds the people known so far where labels wait, NaN elsewhere.
    """

    times: Floats
    people: Floats
    at_least: Floats
    waits_from: float | None = None  # the first row in which a post waits for its label


@dataclass(frozen=True)
class Found:
    """What the detector finds in the store: all times are begins of five minutes, `raised_at` the end of the one that raised it."""

    lane: str
    started_at: datetime
    raised_at: datetime
    last_at: datetime
    state: str


def load_series(engine: Engine, until: datetime, lane: str = COMPLAINTS, since: float | None = None) -> Series:
    """From the first five minutes that any source looked at, or `since`, to the last that are over."""
    table, coverage = tables.volume, tables.coverage
    end = int(until.timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS
    with engine.connect() as connection:
        begin = since
        if begin is None:
            first = connection.execute(
                select(func.min(coverage.c.from_at)).where(coverage.c.gap_reason.is_(None))
            ).scalar()
            begin = int(first.timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS if first else end
        inside = and_(table.c.lane == lane, table.c.bucket >= int(begin), table.c.bucket < end)
        rows = connection.execute(select(table.c.bucket, table.c.people).where(inside)).all()
    times = np.arange(begin, end, BUCKET_SECONDS, dtype=np.float64)
    people = np.full(len(times), np.nan)
    if not len(times):
        return Series(times, people, people)
    window = Window(datetime.fromtimestamp(begin, UTC), until)
    for start, stop in looked_at(engine, window):
        low = np.searchsorted(times, start.timestamp())
        people[low : np.searchsorted(times, stop.timestamp() - BUCKET_SECONDS, side="right")] = 0.0
    # A post is proof that somebody looked, whatever the coverage says of these minutes.
    places = [int((row.bucket - begin) / BUCKET_SECONDS) for row in rows]
    people[places] = [row.people for row in rows]
    waiting = np.zeros(len(times))
    for moment in _waiting(engine, window):
        waiting[min(int((moment.timestamp() - begin) // BUCKET_SECONDS), len(times) - 1)] += 1
    # Where more posts wait for a label than people are counted, nobody knows yet: what is counted may open, but is no calm.
    partly = waiting > np.nan_to_num(people)
    at_least = np.where(partly, np.nan_to_num(people), np.nan)
    people[partly] = np.nan
    return Series(times, people, at_least, float(times[np.argmax(waiting > 0)]) if waiting.any() else None)


def _waiting(engine: Engine, window: Window) -> list[datetime]:
    """When the posts of a window were written that have a text and no label yet, and may turn out to be complaints."""
    posts, facts = tables.posts, tables.facts
    labelled = select(facts.c.id).where(facts.c.source == posts.c.source, facts.c.id == posts.c.id)
    query = select(posts.c.created_at).where(
        posts.c.created_at >= window.from_at,
        posts.c.created_at < window.to_at,
        posts.c.text_erased_at.is_(None),
        posts.c.account.is_(None),
        posts.c.repost_of.is_(None),
        ~labelled.exists(),
    )
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


class Finder:
    """Finds incidents of complaints in a store, again and again at the cost of the last hour: what is older is scored once.

    Counts of the last SETTLES_AFTER may still change, since posts come late and are labelled later; a correction to what
    is older is seen by the next Finder.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._begin()

    def _begin(self) -> None:
        self._until: datetime | None = None
        self._settled = Detector()
        self._rows = _Rows()
        self._next: float | None = None

    def find(self, until: datetime) -> list[Found]:
        """What there is up to `until`, in order of time. Where the clock went back all is scored anew."""
        if self._until is not None and until < self._until:
            self._begin()
        self._until = until
        tail = load_series(self._engine, until, COMPLAINTS, self._next)
        settled_to = until.timestamp() - SETTLES_AFTER.total_seconds()
        if tail.waits_from is not None:
            settled_to = min(settled_to, max(tail.waits_from, until.timestamp() - MOST_WAIT.total_seconds()))
        settle = int(np.searchsorted(tail.times, settled_to))
        if settle:
            old = Series(tail.times[:settle], tail.people[:settle], tail.at_least[:settle])
            self._rows = self._rows.joined(old, self._settled)
            tail = Series(tail.times[settle:], tail.people[settle:], tail.at_least[settle:])
            self._next = float(old.times[-1] + BUCKET_SECONDS)
        rows = self._rows
        if len(tail.times):
            rows = rows.joined(tail, deepcopy(self._settled))
        with self._engine.connect() as connection:
            raised = alarms(
                rows.times,
                rows.people,
                rows.scores,
                lambda row: _people_of_hour(connection, rows.times[row]),
            )
        return [_found(rows.times, alarm) for alarm in raised]


def find_rumours(engine: Engine, until: datetime) -> list[Found]:
    """Bursts of rumours: too few posts for a rhythm, so a plain rule.

    A notice begins where RUMOUR_PEOPLE distinct people of a day (near-copies capped) spread rumours, and at least RUMOUR_TIMES
    as many as on a usual day of the two weeks before, of which the time looked at counts, and a young store asks for more
    people; it lasts while fewer than a day passes between two posts, and is over once a day was looked at without one.
    """
    facts = tables.facts
    query = (
        select(facts.c.at, facts.c.person, facts.c.copy)
        .where(facts.c.lane == RUMOURS, facts.c.at < until)
        .order_by(facts.c.at, facts.c.source, facts.c.id)
    )
    with engine.connect() as connection:
        posts = connection.execute(query).all()
    if not posts:
        return []
    day, found = timedelta(days=1), list[Found]()
    spans = looked_at(engine, Window(posts[0].at - USUAL_DAYS * day, until))
    edges = [moment.timestamp() for span in spans for moment in span] or [0.0]
    lengths = np.diff(edges, prepend=edges[0])
    lengths[::2] = 0.0  # from the end of a span to the begin of the next
    looked_to = np.cumsum(lengths)

    def days_looked(from_at: datetime, to_at: datetime) -> float:
        low, high = np.interp([from_at.timestamp(), to_at.timestamp()], edges, looked_to)
        return float(high - low) / day.total_seconds()

    def state(last_at: datetime) -> str:
        if until - last_at <= day:
            return "open"
        # A source is read every few minutes, so that the last of them are not looked at yet.
        return "quiet" if days_looked(last_at, until) > LOOKED_DAY else "cannot_tell"

    for number, post in enumerate(posts):
        if found and post.at <= found[-1].last_at + day:
            found[-1] = replace(found[-1], last_at=post.at)
            continue
        first = bisect_right(posts, post.at - day, hi=number, key=lambda each: each.at)
        of_day = posts[first : number + 1]
        since = post.at - USUAL_DAYS * day
        before = posts[bisect_right(posts, since, hi=number, key=lambda each: each.at) : first]
        people_before = len({(each.person, (post.at - each.at) // day) for each in before})
        days = days_looked(since, post.at - day)
        usual = (people_before + PRIOR_RUMOURS * PRIOR_DAYS) / (days + PRIOR_DAYS)
        people = count_people((each.person, each.copy) for each in of_day)
        if people >= max(RUMOUR_PEOPLE, RUMOUR_TIMES * usual):
            found.append(Found(RUMOURS, of_day[0].at, post.at, post.at, "open"))
    return [replace(each, state=state(each.last_at)) for each in found]


def find_all(engine: Engine, until: datetime) -> list[Found]:
    """What the store as it is now would have raised up to `until`, incidents and rumours."""
    return Finder(engine).find(until) + find_rumours(engine, until)


@dataclass(frozen=True)
class _Rows:
    times: Floats = field(default_factory=lambda: np.empty(0))
    people: Floats = field(default_factory=lambda: np.empty(0))
    scores: Scores = field(default_factory=lambda: Scores(np.empty(0), np.empty(0), np.empty(0)))

    def joined(self, series: Series, detector: Detector) -> _Rows:
        """With the rows that follow, scored by the detector that has seen these."""
        scores = detector.update(series.times, series.people, series.at_least)
        rises = np.isnan(series.people) & ~np.isnan(scores.false_alarms)
        return _Rows(
            np.concatenate([self.times, series.times]),
            np.concatenate([self.people, np.where(rises, series.at_least, series.people)]),
            Scores(
                np.concatenate([self.scores.score, scores.score]),
                np.concatenate([self.scores.false_alarms, scores.false_alarms]),
                np.concatenate([self.scores.expected, scores.expected]),
            ),
        )


def _found(times: Floats, alarm: Alarm) -> Found:
    def moment(row: int, *, end: bool) -> datetime:
        return datetime.fromtimestamp(float(times[row]) + BUCKET_SECONDS * end, UTC)

    return Found(
        COMPLAINTS,
        moment(alarm.onset, end=False),
        moment(alarm.raised, end=True),
        moment(alarm.last, end=True),
        alarm.state,
    )


def _people_of_hour(connection: Connection, bucket: float) -> int:
    """Distinct people of the hour that ends with this bucket, near-copies capped."""
    facts = tables.facts
    query = (
        select(facts.c.person, facts.c.copy)
        .where(facts.c.lane == COMPLAINTS, facts.c.bucket > int(bucket) - HOUR_SECONDS, facts.c.bucket <= int(bucket))
        .order_by(facts.c.at, facts.c.source, facts.c.id)
    )
    return count_people((row.person, row.copy) for row in connection.execute(query))


def replay(engine: Engine, until: datetime) -> None:
    """Raise what a service would have raised that had watched all along, each at its moment: for replayed data."""
    found = find_all(engine, until)
    for one in sorted(found, key=lambda each: each.raised_at):
        keep(engine, [replace(one, last_at=one.raised_at, state="open")], one.raised_at)
    keep(engine, found, until)


def keep(engine: Engine, found: Sequence[Found], now: datetime) -> list[int]:
    """Write down what was found: raise what is new, go on with or end what is known. Returns the ids raised now.

    What is found belongs to the known incident whose span it touches, which keeps its id, `started_at` and `raised_at`.
    `raised_at` of a new one is `now`, when the alarm is really raised. What is over goes on only where more came. One that is no longer found, since its posts were
    erased or labelled otherwise, stays as it was raised, and ends.
    """
    table, raised = tables.incidents, []
    words = official_words(engine, now) if found else []
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_INCIDENTS_LOCK)))
        for lane in LANES:
            known = connection.execute(select(table).where(table.c.lane == lane).order_by(table.c.id)).all()
            touched = set()
            for each in (each for each in found if each.lane == lane):
                touching = [row for row in known if row.started_at <= each.last_at and row.last_at >= each.started_at]
                if touching:
                    row = touching[-1]
                    touched.add(row.id)
                    # Over is over, also for who looks at an earlier time (TRACKER_NOW), unless it went on.
                    is_over = row.state == "quiet" and each.last_at <= row.last_at
                    change = {"last_at": max(row.last_at, each.last_at), "state": row.state if is_over else each.state}
                    connection.execute(update(table).where(table.c.id == row.id).values(change))
                    continue
                new = {
                    "lane": lane,
                    "raised_at": now,
                    "started_at": each.started_at,
                    "last_at": each.last_at,
                    "state": each.state,
                    "planned": planned(each.started_at, words) is not None,
                    "synthetic": _synthetic(connection, each),
                }
                raised.append(int(connection.execute(insert(table).values(new).returning(table.c.id)).scalar_one()))
            lost = [row.id for row in known if row.id not in touched and row.state != "quiet" and row.last_at <= now]
            connection.execute(update(table).where(table.c.id.in_(lost)).values(state="quiet"))
    return raised


def official_words(engine: Engine, until: datetime) -> list[Word]:
    """The official messages about eCitizen said up to a moment, as words for the ladder."""
    return [
        Word(
            at=message["at"],
            precision=message["precision"],
            account=message["account"],
            office=message["office"],
            from_ecitizen=message["from_ecitizen"],
            status=message["status"],
            scope=message["scope"],
            text=message["text"],
            url=message["url"],
            confirmed=message["confirmed"],
            covers_from=message["from"],
            covers_to=message["to"],
        )
        for message in official_messages(engine)
        if message["about"] == "ecitizen" and message["at"] <= until
    ]


def _synthetic(connection: Connection, found: Found) -> bool:
    posts = tables.posts
    query = select(posts.c.id).where(
        posts.c.synthetic, posts.c.created_at >= found.started_at, posts.c.created_at < found.last_at
    )
    return connection.execute(query.limit(1)).scalar() is not None
