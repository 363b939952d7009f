"""Files of posts in any format of INTERFACE.md, read as a stream of records; the format is found by itself.

Every format yields (place, record): the place is a line, row or item number for messages, the record is the shape
that `data.parse_post` takes, or a RecordError where the place holds none.
"""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

import zstandard

from collector.sources import reddit, x
from data.errors import InputError, RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_LINE_BYTES = 16 * 1024 * 1024  # an X page with every expansion stays under 2 MB
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
_SNIFFED_BYTES = 64 * 1024
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_READ_BYTES = 4096  # the most dense stream makes 128 MiB of it
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
_CSV_COLUMNS = {"id", "created_at", "text"}

Placed = tuple[str, "dict[str, Any] | RecordError"]


@contextmanager
def open_records(path: Path) -> Iterator[Iterator[Placed]]:
    """The records of a file. Raises InputError where it is missing, a folder, empty or of no known format."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the files in it")
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    with file:
        start = file.read(len(max(_FOREIGN, key=len)))
        file.seek(0)
        if not start:
            raise InputError(f"{path} is empty")
        for magic, what in _FOREIGN.items():
            if start.startswith(magic):
                raise InputError(f"{path} is {what}: expected JSONL, CSV, Parquet, X API pages or Reddit dumps")
        if start.startswith(b"PAR1"):
            yield _parquet(path)
        elif start.startswith(_ZSTD):
            try:
                records = _text_records(path, io.BufferedReader(_Zstd(file), _SNIFFED_BYTES))
            except zstandard.ZstdError as error:
                raise InputError(f"{path}: the zstd stream is damaged or cut off ({error})") from None
            yield _zstd_errors(records)
        else:
            yield _text_records(path, file)


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


def _zstd_errors(records: Iterator[Placed]) -> Iterator[Placed]:
    try:
        yield from records
    except zstandard.ZstdError as error:
        yield (
            "end of file",
            RecordError(f"the zstd stream is damaged or cut off ({error}); what came before it is kept"),
        )


def _text_records(path: Path, file: IO[bytes]) -> Iterator[Placed]:
    start = _peek(file)
    body = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not body:
        raise InputError(f"{path} holds only white space")
    if body[:1] not in b"{[":
        header = body.split(b"\n", 1)[0].decode(errors="replace")
        delimiter = "\t" if "\t" in header else ","
        columns = {name.strip().strip('"') for name in header.split(delimiter)}
        if columns >= _CSV_COLUMNS:
            return _csv(path, file, delimiter)
        if _looks_like_lines(start):
            return _json_lines(file)
        raise InputError(
            f"{path} is of no known format: expected JSONL, CSV with the columns source, id, created_at, text, "
            "Parquet with the same, X API pages, or Reddit listings and dumps"
        )
    if body[:1] == b"[" or _spans_lines(body):
        return _document(path, file, or_lines=_looks_like_lines(start))
    return _json_lines(file)


def _peek(file: IO[bytes]) -> bytes:
    if isinstance(file, io.BufferedReader) and not file.seekable():
        return file.peek(_SNIFFED_BYTES)
    start = file.read(_SNIFFED_BYTES)
    file.seek(0)
    return start


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


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None for one longer than MAX_LINE_BYTES."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def _json_lines(file: IO[bytes]) -> Iterator[Placed]:
    for number, line in _lines(file):
        place = f"line {number}"
        if line is None:
            yield place, RecordError(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            yield place, RecordError(f"not UTF-8 at byte {error.start + 1}")
        except json.JSONDecodeError as error:
            what = "a NUL byte" if b"\0" in line else "broken JSON"
            yield place, RecordError(f"{what} at character {error.pos + 1}: {error.msg}")
        except RecursionError:
            yield place, RecordError("the JSON is nested too deeply")
        except ValueError as error:
            yield place, RecordError(f"broken JSON: {error}")
        else:
            yield from _expand(place, value)


def _document(path: Path, file: IO[bytes], *, or_lines: bool) -> Iterator[Placed]:
    """The items of one JSON document; where it is none, and `or_lines`, its lines."""
    content = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"{path} is one JSON document of more than {MAX_DOCUMENT_BYTES // 2**20} MiB; write it as JSONL"
        )
    try:
        value = json.loads(content.removeprefix(b"\xef\xbb\xbf").decode())
    except (ValueError, RecursionError) as error:
        if or_lines:
            return _json_lines(io.BytesIO(content))
        if isinstance(error, UnicodeDecodeError):
            raise InputError(f"{path} is not UTF-8 at byte {error.start + 1}") from None
        if isinstance(error, json.JSONDecodeError):
            raise InputError(f"{path}, line {error.lineno}: broken JSON: {error.msg}") from None
        raise InputError(f"{path}: broken JSON: {type(error).__name__}") from None
    items = value if isinstance(value, list) else [value]
    return chain.from_iterable(_expand(f"item {number}", item) for number, item in enumerate(items, 1))


def _expand(place: str, value: Any) -> Iterator[Placed]:
    """One JSON value is a post, a page of X's answers, a Reddit listing, or an item of a Reddit archive."""
    if isinstance(value, dict):
        if x.is_page(value):
            yield from _placed(place, x.records(value))
            return
        if reddit.is_listing(value):
            yield from _placed(place, reddit.records(value))
            return
        if reddit.is_item(value):
            yield place, reddit.record(value)
            return
        yield place, value
        return
    yield place, RecordError(f"expected a JSON object, found {type(value).__name__}")


