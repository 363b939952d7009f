"""One narrow row a labelled post, and five-minute sums of them: what a chart and the detector read.

`refresh` is called in every transaction that changes a label, a correction or a post, so that both are exact after it.
"""

from __future__ import annotations

import hashlib
import re
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, or_, select

from data import tables
from data.corrections import settled_posts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection, RowMapping

BUCKET_SECONDS = 300
LANES = ("complaint", "government", "dependency", "rumour")
COPIES_COUNTED = 3  # of the people who post near-copies of one text, how many count
_KEYS_PER_LOOKUP = 400
_FACTS_LOCK = 0x66616374  # "fact": on PostgreSQL two writers of one bucket would each miss the other's rows
_NO_WORD = re.compile(r"https?://\S+|<[a-z]+>|@\w+|[^\w\s]|\d+|_")


def lane_of(kind: str, about: str) -> str | None:
    """What a post counts as: `complaint` is about eCitizen; other services and rumours never add to it."""
    if kind == "rumour":
        return "rumour"
    if kind != "complaint":
        return None
    return {"ecitizen": "complaint", "government": "government", "dependency": "dependency"}.get(about)


def copy_of(text: str) -> str:
    """Equal for texts that differ in case, punctuation, links, names, numbers and what redaction took out."""
    words = _NO_WORD.sub(" ", text.casefold()).split()
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).hexdigest()


def counted_people(posts: Iterable[tuple[str, str]]) -> set[str]:
    """Who counts among (person, copy): of each copied text the first COPIES_COUNTED people. A person stands for the first post."""
    seen: set[str] = set()
    counted: set[str] = set()
    copies: dict[str, int] = {}
    for person, copy in posts:
        if person not in seen:
            seen.add(person)
            copies[copy] = copies.get(copy, 0) + 1
            if copies[copy] <= COPIES_COUNTED:
                counted.add(person)
    return counted


def count_people(posts: Iterable[tuple[str, str]]) -> int:
    """How many people count: see `counted_people`."""
    return len(counted_people(posts))


def refresh(connection: Connection, keys: Collection[tuple[str, str]]) -> None:
    """Make the facts of these posts (source, id) what the store says now, and the sums of the buckets that they touch."""
    if not keys:
        return
    _lock(connection)
    table, settled = tables.facts, settled_posts()
    touched: set[tuple[str, int]] = set()
    for some in _chunks(sorted(keys)):
        chosen = or_(*(and_(table.c.source == source, table.c.id.in_(ids)) for source, ids in _by_source(some)))
        old = select(table.c.lane, table.c.bucket).where(chosen)
        touched.update((row.lane, row.bucket) for row in connection.execute(old) if row.lane)
        connection.execute(delete(table).where(chosen))
        now = or_(*(and_(settled.c.source == source, settled.c.id.in_(ids)) for source, ids in _by_source(some)))
        touched.update(_add(connection, connection.execute(select(settled).where(now)).mappings()))
    _sum_up(connection, touched)


def rebuild(connection: Connection) -> None:
    """All facts and sums anew: another model counts from now on, or the tables are new."""
    _lock(connection)
    connection.execute(delete(tables.facts))
    connection.execute(delete(tables.volume))
    touched: set[tuple[str, int]] = set()
    with connection.execute(select(settled_posts()).execution_options(yield_per=2_000)) as found:
        rows = iter(found.mappings())
        while some := list(islice(rows, 2_000)):
            touched.update(_add(connection, some))
    _sum_up(connection, touched)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_FACTS_LOCK)))


def _add(connection: Connection, rows: Iterable[RowMapping]) -> set[tuple[str, int]]:
    found = list(rows)
    table = tables.suspected_impostors
    suspected = select(table.c.source, table.c.author).where(table.c.dismissed_at.is_(None))
    suspects = {(row.source, row.author) for row in connection.execute(suspected)}
    given = [_fact(row, (row["source"], row["author"]) in suspects) for row in found]
    if given:
        connection.execute(insert(tables.facts), given)
    return {(fact["lane"], fact["bucket"]) for fact in given if fact["lane"]}


def _fact(row: RowMapping, is_impostor: bool) -> dict[str, Any]:
    problems = row["problems"]
    # A repost is no second voice, and what an official account writes is no complaint; an impostor's word is a rumour.
    lane = None if row["account"] is not None or row["repost_of"] else lane_of(row["kind"], row["about"])
    if is_impostor and not row["repost_of"]:
        lane = "rumour"
    return {
        "source": row["source"],
        "id": row["id"],
        "at": row["created_at"],
        "bucket": int(row["created_at"].timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS,
        "person": row["author"] or f"{row['source']}:{row['id']}",
        "lane": lane,
        "account": row["account"],
        "copy": copy_of(row["text"]),
        "problems": problems,
        "main_problem": max(problems, key=lambda each: row["scores"].get(each, 0.0)) if problems else None,
        "kind": row["kind"],
        "about": row["about"],
        "sentiment": row["sentiment"],
        "lang": row["lang"],
        "services": row["services"],
    }


def _sum_up(connection: Connection, touched: Collection[tuple[str, int]]) -> None:
    facts, volume = tables.facts, tables.volume
    by_lane = groupby(sorted(touched), key=lambda each: each[0])
    for lane, of_lane in [(lane, [bucket for _, bucket in group]) for lane, group in by_lane]:
        for some in _chunks(of_lane):
            connection.execute(delete(volume).where(volume.c.lane == lane, volume.c.bucket.in_(some)))
            query = (
                select(facts.c.bucket, facts.c.person, facts.c.copy)
                .where(facts.c.lane == lane, facts.c.bucket.in_(some))
                .order_by(facts.c.bucket, facts.c.at, facts.c.source, facts.c.id)
            )
            sums = []
            for bucket, rows in groupby(connection.execute(query), key=lambda row: row.bucket):
                posts = [(row.person, row.copy) for row in rows]
                sums.append({"lane": lane, "bucket": bucket, "posts": len(posts), "people": count_people(posts)})
            if sums:
                connection.execute(insert(volume), sums)


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _KEYS_PER_LOOKUP):
        yield items[start : start + _KEYS_PER_LOOKUP]


def _by_source(keys: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    return [(source, [id_ for _, id_ in group]) for source, group in groupby(keys, key=lambda key: key[0])]
