"""The outbox: alerts that wait in the table `alerts`, handed to their channels through apprise. docs/alerts.md is the account.

An alert is marked sent right before its last bytes go out, and unmarked where the receiver then refuses it. Killed before
the mark it is sent again, killed after it never: a doubled alert cannot come of a kill, a lost one only of a kill between
the mark and the bytes, or while a receiver that was handed it refuses it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import and_, func, or_, select, update

from dashboard import messages
from dashboard.channels import open_channel, picture_of
from dashboard.strings import shown_time
from data import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from apprise.plugins.base import NotifyBase
    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from dashboard.channels import Channel

log = structlog.get_logger("alerts")

# Longer than any attempt takes: then whoever had claimed the alert is gone.
LEASE = timedelta(minutes=3)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
GIVEN_UP_AFTER = timedelta(days=2)
LATE_AFTER = timedelta(minutes=10)
# A message that fails so often goes without the picture within it, which may be what is refused, and later behind the others.
PICTURE_ATTEMPTS, LAST_IN_LINE_ATTEMPTS = 2, 5
UNANSWERED = "handed over, and ended before the receiver answered: it may have arrived"
_HEAD = re.compile(
    rb"[A-Z]+ [^\r\n]* HTTP/1\.1\r\n.*?\r\ncontent-length: *[1-9]\d*\r\n(?:.*\r\n)?\r\n$", re.IGNORECASE | re.DOTALL
)
_STATUS = re.compile(r"error=(\d{3})\b")
_REPLY = re.compile(r"\((\d{3}), b['\"]")
_REASONS = (
    ("timed out", "no answer in time"),
    ("timeout", "no answer in time"),
    ("refused", "the connection was refused"),
    ("resolve", "the name of the host is not known"),
    ("name or service", "the name of the host is not known"),
    ("certificate", "the certificate of the host is not trusted"),
    ("unreachable", "the host cannot be reached"),
    ("reset", "the connection was cut"),
    ("remote end closed", "the connection was cut"),
    ("connection unexpectedly closed", "the connection was cut"),
)


@dataclass
class Delivered:
    """What a round of delivery did."""

    sent: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Message:
    """What goes out. `reference` is the same at every attempt, so that a receiver can tell a repetition."""

    title: str
    body: str
    reference: str
    severe: bool = False
    picture: bytes | None = None


def deliver(
    engine: Engine,
    channels: Sequence[Channel],
    clock: Callable[[], datetime],
    draw: Callable[[datetime, datetime, str], bytes | None] = lambda _from, _to, _language: None,
    report: Callable[[str], None] = lambda _line: None,
) -> Delivered:
    """Send what is due, channel by channel in the order of writing; a channel that fails is left until the next round.

    `draw` makes the picture of a stretch of time in a language.
    """
    done = Delivered()
    for channel in channels:
        plugin = open_channel(channel)
        place = picture_of(plugin)
        while (row := _claim(engine, channel, clock())) is not None:
            is_within = place == "within" and row.attempts <= PICTURE_ATTEMPTS
            message = _message(row, channel, clock(), _picture(row, channel, draw) if is_within else None)
            # Held ready, so that nothing but the mark stands between the mark and the bytes.
            with engine.execution_options(writes=True).connect() as connection:
                try:
                    failure = send(plugin, message, before=partial(_hand_over, connection, row, clock))
                except Superseded:
                    continue
            if failure is None:
                done.sent += 1
                _settle(engine, row, {"sent_at": clock(), "failure": None})
                _wake(engine, channel, clock())
                report(f"alert {row.number} ({row.kind}) sent to {channel.name}")
                if place == "apart":
                    _send_picture(plugin, row, message, _picture(row, channel, draw))
                continue
            done.failed += 1
            pause = pause_after(row.attempts)
            _settle(engine, row, {"sent_at": None, "failure": failure, "not_before": clock() + pause})
            report(
                f"alert {row.number} ({row.kind}) not delivered to {channel.name}: {failure}; trying again in {pause.total_seconds():.0f} s"
            )
            break
    return done


def pause_after(attempts: int) -> timedelta:
    """Until the next attempt, after so many that failed."""
    return min(FIRST_PAUSE * int(2 ** min(attempts - 1, 10)), LONGEST_PAUSE)


def send(plugin: NotifyBase, message: Message, before: Callable[[], None] = lambda: None) -> str | None:
    """Hand a message to its receiver. Returns None, or why it failed, in words that hold nothing of the address.

    `before` is called once, when what is to be said is about to leave; what it raises ends the attempt.
    """
    import apprise
    from apprise.attachment.memory import AttachMemory

    attached = None
    if message.picture is not None:
        attached = apprise.AppriseAttachment()
        attached.add(AttachMemory(content=message.picture, name="complaints.png", mimetype="image/png"))
    if isinstance(headers := getattr(plugin, "headers", None), dict):
        headers["Idempotency-Key"] = message.reference
    kind = apprise.NotifyType.FAILURE if message.severe else apprise.NotifyType.WARNING
    with _reasons() as said, _leaving(before):
        try:
            arrived = plugin.notify(
                body=f"{message.body}\n#{message.reference[:8]}" if message.title or message.body else "",
                title=message.title,
                notify_type=kind,
                attach=attached,
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Superseded:
            raise
        except Exception as error:  # of a plugin, whose message may hold the address
            return f"the channel failed ({type(error).__name__})"
    return None if arrived else _reason(said)


class Superseded(Exception):
    """Another process has taken the alert over meanwhile."""


def _claim(engine: Engine, channel: Channel, now: datetime) -> Row[Any] | None:
    """The next alert that is due, ours for LEASE; None where there is none."""
    table = tables.alerts
    query = (
        select(table)
        .where(waiting(now), table.c.channel == channel.name, table.c.not_before <= now)
        .order_by(table.c.attempts >= LAST_IN_LINE_ATTEMPTS, table.c.number)
        .limit(1)
    )
    while True:
        with engine.execution_options(writes=True).begin() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            ours = (
                update(table)
                .where(_unchanged(row.number, row.attempts), table.c.not_before <= now)
                .values(attempts=row.attempts + 1, not_before=now + LEASE)
            )
            if connection.execute(ours).rowcount:
                return connection.execute(select(table).where(table.c.number == row.number)).one()


def waiting(now: datetime) -> ColumnElement[bool]:
    """Alerts that are still to be sent: not given up, nor of an incident that a person has dismissed."""
    table, notes = tables.alerts, tables.incident_notes
    newest = (
        select(notes.c.verdict)
        .where(notes.c.incident == table.c.incident, notes.c.verdict.is_not(None))
        .order_by(notes.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    return and_(
        table.c.sent_at.is_(None),
        table.c.made_at > now - GIVEN_UP_AFTER,
        or_(table.c.incident.is_(None), func.coalesce(newest, "") != "dismissed"),
    )


def _unchanged(number: int, attempts: int) -> ColumnElement[bool]:
    table = tables.alerts
    return and_(table.c.number == number, table.c.attempts == attempts, table.c.sent_at.is_(None))


def _hand_over(connection: Connection, row: Row[Any], clock: Callable[[], datetime]) -> None:
    values = {"sent_at": clock(), "failure": UNANSWERED}
    mark = update(tables.alerts).where(_unchanged(row.number, row.attempts)).values(values)
    if not connection.execute(mark).rowcount:
        raise Superseded
    connection.commit()


def _settle(engine: Engine, row: Row[Any], values: dict[str, Any]) -> None:
    table = tables.alerts
    ours = and_(table.c.number == row.number, table.c.attempts == row.attempts)
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(update(table).where(ours).values(values))


def _wake(engine: Engine, channel: Channel, now: datetime) -> None:
    """What failed before is due again, since the receiver is back."""
    table = tables.alerts
    failed = and_(table.c.channel == channel.name, table.c.sent_at.is_(None), table.c.failure.is_not(None))
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(update(table).where(failed, table.c.not_before > now).values(not_before=now))


def _message(row: Row[Any], channel: Channel, now: datetime, picture: bytes | None) -> Message:
    body = row.message["body"]
    if now - row.made_at > LATE_AFTER:
        body = f"{messages.text(channel.language, 'late', made=shown_time(row.made_at, channel.language))}\n{body}"
    told = f"{row.number}\0{row.key}\0{row.channel}\0{row.made_at.isoformat()}"
    reference = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
    return Message(row.message["title"], body, reference, row.severity == "severe", picture)


def _picture(row: Row[Any], channel: Channel, draw: Callable[[datetime, datetime, str], bytes | None]) -> bytes | None:
    if not row.message["picture"]:
        return None
    from_at, to_at = map(datetime.fromisoformat, row.message["picture"])
    try:
        return draw(from_at, to_at, channel.language)
    except Exception as error:  # of the drawing, without which the alert goes out as well
        log.warning("alert without its picture", alert=row.number, reason=type(error).__name__)
        return None


def _send_picture(plugin: NotifyBase, row: Row[Any], message: Message, picture: bytes | None) -> None:
    """After its text, once: the alert has arrived, and to try again would say it twice."""
    if picture is None:
        return
    failure = send(plugin, Message("", "", message.reference, message.severe, picture))
    if failure is not None:
        log.warning("alert without its picture", alert=row.number, reason=failure)


_before: Callable[[], None] | None = None
_hooked = False


@contextmanager
def _leaving(before: Callable[[], None]) -> Iterator[None]:
    """Call `before` when the message leaves: at the body of the first HTTP request, or at the text of a mail.

    Python reports both to audit hooks (PEP 578) right before the bytes are written. Where a plugin speaks neither, it is not called.
    """
    global _before, _hooked
    if not _hooked:
        sys.addaudithook(_hear)
        _hooked = True
    _before = before
    try:
        yield
    finally:
        _before = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    global _before
    if event not in ("http.client.send", "smtplib.send") or _before is None:
        return
    sent = arguments[1] if isinstance(arguments[1], bytes) else b""
    if event == "smtplib.send" and not sent.endswith(b"\r\n.\r\n"):
        return
    if event == "http.client.send" and _HEAD.match(sent):
        return  # its body is another event
    before, _before = _before, None
    before()


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _reasons() -> Iterator[list[str]]:
    """What apprise logs of an attempt. It may hold the address, so that it is only looked through for known reasons."""
    logger, handler = logging.getLogger("apprise"), _Said()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _reason(said: Sequence[str]) -> str:
    for line in said:
        if (status := _STATUS.search(line)) is not None:
            return f"the receiver answered HTTP {status[1]}" + " (check the address and its password)" * (
                status[1] in ("401", "403")
            )
        if line.startswith(("Socket Exception", "SMTP")) and (reply := _REPLY.search(line)) is not None:
            return f"the mail server answered {reply[1]}" + " (check the user and the password)" * (reply[1] == "535")
    for line in said:
        for sign, reason in _REASONS:
            if sign in line.lower():
                return reason
    return "the channel gave no reason"
