"""Fixtures: a store in a temporary folder, and a command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data.settings import Settings, load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from data.store import Store

NOW = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)
KEY = "a key of the tests, nobody's secret"
_OURS = ("TRACKER_", "X_BEARER_TOKEN", "REDDIT_CLIENT_")


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, key or database of the machine reaches a test."""
    for name in os.environ:
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
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
        return subprocess.run(
            [sys.executable, "-m", "tracker", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, **defaults, **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run
