"""The commands `collect` and `import`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from data.console import StopSignal, one_line_errors, print_json, progress_bar, say, set_up_logs
from data.errors import InputError
from data.records import parse_time
from data.settings import load_settings
from data.store import RunRecord, open_store

app = typer.Typer()

DEFAULT_EVERY_SECONDS = 120
SOURCES = ("x", "reddit", "bluesky", "mastodon", "news", "reviews")
SHOWN_SKIPS = 200


@app.command(epilog="Example: tracker collect x reddit --once --json")
def collect(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=f"{', '.join(SOURCES)}, or all.")],
    once: Annotated[bool, typer.Option("--once", help="Read what is there and end.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two rounds.", min=1)] = DEFAULT_EVERY_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print what each source brought.")] = False,
) -> None:
    """Read posts that mention eCitizen from the platforms into the store."""
    set_up_logs()
    with one_line_errors():
        from collector.runner import Runner, Stopped
        from collector.sources import bluesky, mastodon, news, reddit, reviews, x

        modules = {
            "x": x,
            "reddit": reddit,
            "bluesky": bluesky,
            "mastodon": mastodon,
            "news": news,
            "reviews": reviews,
        }
        settings = load_settings()
        names = _named(sources)
        stop = StopSignal()
        store = open_store(settings)
        runner = Runner(store, settings.now, stop.wait, say)
        streams, off = {}, {}
        for name in names:
            try:
                streams[name] = modules[name].open_streams(settings)
            except InputError as error:
                off[name] = str(error)
                say(str(error))
        if not streams:
            raise InputError("no source is on: set credentials as the README says, or import files")
        records: dict[str, RunRecord] = {}
        failed = False
        try:
            while True:
                for name, opened in streams.items():
                    run = runner.collect(name, opened)
                    records[name] = run
                    failed |= run.outcome != "done"
                    _tell(run)
                if once or stop.wait(every):
                    break
        except Stopped:
            failed = True  # with --once: the work was not done
            say("stopped; what was read is saved")
        finally:
            store.close()
        if as_json:
            print_json(
                {name: _summary(run) for name, run in records.items()}
                | {name: {"off": why} for name, why in off.items()}
            )
        if once and failed:
            raise typer.Exit(1)


def _named(sources: list[str]) -> list[str]:
    if "all" in sources:
        return list(SOURCES)
    for name in sources:
        if name not in SOURCES:
            raise InputError(f"there is no source {name}: choose from {', '.join(SOURCES)}, or all")
    return list(dict.fromkeys(sources))


def _tell(run: RunRecord) -> None:
    outcome = "" if run.outcome == "done" else f" ({run.outcome}: {run.note})"
    cost = f", about ${run.cost_usd:.2f}" if run.cost_usd else ""
    say(f"{run.source}: {run.fetched:,} read, {run.new:,} new, {run.requests} requests{cost}{outcome}")


def _summary(run: RunRecord) -> dict[str, object]:
    fields = ("fetched", "new", "duplicate", "dropped", "gaps", "requests", "outcome", "note")
    return {name: value for name, value in asdict(run).items() if name in fields} | {
        "estimated_cost_usd": round(run.cost_usd, 4)
    }


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
        span = _span(covers)
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


def _span(covers: tuple[str, str] | None) -> tuple[datetime, datetime] | None:
    if covers is None:
        return None
    try:
        from_at, to_at = parse_time(covers[0]), parse_time(covers[1])
    except ValueError:
        raise InputError(
            "--covers takes two ISO 8601 times, such as 2026-03-01T00:00:00+03:00 2026-03-08T00:00:00+03:00"
        ) from None
    if to_at < from_at:
        raise InputError("--covers: the second time is before the first")
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
