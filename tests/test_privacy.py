"""What a person wrote of themselves, from the command line to the bytes on the disk."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

PHONES = [
    "0712345601",
    "+254 722 345 602",
    "0110-345-603",
    "254(0)733345604",
    "０７１２３４５６０５",
    "0712\u200b345\u200b606",
]
IDS = ["23456701", "ID:23456702", "A2345673"]
KRA_PINS = ["A012345601B", "p051234502z"]
RECEIPTS = ["SFA1B2C3D1", "sfa1b2c3d2", "TcK4xY9q2L"]
OTHERS = ["jane.doe07@example.com", "4111 1111 1111 1111", "account no 98765431", "wa.me/254744345607"]
HANDLES = ["wanjiku_private", "otieno-kevin.bsky.social", "kamau_ke@mastodon.social"]
TOKENS = [*PHONES, *IDS, *KRA_PINS, *RECEIPTS, *OTHERS]
BAD_PHONES = [f"07990000{number:02}" for number in range(12)]
KEPT = ["eCitizen imenibeba ufala", "kutoka 2026-03-05 saa 08:30", "Ksh 1,050", "@eCitizenKenya"]


def searched(secret: str) -> set[bytes]:
    """The ways in which a secret could stand on the disk: as written, lower case, and its bare digits or code."""
    plain = secret.replace("\u200b", "").translate({0xFEE0 + code: code for code in range(0x21, 0x7F)})
    for label in ("ID:", "account no ", "wa.me/"):
        plain = plain.removeprefix(label)
    forms = {secret, plain, plain.replace(" ", "")}
    digits = "".join(character for character in plain if character.isdigit())
    if len(digits) >= 7:
        forms |= {digits, digits[-9:]}
    return {form.lower().encode() for form in forms}


SECRETS = {form for secret in (*TOKENS, *HANDLES, *BAD_PHONES, "jane-url-name") for form in searched(secret)}


def good_records() -> list[dict[str, Any]]:
    records = []
    for number, secret in enumerate(TOKENS):
        handle = HANDLES[number % len(HANDLES)]
        text = f"{secret} {KEPT[0]} {KEPT[1]}, {secret}. {KEPT[2]} {KEPT[3]} @{HANDLES[(number + 1) % 3]} na u/wanjiku_private, mimi {handle}"
        created_at = f"2026-03-05T06:{number:02}:00Z"
        record = {"source": "x", "id": str(number), "created_at": created_at, "text": text, "author": handle}
        records.append(record | {"author_id": BAD_PHONES[0], "lang": BAD_PHONES[1], "extra": BAD_PHONES[2]})
    linked = "https://jane-url-name@example.com/jane-url-name?phone=0712345601#jane-url-name " + KEPT[0]
    return [*records, records[0] | {"id": "link", "text": linked}]


def bad_lines() -> list[bytes]:
    good = {"source": "x", "id": "1", "created_at": "2026-03-05T06:00:00Z", "text": "imelala"}
    wrong: list[Any] = [
        good | {"source": BAD_PHONES[3]},
        good | {"created_at": BAD_PHONES[4]},
        good | {"created_at": int(BAD_PHONES[5])},
        good | {"id": [BAD_PHONES[6]]},
        good | {"text": {BAD_PHONES[7]: BAD_PHONES[7]}},
        good | {"text": f"{BAD_PHONES[8]}\0"},
        good | {"author": f"wanjiku_private\ud800 {BAD_PHONES[8]}"},
        good | {"author": ["wanjiku_private"]},
        [BAD_PHONES[9]],
        {BAD_PHONES[9]: 1, "text": KRA_PINS[0]},
        {"text": f"{IDS[0]} {RECEIPTS[0]}", "author": "wanjiku_private"},
    ]
    broken = f'{{"source": "x", "id": "7", "text": "{BAD_PHONES[10]} {KRA_PINS[0]}'.encode()
    latin = f'{{"text": "{BAD_PHONES[11]} sauti ya j\u00e9'.encode("latin-1") + b'"}'
    return [
        *(json.dumps(each).encode() for each in wrong),
        broken,
        latin,
        PHONES[0].encode(),
        b"{" * 3000 + IDS[0].encode(),
    ]


@pytest.mark.parametrize("strict", [False, True])
def test_nothing_personal_reaches_the_disk_or_the_terminal(
    tracker: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, strict: bool
) -> None:
    records, bad = good_records(), bad_lines()
    lines = [json.dumps(record, ensure_ascii=False).encode() for record in records]
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b"\n".join([*lines, *bad]) + b"\n")
    assert tracker("doctor").returncode == 0  # makes the database

    # Whoever reads while the import writes keeps the log from being folded into the database.
    reader = sqlite3.connect(tmp_path / "posts.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM posts").fetchone()
    ended = tracker("import", file, "--json", *(["--strict"] if strict else []))
    outputs = [ended.stdout, ended.stderr]
    if strict:
        assert ended.returncode == 2 and "source must be" in ended.stderr
    else:
        counts = json.loads(ended.stdout)
        assert (counts["read"], counts["new"], counts["skipped"]) == (len(lines) + len(bad), len(lines), len(bad))
        assert ended.stderr.count("skipped: ") == len(bad)
    assert "Traceback" not in ended.stderr

    def check(*, in_log: bool) -> None:
        kept = {path.name: path.read_bytes() for path in tmp_path.glob("posts.db*")}
        assert ("posts.db-wal" in kept) == ("posts.db-shm" in kept) == in_log
        where = kept["posts.db-wal" if in_log else "posts.db"]
        assert all(each.encode() in where for each in KEPT)  # the search does see what is there
        found = {(name, secret) for name, content in kept.items() for secret in SECRETS if secret in content.lower()}
        assert not found

    check(in_log=True)
    reader.close()
    outputs += [(again := tracker("import", file, "--json")).stdout, again.stderr]
    assert json.loads(again.stdout)["duplicate"] == len(lines)
    check(in_log=False)
    assert not {secret for secret in SECRETS if any(secret.decode() in output.lower() for output in outputs)}
