"""A series of counts from a CSV file, and its scores into another."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from dashboard.detection import Floats

COLUMNS = ("timestamp", "value")
MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
# Beyond this a count is a slip of the pen, and its square would leave the range of a float.
MOST = 1e15


@dataclass(frozen=True)
class Series:
    """The rows of a file as they were written, with what they mean: seconds since 1970, and values with NaN where there was none."""

    written: list[tuple[str, str]]
    times: Floats
    values: Floats


def read_series(path: Path) -> Series:
    """The series of a CSV file with the columns `timestamp` (ISO 8601; without an offset UTC) and `value` in any order; others are left out.

    Raises InputError, with the line, where the file cannot be read or is no such series: no row, a time or value that is none,
    a negative or infinite value, times that do not rise. An empty value or NaN is a row where nobody looked.
    """
    written: list[tuple[str, str]] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, None)
            if header is None:
                raise InputError(f"{path} is empty; its first line must be timestamp,value")
            places = [header.index(name) if name in header else None for name in COLUMNS]
            at, value = places
            if at is None or value is None:
                raise InputError(f"{path} has the columns {', '.join(header)[:200]}; timestamp and value are needed")
            for row in rows:
                if not row:
                    continue
                if len(row) <= max(at, value):
                    raise InputError(f"{path} line {rows.line_num}: too few columns")
                written.append((row[at], row[value]))
                lines.append(rows.line_num)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path} line {rows.line_num}: {error}") from None
    if not written:
        raise InputError(f"{path} has no row below its header")
    times, values = _times([row[0] for row in written]), _values([row[1] for row in written])

    def refuse(wrong: NDArray[np.bool_], reason: str) -> None:
        if wrong.any():
            raise InputError(f"{path} line {lines[int(np.argmax(wrong))]}: {reason}")

    refuse(np.isnan(times), "the timestamp is not an ISO 8601 time, such as 2026-03-05T06:00:00+03:00")
    no_number = np.isnan(values)
    missing = np.fromiter((row[1].strip().lower() in MISSING for row in written), dtype=bool, count=len(written))
    refuse(no_number & ~missing, "the value is not a number; leave it empty where nobody looked")
    refuse(values < 0, "the value is negative; counts begin at 0")
    refuse(values > MOST, f"the value is above {MOST:.0e}")
    steps = np.diff(times, prepend=-np.inf)
    refuse(steps == 0, "the time of the row before comes again; add the two rows up or take one out")
    refuse(steps < 0, "the time lies before that of the row above; sort the rows by time")
    return Series(written, times, values)


def _times(texts: list[str]) -> Floats:
    """Seconds since 1970, NaN where a text is no time."""
    parsed = pd.to_datetime(pd.Series(texts, dtype="str"), format="ISO8601", utc=True, errors="coerce")
    found = parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(found), np.nan, found.astype(np.int64) / 1e6)


def _values(texts: list[str]) -> Floats:
    """Numbers, NaN where a text is none."""
    numbers = pd.to_numeric(pd.Series(texts, dtype="str").str.strip(), errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def write_scores(path: Path, series: Series, scores: Floats) -> None:
    """`timestamp,value,anomaly_score`, the first two as they were written; whole or not at all.

    Raises InputError where the folder does not exist or the path is one, OSError where the file cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the file to be written in it")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; make it first")
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow([*COLUMNS, "anomaly_score"])
            rows.writerows(
                (at, value, score) for (at, value), score in zip(series.written, scores.tolist(), strict=True)
            )
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
