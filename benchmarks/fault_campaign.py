"""Reads each source through faults, kill -9 and downtime, run after run, and looks for posts lost, doubled or made up.

    python benchmarks/fault_campaign.py [--runs 2000] [--seed 1] [--sources x reddit ...]

The rules are those of `tests/campaign.py`. The platforms are servers on the loopback interface with posts of our own making.
Exit status 1 where a rule was broken; the seed of that run is printed, and `--runs 1 --seed N --sources NAME` runs it again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from campaign import KEY, SCENES, Run
from collecting import Collecting

from data.settings import load_settings
from data.store import open_store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2_000, help="over all sources")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", nargs="+", default=list(SCENES), choices=list(SCENES))
    arguments = parser.parse_args()
    started = time.monotonic()
    results = []
    with Collecting() as collecting, tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        open_store(load_settings(database_url=f"sqlite:///{template}", pseudonym_key=KEY)).close()
        for number in range(arguments.runs):
            source = arguments.sources[number % len(arguments.sources)]
            seed = arguments.seed + number // len(arguments.sources)
            with tempfile.TemporaryDirectory(dir=folder) as own:
                database = shutil.copy(template, own)
                result = Run(source, seed, collecting, f"sqlite:///{database}").go()
            results.append(result)
            for rule in result.broken:
                print(f"BROKEN {source}, seed {seed}: {rule}", flush=True)
            if (number + 1) % 100 == 0:
                print(f"{number + 1:,} runs, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{len(results):,} runs, seeds {arguments.seed} to {seed}, {time.monotonic() - started:.0f} s")
    for source in arguments.sources:
        own_results = [result for result in results if result.source == source]
        kills = sum((result.kills for result in own_results), Counter[str]())
        faults = sum((result.injected for result in own_results), Counter[str]())
        print(
            f"{source}: {len(own_results):,} runs, {kills.total():,} kills ({', '.join(f'{count:,} {where}' for where, count in kills.most_common())}), "
            f"{sum(result.requests for result in own_results):,} requests, {faults.total():,} faults, "
            f"{sum(result.served for result in own_results):,} posts served, {sum(result.stored for result in own_results):,} stored, "
            f"{sum(result.gaps for result in own_results):,} gaps, {sum(bool(result.broken) for result in own_results)} runs broke a rule"
        )
    faults = sum((result.injected for result in results), Counter[str]())
    print("faults: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(faults.items())))
    return int(any(result.broken for result in results))


if __name__ == "__main__":
    sys.exit(main())
