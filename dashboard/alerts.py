"""Alerts: from what the store says of incidents and sources to messages that wait for delivery, each once. docs/alerts.md is the account.

Nothing is remembered between two steps but the table `alerts`: a step reads the state, and writes what it calls for and is
not there yet. So a step that was killed, or never came, is made up for by the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from dashboard import messages
from dashboard.channels import LEVELS
from dashboard.incidents import LANES, RUMOURS, Finder, find_rumours, keep
from dashboard.ladder import AFTER, GRADES, HINDSIGHT
from dashboard.messages import Blindness, Stamp
from dashboard.record import records
from dashboard.volume import STALE_AFTER
from data import tables
from data.records import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from dashboard.channels import Channel

AHEAD = timedelta(minutes=10)
HOUR = timedelta(hours=1)
# A reminder that comes in the morning says nothing; what has happened still does.
REMINDERS = ("boundary", "unacknowledged")
COOLED = ("escalated", "unacknowledged", "resolved_too_early", "quiet", "blind")
TELLING_LEVEL = ("opened", "escalated")
BLIND_SEVERITY = "major"
# A source that has not run for longer was turned off.
TURNED_OFF_AFTER = timedelta(days=1)
LEAST_FAILED_RUNS = 3
# The finder scores what is older than an hour once; what was imported or corrected there since is seen by a new one.
RENEWED_AFTER = timedelta(hours=1)
PICTURE_BEFORE = timedelta(hours=12)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """Something to tell of an incident; `key` is told once to a channel."""

    kind: str
    key: str


def steps(record: dict[str, Any], now: datetime) -> list[Step]:
    """What there is to tell of an incident at this moment, were all of it new."""
    name, started = f"incident:{record['id']}", parse_time(record["started_at"])
    if record["lane"] == RUMOURS:
        return [Step("rumour", f"{name}:rumour")]
    found = [Step("opened", f"{name}:opened")]
    over, spoken = record["state"] == "quiet", record["ladder"]["first_official"] is not None
    if not over:
        found.append(Step("escalated", f"{name}:escalated:{record['severity_level']}"))
    if spoken:
        found.append(Step("acknowledged", f"{name}:acknowledged"))
    if not spoken and not over:
        for minutes, _ in GRADES:
            boundary = started + timedelta(minutes=minutes)
            if boundary - AHEAD <= now < boundary:
                found.append(Step("boundary", f"{name}:boundary:{minutes}"))
        hours = int((now - started) / HOUR)
        if hours and record["state"] == "open" and started + hours * HOUR > parse_time(record["raised_at"]):
            found.append(Step("unacknowledged", f"{name}:unacknowledged:{hours}"))
    if record["resolved_too_early"]:
        found.append(Step("resolved_too_early", f"{name}:resolved_too_early"))
    if over:
        found.append(Step("quiet", f"{name}:quiet"))
    return found


class Watch:
    """Finds incidents in a store and writes the alerts that they call for, again and again."""

    def __init__(
        self, engine: Engine, channels: Sequence[Channel], dashboard_url: str, pretended: datetime | None = None
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._address = dashboard_url.rstrip("/")
        self._pretended = pretended
        self._finder = Finder(engine)
        self._begun: datetime | None = None

    def step(self, now: datetime) -> int:
        """Look once, with `now` not before the last one's. Returns how many alerts were written."""
        if self._begun is None or now - self._begun >= RENEWED_AFTER:
            self._finder, self._begun = Finder(self._engine), now
        found = self._finder.find(now) + find_rumours(self._engine, now)
        keep(self._engine, found, now)
        if not self._channels:
            return 0
        recent = [
            record
            for lane in LANES
            for record in records(self._engine, now, now - AFTER - HINDSIGHT, lane=lane, found=found)
            if not record["planned"] and record["verdict"] != "dismissed"
        ]
        with self._engine.connect() as connection:
            blind = blindness(connection, now)
        written = 0
        with self._engine.execution_options(writes=True).begin() as connection:
            for channel in self._channels:
                for record in recent:
                    written += self._tell(connection, channel, record, now)
                written += self._tell_blind(connection, channel, blind, now)
        return written

    def _tell(self, connection: Connection, channel: Channel, record: dict[str, Any], now: datetime) -> int:
        told = _told(connection, channel, record["id"])
        level = record["severity_level"]
        if not told and (not channel.hears(level) or now - _last_at(connection, record["id"]) > HINDSIGHT):
            return 0
        told_levels = [LEVELS.index(row.severity) for row in told if row.kind in TELLING_LEVEL]
        highest = max(told_levels, default=LEVELS.index(level))
        keys = {key for row in told for key in (row.key, *row.message["tells"])}
        latest = max((row.made_at for row in told), default=None)
        rows, called_for = [], steps(record, now)
        for step in called_for:
            if step.key in keys or (step.kind == "escalated" and LEVELS.index(level) <= highest):
                continue
            not_before = _due(channel, step.kind, level, latest, now)
            if not_before is None:
                continue
            stamp = Stamp(record["synthetic"], self._pretended)
            link = f"{self._address}/incidents?incident={record['id']}"
            title, body = messages.of_incident(step.kind, record, now, channel.language, link, stamp)
            begin = parse_time(record["started_at"]) - PICTURE_BEFORE
            # Who spoke before the first alert stands in it.
            tells = [each.key for each in called_for if each.kind == "acknowledged"] if step.kind == "opened" else []
            keys.update(tells)
            message: dict[str, Any] = {"title": title, "body": body, "tells": tells}
            message["picture"] = [begin.isoformat(), now.isoformat()]
            rows.append(_row(step.key, channel, step.kind, record["id"], level, message, now, not_before))
            latest = now
        return _insert(connection, rows)

    def _tell_blind(self, connection: Connection, channel: Channel, blind: Sequence[Blindness], now: datetime) -> int:
        """All that is newly not seen in one message; its key names each, so that none is told twice."""
        if not blind or not channel.hears(BLIND_SEVERITY):
            return 0
        begin = min(each.since or FIRST for each in blind)
        told = _told(connection, channel, None, since=min(begin, now - TURNED_OFF_AFTER))
        names = {name for row in told for name in row.key.removeprefix("blind:").split(",")}
        new = {name: each for each in blind if (name := _name(each)) not in names}
        if not new:
            return 0
        not_before = _due(channel, "blind", BLIND_SEVERITY, max((row.made_at for row in told), default=None), now)
        if not_before is None:
            return 0
        stamp = Stamp(_synthetic(connection), self._pretended)
        title, body = messages.of_blindness(list(new.values()), channel.language, f"{self._address}/", stamp)
        message: dict[str, Any] = {"title": title, "body": body, "picture": None, "tells": []}
        key = "blind:" + ",".join(new)
        return _insert(connection, [_row(key, channel, "blind", None, BLIND_SEVERITY, message, now, not_before)])


