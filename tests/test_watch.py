"""`tracker watch`: files as they are dropped, each once and whole, through the command and into a real store."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW

from collector.folder import WATCH, Folder
from collector.runner import Stopped
from data.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from data.store import Store


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def tickets(count: int, start: int = 0) -> list[dict[str, str]]:
    return [
        {"id": f"T-{number}", "created_at": "2026-03-05T09:12:00+03:00", "text": f"eCitizen haifunguki {number}"}
        for number in range(start, start + count)
    ]


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def stored(tmp_path: Path, column: str = "id") -> list[str]:
    connection = sqlite3.connect(tmp_path / "posts.db")
    found = [row[0] for row in connection.execute(f"SELECT {column} FROM posts ORDER BY id")]
    connection.close()
    return found


def events(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines()]


def names(told: str) -> list[str]:
    return [event["event"] for event in events(told)]


def test_files_are_imported_once_whatever_their_name(tracker: Callable[..., Any], inbox: Path, tmp_path: Path) -> None:
    write_csv(inbox / "march.csv", tickets(3))
    write_jsonl(inbox / "april.jsonl", [row | {"source": "facebook"} for row in tickets(2, 10)])
    first = tracker("watch", inbox, "--source", "care_desk", "--once")
    assert first.returncode == 0, first.stderr
    assert names(first.stderr) == ["watching", "file imported", "file imported"]
    assert stored(tmp_path) == ["T-0", "T-1", "T-10", "T-11", "T-2"]
    assert stored(tmp_path, "source").count("facebook") == 2
    (inbox / "march.csv").rename(inbox / "march again.csv")
    second = tracker("watch", inbox, "--source", "care_desk", "--once")
    assert names(second.stderr) == ["watching", "file known", "file known"]
    # What was added to it is imported, and what was there stays as it is.
    write_csv(inbox / "march again.csv", tickets(4))
    third = events(tracker("watch", inbox, "--source", "care_desk", "--once").stderr)
    assert [(each.get("new"), each.get("duplicate")) for each in third if each["event"] == "file imported"] == [(1, 3)]


def test_what_cannot_be_used_is_told_and_left_and_the_others_are_read(
    tracker: Callable[..., Any], inbox: Path, tmp_path: Path
) -> None:
    (inbox / "broken.csv").write_text("name,phone\nsiri,0712345678\n")
    (inbox / "empty.csv").write_text("")
    (inbox / ".hidden.csv").write_text("x")
    (inbox / "copying.csv.part").write_text("id,created_at,text\n")
    (inbox / "folder").mkdir()
    write_csv(inbox / "some.csv", [*tickets(1), {"id": "T-9", "created_at": "siri", "text": "x"}])
    done = tracker("watch", inbox, "--source", "care_desk", "--once")
    assert done.returncode == 2
    told = events(done.stderr)
    assert [each["event"] for each in told] == [
        "watching",
        "file unusable",
        "record skipped",
        "file imported",
        "file not whole",
    ]
    assert [each["file"].rpartition("/")[2] for each in told if "file" in each] == [
        "broken.csv",
        "some.csv",
        "empty.csv",
    ]
    assert stored(tmp_path) == ["T-0"]
    assert "siri" not in done.stderr and "0712345678" not in done.stderr
    assert len(list(inbox.iterdir())) == 6


def test_no_folder_and_one_that_is_taken_away(tracker: Callable[..., Any], inbox: Path, store: Store) -> None:
    missing = tracker("watch", inbox / "none")
    assert missing.returncode == 2 and "make it first" in missing.stderr
    folder = Folder(inbox, store, lambda: NOW, lambda _seconds: False, settle_seconds=0)
    inbox.rmdir()
    with pytest.raises(Exception, match="cannot be read"):
        folder.run()


def test_a_file_is_read_only_when_it_has_stopped_growing(inbox: Path, store: Store, tmp_path: Path) -> None:
    """The folder is looked at through waits of our own, in each of which the file grows, until it has not for once."""
    path = inbox / "march.csv"
    write_csv(path, tickets(1))
    growing = iter([tickets(2), tickets(3), None, None])
    states = []

    def wait(seconds: float) -> bool:
        if not seconds:
            return False
        states.append(stored(tmp_path))
        more = next(growing, "end")
        if more == "end":
            return True
        if isinstance(more, list):
            write_csv(path, more)
            os.utime(path, ns=(0, len(states)))  # a file system may tell no moments so close together apart
        return False

    folder = Folder(inbox, store, lambda: NOW, wait, "care_desk", settle_seconds=1e-9)
    with pytest.raises(Stopped):
        folder.run()
    assert states == [[], [], [], ["T-0", "T-1", "T-2"], ["T-0", "T-1", "T-2"]]


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(inbox: Path, store: Store, tmp_path: Path) -> None:
    path = inbox / "march.csv"
    write_csv(path, tickets(5_000))
    looks = 0

    def wait(seconds: float) -> bool:
        nonlocal looks
        if not seconds and path.stat().st_size > 1_000:  # between two batches of the import
            write_csv(inbox / ".new", tickets(1, 9_000))
            (inbox / ".new").replace(path)
        looks += seconds > 0
        return looks > 4

    folder = Folder(inbox, store, lambda: NOW, wait, "care_desk", settle_seconds=1e-9)
    with pytest.raises(Stopped):
        folder.run()
    assert "T-9000" in stored(tmp_path)
    with store.engine.connect() as connection:
        kept = connection.exec_driver_sql(f"SELECT cursor FROM cursors WHERE source = '{WATCH}'").scalars().all()
    assert kept == ['{"read":1,"new":1}']


def test_a_database_that_fails_is_outlasted_and_nothing_is_lost(
    inbox: Path, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(inbox / "march.csv", tickets(3))
    for table in ("cursors", "posts"):  # the first is read, the second written
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO away_{table}")
    pauses = []

    def wait(seconds: float) -> bool:
        if seconds < 60:
            return bool(pauses) and len(stored(tmp_path)) == 3
        pauses.append(seconds)
        with store.engine.begin() as connection:
            back = ["cursors", "posts"][len(pauses) - 1]
            connection.exec_driver_sql(f"ALTER TABLE away_{back} RENAME TO {back}")
        return False

    folder = Folder(inbox, store, lambda: NOW, wait, "care_desk", settle_seconds=1e-9)
    with pytest.raises(Stopped):
        folder.run()
    assert pauses == [300, 600]
    assert stored(tmp_path) == ["T-0", "T-1", "T-2"]
    said = capsys.readouterr().out
    assert said.count("database failed") == 2 and "eCitizen" not in said
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE posts RENAME TO away_posts")
    write_csv(inbox / "april.csv", tickets(3, 10))
    with pytest.raises(StoreError):  # once: it ends, as other commands do
        Folder(inbox, store, lambda: NOW, lambda _seconds: False, "care_desk", settle_seconds=1e-9).run(once=True)


@pytest.fixture
def watching(tmp_path: Path, inbox: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the command; what it started is ended after the test."""
    started: list[subprocess.Popen[str]] = []
    ours = {"TRACKER_DATABASE_URL": f"sqlite:///{tmp_path / 'posts.db'}", "TRACKER_PSEUDONYM_KEY": KEY}

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tracker", "watch", str(inbox), "--source", "care_desk"]
        environment = {**os.environ, **ours, "TRACKER_NOW": NOW.isoformat()}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    assert process.stderr is not None
    for line in process.stderr:
        told = json.loads(line)
        if told["event"] == event:
            return dict(told)
    raise AssertionError(f"{event} was never told")


