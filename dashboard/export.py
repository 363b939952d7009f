"""Labelled datasets for others: JSONL, CSV or Parquet, each with a data card beside it."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, select, type_coerce

from data import tables
from data.corrections import corrections_of, settled_posts
from data.errors import InputError
from data.files import FORMULA_STARTS, check_place, draft_of, write_whole
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine, Subquery

TIERS = ("public", "partner", "aggregate")
BATCH_ROWS = 5_000
_LABEL_FIELDS = (
    "problems",
    "scores",
    "kind",
    "kind_score",
    "sentiment",
    "sentiment_score",
    "about",
    "about_score",
    "lang",
    "unsure",
    "services",
    "status",
    "scope",
    "model",
    "labelled_at",
    "corrections",
)
_POST_FIELDS = (
    "source",
    "id",
    "created_at",
    "edited_at",
    "text",
    "text_erased_at",
    "author",
    "platform_lang",
    "repost_of",
    "reply_to",
    "links",
    "fingerprint",
    "synthetic",
)
FIELDS = {
    "partner": (*_POST_FIELDS, *_LABEL_FIELDS),
    "public": ("source", "id", "fingerprint", "synthetic", *_LABEL_FIELDS),
    "aggregate": ("day", "source", "lang", "kind", "about", "problem", "posts", "synthetic"),
}
SAMPLE_FIELDS = ("source", "kind", "about", "sentiment", "lang")


@dataclass(frozen=True)
class Selection:
    """Which posts to hand out; None means all."""

    from_at: datetime | None = None
    to_at: datetime | None = None
    problem: str | None = None
    kind: str | None = None
    about: str | None = None
    source: str | None = None
    lang: str | None = None


def write_export(
    engine: Engine,
    path: Path,
    selection: Selection,
    *,
    tier: str,
    now: datetime,
    pretended: bool,
    version: str,
    sample: int | None = None,
    sample_by: str | None = None,
    seed: int | None = None,
    progress: Callable[[int], None] = lambda _rows: None,
) -> dict[str, Any]:
    """Write the dataset and `PATH.card.json`, each whole or not at all, and return the card.

    A sample is drawn evenly, or within each value of `sample_by` in proportion, at least one post of each; `weight` says how many posts each stands for.
    Raises InputError where nothing matches, or the file's ending is none of csv, jsonl, parquet.
    """
    writer = {".csv": _csv_file, ".jsonl": _jsonl_file, ".parquet": _parquet_file}.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path} must end in .csv, .jsonl or .parquet")
    check_place(path)
    weights = _sample_weights(engine, selection, sample, sample_by, seed or 0) if sample is not None else None
    fields = FIELDS[tier] + (("weight",) if weights is not None else ())
    rows = _aggregate(engine, selection) if tier == "aggregate" else _rows(engine, selection, weights)
    count, synthetic, corrected, models, corrections = 0, 0, 0, Counter[str](), Counter[str]()
    with draft_of(path) as draft:
        with writer(draft, fields) as write:
            while batch := list(islice(rows, BATCH_ROWS)):
                chosen = [{field: row[field] for field in fields} for row in batch]
                write(chosen)
                count += len(chosen)
                synthetic += sum(bool(row["synthetic"]) for row in chosen)
                models.update(row["model"] for row in batch if "model" in row)
                corrected += sum(bool(row.get("corrections")) for row in batch)
                corrections.update(each["field"] for row in batch for each in row.get("corrections", []))
                progress(count)
        if count == 0:
            raise InputError(
                "no labelled post matches: widen the filters, or label what the store has with `tracker classify`"
            )
        card = {
            "file": path.name,
            "sha256": _sha256(draft),
            "rows": count,
            "tier": tier,
            "fields": list(fields),
            "selection": {name: _shown(value) for name, value in asdict(selection).items() if value is not None},
            "sample": {"posts": sample, "by": sample_by, "seed": seed or 0} if sample is not None else None,
            "models": dict(models),
            "synthetic_rows": synthetic,
            "corrected": {"rows": corrected, "fields": dict(corrections)} if tier != "aggregate" else None,
            "stamp": "DEMO: rows marked synthetic were written for this project and are not posts of real people"
            if synthetic
            else None,
            "made_at": now.isoformat(),
            "clock_pretended": pretended,
            "tracker": version,
            "schema": tables.SCHEMA_REVISION,
            "csv": {
                "encoding": "UTF-8 with BOM",
                "formula_guard": "an apostrophe before a cell that begins with = + - @, a tab or a return",
            }
            if path.suffix.lower() == ".csv"
            else None,
            "text": "redacted; names of people in free text are not recognised"
            if tier == "partner"
            else "not included",
            "terms": "X allows publishing ids only; hydrated posts are for a partner, 500 a person a day, never public. "
            "What authors delete must be deleted in every copy.",
        }
        write_whole(path.with_name(path.name + ".card.json"), json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return card


def _conditions(selection: Selection, posts: Subquery) -> list[Any]:
    conditions: list[Any] = []
    if selection.from_at is not None:
        conditions.append(posts.c.created_at >= selection.from_at)
    if selection.to_at is not None:
        conditions.append(posts.c.created_at < selection.to_at)
    for name in ("source", "kind", "about", "lang"):
        if (value := getattr(selection, name)) is not None:
            conditions.append(posts.c[name] == value)
    if selection.problem is not None:
        conditions.append(type_coerce(posts.c.problems, Text).like(f'%"{selection.problem}"%'))
    return conditions


def _rows(
    engine: Engine, selection: Selection, weights: dict[tuple[str, str], float] | None
) -> Iterator[dict[str, Any]]:
    posts = settled_posts()
    query = select(posts).where(*_conditions(selection, posts)).order_by(posts.c.created_at, posts.c.id)
    with engine.connect().execution_options(yield_per=BATCH_ROWS) as connection:
        for found in connection.execute(query).mappings():
            row = dict(found) | {"corrections": corrections_of(found)}
            if weights is not None:
                if (row["source"], row["id"]) not in weights:
                    continue
                row["weight"] = weights[row["source"], row["id"]]
            yield row


def _aggregate(engine: Engine, selection: Selection) -> Iterator[dict[str, Any]]:
    """Posts by day of Nairobi and labels; a post with two problems stands in two rows, one with none under ''."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in _rows(engine, selection, None):
        day = f"{row['created_at'].astimezone(NAIROBI):%Y-%m-%d}"
        for problem in row["problems"] or [""]:
            counts[day, row["source"], row["lang"], row["kind"], row["about"], problem, row["synthetic"]] += 1
    for (*key, synthetic), posts in sorted(counts.items()):
        yield dict(zip(FIELDS["aggregate"][:6], key, strict=True)) | {"posts": posts, "synthetic": synthetic}


