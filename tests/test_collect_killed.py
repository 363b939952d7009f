"""kill -9 at random moments, then once more to the end: every post once, and the coverage whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from killing import Killing, open_platform

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_261_122
KILLS = 6


@pytest.mark.parametrize(
    ("source", "served", "most_pages", "most_new"),
    [("x", 1_500, 4, 120), pytest.param("bluesky", 25_000, 20, 6, marks=pytest.mark.campaign)],
)
def test_killed_at_any_moment_and_run_again_each_post_is_stored_once_and_the_coverage_is_whole(
    tmp_path: Path, source: str, served: int, most_pages: int, most_new: int
) -> None:
    print(f"seed {SEED}")
    with open_platform(source, served) as platform:
        killing = Killing(source, platform, tmp_path, SEED)
        for _ in range(KILLS):
            killing.kill_one(most_pages)
            killing.publish_some(most_new)
        killing.finish()
        print(killing.landed)
        assert killing.findings() == dict.fromkeys(killing.findings(), 0)
        assert killing.landed["while it read pages"] >= 2
