from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import KEY, NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled import labels
from sqlalchemy import func, select, text

from data import tables
from data.errors import InputError, RecordError, StoreError
from data.official import parse_official
from data.pseudonyms import default_key_path
from data.records import Post
from data.settings import load_settings
from data.store import Span, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table

T = datetime(2026, 3, 5, 6, 0, tzinfo=UTC)
MODEL, OTHER = "ours@0123456789ab", "theirs@ba9876543210"


def post(number: int, text: str = "eCitizen imelala", **fields: Any) -> Post:
    return Post("x", str(number), T + timedelta(minutes=number), text, **fields)


def at(minute: float) -> datetime:
    return T + timedelta(minutes=minute)


def span(begin: float, end: float, gap: str | None = None) -> Span:
    return Span(at(begin), at(end), gap)


def rows(store: Store, table: Table) -> list[dict[str, Any]]:
    with store.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def texts(store: Store) -> dict[str, str]:
    return {row["id"]: row["text"] for row in rows(store, tables.posts)}


def spans(store: Store, source: str = "x", stream: str = "search") -> list[Span]:
    found = [row for row in rows(store, tables.coverage) if (row["source"], row["stream"]) == (source, stream)]
    return sorted(
        (Span(row["from_at"], row["to_at"], row["gap_reason"]) for row in found),
        key=lambda each: (each.from_at, each.gap_reason or ""),
    )


