"""What people settle: from the migration over the store, the command, the pages and the export to what is trained on."""

from __future__ import annotations

import csv
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import streamlit
from alembic import command
from alembic.config import Config
from conftest import KEY, NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled import MODEL, labels, listen, nairobi, put
from sqlalchemy import MetaData, create_engine, inspect, select, text
from streamlit.testing.v1 import AppTest

from classifier.corpus import parse_example
from collector.importing import import_file
from dashboard import volume
from dashboard.export import FIELDS as EXPORTED
from dashboard.export import Selection, write_export
from dashboard.strings import label_name, say
from data import tables
from data.corrections import FIELDS
from data.errors import InputError, StoreError
from data.labels import ABOUTS, KINDS, PROBLEMS, SCOPES, SENTIMENTS, STATUSES
from data.pseudonyms import key_check
from data.records import Post
from data.store import Store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from sqlalchemy import Engine

OTHER = "theirs_2@ba9876543210"
DAY = volume.Window(nairobi("2026-03-05 00:00"), nairobi("2026-03-06 00:00"))
OFFICIAL = replace(labels(kind="official", sentiment="neutral"), status="update", scope="reply")
UNSURE = replace(labels("payment"), unsure=True)


@pytest.fixture
def both(opened: Callable[..., Store]) -> Store:
    """A store on SQLite, and again on PostgreSQL."""
    found = opened()
    found.activate_model(MODEL, "0" * 64)
    return found


@pytest.fixture(autouse=True)
def _active(request: pytest.FixtureRequest) -> None:
    if "store" in request.fixturenames:
        request.getfixturevalue("store").activate_model(MODEL, "0" * 64)


def rows(store: Store, table: Any = tables.corrections) -> list[dict[str, Any]]:
    with store.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def shown(store: Store, identifier: str, window: volume.Window = DAY) -> dict[str, Any]:
    """The labels of a post as every chart reads them."""
    posts = volume.with_texts(store.engine, volume.load_posts(store.engine, window))
    return dict(posts[posts["id"] == identifier].iloc[0])


def export(store: Store, path: Path, selection: Selection | None = None, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"tier": "partner", "now": NOW, "pretended": True, "version": "test"}
    return write_export(store.engine, path, selection or Selection(), **(defaults | options))


