"""The command `comply`, and what `doctor` says of it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from data import tables
from data.commands import ROOM_CHECKS
from data.console import StopSignal, one_line_errors, print_json, progress_bar, say, set_up_logs
from data.errors import InputError, StoreError, TrackerError
from data.files import check_place, draft_of
from data.records import parse_time
from data.settings import load_settings
from data.store import open_store
from data.withdrawal import exports_untold, last_line, remember_told, told, withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collector.compliance import Round
    from collector.presence import Check
    from data.settings import Settings
    from data.store import Store

app = typer.Typer()

ASKED = ("x", "reddit", "mastodon", "bluesky")
NOT_ASKED = {
    "news": "a feed lists its newest items alone, so that a missing one proves nothing",
    "reviews": "neither store can be asked for one review",
}
EVERY = timedelta(days=1)
DUE_SECONDS = 300


@app.command(epilog="Example: tracker comply reddit bluesky")
def comply(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE...]", help=f"{', '.join(ASKED)}; without: all that are on.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Re-check only what was written since.")] = None,
    lookup: Annotated[
        bool, typer.Option("--lookup", help="X: ask for each post, which is paid for, instead of a compliance job.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase even where more than half of many is gone.")] = False,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Go on for ever, a round so often.", min=60)
    ] = None,
    withdraw: Annotated[
        Path | None, typer.Option(metavar="EXPORT", help="List what must be taken back of an earlier export.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="F.jsonl", help="Where that list goes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Ask the platforms which stored posts are gone, and erase those; empty the texts that are past `retention_days`.

    A failure of a platform never erases anything. Stopped, even by kill -9, it goes on where it was. Run it daily: `tracker run` does.
    """
    set_up_logs()
    with one_line_errors():
        settings = load_settings()
        if withdraw is not None:
            if sources or since or lookup or yes or every is not None:
                raise InputError("--withdraw goes with --output and --json alone")
            _withdraw(settings, withdraw, output, as_json=as_json)
            return
        if output is not None:
            raise InputError("--output goes with --withdraw")
        names = _named(sources or [])
        bound = _moment(since)
        if every is not None and (bound or lookup or yes or as_json):
            raise InputError("--every goes with sources alone")
        if lookup and "x" not in names:
            raise InputError("--lookup is for x")
        _comply(
            settings,
            names,
            bound,
            StopSignal().wait,
            lookup=lookup,
            yes=yes,
            every=every,
            as_json=as_json,
            is_chosen=bool(sources),
        )


def _named(sources: Sequence[str]) -> list[str]:
    for name in sources:
        if name in NOT_ASKED:
            raise InputError(f"{name} cannot be asked: {NOT_ASKED[name]}; `retention_days` limits how long texts stay")
        if name not in (*ASKED, "all"):
            raise InputError(f"there is nothing to ask about {name}: choose from {', '.join(ASKED)}")
    return list(ASKED) if not sources or "all" in sources else list(dict.fromkeys(sources))


def _moment(since: str | None) -> datetime | None:
    try:
        return parse_time(since) if since is not None else None
    except ValueError:
        raise InputError("--since is not an ISO 8601 time, such as 2026-03-05T06:00:00+03:00") from None


def _open_checks(settings: Settings, *, lookup: bool = False) -> dict[str, Callable[[], Check]]:
    from collector.sources import bluesky, mastodon, reddit, x_compliance

    return {
        "x": lambda: x_compliance.open_check(settings, lookup=lookup),
        "reddit": lambda: reddit.open_check(settings),
        "mastodon": lambda: mastodon.open_check(settings),
        "bluesky": lambda: bluesky.open_check(settings),
    }


def _comply(
    settings: Settings,
    names: list[str],
    since: datetime | None,
    wait: Callable[[float], bool],
    *,
    lookup: bool,
    yes: bool,
    every: float | None,
    as_json: bool,
    is_chosen: bool,
) -> None:
    from collector.compliance import count_posts, last_round, recheck
    from collector.runner import Runner, Stopped, log_database_failure
    from data.spending import USD_PER_POST

    store = open_store(settings)
    runner = Runner(store, settings.now, wait, lambda _line: None)
    openers = _open_checks(settings, lookup=lookup)
    rounds: dict[str, Round] = {}
    off: dict[str, str] = {}
    exports = list[dict[str, Any]]()
    emptied: dict[str, int] = {}
    failed = False

    def ask(name: str) -> None:
        nonlocal failed
        last = last_round(store, name, whole=False)
        if every is not None and last is not None and settings.now() - last < timedelta(seconds=every):
            return
        posts = count_posts(store, name, since)
        try:
            check = openers[name]()
        except InputError as error:
            off[name] = str(error)
            if is_chosen or (posts and every is None):
                say(f"{name}: {posts:,} posts cannot be re-checked: {error}")
            return
        if lookup and name == "x":
            say(f"x: {posts:,} posts to look up, at most ${posts * USD_PER_POST:,.2f} if all are still there")
        with progress_bar(f"re-checking {name}", posts) as progress:
            rounds[name] = recheck(runner, check, since=since, trust=yes, progress=progress)
        failed |= rounds[name].outcome not in ("done", "waiting")
        _tell(rounds[name])

    def attempt(step: Callable[[], Any]) -> None:
        """With --every a database that fails ends nothing: the other steps go on, and the next turn tries again."""
        try:
            step()
        except (StoreError, SQLAlchemyError) as error:
            if every is None:
                raise
            log_database_failure(error)

    try:
        while True:
            for name in names:
                attempt(partial(ask, name))
            attempt(lambda: emptied.update(_empty_texts(store, settings, names if is_chosen else None)))
            attempt(lambda: exports.extend(_tell_of_exports(store)))
            if every is None or wait(min(every, DUE_SECONDS)):
                break
    except Stopped:
        failed = True
        say("stopped; the next run goes on here")
    finally:
        try:
            attempt(lambda: exports.extend(_tell_of_exports(store)))
            attempt(lambda: _tell_of_the_rest(store))
        finally:
            store.close()
    if is_chosen and not rounds and off and not failed:
        raise InputError("none of these sources is on: set its credentials as the README says")
    if as_json:
        print_json(
            {
                "sources": {name: _summary(each) for name, each in rounds.items()}
                | {name: {"off": off[name]} for name in off}
            }
            | {"texts_erased": emptied, "exports_to_withdraw": exports}
        )
    if failed and every is None:
        raise typer.Exit(1)