def run_sql(store: Store, statement: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(text(statement))


def processes(program: str, number: int, **environment: str) -> list[subprocess.CompletedProcess[str]]:
    """The same program several times, all let go at the same moment."""
    waiting = "import sys; from data.settings import load_settings; from data.store import open_store; "
    command = [sys.executable, "-c", f"{waiting} print('ready', flush=True); sys.stdin.read()\n{program}"]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    started = [subprocess.Popen(command, env=os.environ | environment, text=True, **pipes) for _ in range(number)]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    ended = [(process, *process.communicate(timeout=120)) for process in started]
    return [subprocess.CompletedProcess(command, each.returncode, out, err) for each, out, err in ended]


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    return opened()


def test_a_post_comes_out_redacted_with_its_author_hashed_and_its_time_in_utc(store: Store) -> None:
    nairobi = datetime.fromisoformat("2026-03-05T09:00:00.5+03:00")
    links = "https://pay.ecitizen.go.ke/0712345678 http://0712345678.example.com https://jane-doe.example.org/x"
    given_ = post(1, f"nipigie 0712345678 {links}", author="jane-doe", author_id="42", reply_to="7")
    store.save_page([replace(given_, created_at=nairobi)])
    [row] = rows(store, tables.posts)
    assert row["created_at"] == nairobi and row["created_at"].utcoffset() == timedelta(0)
    assert row["first_seen_at"] == NOW
    assert row["text"] == "nipigie <PHONE> <URL> <URL> <URL>"
    assert row["links"] == ["<PHONE>.example.com", "@user", "pay.ecitizen.go.ke"]
    assert row["author"].startswith("p:") and row["author_handle"].startswith("p:")
    assert row["author"] != row["author_handle"]
    assert row["reply_to"] == "7" and row["synthetic"] is False


def test_one_author_is_one_pseudonym_in_a_source_and_another_in_the_next(store: Store) -> None:
    same = [post(1, author="Jane_Doe"), post(2, author="@jane_doe"), post(3, author_id="jane_doe")]
    store.save_page([*same, replace(same[0], source="reddit"), post(4, author="jane_d0e")])
    by_id = {(row["source"], row["id"]): row["author"] for row in rows(store, tables.posts)}
    assert by_id["x", "1"] == by_id["x", "2"] == by_id["x", "3"]
    assert len({*by_id.values()}) == 3
    store.save_page([post(5, author=by_id["x", "1"])])  # as an export brings it back
    assert by_id["x", "1"] in {row["author"] for row in rows(store, tables.posts) if row["id"] == "5"}


@pytest.mark.parametrize("broken", ["cursors", "coverage"])
def test_a_page_its_cursor_and_its_coverage_are_saved_together_or_not_at_all(store: Store, broken: str) -> None:
    def save() -> Any:
        page = [post(1, "secret text"), post(2)]
        return store.save_page(page, source="x", stream="search", cursor={"since": "2"}, spans=[span(0, 9)])

    run_sql(store, f"ALTER TABLE {broken} RENAME TO away")
    with pytest.raises(StoreError, match=broken) as raised:
        save()
    assert "secret" not in str(raised.value)
    run_sql(store, f"ALTER TABLE away RENAME TO {broken}")
    assert not (texts(store) or spans(store) or store.cursor("x", "search"))
    assert save().new == 2
    assert len(texts(store)) == 2 and spans(store) == [span(0, 9)] and store.cursor("x", "search") == {"since": "2"}


def test_a_process_killed_while_it_saves_a_page_leaves_nothing_of_it(store: Store, url: str) -> None:
    program = """
import os, signal
from datetime import UTC, datetime
from data import Post, Span
class Killing:
    def __iter__(self):
        os.kill(os.getpid(), signal.SIGKILL)
posts = [Post("x", str(n), datetime(2026, 3, 5, tzinfo=UTC), "imelala") for n in range(3000)]
open_store(load_settings()).save_page(posts, source="x", stream="search", cursor=1, spans=Killing())
"""
    [killed] = processes(program, 1, TRACKER_DATABASE_URL=url, TRACKER_PSEUDONYM_KEY=KEY)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (texts(store) or store.cursor("x", "search"))
    assert store.save_page([post(number) for number in range(3000)], source="x", cursor=1).new == 3000


def test_a_post_that_is_there_already_is_counted_and_left_alone(store: Store) -> None:
    first = store.save_page([post(1, "kwanza"), post(2), post(2, "mara ya pili")])
    assert (first.new, first.duplicate, first.dropped) == (2, 1, 0)
    again = store.save_page([post(1, "nyingine"), post(3), replace(post(1), source="reddit")])
    assert (again.new, again.duplicate, again.dropped) == (2, 1, 0)
    assert len(rows(store, tables.posts)) == 4
    assert {row["text"] for row in rows(store, tables.posts) if row["source"] == "x" and row["id"] == "1"} == {"kwanza"}


def test_a_later_edit_takes_the_place_of_the_text_and_its_labels_but_not_of_what_people_said(store: Store) -> None:
    store.save_page([post(1, "eCitizen iko chini http://a.example"), post(2)])
    store.activate_model(MODEL, "0" * 64)
    store.save_labels(MODEL, [("x", "1", labels("outage")), ("x", "2", labels())])
    store.correct("x", "1", {"kind": "praise"}, "desk 1")
    first = {row["id"]: row for row in rows(store, tables.posts)}["1"]
    edit = NOW + timedelta(minutes=5)
    later = post(1, "iko sawa, nipigie 0712345678", edited_at=edit)
    tally = store.save_page([later, post(2), post(3)])
    assert (tally.new, tally.updated, tally.duplicate, tally.dropped) == (1, 1, 1, 0)
    edited = {row["id"]: row for row in rows(store, tables.posts)}["1"]
    assert (edited["text"], edited["links"], edited["edited_at"]) == ("iko sawa, nipigie <PHONE>", [], edit)
    assert edited["fingerprint"] != first["fingerprint"]
    assert edited["created_at"] == first["created_at"]
    assert store.unlabelled(MODEL, 9)[-1][1:] == ("1", "iko sawa, nipigie <PHONE>")
    assert [row["field"] for row in rows(store, tables.corrections)] == ["kind"]
    assert store.corrected_examples() == []  # what was said is about a text that is gone

    store.save_labels(MODEL, [("x", "1", labels())])
    for known in (later, post(1, "ya kwanza"), post(1, "ya kati", edited_at=at(20))):
        tally = store.save_page([known])
        assert (tally.updated, tally.duplicate) == (0, 1)
    assert store.save_page([replace(later, edited_at=edit + timedelta(1))]).updated == 0  # a picture, say
    assert store.unlabelled(MODEL, 9) == [("x", "3", "eCitizen imelala")]
    assert {row["edited_at"] for row in rows(store, tables.posts) if row["id"] == "1"} == {edit + timedelta(1)}


EDITED = count(10_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), versions=st.integers(1, 6))
def test_in_whatever_order_and_pages_the_versions_of_a_post_come_the_newest_stays(
    store: Store, data: st.DataObject, versions: int
) -> None:
    number = next(EDITED)
    written = [post(number, "version 0")]
    written += [post(number, f"version {each}", edited_at=at(number + each)) for each in range(1, versions)]
    order = data.draw(st.permutations(written + data.draw(st.lists(st.sampled_from(written), max_size=4))))
    total = 0
    while order:
        size = data.draw(st.integers(1, len(order)))
        tally = store.save_page(order[:size])
        total += tally.new
        assert tally.new + tally.updated + tally.duplicate == size and tally.new + tally.updated <= 1
        order = order[size:]
    [row] = [row for row in rows(store, tables.posts) if row["id"] == str(number)]
    assert (row["text"], row["edited_at"], total) == (written[-1].text, written[-1].edited_at, 1)


