"""How many posts a second `tracker import` takes from JSONL into SQLite, and how much memory, beside a bare executemany.

    python benchmarks/import_speed.py [--posts 1000000] [--seed 1] [--format jsonl|zst|csv|parquet]

Posts are generated: synthetic, in English, Kiswahili and Sheng, short and long, some with made-up personal data. The real command
imports them in a process of its own, redaction and pseudonyms on; then the same file again; then the rows that it stored are
written by sqlite3's executemany into the same tables. Exit status 1 below 10,000 posts/s, above 300 MB over all its processes,
where the second import is not twice as fast or finds anything new, or where a post is lost.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import resource
import sqlite3
import string
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

GOAL_POSTS_PER_SECOND = 10_000
MOST_MEMORY_MB = 300
LOOK_SECONDS = 0.1

OPENINGS = (
    "Good morning,", "Habari", "Wasee", "Jameni", "Honestly", "Aki", "So", "Update:", "Hello @eCitizenKenya", "Hi @jirani_{n},", "Manze",
    "Tafadhali", "Please", "", "", "",
)  # fmt: skip
COMPLAINTS = (
    "eCitizen is down again", "eCitizen haifunguki tangu asubuhi", "the portal keeps loading", "I paid and it still says pending",
    "nimelipa lakini haionyeshi", "eCitizen imenibeba ufala", "OTP haikuji", "the OTP never comes", "my passport application is stuck",
    "good conduct imekwama", "haki hii system ni ya kuudhi", "site iko slow kuliko konokono", "nimejaribu mara {n}",
    "error {e} on every page", "the page says error {e}", "nimetuma pesa na risiti haikuja", "I cannot log in since {y}",
    "driving licence renewal inagoma", "wameiba pesa yangu", "who else is facing this", "kuna mtu mwingine ana shida hii",
    "NTSA account imefungwa", "business registration fails at payment", "it works on my Samsung A{n} but not on the laptop",
)  # fmt: skip
CLOSINGS = (
    "please help", "tafadhali saidieni", "fix this", "mtusaidie", "smh", "😭😭", "🤦", "hadi lini?", "since {y}", "for Ksh {a}", "for KES {a}",
    "#eCitizen", "#HudumaKenya", "https://t.co/{c}", "@eCitizenKenya", "@jirani_{n}", "paybill 222222", "…", "!!", "wueh", "Sh{a} imeenda hivyo", "",
)  # fmt: skip
PERSONAL = (
    "call me on 07{d8}", "namba yangu ni +254 7{d2} {d3} {d3}", "my ID is {d8}", "ID no. {d8}", "KRA PIN A{d9}Z", "M-Pesa code S{m}{k}{c7}", "email jirani{n}@example.com",
    "account {d9}", "invoice {C6}", "card 4111 1111 1111 1111", "passport AK0{d6}", "ref {d9}", "Kitambulisho {d8}", "0110-{d3}-{d3}",
)  # fmt: skip


def fill(draw: random.Random, phrase: str) -> str:
    """The phrase with numbers in the place of its fields."""
    if "{" not in phrase:
        return phrase
    fields = {f"d{length}": "".join(draw.choices(string.digits, k=length)) for length in (2, 3, 6, 8, 9)}
    fields |= {"n": str(draw.randrange(1, 90)), "e": str(draw.choice((404, 500, 502, 503, 1020)))}
    fields |= {"y": str(draw.randrange(2019, 2027)), "a": f"{draw.randrange(50, 60_000):,}"}
    fields |= {"c": "".join(draw.choices(string.ascii_letters, k=10)), "m": draw.choice("ABCDEFGHIJKL")}
    fields |= {"k": draw.choice(string.digits[1:]), "C6": "".join(draw.choices(string.ascii_uppercase, k=6))}
    fields["c7"] = "".join(draw.choices(string.ascii_uppercase + string.digits, k=7))
    return phrase.format(**fields)


def text_of(draw: random.Random) -> str:
    """One post in three has something personal, one in fifty is long."""
    sentences = draw.choices((1, 2, 3, 20), (50, 33, 15, 2))[0]
    parts = []
    for _ in range(sentences):
        parts += [draw.choice(OPENINGS), draw.choice(COMPLAINTS), draw.choice(COMPLAINTS), draw.choice(CLOSINGS)]
    if draw.random() < 1 / 3:
        parts.insert(draw.randrange(len(parts)), draw.choice(PERSONAL))
    return " ".join(fill(draw, part) for part in parts if part)


def convert(jsonl: Path, form: str) -> Path:
    """The same posts in another format; a Parquet file has one row group, which is the worst for memory."""
    other = jsonl.with_suffix(f".{form}")
    if form == "jsonl":
        return jsonl
    if form == "zst":
        with jsonl.open("rb") as source, other.open("wb") as target:
            zstandard.ZstdCompressor(level=3).copy_stream(source, target)
        return other
    with jsonl.open(encoding="utf-8") as source:
        rows = map(json.loads, source)
        if form == "csv":
            with other.open("w", encoding="utf-8", newline="") as target:
                first = next(rows)
                writer = csv.DictWriter(target, list(first))
                writer.writeheader()
                writer.writerows(itertools.chain([first], rows))
        else:
            table = pa.Table.from_pylist(list(rows))
            pq.write_table(table, other, row_group_size=len(table))
    return other


def generate(file: IO[str], posts: int, seed: int) -> None:
    """So many posts, a second apart, of a fifth as many authors."""
    draw = random.Random(seed)
    begin = datetime(2025, 6, 1, tzinfo=UTC)
    for number in range(posts):
        author = draw.randrange(max(1, posts // 5))
        at = begin + timedelta(seconds=number)
        record = {
            "source": "x",
            "id": str((int(at.timestamp() * 1000) - 1_288_834_974_657) << 22 | draw.randrange(1 << 22)),
            "created_at": at.isoformat().replace("+00:00", "Z"),
            "text": text_of(draw),
            "author": f"mwandishi_{author}",
            "author_id": str(10_000_000 + author),
            "lang": draw.choice(("en", "sw", "in", "und")),
            "repost_of": None,
            "reply_to": str(draw.randrange(10**18)) if draw.random() < 0.3 else None,
            "synthetic": True,
        }
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Measured:
    counts: dict[str, int]
    seconds: float
    cpu_seconds: float
    peak_mb: float  # of all its processes together, at one moment
    early_mb: float  # the same, in the first third of the run


def family(pid: int) -> list[int]:
    """The process and those that it started."""
    found = [pid]
    for each in found:
        try:
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        except OSError:
            continue
    return found


def memory_mb(pid: int) -> float:
    """Proportional, so that what processes share counts once."""
    total = 0
    for each in family(pid):
        try:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


def run_import(file: Path, environment: dict[str, str]) -> Measured:
    """The command as a person runs it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    command = [sys.executable, "-m", "tracker", "import", str(file), "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    looks = []
    while process.poll() is None:
        looks.append(memory_mb(process.pid))
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - started
    assert process.stdout is not None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    early = max(looks[: max(1, len(looks) // 3)])
    return Measured(json.loads(process.stdout.read()), seconds, cpu_seconds, max(looks), early)


def bare_seconds(database: Path, other: Path) -> tuple[float, float, int]:
    """The stored rows through executemany into empty tables of the same kind, in one transaction; reading them is not timed."""
    source, target = sqlite3.connect(database), sqlite3.connect(other, isolation_level=None)
    for (statement,) in source.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'posts' AND sql IS NOT NULL"):
        target.execute(statement)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        target.execute(f"PRAGMA {pragma}")
    cursor = source.execute("SELECT * FROM posts")
    insert = f"INSERT INTO posts VALUES ({', '.join('?' * len(cursor.description))})"
    seconds, cpu_seconds, count = 0.0, 0.0, 0
    target.execute("BEGIN")
    while rows := cursor.fetchmany(20_000):
        started, worked = time.monotonic(), time.process_time()
        target.executemany(insert, rows)
        seconds, cpu_seconds = seconds + time.monotonic() - started, cpu_seconds + time.process_time() - worked
        count += len(rows)
    started, worked = time.monotonic(), time.process_time()
    target.execute("COMMIT")
    seconds, cpu_seconds = seconds + time.monotonic() - started, cpu_seconds + time.process_time() - worked
    source.close()
    target.close()
    return seconds, cpu_seconds, count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=("jsonl", "zst", "csv", "parquet"), default="jsonl")
    options = parser.parse_args()
    total: int = options.posts
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "posts.jsonl"
        with file.open("w", encoding="utf-8") as written:
            generate(written, total, options.seed)
        file = convert(file, options.format)
        print(
            f"{total:,} synthetic posts, seed {options.seed}, {file.stat().st_size / 1e6:,.0f} MB; load before {os.getloadavg()[0]:.1f}"
        )
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")},
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "TRACKER_DATABASE_URL": f"sqlite:///{folder / 'posts.db'}",
            "TRACKER_PSEUDONYM_KEY": "a key of the benchmark",
        }
        first, second = (run_import(file, environment) for _ in range(2))
        bare, bare_cpu, stored = bare_seconds(folder / "posts.db", folder / "bare.db")
    for what, run in (("first", first), ("second", second)):
        print(
            f"{what} import: {total / run.seconds:,.0f} posts/s in {run.seconds:.1f} s, {run.cpu_seconds:.1f} s of processor time "
            f"({run.cpu_seconds / total * 1e6:.0f} µs a post), peak memory {run.peak_mb:.0f} MB "
            f"({run.early_mb:.0f} MB in the first third); {json.dumps(run.counts)}"
        )
    print(
        f"bare executemany: {stored / bare:,.0f} rows/s in {bare:.1f} s, {bare_cpu:.1f} s of processor time; load after {os.getloadavg()[0]:.1f}"
    )
    whole = first.counts["new"] == stored == total and second.counts["new"] == 0
    fast = total / first.seconds >= GOAL_POSTS_PER_SECOND and second.seconds * 2 <= first.seconds
    return int(not whole or not fast or max(first.peak_mb, second.peak_mb) > MOST_MEMORY_MB)


if __name__ == "__main__":
    sys.exit(main())
