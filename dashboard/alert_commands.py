"""The commands `alerts run`, `alerts test` and `alerts list`, and what the doctor says of alerts."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import select

from data import tables
from data.commands import ROOM_CHECKS
from data.console import StopSignal, one_line_errors, print_json, say, set_up_logs
from data.errors import InputError, TrackerError
from data.official import NAIROBI
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.settings import Settings
    from data.store import Store

app = typer.Typer()
alerts = typer.Typer(help="Tell people that an incident began, goes on or ends.", no_args_is_help=True)
app.add_typer(alerts, name="alerts")

NO_CHANNEL = "no alert channel: set TRACKER_ALERT_URLS, or alert_channels in tracker.toml (docs/alerts.md)"


@alerts.command("run", epilog="Example: tracker alerts run --every 60")
def run(
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Between two looks at the store.", min=0.1)] = 60,
    once: Annotated[bool, typer.Option("--once", help="Look and deliver once, and end.")] = False,
) -> None:
    """Watch for incidents, write the alerts that they call for, and deliver them; one process of `tracker run`.

    What a receiver did not take is tried again, here or by the next process, for two days.
    """
    set_up_logs()
    with one_line_errors():
        from dashboard.alerts import Watch
        from dashboard.channels import load_channels
        from dashboard.delivery import deliver
        from dashboard.picture import png

        settings = load_settings()
        channels = load_channels(settings)
        stop = StopSignal()
        store = open_store(settings)
        if not channels:
            say(f"incidents are raised, but nobody is told: {NO_CHANNEL}")
        watch = Watch(store.engine, channels, settings.dashboard_url, settings.pretended_now)
        clock = _clock(settings)
        draw = partial(png, store.engine, pretended=settings.pretended_now)
        while True:
            watch.step(settings.now())
            done = deliver(store.engine, channels, clock, draw, say)
            if once or stop.wait(every):
                break
        store.close()
        if once and done.failed:
            raise TrackerError("not every alert could be delivered; the next run tries again (tracker alerts list)")


def _clock(settings: Settings) -> Callable[[], datetime]:
    """Of the deliveries. A pretended clock goes on from where it stands, or what a receiver refused would never be due again."""
    if settings.pretended_now is None:
        return lambda: datetime.now(UTC)
    begin, started = settings.pretended_now, time.monotonic()
    return lambda: begin + timedelta(seconds=time.monotonic() - started)


@alerts.command("test", epilog="Example: tracker alerts test desk")
def test(
    channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="This one alone.")] = None,
) -> None:
    """Send a test message to each channel, or one, and say what happened."""
    set_up_logs()
    with one_line_errors():
        from dashboard import messages
        from dashboard.channels import load_channels, open_channel
        from dashboard.delivery import Message, send

        settings = load_settings()
        channels = load_channels(settings)
        if not channels:
            raise InputError(NO_CHANNEL)
        chosen = [each for each in channels if channel in (None, each.name)]
        if not chosen:
            raise InputError(
                f"there is no alert channel {channel}: the channels are {', '.join(e.name for e in channels)}"
            )
        failed = 0
        for each in chosen:
            stamp = messages.Stamp(pretended=settings.pretended_now)
            title, body = messages.of_test(each.name, each.language, f"{settings.dashboard_url.rstrip('/')}/", stamp)
            failure = send(open_channel(each), Message(title, body, f"test-{time.time_ns()}"))
            failed += failure is not None
            typer.echo(f"{each.name}: {'delivered' if failure is None else f'not delivered: {failure}'}")
        if failed:
            raise TrackerError(f"{failed} of {len(chosen)} channels did not take the test message")


@alerts.command("list", epilog="Example: tracker alerts list --json")
def list_(
    as_json: Annotated[bool, typer.Option("--json")] = False,
    most: Annotated[int, typer.Option("--most", metavar="N", help="The newest so many.", min=1)] = 100,
) -> None:
    """List the alerts, the newest first, and what became of each."""
    set_up_logs()
    with one_line_errors():
        settings = load_settings()
        store = open_store(settings)
        found = alert_rows(store, _clock(settings)(), most)
        store.close()
        if as_json:
            print_json(found)
        elif not found:
            say("no alert has been written: tracker alerts run writes them, where there are channels")
        for row in [] if as_json else found:
            made = datetime.fromisoformat(row["made_at"]).astimezone(NAIROBI)
            why = f" ({row['failure']})" if row["failure"] else ""
            typer.echo(f"{made:%a %d %b %Y %H:%M} EAT  {row['state']:<9} {row['channel']:<10} {row['title']}{why}")


def alert_rows(
    store: Store, now: datetime, most: int | None = None, since: datetime | None = None
) -> list[dict[str, Any]]:
    """The alerts, or the newest so many, or those made since a moment, each with its `state`: sent, unsure, waiting, held, given_up or withheld."""
    from dashboard.delivery import GIVEN_UP_AFTER, waiting

    table = tables.alerts
    live = waiting(now).label("live")
    query = select(table, live).order_by(table.c.number.desc()).limit(most)
    if since is not None:
        query = query.where(table.c.made_at >= since)
    with store.engine.connect() as connection:
        rows = connection.execute(query).mappings().all()

    def state(row: Any) -> str:
        if row["sent_at"] is not None:
            return "unsure" if row["failure"] else "sent"
        if row["made_at"] <= now - GIVEN_UP_AFTER:
            return "given_up"
        if not row["live"]:
            return "withheld"
        return "held" if not row["attempts"] and row["not_before"] > now else "waiting"

    return [
        {
            "number": row["number"],
            "key": row["key"],
            "channel": row["channel"],
            "kind": row["kind"],
            "incident": row["incident"],
            "severity": row["severity"],
            "title": row["message"]["title"],
            "body": row["message"]["body"],
            "state": state(row),
            "made_at": row["made_at"].isoformat(),
            "not_before": row["not_before"].isoformat(),
            "attempts": row["attempts"],
            "sent_at": row["sent_at"].isoformat() if row["sent_at"] else None,
            "failure": row["failure"],
        }
        for row in rows
    ]


CHECKED_SPAN = timedelta(days=7)


def _alerts_check() -> dict[str, Any]:
    settings = load_settings()
    try:
        from dashboard.channels import load_channels

        channels = load_channels(settings)
    except InputError as error:
        return {"name": "alerts", "state": "failed", "says": str(error)}
    if not channels:
        return {"name": "alerts", "state": "off", "says": NO_CHANNEL}
    names = ", ".join(channel.name for channel in channels)
    try:
        store = open_store(settings)
    except TrackerError:
        return {"name": "alerts", "state": "warning", "says": f"{names}; the database cannot be asked: see its line"}
    now = _clock(settings)()
    rows = alert_rows(store, now, since=now - CHECKED_SPAN)
    store.close()
    sent = [datetime.fromisoformat(row["sent_at"]) for row in rows if row["state"] == "sent"]
    last = f"last delivered {max(sent).astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT" if sent else "none delivered yet"
    by_state = {
        state: [row for row in rows if row["state"] == state] for state in ("waiting", "held", "unsure", "given_up")
    }
    counts = ", ".join(f"{len(found)} {state.replace('_', ' ')}" for state, found in by_state.items() if found)
    failing = next((row for row in by_state["waiting"] if row["failure"]), None)
    wrong = failing or by_state["unsure"] or by_state["given_up"]
    says = f"{names}; {last}" + (f"; {counts}" if counts else "")
    if failing:
        says += f"; {failing['channel']}: {failing['failure']}"
    if wrong:
        says += " (tracker alerts list)"
    return {"name": "alerts", "state": "warning" if wrong else "ok", "says": says}


ROOM_CHECKS.append(_alerts_check)
