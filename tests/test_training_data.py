"""What training learns from besides the corpus: variations of its texts, public sets, and what analysts settled."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.augmentation import vary
from classifier.auxiliary import AFRISENTI, NIGERIAN_ISP, SENTITEL, load_auxiliary, text_sha256
from classifier.commands import default_corpus
from classifier.corpus import HEADS, checked_labels, load_corpus
from data.errors import InputError

PLACEHOLDER = re.compile(r"<[A-Z]+>")


@given(st.text(max_size=200), st.integers(0, 2**32))
def test_a_variation_is_never_empty_and_keeps_its_placeholders(text: str, seed: int) -> None:
    text += " paid <TXN> to <PHONE>"
    varied = vary(text, random.Random(seed))
    assert varied.strip()
    assert PLACEHOLDER.findall(varied) == PLACEHOLDER.findall(text)


def test_the_same_seed_varies_alike_and_many_seeds_vary() -> None:
    text = "@user Why is eCitizen down again? I paid, and nothing came."
    assert vary(text, random.Random(4)) == vary(text, random.Random(4))
    assert len({vary(text, random.Random(seed)) for seed in range(60)}) > 10


def test_who_is_named_stays_named() -> None:
    for seed in range(200):
        assert "@eCitizenKenya".casefold() in vary("@eCitizenKenya site iko down", random.Random(seed)).casefold()


def test_whom_a_message_addresses_stays_where_that_is_its_scope() -> None:
    words = "We are aware of the downtime"
    for text in (words, f"@user {words}", f"@user @user, {words}"):
        starts = {vary(text, random.Random(seed), readdress=False).count("@user") for seed in range(200)}
        assert starts == {text.count("@user")}
    assert {vary(words, random.Random(seed)).count("@user") for seed in range(200)} == {0, 1, 2}


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A folder shaped as the public sets are, with invented posts."""
    for name in (AFRISENTI, SENTITEL, NIGERIAN_ISP):
        (tmp_path / name).parent.mkdir(parents=True)
    with (tmp_path / AFRISENTI).open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(
            [("tweet", "label"), ("asante sana", "positive"), ("haifunguki", "neutral")]
        )
    posts = [
        {"text": "network is down, call me on 0712345678 ", "opinions": []},
        {"text": "nobody labelled this", "opinions": []},
    ]
    (tmp_path / SENTITEL).write_text(json.dumps(posts))
    with (tmp_path / NIGERIAN_ISP).open("w", newline="") as file:
        csv.writer(file).writerows([("text", "sentiment"), ("so slow", "Negative")])
    labelled = {
        "haifunguki": {"problems": ["outage"], "kind": "complaint", "sentiment": "negative", "about": "other"},
        "network is down, call me on 0712345678": {
            "problems": ["outage"],
            "kind": "complaint",
            "sentiment": "negative",
            "about": "dependency",
        },
        "so slow": {"problems": ["slow"], "kind": "complaint", "sentiment": "negative", "about": "other"},
    }
    lines = [
        json.dumps({"source": "s", "text_sha256": text_sha256(text)} | labels) for text, labels in labelled.items()
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_public_posts_get_the_projects_labels_and_are_redacted(public: Path) -> None:
    examples, hashes = load_auxiliary(public, public / "labels.jsonl")
    by_text = {example.text: example.labels for example in examples}
    assert by_text["asante sana"] == {"sentiment": "positive"}
    assert by_text["haifunguki"]["problems"] == ["outage"]
    assert by_text["haifunguki"]["sentiment"] == "neutral"  # its annotators' own
    assert by_text["so slow"]["kind"] == "complaint"
    assert by_text["network is down, call me on <PHONE>"]["about"] == "dependency"
    assert len(examples) == 4
    assert {example.split for example in examples} == {"train"}
    assert set(hashes) == {AFRISENTI, SENTITEL, NIGERIAN_ISP, "labels.jsonl"}


@pytest.mark.parametrize("name", [AFRISENTI, SENTITEL, NIGERIAN_ISP])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[1]", b"other,columns\n1,2\n"])
def test_a_public_set_that_is_none_is_named(public: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (public / name).unlink()
    else:
        (public / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(name)):
        load_auxiliary(public, public / "labels.jsonl")


@pytest.mark.parametrize("content", [None, b"not JSON\n", b'{"text_sha256": 1', b"[]\n", b'{"kind": "complaint"}\n'])
def test_labels_of_public_posts_that_are_none_are_named(public: Path, content: bytes | None) -> None:
    path = public / "labels.jsonl"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.jsonl cannot be read"):
        load_auxiliary(public, path)


def test_the_shipped_labels_of_public_posts_hold_no_text_and_follow_the_guide() -> None:
    lines = default_corpus().with_name("public_labels.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len({record["text_sha256"] for record in records}) == len(records) > 3_000
    allowed = {"source", "text_sha256", *HEADS}
    for record in records:
        assert set(record) <= allowed
        assert {"problems", "kind", "sentiment", "about"} <= set(checked_labels(record))


def test_no_post_stands_in_two_parts_of_the_corpus_or_in_the_demo_as_a_near_copy() -> None:
    script = Path(__file__).parent.parent / "benchmarks" / "near_copies.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "\n0 near-copies" in done.stdout


def test_near_copies_are_found(tmp_path: Path) -> None:
    copied = load_corpus(default_corpus())[0].text
    assert len(copied.split()) > 6
    path = tmp_path / "theirs.jsonl"
    path.write_text(json.dumps({"text": f"{copied} jamani"}) + "\n", encoding="utf-8")
    script = Path(__file__).parent.parent / "benchmarks" / "near_copies.py"
    done = subprocess.run([sys.executable, str(script), str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, "theirs.jsonl" in done.stdout) == (1, True)
    # Whom it addresses makes a copy no other post, and a greeting that many write is no copy.
    copied = "haifunguki kabisa tangu Jumapili"
    texts = [f"@jane {copied} <PHONE>", "@Safaricom_Care hello", *(["x"] * 3)]
    corpus = {example.text for example in load_corpus(default_corpus())}
    assert copied in corpus, "choose another one"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script), str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, f"theirs.jsonl | {texts[0]}\n" in done.stdout, texts[1] in done.stdout) == (1, True, False)
