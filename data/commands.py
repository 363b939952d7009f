"""The commands `status`, `correct`, `erase` and `doctor`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import func, select

from data import tables
from data.console import one_line_errors, print_json, say, set_up_logs
from data.errors import InputError, RecordError, TrackerError
from data.labels import ABOUTS, KINDS, PROBLEMS, SCOPES, SENTIMENTS, STATUSES
from data.messages import official_messages
from data.official import NAIROBI, is_listed_office, parse_official
from data.records import parse_time
from data.settings import Settings, load_settings
from data.spending import Standing, standing_of_x
from data.store import IMPORTS, Store, count_waiting, open_store
from data.withdrawal import exports_to_withdraw, last_line, told

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer()
status = typer.Typer(help="Official messages: add one by hand, list them, import them.", no_args_is_help=True)
app.add_typer(status, name="status")


@status.command(
    "add",
    epilog="Example: tracker status add --at 2026-03-05 --precision day --office 'Huduma Kenya' --status acknowledged --scope reply 'Kindly try later'",
)
def add(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    at: Annotated[str, typer.Option(metavar="T", help="When it was said (ISO 8601; without an offset: UTC).")],
    status_: Annotated[str, typer.Option("--status", metavar="S")],
    precision: Annotated[str, typer.Option(help="minute, hour or day: no finer than the source.")] = "minute",
    account: Annotated[str | None, typer.Option(metavar="SOURCE:ID")] = None,
    office: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    scope: Annotated[str, typer.Option(help="statement or reply.")] = "statement",
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="Maintenance begins.")] = None,
    to: Annotated[str | None, typer.Option(metavar="T", help="Maintenance ends.")] = None,
    url: Annotated[str | None, typer.Option(metavar="U")] = None,
) -> None:
    """Add an official message, such as a press statement."""
    set_up_logs()
    with one_line_errors():
        if bool(account) == bool(office):
            raise InputError("give one of --account SOURCE:ID or --office NAME")
        record = {"at": at, "precision": precision, "account": account, "office": office, "status": status_}
        record |= {"scope": scope, "from": from_, "to": to, "url": url, "text": text}
        message = parse_official(record)
        store = open_store(load_settings())
        store.accounts().check_listed(message)
        new = store.add_official([message])
        store.close()
        say("added" if new else "this message is there already")
        if office and not is_listed_office(office):
            say(f"{office} is no office that the tracker knows: its word counts as an office's, not as eCitizen's own")


@status.command("list", epilog="Example: tracker status list --json")
def list_(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the official messages, the newest first."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        messages = official_rows(store)
        store.close()
        if as_json:
            print_json(messages)
        elif not messages:
            say("no official messages yet: tracker status add, or tracker status import FILE")
        for message in [] if as_json else messages:
            who = message["office"] or message["account"]
            who += "" if message["confirmed"] else " [unconfirmed]"
            typer.echo(f"{shown_time(message)}  {message['status']:<13} {who} ({message['scope']}): {message['text']}")


def official_rows(store: Store) -> list[dict[str, Any]]:
    """The official messages, added by hand or collected, with the fields of INTERFACE, the newest first."""
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in message.items()}
        for message in official_messages(store.engine)
    ]


def shown_time(message: dict[str, Any]) -> str:
    """East Africa Time, no finer than the message's precision."""
    local = parse_time(message["at"]).astimezone(NAIROBI)
    if message["precision"] == "day":
        return f"{local:%a %d %b %Y} (day)"
    return (
        f"{local:%a %d %b %Y}, about {local:%H:00} EAT"
        if message["precision"] == "hour"
        else f"{local:%a %d %b %Y %H:%M} EAT"
    )