def blindness(connection: Connection, now: datetime) -> list[Blindness]:
    """What is not seen at this moment though it is meant to be, in order of its name.

    A source is silent where its last look is STALE_AFTER old and its last run, failed or not, no more than TURNED_OFF_AFTER; failing where it looks at something but every run of that
    time, LEAST_FAILED_RUNS at least, ended badly. Labels are missing where a post has waited for STALE_AFTER.
    """
    runs, coverage, recent = tables.runs, tables.coverage, now - TURNED_OFF_AFTER
    late = now - STALE_AFTER
    ran = connection.execute(
        select(runs.c.source, func.min(runs.c.started_at), func.max(runs.c.started_at))
        .where(runs.c.started_at <= now)
        .group_by(runs.c.source)
    ).all()
    looked = {
        row.source: row.until
        for row in connection.execute(
            select(coverage.c.source, func.max(coverage.c.to_at).label("until"))
            .where(coverage.c.gap_reason.is_(None), coverage.c.from_at <= now)
            .group_by(coverage.c.source)
        )
    }
    found = []
    for source, first, last in sorted((row[0], row[1], row[2]) for row in ran):
        until = looked.get(source)
        if (until or first) < late:
            if max(until or first, last) >= recent:
                found.append(Blindness("silent_source", source, until))
            continue
        of_source = (runs.c.source == source, runs.c.started_at <= now)
        good = connection.execute(
            select(func.max(runs.c.started_at)).where(*of_source, runs.c.outcome == "done")
        ).scalar()
        since = good or first
        bad = connection.execute(
            select(func.count()).select_from(runs).where(*of_source, runs.c.started_at > late, runs.c.outcome != "done")
        ).scalar_one()
        if since < late and bad >= LEAST_FAILED_RUNS:
            found.append(Blindness("failing_source", source, good))
    waiting = _unlabelled_since(connection, recent, late)
    return [*found, Blindness("silent_labels", "", waiting)] if waiting else found


