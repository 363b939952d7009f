"""Files of records: read as a stream in whatever format they come (found by itself), and written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import zstandard

from data.errors import InputError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

MAX_LINE_BYTES = 16 * 1024 * 1024  # an X page with every expansion stays under 2 MB
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
_SNIFFED_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_READ_BYTES = 4096  # the most dense stream makes 128 MiB of it
_SKIPPED_BYTES = 1024 * 1024  # at a time
_PARQUET_ROWS = 10_000  # at a time
_PARQUET_BUFFER_BYTES = 1024 * 1024  # of each column; without it a row group is read whole
_FOREIGN = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP or Excel file; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save the sheet as CSV",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"SQLite format 3": "a SQLite database",
    b"\x7fELF": "a program",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}
_TABLES = {".csv", ".tsv"}

# A line, row or item number for messages, and the JSON value or row that stands there, or why there is none.
Placed = tuple[str, Any]


@dataclass(slots=True)
class Position:
    """How far a file was read: the number of the last line, row or item, and the byte behind it in the unpacked text."""

    number: int = 0
    byte: int = 0  # 0 in formats that are not read by lines
    share: Callable[[], float] = lambda: 0.0  # of the file, for people: 0 to 1


@contextmanager
def open_values(
    path: Path, columns: Collection[str] = (), position: Position | None = None
) -> Iterator[Iterator[Placed]]:
    """The values of a JSONL, JSON, CSV, TSV or Parquet file, or of a zstd stream of all but the last, with their places.

    A table must have the `columns`. Raises InputError where the file is missing, a folder, empty or of no known format.
    The file is opened once and read forward only, so that a pipe will do (for all but Parquet). Reading begins behind
    `position`, which then moves along: when a value is given, it is behind that value.
    """
    position = position or Position()
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file")
        raw = path.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    with raw, io.BufferedReader(_Filling(raw), _SNIFFED_BYTES) as file:
        start = file.peek(_SNIFFED_BYTES)
        if not start:
            raise InputError(f"{path} is empty")
        for magic, what in _FOREIGN.items():
            if start.startswith(magic):
                raise InputError(f"{path} is {what}: expected JSONL, JSON, CSV, TSV or Parquet")
        size = path.stat().st_size
        position.share = lambda: raw.tell() / size if size else 0.0
        if start.startswith(b"PAR1"):
            yield _parquet(path, columns, position)
        elif start.startswith(_ZSTD):
            try:
                values = _text_values(path, io.BufferedReader(_Zstd(file), _SNIFFED_BYTES), columns, position)
            except zstandard.ZstdError as error:
                raise InputError(f"{path}: the zstd stream is damaged or cut off ({error})") from None
            yield _zstd_errors(values)
        else:
            yield _text_values(path, file, columns, position)


@contextmanager
def open_records(path: Path, columns: Collection[str] = ()) -> Iterator[Iterator[Placed]]:
    """As `open_values`, where every value must be an object: one that is none becomes a RecordError."""
    with open_values(path, columns) as values:
        yield ((place, _record(value)) for place, value in values)


def _record(value: Any) -> dict[str, Any] | RecordError:
    if isinstance(value, dict | RecordError):
        return value
    return RecordError(f"expected a JSON object, found {type(value).__name__}")


class _Filling(io.RawIOBase):
    """A file of which each read gives as much as was asked for, so that a look at a pipe's start shows all of it."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Whether it is a file, not a pipe."""
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or what there is."""
        view = memoryview(buffer)
        filled = 0
        while filled < len(view) and (count := self._file.readinto(view[filled:])):
            filled += count
        return filled


class _Zstd(io.RawIOBase):
    """The content of a zstd stream, frame after frame; other than zstandard's reader it tells of a last frame cut off."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Reddit's archives are written with a window of 2 GB.
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=2**31)
        self._frame: Any = None
        self._left = b""  # read from the file and not yet decompressed
        self._ready: bytes | memoryview = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or what there is. Raises ZstdError where nothing more can be had."""
        filled = 0
        while filled < len(buffer):
            try:
                if not self._ready and not self._decompress():
                    break
            except zstandard.ZstdError:
                if filled:
                    break  # raised again at the next call
                raise
            count = min(len(buffer) - filled, len(self._ready))
            buffer[filled : filled + count] = self._ready[:count]
            self._ready = self._ready[count:]
            filled += count
        return filled

    def _decompress(self) -> bool:
        """Read on; False at the end of the stream."""
        chunk = self._left or self._file.read(_ZSTD_READ_BYTES)
        if not chunk:
            if self._frame is not None:
                raise zstandard.ZstdError("the last frame has no end")
            return False
        self._left = chunk  # until it could be read
        self._frame = self._frame or self._decompressor.decompressobj()
        self._ready = memoryview(self._frame.decompress(chunk))
        self._left = b""
        if self._frame.eof:
            self._left, self._frame = self._frame.unused_data, None
        return True


def _zstd_errors(values: Iterator[Placed]) -> Iterator[Placed]:
    try:
        yield from values
    except zstandard.ZstdError as error:
        yield (
            "end of file",
            RecordError(f"the zstd stream is damaged or cut off ({error}); what came before it is kept"),
        )


def _text_values(
    path: Path, file: io.BufferedReader[Any], columns: Collection[str], position: Position
) -> Iterator[Placed]:
    start = file.peek(_SNIFFED_BYTES)
    body = start.removeprefix(_BOM).lstrip()
    if not body:
        raise InputError(f"{path} holds only white space")
    if body[:1] in b"{[":
        if body[:1] == b"[" or _spans_lines(body):
            return _document(path, file, position, or_lines=_looks_like_lines(start))
        return _json_lines(file, position)
    ending = path.suffix.lower()
    header = body.split(b"\n", 1)[0].decode(errors="replace")
    delimiter = "\t" if "\t" in header or ending == ".tsv" else ","
    if columns:
        is_table = {name.strip().strip('"') for name in header.split(delimiter)} >= set(columns)
    else:
        is_table = ending in _TABLES or not _looks_like_lines(start)
    if is_table:
        return _table(path, file, delimiter, position)
    if _looks_like_lines(start):
        return _json_lines(file, position)
    hint = "; its columns are parted by semicolons, where commas are expected" if ";" in header else ""
    raise InputError(
        f"{path} is of no known format: expected JSONL, JSON, Parquet, or CSV or TSV with the column"
        f"{'s' * (len(columns) > 1)} {', '.join(columns)}{hint}"
    )


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _looks_like_lines(start: bytes) -> bool:
    """Whether any of the first whole lines is a JSON object: the others are then broken records, not another format."""
    return any(_is_json(line) for line in start.split(b"\n")[:100])


def _spans_lines(body: bytes) -> bool:
    """Whether the JSON is one document spread over lines, such as a saved answer, and not a record a line."""
    lines = [line for line in body.split(b"\n")[:100] if line.strip()]
    return (
        not any(_is_json(line) for line in lines)
        and len(lines) > 1
        and lines[0].strip() in {b"{", b'{"data": [', b'{"data":['}
    )


def _lines(file: IO[bytes], number: int = 0, end: int = 0, at: int = 0) -> Iterator[tuple[int, bytes | None, int]]:
    """Numbered lines without the BOM, and the byte behind each; None for one longer than MAX_LINE_BYTES.

    They begin behind the line and the byte given; `at` is where the file is.
    """
    if file.seekable():
        file.seek(end)
    else:
        left = end - at  # a pipe or a compressed file
        while left and (skipped := file.read(min(left, _SKIPPED_BYTES))):
            left -= len(skipped)
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        end += len(line)
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                end += len(rest)
            end += len(rest)
            yield number, None, end
        else:
            yield number, line.removeprefix(_BOM) if number == 1 else line, end


def _json_lines(file: IO[bytes], position: Position) -> Iterator[Placed]:
    for number, line, end in _lines(file, position.number, position.byte):
        position.number, position.byte = number, end
        place = f"line {number}"
        if line is None:
            yield place, RecordError(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB")
            continue
        if not line.strip():
            continue
        try:
            yield place, json.loads(line.decode())
        except UnicodeDecodeError as error:
            yield place, RecordError(f"not UTF-8 at byte {error.start + 1}")
        except json.JSONDecodeError as error:
            what = "a NUL byte" if b"\0" in line else "broken JSON"
            yield place, RecordError(f"{what} at character {error.pos + 1}: {error.msg}")
        except RecursionError:
            yield place, RecordError("the JSON is nested too deeply")
        except ValueError as error:
            yield place, RecordError(f"broken JSON: {error}")


def _document(path: Path, file: IO[bytes], position: Position, *, or_lines: bool) -> Iterator[Placed]:
    """The items of one JSON document; where it is none, and `or_lines`, its lines."""
    content = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"{path} is one JSON document of more than {MAX_DOCUMENT_BYTES // 2**20} MiB; write it as JSONL"
        )
    try:
        value = json.loads(content.removeprefix(_BOM).decode())
    except (ValueError, RecursionError) as error:
        if or_lines:
            return _json_lines(io.BytesIO(content), position)
        if isinstance(error, UnicodeDecodeError):
            raise InputError(f"{path} is not UTF-8 at byte {error.start + 1}") from None
        if isinstance(error, json.JSONDecodeError):
            raise InputError(f"{path}, line {error.lineno}: broken JSON: {error.msg}") from None
        raise InputError(f"{path}: broken JSON: {type(error).__name__}") from None
    return _items(value if isinstance(value, list) else [value], position)


def _items(items: list[Any], position: Position) -> Iterator[Placed]:
    for item in items[position.number :]:
        position.number += 1
        yield f"item {position.number}", item


def _table(path: Path, file: IO[bytes], delimiter: str, position: Position) -> Iterator[Placed]:
    """The rows of a table. Where quotes do not close, reading begins again behind the row's first line, so that no row
    is swallowed; that line is broken in CSV, and in TSV, which many programs write without quotes, read as it stands."""
    lines = _lines(file)
    again: list[tuple[int, bytes | None, int]] = []  # to be read a second time, the next one last
    taken: list[tuple[int, bytes | None, int]] = []  # what the row at hand was read from

    def feed() -> Iterator[str]:
        while item := again.pop() if again else next(lines, None):
            taken.append(item)
            number, line, _ = item
            if line is None:
                raise csv.Error(f"line {number} is longer than {MAX_LINE_BYTES // 2**20} MiB")
            yield _decoded(line)

    csv.field_size_limit(MAX_LINE_BYTES)
    names: list[str] = []
    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            (number, line, _), *rest = taken
            again += reversed(rest)
            del taken[1:]
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
            if delimiter == "," or line is None:
                if not names:
                    raise InputError(f"{path}, line {number}: broken header: {error}") from None
                position.number, _, position.byte = taken[-1]
                yield f"line {number}", RecordError(f"broken CSV: {error}")
                continue
            cells = _decoded(line).rstrip("\r\n").split(delimiter)
        if not names:
            names = [name.strip() for name in cells]
            for second, name in enumerate(names):
                if name and (first := names.index(name)) < second:
                    raise InputError(f"{path}: columns {first + 1} and {second + 1} have one name; rename one")
            if position.byte:
                at = max(end for *_, end in (*taken, *again))
                again.clear()
                lines = _lines(file, position.number, position.byte, at)
        elif cells:
            position.number, _, position.byte = taken[-1]
            yield f"line {taken[0][0]}", _row(names, cells, delimiter)


def _decoded(line: bytes) -> str:
    """What is not UTF-8 becomes lone surrogates, which are reported with their row."""
    return line.decode("utf-8", "surrogateescape")


def _row(names: Sequence[str], cells: Sequence[str], delimiter: str) -> dict[str, Any] | RecordError:
    if len(cells) != len(names):
        more = len(cells) > len(names)
        hint = "; put text that holds a comma in quotes" if more and delimiter == "," else ""
        if len(names) == 1 and ";" in names[0]:
            hint = "; its columns are parted by semicolons, where commas are expected"
        return RecordError(f"{'more' if more else 'fewer'} cells than the header has columns{hint}")
    for number, cell in enumerate(cells, 1):
        if not is_unicode(cell):
            # Not by its name: in a table without a header that is a post's text.
            return RecordError(f"column {number} is not UTF-8")
    return dict(zip(names, map(_unguarded, cells), strict=True))


def _unguarded(cell: str) -> str:
    """An exported cell that a spreadsheet would run as a formula carries an apostrophe in front."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parquet(path: Path, columns: Collection[str], position: Position) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path} is a Parquet file in a pipe, where it cannot be read; name the file itself")
    try:
        file = pq.ParquetFile(path, buffer_size=_PARQUET_BUFFER_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}") from None
    missing = set(columns) - set(file.schema_arrow.names)
    if missing:
        raise InputError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(sorted(missing))}")

    total = file.metadata.num_rows
    position.share = lambda: position.number / total if total else 0.0

    def rows() -> Iterator[Placed]:
        end = 0
        for group in range(file.num_row_groups):
            number, end = end, end + file.metadata.row_group(group).num_rows
            if end <= position.number:
                continue
            try:
                for batch in file.iter_batches(batch_size=_PARQUET_ROWS, row_groups=[group]):
                    known = min(max(position.number - number, 0), len(batch))
                    number += known
                    for record in _parquet_records(batch.slice(known)):
                        number += 1
                        position.number = number
                        yield f"row {number}", record
            except (pa.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0]
                position.number = end
                yield f"rows {number + 1} to {end}", RecordError(f"the Parquet file is damaged here: {reason}")

    return rows()


