"""The budget of a paid source, kept in the store: reserved before each call, settled after it.

A call that was cut off, by kill -9 too, stays counted as it was reserved. So the limits hold over restarts and for
any number of processes on one store. A call counts on the UTC day on which it was begun.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from data import tables
from data.official import NAIROBI
from data.spending import Limits, Standing, affordable_posts, affords, day_of, read_spent, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Engine

_SPENDING_LOCK = 0x65435370  # "eCSp", PostgreSQL's advisory lock while the ledger is read and written


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call may cost at most, counted already."""

    day: str
    posts: int
    usd: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What one source may spend, in one store."""

    engine: Engine
    source: str
    limits: Limits
    now: Callable[[], datetime]

    def reserve_posts(self, least: int, most: int, usd_per_post: float) -> Reservation | None:
        """Room for `most` posts, or fewer where the budget ends before; None where it is not even `least`."""
        with self._ledger() as connection:
            return self._take(connection, least, most, usd_per_post)

    def renew(
        self, held: Reservation, posts: int, usd: float, least: int, most: int, usd_per_post: float
    ) -> Reservation | None:
        """Settle `held` and reserve anew; where there is no room for `least` posts `held` stays as it is."""
        with self._ledger() as connection:
            self._add(connection, held.day, posts - held.posts, 0, usd - held.usd)
            taken = self._take(connection, least, most, usd_per_post)
            if taken is None:
                self._add(connection, held.day, held.posts - posts, 0, held.usd - usd)
            return taken

    def reserve_request(self, usd: float) -> Reservation | None:
        """Room for a request that reads no post; None where the budget does not hold so much."""
        day = day_of(self.now())
        with self._ledger() as connection:
            if not affords(self.limits, read_spent(connection, self.source, day), usd):
                return None
            self._add(connection, day, 0, 1, usd)
        return Reservation(day, 0, usd)

    def settle(self, reservation: Reservation, posts: int, usd: float) -> None:
        """Count what the call really cost instead."""
        with self._ledger() as connection:
            self._add(connection, reservation.day, posts - reservation.posts, 0, usd - reservation.usd)

    def standing(self) -> Standing:
        """What can be done with what is left."""
        now = self.now()
        with self.engine.connect() as connection:
            return standing(self.limits, read_spent(connection, self.source, day_of(now)), now)

    def holds(self, reservation: Reservation) -> bool:
        """Whether it is of the present day."""
        return reservation.day == day_of(self.now())

    @contextmanager
    def _ledger(self) -> Iterator[Connection]:
        with self.engine.execution_options(writes=True).begin() as connection:  # on SQLite: one writer at a time
            if self.engine.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_SPENDING_LOCK)))
            yield connection

    def _take(self, connection: Connection, least: int, most: int, usd_per_post: float) -> Reservation | None:
        day = day_of(self.now())
        spent = read_spent(connection, self.source, day)
        posts = min(most, affordable_posts(self.limits, spent, usd_per_post))
        if posts < least:
            return None
        self._add(connection, day, posts, 1, posts * usd_per_post)
        return Reservation(day, posts, posts * usd_per_post)

    def _add(self, connection: Connection, day: str, posts: int, requests: int, usd: float) -> None:
        table = tables.spending
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        row = {"source": self.source, "day": day, "posts": posts, "requests": requests, "cost_usd": usd}
        upsert = dialect.insert(table).values(row)
        sums = {name: table.c[name] + upsert.excluded[name] for name in ("posts", "requests", "cost_usd")}
        connection.execute(upsert.on_conflict_do_update(index_elements=["source", "day"], set_=sums))


def limited(where: Standing) -> str:
    """What a run says of a budget that is near its end, or at it."""
    done = "posts are counted, not read" if where.word == "counting" else "nothing is asked of it"
    return f"budget: {done}; reading goes on where it stopped. {_used(where)}"


def spent_until(where: Standing) -> str:
    """What is said where there is nothing to count instead."""
    return f"the budget ends before the posts. {_used(where)}"


def _used(where: Standing) -> str:
    renewed = f"{where.renewed_at.astimezone(NAIROBI):%a %d %b %H:%M} EAT"
    return f"{where.amount} are used ({where.setting}); it is renewed on {renewed}"
