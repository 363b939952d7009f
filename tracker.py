"""The `tracker` command, composed of each room's commands, with the two that need every room: `demo` and `run`."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

import classifier.commands
import classifier.release_commands
import collector.commands
import collector.compliance_commands
import dashboard.alert_commands
import dashboard.commands
import data.account_commands  # adds to `status` of data.commands
import data.audit
import data.commands
from data.console import StopSignal, one_line_errors, say, set_up_logs
from data.errors import InputError
from data.settings import load_settings
from data.store import open_store

__version__ = "0.1.0"

app = typer.Typer(
    help="What people complain of about eCitizen, held against what the officials said.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would print posts
    add_completion=False,
)
for _commands in (
    collector.commands,
    collector.compliance_commands,
    classifier.commands,
    classifier.release_commands,
    dashboard.commands,
    dashboard.alert_commands,
    data.commands,
    data.audit,
):
    app.registered_commands += _commands.app.registered_commands
    app.registered_groups += _commands.app.registered_groups

DEMO_DATABASE = Path(".demo") / "demo.db"
RESTART_SECONDS = (1, 5, 30, 60)
STEADY_SECONDS = 120
STOP_SECONDS = 15


@app.callback(invoke_without_command=True)
def _main(show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show_version:
        try:
            typer.echo(version("ecitizen-tracker"))
        except PackageNotFoundError:
            typer.echo(__version__)
        raise typer.Exit


@app.command(epilog="Example: tracker demo --no-serve")
def demo(
    port: Annotated[
        int, typer.Option(help="Where the page is served.", min=1, max=65535)
    ] = dashboard.commands.DEFAULT_PORT,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop after the database is filled.")] = False,
) -> None:
    """Replay two real failures, with synthetic posts, through the real import, model and store; then serve the page."""
    set_up_logs()
    with one_line_errors():
        from data.demo.schedule import NOW

        url = os.environ.get("TRACKER_DATABASE_URL") or _throw_away_database()
        os.environ["TRACKER_DATABASE_URL"] = url
        os.environ.setdefault("TRACKER_NOW", NOW.isoformat())
        _fill_demo()
        if no_serve:
            return
        say(f"the page: http://localhost:{port} (Ctrl-C ends it)")
        command = dashboard.commands.server_command(port)
        os.execv(command[0], command)  # noqa: S606 - the same interpreter


def _throw_away_database() -> str:
    DEMO_DATABASE.parent.mkdir(exist_ok=True)
    for ending in ("", "-wal", "-shm"):
        DEMO_DATABASE.with_name(DEMO_DATABASE.name + ending).unlink(missing_ok=True)
    return f"sqlite:///{DEMO_DATABASE}"


def _fill_demo() -> None:
    from classifier.commands import label_store
    from classifier.model import load_model
    from collector.importing import import_file
    from dashboard import incidents
    from dashboard.record import records
    from data.commands import import_official
    from data.demo.schedule import SPANS
    from data.official import NAIROBI

    settings = load_settings()
    store = open_store(settings)
    if not store.is_empty():
        raise InputError("the demo fills an empty database only, and TRACKER_DATABASE_URL names one that is in use")
    folder = Path(str(files("data").joinpath("demo")))
    took: dict[str, float] = {}
    started = time.monotonic()

    def step(name: str) -> None:
        nonlocal started
        took[name] = time.monotonic() - started
        started = time.monotonic()

    typer.echo(f"DEMO: synthetic posts; the clock is set to {settings.now().astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT")
    imported = {
        name: import_file(folder / f"{name}.jsonl", store, now=settings.now(), covers=span, skip=say)
        for name, span in SPANS.items()
    }
    step("import")
    _, messages = import_official(folder / "official.jsonl", store)
    step("official messages")
    model = load_model()
    store.activate_model(model.id, model.sha256)
    labelled = label_store(model, store)
    step("label")
    incidents.replay(store.engine, settings.now())
    step("incidents")
    for name, tally in imported.items():
        typer.echo(
            f"imported  {name}: {tally.read} read, {tally.new} new, {tally.duplicate} known, {tally.skipped} skipped"
        )
    typer.echo(f"imported  official messages: {messages}")
    typer.echo(f"labelled  {labelled} posts by {model.id}")
    for line in _found(store.engine, SPANS):
        typer.echo(line)
    for lane in incidents.LANES:
        for record in records(store.engine, settings.now(), lane=lane):
            typer.echo("\n".join(dashboard.commands.incident_lines(record)))
    step("summary")
    shown = store.engine.url.render_as_string(hide_password=True)
    store.close()
    typer.echo("took      " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    typer.echo(f"database  {shown}")


def _found(engine: Any, spans: dict[str, Any]) -> list[str]:
    """For each replay, its busiest day and what was complained of, and the official words of that day."""
    from dashboard import volume

    lines = []
    for name, (from_at, to_at) in spans.items():
        posts = volume.load_posts(engine, volume.Window(from_at, to_at))
        complaints = volume.complaints(posts)
        by_day = complaints.groupby(complaints["at"].dt.date)["person"].nunique()
        if by_day.empty:
            lines.append(f"found     {name}: no complaint")
            continue
        day = by_day.idxmax()
        usual = by_day.drop(day).median()
        of_day = complaints[complaints["at"].dt.date == day]
        hourly = of_day.groupby(of_day["at"].dt.hour)["person"].nunique()
        shares = volume.problem_shares(of_day)
        top = ", ".join(f"{row.problem} {row.share:.0%}" for row in shares.head(3).itertuples())
        lines.append(
            f"found     {name}: {len(complaints)} complaints among {len(posts)} posts; busiest day {day:%a %d %b %Y}: "
            f"{by_day[day]} people complaining (median of the other days {usual:.0f}), most at {hourly.idxmax():02d}:00 EAT; {top}"
        )
        begin = of_day["at"].min().normalize().to_pydatetime()
        window = volume.Window(begin, begin + timedelta(days=1))
        lines += [
            f"          official: {row.who}, {row.status} ({row.scope}), known to the {row.precision}"
            for row in volume.official_messages(engine, window).itertuples()
            if row.from_at.date() == day
        ]
    return lines


def _end_with_parent() -> None:
    """Where the supervisor is killed with -9, Linux ends its children too: no second collector spends money unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@dataclass