def exported(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# The migration

OLD_TABLES = {
    "posts",
    "labels",
    "models",
    "official_messages",
    "cursors",
    "runs",
    "coverage",
    "tombstones",
    "audit",
    "store_facts",
}


def make_old(url: str) -> Engine:
    """A database as schema 0001 made it, with rows in every table."""
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    old = MetaData()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        old.reflect(connection)
        assert set(old.tables) == OLD_TABLES | {"alembic_version"}
        for name in OLD_TABLES - {"store_facts"}:
            for number in range(3):
                filled = [
                    each
                    for each in old.tables[name].columns
                    if each.type.python_type is not int or not each.primary_key
                ]
                row = {column.name: _value(column, number) for column in filled}
                connection.execute(old.tables[name].insert().values(row))
        connection.execute(old.tables["store_facts"].insert().values(name="key_check", value=key_check(KEY.encode())))
    return engine


def _value(column: Any, number: int) -> Any:
    kind = column.type.python_type
    if kind is datetime:
        return datetime(2026, 3, 5, 6, number, 7, 123456, tzinfo=UTC if column.type.timezone else None)
    if kind is str and column.name in {"problems", "services", "links", "scores", "cursor", "detail"}:
        return '{"outage":0.5}' if column.name == "scores" else "[]"
    return {str: f"{column.name} {number} é", bool: number == 0, int: number + 1, float: 0.25 * number}[kind]


def everything(engine: Engine, only: dict[str, Any] | None = None) -> dict[str, list[dict[str, Any]]]:
    """The rows of the old tables; of the columns that `only`, an earlier answer, had."""
    found = MetaData()
    found.reflect(engine)
    kept = {name: set(only[name][0]) if only else set(found.tables[name].columns.keys()) for name in OLD_TABLES}
    with engine.connect() as connection:
        return {
            name: sorted(
                ({column: value for column, value in row.items() if column in kept[name]} for row in rows), key=str
            )
            for name, rows in (
                (name, connection.execute(select(found.tables[name])).mappings().all()) for name in OLD_TABLES
            )
        }


def revision(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())


def test_a_database_of_schema_0001_is_migrated_and_loses_nothing(
    url: str, opened: Callable[..., Store], tracker: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    engine = make_old(url)
    before = everything(engine)
    assert all(len(found) == 3 for name, found in before.items() if name != "store_facts")
    done = tracker("doctor", TRACKER_DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert f"schema {tables.SCHEMA_REVISION}, 3 posts" in done.stdout.replace("\n", " ")
    assert everything(engine, only=before) == before
    assert revision(engine) == tables.SCHEMA_REVISION
    engine.dispose()
    store = opened()
    assert rows(store) == []
    assert store.correct("source 0 é", "id 0 é", {"kind": "praise"}, "desk 1") == {"kind": "praise"}
    assert len(rows(store)) == 1


def test_a_migration_that_fails_leaves_the_old_database_as_it_was(url: str, opened: Callable[..., Store]) -> None:
    engine = make_old(url)
    before = everything(engine)
    with engine.begin() as connection:  # where the last step would put its own
        connection.execute(text("CREATE INDEX labels_source_id ON labels (kind)"))
    with pytest.raises(StoreError, match="labels_source_id"):
        opened()
    assert revision(engine) == "0001"
    assert not inspect(engine).has_table("corrections")
    assert everything(engine) == before
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX labels_source_id"))
    engine.dispose()
    assert rows(opened()) == []


# The store


def test_the_newest_word_wins_over_the_model_and_every_earlier_word(both: Store) -> None:
    post = put(both, "2026-03-05 09:00", labels("outage"))
    put(both, "2026-03-05 09:00", labels("outage"), text="another")
    assert both.correct("x", post, {"problems": ["support", "payment"], "kind": "question"}, "desk 1") == {
        "problems": ["payment", "support"],
        "kind": "question",
    }
    both.correct("x", post, {"kind": "complaint"}, "desk 2", "no question at all")
    found = shown(both, post)
    assert (found["problems"], found["kind"], found["sentiment"], found["corrected"]) == (
        ["payment", "support"],
        "complaint",
        "negative",
        True,
    )
    first, second, third = rows(both)
    assert [first["field"], second["field"], third["field"]] == ["problems", "kind", "kind"]
    assert (first["model"], first["model_said"], second["model_said"]) == (MODEL, ["outage"], "complaint")
    assert (third["why"], third["at"], first["why"]) == ("no question at all", NOW, None)
    assert first["who"] == second["who"] != third["who"]
    assert all(row["who"].startswith("p:") for row in rows(both))
    assert [row["action"] for row in rows(both, tables.audit)] == ["correct", "correct"]
    assert rows(both, tables.audit)[0]["detail"] == {
        "source": "x",
        "id": post,
        "fields": ["problems", "kind"],
        "who": first["who"],
    }


def test_a_new_model_does_not_undo_a_correction(both: Store) -> None:
    post = put(both, "2026-03-05 09:00", labels("outage"))
    both.correct("x", post, {"problems": []}, "desk 1")
    both.activate_model(OTHER, "1" * 64)
    both.save_labels(OTHER, [("x", post, labels("slow", kind="question"))])
    assert (shown(both, post)["problems"], shown(both, post)["kind"]) == ([], "question")


def test_charts_shares_and_the_status_line_count_what_was_settled(both: Store) -> None:
    listen(both, "2026-02-10 00:00", "2026-03-05 09:30")
    posts = [put(both, "2026-03-05 09:10", labels("lockout"), person=f"p{number}") for number in range(5)]
    rumour = put(both, "2026-03-05 09:11", labels(kind="rumour"), person="p9")
    now = nairobi("2026-03-05 09:30")
    assert volume.status_line(both.engine, now).people_last_hour == 5
    both.correct("x", posts[0], {"about": "dependency"}, "desk 1")
    both.correct("x", posts[1], {"kind": "question"}, "desk 1")
    both.correct("x", posts[2], {"problems": ["payment"]}, "desk 1")
    both.correct("x", rumour, {"kind": "complaint", "problems": ["security"]}, "desk 1")
    found = volume.load_posts(both.engine, DAY)
    assert volume.status_line(both.engine, now).people_last_hour == 4
    bars = volume.volume_by_problem(found, DAY).set_index("main_problem")["people"].to_dict()
    assert bars == {"lockout": 2, "payment": 1, "security": 1}
    assert volume.problem_shares(found).set_index("problem").loc["lockout", "share"] == 0.5
    assert volume.lanes(found, DAY)["lane"].tolist() == ["dependency"]
    filtered = volume.Window(DAY.from_at, DAY.to_at, problems=("payment",))
    assert volume.load_posts(both.engine, filtered)["id"].tolist() == [posts[2]]


def test_the_same_word_of_the_same_person_is_kept_once(both: Store) -> None:
    post = put(both, "2026-03-05 09:00", labels("outage"))
    for _ in range(2):
        both.correct("x", post, {"kind": "question", "problems": []}, "desk 1", "asks")
    assert len(rows(both)) == 2 and len(rows(both, tables.audit)) == 1
    both.correct("x", post, {"kind": "question"}, "  Desk   1 ", "asks")  # the same name
    both.correct("x", post, {"kind": "question"}, "desk 2", "asks")  # an independent vote
    assert len(rows(both)) == 3
    both.correct("x", post, {"kind": "question"}, "desk 1", "asks")  # the newest word was another's
    assert len(rows(both)) == 4


def test_confirming_settles_every_field_as_the_model_said(both: Store) -> None:
    post, official = put(both, "2026-03-05 09:00", labels("outage")), put(both, "2026-03-05 09:01", OFFICIAL)
    both.correct("x", post, {"kind": "question"}, "desk 1")
    complaint = {"problems": ["outage"], "kind": "complaint", "sentiment": "negative", "about": "ecitizen"}
    assert both.correct("x", post, {}, "desk 2", confirm=True) == complaint
    assert shown(both, post)["kind"] == "complaint"
    assert both.correct("x", post, {"about": "government"}, "desk 2", confirm=True) == complaint | {
        "about": "government"
    }
    assert both.correct("x", official, {}, "desk 2", confirm=True) == {
        "problems": [],
        "kind": "official",
        "sentiment": "neutral",
        "about": "ecitizen",
        "status": "update",
        "scope": "reply",
    }
    assert both.correct("x", official, {"kind": "news"}, "desk 2", confirm=True).keys() == complaint.keys()


def test_status_and_scope_come_and_go_with_the_kind(both: Store, tmp_path: Path) -> None:
    post = put(both, "2026-03-05 09:00", OFFICIAL)
    both.correct("x", post, {"status": "resolved"}, "desk 1")

    def found() -> dict[str, Any]:
        export(both, tmp_path / "out.jsonl")
        [row] = exported(tmp_path / "out.jsonl")
        said = {each["field"]: each["model_said"] for each in row["corrections"]}
        return {"labels": (row["kind"], row["status"], row["scope"]), "said": said}

    assert found() == {"labels": ("official", "resolved", "reply"), "said": {"status": "update"}}
    both.correct("x", post, {"kind": "news"}, "desk 1")
    assert found() == {
        "labels": ("news", None, None),
        "said": {"kind": "official", "status": "update", "scope": "reply"},
    }
    with pytest.raises(InputError, match="belong to posts of kind official"):
        both.correct("x", post, {"scope": "statement"}, "desk 1")
    both.correct("x", post, {"kind": "official", "scope": "statement"}, "desk 1")
    assert found()["labels"] == ("official", "resolved", "statement")
    plain = put(both, "2026-03-05 09:01", labels("outage"))
    with pytest.raises(InputError, match="needs a status and a scope"):
        both.correct("x", plain, {"kind": "official", "status": "help"}, "desk 1")
    assert both.correct("x", plain, {"kind": "official", "status": "help", "scope": "reply"}, "desk 1")


NUMBERS = count()
FIELD_VALUES = {
    "problems": st.lists(st.sampled_from(PROBLEMS), unique=True, max_size=3),
    "kind": st.sampled_from(["official", "official", *KINDS]),
    "sentiment": st.sampled_from(SENTIMENTS),
    "about": st.sampled_from(ABOUTS),
    "status": st.sampled_from(STATUSES),
    "scope": st.sampled_from(SCOPES),
}
WORDS = st.fixed_dictionaries({}, optional=FIELD_VALUES).filter(bool)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    words=st.lists(st.tuples(WORDS, st.sampled_from(["desk 1", "desk 2"]), st.booleans()), max_size=8),
    official=st.booleans(),
    later=st.sampled_from([labels("slow"), OFFICIAL, None]),
)
def test_after_any_words_the_newest_on_each_field_counts(
    store: Store, tmp_path: Path, words: list[tuple[dict[str, Any], str, bool]], official: bool, later: Any
) -> None:
    store.activate_model(MODEL, "0" * 64)
    label = OFFICIAL if official else labels("outage", "support")
    said = {field: getattr(label, field) for field in FIELDS}
    post = put(store, "2026-03-05 09:00", label, text=f"post {next(NUMBERS)}", source="care")
    expected: dict[str, Any] = {}
    for fields, who, confirm in words:
        word = ({field: value for field, value in said.items() if value is not None} if confirm else {}) | fields
        after = said | expected | word
        wrong = after["kind"] != "official" and {"status", "scope"} & fields.keys()
        lacks = after["kind"] == "official" and "kind" in word and None in (after["status"], after["scope"])
        kept = len(rows(store))
        if wrong or lacks:
            with pytest.raises(InputError):
                store.correct("care", post, fields, who, confirm=confirm)
            assert len(rows(store)) == kept
            continue
        store.correct("care", post, fields, who, confirm=confirm)
        assert len(rows(store)) >= kept
        if after["kind"] != "official":
            word = {field: value for field, value in word.items() if field not in {"status", "scope"}}
        elif "kind" in word:
            word |= {"status": after["status"], "scope": after["scope"]}
        expected |= word
    if later is not None:
        store.activate_model(OTHER, "1" * 64)
        store.save_labels(OTHER, [("care", post, later)])
        said = {field: getattr(later, field) for field in FIELDS}
    settled = said | expected
    if settled["kind"] != "official":
        settled |= {"status": None, "scope": None}
    settled["problems"] = [problem for problem in PROBLEMS if problem in settled["problems"]]
    found = shown(store, post)
    assert {field: found[field] for field in ("problems", "kind", "sentiment", "about")} == {
        field: settled[field] for field in ("problems", "kind", "sentiment", "about")
    }
    export(store, tmp_path / "out.jsonl", Selection(source="care"))
    row = next(each for each in exported(tmp_path / "out.jsonl") if each["id"] == post)
    assert {field: row[field] for field in FIELDS} == settled
    told = {each["field"]: each["model_said"] for each in row["corrections"]}
    assert all(said[field] == value for field, value in told.items())
    assert {field for field in FIELDS if settled[field] != said[field]} <= told.keys()
    examples = {each["id"]: each for each in store.corrected_examples()}
    if expected:
        learnt = {field: value for field, value in examples[f"care:{post}"].items() if field in FIELDS}
        assert learnt.items() >= {(k, v) for k, v in expected.items() if k not in {"problems", "status", "scope"}}
    else:
        assert f"care:{post}" not in examples


def test_a_correction_and_its_line_in_the_audit_log_are_kept_together_or_not_at_all(both: Store) -> None:
    post = put(both, "2026-03-05 09:00", labels("outage"))
    with both.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO away"))
    with pytest.raises(StoreError, match="audit"):
        both.correct("x", post, {"kind": "question"}, "desk 1")
    with both.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO audit"))
    assert not rows(both) and not rows(both, tables.audit)
    assert shown(both, post)["kind"] == "complaint"


@pytest.mark.parametrize(
    ("fields", "who", "says"),
    [
        ({"kind": "rant"}, "desk 1", "kind must be one of complaint"),
        ({"kind": ["complaint"]}, "desk 1", "kind must be one of"),
        ({"kind": None}, "desk 1", "kind must be one of"),
        ({"problems": ["fire"]}, "desk 1", "problems must be none or some of outage"),
        ({"problems": "outage"}, "desk 1", "problems must be"),
        ({"problems": [["outage"]]}, "desk 1", "problems must be"),
        ({"lang": "sw"}, "desk 1", "only problems, kind"),
        ({}, "desk 1", "nothing to correct"),
        ({"kind": "question"}, " ", "who is missing"),
        ({"kind": "question"}, "\0", "NUL"),
        ({"kind": "question"}, "\ud800", "surrogate"),
        ({"kind": "question"}, "x" * 201, "at most 200"),
    ],
)
def test_what_cannot_be_settled_is_refused_and_changes_nothing(
    store: Store, fields: dict[str, Any], who: str, says: str
) -> None:
    post = put(store, "2026-03-05 09:00", labels("outage"))
    with pytest.raises(InputError, match=says):
        store.correct("x", post, fields, who)
    assert not rows(store) and not rows(store, tables.audit)


def test_an_unknown_post_is_refused_and_an_unlabelled_one_keeps_the_word_until_it_is_labelled(both: Store) -> None:
    with pytest.raises(InputError, match=r"x:77 is not in the store"):
        both.correct("x", "77", {"kind": "question"}, "desk 1")
    both.save_page([Post("x", "1", nairobi("2026-03-05 09:00"), "imelala")])
    with pytest.raises(InputError, match="no label to confirm"):
        both.correct("x", "1", {}, "desk 1", confirm=True)
    both.correct("x", "1", {"kind": "question"}, "desk 1")
    assert [(row["model"], row["model_said"]) for row in rows(both)] == [(None, None)]
    assert [example["kind"] for example in both.corrected_examples()] == ["question"]
    both.save_labels(MODEL, [("x", "1", labels("outage"))])
    assert (shown(both, "1")["kind"], shown(both, "1")["problems"]) == ("question", ["outage"])


def test_what_is_erased_takes_its_corrections_with_it(both: Store) -> None:
    one = put(both, "2026-03-05 09:00", labels(), person="ann")
    two, other = put(both, "2026-03-05 09:01", labels(), person="ann"), put(both, "2026-03-05 09:02", labels())
    for post in (one, two, other):
        both.correct("x", post, {"kind": "question"}, "desk 1", "because")
    assert both.erase_post("x", one) == 1
    assert {row["id"] for row in rows(both)} == {two, other}
    assert both.erase_author("ann") == 1
    assert {row["id"] for row in rows(both)} == {other}
    with pytest.raises(InputError, match="not in the store"):
        both.correct("x", one, {"kind": "question"}, "desk 1")
    assert [example["id"] for example in both.corrected_examples()] == [f"x:{other}"]
    assert "because" not in json.dumps(rows(both, tables.audit), default=str)


def test_words_from_several_sides_and_an_erasure_meanwhile_leave_nothing_behind(
    both: Store, opened: Callable[..., Store]
) -> None:
    posts = [put(both, "2026-03-05 09:00", labels(), text=f"text {number}") for number in range(30)]
    begin, faults = threading.Barrier(3), []

    def work(store: Store, act: Callable[[Store, str], object], order: list[str]) -> None:
        begin.wait(60)
        for post in order:
            try:
                act(store, post)
            except InputError:
                pass  # erased already
            except StoreError as error:
                faults.append(error)

    def settle(store: Store, post: str) -> object:
        return store.correct("x", post, {"kind": "question", "about": "other"}, threading.current_thread().name)

    jobs = [
        threading.Thread(target=work, args=(opened(), settle, posts)),
        threading.Thread(target=work, args=(opened(), settle, posts[::-1])),
        threading.Thread(target=work, args=(opened(), lambda store, post: store.erase_post("x", post), posts[::2])),
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(120)
    assert not faults
    kept = rows(both)
    assert {row["id"] for row in kept} == set(posts[1::2])
    assert len(kept) == 4 * len(posts[1::2])


def test_the_name_is_kept_as_a_pseudonym_and_the_reason_redacted(
    store: Store, tracker: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    post = put(store, "2026-03-05 09:00", labels("outage"))
    words = ["--kind", "question", "--who", "Zawadi-of-desk-2", "--why", "asked on 0712345678, see @zawadi_private"]
    done = tracker("correct", f"x:{post}", *words)
    assert done.returncode == 0, done.stderr
    [row] = rows(store)
    assert row["why"] == "asked on <PHONE>, see @user"
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*")).lower()
    assert b"asked on <phone>" in kept
    for secret in (b"zawadi", b"0712345678", b"712345678"):
        assert secret not in kept
        assert secret.decode() not in (done.stdout + done.stderr).lower()
    author = put(store, "2026-03-05 09:01", labels(), person="Zawadi-of-desk-2")
    [written] = [row["author"] for row in rows(store, tables.posts) if row["id"] == author]
    assert written != row["who"]  # an analyst is no author, whatever their names


# What is read of it: the queue, the examples, the export


def test_the_queue_has_complaints_about_ecitizen_first_then_the_newest_day_then_the_least_sure(both: Store) -> None:
    def unsure(moment: str, score: float, **given: Any) -> str:
        return put(both, moment, replace(UNSURE, kind_score=score, **given), text=f"{moment} {score}")

    sure = put(both, "2026-03-05 12:00", labels("outage"), text="sure")
    yesterday = unsure("2026-03-04 23:50", 0.3)
    midnight = unsure("2026-03-05 00:30", 0.5)  # still the 4th in UTC
    morning, noon = unsure("2026-03-05 08:00", 0.4), unsure("2026-03-05 12:00", 0.6)
    rumour, dependency = unsure("2026-03-06 08:00", 0.2, kind="rumour"), unsure("2026-03-06 09:00", 0.3, about="other")
    settled, tomorrow = unsure("2026-03-05 13:00", 0.2), unsure("2026-03-06 21:00", 0.2)
    both.correct("x", settled, {"sentiment": "neutral"}, "desk 1")
    both.save_page([Post("x", "unlabelled", nairobi("2026-03-05 09:00"), "imelala")])
    both.save_labels(OTHER, [("x", sure, UNSURE)])
    expected = [morning, midnight, noon, yesterday, rumour, dependency]
    assert [row["id"] for row in both.review_queue(99)] == expected
    assert [row["id"] for row in both.review_queue(2)] == expected[:2]
    assert both.review_queue(0) == []
    assert both.review_counts() == (6, 1)
    first = both.review_queue(1)[0]
    assert (first["problems"], first["kind_score"], first["model"]) == (["payment"], 0.4, MODEL)
    waits = both.review_post("x", morning)
    assert waits is not None and waits["text"] == "2026-03-05 08:00 0.4"
    assert [both.review_post("x", other) for other in (settled, sure, tomorrow, "77")] == [None] * 4


def test_examples_hold_what_people_settled_and_nothing_else(both: Store) -> None:
    half = put(both, "2026-03-05 09:00", labels("outage"), text="nusu 0712345678")
    whole, fallen = put(both, "2026-03-05 09:01", labels("slow")), put(both, "2026-03-05 09:02", OFFICIAL)
    put(both, "2026-03-05 09:03", labels("slow"), text="nobody's")
    both.correct("x", half, {"problems": []}, "desk 1")
    both.correct("x", whole, {"sentiment": "neutral"}, "desk 1", confirm=True)
    both.correct("x", fallen, {"status": "resolved"}, "desk 1")
    both.correct("x", fallen, {"kind": "news"}, "desk 1")
    examples = both.corrected_examples()
    assert [example["id"] for example in examples] == sorted(f"x:{post}" for post in (half, whole, fallen))
    by_id = {example["id"]: example for example in examples}
    assert by_id[f"x:{half}"] == {"id": f"x:{half}", "text": "nusu <PHONE>", "synthetic": False, "problems": []}
    assert parse_example(by_id[f"x:{whole}"]).labels == {
        "problems": ["slow"],
        "kind": "complaint",
        "sentiment": "neutral",
        "about": "ecitizen",
    }
    assert parse_example(by_id[f"x:{fallen}"]).labels == {"kind": "news"}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_export_tells_what_was_corrected_by_whom_and_comes_back(both: Store, tmp_path: Path, ending: str) -> None:
    post = put(both, "2026-03-05 09:00", labels("outage"))
    put(both, "2026-03-05 09:01", labels("slow"))
    both.correct("x", post, {"problems": ["payment", "support"], "kind": "question"}, "desk 1", "a reason")
    both.correct("x", post, {"kind": "complaint"}, "desk 2")
    path = tmp_path / f"out.{ending}"
    card = export(both, path)
    assert card["corrected"] == {"rows": 1, "fields": {"problems": 1, "kind": 1}}
    corrected, plain = exported(path)
    assert list(corrected) == list(EXPORTED["partner"])
    told = [row["corrections"] if ending == "jsonl" else json.loads(row["corrections"]) for row in (corrected, plain)]
    who = {row["field"]: row["who"] for row in rows(both)}  # the newest of each
    at = NOW.isoformat()
    assert told[0] == [
        {"field": "problems", "model_said": ["outage"], "who": who["problems"], "at": at},
        {"field": "kind", "model_said": "complaint", "who": who["kind"], "at": at},
    ]
    assert told[1] == []
    assert corrected["problems"] == ("payment|support" if ending == "csv" else ["payment", "support"])
    assert corrected["kind"] == "complaint"
    assert "a reason" not in str(corrected)
    tally = import_file(path, both, now=NOW)
    assert (tally.read, tally.new, tally.duplicate, tally.skipped) == (2, 0, 2, 0)


def test_an_export_tells_what_the_model_said_that_its_row_names(both: Store, tmp_path: Path) -> None:
    post = put(both, "2026-03-05 09:00", labels("outage"))
    both.correct("x", post, {"kind": "praise"}, "desk 1")
    both.activate_model(OTHER, "1" * 64)
    both.save_labels(OTHER, [("x", post, labels(kind="news"))])
    export(both, tmp_path / "out.jsonl")
    [row] = exported(tmp_path / "out.jsonl")
    assert (row["model"], row["kind"], row["corrections"][0]["model_said"]) == (OTHER, "praise", "news")
    assert [kept["model_said"] for kept in rows(both)] == ["complaint"]


def test_an_exports_filters_samples_and_counts_go_by_what_was_settled(both: Store, tmp_path: Path) -> None:
    one, two = (
        put(both, "2026-03-05 09:00", labels("outage")),
        put(both, "2026-03-05 09:01", labels("outage"), text="b"),
    )
    both.correct("x", one, {"problems": ["payment"], "about": "government"}, "desk 1")

    def found(selection: Selection) -> list[str]:
        export(both, tmp_path / "out.jsonl", selection)
        return [row["id"] for row in exported(tmp_path / "out.jsonl")]

    assert found(Selection(problem="payment")) == found(Selection(about="government")) == [one]
    assert found(Selection(problem="outage")) == found(Selection(about="ecitizen")) == [two]
    assert export(both, tmp_path / "out.jsonl", sample=2, sample_by="about")["rows"] == 2
    assert {row["weight"] for row in exported(tmp_path / "out.jsonl")} == {1.0}
    card = export(both, tmp_path / "out.csv", tier="aggregate")
    assert card["corrected"] is None
    assert {(row["about"], row["problem"]) for row in exported(tmp_path / "out.csv")} == {
        ("government", "payment"),
        ("ecitizen", "outage"),
    }
    export(both, tmp_path / "public.jsonl", tier="public")
    assert [len(row["corrections"]) for row in exported(tmp_path / "public.jsonl")] == [2, 0]


# The command


def test_the_command_settles_a_post_and_may_be_run_again(
    store: Store, tracker: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    post = put(store, "2026-03-05 09:00", labels("outage"))
    words = ["correct", f"x:{post}", "--problems", "support, payment", "--kind", "complaint", "--who", "desk 1"]
    for _ in range(2):
        done = tracker(*words)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr.strip() == f"x:{post}: problems payment, support; kind complaint"
    assert len(rows(store)) == 2
    assert tracker("correct", f"x:{post}", "--problems", "none", "--confirm", "--who", "desk 1").returncode == 0
    assert shown(store, post)["problems"] == []
    assert {row["field"] for row in rows(store)} == {"problems", "kind", "sentiment", "about"}
    helped = tracker("correct", "--help")
    assert "Example: tracker correct x:123" in helped.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x:77", "--kind", "question"], "x:77 is not in the store"),
        (["77", "--kind", "question"], "SOURCE:ID"),
        (["x:", "--kind", "question"], "SOURCE:ID"),
        (["x:{}"], "nothing to correct"),
        (["x:{}", "--kind", "rant"], "kind must be one of"),
        (["x:{}", "--problems", "outage,fire"], "problems must be"),
        (["x:{}", "--problems", ""], "problems must be"),
        (["x:{}", "--problems", "none,outage"], "problems must be"),
        (["x:{}", "--status", "resolved"], "belong to posts of kind official"),
        (["x:{}", "--kind", "official"], "needs a status and a scope"),
        (["x:{}", "--kind", "question", "--who", " "], "who is missing"),
        (["x:{}", "--kind", "question", "--why", "x" * 2001], "why has 2,001 characters"),
    ],
)
def test_wrong_words_get_one_line_and_status_2(
    store: Store, tracker: Callable[..., subprocess.CompletedProcess[str]], words: list[str], says: str
) -> None:
    post = put(store, "2026-03-05 09:00", labels("outage"))
    done = tracker("correct", "--who", "desk 1", *(word.format(post) for word in words))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert says in line
    assert not rows(store)


def test_a_correction_needs_a_name(store: Store, tracker: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    post = put(store, "2026-03-05 09:00", labels("outage"))
    done = tracker("correct", f"x:{post}", "--kind", "question")
    assert done.returncode == 2 and "--who" in done.stderr
    assert not rows(store)


# The pages

PAGES = Path(tables.__file__).parent.parent / "dashboard"
HOSTILE = "<script>alert(1)</script> **malipo** [x](javascript:alert(1)) :red[x] $x^2$"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, store: Store) -> Store:
    monkeypatch.setenv("TRACKER_DATABASE_URL", store.engine.url.render_as_string())
    monkeypatch.setenv("TRACKER_PSEUDONYM_KEY", KEY)
    monkeypatch.setenv("TRACKER_NOW", NOW.isoformat())
    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()
    return store


def page(name: str = "app_pages/review.py") -> AppTest:
    return AppTest.from_file(str(PAGES / name), default_timeout=60).run()


def words_of(shown_page: AppTest) -> str:
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "subheader", "toast")
    return "\n".join(str(element.value) for kind in kinds for element in shown_page.get(kind))


def counts(shown_page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in shown_page.metric}


pages = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pages
def test_an_empty_queue_says_so(served: Store) -> None:
    found = page()
    assert not found.exception
    assert say("en", "review_empty") in words_of(found)
    assert counts(found) == {"Waiting": "0", "Settled by people": "0", "Skipped by you": "0"}
    put(served, "2026-03-05 09:00", labels("outage"))
    assert say("en", "review_empty") in words_of(found.run())


@pages
@pytest.mark.parametrize("language", ["en", "sw"])
def test_a_score_below_its_problems_threshold_is_explained(served: Store, language: str) -> None:
    put(served, "2026-03-05 10:00", replace(UNSURE, problems=[], scores=UNSURE.scores | {"slow": 0.6}))
    found = page()
    found.radio(key="ui").set_value(language).run()
    assert say(language, "review_threshold") in words_of(found)
    put(served, "2026-03-06 10:00", UNSURE)
    found = page()
    assert say("en", "review_threshold") not in words_of(found)


@pages
def test_settling_a_post_unchanged_confirms_it_and_shows_the_next(served: Store) -> None:
    first = put(served, "2026-03-05 10:00", replace(UNSURE, kind_score=0.3), text=HOSTILE, person="wanjiku_private")
    second = put(served, "2026-03-05 10:01", replace(UNSURE, kind_score=0.6), text="ya pili")
    found = page()
    assert not found.exception
    assert found.text[0].value == HOSTILE
    assert "malipo" not in words_of(found) and "wanjiku" not in words_of(found)
    table = found.dataframe[0].value
    assert table["score"].max() <= 1 and table["label"].tolist()[:2] == ["complaint", "eCitizen"]
    found.button(key=f"settle x:{first}").click().run()
    assert say("en", "missing_who") in words_of(found) and not rows(served)
    found.text_input(key="who").input("Desk One")
    found.text_area(key=f"why x:{first}").input("clear enough")
    found.button(key=f"settle x:{first}").click().run()
    assert not found.exception
    kept = {row["field"]: row["value"] for row in rows(served)}
    assert kept == {"problems": ["payment"], "kind": "complaint", "sentiment": "negative", "about": "ecitizen"}
    assert {row["why"] for row in rows(served)} == {"clear enough"}
    assert not any("desk" in str(row).lower() for row in rows(served) + rows(served, tables.audit))
    assert found.text[0].value == "ya pili"
    assert found.text_input(key="who").value == "Desk One"
    assert found.text_area(key=f"why x:{second}").value == ""
    assert counts(found) == {"Waiting": "1", "Settled by people": "1", "Skipped by you": "0"}


@pages
def test_what_the_analyst_changes_is_settled(served: Store) -> None:
    post = put(served, "2026-03-05 10:00", UNSURE)
    found = page()
    found.multiselect(key=f"problems en x:{post}").set_value(["support", "lockout"])
    found.selectbox(key=f"sentiment en x:{post}").select("neutral")
    found.selectbox(key=f"about en x:{post}").select("dependency")
    found.text_input(key="who").input("desk")
    found.button(key=f"settle x:{post}").click().run()
    assert not found.exception
    settled = shown(served, post)
    assert (settled["problems"], settled["sentiment"], settled["about"]) == (
        ["lockout", "support"],
        "neutral",
        "dependency",
    )
    assert say("en", "review_empty") in words_of(found)


@pages
def test_an_official_message_is_asked_for_its_status_and_scope(served: Store, tmp_path: Path) -> None:
    post = put(served, "2026-03-05 10:00", UNSURE)
    found = page()
    with pytest.raises(KeyError):
        found.selectbox(key=f"status en x:{post}")
    found.text_input(key="who").input("desk")
    found.selectbox(key=f"kind en x:{post}").select("official").run()
    found.button(key=f"settle x:{post}").click().run()
    assert say("en", "missing_official") in words_of(found) and not rows(served)
    found.selectbox(key=f"status en x:{post}").select("resolved")
    found.selectbox(key=f"scope en x:{post}").select("statement")
    found.button(key=f"settle x:{post}").click().run()
    assert not found.exception
    export(served, tmp_path / "out.jsonl")
    [row] = exported(tmp_path / "out.jsonl")
    assert (row["kind"], row["status"], row["scope"]) == ("official", "resolved", "statement")


@pages
def test_a_skipped_post_comes_back_when_asked_for(served: Store) -> None:
    posts = [
        put(served, f"2026-03-05 10:0{number}", replace(UNSURE, kind_score=0.3 + number / 10)) for number in range(2)
    ]
    found = page()
    for post in posts:
        found.button(key=f"skip x:{post}").click().run()
    assert say("en", "review_all_skipped") in words_of(found)
    assert counts(found) == {"Waiting": "2", "Settled by people": "0", "Skipped by you": "2"}
    assert not rows(served)
    found.button(key="again").click().run()
    assert found.button(key=f"settle x:{posts[0]}")


@pages
def test_the_open_post_stays_when_others_come_and_goes_when_it_is_settled_or_erased(served: Store) -> None:
    def opened_post() -> str:
        return str(found.text[0].value)

    old, older = (put(served, f"2026-03-0{day} 10:00", UNSURE, text=f"day {day}") for day in (4, 3))
    found = page()
    put(served, "2026-03-05 10:00", UNSURE, text="newer")
    found.run()
    assert opened_post() == "day 4"
    found.text_input(key="who").input("desk")
    served.correct("x", old, {"kind": "praise"}, "somebody else")
    found.button(key=f"settle x:{old}").click().run()  # which is not what the page shows after this click
    assert opened_post() == "newer"
    assert {row["value"] for row in rows(served)} == {"praise"}
    newer = next(row["id"] for row in rows(served, tables.posts) if row["text"] == "newer")
    served.erase_post("x", newer)
    found.run()
    assert opened_post() == "day 3"
    assert found.button(key=f"settle x:{older}")


@pages
def test_the_review_is_stamped_and_speaks_kiswahili(served: Store) -> None:
    served.save_page([Post("x", "1", NOW - timedelta(hours=3), "ecitizen iko down", synthetic=True)])
    served.save_labels(MODEL, [("x", "1", UNSURE)])
    found = page()
    assert say("en", "demo") in words_of(found)
    assert "Fri 06 Mar 2026 20:00 EAT" in words_of(found)
    found.radio(key="ui").set_value("sw").run()
    assert not found.exception
    assert found.title[0].value == say("sw", "review")
    assert say("sw", "demo") in words_of(found)
    assert "Yanasubiri" in counts(found)
    assert found.selectbox(key="kind sw x:1").options == [label_name("sw", kind) for kind in KINDS]


@pages
def test_a_database_that_cannot_be_used_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", "sqlite:///nowhere/posts.db")
    streamlit.cache_resource.clear()
    found = page()
    assert not found.exception
    assert "nowhere" in words_of(found)


@pages
def test_the_overview_marks_what_was_corrected_and_counts_it_so(served: Store) -> None:
    listen(served, "2026-02-10 00:00", "2026-03-06 20:00")
    one, two = (put(served, "2026-03-05 09:10", labels("lockout"), person=f"p{number}") for number in range(2))
    served.correct("x", one, {"problems": ["payment"]}, "desk")
    served.correct("x", two, {"kind": "praise"}, "desk")
    put(served, "2026-03-05 09:11", labels("slow"))
    found = page("app_pages/overview.py")
    assert not found.exception
    assert counts(found)["People complaining"] == "2"
    posts = found.dataframe[0].value
    assert dict(zip(posts["problems"], posts["corrected"], strict=True)) == {"payment": True, "slow": False}


@pages
def test_the_page_list_starts_with_the_overview(served: Store) -> None:
    found = page("app.py")
    assert not found.exception
    assert found.title[0].value == say("en", "title")
