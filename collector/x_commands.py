"""What `tracker collect x` does beside its rounds: `--archive FROM TO`, at a quoted price, and `--stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from collector.runner import Runner, Stopped, outlast, scrub_erased
from collector.sources.x_archive import Archive, Quote, check_stretch
from collector.sources.x_stream import FilteredStream
from data.console import StopSignal, print_json, say
from data.errors import TrackerError
from data.spending import affordable_posts, standing_of_x, x_limits
from data.store import open_store

if TYPE_CHECKING:
    from datetime import datetime

    from data.settings import Settings
    from data.store import RunRecord, Store


def read_archive(settings: Settings, span: tuple[datetime, datetime], *, yes: bool, as_json: bool) -> None:
    """Quote the price of a stretch and, with `yes`, read it; what was read before is neither quoted nor read again."""
    stretch = check_stretch(*span, settings.now())
    archive = Archive(settings, stretch)
    store = open_store(settings)
    stop = StopSignal()
    runner = Runner(store, settings.now, stop.wait, say)
    told: dict[str, Any] = {"from": stretch.from_at.isoformat(), "to": stretch.to_at.isoformat()}
    try:
        state = archive.kept(store.cursor(archive.source, archive.name))
        if state.get("done"):
            say("x: this stretch was read to its end before")
            told |= {"posts": 0, "outcome": "done"}
        else:
            quote = Quote(settings, stretch, state)
            told |= _quoted(quote, runner.collect("x", [quote]), store, settings)
            if yes:
                run = runner.collect("x", [archive])
                told |= {"outcome": run.outcome, "note": run.note, "fetched": run.fetched, "new": run.new}
                told |= {"estimated_cost_usd": round(run.cost_usd, 4), "requests": run.requests}
                say(_told(run))
                if run.outcome == "limited":
                    say("the same command goes on where it stopped")
            else:
                say("nothing was read; the same command with --yes reads it")
                told["outcome"] = "quoted"
    except Stopped:
        say("stopped; what was read is saved, and the same command goes on from there")
        raise typer.Exit(1) from None
    finally:
        store.close()
    if as_json:
        print_json(told)
    if told["outcome"] not in {"done", "limited", "quoted"}:
        raise typer.Exit(1)


def follow_stream(settings: Settings, every_seconds: float) -> None:
    """Read the filtered stream until the person asks to stop; every run of some minutes is recorded."""
    stream = FilteredStream(settings)
    store = open_store(settings)
    stop = StopSignal()
    runner = Runner(store, settings.now, stop.wait, say)
    try:
        while True:
            run = outlast(lambda: runner.collect("x", [stream]), stop.wait)
            say(_told(run))
            pause = min(stream.rest_seconds(settings.now()), every_seconds) if run.outcome == "done" else every_seconds
            if stop.wait(pause):
                break
    except Stopped:
        pass
    finally:
        stream.disconnect()
        scrub_erased(store, settings.now(), every=None)
        store.close()
    say("stopped; what was read is saved")


def _told(run: RunRecord) -> str:
    note = f" ({run.outcome}: {run.note})" if run.note else ""
    return f"x: {run.fetched:,} read, {run.new:,} new, about ${run.cost_usd:,.2f}{note}"


def _quoted(quote: Quote, run: RunRecord, store: Store, settings: Settings) -> dict[str, Any]:
    if quote.posts is None:
        raise TrackerError(f"x: the price could not be asked: {run.note}")
    least, most = quote.price_usd
    where = standing_of_x(store.engine, settings)
    assert where is not None  # a token is set
    left = max(0, affordable_posts(x_limits(settings), where.spent, most / quote.posts if quote.posts else 1.0))
    say(
        f"x: {quote.posts:,} posts to read between {quote.shown}: ${least:,.2f} for the posts, up to ${most:,.2f} where X bills "
        f"their authors too; the budget holds {min(left, quote.posts):,} of them now"
    )
    return {"posts": quote.posts, "price_usd": [round(least, 4), round(most, 4)], "affordable_posts": left}
