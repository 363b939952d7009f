"""The commands `dashboard`, `detect`, `incidents` and `export`."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from data.console import one_line_errors, print_json, progress_bar, say, set_up_logs
from data.errors import InputError
from data.labels import ABOUTS, KINDS, LANGUAGES, PROBLEMS
from data.official import NAIROBI
from data.records import parse_time
from data.settings import load_settings
from data.store import open_store

app = typer.Typer()

DEFAULT_PORT = 8501


def server_command(port: int, address: str = "localhost") -> list[str]:
    """The page server as a command line."""
    options = {
        "server.port": port,
        "server.address": address,
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "theme.primaryColor": "#0072B2",
    }
    page = Path(__file__).with_name("app.py")
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(page),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


@app.command(epilog="Example: tracker dashboard --port 8600")
def dashboard(
    port: Annotated[int, typer.Option(help="Where the page is served.", min=1, max=65535)] = DEFAULT_PORT,
    address: Annotated[
        str, typer.Option(help="Which address listens; the page has no log-in, so not the world's.")
    ] = "localhost",
) -> None:
    """Serve the page alone."""
    set_up_logs()
    with one_line_errors():
        settings = load_settings()
        open_store(settings).close()
        say(f"the page: http://{address}:{port}")
        command = server_command(port, address)
        os.execv(command[0], command)  # noqa: S606 - the same interpreter


@app.command(epilog="Example: tracker detect counts.csv --output scores.csv")
def detect(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns timestamp and value, in order of time.")],
    output: Annotated[Path, typer.Option(metavar="F.csv", help="Where timestamp,value,anomaly_score go.")],
) -> None:
    """Score how unusual each count of a series is, 0 to 1, from that row and earlier ones alone.

    Times are ISO 8601, without an offset UTC, in any step; they must rise. Values are 0 or more, whole or not; an empty value or NaN is time that
    nobody looked at: it scores 0 and teaches nothing, like rows that are left out. Only rises count, and only their first or highest moments:
    the score falls back to 0 until something rarer comes. The first rows of a series score low, since nothing is known yet.

    A line that is no time or no number, negative, out of order or doubled ends the command with exit status 2 and its number, and no file is written.
    """
    set_up_logs()
    with one_line_errors():
        from dashboard import detection
        from dashboard.series import read_series, write_scores

        series = read_series(file)
        scores = detection.detect(series.times, series.values)
        write_scores(output, series, scores.score)
        say(f"{output}: {len(series.written):,} rows")


incidents = typer.Typer(invoke_without_command=True)
app.add_typer(incidents, name="incidents")


@incidents.callback(epilog="Example: tracker incidents --from 2026-03-01 --json")
def incidents_(
    context: typer.Context,
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="Not over before (ISO 8601).")] = None,
    to: Annotated[str | None, typer.Option(metavar="T", help="Begun before.")] = None,
    lane: Annotated[str, typer.Option(help="complaint, or rumour for the notices of rumours.")] = "complaint",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List the incidents, after looking for new ones, with who spoke when and the grade."""
    if context.invoked_subcommand is not None:
        return
    set_up_logs()
    with one_line_errors():
        from dashboard.incidents import LANES, find_all, keep
        from dashboard.record import records

        if lane not in LANES:
            raise InputError(f"--lane must be one of {', '.join(LANES)}")
        settings = load_settings()
        since, until = _moment("--from", from_), _moment("--to", to)
        store = open_store(settings)
        keep(store.engine, find_all(store.engine, settings.now()), settings.now())
        found = records(store.engine, settings.now(), since, until, lane)
        store.close()
        if as_json:
            print_json(found)
        elif not found:
            say("no incident: either nothing stood out, or nothing was collected and labelled (tracker doctor says)")
        for record in [] if as_json else found:
            typer.echo("\n".join(incident_lines(record)))


def incident_lines(record: dict[str, Any]) -> list[str]:
    """An incident in a few lines for people, times in East Africa Time."""

    def at(value: str | None) -> str:
        return f"{parse_time(value).astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT" if value else "not yet"

    shares = ", ".join(f"{name} {share:.0%}" for name, share in list(record["problems"].items())[:3])
    ended = {"quiet": f"quiet since {at(record['ended_at'])}", "open": "still open"}.get(
        record["state"], "too little seen since to tell whether it is over"
    )

    def spoken(words: list[dict[str, Any]]) -> str:
        said = "; ".join(
            f"{word['office'] or word['account']}, {word['status']} ({word['scope']}, known to the {word['precision']})"
            for word in words
        )
        return said or "none known"

    said = [f"verdict: {record['verdict']}"] if record["verdict"] else []
    said += [f"{at(note['at'])}: {note['note']}" for note in record["notes"] if note["note"]]
    said = [f"  {line}" for line in said]
    first = record["ladder"]["first_official"]
    counted = f" ({record['people_counted']:,} counted)" * (record["people_counted"] < record["people"])
    lines = [
        f"{record['lane']} {record['id']}: {at(record['started_at'])}, {ended}{'; DEMO' if record['synthetic'] else ''}",
        f"  {record['people']:,} people posting{counted}, at most {record['peak_per_hour']:,} an hour; {record['severity_level']}{f'; {shares}' if shares else ''}",
    ]
    if record["lane"] == "rumour":
        return [*lines, f"  raised {at(record['raised_at'])}; official denial: {spoken(record['denials'])}", *said]
    lines += [
        f"  raised {at(record['raised_at'])}; first official word: {spoken([first] if first else [])}",
        f"  grade {record['grade'] or 'none'}: {record['grade_reason']}",
    ]
    lines += ["  planned maintenance, announced beforehand"] * record["planned"]
    if record["resolved_too_early"]:
        lines.append(f"  {record['complaints_after_resolved']:,} complaints since it was said to be resolved")
    lines += ["  the store as it is now would show it differently (--json: today)"] * record["today"]["differs"]
    return lines + said


