"""How far down a listing was read, newest first, though a single item in it can carry any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

WITNESSES = 3  # so many items in a row say how far a walk has come, and fewer do not


def is_below(last: Sequence[datetime], floor: datetime) -> bool:
    """Whether the last items that were read are all older: then what follows is, too."""
    return len(last) >= WITNESSES and all(at <= floor for at in last[-WITNESSES:])


def came_to(times: Sequence[datetime]) -> datetime:
    """The oldest time of a page, without one or two that stand among newer ones in a page that is else in order."""
    for strays in range(WITNESSES if len(times) > 2 * WITNESSES else 0):
        believed = set(sorted(range(len(times)), key=times.__getitem__)[strays:])
        rest = [at for place, at in enumerate(times) if place in believed]
        if rest == sorted(rest, reverse=True):
            return rest[-1]
    return min(times)
