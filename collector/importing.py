"""Import: records of a file into the store in batches, each one transaction, with a tally and the reasons for what was skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collector.formats import open_records
from data.errors import InputError, RecordError
from data.records import parse_post
from data.store import Span, Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from data.records import Post
    from data.store import Store

BATCH_POSTS = 2_000
STREAM = "import"


@dataclass(slots=True)
class ImportTally:
    """What became of a file's records; read = new + duplicate + skipped + dropped."""

    read: int = 0
    new: int = 0
    duplicate: int = 0
    skipped: int = 0
    dropped: int = 0  # erased before and kept out
    spans: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def add(self, other: ImportTally) -> None:
        """Add another file's counts."""
        self.read += other.read
        self.new += other.new
        self.duplicate += other.duplicate
        self.skipped += other.skipped
        self.dropped += other.dropped


def import_file(
    path: Path,
    store: Store,
    *,
    now: datetime,
    source: str | None = None,
    covers: tuple[datetime, datetime] | None = None,
    strict: bool = False,
    skip: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int], None] = lambda _read: None,
) -> ImportTally:
    """Import one file. `skip` hears one line for each record left out; `progress` the records read so far.

    The span (of `covers`, or from the first to the last time of each source) counts as looked at once all is in.
    Raises InputError where the file cannot be read or has no good record, or at the first bad one where `strict`.
    """
    tally = ImportTally()
    batch: list[Post] = []

    def save() -> None:
        saved: Tally = store.save_page(batch)
        tally.new += saved.new
        tally.dropped += saved.dropped
        tally.duplicate += saved.duplicate + saved.updated
        batch.clear()
        progress(tally.read)

    with open_records(path) as records:
        for place, record in records:
            tally.read += 1
            try:
                if isinstance(record, RecordError):
                    raise record
                post = parse_post(record, now=now, source=source)
            except RecordError as error:
                tally.skipped += 1
                line = f"{path}, {place}: {error}"
                if strict:
                    save()
                    raise InputError(f"{line} (--strict ends here; the records before it are stored)") from None
                skip(line)
                continue
            _widen(tally.spans, post)
            batch.append(post)
            if len(batch) >= BATCH_POSTS:
                save()
        save()
    if tally.read == tally.skipped:
        raise InputError(f"{path} has no post that can be stored ({tally.skipped:,} records, all skipped)")
    for found_source, (first, last) in tally.spans.items():
        from_at, to_at = covers or (first, last)
        to_at = max(from_at, min(to_at, now))  # nobody has looked at the future
        store.save_page([], source=found_source, stream=STREAM, spans=[Span(from_at, to_at)])
    return tally


def _widen(spans: dict[str, tuple[datetime, datetime]], post: Post) -> None:
    first, last = spans.get(post.source, (post.created_at, post.created_at))
    spans[post.source] = (min(first, post.created_at), max(last, post.created_at))
