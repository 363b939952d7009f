"""Files of posts: read record by record for `classify`, labelled ones for `evaluate`, predictions beside them, written whole."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from classifier.corpus import HEADS, Example, checked_labels
from classifier.evaluation import EVERY_POST, SCORED
from data.errors import InputError, RecordError
from data.official import official_handles
from data.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    Record = dict[str, Any]

MAX_TEXT_CHARACTERS = 65_536
MAX_CELL_CHARACTERS = 2**24
COLUMNS = ("text", "id", "source", "synthetic", *HEADS)
_KEY_FIELDS = ("source", "id")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_FORMULA_STARTS = frozenset("=+-@\t\r")


def clean(text: object) -> str:
    """The text redacted as in the store. Raises RecordError where it is none that can be labelled."""
    if text is None:
        raise RecordError("text is missing")
    if not isinstance(text, str):
        raise RecordError(f"text must be text, found {type(text).__name__}")
    if not is_unicode(text):
        raise RecordError("text is not Unicode text: it holds half a surrogate pair, or the file is not UTF-8")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise RecordError(f"text has {len(text):,} characters, at most {MAX_TEXT_CHARACTERS:,} are taken")
    return redact(text, keep_handles=official_handles())


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def open_records(path: Path) -> Iterator[Iterator[Record | RecordError]]:
    """The records of a CSV, TSV or (any other ending) JSONL file: for each an object, or why it is none.

    Raises InputError where the file cannot be read, is UTF-16, or has a broken or ambiguous header.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    try:
        with path.open("rb") as start:
            if start.read(2) in {b"\xff\xfe", b"\xfe\xff"}:
                raise InputError(f"{path} is UTF-16; save it as UTF-8")
        # What is not UTF-8 becomes lone surrogates, which are reported with their record.
        file = path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with file:
        delimiter = _DELIMITERS.get(path.suffix.lower())
        yield _json_lines(file) if delimiter is None else _rows(path, file, delimiter)


def _json_lines(lines: Iterator[str]) -> Iterator[Record | RecordError]:
    for line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield RecordError("broken JSON (a file that ends in neither .csv nor .tsv is read as JSONL)")
            continue
        yield value if isinstance(value, dict) else RecordError(f"expected an object, found {type(value).__name__}")


def _rows(path: Path, lines: Iterator[str], delimiter: str) -> Iterator[Record | RecordError]:
    """The rows of a table. Where quotes do not close, reading begins again behind the row's first line, so that no row
    is swallowed; that line is broken in CSV, and in TSV, which many programs write without quotes, read as it stands."""
    again: list[str] = []  # to be read a second time, the next one last
    taken: list[str] = []  # what the row at hand was read from

    def feed() -> Iterator[str]:
        while (line := again.pop() if again else next(lines, None)) is not None:
            taken.append(line)
            yield line

    csv.field_size_limit(MAX_CELL_CHARACTERS)
    names: list[str] = []
    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            first, *rest = taken
            again += reversed(rest)
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
            if delimiter == "," or len(first) > MAX_CELL_CHARACTERS:
                if not names:
                    raise InputError(f"{path} has a broken header: {error}") from None
                yield RecordError(f"broken CSV: {error}")
                continue
            cells = first.rstrip("\r\n").split(delimiter)
        if not names:
            names = [name.strip() for name in cells]
            for second, name in enumerate(names):
                if name and (first_place := names.index(name)) < second:
                    raise InputError(f"{path}: columns {first_place + 1} and {second + 1} have one name; rename one")
        elif cells:
            yield _record(names, cells, delimiter)


def _record(names: Sequence[str], cells: Sequence[str], delimiter: str) -> Record | RecordError:
    if len(cells) != len(names):
        more = len(cells) > len(names)
        hint = "; put text that holds a comma in quotes" if more and delimiter == "," else ""
        return RecordError(f"{'more' if more else 'fewer'} cells than the header has columns{hint}")
    if any("\0" in cell for cell in cells):
        return RecordError("it holds a NUL byte")
    return dict(zip(names, map(_unguarded, cells), strict=True))