def _summary(result: Round) -> dict[str, Any]:
    return {name: value for name, value in asdict(result).items() if name != "source"}


def _tell(result: Round) -> None:
    rest = f", {result.unanswered:,} unanswered" if result.unanswered else ""
    rest += f", {result.unaskable:,} cannot be asked about" if result.unaskable else ""
    rest += f", about ${result.cost_usd:.2f}" if result.cost_usd else ""
    rest += "" if result.outcome == "done" else f" ({result.outcome}: {result.note})"
    rest += f" ({result.note})" if result.outcome == "done" and result.note else ""
    say(f"{result.source}: {result.asked:,} posts re-checked, {result.gone:,} gone and erased{rest}")


def _empty_texts(store: Store, settings: Settings, names: Sequence[str] | None) -> dict[str, int]:
    """Empty the texts past their time, of these sources or of all that are stored; returns how many, by source."""
    limits = settings.retention_days
    with store.engine.connect() as connection:
        stored = connection.execute(select(tables.posts.c.source).distinct()).scalars().all()
    emptied = {}
    for source in sorted(stored):
        days = limits.get(source, limits.get("default"))
        if days is not None and (names is None or source in names):
            count = store.erase_texts(source, settings.now() - timedelta(days=days))
            if count:
                emptied[source] = count
                say(f"{source}: {count:,} texts are past {days} days and were erased; labels and counts stay")
    if emptied:
        store.scrub()
    return emptied


def _tell_of_exports(store: Store) -> list[dict[str, Any]]:
    line = last_line(store)
    exports = exports_untold(store)
    if text := told(exports):
        say(text)
    remember_told(store, line)
    return exports


def _tell_of_the_rest(store: Store) -> None:
    posts = tables.posts
    counting = select(posts.c.source, func.count()).where(posts.c.source.in_(NOT_ASKED)).group_by(posts.c.source)
    with store.engine.connect() as connection:
        for source, count in sorted(connection.execute(counting).all()):
            say(f"{source}: {count:,} posts cannot be asked about: {NOT_ASKED[source]}")


def _withdraw(settings: Settings, path: Path, output: Path | None, *, as_json: bool) -> None:
    if output is not None:
        check_place(output, [path])
    store = open_store(settings)
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        stack.callback(store.close)
        file: IO[str] | None = None
        if output is not None:
            file = stack.enter_context(stack.enter_context(draft_of(output)).open("w", encoding="utf-8"))
        for found in withdrawn(store, path):
            counts[found["reason"]] = counts.get(found["reason"], 0) + 1
            if file is not None:
                file.write(json.dumps(found) + "\n")
            elif not as_json:
                typer.echo(json.dumps(found))
        store.record("withdraw", {"file": path.name} | counts)
    said = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
    say(f"{path}: " + (f"to be taken back: {said}" if said else "nothing has to be taken back"))
    if as_json:
        print_json({"file": path.name, "withdrawn": sum(counts.values()), "reasons": counts})


def comply_check() -> dict[str, Any]:
    """Whether every source that is on, can be asked and has posts was re-checked within a day."""
    from collector.compliance import count_posts, last_round

    settings = load_settings()
    try:
        store = open_store(settings)
    except TrackerError:
        return {"name": "comply", "state": "off", "says": "the database cannot be opened"}
    try:
        late, asked = [], []
        for name, open_check in _open_checks(settings).items():
            try:
                open_check()
            except InputError:
                continue
            if not count_posts(store, name):
                continue
            last = last_round(store, name)
            asked.append(name)
            if last is None or settings.now() - last > EVERY:
                late.append(name)
    finally:
        store.close()
    if late:
        says = (
            f"not re-checked for a day: {', '.join(late)}; what is deleted there stays here until `tracker comply` runs"
        )
        return {"name": "comply", "state": "warning", "says": says}
    if not asked:
        return {"name": "comply", "state": "off", "says": "no stored post that a source which is on can be asked about"}
    return {"name": "comply", "state": "ok", "says": f"re-checked within a day: {', '.join(asked)}"}


ROOM_CHECKS.append(comply_check)
