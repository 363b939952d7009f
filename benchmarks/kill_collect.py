"""Kills `tracker collect` with SIGKILL at random moments, for each source, and looks for posts lost or doubled.

    python benchmarks/kill_collect.py [--kills 50] [--seed 1]

Exit status 1 where a post is lost or doubled or the coverage is not whole. The platforms are servers on the loopback
interface with posts of our own making, each answer 30 ms late, so that kills land in the middle of a walk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from killing import Killing, open_platform

POSTS = {"x": 6_000, "reddit": 1_400, "bluesky": 60_000}  # of Bluesky: events, and pages are thousands of them
# The first half of the kills falls into the first walk; then the command runs to its end once; the second half falls
# into walks that read what is new. A cut-off walk of X goes on, one of Reddit begins again at the top.
MOST_PAGES = {"x": (4, 4), "reddit": (12, 2), "bluesky": (30, 20)}
MOST_NEW = {"x": (150, 300), "reddit": (8, 60), "bluesky": (5, 30)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    wrong = 0
    for source in POSTS:
        started = time.monotonic()
        with open_platform(source, POSTS[source]) as platform, tempfile.TemporaryDirectory() as folder:
            killing = Killing(source, platform, Path(folder), arguments.seed)
            for half in (0, 1):
                for _ in range((arguments.kills + 1 - half) // 2):
                    killing.kill_one(MOST_PAGES[source][half])
                    killing.publish_some(MOST_NEW[source][half])
                killing.finish()
            findings = killing.findings()
            served = sum(map(len, killing.served().values()))
        print(f"{source}: {arguments.kills} kills (seed {arguments.seed}), {time.monotonic() - started:.0f} s")
        for where, count in killing.landed.most_common():
            print(f"  landed {where}: {count}")
        print(f"  posts served: {served}, in {len(platform.requests)} pages")
        for name, count in findings.items():
            print(f"  {name}: {count}")
        wrong += sum(findings.values())
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