def _sample_weights(
    engine: Engine, selection: Selection, size: int, by: str | None, seed: int
) -> dict[tuple[str, str], float]:
    posts = settled_posts()
    query = (
        select(posts.c.source, posts.c.id, posts.c[by or "source"].label("stratum"))
        .where(*_conditions(selection, posts))
        .order_by(posts.c.source, posts.c.id)
    )
    members: dict[str, list[tuple[str, str]]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            members.setdefault(row.stratum if by else "", []).append((row.source, row.id))
    total = sum(map(len, members.values()))
    generator = random.Random(seed)  # noqa: S311 - a repeatable draw, not a secret
    weights = {}
    for _, keys in sorted(members.items()):
        drawn = min(len(keys), max(1, round(size * len(keys) / total)))
        for key in generator.sample(keys, drawn):
            weights[key] = len(keys) / drawn
    return weights


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


@contextmanager
def _jsonl_file(path: Path, _fields: tuple[str, ...]) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    with path.open("w", encoding="utf-8") as file:

        def write(rows: list[dict[str, Any]]) -> None:
            file.writelines(
                json.dumps({name: _shown(value) for name, value in row.items()}, ensure_ascii=False) + "\n"
                for row in rows
            )

        yield write


@contextmanager
def _csv_file(path: Path, fields: tuple[str, ...]) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        yield lambda rows: writer.writerows(map(_csv_row, rows))


def _csv_row(row: dict[str, Any]) -> dict[str, Any]:
    cells = {name: _cell(value) for name, value in row.items()}
    if "id" in row:
        cells["id"] = f"{row['source']}:{row['id']}"
    if "corrections" in row:
        cells["corrections"] = json.dumps(row["corrections"])
    return cells


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "|".join(map(str, value))
    elif isinstance(value, dict):
        value = json.dumps(value)
    elif isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


@contextmanager
def _parquet_file(path: Path, fields: tuple[str, ...]) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    moment, texts = pa.timestamp("us", "UTC"), pa.list_(pa.string())
    types = {
        "created_at": moment,
        "edited_at": moment,
        "text_erased_at": moment,
        "labelled_at": moment,
        "problems": texts,
        "services": texts,
        "links": texts,
    }
    types |= {"unsure": pa.bool_(), "synthetic": pa.bool_(), "posts": pa.int64(), "weight": pa.float64()}
    types |= dict.fromkeys(("kind_score", "sentiment_score", "about_score"), pa.float64())
    schema = pa.schema([(name, types.get(name, pa.string())) for name in fields])
    with pq.ParquetWriter(path, schema) as writer:

        def write(rows: list[dict[str, Any]]) -> None:
            # JSON text, as what a model said is a list of one field and a name of the next.
            shown = [
                row | {name: json.dumps(row[name]) for name in ("scores", "corrections") if name in row} for row in rows
            ]
            writer.write_table(pa.Table.from_pylist(shown, schema))

        yield write


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
