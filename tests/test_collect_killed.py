"""kill -9 at random moments, then once more to the end: every post once, and the coverage whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from killing import Killing, open_platform

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_261_122
KILLS = 6


def test_killed_at_any_moment_and_run_again_each_post_is_stored_once_and_the_coverage_is_whole(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    with open_platform("x", posts=1_500) as platform:
        killing = Killing("x", platform, tmp_path, SEED)
        for _ in range(KILLS):
            killing.kill_one(most_pages=4)
            killing.publish_some(most=120)
        killing.finish()
        print(killing.landed)
        assert killing.findings() == dict.fromkeys(killing.findings(), 0)
        assert killing.landed["while it read pages"] >= 2
