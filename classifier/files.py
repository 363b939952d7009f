"""Files of posts: texts as `classify` takes them, labelled posts for `evaluate`, predictions beside them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from classifier.corpus import HEADS, Example, checked_labels
from classifier.evaluation import EVERY_POST, SCORED
from data.errors import InputError, RecordError
from data.files import is_unicode, open_records
from data.official import official_handles
from data.records import MAX_TEXT_CHARACTERS
from data.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    Record = dict[str, Any]

Item = TypeVar("Item")

COLUMNS = ("text", "id", "source", "reply_to", "synthetic", *HEADS)
BATCH_POSTS = 2_000
BATCH_CHARACTERS = 1_000_000
_KEY_FIELDS = ("source", "id")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2}")
_WHOLE_AS_FLOAT = re.compile(r"(\d+)\.0")


def clean(text: object, author: object = None) -> str:
    """The text redacted as in the store. Raises RecordError where it is none that can be labelled."""
    if text is None:
        raise RecordError("text is missing")
    if not isinstance(text, str):
        raise RecordError(f"text must be text, found {type(text).__name__}")
    if not is_unicode(text):
        raise RecordError("text is not Unicode text: it holds half a surrogate pair, or the file is not UTF-8")
    if "\0" in text:
        raise RecordError("text contains a NUL character")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise RecordError(f"text has {len(text):,} characters, at most {MAX_TEXT_CHARACTERS:,} are taken")
    handle = str(author) if isinstance(author, str | int) else None
    return redact(text, author=handle, keep_handles=official_handles())


def check_jsonl_name(option: str, path: Path) -> None:
    """Raise InputError where the ending promises another format than the JSONL that is written."""
    if path.suffix.lower() in {".csv", ".tsv", ".parquet"}:
        raise InputError(f"{option} writes JSONL: name it {path.with_suffix('.jsonl').name}")


def batches(items: Iterable[Item], characters: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in lists of BATCH_POSTS at most, shorter where they are long, so that memory does not follow their length."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += characters(item)
        if len(batch) >= BATCH_POSTS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class LabelledPosts:
    """The posts of a labelled file. Texts are redacted; `keys` holds the source and id of each, as far as it has them,
    `places` where in the file it stands."""

    path: Path
    examples: list[Example]
    keys: list[Record]
    places: list[str]
    synthetic: int


def column_names(columns: str | None) -> dict[str, str]:
    """Our column by theirs, from `text=tweet,sentiment=label`. Raises InputError where that is ambiguous."""
    if columns is None:
        return {}
    pairs = [[side.strip() for side in part.split("=")] for part in columns.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise InputError("--columns takes pairs such as text=tweet,sentiment=label")
    for name in (ours for ours, _ in pairs):
        if name not in COLUMNS:
            raise InputError(f"--columns maps {', '.join(COLUMNS)}; there is no {name!r}")
    for side in zip(*pairs, strict=True):
        if twice := [name for name, count in Counter(side).items() if count > 1]:
            raise InputError(f"--columns names {twice[0]!r} twice")
    return {theirs: ours for ours, theirs in pairs}


def read_labelled(
    path: Path, columns: Mapping[str, str], say: Callable[[str], None] = lambda _line: None
) -> LabelledPosts:
    """The posts of a file with their labels; `columns` gives our column by theirs.

    A platform's language tag that is none of the guide's is no answer, which `say` hears of once. Raises InputError,
    with the place of the record, where one is no post or has a label that is not in the guide.
    """
    examples, keys, places, synthetic = [], [], [], 0
    seen: set[str] = set()
    foreign_tags = 0
    with open_records(path) as records:
        for place, record in records:
            try:
                if isinstance(record, RecordError):
                    raise record
                seen |= record.keys()
                ours = _renamed(record, columns)
                if ours.get("text") is None:
                    theirs = next((theirs for theirs, name in columns.items() if name == "text"), None)
                    if len(record) == 1 and ";" in next(iter(record)):
                        raise RecordError("its columns are parted by semicolons, where commas are expected")
                    raise RecordError(
                        f"there is no column {theirs!r}, which --columns names"
                        if theirs
                        else "text is missing; name its column with --columns text=NAME"
                    )
                if _is_foreign_tag(ours.get("lang")):
                    foreign_tags += 1
                    ours["lang"] = None
                text = clean(ours["text"], record.get("author"))
                examples.append(Example(text, checked_labels(ours), is_reply=bool(ours.get("reply_to"))))
            except InputError as error:
                raise InputError(f"{path}, {place}: {error}") from None
            keys.append(_key_fields(ours))
            places.append(place)
            synthetic += ours.get("synthetic") in (True, "True", "true", "1")
    if not examples:
        raise InputError(f"{path} has no labelled post")
    if absent := [theirs for theirs in columns if theirs not in seen]:
        raise InputError(f"{path} has no column {absent[0]!r}, which --columns names")
    if not any(head in example.labels for example in examples for head in SCORED):
        raise InputError(
            f"{path} has no label to score: it needs any of {', '.join(EVERY_POST)}; --columns maps other names"
        )
    if foreign_tags:
        say(
            f"{path}: lang of {foreign_tags:,} posts is a platform's tag, none of {', '.join(HEADS['lang'])}; "
            "taken as not answered, so that these posts are in no slice by language"
        )
    return LabelledPosts(path, examples, keys, places, synthetic)


def _is_foreign_tag(value: object) -> bool:
    return isinstance(value, str) and value not in HEADS["lang"] and _LANGUAGE_TAG.fullmatch(value) is not None


def _renamed(record: Record, columns: Mapping[str, str]) -> Record:
    kept = {name: value for name, value in record.items() if name not in columns and name not in set(columns.values())}
    return kept | {ours: record[theirs] for theirs, ours in columns.items() if theirs in record}


def _key_fields(record: Record) -> Record:
    """The source and the id of a record, where they are given and can be written out again."""
    kept = {name: _whole(record.get(name)) for name in _KEY_FIELDS}
    return {
        name: value
        for name, value in kept.items()
        if isinstance(value, int | str) and not isinstance(value, bool) and value != "" and is_unicode(str(value))
    }


def _whole(value: object) -> object:
    """An id as it was before a table with a gap in the column made numbers with a point of whole ones."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and (match := _WHOLE_AS_FLOAT.fullmatch(value)):
        return match[1]
    return value


