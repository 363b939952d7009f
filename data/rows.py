"""Rows: what is kept of a post, redacted and hashed; made here, or of many posts at a time in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from data.errors import StoreError
from data.pseudonyms import fingerprint, pseudonym
from data.records import Post
from data.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PostRow = dict[str, Any]

POSTS_BEFORE_PROCESSES = 5_000  # fewer are done before processes have started
_CHUNK_POSTS = 1_000
_LINK = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_unpacked = attrgetter(*(each.name for each in fields(Post)))  # a third of the time that pickling a dataclass takes


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes the row of a post; nothing else of it is written anywhere."""

    key: bytes = field(repr=False)
    keep_handles: frozenset[str]

    def __call__(self, post: Post) -> PostRow:
        """All columns that the post itself gives."""
        author = post.author_id or post.author
        hashed = pseudonym(self.key, post.source, author) if author else None
        # A pseudonym, as an export gives it, is no handle.
        handle = post.author if post.author != hashed else None
        return {
            "source": post.source,
            "id": post.id,
            "created_at": post.created_at,
            "text": redact(post.text, author=post.author, keep_handles=self.keep_handles),
            "fingerprint": fingerprint(self.key, post.text),
            "author": hashed,
            "author_handle": pseudonym(self.key, post.source, handle) if handle else None,
            "platform_lang": post.lang,
            "repost_of": post.repost_of,
            "reply_to": post.reply_to,
            "links": _hosts(post),
            "synthetic": post.synthetic,
            "account": None,
            "edited_at": post.edited_at,
        }


class RowMakers:
    """A RowMaker that calls processes in once so many posts came that they pay."""

    def __init__(self, maker: RowMaker) -> None:
        self._maker = maker
        self._posts = 0
        self._processes: ProcessPoolExecutor | None = None

    def start(self, posts: Sequence[Post]) -> Callable[[], list[PostRow]]:
        """Begin on the rows of these posts; call the result for them, in the same order."""
        self._posts += len(posts)
        if self._posts <= POSTS_BEFORE_PROCESSES:
            rows = [self._maker(post) for post in posts]
            return lambda: rows
        if self._processes is None:
            # Spawned: a fork would share the database's connections and the progress bar's thread.
            context = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(_processes(), context, _enter, (self._maker,))
        chunks = [posts[at : at + _CHUNK_POSTS] for at in range(0, len(posts), _CHUNK_POSTS)]
        begun = [self._processes.submit(_make, [_unpacked(post) for post in chunk]) for chunk in chunks]

        def finish() -> list[PostRow]:
            try:
                made = [each.result() for each in begun]
            except BrokenProcessPool:
                raise StoreError("a process that redacts posts was ended; run the command again") from None
            return [dict(zip(names, values, strict=True)) for names, rows in made for values in rows]

        return finish

    def close(self) -> None:
        """End the processes."""
        if self._processes is not None:
            self._processes.shutdown(cancel_futures=True)
            self._processes = None


def _processes() -> int:
    """One processor is left to who reads and saves, which keeps no more than two of these busy."""
    return max(1, min(2, (os.cpu_count() or 1) - 1))


_maker: RowMaker | None = None  # of a process that was called in


def _enter(maker: RowMaker) -> None:
    global _maker
    _maker = maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which then ends this process
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()  # even where it was killed
    os._exit(1)


def _make(packed: list[tuple[Any, ...]]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns' names once and the values of each row, which unpickle in a third of the time that dicts take."""
    assert _maker is not None
    rows = [_maker(Post(*each)) for each in packed]
    return list(rows[0]), [tuple(row.values()) for row in rows]


def _hosts(post: Post) -> list[str]:
    """The sites a post links to; a path or a query could hold a name or a number."""
    hosts = set()
    for link in _LINK.findall(post.text) if "://" in post.text else ():
        try:
            host = urlsplit(link).hostname
        except ValueError:
            continue
        if host and len(host) <= 253:
            hosts.add(redact(host, author=post.author))
    return sorted(hosts)