def _placed(place: str, records: Iterator[dict[str, Any] | RecordError]) -> Iterator[Placed]:
    for number, record in enumerate(records, 1):
        yield f"{place}, post {number}", record


def _csv(path: Path, file: IO[bytes], delimiter: str) -> Iterator[Placed]:
    """The rows of a table. Of a broken row the first line is left out and the reading begins again behind it, so that
    a quote which is never closed does not swallow the rows after it."""
    lines = _lines(file)
    again: list[tuple[int, bytes | None]] = []  # to be read a second time, the next one last
    taken: list[tuple[int, bytes | None]] = []  # what the row at hand was read from

    def feed() -> Iterator[str]:
        while item := again.pop() if again else next(lines, None):
            taken.append(item)
            number, line = item
            if line is None:
                raise csv.Error(f"line {number} is longer than {MAX_LINE_BYTES // 2**20} MiB")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            yield line.decode("utf-8", "surrogateescape").replace("\0", "\ufffe")

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
            if not names:
                raise InputError(f"{path}, line 1: broken CSV: {error}") from None
            first, *rest = taken
            again += reversed(rest)
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
            yield f"line {first[0]}", RecordError(f"broken CSV: {error}")
            continue
        if not names:
            names = [name.strip() for name in cells]
        elif cells:
            yield f"line {taken[0][0]}", _csv_record(names, cells)


def _csv_record(names: list[str], cells: list[str]) -> dict[str, Any] | RecordError:
    if len(cells) != len(names):
        return RecordError(f"{'more' if len(cells) > len(names) else 'fewer'} cells than the header has columns")
    row = dict(zip(names, cells, strict=True))
    for name, value in row.items():
        if "\ufffe" in value:
            return RecordError(f"{name} contains a NUL byte")
        try:
            value.encode()
        except UnicodeEncodeError:
            return RecordError(f"{name} is not UTF-8")
    return {name: _unguard(value) for name, value in row.items()}


def _unguard(cell: str) -> str:
    """An exported cell that a spreadsheet would run as a formula carries an apostrophe in front."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _parquet(path: Path) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}") from None
    missing = _CSV_COLUMNS - set(file.schema_arrow.names)
    if missing:
        raise InputError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(sorted(missing))}")

    def rows() -> Iterator[Placed]:
        number = 0
        for group in range(file.num_row_groups):
            end = number + file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(batch_size=10_000, row_groups=[group]):
                    for record in _parquet_records(batch):
                        number += 1
                        yield f"row {number}", record
            except (pa.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0]
                yield f"rows {number + 1} to {end}", RecordError(f"the Parquet file is damaged here: {reason}")
            number = end

    return rows()


def _parquet_records(batch: Any) -> list[dict[str, Any] | RecordError]:
    try:
        return list(batch.to_pylist())
    except (ValueError, OverflowError) as error:  # text that is not UTF-8, a time that no calendar has
        if len(batch) == 1:
            return [RecordError(f"a cell cannot be read: {type(error).__name__}")]
        return [record for index in range(len(batch)) for record in _parquet_records(batch.slice(index, 1))]
