"""Files of posts in any format of INTERFACE.md, read as a stream of records; the format is found by itself.

Every format yields (place, record): the place is a line, row or item number for messages, the record is the shape
that `data.parse_post` takes, or a RecordError where the place holds none.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from collector.sources import reddit, x
from data.errors import RecordError
from data.files import open_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from data.files import Position

_COLUMNS = ("created_at", "id", "text")

Placed = tuple[str, "dict[str, Any] | RecordError"]


@contextmanager
def open_records(path: Path, position: Position) -> Iterator[Iterator[Placed]]:
    """The records of a file behind a position, which moves along with each line, row or item, be it of many records.

    Raises InputError where the file is missing, a folder, empty or of no known format.
    """
    with open_values(path, _COLUMNS, position) as values:
        yield (placed for place, value in values for placed in _expand(place, value))


def _expand(place: str, value: Any) -> Iterator[Placed]:
    """One JSON value is a post, a page of X's answers, a Reddit listing, or an item of a Reddit archive."""
    if isinstance(value, dict):
        if value.keys() >= set(_COLUMNS):  # as every row of a table has them, whatever else it has
            yield place, value
        elif x.is_page(value):
            yield from _placed(place, x.records(value))
        elif reddit.is_listing(value):
            yield from _placed(place, reddit.records(value))
        else:
            yield place, reddit.record(value) if reddit.is_item(value) else value
    elif isinstance(value, RecordError):
        yield place, value
    else:
        yield place, RecordError(f"expected a JSON object, found {type(value).__name__}")


def _placed(place: str, records: Iterator[dict[str, Any] | RecordError]) -> Iterator[Placed]:
    for number, record in enumerate(records, 1):
        yield f"{place}, post {number}", record
