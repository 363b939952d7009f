"""A sample of the fault campaign, and the proof that its rules can be broken. `benchmarks/fault_campaign.py` runs thousands."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from campaign import KEY, SCENES, Run
from collecting import Collecting
from conftest import NOW
from sqlalchemy import create_engine, delete, insert, select, update

from data import tables
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

SEED = 20_261_130
ON_SQLITE, ON_POSTGRESQL = 16, 2  # runs of each source, and of two: 100 in all


@pytest.fixture(scope="module")
def collecting() -> Iterator[Collecting]:
    with Collecting() as collecting:
        yield collecting


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied."""
    database = tmp_path_factory.mktemp("template") / "posts.db"
    open_store(load_settings(database_url=f"sqlite:///{database}", pseudonym_key=KEY)).close()
    return database


def on_sqlite(source: str, seed: int, collecting: Collecting, template: Path, folder: Path) -> Run:
    return Run(source, seed, collecting, f"sqlite:///{shutil.copy(template, folder / f'{seed}.db')}")


@pytest.mark.parametrize("source", SCENES)
def test_through_any_faults_and_kills_each_post_is_stored_once_and_gaps_are_where_nothing_could_be_read(
    source: str, collecting: Collecting, template: Path, tmp_path: Path
) -> None:
    kills = 0
    for seed in range(SEED, SEED + ON_SQLITE):
        result = on_sqlite(source, seed, collecting, template, tmp_path).go()
        assert result.broken == [], f"seed {seed}"
        kills += result.kills["while it read"]
    assert kills > 0


@pytest.mark.parametrize("source", ["x", "bluesky"])
def test_the_same_on_postgresql(source: str, collecting: Collecting, postgres_database: str) -> None:
    open_store(load_settings(database_url=postgres_database, pseudonym_key=KEY)).close()
    engine = create_engine(postgres_database)
    for seed in range(SEED, SEED + ON_POSTGRESQL):
        result = Run(source, seed, collecting, postgres_database).go()
        assert result.broken == [], f"seed {seed}"
        with engine.begin() as connection:
            for table in (tables.posts, tables.coverage, tables.cursors, tables.tombstones, tables.runs):
                connection.execute(delete(table))
    engine.dispose()


def one_post(connection: Connection) -> dict[str, Any]:
    return dict(
        connection.execute(select(tables.posts).order_by(tables.posts.c.created_at.desc()).limit(1)).mappings().one()
    )


def lose(connection: Connection) -> None:
    connection.execute(delete(tables.posts).where(tables.posts.c.id == one_post(connection)["id"]))


def invent(connection: Connection) -> None:
    connection.execute(insert(tables.posts).values(**one_post(connection) | {"id": "1", "text": "Nobody wrote this"}))


def garble(connection: Connection) -> None:
    connection.execute(update(tables.posts).values(text="eCitizen"))


def deny(connection: Connection) -> None:
    connection.execute(update(tables.coverage).values(gap_reason="further back"))


def forget(connection: Connection) -> None:
    connection.execute(delete(tables.coverage))


def cut_out(connection: Connection) -> None:
    """A hole before the end of the covered span."""
    row = connection.execute(select(tables.coverage).order_by(tables.coverage.c.to_at.desc())).mappings().first()
    assert row is not None
    middle = row["from_at"] + (row["to_at"] - row["from_at"]) / 2
    values = dict(row) | {"from_at": row["from_at"] + (middle - row["from_at"]) * 1.5}
    connection.execute(update(tables.coverage).where(tables.coverage.c.id == row["id"]).values(to_at=middle))
    connection.execute(insert(tables.coverage).values({name: each for name, each in values.items() if name != "id"}))


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lose, "count as read and are not stored"),
        (lose, "were there for a whole run and are not stored"),
        (invent, "stored and never served"),
        (garble, "stored otherwise than it was written"),
        (deny, "a gap where all could be read"),
        (forget, "nothing counts as looked at"),
        (cut_out, "time neither looked at nor a gap"),
    ],
)
def test_a_damaged_store_breaks_a_rule(
    damage: Callable[[Connection], None], rule: str, collecting: Collecting, template: Path, tmp_path: Path
) -> None:
    run = on_sqlite("x", SEED, collecting, template, tmp_path)
    assert run.go().broken == []
    with run.engine.begin() as connection:
        damage(connection)
    run.check()
    run.check_end()
    assert any(rule in broken for broken in run.result.broken), run.result.broken


def test_a_cursor_ahead_of_what_is_stored_breaks_a_rule(collecting: Collecting, template: Path, tmp_path: Path) -> None:
    run = on_sqlite("reddit", SEED, collecting, template, tmp_path)
    assert run.go().broken == []
    before = run.clock.at
    run.clock.at += (run.clock.at - NOW) / 2
    run.scene.publish(5, before)
    run.check()
    assert run.result.broken == []
    with run.engine.begin() as connection:
        connection.execute(update(tables.cursors).values(cursor={"floor": run.clock.at.isoformat()}))
    run.check()
    assert any("count as read and are not stored" in broken for broken in run.result.broken)


def test_a_post_that_outlives_its_deletion_breaks_a_rule(
    collecting: Collecting, template: Path, tmp_path: Path
) -> None:
    run = on_sqlite("bluesky", SEED, collecting, template, tmp_path)
    assert run.go().broken == []
    gone = next(each for each in run.scene.everything().values() if each.gone and each.id in run.plan.served)
    with run.engine.begin() as connection:
        connection.execute(
            insert(tables.posts).values(**one_post(connection) | {"id": gone.id, "text": gone.versions[0][1]})
        )
    run.check_end()
    assert any("stored though deleted" in broken for broken in run.result.broken)


def test_a_run_that_crashes_says_where(collecting: Collecting, template: Path, tmp_path: Path) -> None:
    settings = {"database_url": f"sqlite:///{template}", "pseudonym_key": KEY}
    collecting.start(
        {"source": "nowhere", "settings": settings, "now": NOW.isoformat(), "patience_seconds": 1, "page_events": 1}
    )
    ending = collecting.end()
    assert ending.outcome == "failed"
    assert "KeyError: 'nowhere'" in ending.crash
