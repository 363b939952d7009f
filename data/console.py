"""What every command shares: sentences and progress for people, JSON lines for machines, one-line errors, a stop that is heard."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from data.errors import InputError, TrackerError
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from structlog.types import Processor

err = Console(stderr=True, highlight=False, soft_wrap=True)


def set_up_logs(form: str = "auto") -> None:
    """What happens, on stderr: `text` for people, `json` for machines, one line an event; `auto`: text on a terminal.

    People are told of warnings and worse, since progress and results have sentences of their own. Libraries are heard only
    from a warning up: some log whole answers below that.
    """
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = form == "json" or (form == "auto" and not err.is_terminal)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()] if as_json else [_sentence],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if as_json else logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr) if as_json else lambda *_: _Terminal(),
    )
    _heard["as_json"] = as_json
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        rendered: list[Processor] = [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ]
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=rendered, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in ("tweepy", "prawcore", "praw", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # writes tracebacks of errors that it raises as well


_heard = {"as_json": False}


def _sentence(_logger: Any, _level: str, event: MutableMapping[str, Any]) -> str:
    """`12:03:44 x search: waiting (reason x is failing (503), seconds 5)`, in East Africa Time."""
    what = event.pop("event")
    where = " ".join(str(event.pop(name)) for name in ("source", "stream") if name in event)
    details = ", ".join(f"{name} {value}" for name, value in event.items())
    said = f"{where}: {what}" if where else str(what)
    return f"{datetime.now(NAIROBI):%H:%M:%S} {said}" + (f" ({details})" if details else "")


class _Terminal:
    """Where structlog writes for people: through the console, which keeps the lines of progress below."""

    def msg(self, line: str) -> None:
        """One line."""
        say(line)

    debug = info = warning = error = critical = exception = msg


def announce(sentence: str, event: str | None = None, **fields: Any) -> None:
    """The same told to whom it concerns: a sentence for people, an event for machines (None: they know it already)."""
    if not _heard["as_json"]:
        say(sentence)
    elif event is not None:
        structlog.get_logger("tracker").info(event, **fields)


def say(line: str) -> None:
    """A sentence for the person at the terminal, on stderr."""
    err.print(line, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Expected errors become one line and the exit status of INTERFACE.md: 2 for wrong input, 1 for failed work."""
    try:
        yield
    except InputError as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None
    except TrackerError as error:
        say(f"error: {error}")
        raise typer.Exit(1) from None
    except SQLAlchemyError as error:
        # Its own message holds the statement; the driver's says what is wrong.
        reason = str(getattr(error, "orig", None) or type(error).__name__).strip().partition("\n")[0]
        say(f"error: the database failed: {reason}; `tracker doctor` says which one it is")
        raise typer.Exit(1) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    except OSError as error:
        say(f"error: {error.filename or 'a file'}: {error.strerror or type(error).__name__}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        say("stopped")
        raise typer.Exit(1) from None


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Any]:
    """A bar on a terminal, nothing elsewhere; yields a function that takes how much is done, and of how much once it is known."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total=None: progress.update(task, completed=done, total=total)


@contextmanager
def live_rows() -> Iterator[Callable[[str, str], None]]:
    """On a terminal, a row for each name below what is printed; yields a function that takes a name and what it does now."""
    columns = (SpinnerColumn(), TextColumn("{task.fields[name]:<10}"), TextColumn("{task.description}"))
    off = _heard["as_json"] or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=off) as progress:
        rows: dict[str, TaskID] = {}
        lock = threading.Lock()

        def show(name: str, does: str) -> None:
            with lock:
                if name not in rows:
                    rows[name] = progress.add_task("", name=name, total=None)
            progress.update(rows[name], description=escape(does))

        yield show


class StopSignal:
    """Heard from Ctrl-C and SIGTERM; `wait` sleeps until then at the longest and returns whether it was heard."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, _number: int, _frame: Any) -> None:
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Sleep, unless asked to stop; True when asked."""
        return self._event.wait(seconds)
