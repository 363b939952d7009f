"""`rerun`: what the model said it says again, whatever the format and the corrections; what was changed since is found."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run_tracker

from classifier.labelling import label_texts
from classifier.model import Model, default_model_folder, load_model
from classifier.rerun import MAX_EXAMPLES, Drift, Row, read_rows, rerun
from data.errors import InputError
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

REPLAY = Path(__file__).parent.parent / "data" / "demo" / "replay_2026.jsonl"
KEY = "a key of the rerun's tests"
NOW = "2026-03-06T17:00:00Z"
POSTS = 60
ODD_TEXTS = (
    '=HYPERLINK("http://evil.example") ecitizen iko down',
    "-1 for eCitizen, it's slow",
    'wanasema "lipa tena", ati\nmara ya pili; ovyo',
    "eCitizen\r\nimekataa | password, 😡😡",
    "NULL",
    "Tunaomba radhi, eCitizen haipatikani kwa sasa. Mafundi wetu wanashughulikia.",
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one store's posts, two of them corrected, exported in every format and tier by the commands."""
    folder = tmp_path_factory.mktemp("exported")
    url = f"sqlite:///{folder / 'posts.db'}"
    lines = REPLAY.read_text(encoding="utf-8").splitlines()[:POSTS]
    for number, text in enumerate(ODD_TEXTS):
        record = {"source": "x", "id": f"odd-{number}", "created_at": "2026-03-05T06:00:00Z", "text": text}
        lines.append(json.dumps(record | {"author": f"a{number}"}))
    (folder / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def run(*words: object) -> None:
        own = {"TRACKER_DATABASE_URL": url, "TRACKER_PSEUDONYM_KEY": KEY, "TRACKER_NOW": NOW, "HOME": str(folder)}
        done = run_tracker(words, cwd=folder, env={**os.environ, **own})
        assert done.returncode == 0, done.stderr

    run("import", "in.jsonl")
    run("classify")
    store = open_store(load_settings(database_url=url, pseudonym_key=KEY))
    store.correct("x", "odd-0", {"kind": "official", "status": "update", "scope": "reply"}, "an analyst")
    store.correct("x", "odd-1", {"problems": ["security", "delay"], "about": "other"}, "an analyst", "told by phone")
    store.close()
    for ending in ("jsonl", "csv", "parquet"):
        run("export", f"all.{ending}")
        for tier in ("public", "aggregate"):
            run("export", f"{tier}.{ending}", "--tier", tier)
    return folder


@pytest.fixture
def rows(exported: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """The rows of the JSONL export, to be changed and written to `changed.jsonl`."""
    return [json.loads(line) for line in (exported / "all.jsonl").read_text(encoding="utf-8").splitlines()]


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "changed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def report_of(done: subprocess.CompletedProcess[str], status: int) -> dict[str, Any]:
    assert done.returncode == status, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def older_model(folder: Path) -> Model:
    """The model that ships with other thresholds, which is another model, and runs."""
    shutil.copytree(default_model_folder(), folder)
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    manifest |= {"name": "older_1", "thresholds": manifest["thresholds"] | {"outage": 0.999, "payment": 0.001}}
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return load_model(folder)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_export_is_labelled_again_bit_for_bit(tracker: Tracker, exported: Path, ending: str) -> None:
    path = exported / f"all.{ending}"
    report = report_of(tracker("rerun", path, "--json"), 0)
    posts = POSTS + len(ODD_TEXTS)
    assert (report["verdict"], report["n"], report["identical"]) == ("identical", posts, posts)
    assert (report["corrected"], report["examples"]) == (2, [])
    assert report["scores"]["largest_difference"] == 0
    assert set(report["fields"]) == {
        *("problems", "kind", "sentiment", "about", "lang", "unsure", "services", "status", "scope")
    }
    assert report["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert report["as_its_card_says"] is True
    (model,) = report["models"]
    shipped = load_model()
    assert (model["said_by"], model["rerun_by"], model["sha256"]) == (shipped.id, shipped.id, shipped.sha256)
    assert report["runtime"]["onnxruntime"]
    assert report["runtime"]["processor"]


def test_the_words_for_people_are_few_and_hold_no_text(tracker: Tracker, rows: list[Any], tmp_path: Path) -> None:
    rows[0]["kind"] = "promotion"
    path = write_rows(tmp_path, rows)
    done = tracker("rerun", path)
    assert done.returncode == 1
    assert "promotion +0 -1" in done.stdout
    assert "kind promotion -> " in done.stdout
    assert "drifted" in done.stdout
    assert rows[0]["text"] not in done.stdout + done.stderr
    assert rows[0]["text"] in tracker("rerun", path, "--show-text").stdout


LABELS = [
    ("kind", "promotion"),
    ("sentiment", None),
    ("about", ""),
    ("lang", "fr"),
    ("problems", ["security", "slow"]),
    ("problems", []),
    ("services", ["no such service"]),
    ("status", "denial"),
    ("unsure", None),
]


@pytest.mark.parametrize(("field", "value"), LABELS)
def test_a_label_that_was_changed_is_drift(rows: list[Any], tmp_path: Path, field: str, value: Any) -> None:
    # Whatever the model that ships says of the demo: some complaint of one problem, which no case below names.
    row = next(
        row
        for row in rows
        if row["kind"] == "complaint" and len(row["problems"]) == 1 and row["problems"][0] not in {"security", "slow"}
    )
    said = row[field]
    row[field] = value
    report = rerun(write_rows(tmp_path, rows))
    assert (report["verdict"], report["differing"], report["with_other_labels"]) == ("drifted", 1, 1)
    assert [name for name, of_field in report["fields"].items() if of_field["differing"]] == [field]
    (example,) = report["examples"]
    assert (example["id"], example["row"]) == (f"{row['source']}:{row['id']}", rows.index(row) + 1)
    assert example["differs"] == {
        field: {"file": sorted(value) if isinstance(value, list) else value or None, "rerun": said}
    }
    per_label = report["fields"][field]["per_label"]
    listed = value if isinstance(value, list) else [value] if value else []
    for label in listed:
        assert per_label[label]["lost"] == 1
    for label in said if isinstance(said, list) else [said] if isinstance(said, str) else []:
        assert per_label[label]["gained"] == (label not in listed)
        assert per_label[label]["rerun"] == per_label[label]["file"] + (label not in listed)


@pytest.mark.parametrize(
    ("by", "exact", "verdict"),
    [
        (0.01, False, "within tolerance"),
        (0.01, True, "drifted"),
        (0.02, False, "within tolerance"),
        (0.0201, False, "drifted"),
        (0.5, False, "drifted"),
    ],
)
def test_a_score_that_was_changed_is_measured(
    rows: list[Any], tmp_path: Path, by: float, exact: bool, verdict: str
) -> None:
    score = rows[3]["scores"]["payment"]
    rows[3]["scores"]["payment"] = score + by if score < 0.5 else score - by
    report = rerun(write_rows(tmp_path, rows), exact=exact)
    assert (report["verdict"], report["differing"], report["with_other_labels"]) == (verdict, 1, 0)
    assert report["scores"]["largest_difference"] == pytest.approx(by, abs=1e-6)
    assert report["scores"]["differing"] == {"scores": 1, "kind_score": 0, "sentiment_score": 0, "about_score": 0}
    assert set(report["examples"][0]["differs"]["scores"]["file"]) == {"payment"}


def test_only_drift_is_a_failure(tracker: Tracker, rows: list[Any], tmp_path: Path) -> None:
    rows[3]["kind_score"] -= 0.01
    path = write_rows(tmp_path, rows)
    assert report_of(tracker("rerun", path, "--json"), 0)["verdict"] == "within tolerance"
    assert report_of(tracker("rerun", path, "--json", "--exact"), 1)["verdict"] == "drifted"


def test_a_text_that_was_changed_is_found_and_the_card_tells(tracker: Tracker, exported: Path, tmp_path: Path) -> None:
    content = (exported / "all.csv").read_text(encoding="utf-8-sig")
    (tmp_path / "all.csv").write_text(content.replace("ecitizen iko down", "asante ecitizen"), encoding="utf-8-sig")
    shutil.copyfile(exported / "all.csv.card.json", tmp_path / "all.csv.card.json")
    report = report_of(tracker("rerun", "all.csv", "--json"), 1)
    assert report["as_its_card_says"] is False
    assert "x:odd-0" in {example["id"] for example in report["examples"]}


def test_fields_that_the_file_lacks_are_not_compared(rows: list[Any], tmp_path: Path) -> None:
    few = [{name: row[name] for name in ("text", "kind", "model")} for row in rows if not row["corrections"]]
    report = rerun(write_rows(tmp_path, few))
    assert report["verdict"] == "identical"
    assert list(report["fields"]) == ["kind"]
    assert report["as_its_card_says"] is None
    few[0]["kind"] = "rumour"
    report = rerun(write_rows(tmp_path, few))
    assert (report["verdict"], report["examples"][0]["id"]) == ("drifted", None)


def test_a_post_whose_text_the_retention_limit_emptied_is_counted_apart(rows: list[Any], tmp_path: Path) -> None:
    for row in rows[:3]:
        row |= {"text": "", "text_erased_at": "2026-03-06T17:00:00+00:00"}
    said: list[str] = []
    report = rerun(write_rows(tmp_path, rows), say=said.append)
    assert (report["verdict"], report["n"], report["without_text"]) == ("identical", len(rows) - 3, 3)
    assert said == ["3 posts have no text any more and cannot be labelled again"]
    with pytest.raises(InputError, match="no labelled post with a text"):
        rerun(write_rows(tmp_path, rows[:3]))


def test_every_difference_is_written_and_the_examples_are_few(
    tracker: Tracker, rows: list[Any], tmp_path: Path
) -> None:
    for number, row in enumerate(rows[:50]):
        row["kind_score"] -= 0.001
        if number >= 25:
            row["kind"] = "rumour"
    path = write_rows(tmp_path, rows)
    report = report_of(tracker("rerun", path, "--json", "--output", "differences.jsonl"), 1)
    written = [json.loads(line) for line in (tmp_path / "differences.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [found["row"] for found in written] == list(range(1, 51))
    assert report["differing"] == 50
    assert report["examples"] == written[25 : 25 + MAX_EXAMPLES]
    assert not any("text" in found for found in written)
    assert tracker("rerun", path, "--output", path).returncode == 2
    assert tracker("rerun", path, "--output", Path("nowhere") / "differences.jsonl").returncode == 2
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.campaign
def test_labels_of_an_older_model_are_rerun_with_it(tracker: Tracker, exported: Path, tmp_path: Path) -> None:
    older = older_model(tmp_path / "older")
    done = tracker("classify", "--input", exported / "in.jsonl", "--output", "older.jsonl", "--model", "older")
    assert done.returncode == 0, done.stderr
    alone = tracker("rerun", "older.jsonl", "--json")
    assert f"tracker model get {older.id} --from" in alone.stderr
    report = report_of(alone, 1)
    assert report["verdict"] == "other model"
    assert report["models"][0]["rerun_by"] == load_model().id
    assert report["models"][0]["why_another"]
    assert report["fields"]["problems"]["per_label"]["payment"]["lost"] > POSTS / 2

    kept = {"TRACKER_MODELS": str(tmp_path / "kept")}
    assert tracker("model", "get", older.id, "--from", "older", **kept).returncode == 0
    report = report_of(tracker("rerun", "older.jsonl", "--json", **kept), 0)
    assert (report["verdict"], report["models"][0]["sha256"]) == ("identical", older.sha256)
    # What was asked for is no failure, however much it differs.
    report = report_of(tracker("rerun", "older.jsonl", "--json", "--model", load_model().id, **kept), 0)
    assert (report["verdict"], report["with_other_labels"] > POSTS / 2) == ("other model", True)

    both = (tmp_path / "older.jsonl").read_text(encoding="utf-8").splitlines()
    both = [
        line
        for pair in zip(both, (exported / "all.jsonl").read_text(encoding="utf-8").splitlines(), strict=True)
        for line in pair
    ]
    (tmp_path / "both.jsonl").write_text("\n".join(both), encoding="utf-8")
    report = report_of(tracker("rerun", "both.jsonl", "--json", **kept), 0)
    assert report["verdict"] == "identical"
    assert {model["rerun_by"]: model["posts"] for model in report["models"]} == {
        older.id: len(both) // 2,
        load_model().id: len(both) // 2,
    }


def test_what_classify_writes_of_an_export_and_of_an_empty_text_is_rerun(
    tracker: Tracker, exported: Path, tmp_path: Path
) -> None:
    content = (exported / "all.jsonl").read_text(encoding="utf-8") + '{"text":""}\n'
    (tmp_path / "in.jsonl").write_text(content, encoding="utf-8")
    assert tracker("classify", "--input", "in.jsonl", "--output", "again.jsonl").returncode == 0
    report = report_of(tracker("rerun", "again.jsonl", "--json"), 0)
    assert (report["verdict"], report["n"], report["corrected"]) == ("identical", POSTS + len(ODD_TEXTS) + 1, 0)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("tier", ["public", "aggregate"])
def test_an_export_without_texts_is_refused_with_the_reason(exported: Path, tier: str, ending: str) -> None:
    with pytest.raises(InputError, match=rf"tier {tier}.*--tier partner"):
        rerun(exported / f"{tier}.{ending}")


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"text": None}, "no text"),
    ({"text": 7}, "no text"),
    ({"text": "x" * 70_000}, "characters"),
    ({"text": "half \ud83d"}, "Unicode"),
    ({"id": "\ud83d"}, "Unicode"),
    ({"model": ""}, "--model"),
    ({"model": "ecitizen"}, "NAME@HASH"),
    ({"model": ["a@0123"]}, "NAME@HASH"),
    ({"model": "../../evil@0123456789ab"}, "NAME@HASH"),
    ({"problems": {"outage": 1}}, "list of labels"),
    ({"problems": [1]}, "list of labels"),
    ({"kind": ["complaint"]}, "kind is no label"),
    ({"scores": "{"}, "not as an export has it"),
    ({"scores": [0.5]}, "no object"),
    ({"scores": {"outage": float("nan")}}, "no number"),
    ({"scores": {"outage": "much"}}, "no number"),
    ({"kind_score": float("inf")}, "no number"),
    ({"corrections": [{"field": "kind"}]}, "not as an export has it"),
    ({"corrections": {"kind": "news"}}, "not as an export has it"),
    ({"corrections": "[" * 100_000}, "not as an export has it"),
]


def test_a_row_that_cannot_be_compared_is_named_and_nothing_is_labelled(
    rows: list[Any], tmp_path: Path, tracker: Tracker
) -> None:
    for change, says in BROKEN:
        path = write_rows(tmp_path, [*rows[:2], rows[2] | change])
        with pytest.raises(InputError) as caught:
            rerun(path, progress=lambda _done, _posts: pytest.fail("labelled"))
            pytest.fail(str(change))
        assert "row 3" in str(caught.value), change
        assert says in str(caught.value), change
        assert rows[2]["text"] not in str(caught.value)
    done = tracker("rerun", path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.jsonl", None, "not here"),
        ("a.txt", b"{}", ".parquet"),
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n\n", "only white space"),
        ("a.jsonl", b"{\n", "row 1"),
        ("a.jsonl", b"[]\n", "no labelled post"),
        ("a.jsonl", b'{"text":"x","kind":"news","model":"a@0123"}\n\xff\xfe\n', "row 2"),
        ("a.jsonl", b'{"text":"a post"}\n', "no label to compare"),
        ("a.jsonl", b'{"name":"no post"}\n', "has no text"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"text,kind,model\n", "no labelled post"),
        ("a.csv", b"text,kind,model\nx,news\n", "row 1"),
        ("a.csv", b'text,kind,model\n"x,news,a@0123\n', "row 1"),
        ("a.parquet", b"PAR1 and nothing more PAR1", "whole Parquet file"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        rerun(tmp_path / name)


def test_a_parquet_file_that_was_cut_off_or_holds_other_columns_is_refused(exported: Path, tmp_path: Path) -> None:
    whole = (exported / "all.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-100])
    (tmp_path / "damaged.parquet").write_bytes(whole[:500] + bytes(2_000) + whole[2_500:])
    pq.write_table(pa.table({"text": [b"\xff\xfe"], "kind": ["news"], "model": ["a@0123"]}), tmp_path / "bytes.parquet")
    for name in ("cut", "damaged", "bytes"):
        with pytest.raises(InputError):
            rerun(tmp_path / f"{name}.parquet")
            pytest.fail(name)


def test_a_model_that_is_asked_for_and_not_here_is_said(tracker: Tracker, exported: Path) -> None:
    done = tracker("rerun", exported / "all.csv", "--model", "older_1@0123456789ab")
    assert done.returncode == 1
    assert "tracker model get older_1@0123456789ab --from" in done.stderr


def test_every_cell_of_a_csv_is_read_as_it_was_written(exported: Path) -> None:
    by_csv, by_json = (list(read_rows(exported / f"all.{ending}")) for ending in ("csv", "jsonl"))
    assert by_csv == by_json == list(read_rows(exported / "all.parquet"))
    with (exported / "all.csv").open(encoding="utf-8-sig", newline="") as file:
        guarded = [row["text"] for row in csv.DictReader(file) if row["text"].startswith("'")]
    assert len(guarded) == 2


# The rules of the tolerance, on rows of our own making.


@cache
def labelled() -> dict[str, Any]:
    (labels,) = label_texts(load_model(), ["ecitizen iko down tena, haifunguki kabisa"])
    return asdict(labels) | {"model": load_model().id}


def said_and_again(**changes: Any) -> tuple[Row, dict[str, Any]]:
    again = {name: value for name, value in labelled().items() if name != "model"}
    return Row(1, "x:1", "a text", labelled()["model"], again | changes, False), again


@pytest.mark.parametrize(
    ("flipped", "changes", "within"),
    [
        (5, {"problems": [], "kind_score": 0.0}, True),
        (6, {"problems": [], "kind_score": 0.0}, False),
        (1, {"problems": []}, False),  # with every score equal: no processor does that
        (1, {"services": ["passport"], "kind_score": 0.0}, False),  # nor does it change a list of names
        (1, {"sentiment": "neutral", "kind_score": 0.0}, True),
        (1000, {"kind_score": 0.0}, True),
        (1, {"kind_score": 0.05}, False),
    ],
)
def test_the_tolerance(flipped: int, changes: dict[str, Any], within: bool) -> None:
    same, again = said_and_again()
    moved = {name: again[name] - 0.01 - value if name == "kind_score" else value for name, value in changes.items()}
    other, _ = said_and_again(**moved)
    drift = Drift()
    for number in range(1_000):
        drift.add(other if number < flipped else same, again, same.model or "")
    assert drift.differing == flipped
    assert drift.within_tolerance is within
