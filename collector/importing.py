"""Import: records of a file into the store in batches, each one transaction, with a tally and the reasons for what was skipped."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collector.formats import open_records
from data.errors import InputError, RecordError
from data.files import Position
from data.records import parse_post
from data.store import IMPORTS, Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from data.records import Post
    from data.store import Prepared, Store

BATCH_POSTS = 3_000
STREAM = "import"
_BATCHES_AHEAD = 3  # being redacted while an earlier one is saved
_COMPARED_BYTES = 64 * 1024


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
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[[float], None] = lambda _share: None,
) -> ImportTally:
    """Import one file. `skip` hears one line for each record left out; `progress` the share of the file that is stored.

    A file whose import was stopped goes on behind the last batch that was stored, which `say` hears. The tally is that
    of the whole file even so, as if it had been read again: what an earlier run stored counts as duplicate.

    The span (of `covers`, or from the first to the last time of each source) counts as looked at once all is in.
    Raises InputError where the file cannot be read or has no good record, or at the first bad one where `strict`.
    """
    stream = _identity(path, source)
    kept = store.cursor(IMPORTS, stream) if stream else None
    if kept and strict and kept["skipped"]:
        kept = None  # the bad record is to be named again
    tally, position = _go_on(kept)
    if kept:
        told = f", {tally.skipped:,} of them skipped and told then" if tally.skipped else ""
        say(
            f"{path}: resumed behind number {position.number:,}: an import that was stopped had read {tally.read:,} records{told}"
        )
    batch: list[Post] = []
    ahead: deque[tuple[Prepared, dict[str, Any] | None, float]] = deque()

    def save_first() -> None:
        prepared, reached, share = ahead.popleft()
        cursor = None if reached is None else lambda saved: reached | {"dropped": tally.dropped + saved.dropped}
        saved = store.save_page(prepared, source=IMPORTS, stream=stream or "", cursor=cursor)
        tally.new += saved.new
        tally.dropped += saved.dropped
        tally.duplicate += saved.duplicate + saved.updated
        progress(share)

    def save_all(reached: dict[str, Any] | None) -> None:
        ahead.append((store.prepare(batch), reached, 1.0))
        while ahead:
            save_first()

    with open_records(path, position) as records:
        number, byte = position.number, position.byte
        for place, record in records:
            if position.number != number:  # all records of the line before this one were read
                if len(batch) >= BATCH_POSTS:
                    reached = _reached(number, byte, tally) if stream else None
                    ahead.append((store.prepare(batch), reached, position.share()))
                    batch = []
                    if len(ahead) > _BATCHES_AHEAD:
                        save_first()
                number, byte = position.number, position.byte
            tally.read += 1
            try:
                if isinstance(record, RecordError):
                    raise record
                post = parse_post(record, now=now, source=source)
            except RecordError as error:
                tally.skipped += 1
                line = f"{path}, {place}: {error}"
                if strict:
                    save_all(None)
                    raise InputError(f"{line} (--strict ends here; the records before it are stored)") from None
                skip(line)
                continue
            _widen(tally.spans, post)
            batch.append(post)
        save_all(_reached(position.number, position.byte, tally) if stream else None)
    if tally.read == tally.skipped:
        if stream:
            store.forget_cursor(IMPORTS, stream)
        raise InputError(f"{path} has no post that can be stored ({tally.skipped:,} records, all skipped)")
    for found_source, (first, last) in tally.spans.items():
        from_at, to_at = covers or (first, last)
        to_at = max(from_at, min(to_at, now))  # nobody has looked at the future
        store.save_page([], source=found_source, stream=STREAM, spans=[Span(from_at, to_at)])
    if stream:
        store.forget_cursor(IMPORTS, stream)
    return tally


def _identity(path: Path, source: str | None) -> str | None:
    """The same for the same file, wherever it is moved, and another once it was changed; None of a pipe."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_COMPARED_BYTES)
            status = path.stat()
            file.seek(max(0, status.st_size - _COMPARED_BYTES))
            tail = file.read(_COMPARED_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    told = f"{source}\0{status.st_size}\0{status.st_mtime_ns}\0".encode()
    return hashlib.sha256(told + head + tail).hexdigest()[:32]


def _reached(number: int, byte: int, tally: ImportTally) -> dict[str, Any]:
    """What the store keeps of an import under way, with the batch that ends here; `dropped` is known once that is saved."""
    spans = {source: [at.isoformat() for at in span] for source, span in tally.spans.items()}
    return {"number": number, "byte": byte, "read": tally.read, "skipped": tally.skipped, "spans": spans}


def _go_on(kept: dict[str, Any] | None) -> tuple[ImportTally, Position]:
    if kept is None:
        return ImportTally(), Position()
    first_last = {source: tuple(map(datetime.fromisoformat, span)) for source, span in kept["spans"].items()}
    spans = {source: (first, last) for source, (first, last) in first_last.items()}
    known = kept["read"] - kept["skipped"] - kept["dropped"]
    tally = ImportTally(kept["read"], 0, known, kept["skipped"], kept["dropped"], spans)
    return tally, Position(kept["number"], kept["byte"])


def _widen(spans: dict[str, tuple[datetime, datetime]], post: Post) -> None:
    first, last = spans.get(post.source, (post.created_at, post.created_at))
    if not first <= post.created_at <= last or post.source not in spans:
        spans[post.source] = (min(first, post.created_at), max(last, post.created_at))