class _Child:
    """One process of the service, started again when it ends by itself; one that ends with status 2 stays off."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    next_start: float = field(default=0.0)
    off: bool = False

    def tend(self) -> None:
        """Start it where it is due, and take note when it has ended."""
        if self.off:
            return
        now = time.monotonic()
        if self.process is None:
            if now >= self.next_start:
                # A group of its own: Ctrl-C at the terminal reaches the supervisor alone, which then stops each in turn.
                self.process = subprocess.Popen(self.command, start_new_session=True, preexec_fn=_end_with_parent)
                self.started = now
            return
        status = self.process.poll()
        if status is None:
            return
        self.process = None
        if status == 2:
            self.off = True
            say(f"{self.name}: off (see above); the rest of the service goes on")
            return
        self.failures = 0 if now - self.started > STEADY_SECONDS else self.failures + 1
        pause = RESTART_SECONDS[min(self.failures, len(RESTART_SECONDS) - 1)]
        self.next_start = now + pause
        say(f"{self.name}: ended with status {status}; starting it again in {pause} s")

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def reap(self, deadline: float) -> bool:
        """Wait until the deadline, then kill; True where it ended by itself."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True


@app.command(epilog="Example: tracker run --port 8600")
def run(
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Between two runs of each source; else its own, or tracker.toml's.", min=1
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Where the page is served.", min=1, max=65535)
    ] = dashboard.commands.DEFAULT_PORT,
) -> None:
    """The whole service: collect, classify, follow deletions, watch and alert, and serve the page, each started again when it fails."""
    set_up_logs()
    with one_line_errors():
        settings = load_settings()
        set_up_logs(settings.logs)
        open_store(settings).close()
        stop = StopSignal()
        pace = [] if every is None else ["--every", str(every)]
        tracker = [sys.executable, "-m", "tracker"]
        children = [
            _Child("collect", [*tracker, "collect", "all", *pace]),
            _Child("classify", [*tracker, "classify", "--every", "5"]),
            _Child("comply", [*tracker, "comply", "--every", "86400"]),
            _Child("alerts", [*tracker, "alerts", "run"]),
            _Child("dashboard", dashboard.commands.server_command(port)),
        ]
        say(f"running; the page: http://localhost:{port} (Ctrl-C or SIGTERM stops the service)")
        try:
            while not stop.wait(0.5):
                for child in children:
                    child.tend()
        finally:
            for child in children:
                child.stop()
            deadline = time.monotonic() + STOP_SECONDS
            killed = [child.name for child in children if not child.reap(deadline)]
        say(f"stopped{'; killed ' + ', '.join(killed) if killed else ''}")


def main() -> None:
    """The entry point."""
    app()


if __name__ == "__main__":
    main()
