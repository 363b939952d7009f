"""`tracker import` stopped anywhere: the next one goes on behind the last batch, and ends as if it had never been stopped."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from test_import import GOOD, POSTS, Import, importing, line, lines, parquet, table, told, x_page, zst

from collector.importing import BATCH_POSTS
from data.files import Position, open_values
from data.rows import POSTS_BEFORE_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["importing"]

MANY = 3 * BATCH_POSTS + 600
assert MANY > POSTS_BEFORE_PROCESSES
assert MANY % 7 != 1  # the last is of X, too


def many_posts(count: int = MANY) -> list[dict[str, str]]:
    return [
        {
            "source": "x" if number % 7 else "reddit",
            "id": str(number),
            "created_at": f"2026-03-{1 + number % 5:02}T06:00:00Z",
            "text": f"eCitizen iko chini, nipigie 0712{number:06}",
            "author": f"mtu_{number % 900}",
        }
        for number in range(count)
    ]


def start(importing: Import, *words: object) -> subprocess.Popen[str]:
    environment = {
        "TRACKER_DATABASE_URL": f"sqlite:///{importing.folder / 'posts.db'}",
        "TRACKER_PSEUDONYM_KEY": KEY,
        "TRACKER_NOW": NOW.isoformat(),
    }
    command = [sys.executable, "-m", "tracker", "import", *map(str, words), "--json"]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def cursors(importing: Import) -> list[dict[str, Any]]:
    if not (importing.folder / "posts.db").exists():
        return []
    try:
        found = importing._select("SELECT cursor FROM cursors WHERE source = 'import'")
    except (
        sqlite3.OperationalError
    ) as error:  # before the tables are there, or while the other process makes the file WAL
        assert "no such table" in str(error) or "disk I/O error" in str(error)
        return []
    return [json.loads(cursor) for (cursor,) in found]


def kill_after_batches(importing: Import, path: Path, batches: int) -> dict[str, Any]:
    """Starts an import, kills it once so many batches are stored, and returns where it was."""
    process = start(importing, path)
    while not any(cursor["read"] >= batches * BATCH_POSTS for cursor in cursors(importing)):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.005)
    called_in = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert called_in, "it redacts in processes of its own"
    until = time.monotonic() + 60
    while any(is_running(pid) for pid in called_in):
        assert time.monotonic() < until, "a process outlives the command that was killed"
        time.sleep(0.05)
    (cursor,) = cursors(importing)
    return cursor


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def damaged(content: bytes) -> bytes:
    """Three lines that are no posts: in the first batch, the second and the last."""
    kept = content.split(b"\n")
    for at in (MANY - 3, BATCH_POSTS + 1_000, 40):
        kept.insert(at, b"{broken")
    return b"\n".join(kept)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["JSONL", "zst", "CSV"])
def test_a_killed_import_goes_on_where_it_was_and_ends_as_if_never_stopped(importing: Import, kind: str) -> None:
    posts = many_posts()
    content = {"JSONL": lambda: damaged(lines(*posts)), "zst": lambda: zst(damaged(lines(*posts))), "CSV": lambda: damaged(table(posts, lineterminator="\n"))}[kind]()  # fmt: skip
    path = importing.file(content, "posts.csv" if kind == "CSV" else "posts.jsonl")
    cursor = kill_after_batches(importing, path, 1)
    before = len(importing.stored())
    assert cursor["read"] - cursor["skipped"] == before
    result = importing.run(path, "--json")
    (resumed,) = [each for each in result.stderr.splitlines() if "resumed" in each]
    assert f"number {cursor['number']:,}:" in resumed
    assert f"{cursor['read']:,} records" in resumed
    counts = json.loads(result.stdout)
    assert counts == {"read": MANY + 3, "new": MANY - before, "duplicate": before, "skipped": 3, "dropped": 0}
    # What the killed one told is not told again; what it told after its last batch is, with the same number.
    assert len(told(result)) == 3 - cursor["skipped"]
    assert told(result)[-1].startswith(f"skipped: {path}, line {MANY}: ")
    assert cursors(importing) == []
    stopped = importing.stored("text, fingerprint, author, author_handle, created_at"), importing.coverage()

    (importing.folder / "posts.db").unlink()
    assert importing.counts(path) == counts | {"new": MANY, "duplicate": 0}
    assert (importing.stored("text, fingerprint, author, author_handle, created_at"), importing.coverage()) == stopped
    assert stopped[0]["x:1"][0] == "eCitizen iko chini, nipigie <PHONE>"


@pytest.mark.campaign
def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_doubled(importing: Import) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    path = importing.file(lines(*many_posts()))
    for _ in range(4):
        process = start(importing, path)
        try:
            process.wait(draw.uniform(1, 6))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        stored = importing.stored() if cursors(importing) else {}
        assert all(cursor["read"] <= len(stored) for cursor in cursors(importing))
    counts = importing.counts(path)
    assert (counts["read"], counts["new"] + counts["duplicate"]) == (MANY, MANY)
    assert len(importing.stored()) == MANY


def test_ctrl_c_ends_it_with_one_line_and_it_goes_on_later(importing: Import) -> None:
    path = importing.file(lines(*many_posts()))
    process = start(importing, path)
    while not cursors(importing):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1] == "stopped"
    assert "resumed" in importing.run(path).stderr
    assert len(importing.stored()) == MANY


def test_a_file_that_was_moved_goes_on_and_one_that_was_changed_begins_anew(importing: Import) -> None:
    path = importing.file(lines(*many_posts()))
    kill_after_batches(importing, path, 1)
    database, kept = importing.folder / "posts.db", importing.folder / "kept.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(database, kept)
    moved = path.rename(importing.folder / "elsewhere.jsonl")
    assert "resumed" in importing.run(moved).stderr

    for left in importing.folder.glob("posts.db-*"):
        left.unlink()
    shutil.copy(kept, database)
    assert cursors(importing)
    content = moved.read_bytes()
    at = content.index(b'"id": "2321"')
    changed = content[:at] + b'"id": "X321"' + content[at + 12 :]
    assert len(changed) == len(content)
    moved.write_bytes(changed)
    result = importing.run(moved, "--json")
    assert "resumed" not in result.stderr
    assert json.loads(result.stdout)["read"] == MANY
    assert len(importing.stored()) == MANY + 1


def test_strict_names_the_bad_line_of_an_earlier_run_again(importing: Import) -> None:
    path = importing.file(damaged(lines(*many_posts())))
    cursor = kill_after_batches(importing, path, 1)
    assert cursor["skipped"] == 1
    result = importing.run(path, "--strict", status=2)
    assert "resumed" not in result.stderr
    assert told(result)[-1].startswith(f"error: {path}, line 41: ")


def test_what_was_erased_meanwhile_stays_out(importing: Import, tracker: Callable[..., Any]) -> None:
    path = importing.file(lines(*many_posts()))
    kill_after_batches(importing, path, 1)
    first, last = "x:1", f"x:{MANY - 1}"
    for post in (first, last):
        assert tracker("erase", "--post", post).returncode == 0
    counts = importing.counts(path)
    assert counts["dropped"] == 1  # the other was stored by the run that was killed, and is among its posts
    assert counts["read"] == counts["new"] + counts["duplicate"] + counts["skipped"] + counts["dropped"] == MANY
    assert {first, last} & importing.stored().keys() == set()
    assert len(importing.stored()) == MANY - 2


def test_doctor_tells_of_an_import_that_was_stopped(importing: Import, tracker: Callable[..., Any]) -> None:
    path = importing.file(lines(*many_posts()))
    kill_after_batches(importing, path, 1)
    checks = json.loads(tracker("doctor", "--json").stdout)["checks"]
    (found,) = [check for check in checks if check["name"] == "import"]
    assert found["state"] == "warning"
    assert "was stopped" in found["says"]
    importing.run(path)
    checks = json.loads(tracker("doctor", "--json").stdout)["checks"]
    assert not [check for check in checks if check["name"] == "import"]


def test_a_pipe_is_imported_whole_each_time(importing: Import) -> None:
    pipe = importing.folder / "pipe"
    os.mkfifo(pipe)
    for new in (3, 0):
        process = start(importing, pipe)
        pipe.write_bytes(lines(*GOOD))
        stdout, _ = process.communicate(timeout=120)
        assert json.loads(stdout) == {"read": 3, "new": new, "duplicate": 3 - new, "skipped": 0, "dropped": 0}
    assert cursors(importing) == []


# Reading on from any place gives what reading the whole gives from there.
_BROKEN = b'x,9,2026-03-05T06:00:00Z,"eCitizen\n'
_HEADER = b"source,id,created_at,text\n"
_ROWS = b'x,1,2026-03-05T06:00:00Z,"a\r\nb"\nx,2,2026-03-05T06:00:00Z,c\n'
READ_ON = {
    "JSONL": lines(*POSTS, b"{broken", b"", x_page(), *POSTS),
    "JSONL with BOM, CRLF and no last line end": (b"\xef\xbb\xbf" + lines(*POSTS, b"", *GOOD).replace(b"}\n", b"}\r\n"))[:-2],
    "JSONL with a long line": lines(GOOD[0], line({"text": "e" * 17_000_000}), GOOD[1], GOOD[2]),
    "a JSON list": json.dumps([*POSTS, 5, x_page()]).encode(),
    "lines that look like a document": b"[\n" + lines(*POSTS),
    "CSV": table(POSTS * 3),
    "CSV with broken rows": _HEADER + _ROWS + _BROKEN + _ROWS + _BROKEN + _BROKEN + _ROWS,
    "CSV with a long line": _HEADER + _ROWS + b"e" * 17_000_000 + b"\n" + _ROWS,
    "TSV with quotes that do not close": (_HEADER + _ROWS + _BROKEN + _ROWS).replace(b",", b"\t"),
    "zst": zst(lines(*POSTS * 3), frame=40),
    "CSV in zst": zst(table(POSTS * 3)),
    "Parquet": parquet(POSTS * 5, row_group_size=4),
}  # fmt: skip


@pytest.mark.parametrize("content", READ_ON.values(), ids=READ_ON.keys())
def test_reading_on_from_any_place_gives_the_rest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    columns = ("created_at", "id", "text")

    def read(position: Position) -> list[tuple[str, str, int, int]]:
        with open_values(path, columns, position) as values:
            return [(place, str(value)[:3_000], position.number, position.byte) for place, value in values]

    whole = read(Position())
    assert len(whole) > 3
    for count in range(len(whole)):
        _, _, number, byte = whole[count]
        assert read(Position(number, byte)) == whole[count + 1 :]


_CELLS = st.text(alphabet='ab"\n\r,\t é', max_size=6)


@settings(max_examples=300)
@given(rows=st.lists(st.lists(_CELLS, min_size=1, max_size=5), max_size=8), tabs=st.booleans(), data=st.data())
def test_reading_on_in_any_table_gives_the_rest(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], tabs: bool, data: st.DataObject
) -> None:
    delimiter = "\t" if tabs else ","
    path = tmp_path_factory.getbasetemp() / "random.table"
    head = delimiter.join(("created_at", "id", "text", "source")) + "\n"
    path.write_text(head + "".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8", newline="")

    def read(position: Position) -> list[tuple[str, str, int, int]]:
        with open_values(path, ("id", "text"), position) as values:
            return [(place, str(value), position.number, position.byte) for place, value in values]

    whole = read(Position())
    if whole:
        count = data.draw(st.integers(0, len(whole) - 1))
        _, _, number, byte = whole[count]
        assert read(Position(number, byte)) == whole[count + 1 :]
