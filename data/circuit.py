"""The circuit of a source: open after failures that brought nothing, so that a platform in trouble is asked ever more rarely.

Nothing is kept for it: it follows from the runs and the cursors, so that it survives a restart, and a run that is done, by
whichever process, closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from data.tables import cursors, runs

if TYPE_CHECKING:
    from sqlalchemy import Engine

FAILURES_TO_OPEN = 5
REFUSALS_TO_OPEN = 1  # a wrong key is no better the next time
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
_RUNS_LOOKED_AT = 20  # enough to tell the longest pause


@dataclass(frozen=True, slots=True)
class Circuit:
    """A source that rests, since it failed in each of its last runs without reading anything.

    It is tried again after a pause that doubles with each failure; `since` is when the first of them began.
    """

    source: str
    failures: int
    reason: str
    since: datetime
    next_try_at: datetime


def open_circuit(engine: Engine, source: str) -> Circuit | None:
    """The circuit of a source that rests, or None.

    A run that failed after it had saved where to go on is no failure here: a feed that is gone must not stop the others.
    """
    of_source = select(runs).where(
        runs.c.source == source, runs.c.outcome.in_(("done", "limited", "failed", "refused"))
    )
    progress = select(func.max(cursors.c.updated_at)).where(cursors.c.source == source)
    with engine.connect() as connection:
        last_progress = connection.execute(progress).scalar()
        newest = connection.execute(of_source.order_by(runs.c.id.desc()).limit(_RUNS_LOOKED_AT)).mappings().all()
    failed = []
    for run in newest:
        if run["outcome"] in {"done", "limited"} or (last_progress is not None and run["started_at"] <= last_progress):
            break
        failed.append(run)
    if not failed:
        return None
    last, first = failed[0], failed[-1]
    failures, refused = len(failed), last["outcome"] == "refused"
    further = failures - (REFUSALS_TO_OPEN if refused else FAILURES_TO_OPEN)
    if further < 0:
        return None
    pause = min(FIRST_PAUSE * 2**further, LONGEST_PAUSE)
    reason = last["note"] or "no reason kept"
    return Circuit(source, failures, reason, first["started_at"], (last["ended_at"] or last["started_at"]) + pause)


def open_circuits(engine: Engine) -> list[Circuit]:
    """The sources that rest, by name."""
    with engine.connect() as connection:
        names = connection.execute(select(runs.c.source).distinct().order_by(runs.c.source)).scalars().all()
    return [circuit for name in names if (circuit := open_circuit(engine, name)) is not None]
