"""Scores the detector on labelled series by the rules of the Numenta Anomaly Benchmark.

    python benchmarks/nab.py DIR [--scorer FILE]

DIR holds the series and `windows.json`; the scorer is `nab_score.py` beside DIR unless another is named. Two figures a
profile: with the best threshold over all series, as the benchmark itself and published results have it, and with each
series' threshold chosen on the others. Among equally good thresholds of the others the middle of the highest run of them
is taken, since any is as good there. The parameters are those of the code.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.detection import detect
from dashboard.series import read_series, write_scores

PROFILES = ("standard", "low_fp")


def load_scorer(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("nab_score", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def best(values: list[float]) -> int:
    """The middle of the highest run of best thresholds; the thresholds that `values` belong to fall."""
    first = int(np.argmax(values))
    run = len(list(takewhile(lambda value: value >= values[first] - 1e-9, values[first:])))
    return first + run // 2


def scored_series(scorer: Any, directory: Path, windows: dict[str, Any], folder: Path) -> dict[str, Any]:
    data = {}
    for name in windows:
        series = read_series(directory / name)
        write_scores(folder / name, series, detect(series.times, series.values).score)
        points, scored = scorer.read_series(folder / name, windows[name])
        data[name] = [point for point in points if point[0] > 0], scored  # no threshold reaches the others
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--scorer", type=Path)
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    scorer = load_scorer(arguments.scorer or directory.parent / "nab_score.py")
    windows = json.loads((directory / "windows.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as made:
        data = scored_series(scorer, directory, windows, Path(made))
    candidates = sorted(
        {point[0] for points, _ in data.values() for point in points if point[0] > 0} | {1.1}, reverse=True
    )
    total = sum(len(scored) for _, scored in data.values())
    for profile in PROFILES:
        false_positive, miss = scorer.PROFILES[profile]
        raw = {
            name: [scorer.series_score(points, scored, threshold, false_positive, miss) for threshold in candidates]
            for name, (points, scored) in data.items()
        }
        of_all = [sum(values) for values in zip(*raw.values(), strict=True)]
        chosen = int(np.argmax(of_all))
        print(
            f"{profile}: {scaled(of_all[chosen], total, miss):.1f} with one threshold for all, {candidates[chosen]:.4g}"
        )
        left_out = 0.0
        for name, values in raw.items():
            chosen = best([together - own for together, own in zip(of_all, values, strict=True)])
            left_out += values[chosen]
            own = scaled(values[chosen], len(data[name][1]), miss)
            print(f"  {name}: {own:.1f} at {candidates[chosen]:.4g}, chosen on the others")
        print(f"{profile}: {scaled(left_out, total, miss):.1f} with thresholds chosen leaving the scored series out")


def scaled(value: float, windows: int, miss: float) -> float:
    """0 for no detection at all, 100 for every window found at its beginning and nothing else."""
    return 100 * (value + miss * windows) / ((1 + miss) * windows)


if __name__ == "__main__":
    main()