def _note(incident: int, who: str, verdict: str | None, text: str | None) -> None:
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        store.note_incident(incident, who, verdict, text)
        store.close()
        say(f"incident {incident}: {verdict or 'noted'}")


Incident = Annotated[int, typer.Argument(metavar="INCIDENT")]
Who = Annotated[str, typer.Option(metavar="NAME", help="Who says so; kept as a pseudonym.")]
Said = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Redacted, but names are not.")]


@incidents.command(epilog="Example: tracker incidents confirm 3 --who 'desk 2'")
def confirm(incident: Incident, who: Who, note: Said = None) -> None:
    """Say that an incident was one."""
    _note(incident, who, "confirmed", note)


@incidents.command(epilog="Example: tracker incidents dismiss 3 --who 'desk 2' --note 'a joke that went round'")
def dismiss(incident: Incident, who: Who, note: Said = None) -> None:
    """Say that an incident was none; it stays in the list, and alerts about it end."""
    _note(incident, who, "dismissed", note)


@incidents.command("note", epilog="Example: tracker incidents note 3 'the bank confirms' --who 'desk 2'")
def note_(incident: Incident, text: Annotated[str, typer.Argument(metavar="TEXT")], who: Who) -> None:
    """Write a note on an incident."""
    _note(incident, who, None, text)


@app.command(epilog="Example: tracker export march.csv --from 2026-03-01 --to 2026-03-08 --kind complaint")
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT.csv|.jsonl|.parquet")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Written from then on (ISO 8601; without an offset: UTC).")
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="T", help="Written before then; 2026-03-08T00:00+03:00 is EAT.")
    ] = None,
    problem: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option()] = None,
    about: Annotated[str | None, typer.Option()] = None,
    source: Annotated[str | None, typer.Option()] = None,
    lang: Annotated[str | None, typer.Option()] = None,
    tier: Annotated[
        str, typer.Option(help="public: ids and labels; partner: redacted text; aggregate: counts.")
    ] = "partner",
    sample: Annotated[int | None, typer.Option(metavar="N", help="So many posts, with their weights.", min=1)] = None,
    by: Annotated[str | None, typer.Option(metavar="FIELD", help="Sample within each value of this field.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="S")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the data card.")] = False,
) -> None:
    """Write labelled posts to a file, with a data card beside it."""
    set_up_logs()
    with one_line_errors():
        from dashboard.export import SAMPLE_FIELDS, TIERS, Selection, write_export

        for name, value, allowed in (
            ("--tier", tier, TIERS),
            ("--problem", problem, PROBLEMS),
            ("--kind", kind, KINDS),
            ("--about", about, ABOUTS),
            ("--lang", lang, LANGUAGES),
            ("--by", by, SAMPLE_FIELDS),
        ):
            if value is not None and value not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}")
        if sample is None and (by is not None or seed is not None):
            raise InputError("--by and --seed go with --sample")
        if sample is not None and tier == "aggregate":
            raise InputError("--sample gives posts; with --tier aggregate there are only counts")
        selection = Selection(_moment("--from", from_), _moment("--to", to), problem, kind, about, source, lang)
        settings = load_settings()
        store = open_store(settings)
        with progress_bar(out.name, None) as progress:
            card = write_export(
                store.engine,
                out,
                selection,
                tier=tier,
                now=settings.now(),
                pretended=settings.pretends,
                version=version("ecitizen-tracker"),
                sample=sample,
                sample_by=by,
                seed=seed,
                progress=progress,
            )
        store.record("export", {name: card[name] for name in ("file", "sha256", "rows", "tier", "selection")})
        store.close()
        say(f"{out}: {card['rows']:,} rows, {tier}; the data card is {out.name}.card.json")
        if as_json:
            print_json(card)


def _moment(name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(value)
    except ValueError:
        raise InputError(f"{name} is not an ISO 8601 time, such as 2026-03-05T06:00:00+03:00") from None
