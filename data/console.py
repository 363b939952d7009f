"""What every command shares: logs to stderr as JSON lines, progress for people, one-line errors, a stop that is heard."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from data.errors import InputError, TrackerError

if TYPE_CHECKING:
    from collections.abc import Iterator

err = Console(stderr=True, highlight=False, soft_wrap=True)


def set_up_logs() -> None:
    """One JSON line an event on stderr; libraries only from a warning up, since some log whole answers below that."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    for name in ("tweepy", "prawcore", "praw", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # writes tracebacks of errors that it raises as well


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