def read_predictions(path: Path, posts: LabelledPosts, say: Callable[[str], None] = lambda _line: None) -> list[Record]:
    """The answers of a file to labelled posts, in the order of the posts: the scored heads and, where given, scores.

    They are matched by id, and by source where every row of both has one. Where a file has no id at all they are matched
    by row, which `say` hears of; a text that stands beside a row must then be the post's. Raises InputError where an answer
    is wrong, missing or too many, a head is not answered, or only some rows have an id.
    """
    answers, keys, texts, places = [], [], [], []
    fields: set[str] = set()
    with open_records(path) as records:
        for place, record in records:
            try:
                if isinstance(record, RecordError):
                    raise record
                fields |= record.keys()
                answers.append(_answer(record))
                text = record.get("text")
                texts.append(clean(text, record.get("author")) if isinstance(text, str) else None)
            except InputError as error:
                raise InputError(f"{path}, {place}: {error}") from None
            keys.append(_key_fields(record))
            places.append(place)
    if len(answers) != len(posts.examples):
        raise InputError(
            f"{path} must have one prediction for each of the {len(posts.examples):,} posts of {posts.path}, not {len(answers):,}"
        )
    for head in SCORED:
        if head not in fields and any(head in example.labels for example in posts.examples):
            raise InputError(
                f"{path} does not answer {head}, which {posts.path} asks; add it, or take the column out there"
            )
    if _have_ids(path, keys, places) and _have_ids(posts.path, posts.keys, posts.places):
        order = _matched_by_id(path, keys, places, posts)
    else:
        say(f"{path} is matched to {posts.path} by row, as not both have an id")
        order = _matched_by_row(path, texts, places, posts)
    for index, example in zip(order, posts.examples, strict=True):
        for head in EVERY_POST:
            if head in example.labels and head not in answers[index]:
                raise InputError(f"{path}, {places[index]}: {head} is missing")
    return [answers[index] for index in order]


def _have_ids(path: Path, keys: Sequence[Record], places: Sequence[str]) -> bool:
    lacking = [place for place, fields in zip(places, keys, strict=True) if "id" not in fields]
    if lacking and len(lacking) < len(keys):
        raise InputError(f"{path}, {lacking[0]}: id is missing, which other rows have; give every row one, or none")
    return not lacking


def _matched_by_row(path: Path, texts: Sequence[str | None], places: Sequence[str], posts: LabelledPosts) -> list[int]:
    for text, place, example in zip(texts, places, posts.examples, strict=True):
        if text is not None and text.split() != example.text.split():
            raise InputError(
                f"{path}, {place}: its text is not that of the post in the same row of {posts.path}; "
                "bring both into one order, give both an id, or leave text out"
            )
    return list(range(len(texts)))


def _matched_by_id(path: Path, keys: Sequence[Record], places: Sequence[str], posts: LabelledPosts) -> list[int]:
    """For each post the index of its answer."""
    with_source = all("source" in fields for fields in (*keys, *posts.keys))
    found = _indices(path, keys, places, with_source)
    wanted = _indices(posts.path, posts.keys, posts.places, with_source)
    for key, index in wanted.items():
        if key not in found:
            raise InputError(f"{path} has no prediction with the id of {posts.path}, {posts.places[index]}")
    return [found[key] for key in wanted]


def _indices(
    path: Path, keys: Sequence[Record], places: Sequence[str], with_source: bool
) -> dict[tuple[str, str], int]:
    indices: dict[tuple[str, str], int] = {}
    for index, fields in enumerate(keys):
        source = str(fields.get("source", ""))
        # An exported CSV writes the source before the id.
        key = (source if with_source else "", str(fields["id"]).removeprefix(f"{source}:"))
        if key in indices:
            hint = "make ids differ" if with_source else "make ids differ, give every row of both files a source"
            raise InputError(
                f"{path}, {places[indices[key]]} and {places[index]} have one id; {hint}, or leave ids out to match by row"
            )
        indices[key] = index
    return indices


def _answer(record: Record) -> Record:
    """The scored heads, and those scores that are given."""
    answer = checked_labels({head: record.get(head) for head in SCORED})
    scores = record.get("scores")
    if isinstance(scores, str) and scores:
        try:
            scores = json.loads(scores)
        except (ValueError, RecursionError):
            raise RecordError("scores is not a JSON object") from None
    if scores not in (None, "", {}):
        if not isinstance(scores, dict) or (lacking := [name for name in HEADS["problems"] if name not in scores]):
            lacks = f"; {lacking[0]} is missing" if isinstance(scores, dict) else ""
            raise RecordError(f"scores must give a number for every problem{lacks}")
        answer["scores"] = {name: _probability(f"the score of {name}", scores[name]) for name in HEADS["problems"]}
    for name in ("kind_score", "sentiment_score", "about_score"):
        if record.get(name) not in (None, ""):
            answer[name] = _probability(name, record[name])
    if isinstance(record.get("unsure"), bool):
        answer["unsure"] = record["unsure"]
    return answer


def _probability(name: str, value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= 1:
        raise RecordError(f"{name} must be a number from 0 to 1")
    return number
