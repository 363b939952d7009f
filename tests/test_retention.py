"""Texts past their time, and what earlier exports must give back."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import NOW
from labelled import MODEL, labels
from sqlalchemy import select

from collector.importing import import_file
from dashboard import volume
from dashboard.export import Selection, write_export
from data import tables
from data.errors import InputError
from data.records import Post
from data.settings import load_settings
from data.withdrawal import exports_to_withdraw, last_line, withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from data.store import Store

DAY = timedelta(days=1)
OTHER = "theirs@ba9876543210"
AGES = (1, 20, 40, 400)


def filled(store: Store) -> Store:
    posts = [
        Post("x", str(age), NOW - age * DAY, f"eCitizen imelala http://a.example {age}", f"h{age}") for age in AGES
    ]
    posts.append(Post("reddit", "t3_old", NOW - 400 * DAY, "eCitizen polepole"))
    store.save_page(posts)
    store.activate_model(MODEL, "0" * 64)
    store.save_labels(MODEL, [(post.source, post.id, labels("outage")) for post in posts])
    return store


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    return filled(opened())


def posts(store: Store) -> dict[str, Any]:
    with store.engine.connect() as connection:
        return {row.id: row for row in connection.execute(select(tables.posts))}


def export(store: Store, path: Path, tier: str = "partner", **selection: Any) -> list[dict[str, Any]]:
    options: Any = {"tier": tier, "now": NOW, "pretended": True, "version": "test"}
    card = write_export(store.engine, path, Selection(**selection), **options)
    store.record("export", {name: card[name] for name in ("file", "sha256", "rows", "tier", "selection")})
    return [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else []


def test_texts_past_their_time_are_emptied_and_their_labels_go_on_counting(store: Store, tmp_path: Path) -> None:
    before = export(store, tmp_path / "before.jsonl")
    fingerprints = {id_: row.fingerprint for id_, row in posts(store).items()}
    assert store.erase_texts("x", NOW - 30 * DAY) == 2
    assert store.erase_texts("x", NOW - 30 * DAY) == 0
    kept = posts(store)
    assert {id_ for id_, row in kept.items() if row.text == ""} == {"40", "400"}
    assert (kept["40"].links, kept["40"].text_erased_at) == ([], NOW)
    assert {id_: row.fingerprint for id_, row in kept.items()} == fingerprints

    window = volume.Window(NOW - 500 * DAY, NOW)
    assert len(volume.complaints(volume.load_posts(store.engine, window))) == 5
    after = export(store, tmp_path / "after.jsonl")
    assert {row["id"]: row["problems"] for row in after} == {row["id"]: row["problems"] for row in before}
    assert {row["id"]: bool(row["text"]) for row in after}["40"] is False

    tally = import_file(tmp_path / "before.jsonl", store, now=NOW)
    assert (tally.new, tally.duplicate) == (0, 5)
    edit = Post("x", "40", NOW - 40 * DAY, "eCitizen iko sawa", "h40", edited_at=NOW)
    assert store.save_page([edit]).updated == 0
    assert posts(store)["40"].text == ""


def test_a_new_model_labels_what_has_a_text_and_the_others_keep_their_last_label(store: Store) -> None:
    store.erase_texts("x", NOW - 30 * DAY)
    assert sorted(id_ for _, id_, _ in store.unlabelled(OTHER, 9)) == ["1", "20", "t3_old"]
    assert (store.count_unlabelled(OTHER), store.count_unlabelled(MODEL)) == (3, 0)
    store.save_labels(OTHER, [(source, id_, labels("slow")) for source, id_, _ in store.unlabelled(OTHER, 9)])
    assert store.count_unlabelled(OTHER) == 0
    store.activate_model(OTHER, "1" * 64)
    found = volume.load_posts(store.engine, volume.Window(NOW - 500 * DAY, NOW))
    assert dict(zip(found["id"], found["main_problem"], strict=True)) == {
        "1": "slow",
        "20": "slow",
        "t3_old": "slow",
        "40": "outage",
        "400": "outage",
    }
    assert volume.status_line(store.engine, NOW).waiting == 0


def test_an_emptied_text_is_neither_reviewed_nor_learnt_from(store: Store) -> None:
    store.save_page([Post("x", "9", NOW - 50 * DAY, "eCitizen?", "h9")])
    unsure: Any = labels("outage")
    object.__setattr__(unsure, "unsure", True)
    store.save_labels(MODEL, [("x", "9", unsure)])
    store.correct("x", "400", {"kind": "praise"}, "desk 1")
    assert store.review_counts()[0] == 1 and len(store.corrected_examples()) == 1
    store.erase_texts("x", NOW - 30 * DAY)
    assert store.review_counts()[0] == 0 and store.review_queue(9) == [] and store.corrected_examples() == []


def test_the_command_follows_the_limits_of_each_source(
    tracker: Callable[..., CompletedProcess[str]], settings: Any, tmp_path: Path
) -> None:
    from data.store import open_store

    store = filled(open_store(settings))
    untouched = tracker("comply", "--json")
    assert untouched.returncode == 0, untouched.stderr
    assert json.loads(untouched.stdout)["texts_erased"] == {}
    (tmp_path / "tracker.toml").write_text("[retention_days]\nx = 30\ndefault = 1000\n")
    done = tracker("comply", "--json")
    assert json.loads(done.stdout)["texts_erased"] == {"x": 2}
    assert "past 30 days" in done.stderr
    assert not [p for p in tmp_path.glob("posts.db*") if b"a.example 400" in p.read_bytes()]
    done = tracker("comply", "--json", TRACKER_RETENTION_DAYS='{"default": 300}')
    assert json.loads(done.stdout)["texts_erased"] == {"reddit": 1}
    store.close()


@pytest.mark.parametrize("value", ["30", "{", '{"x": 0}', '{"x": "long"}', "[]", '{"x": 1.5}'])
def test_a_limit_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_RETENTION_DAYS", value)
    with pytest.raises(InputError, match=r"(?i)retention_days"):
        load_settings()


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_what_an_export_must_give_back(store: Store, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    store.save_page([Post("x", "7", NOW - DAY, "eCitizen", "h7")])
    store.save_labels(MODEL, [("x", "7", labels())])
    export(store, path)
    assert list(withdrawn(store, path)) == []
    store.erase_post("x", "1")
    store.erase_author("h20")
    store.erase_texts("x", NOW - 30 * DAY)
    store.save_page([Post("x", "7", NOW - DAY, "eCitizen sasa", "h7", edited_at=NOW)])
    found = {each["id"]: each["reason"] for each in withdrawn(store, path)}
    assert found == {"1": "erased", "20": "erased", "40": "retention", "400": "retention", "7": "edited"}
    assert all(set(each) == {"source", "id", "reason", "at"} for each in withdrawn(store, path))


def test_the_public_tier_has_no_text_to_give_back_and_counts_have_no_posts(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "public.jsonl", "public")
    export(store, tmp_path / "counts.jsonl", "aggregate")
    store.erase_texts("x", NOW)
    store.erase_post("x", "1")
    assert [each["id"] for each in withdrawn(store, tmp_path / "public.jsonl")] == ["1"]
    with pytest.raises(InputError, match="counts"):
        list(withdrawn(store, tmp_path / "counts.jsonl"))
    (tmp_path / "broken.jsonl").write_text('{"source": "x", "id": "1"}\n{"a": 1}\n')
    with pytest.raises(InputError, match="line 2"):
        list(withdrawn(store, tmp_path / "broken.jsonl"))


def test_the_exports_that_can_hold_what_was_erased_are_named_and_no_others(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "all.jsonl")
    export(store, tmp_path / "reddit.jsonl", source="reddit")
    export(store, tmp_path / "old.jsonl", to_at=NOW - 100 * DAY)
    export(store, tmp_path / "counts.jsonl", "aggregate")
    export(store, tmp_path / "public.jsonl", "public")

    def named(erase: Callable[[], object]) -> list[str]:
        line = last_line(store)
        erase()
        return [each["file"] for each in exports_to_withdraw(store, line)]

    assert named(lambda: store.erase_post("x", "1")) == ["all.jsonl", "public.jsonl"]
    assert named(lambda: store.erase_author("h400")) == ["all.jsonl", "old.jsonl", "public.jsonl"]
    assert named(lambda: store.erase_texts("reddit", NOW)) == ["all.jsonl", "reddit.jsonl", "old.jsonl"]
    assert named(lambda: store.erase_post("x", "unknown")) == []


def test_erase_says_which_exports_to_withdraw(
    tracker: Callable[..., CompletedProcess[str]], settings: Any, tmp_path: Path
) -> None:
    from data.store import open_store

    filled(open_store(settings)).close()
    assert tracker("export", "march.csv").returncode == 0
    erased = tracker("erase", "--author", "h1")
    assert "1 export was made since these posts were stored" in erased.stderr
    assert "march.csv (Fri 06 Mar 2026 20:00 EAT)" in erased.stderr
    listed = tracker("comply", "--withdraw", "march.csv", "--output", "back.jsonl", "--json")
    assert json.loads(listed.stdout) == {"file": "march.csv", "withdrawn": 1, "reasons": {"erased": 1}}
    [line] = (tmp_path / "back.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == "1" and "h1" not in line
    again = tracker("erase", "--author", "h1")
    assert "export" not in again.stderr
    assert "nothing was erased: no post by that author is stored" in again.stderr
    edited = tracker("erase", "--post", "x:404")
    assert "nothing was erased: x:404 is not stored, and an edited post of X" in edited.stderr
    refused = tracker("erase", "--post", "X:404")
    assert refused.returncode == 2 and "source must be a short lower-case name" in refused.stderr