def test_two_writers_of_two_versions_leave_the_newest_and_no_label_of_the_other(opened: Callable[..., Store]) -> None:
    numbers = range(400)
    older = [post(number, "ya kati", edited_at=at(number + 1)) for number in numbers]
    newer = [post(number, "ya mwisho", edited_at=at(number + 2)) for number in numbers]
    opened().save_page([post(number) for number in numbers[::2]])
    begin, failures = threading.Barrier(3), []

    def write(store: Store, posts: list[Post]) -> None:
        begin.wait(60)
        try:
            for start in range(0, len(posts), 50):
                store.save_page(posts[start : start + 50])
        except StoreError as error:
            failures.append(error)

    def label(store: Store) -> None:
        begin.wait(60)
        for _ in range(30):
            batch = store.unlabelled(MODEL, 100)
            read = {(source, id_): text for source, id_, text in batch}
            said = [
                (source, id_, labels("outage") if text == "ya mwisho" else labels("slow"))
                for source, id_, text in batch
            ]
            store.save_labels(MODEL, said, read)

    threads = [threading.Thread(target=write, args=(opened(), posts)) for posts in (older, newer[::-1])]
    threads.append(threading.Thread(target=label, args=(opened(),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    assert set(texts(opened()).values()) == {"ya mwisho"} and len(texts(opened())) == 400
    assert {tuple(row["problems"]) for row in rows(opened(), tables.labels)} <= {("outage",)}


def test_a_label_of_a_text_that_was_edited_meanwhile_is_not_kept(store: Store) -> None:
    store.save_page([post(1), post(2)])
    read = {(source, id_): text for source, id_, text in store.unlabelled(MODEL, 9)}
    store.save_page([post(1, "iko sawa", edited_at=at(30))])
    assert store.save_labels(MODEL, [("x", "1", labels("outage")), ("x", "2", labels())], read) == 1
    assert store.unlabelled(MODEL, 9) == [("x", "1", "iko sawa")]


def test_two_writers_of_the_same_posts_in_opposite_order_save_each_once(opened: Callable[..., Store]) -> None:
    page = [post(number, author=f"a{number}") for number in range(2000)]
    begin, tallies, failures = threading.Barrier(2), [], []

    def write(store: Store, posts: list[Post]) -> None:
        begin.wait(60)
        try:
            tallies.append(store.save_page(posts))
            store.save_labels(MODEL, [("x", each.id, labels()) for each in posts])
        except StoreError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(opened(), posts)) for posts in (page, page[::-1])]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert not failures
    assert sum(tally.new for tally in tallies) == sum(tally.duplicate for tally in tallies) == 2000
    assert len(rows(opened(), tables.posts)) == len(rows(opened(), tables.labels)) == 2000


def test_an_erased_post_goes_with_its_labels_and_stays_out(store: Store) -> None:
    store.save_page([post(1), post(2), replace(post(1), source="reddit")])
    store.save_labels(MODEL, [("x", "1", labels("outage")), ("x", "2", labels())])
    assert store.erase_post("x", "1") == 1
    assert store.erase_post("x", "1") == 0
    assert store.erase_post("x", "9") == 0  # not seen yet, and never to be
    assert {(row["source"], row["id"]) for row in rows(store, tables.posts)} == {("x", "2"), ("reddit", "1")}
    assert [row["id"] for row in rows(store, tables.labels)] == ["2"]
    again = store.save_page([post(1), post(2), post(9), post(3)])
    assert (again.new, again.duplicate, again.dropped) == (1, 1, 2)
    assert {"1", "9"} & set(texts(store)) == {"1"}  # reddit's
    assert store.save_labels(MODEL, [("x", "1", labels())]) == 0
    assert [row["action"] for row in rows(store, tables.audit)] == ["erase post"] * 3


@pytest.mark.parametrize(
    "named", ["Jane_Doe", "@jane_doe", " jane_doe ", "u/Jane_Doe", "/u/jane_doe", "42", "the pseudonym"]
)
def test_an_erased_author_goes_with_everything_and_stays_out(store: Store, named: str) -> None:
    earlier = [post(1, author="jane_doe", author_id="42"), post(2, author="jane_was", author_id="42")]
    others = [post(3, author="bob", author_id="43"), post(4), replace(post(5, author="amy"), source="reddit")]
    store.save_page([*earlier, *others])
    store.save_labels(MODEL, [("x", "2", labels())])
    if named == "the pseudonym":
        named = next(row["author"] for row in rows(store, tables.posts) if row["id"] == "1")
    assert store.erase_author(named) == 2
    assert set(texts(store)) == {"3", "4", "5"} and not rows(store, tables.labels)
    again = store.save_page([*earlier, *others, post(6, author="jane_doe"), post(7, author="jane_new", author_id="42")])
    assert (again.new, again.duplicate, again.dropped) == (0, 3, 4)
    kept = json.dumps(rows(store, tables.audit) + rows(store, tables.tombstones), default=str).lower()
    assert "jane" not in kept and '"42"' not in kept


def test_an_author_whose_posts_are_gone_is_kept_out_all_the_same(store: Store) -> None:
    store.save_page([post(1, author="jane")], source="x", stream="search", spans=[span(0, 1)])
    store.erase_post("x", "1")
    assert store.erase_author("jane") == 0
    assert store.erase_author("ann", "bluesky") == 0
    later = [post(2, author="jane", author_id="77"), replace(post(3, author="ann"), source="bluesky")]
    assert store.save_page(later).dropped == 2
    assert not texts(store)


def test_erasing_an_author_on_one_platform_leaves_the_other(store: Store) -> None:
    store.save_page([post(1, author="jane"), replace(post(2, author="jane"), source="reddit")])
    assert store.erase_author("jane", "reddit") == 1
    assert set(texts(store)) == {"1"}


@pytest.mark.parametrize("source", ["X", "x y", "", "x" * 33])
def test_a_source_that_is_none_is_refused_and_leaves_no_tombstone(store: Store, source: str) -> None:
    with pytest.raises(RecordError, match="source must be"):
        store.erase_post(source, "1")
    with pytest.raises(RecordError, match="source must be"):
        store.erase_author("jane", source)
    for nobody in ("", " @ ", "u/"):
        with pytest.raises(RecordError, match="author is missing"):
            store.erase_author(nobody)
    assert not rows(store, tables.tombstones)


def test_nobody_has_said_what_is_dated_in_the_future(store: Store) -> None:
    record = {"office": "Huduma Kenya", "status": "notice", "text": "words", "at": "2027-03-05T08:00Z"}
    with pytest.raises(RecordError, match="at is in the future"):
        store.add_official([parse_official(record | {"at": "2026-01-05T08:00Z"}), parse_official(record)])
    assert not rows(store, tables.official_messages)


def test_a_label_is_given_once_and_only_to_a_post_that_is_there(store: Store) -> None:
    store.save_page([post(1), post(2), post(3)])
    assert [id_ for _, id_, _ in store.unlabelled(MODEL, 2)] == ["3", "2"]
    store.save_labels(MODEL, [("x", "3", labels("outage")), ("x", "2", labels()), ("x", "77", labels())])
    store.save_labels(MODEL, [("x", "3", labels("slow"))])
    assert {row["id"]: row["problems"] for row in rows(store, tables.labels)} == {"3": ["outage"], "2": []}
    assert store.unlabelled(MODEL, 9) == [("x", "1", "eCitizen imelala")] and store.count_unlabelled(MODEL) == 1
    assert store.count_unlabelled(OTHER) == 3


def test_a_new_model_takes_over_at_once_and_an_old_one_can_come_back(store: Store) -> None:
    assert store.active_model() is None
    for model in (MODEL, OTHER, MODEL):
        store.activate_model(model, "0" * 64)
        assert store.active_model() == model
        assert [row["model"] for row in rows(store, tables.models) if row["active"]] == [model]
    store.save_page([post(1)])
    store.save_labels(MODEL, [("x", "1", labels("outage"))])
    store.save_labels(OTHER, [("x", "1", labels("slow"))])
    assert {row["model"]: row["problems"] for row in rows(store, tables.labels)} == {MODEL: ["outage"], OTHER: ["slow"]}


def test_spans_that_touch_are_one_and_a_gap_is_never_coverage(store: Store) -> None:
    def look(*looked: Span, source: str = "x", stream: str = "search") -> None:
        store.save_page([], source=source, stream=stream, spans=looked)

    look(span(0, 10), span(20, 30), span(10, 15, "rate limit"), span(12, 20, "rate limit"), span(15, 16, "refused"))
    look(span(0, 5), source="reddit")
    look(span(0, 5), stream="import")
    gaps = [span(10, 20, "rate limit"), span(15, 16, "refused")]
    assert spans(store) == [span(0, 10), *gaps, span(20, 30)]
    look(span(30, 40))
    look(span(-5, 1))
    assert spans(store) == [span(-5, 10), *gaps, span(20, 40)]
    look(span(9, 21))
    assert spans(store) == [span(-5, 40), *gaps]
    assert spans(store, "reddit") == spans(store, stream="import") == [span(0, 5)]


def test_a_span_that_ends_before_it_begins_is_refused_with_its_page(store: Store) -> None:
    with pytest.raises(ValueError, match="ends before"):
        store.save_page([post(1)], source="x", stream="search", cursor=1, spans=[span(0, 1), span(5, 4)])
    assert not (texts(store) or spans(store) or store.cursor("x", "search"))


STREAMS = count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(looked=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), min_size=1, max_size=12))
def test_coverage_is_exactly_the_union_of_what_was_looked_at(store: Store, looked: list[tuple[int, int]]) -> None:
    stream = f"stream {next(STREAMS)}"
    for begin, length in looked:
        store.save_page([], source="x", stream=stream, spans=[span(begin, begin + length)])
    kept = spans(store, stream=stream)
    halves = {begin + half / 2 for begin, length in looked for half in range(2 * length + 1)}
    assert {minute / 2 for minute in range(100) if any(s.from_at <= at(minute / 2) <= s.to_at for s in kept)} == halves
    assert all(one.to_at < next_.from_at for one, next_ in pairwise(kept))