@status.command("import", epilog="Example: tracker status import official.jsonl")
def import_(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Bring official messages in from a JSONL file with the fields of `status add`."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        read, new = import_official(file, store)
        store.close()
        say(f"{file}: {read} official messages, {new} new")


def import_official(path: Path, store: Store) -> tuple[int, int]:
    """All of a file or nothing; returns how many were read and how many were new. Raises InputError with the line."""
    messages, listed = [], store.accounts()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            message = parse_official(json.loads(line))
            listed.check_listed(message)
            store.check_said(message)
            messages.append(message)
        except RecordError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
        except ValueError:
            raise InputError(f"{path}, line {number}: broken JSON") from None
    if not messages:
        raise InputError(f"{path} holds no official message")
    return len(messages), store.add_official(messages)


@app.command(epilog="Example: tracker correct x:123 --problems payment,support --kind complaint --who 'desk 2'")
def correct(
    post: Annotated[str, typer.Argument(metavar="SOURCE:ID")],
    who: Annotated[str, typer.Option(metavar="NAME", help="Who says so; kept as a pseudonym.")],
    problems: Annotated[str | None, typer.Option(metavar="A,B|none", help=", ".join(PROBLEMS) + "; or none.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="K", help=", ".join(KINDS))] = None,
    sentiment: Annotated[str | None, typer.Option(metavar="S", help=", ".join(SENTIMENTS))] = None,
    about: Annotated[str | None, typer.Option(metavar="A", help=", ".join(ABOUTS))] = None,
    status: Annotated[str | None, typer.Option(metavar="S", help="Official posts: " + ", ".join(STATUSES))] = None,
    scope: Annotated[str | None, typer.Option(metavar="S", help="Official posts: " + ", ".join(SCOPES))] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="All that is not given is as the model said.")] = False,
    why: Annotated[str | None, typer.Option(metavar="TEXT", help="The reason; redacted, but names are not.")] = None,
) -> None:
    """Settle labels of a post: the newest word of a person wins over every model, and `train` can learn from it."""
    set_up_logs()
    with one_line_errors():
        source, colon, identifier = post.partition(":")
        if not colon or not source or not identifier:
            raise InputError("a post is named SOURCE:ID, such as x:123")
        listed = None if problems is None else [problem.strip() for problem in problems.split(",")]
        given: dict[str, Any] = {"problems": [] if listed == ["none"] else listed, "kind": kind}
        given |= {"sentiment": sentiment, "about": about, "status": status, "scope": scope}
        fields = {field: value for field, value in given.items() if value is not None}
        store = open_store(load_settings())
        settled = store.correct(source, identifier, fields, who, why, confirm=confirm)
        store.close()
        if "problems" in settled:
            settled["problems"] = ", ".join(settled["problems"]) or "none"
        say(f"{post}: " + "; ".join(f"{field} {value}" for field, value in settled.items()))


@app.command(epilog="Example: tracker erase --post x:123")
def erase(
    post: Annotated[str | None, typer.Option(metavar="SOURCE:ID")] = None,
    author: Annotated[
        str | None, typer.Option(metavar="HANDLE", help="A handle, an account id or a pseudonym.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="With --author: on this platform alone.")] = None,
) -> None:
    """Remove a post, or all that an author wrote, and keep it out for good."""
    set_up_logs()
    with one_line_errors():
        if bool(post) == bool(author):
            raise InputError("give one of --post SOURCE:ID or --author HANDLE")
        store = open_store(load_settings())
        line = last_line(store)
        if post:
            found_source, colon, identifier = post.partition(":")
            if not colon or not identifier:
                raise InputError("--post takes SOURCE:ID, such as x:123")
            count = store.erase_post(found_source, identifier)
        else:
            count = store.erase_author(author or "", source)
        exports = told(exports_to_withdraw(store, line))
        store.close()
        if count:
            say(f"{count:,} post{'s' * (count != 1)} erased; what was erased stays out when it is imported again")
        else:
            say(f"nothing was erased: {_not_found(post, author, source)}. It stays out if it comes from now on")
        if exports:
            say(exports)


def _not_found(post: str | None, author: str | None, source: str | None) -> str:
    if author:
        where = f"of {source} " if source else ""
        return f"no post {where}by that author is stored (handles of Mastodon have a host, Bluesky knows its accounts by DID)"
    edited = ", and an edited post of X is kept under the id of its first version" * (post or "").startswith("x:")
    return f"{post} is not stored{edited}"


# What `doctor` asks of the other rooms, which add it here, as this one imports none of them.
ROOM_CHECKS: list[Callable[[], dict[str, Any]]] = []
SOURCE_CHECKS: list[
    Callable[[Settings, Store | None], list[dict[str, Any]]]
] = []  # the store: None where it has failed


@app.command(epilog="Example: tracker doctor --json")
def doctor(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Say what is configured, reachable, migrated and stale, and which model and data are in use."""
    set_up_logs()
    with one_line_errors():
        checks = examine(load_settings())
        if as_json:
            print_json(checks)
        else:
            for check in checks["checks"]:
                mark = {"ok": "ok  ", "off": "off ", "warning": "WARN", "failed": "FAIL"}[check["state"]]
                typer.echo(f"{mark}  {check['name']:<18} {check['says']}")
        if not checks["ok"]:
            raise typer.Exit(1)


def examine(settings: Settings) -> dict[str, Any]:
    """`{"ok": bool, "checks": [{"name", "state": ok|off|warning|failed, "says"}, …]}`; a source that is off is no failure."""
    checks = [_clock(settings), *(check() for check in ROOM_CHECKS)]
    try:
        store = open_store(settings)
    except TrackerError as error:
        checks.append(_check("database", "failed", str(error)))
        store = None
    for check in SOURCE_CHECKS:
        checks += check(settings, store)
    if store is not None:
        checks += _store_checks(store, settings)
        store.close()
    return {"ok": not any(check["state"] == "failed" for check in checks), "checks": checks}


def _check(name: str, state: str, says: str) -> dict[str, Any]:
    return {"name": name, "state": state, "says": says}


def _clock(settings: Settings) -> dict[str, Any]:
    local = settings.now().astimezone(NAIROBI)
    if settings.pretends:
        return _check("clock", "warning", f"TRACKER_NOW pretends that it is {local:%a %d %b %Y %H:%M} EAT")
    return _check("clock", "ok", f"{local:%a %d %b %Y %H:%M} EAT")


def _budget(where: Standing, settings: Settings) -> dict[str, Any]:
    spent = where.spent
    says = (
        f"${spent.usd_of_day:,.2f} of ${settings.x_usd_per_day:,.2f} and {spent.posts_of_day:,} of "
        f"{settings.x_posts_per_day:,} posts today (UTC); ${spent.usd_of_month:,.2f} of ${settings.x_usd_per_month:,.2f} "
        f"and {spent.posts_of_month:,} of {settings.x_posts_per_month:,} posts this month"
    )
    if where.word == "reading":
        return _check("x budget", "ok", says)
    done = "posts are only counted" if where.word == "counting" else "X is not asked"
    until = f"{where.renewed_at.astimezone(NAIROBI):%a %d %b %H:%M} EAT"
    return _check("x budget", "warning", f"{says}: {done} until {until}, or raise TRACKER_{where.setting.upper()}")


COMPLY_STREAM = "comply"  # the cursor of `comply`, which the collector's check of it looks at


def _store_checks(store: Store, settings: Settings) -> list[dict[str, Any]]:
    posts, labels = tables.posts, tables.labels
    shown = store.engine.url.render_as_string(hide_password=True)
    with store.engine.connect() as connection:
        count, newest = connection.execute(select(func.count(), func.max(posts.c.created_at))).one()
        model = store.active_model()
        labelled = connection.execute(select(func.count()).where(labels.c.model == (model or ""))).scalar_one()
        missing = count_waiting(connection, model)
    checks = [_check("database", "ok", f"{shown}, schema {tables.SCHEMA_REVISION}, {count:,} posts")]
    if newest is not None:
        checks.append(_check("newest post", "ok", f"{newest.astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT"))
    if store.synthetic():
        checks.append(_check("data", "warning", "this store holds DEMO posts, which are synthetic"))
    if model is None:
        checks.append(_check("model", "warning", "nothing is labelled yet: tracker classify"))
    else:
        checks.append(
            _check(
                "model", "warning" if missing else "ok", f"{model}, {labelled:,} posts labelled, {missing:,} waiting"
            )
        )
    budget = standing_of_x(store.engine, settings)
    if budget is not None:
        checks.append(_budget(budget, settings))
    listed = [each for each in store.accounts().accounts if each.key]
    confirmed = sum(each.is_confirmed for each in listed)
    says = f"{confirmed} of {len(listed)} confirmed" + ("" if confirmed else ": none of their messages grades anything")
    how = "" if confirmed else " (`tracker status confirm --help`)"
    checks.append(_check("official accounts", "ok" if confirmed else "warning", says + how))
    with store.engine.connect() as connection:
        of_imports = select(tables.cursors.c.updated_at).where(tables.cursors.c.source == IMPORTS)
        stopped_imports = connection.execute(of_imports).scalars().all()
    for updated_at in stopped_imports:
        age = (settings.now() - updated_at).total_seconds()
        says = f"an import was stopped, or is under way, {age / 60:,.0f} minutes ago: run it again with the same file"
        checks.append(_check(IMPORTS, "warning", says))
    return checks
