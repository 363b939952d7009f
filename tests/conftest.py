"""Fixtures: a store in a temporary folder, a PostgreSQL server, and a command line in a process of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import hypothesis
import pytest
from commands import run_tracker
from sqlalchemy import create_engine, make_url, text

from data.settings import Settings, load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from data.store import Store

NOW = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)
KEY = "a key of the tests, nobody's secret"
_OURS = ("TRACKER_", "X_BEARER_TOKEN", "REDDIT_CLIENT_")
# Sources that need no key are on by themselves; no test asks the real ones.
OPEN_SOURCES = (
    "TRACKER_JETSTREAM_URL",
    "TRACKER_BLUESKY_URL",
    "TRACKER_MASTODON_URLS",
    "TRACKER_FEED_URLS",
    "TRACKER_PLAY_APPS",
    "TRACKER_APPLE_APPS",
)

# The default budget of X would end in the middle of many a test; those of the budget set their own.
WIDE_BUDGET = {
    "TRACKER_X_POSTS_PER_DAY": "1000000",
    "TRACKER_X_POSTS_PER_MONTH": "1000000",
    "TRACKER_X_USD_PER_DAY": "100000",
    "TRACKER_X_USD_PER_MONTH": "100000",
}

# A failing random test prints the line that runs it again; how long an example takes says nothing about the code.
hypothesis.settings.register_profile("tests", print_blob=True, deadline=None, database=None, max_examples=30)
hypothesis.settings.register_profile("campaign", print_blob=True, deadline=None, database=None, max_examples=500)
hypothesis.settings.load_profile("tests")


# Each file runs on one worker: those that take minutes begin first, or the others wait for the last one.
SLOWEST_FIRST = (
    "collect_x_archive",
    "comply",
    "faults",
    "service",
    "official",
    "rerun",
    "classify",
    "delivery",
    "budget",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of SLOWEST_FIRST, then the others as they stand."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, key or database of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    for name in OPEN_SOURCES:
        monkeypatch.setenv(name, "off")
    for name, value in WIDE_BUDGET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A database in the test's folder, a known key, and the clock of the demo."""
    return load_settings(database_url=f"sqlite:///{tmp_path / 'posts.db'}", pseudonym_key=KEY, pretended_now=NOW)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An empty store on SQLite."""
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture
def tracker(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`tracker(...)` as a person runs it: a process with its own settings, in the test's folder."""

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        defaults = {
            "TRACKER_DATABASE_URL": f"sqlite:///{tmp_path / 'posts.db'}",
            "TRACKER_PSEUDONYM_KEY": KEY,
            "TRACKER_NOW": NOW.isoformat(),
        }
        return run_tracker(words, cwd=tmp_path, env={**os.environ, **defaults, **environment}, timeout=120)

    return run


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of the tests' own, on loopback; skips where none is installed."""
    psycopg = pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    initdb, postgres = _postgres_program("initdb"), _postgres_program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed")
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = known.get("postgres") or known.get("nobody")
        if entry is None:
            pytest.skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="tracker-postgres-"))
    process = None
    try:
        if user:
            os.chown(folder, user["user"], user["group"])
        cluster = folder / "cluster"
        made = [initdb, "-D", cluster, "-U", "tracker", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True, timeout=120, **user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = [postgres, "-D", cluster, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(started, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **user)
        for _ in range(600):
            try:
                psycopg.connect(host="127.0.0.1", port=port, user="tracker", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
                pytest.fail(f"PostgreSQL ended: {(folder / 'log').read_text(errors='replace')}")
        yield f"postgresql+psycopg://tracker@127.0.0.1:{port}/postgres"
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # a fast shutdown, which does not wait for clients
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database, which is gone after the test."""
    name = f"test_{uuid4().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_url).set(database=name).render_as_string()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database on SQLite, and again on PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_database"))
    (tmp_path / "database").mkdir()
    return f"sqlite:///{tmp_path / 'database' / 'posts.db'}"


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., Store]]:
    """Opens the database of the test, once or again."""
    stores: list[Store] = []

    def open_(**setting: Any) -> Store:
        changes = {"database_url": url, "pseudonym_key": KEY, "pretended_now": NOW} | setting
        stores.append(open_store(load_settings(**changes)))
        return stores[-1]

    yield open_
    for each in stores:
        each.close()
