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

MOST_PAGES = {"x": 4, "reddit": 22}  # a stopped walk of X goes on, one of Reddit (20 pages here) begins again
POSTS = {"x": 6_000, "reddit": 1_400}
MOST_NEW = {"x": 150, "reddit": 10}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    wrong = 0
    for source in ("x", "reddit"):
        started = time.monotonic()
        with open_platform(source, POSTS[source]) as platform, tempfile.TemporaryDirectory() as folder:
            killing = Killing(source, platform, Path(folder), arguments.seed)
            for _ in range(arguments.kills):
                killing.kill_one(MOST_PAGES[source])
                killing.publish_some(MOST_NEW[source])
            pages = len(platform.requests)
            killing.finish()
            findings = killing.findings()
            served = sum(map(len, killing.served().values()))
        print(f"{source}: {arguments.kills} kills (seed {arguments.seed}), {time.monotonic() - started:.0f} s")
        for where, count in killing.landed.most_common():
            print(f"  landed {where}: {count}")
        print(f"  pages asked for before the last two runs: {pages}, in all: {len(platform.requests)}")
        print(f"  posts served: {served}")
        for name, count in findings.items():
            print(f"  {name}: {count}")
        wrong += sum(findings.values())
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
