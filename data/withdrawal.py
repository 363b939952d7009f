"""Withdrawal: what earlier exports handed out and must now be taken back."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from data import tables
from data.errors import InputError, RecordError
from data.files import open_records
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from data.store import Store

BATCH_ROWS = 400  # their ids in one statement: SQLite's default limit of variables was 999 for long
TOLD = "withdrawals told"  # among the sources, for its cursor
ERASING = ("erase post", "erase author", "erase as at the platform", "erase texts")


def last_line(store: Store, action: str | None = None) -> int:
    """The number of the audit log's last line, or of the last with this action; 0 where there is none."""
    audit = tables.audit
    wanted = select(func.max(audit.c.id)).where(*[audit.c.action == action] if action else [])
    with store.engine.connect() as connection:
        return connection.execute(wanted).scalar() or 0


def exports_untold(store: Store) -> list[dict[str, Any]]:
    """The exports that can hold what was erased since `remember_told`, by whichever command."""
    kept = store.cursor(TOLD, "")
    return exports_to_withdraw(store, kept["line"] if kept else 0)


def remember_told(store: Store, line: int) -> None:
    """A person was told of the exports that can hold what was erased up to this line of the audit log."""
    if store.cursor(TOLD, "") != {"line": line}:
        store.save_page([], source=TOLD, cursor={"line": line})


def exports_to_withdraw(store: Store, after_line: int) -> list[dict[str, Any]]:
    """The exports that can hold what was erased since a line of the audit log: `{"file", "at", "rows", "tier"}`."""
    audit = tables.audit
    with store.engine.connect() as connection:
        erased = [
            (row.action, row.detail)
            for row in connection.execute(
                select(audit.c.action, audit.c.detail).where(audit.c.id > after_line, audit.c.action.in_(ERASING))
            )
            if "stored_from" in row.detail
        ]
        exports = connection.execute(select(audit).where(audit.c.action == "export").order_by(audit.c.id)).all()
    return [
        {"file": export.detail.get("file"), "at": export.at.isoformat()}
        | {name: export.detail.get(name) for name in ("rows", "tier")}
        for export in exports
        if any(_can_hold(export.at, export.detail, action, detail) for action, detail in erased)
    ]


def _can_hold(at: datetime, export: dict[str, Any], action: str, erased: dict[str, Any]) -> bool:
    tier, chosen = export.get("tier"), export.get("selection") or {}
    if tier == "aggregate" or (tier == "public" and action == "erase texts"):
        return False
    sources = erased["found_at"] if "found_at" in erased else [erased["source"]]
    written_from, written_to = map(datetime.fromisoformat, (erased["written_from"], erased["written_to"]))
    return (
        at >= datetime.fromisoformat(erased["stored_from"])
        and ("source" not in chosen or chosen["source"] in sources)
        and ("from_at" not in chosen or datetime.fromisoformat(chosen["from_at"]) <= written_to)
        and ("to_at" not in chosen or datetime.fromisoformat(chosen["to_at"]) > written_from)
    )


def told(exports: list[dict[str, Any]]) -> str | None:
    """What a person is told of exports to withdraw; None where there are none."""
    if not exports:
        return None
    names = [
        f"{each['file'] or 'a file whose name was not kept'} "
        f"({datetime.fromisoformat(each['at']).astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT)"
        for each in exports
    ]
    count = f"{len(exports):,} exports were" if len(exports) > 1 else "1 export was"
    return (
        f"{count} made since these posts were stored, and can hold them: {', '.join(names)}. "
        "`tracker comply --withdraw FILE` lists what must be taken back from each"
    )


def withdrawn(store: Store, path: Path) -> Iterator[dict[str, Any]]:
    """Of an export, in its order, what must be taken back: `{"source", "id", "reason", "at"}`.

    The reason is `erased` (here or at the platform), `edited` (the text handed out is not the author's any more) or
    `retention` (the text is past its time). Raises InputError where the file is no export of single posts.
    """
    with open_records(path) as records:
        posts = (_delivered(path, place, record) for place, record in records)
        while batch := list(islice(posts, BATCH_ROWS)):
            with store.engine.connect() as connection:
                yield from _of_batch(connection, batch)


def _delivered(path: Path, place: str, record: dict[str, Any] | RecordError) -> dict[str, Any]:
    if isinstance(record, RecordError):
        raise InputError(f"{path}, {place}: {record}")
    source, id_ = record.get("source"), record.get("id")
    if "posts" in record and "id" not in record:
        raise InputError(f"{path} holds counts and no posts: there is nothing to take back")
    if not isinstance(source, str) or not isinstance(id_, str) or not source or not id_:
        raise InputError(f"{path}, {place}: no source and id: name a file that `tracker export` wrote")
    return record | {"id": id_.removeprefix(f"{source}:")}


def _of_batch(connection: Connection, batch: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    graves, posts = tables.tombstones, tables.posts
    ids, authors = [row["id"] for row in batch], [row["author"] for row in batch if row.get("author")]
    buried = {
        (kind, row.source, row.id): row.erased_at
        for kind, names in (("post", ids), ("author", authors))
        for row in connection.execute(select(graves).where(graves.c.kind == kind, graves.c.id.in_(names)))
    }
    columns = (posts.c.source, posts.c.id, posts.c.fingerprint, posts.c.edited_at, posts.c.text_erased_at)
    kept = {(row.source, row.id): row for row in connection.execute(select(*columns).where(posts.c.id.in_(ids)))}
    for row in batch:
        source, id_ = row["source"], row["id"]
        post = kept.get((source, id_))
        at = buried.get(("post", source, id_)) or buried.get(("author", source, row.get("author")))
        reason = "erased"
        if at is None and post is not None and row.get("text"):
            is_other = row.get("fingerprint") not in (None, "", post.fingerprint)
            at, reason = (
                (post.edited_at, "edited") if is_other and post.edited_at else (post.text_erased_at, "retention")
            )
        if at is not None:
            yield {"source": source, "id": id_, "reason": reason, "at": at.isoformat()}