def _parquet_records(batch: Any) -> list[dict[str, Any] | RecordError]:
    try:
        return list(batch.to_pylist())
    except (ValueError, OverflowError) as error:  # text that is not UTF-8, a time that no calendar has
        if len(batch) == 1:
            return [RecordError(f"a cell cannot be read: {type(error).__name__}")]
        return [record for index in range(len(batch)) for record in _parquet_records(batch.slice(index, 1))]


def check_place(path: Path, inputs: Sequence[Path | None] = ()) -> None:
    """Raise InputError, before the work rather than after it, where a file cannot be written or is one that is read."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file")
        if not path.parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist; make it first")
        if path.exists():
            if not path.is_file():
                raise InputError(f"{path} is not a plain file; name one")
            if any(other is not None and other.exists() and path.samefile(other) for other in inputs):
                raise InputError(f"{path} is read by this command; write to another file")
        with draft_of(path, replace=False) as draft:
            draft.open("w").close()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


@contextmanager
def draft_of(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """A file to write into that takes the place of `path` at the end, and is gone where anything was raised before.

    It stands beside the file itself, where a link leads to it, so that the link stays.
    """
    target = path.resolve()
    draft = target.with_name(target.name + ".part")
    try:
        yield draft
        if replace:
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: str) -> None:
    """Write the file as UTF-8, whole or not at all. Raises InputError where it cannot be written."""
    try:
        with draft_of(path) as draft:
            draft.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