def _unlabelled_since(connection: Connection, recent: datetime, late: datetime) -> datetime | None:
    """When the last label came, where a post that came after it, or since `recent`, waits for one since before `late`."""
    posts, labels, models = tables.posts, tables.labels, tables.models
    active = select(models.c.model).where(models.c.active).scalar_subquery()
    latest = connection.execute(select(func.max(labels.c.labelled_at)).where(labels.c.model == active)).scalar()
    if latest is None or latest >= late:
        return None  # never labelled: nobody has started to; else they come
    waits = select(labels.c.id).where(
        labels.c.model == active, labels.c.source == posts.c.source, labels.c.id == posts.c.id
    )
    query = select(posts.c.id).where(
        posts.c.first_seen_at > max(latest, recent), posts.c.first_seen_at < late, ~waits.exists()
    )
    return latest if connection.execute(query.limit(1)).scalar() is not None else None


def _name(blind: Blindness) -> str:
    """Of one stretch of blindness: the same for as long as it lasts."""
    return f"{blind.what}:{blind.source}@{blind.since.isoformat() if blind.since else 'never'}"


def _due(channel: Channel, kind: str, severity: str, latest: datetime | None, now: datetime) -> datetime | None:
    """From when on it may be sent; None where it is not to be written at all, or not yet."""
    severe = severity == "severe"
    rises_to_severe = severe and kind == "escalated"
    if kind in COOLED and not rises_to_severe and latest is not None and now - latest < channel.cool_down:
        return None
    quiet_until = None if severe else channel.quiet_until(now)
    if quiet_until is not None and kind in REMINDERS:
        return None
    return quiet_until or now


def _told(
    connection: Connection, channel: Channel, incident: int | None, since: datetime | None = None
) -> Sequence[Any]:
    table = tables.alerts
    columns = (table.c.key, table.c.kind, table.c.severity, table.c.message, table.c.made_at)
    query = select(*columns).where(table.c.channel == channel.name)
    if incident is not None:
        query = query.where(table.c.incident == incident)
    else:
        query = query.where(table.c.kind == "blind", table.c.made_at >= since)
    return connection.execute(query).all()


def _last_at(connection: Connection, incident: int) -> datetime:
    table = tables.incidents
    last_at: datetime = connection.execute(select(table.c.last_at).where(table.c.id == incident)).scalar_one()
    return last_at


def _synthetic(connection: Connection) -> bool:
    posts = tables.posts
    return connection.execute(select(posts.c.id).where(posts.c.synthetic).limit(1)).scalar() is not None


def _row(
    key: str,
    channel: Channel,
    kind: str,
    incident: int | None,
    severity: str,
    message: dict[str, Any],
    now: datetime,
    not_before: datetime,
) -> dict[str, Any]:
    return {
        "key": key,
        "channel": channel.name,
        "kind": kind,
        "incident": incident,
        "severity": severity,
        "message": message,
        "made_at": now,
        "not_before": not_before,
        "attempts": 0,
        "sent_at": None,
        "failure": None,
    }


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> int:
    written = 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for row in rows:
        statement = dialect.insert(tables.alerts).values(row).on_conflict_do_nothing()
        written += connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount
    return written