def test_an_official_message_is_kept_once_and_redacted(store: Store) -> None:
    record = {"at": "2026-03-05", "precision": "day", "office": "Huduma Kenya", "status": "help"}
    first = parse_official(record | {"text": "@jane DM us, or call 0712345678 @eCitizenKenya"})
    second = parse_official(record | {"text": "Kindly DM us"})
    assert store.add_official([first, second, first]) == 2
    assert store.add_official([first]) == 0
    [row, _] = sorted(rows(store, tables.official_messages), key=lambda each: str(each["text"]))
    assert row["text"] == "@user DM us, or call <PHONE> @eCitizenKenya"
    assert row["at"] == datetime.fromisoformat("2026-03-05T00:00+03:00") and row["covers_from"] is None


@pytest.mark.parametrize("seed", [2, 19, 29])  # where SQLite 3.40 keeps a copy in a page, secure_delete or not
def test_what_is_erased_leaves_the_files_of_the_database_while_they_are_in_use(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    words = ("maji", "haifunguki", "imelala", "polepole", "jamani")

    def marked(number: int) -> str:
        middle = " ".join(generator.choices(words, k=generator.choice([3, 30, 120])))
        return f"begin{number:05}q {middle} end{number:05}q"

    url = f"sqlite:///{tmp_path / 'posts.db'}"
    store, watcher = (
        open_store(load_settings(database_url=url, pseudonym_key=KEY, pretended_now=NOW)) for _ in range(2)
    )
    store.save_page([post(number, marked(number), author=f"a{number % 20}") for number in range(300)])
    assert len(texts(watcher)) == 300  # a second process has the database open, so its log stays
    for author in range(0, 20, 2):
        assert store.erase_author(f"a{author}") == 15
    assert store.erase_post("x", "1") == 1
    files = {path.name: path.read_bytes() for path in tmp_path.glob("posts.db*")}
    assert "posts.db-wal" in files

    def found(number: int) -> bool:
        return any(f"{part}{number:05}q".encode() in kept for kept in files.values() for part in ("begin", "end"))

    assert {number for number in range(300) if found(number)} == {*range(3, 300, 2)}
    store.close()
    watcher.close()


def test_another_key_is_refused_and_the_right_one_still_opens(opened: Callable[..., Store]) -> None:
    opened().save_page([post(1, author="jane")])
    other = "a wrong key, and a secret one"
    with pytest.raises(StoreError, match="TRACKER_PSEUDONYM_KEY") as raised:
        opened(pseudonym_key=other)
    assert other not in str(raised.value) and KEY not in str(raised.value)
    assert opened().erase_author("jane") == 1


def test_a_newer_database_is_refused_in_one_clear_sentence_and_left_as_it_is(
    store: Store, url: str, tracker: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    store.save_page([post(1)])
    run_sql(store, "UPDATE alembic_version SET version_num = '9999'")
    refused = tracker("status", "list", TRACKER_DATABASE_URL=url)
    assert refused.returncode == 1 and refused.stdout == ""
    [line] = refused.stderr.splitlines()
    assert "newer tracker (schema 9999, this one knows " in line and "upgrade the tracker" in line
    run_sql(store, f"UPDATE alembic_version SET version_num = '{tables.SCHEMA_REVISION}'")
    assert tracker("status", "list", TRACKER_DATABASE_URL=url).returncode == 0
    assert len(texts(store)) == 1


def test_a_password_in_the_address_is_not_shown(tracker: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    address = "postgresql+psycopg://jane:hunter2@127.0.0.1:9/posts"
    pytest.importorskip("psycopg")
    failed = tracker("status", "list", TRACKER_DATABASE_URL=address)
    assert failed.returncode == 1 and len(failed.stderr.splitlines()) == 1
    assert "127.0.0.1:9" in failed.stderr and "hunter2" not in failed.stderr


@pytest.mark.parametrize("address", ["posts.db", "mysql://localhost/x", "sqlite:///nowhere/posts.db"])
def test_an_address_that_is_none_is_wrong_input(address: str) -> None:
    with pytest.raises(InputError, match="TRACKER_DATABASE_URL"):
        open_store(load_settings(database_url=address, pseudonym_key=KEY))


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == tables.SCHEMA_REVISION
        assert compare_metadata(context, tables.metadata) == []


def test_processes_that_open_a_fresh_database_at_once_all_succeed(url: str, opened: Callable[..., Store]) -> None:
    program = "open_store(load_settings()).close()"
    ended = processes(program, 4, TRACKER_DATABASE_URL=url, TRACKER_PSEUDONYM_KEY=KEY)
    assert [(each.returncode, each.stderr) for each in ended] == [(0, "")] * 4
    store = opened()
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
        assert connection.execute(select(func.count()).select_from(tables.store_facts)).scalar() == 1


def test_a_machines_own_key_is_made_once_readable_by_its_owner_alone_and_far_from_the_database(tmp_path: Path) -> None:
    folder = tmp_path / "database"
    folder.mkdir()
    url = f"sqlite:///{folder / 'posts.db'}"
    program = """
from data.pseudonyms import load_key
print(load_key(None, may_create=True).decode())
open_store(load_settings()).close()
"""
    before = os.umask(0)
    try:
        ended = processes(program, 3, TRACKER_DATABASE_URL=url)
    finally:
        os.umask(before)
    assert [each.stderr for each in ended] == [""] * 3
    [key] = {each.stdout.strip() for each in ended}
    path = default_key_path()
    assert path.read_text(encoding="ascii") == key and len(key) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert not path.is_relative_to(folder)
    assert not any(key.encode() in file.read_bytes() for file in folder.iterdir())


def test_a_shared_database_needs_a_key_that_is_set(postgres_database: str) -> None:
    with pytest.raises(InputError, match="TRACKER_PSEUDONYM_KEY is not set"):
        open_store(load_settings(database_url=postgres_database))
    assert not default_key_path().exists()
    with pytest.raises(InputError, match="too short"):
        open_store(load_settings(database_url=postgres_database, pseudonym_key="short"))
