from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from conftest import NOW
from labelled import MODEL, labels, put

from collector.importing import import_file
from dashboard.export import FIELDS, Selection, write_export
from data.errors import InputError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from data.store import Store


@pytest.fixture
def filled(store: Store) -> Store:
    store.activate_model(MODEL, "0" * 64)
    put(store, "2026-03-05 09:00", labels("payment", "support"), text='=HYPERLINK("http://evil.example/")')
    put(store, "2026-03-05 10:00", labels("lockout", lang="sw"), text="nambari ni 0712345678\nsiwezi kuingia")
    put(
        store,
        "2026-03-06 01:00",
        labels(kind="praise", sentiment="positive"),
        text='asante, "nimepata"',
        source="reddit",
    )
    return store


def export(store: Store, path: Path, selection: Selection | None = None, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"tier": "partner", "now": NOW, "pretended": True, "version": "test"}
    return write_export(store.engine, path, selection or Selection(), **(defaults | options))


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_every_format_holds_the_same_posts_and_comes_back(filled: Store, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    card = export(filled, path)
    rows = rows_of(path)
    assert (card["rows"], card["models"]) == (3, {MODEL: 3})
    assert list(rows[0]) == list(FIELDS["partner"])
    assert rows[1]["text"] == "nambari ni <PHONE>\nsiwezi kuingia"
    assert "0712345678" not in path.read_bytes().decode(errors="replace")
    tally = import_file(path, filled, now=NOW)
    assert (tally.read, tally.new, tally.duplicate, tally.skipped) == (3, 0, 3, 0)


def test_a_text_that_a_spreadsheet_would_run_is_guarded_and_unguarded(filled: Store, tmp_path: Path) -> None:
    export(filled, tmp_path / "out.csv")
    row = rows_of(tmp_path / "out.csv")[0]
    assert row["text"].startswith("'=HYPERLINK")
    assert row["id"].startswith("x:")
    assert row["problems"] == "payment|support"
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_an_exported_author_stays_the_same_person_when_it_comes_back(
    filled: Store, tmp_path: Path, settings: Any
) -> None:
    from data.store import open_store

    export(filled, tmp_path / "out.jsonl")
    other = open_store(settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'other.db'}"}))
    import_file(tmp_path / "out.jsonl", other, now=NOW)
    other.activate_model(MODEL, "0" * 64)
    keys = [(row["source"], row["id"], labels("slow")) for row in rows_of(tmp_path / "out.jsonl")]
    other.save_labels(MODEL, keys)
    export(other, tmp_path / "again.jsonl")
    assert [row["author"] for row in rows_of(tmp_path / "again.jsonl")] == [
        row["author"] for row in rows_of(tmp_path / "out.jsonl")
    ]
    other.close()


def test_the_public_tier_has_no_text_and_no_author(filled: Store, tmp_path: Path) -> None:
    export(filled, tmp_path / "out.jsonl", tier="public")
    row = rows_of(tmp_path / "out.jsonl")[0]
    assert not {"text", "author", "links"} & set(row)
    assert row["id"]
    assert row["fingerprint"]


def test_the_aggregate_tier_counts_by_day_of_nairobi(filled: Store, tmp_path: Path) -> None:
    export(filled, tmp_path / "out.csv", tier="aggregate")
    found = {(row["day"], row["problem"]): row["posts"] for row in rows_of(tmp_path / "out.csv")}
    assert found == {
        ("2026-03-05", "payment"): "1",
        ("2026-03-05", "support"): "1",
        ("2026-03-05", "lockout"): "1",
        ("2026-03-06", ""): "1",
    }


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (Selection(problem="support"), 1),
        (Selection(kind="praise"), 1),
        (Selection(source="x"), 2),
        (Selection(lang="sw"), 1),
        (Selection(from_at=NOW.replace(day=5, hour=7, minute=0)), 2),
    ],
)
def test_filters(filled: Store, tmp_path: Path, selection: Selection, rows: int) -> None:
    assert export(filled, tmp_path / "out.jsonl", selection)["rows"] == rows


def test_nothing_found_writes_nothing(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labelled post matches"):
        export(filled, tmp_path / "out.csv", Selection(source="nowhere"))
    assert not list(tmp_path.glob("out*"))


def test_a_sample_repeats_with_its_seed_and_its_weights_add_up(filled: Store, tmp_path: Path) -> None:
    for number in range(30):
        put(filled, "2026-03-05 11:00", labels("slow"), person=f"p{number}", text=f"text {number}")
    first = export(filled, tmp_path / "a.jsonl", sample=10, sample_by="source", seed=3)
    export(filled, tmp_path / "b.jsonl", sample=10, sample_by="source", seed=3)
    rows = rows_of(tmp_path / "a.jsonl")
    assert first["sample"] == {"posts": 10, "by": "source", "seed": 3}
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert sum(row["weight"] for row in rows) == pytest.approx(33)
    assert {row["source"] for row in rows} == {"x", "reddit"}


def test_the_command_writes_the_card_and_an_audit_line(
    tracker: Callable[..., subprocess.CompletedProcess[str]], filled: Store, tmp_path: Path
) -> None:
    done = tracker("export", "out.csv", "--kind", "complaint")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out.csv.card.json").read_text(encoding="utf-8"))
    assert card["selection"] == {"kind": "complaint"}
    assert card["clock_pretended"] is True
    with filled.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit WHERE action = 'export'").scalar() == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export", "out.xlsx"], "must end in"),
        (["export", "nowhere/out.csv"], "does not exist"),
        (["export", "out.csv", "--kind", "rant"], "--kind must be one of"),
        (["export", "out.csv", "--from", "yesterday"], "--from is not"),
        (["export", "out.csv", "--seed", "3"], "go with --sample"),
    ],
)
def test_wrong_words_get_one_line_and_status_2(
    tracker: Callable[..., subprocess.CompletedProcess[str]], filled: Store, words: list[str], says: str
) -> None:
    done = tracker(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
