"""The commands `collect` and `import`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collector.sources import NAMES, REOPENED, load_source
from data.commands import SOURCE_CHECKS
from data.console import (
    StopSignal,
    announce,
    live_rows,
    one_line_errors,
    print_json,
    progress_bar,
    say,
    set_up_logs,
)
from data.errors import InputError
from data.records import parse_time
from data.settings import load_settings
from data.store import RunRecord, open_store

if TYPE_CHECKING:
    from collector.folder import Folder
    from collector.page import Stream
    from collector.runner import Runner
    from collector.schedule import Read
    from data.settings import Settings
    from data.store import Store

app = typer.Typer()

SHOWN_SKIPS = 200


@app.command(epilog="Example: tracker collect x reddit --once --json. What would be asked: tracker collect --explain")
def collect(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE...", help=f"{', '.join(NAMES)}, or all.")
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Read what is there and end; a source that rests after failures is tried, too."),
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Between two runs, of each source; else its own, or tracker.toml's.", min=1
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only show what each platform will be asked: no network, no keys.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what each source brought, or will be asked.")] = False,
    archive: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="FROM TO", help="X alone: quote the price of that stretch in its full archive (ISO 8601)."
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="X alone: its filtered stream, until stopped; its gaps are read by search.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --archive: read it at that price, within the budget.")
    ] = False,
) -> None:
    """Read posts that mention eCitizen from the platforms into the store, each source at its own pace."""
    with one_line_errors():
        settings = load_settings()
        set_up_logs(settings.logs)
        if explain:
            _explain(_named(sources or ["all"]), settings, as_json)
            return
        if archive is not None:
            from collector.x_commands import read_archive

            if sources != ["x"] or once or stream:
                raise InputError("--archive goes with x alone: tracker collect x --archive 2025-01-03 2025-01-05")
            read_archive(settings, _span("--archive", archive), yes=yes, as_json=as_json)
            return
        if stream:
            from collector.x_commands import follow_stream

            if sources != ["x"] or once or as_json:
                raise InputError(
                    "--stream goes with x alone, and reads until it is stopped: tracker collect x --stream"
                )
            follow_stream(settings, _every_seconds(["x"], every, settings)["x"])
            return
        if yes:
            raise InputError("--yes goes with --archive")
        if not sources:
            raise InputError(f"name the sources: {', '.join(NAMES)}, or all")
        from collector.runner import scrub_erased
        from collector.schedule import Schedule

        names = _named(sources)
        every_seconds = _every_seconds(names, every, settings)
        stop = StopSignal()
        store = open_store(settings)
        reads: dict[str, Read] = {}
        off = {}
        for name in names:
            streams: list[Stream] = []
            try:
                streams += load_source(name).open_streams(settings)
            except InputError as error:
                off[name] = str(error)
                announce(str(error), "source off", source=name, reason=str(error))
            if streams or (name in REOPENED and not once):
                reads[name] = partial(_read, name, settings, streams)
        stores = [store]
        if "all" in sources and not once and settings.watch_folder is not None:
            from collector.folder import EVERY_SECONDS, WATCH, Folder

            stores.append(open_store(settings))  # it redacts many posts in processes, which belong to one thread
            watched = Folder(settings.watch_folder, stores[-1], settings.now, stop.wait, settings.watch_source)
            reads[WATCH] = partial(_look, watched)
            every_seconds[WATCH] = every or EVERY_SECONDS
        if reads.keys() <= off.keys():
            raise InputError("no source is on: set credentials as the README says, or import files")
        with live_rows() as show:
            schedule = Schedule(store, settings.now, stop.wait, reads, every_seconds, show)
            schedule.run(once=once)
        scrub_erased(store, settings.now(), every=None)
        if stop.wait(0):
            announce("stopped; what was read is saved", "stopped")
        for each in stores:
            each.close()
        if as_json:
            told: dict[str, Any] = {
                name: _summary(schedule.records[name]) for name in reads if name in schedule.records
            }
            print_json({name: {"off": why} for name, why in off.items()} | told)
        if once and (schedule.failed or stop.wait(0)):
            raise typer.Exit(1)


def _read(name: str, settings: Settings, streams: list[Stream], runner: Runner) -> RunRecord | None:
    """One run of a source. Where its streams are opened anew, one that is still there stays, with what it holds."""
    if name in REOPENED:
        kept = {stream.name: stream for stream in streams}
        try:
            streams[:] = [kept.get(stream.name, stream) for stream in load_source(name).open_streams(settings)]
        except InputError:
            return None  # nothing to read as yet, or any more
    return runner.collect(name, streams)


def _look(folder: Folder, _runner: Runner) -> None:
    """A folder keeps no record of its looks: a silent one is no source that fell silent."""
    folder.look()


def _named(sources: list[str]) -> list[str]:
    if "all" in sources:
        return list(NAMES)
    for name in sources:
        if name not in NAMES:
            raise InputError(f"there is no source {name}: choose from {', '.join(NAMES)}, or all")
    return list(dict.fromkeys(sources))


def _every_seconds(names: list[str], every: float | None, settings: Settings) -> dict[str, float]:
    for name in settings.every_seconds:
        if name not in NAMES:
            raise InputError(f"setting every_seconds: there is no source {name}: choose from {', '.join(NAMES)}")
    return {name: every or settings.every_seconds.get(name) or load_source(name).EVERY_SECONDS for name in names}


def _explain(names: list[str], settings: Settings, as_json: bool) -> None:
    told: dict[str, Any] = {}
    for name in names:
        try:
            told[name] = [asdict(question) for question in load_source(name).questions(settings)]
        except InputError as error:
            told[name] = {"off": str(error)}
    query = {"terms": settings.terms, "exclusions": settings.exclusions}
    if as_json:
        print_json({"query": query, "sources": told})
        return
    typer.echo(f"terms: {', '.join(settings.terms)}")
    typer.echo(f"exclusions: {', '.join(settings.exclusions) or 'none'}")
    for name, questions in told.items():
        typer.echo(f"\n{name}")
        if isinstance(questions, dict):
            typer.echo(f"  {questions['off']}")
            continue
        for question in questions:
            kept = "; of all that comes, what holds a term is kept" if question["sifts"] else ""
            typer.echo(f"  {question['stream']}: {question['asks']}{kept}")


def _summary(run: RunRecord) -> dict[str, object]:
    fields = ("fetched", "new", "duplicate", "dropped", "gaps", "requests", "outcome", "note")
    return {name: value for name, value in asdict(run).items() if name in fields} | {
        "estimated_cost_usd": round(run.cost_usd, 4)
    }


def check_sources(settings: Settings, store: Store | None) -> list[dict[str, Any]]:
    """See `collector.checks`, whose libraries no other command needs."""
    from collector import checks

    return checks.check_sources(settings, store)


SOURCE_CHECKS.append(check_sources)


@app.command("import", epilog="Example: tracker import posts.jsonl --covers 2026-03-01 2026-03-08")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="JSONL, CSV, Parquet, X API pages, Reddit listings or dumps."),
    ],
    source: Annotated[str | None, typer.Option(metavar="NAME", help="The source of records that name none.")] = None,
    covers: Annotated[
        tuple[str, str] | None, typer.Option(metavar="FROM TO", help="The span that counts as looked at (ISO 8601).")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End at the first record that is not a post.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts.")] = False,
) -> None:
    """Bring posts from files into the store; what is there already is left alone. Stopped, it goes on when run again."""
    set_up_logs()
    with one_line_errors():
        from collector.importing import ImportTally, import_file

        settings = load_settings()
        span = None if covers is None else _span("--covers", covers)
        store = open_store(settings)
        total = ImportTally()
        unusable = []
        for path in files:
            skips = _Skips()
            try:
                with progress_bar(f"{path.name}, percent", 100) as progress:
                    tally = import_file(
                        path,
                        store,
                        now=settings.now(),
                        source=source,
                        covers=span,
                        strict=strict,
                        skip=skips,
                        say=say,
                        progress=lambda share, show=progress: show(round(100 * share)),  # type: ignore[misc]
                    )
            except InputError as error:
                if strict or len(files) == 1:
                    skips.close(path)
                    raise
                unusable.append(error)
                say(f"error: {error}")
                continue
            skips.close(path)
            total.add(tally)
            dropped = f", {tally.dropped:,} erased before and kept out" if tally.dropped else ""
            say(
                f"{path}: {tally.read:,} read, {tally.new:,} new, {tally.duplicate:,} known, {tally.skipped:,} skipped{dropped}"
            )
        store.close()
        if as_json:
            counts = ("read", "new", "duplicate", "skipped", "dropped")
            print_json({name: getattr(total, name) for name in counts})
        if unusable:
            raise typer.Exit(2)


@app.command(epilog="Example: tracker watch inbox --source care_desk")
def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where files of posts are dropped.")],
    source: Annotated[str | None, typer.Option(metavar="NAME", help="The source of records that name none.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Import the files that are there, and end.")] = False,
) -> None:
    """Import files as they are dropped into a folder: care-desk exports, comments under the team's own page.

    Formats and columns are those of `tracker import`: at least id, created_at and text. A file is read once it has not changed for 5
    seconds, and never twice, whatever its name; one that cannot be used is reported and left. Nothing is moved or deleted.
    Names that begin with a dot or end in .part or .tmp are passed over.
    """
    with one_line_errors():
        settings = load_settings()
        set_up_logs(settings.logs)
        from collector.folder import Folder
        from collector.runner import Stopped

        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: make it first")
        stop = StopSignal()
        store = open_store(settings)
        watched = Folder(folder, store, settings.now, stop.wait, source)
        announce(f"watching {folder}", "watching", folder=str(folder))
        try:
            watched.run(once=once)
        except Stopped:
            announce("stopped; what was read is saved", "stopped")
            if once:
                raise typer.Exit(1) from None
        finally:
            store.close()
        if once and watched.unusable:
            raise typer.Exit(2)


def _span(option: str, given: tuple[str, str]) -> tuple[datetime, datetime]:
    try:
        from_at, to_at = parse_time(given[0]), parse_time(given[1])
    except ValueError:
        raise InputError(
            f"{option} takes two ISO 8601 times, such as 2026-03-01T00:00:00+03:00 2026-03-08T00:00:00+03:00"
        ) from None
    if to_at < from_at:
        raise InputError(f"{option}: the second time is before the first")
    return from_at, to_at


class _Skips:
    """One line for each record left out, up to a limit; then only how many more."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, line: str) -> None:
        self.count += 1
        if self.count <= SHOWN_SKIPS:
            say(f"skipped: {line}")

    def close(self, path: Path) -> None:
        if self.count > SHOWN_SKIPS:
            say(f"skipped: {path}: {self.count - SHOWN_SKIPS:,} more records that are not posts")
