"""A watched folder: files of posts, each imported once, when it is whole."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collector.importing import import_file
from collector.runner import Stopped, outlast
from data.console import announce
from data.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from collector.importing import ImportTally
    from data.store import Store

WATCH = "watch"  # among the sources; a stream of it in the store is the hash of a file that was imported
EVERY_SECONDS = 30.0  # between two looks of `tracker run`
SETTLE_SECONDS = 5.0  # a file is whole when it has not changed for so long
LOOK_SECONDS = 2.0
SHOWN_SKIPS = 20
_UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload", ".download", ".swp")

_Stamp = tuple[int, int]


@dataclass(slots=True)
class Folder:
    """Imports what is dropped into a folder. `wait` is as in Runner.

    A file that was imported is known by the hash of what is in it, kept in the store once all of it is in: after kill -9 it
    is read again, and posts that are there already are left alone.
    """

    path: Path
    store: Store
    now: Callable[[], datetime]
    wait: Callable[[float], bool]
    source: str | None = None
    settle_seconds: float = SETTLE_SECONDS
    unusable: set[Path] = field(default_factory=set)  # the files that could not be imported, as they are now
    _seen: dict[Path, tuple[_Stamp, float]] = field(default_factory=dict)  # how each file was, and since when
    _done: dict[Path, _Stamp] = field(default_factory=dict)  # with these there is nothing to do until they change

    def run(self, *, once: bool = False) -> None:
        """Import whatever comes, however long the database fails, or what is there now.

        Raises Stopped when asked to stop, with the batches read saved.
        """
        if not once:
            while True:
                outlast(self.look, self.wait)
                if self.wait(min(LOOK_SECONDS, self.settle_seconds)):
                    raise Stopped
        if self.look():
            if self.wait(self.settle_seconds):
                raise Stopped
            for path in self.look():
                announce(f"{path}: still growing or empty, left alone", "file not whole", file=str(path))

    def look(self) -> list[Path]:
        """Import the files that are whole; returns those that are not yet. Raises InputError where the folder is gone."""
        try:
            found = {path: stamp for path in sorted(self.path.iterdir()) if (stamp := _stamp(path)) is not None}
        except OSError as error:
            raise InputError(f"the folder {self.path} cannot be read: {error.strerror}") from None
        self._done = {path: stamp for path, stamp in self._done.items() if found.get(path) == stamp}
        self.unusable &= self._done.keys()
        self._seen = {path: seen for path, seen in self._seen.items() if path in found}
        growing = []
        for path, stamp in found.items():
            if path in self._done:
                continue
            now = time.monotonic()
            before, since = self._seen.get(path, (None, now))
            if before != stamp:
                since = now
            self._seen[path] = stamp, since
            if stamp[0] and now - since >= self.settle_seconds:
                self._take(path, stamp)
            else:
                growing.append(path)
        return growing

    def _take(self, path: Path, stamp: _Stamp) -> None:
        try:
            digest = _digest(path)
            if self.store.cursor(WATCH, digest) is not None:
                announce(f"{path}: imported before, left alone", "file known", file=str(path))
            else:
                tally = self._import(path)
                if _stamp(path) != stamp:
                    return  # it changed while it was read: once more, when it is whole
                self.store.save_page([], source=WATCH, stream=digest, cursor={"read": tally.read, "new": tally.new})
        except (InputError, OSError) as error:
            if _stamp(path) is None:
                return  # taken away meanwhile
            reason = str(error) if isinstance(error, InputError) else f"{path} cannot be read: {error.strerror}"
            announce(f"error: {reason}; it is left where it is", "file unusable", file=str(path), reason=reason)
            self.unusable.add(path)
        self._done[path] = stamp

    def _import(self, path: Path) -> ImportTally:
        skipped = 0

        def skip(line: str) -> None:
            nonlocal skipped
            skipped += 1
            if skipped <= SHOWN_SKIPS:
                announce(f"skipped: {line}", "record skipped", reason=line)

        def progress(_share: float) -> None:
            if self.wait(0):
                raise Stopped

        tally = import_file(path, self.store, now=self.now(), source=self.source, skip=skip, progress=progress)
        counts = {name: getattr(tally, name) for name in ("read", "new", "duplicate", "skipped", "dropped")}
        sentence = (
            f"{path}: {tally.read:,} read, {tally.new:,} new, {tally.duplicate:,} known, {tally.skipped:,} skipped"
        )
        announce(sentence, "file imported", file=str(path), **counts)
        return tally


def _stamp(path: Path) -> _Stamp | None:
    """Size and time of a file that is to be read; None for what is none, or has the name of an unfinished one."""
    name = path.name.lower()
    if name.startswith((".", "~")) or name.endswith(_UNFINISHED):
        return None
    try:
        if not path.is_file():
            return None
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
