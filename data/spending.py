"""What a paid source has cost, and what its budget still lets it cost: in posts and in money, a UTC day and a calendar month.

The table `spending` holds what was reserved before each call and, once it is settled, what the call really cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from data import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from data.settings import Settings

# X's pay-per-use prices, November 2026.
USD_PER_POST = 0.005
USD_PER_USER = (
    0.010  # whether an expanded author is billed as a user read is not known: counted, to be on the safe side
)
USD_PER_RECENT_COUNTS, USD_PER_ALL_COUNTS = 0.005, 0.010
LEAST_POSTS = 10  # X gives no smaller page
# From this share of any limit on posts are only counted; the rest of the money is for that.
READING_SHARE = 0.9
_ROUNDING = 1e-9  # sums of prices are not exact


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget of a source."""

    posts_per_day: int
    posts_per_month: int
    usd_per_day: float
    usd_per_month: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What is reserved and settled of a day and of its month."""

    posts_of_day: int
    posts_of_month: int
    usd_of_day: float
    usd_of_month: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a source stands: `word` is reading, counting (posts are only counted) or stopped.

    `setting` names the limit that leaves least, `used` of `limit` (`in_usd` or in posts), until `renewed_at`.
    """

    word: str
    setting: str
    used: float
    limit: float
    in_usd: bool
    renewed_at: datetime
    spent: Spent

    @property
    def amount(self) -> str:
        """`$4.51 of $5.00`, or `900 of 1,000 posts`."""
        if self.in_usd:
            return f"${self.used:,.2f} of ${self.limit:,.2f}"
        return f"{self.used:,.0f} of {self.limit:,.0f} posts"


def x_limits(settings: Settings) -> Limits:
    """The budget of X in the settings."""
    return Limits(
        settings.x_posts_per_day, settings.x_posts_per_month, settings.x_usd_per_day, settings.x_usd_per_month
    )


def day_of(moment: datetime) -> str:
    """The budget day of a moment, as in the table: `2026-03-05`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def read_spent(connection: Connection, source: str, day: str) -> Spent:
    """What the store has of a day and of its month."""
    table = tables.spending
    today = table.c.day == day
    sums = (
        func.sum(case((today, table.c.posts), else_=0)),
        func.sum(table.c.posts),
        func.sum(case((today, table.c.cost_usd), else_=0.0)),
        func.sum(table.c.cost_usd),
    )
    where = (table.c.source == source, table.c.day.like(f"{day[:7]}-%"))
    posts_of_day, posts_of_month, usd_of_day, usd_of_month = connection.execute(select(*sums).where(*where)).one()
    usd = (round(float(sum_ or 0), 6) for sum_ in (usd_of_day, usd_of_month))
    return Spent(int(posts_of_day or 0), int(posts_of_month or 0), *usd)


def affordable_posts(limits: Limits, spent: Spent, usd_per_post: float) -> int:
    """How many posts may still be read, at most so much each; 0 or below: none."""
    posts = min(
        limits.posts_per_day * READING_SHARE - spent.posts_of_day,
        limits.posts_per_month * READING_SHARE - spent.posts_of_month,
    )
    usd = min(
        limits.usd_per_day * READING_SHARE - spent.usd_of_day,
        limits.usd_per_month * READING_SHARE - spent.usd_of_month,
    )
    return int(min(posts, usd / usd_per_post) + _ROUNDING)


def affords(limits: Limits, spent: Spent, usd: float) -> bool:
    """Whether a request of this price, which reads no post, stays within the limits."""
    return (
        spent.usd_of_day + usd <= limits.usd_per_day + _ROUNDING
        and spent.usd_of_month + usd <= limits.usd_per_month + _ROUNDING
    )


def standing(limits: Limits, spent: Spent, at: datetime) -> Standing:
    """Where the source stands with what is spent."""
    each_usd = USD_PER_POST + USD_PER_USER
    if affordable_posts(limits, spent, each_usd) >= LEAST_POSTS:
        word = "reading"
    else:
        word = "counting" if affords(limits, spent, USD_PER_RECENT_COUNTS) else "stopped"
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow, next_month = midnight + timedelta(days=1), (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    # Of two that leave as little, that of the month comes first: it holds longer.
    choices = [
        ("x_usd_per_month", spent.usd_of_month, limits.usd_per_month, True, next_month),
        ("x_posts_per_month", spent.posts_of_month, limits.posts_per_month, False, next_month),
        ("x_usd_per_day", spent.usd_of_day, limits.usd_per_day, True, tomorrow),
        ("x_posts_per_day", spent.posts_of_day, limits.posts_per_day, False, tomorrow),
    ]

    def room(choice: tuple[str, float, float, bool, datetime]) -> float:
        _, used, limit, in_usd, _ = choice
        return (limit * READING_SHARE - used) / (each_usd if in_usd else 1)

    setting, used, limit, in_usd, renewed_at = min(choices, key=room)
    return Standing(word, setting, used, limit, in_usd, renewed_at, spent)


def standing_of_x(engine: Engine, settings: Settings) -> Standing | None:
    """Where X stands now; None where it is off and nothing was spent on it this month."""
    now = settings.now()
    with engine.connect() as connection:
        spent = read_spent(connection, "x", day_of(now))
    if settings.x_bearer_token is None and not spent.usd_of_month:
        return None
    return standing(x_limits(settings), spent, now)