def _unguarded(cell: str) -> str:
    """An exported cell that a spreadsheet would run as a formula carries an apostrophe in front."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA_STARTS else cell


@dataclass(frozen=True, slots=True)
class LabelledPosts:
    """The posts of a labelled file. Texts are redacted; `keys` holds the source and id of each, as far as it has them."""

    path: Path
    examples: list[Example]
    keys: list[Record]
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


def read_labelled(path: Path, columns: Mapping[str, str]) -> LabelledPosts:
    """The posts of a file with their labels; `columns` gives our column by theirs.

    Raises InputError, with the number of the record, where one is no post or has a label that is not in the guide.
    """
    examples, keys, synthetic = [], [], 0
    seen: set[str] = set()
    for number, record in _numbered(path):
        seen |= record.keys()
        try:
            ours = _renamed(record, columns)
            if ours.get("text") is None:
                theirs = next((theirs for theirs, name in columns.items() if name == "text"), None)
                raise RecordError(
                    f"there is no column {theirs!r}, which --columns names"
                    if theirs
                    else "text is missing; name its column with --columns text=NAME"
                )
            examples.append(Example(clean(ours["text"]), checked_labels(ours)))
        except InputError as error:
            raise InputError(f"{path}, record {number}: {error}") from None
        keys.append(_key_fields(ours))
        synthetic += ours.get("synthetic") in (True, "True", "true", "1")
    if not examples:
        raise InputError(f"{path} has no labelled post")
    if absent := [theirs for theirs in columns if theirs not in seen]:
        raise InputError(f"{path} has no column {absent[0]!r}, which --columns names")
    if not any(head in example.labels for example in examples for head in SCORED):
        raise InputError(
            f"{path} has no label to score: it needs any of {', '.join(EVERY_POST)}; --columns maps other names"
        )
    return LabelledPosts(path, examples, keys, synthetic)


def _numbered(path: Path) -> Iterator[tuple[int, Record]]:
    with open_records(path) as records:
        for number, record in enumerate(records, 1):
            if isinstance(record, RecordError):
                raise InputError(f"{path}, record {number}: {record}")
            yield number, record


def _renamed(record: Record, columns: Mapping[str, str]) -> Record:
    kept = {name: value for name, value in record.items() if name not in columns and name not in set(columns.values())}
    return kept | {ours: record[theirs] for theirs, ours in columns.items() if theirs in record}


def _key_fields(record: Record) -> Record:
    """The source and the id of a record, where they are given and can be written out again."""
    kept = {name: record[name] for name in _KEY_FIELDS if isinstance(record.get(name), int | str)}
    return {name: value for name, value in kept.items() if value != "" and is_unicode(str(value))}


def _key(fields: Record) -> str | None:
    """The id without the source, which an exported CSV writes before it."""
    return str(fields["id"]).removeprefix(f"{fields.get('source')}:") if "id" in fields else None


def read_predictions(path: Path, posts: LabelledPosts) -> list[Record]:
    """The answers of a file to labelled posts, in the order of the posts: the scored heads and, where given, scores.

    They are matched by id where every post and every answer has one, and by row where not; a text that stands beside
    a row must then be the post's. Raises InputError where one is wrong, missing or too many, or a head is not answered.
    """
    answers, keys, texts = [], [], []
    fields: set[str] = set()
    for number, record in _numbered(path):
        fields |= record.keys()
        try:
            answers.append(_answer(record))
            texts.append(clean(record["text"]) if isinstance(record.get("text"), str) else None)
        except InputError as error:
            raise InputError(f"{path}, record {number}: {error}") from None
        keys.append(_key(_key_fields(record)))
    if len(answers) != len(posts.examples):
        raise InputError(
            f"{path} must have one prediction for each of the {len(posts.examples):,} posts of {posts.path}, not {len(answers):,}"
        )
    for head in SCORED:
        if head not in fields and any(head in example.labels for example in posts.examples):
            raise InputError(
                f"{path} does not answer {head}, which {posts.path} asks; add it, or take the column out there"
            )
    order = _matched(path, keys, texts, posts)
    for index, example in zip(order, posts.examples, strict=True):
        for head in EVERY_POST:
            if head in example.labels and head not in answers[index]:
                raise InputError(f"{path}, record {index + 1}: {head} is missing")
    return [answers[index] for index in order]


def _matched(path: Path, keys: list[str | None], texts: list[str | None], posts: LabelledPosts) -> list[int]:
    """For each post the index of its answer."""
    wanted = [_key(fields) for fields in posts.keys]
    if None in keys or None in wanted:
        for index, (text, example) in enumerate(zip(texts, posts.examples, strict=True)):
            if text is not None and text.split() != example.text.split():
                raise InputError(
                    f"{path}, record {index + 1}: its text is not that of the post in the same row of {posts.path}; "
                    "bring both into one order, give both an id, or leave text out"
                )
        return list(range(len(keys)))
    places = _places(path, keys)
    _places(posts.path, wanted)
    if missing := [number for number, key in enumerate(wanted, 1) if key not in places]:
        raise InputError(f"{path} has no prediction with the id of {posts.path}, record {missing[0]}")
    return [places[key] for key in wanted]


def _places(path: Path, keys: Sequence[str | None]) -> dict[str | None, int]:
    places: dict[str | None, int] = {}
    for index, key in enumerate(keys):
        if key in places:
            raise InputError(
                f"{path}, records {places[key] + 1} and {index + 1} have one id; make ids differ, or leave them out to match by row"
            )
        places[key] = index
    return places


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


def check_place(path: Path, inputs: Sequence[Path | None]) -> None:
    """Raise InputError, before the work rather than after it, where a file cannot be written or is one that is read."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; make it first")
    if path.exists():
        if not path.is_file():
            raise InputError(f"{path} is not a plain file; name one")
        if any(other is not None and other.exists() and path.samefile(other) for other in inputs):
            raise InputError(f"{path} is read by this command; write to another file")
    draft = _draft(path)
    try:
        draft.open("w").close()
        draft.unlink()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def write_whole(path: Path, content: str) -> None:
    """Write the file as UTF-8, whole or not at all. Raises InputError where it cannot be written."""
    draft = _draft(path)
    try:
        draft.write_text(content, encoding="utf-8")
        draft.replace(path.resolve())
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def _draft(path: Path) -> Path:
    """Beside the file itself, where a link leads to it, so that the link stays."""
    target = path.resolve()
    return target.with_name(target.name + ".part")