def test_files_are_imported_as_they_come_until_it_is_stopped(
    watching: Callable[[], subprocess.Popen[str]], inbox: Path, tmp_path: Path
) -> None:
    process = watching()
    until(process, "watching")
    write_csv(inbox / "one.csv", tickets(2))
    assert until(process, "file imported")["new"] == 2
    write_jsonl(inbox / "two.jsonl", tickets(3, 10))
    assert until(process, "file imported")["new"] == 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert len(stored(tmp_path)) == 5


@pytest.mark.campaign
def test_killed_at_any_moment_and_started_again_each_record_is_stored_once(
    watching: Callable[[], subprocess.Popen[str]], inbox: Path, tmp_path: Path
) -> None:
    seed = 20_261_130
    print(f"seed {seed}")
    draw = random.Random(seed)
    write_csv(inbox / "large.csv", tickets(30_000))
    landed = []
    for _ in range(3):
        process = watching()
        until(process, "watching")
        most = draw.randint(1, 12) * 2_000
        while process.poll() is None:
            if (tmp_path / "posts.db").exists() and len(stored(tmp_path)) >= min(most, 29_000):
                break
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
        process.kill()
        process.wait()
        landed.append(len(stored(tmp_path)))
    process = watching()
    done = until(process, "file imported")
    print(landed)
    assert any(0 < count < 30_000 for count in landed)
    assert done["read"] == 30_000 and done["new"] + done["duplicate"] == 30_000
    assert len(stored(tmp_path)) == len(set(stored(tmp_path))) == 30_000
    process.kill()
    process.wait()
    until(watching(), "file known")
