"""`tracker evaluate`: anyone's predictions scored and compared, the report page, scores worked out by hand, bad files."""

from __future__ import annotations

import csv
import json
import re
import shutil
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import NOW
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from classifier.card import score_tables
from classifier.corpus import Example
from classifier.evaluation import (
    compare,
    confusion,
    coverage,
    mistakes,
    reliability,
    score_answers,
    score_head,
    sureness,
    swaps,
)
from classifier.files import column_names, read_labelled, read_predictions
from classifier.labelling import label_texts
from classifier.model import default_model_folder, file_sha256, load_model
from classifier.report import report_page
from data.errors import InputError, ModelError
from data.files import check_place, open_records, write_whole
from data.labels import KINDS, PROBLEMS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECRET = "0712345678"
POSTS = [
    {
        "source": "x",
        "id": "11",
        "text": f"ecitizen imekataa password yangu, nipigie {SECRET} <script>alert(1)</script>",
        "lang": "mixed",
        "problems": ["lockout"],
        "kind": "promotion",  # wrong on purpose, so that the text is among the worst errors
        "sentiment": "negative",
        "about": "ecitizen",
    },
    {
        "source": "x",
        "id": "12",
        "text": "asante sana eCitizen, passport imefika",
        "lang": "sw",
        "problems": [],
        "kind": "praise",
        "sentiment": "positive",
        "about": "ecitizen",
    },
    {
        "source": "bluesky",
        "id": "at://did:plc:abc/app.bsky.feed.post/3k",
        "text": "Kindly note that eCitizen is experiencing downtime, kindly try later",
        "lang": "en",
        "problems": ["outage"],
        "kind": "official",
        "sentiment": "neutral",
        "about": "ecitizen",
        "status": "acknowledged",
        "scope": "statement",
    },
]


def put(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def table(path: Path, records: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(records)
    return path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return put(tmp_path / "labelled.jsonl", POSTS)


def scores_of(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in result if name not in {"model", "posts_per_second", "against"}}


# The command


def test_predictions_of_the_model_come_back_as_the_same_scores(
    tracker: Tracker, labelled: Path, tmp_path: Path
) -> None:
    first = tracker("evaluate", "labelled.jsonl", "--predictions", "mine.jsonl", "--report", "mine.html", "--json")
    assert first.returncode == 0, first.stderr
    mine = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["source"], row["id"]) for row in mine] == [(post["source"], post["id"]) for post in POSTS]
    assert "<PHONE>" in mine[0]["text"] and SECRET not in json.dumps(mine)
    put(tmp_path / "shuffled.jsonl", [mine[2], mine[0], mine[1]])
    again = tracker("evaluate", "labelled.jsonl", "--answers", "shuffled.jsonl", "--against", "mine.jsonl", "--json")
    assert again.returncode == 0, again.stderr
    of_model, of_file = json.loads(first.stdout), json.loads(again.stdout)
    assert of_model["model"] == load_model().id
    assert of_file["model"] is None and of_file["posts_per_second"] is None
    assert scores_of(of_model) == scores_of(of_file)
    for measures in of_file["against"].values():
        assert measures.pop("n") > 0
        for row in measures.values():
            assert (row["difference"], row["difference_ci95"], row["share_reversed"]) == (0.0, [0.0, 0.0], 1.0)
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert load_model().sha256 in page and file_sha256(labelled) in page
    assert SECRET not in page and "<script" not in page and "&lt;script&gt;" in page
    assert not list(tmp_path.glob("*.part"))


def test_a_spreadsheet_of_predictions_is_scored_without_a_model(tracker: Tracker, tmp_path: Path) -> None:
    table(
        tmp_path / "posts.tsv",
        [
            {"id": "1", "tweet": 'says "down"\tagain', "problems": "outage|slow", "feeling": "negative"},
            {"id": "2", "tweet": "fine", "problems": "", "feeling": "positive"},
        ],
        "\t",
    )
    table(
        tmp_path / "theirs.csv",
        [
            {"id": "x:2", "source": "x", "problems": "payment", "sentiment": "positive"},
            {"id": "x:1", "source": "x", "problems": "outage", "sentiment": "neutral"},
        ],
    )
    words = ["evaluate", "posts.tsv", "--columns", "text = tweet, sentiment=feeling", "--answers", "theirs.csv"]
    done = tracker(*words, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"n", "model", "posts_per_second", "problems", "sentiment", "by_lang"}
    assert result["problems"]["micro_f1"] == 0.5  # outage found, slow missed, payment found wrongly
    assert result["sentiment"]["accuracy"] == 0.5
    shown = tracker(*words)
    assert shown.returncode == 0 and "theirs.csv" in shown.stdout and "macro F1" in shown.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--answers", "nowhere.jsonl"], "nowhere.jsonl: No such file"),
        (["--answers", "labelled.jsonl", "--model", "x"], "without --model"),
        (["--answers", "labelled.jsonl", "--predictions", "p"], "without --model and --predictions"),
        (["--predictions", "p.csv"], "name it p.jsonl"),
        (["--predictions", "p", "--report", "p"], "name two"),
        (["--report", "labelled.jsonl"], "is read by this command"),
        (["--report", "nowhere/r.html"], "make it first"),
        (["--report", "n" * 300], "cannot be written: File name too long"),
        (["--columns", "text=absent"], "line 1: there is no column 'absent'"),
    ],
)
def test_wrong_words_are_refused_before_the_work(
    tracker: Tracker, labelled: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    before = labelled.read_bytes()
    done = tracker("evaluate", "labelled.jsonl", *words)
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1
    assert labelled.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labelled.jsonl"]


def test_a_wrong_prediction_is_named_and_ends_the_command(tracker: Tracker, labelled: Path, tmp_path: Path) -> None:
    put(tmp_path / "wrong.jsonl", [POSTS[0], POSTS[1] | {"kind": "rant"}, POSTS[2]])
    for option in ("--answers", "--against"):
        done = tracker("evaluate", "labelled.jsonl", option, "wrong.jsonl")
        assert done.returncode == 2
        assert "wrong.jsonl, line 2: kind has 'rant'" in done.stderr and "Traceback" not in done.stderr


def test_classify_says_which_rows_of_a_table_are_none(tracker: Tracker, tmp_path: Path) -> None:
    rows = [
        b'\xef\xbb\xbftext,note\n"hi, all",1\nhi, all,1\nshort\n"never closed,2\n',
        b"after it,3\nnul\x00byte,4\nlatin \xe9,5\n'@user hi,6\n",
    ]
    (tmp_path / "posts.csv").write_bytes(b"".join(rows))
    done = tracker("classify", "--input", "posts.csv", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(post["text"], post["note"]) for post in out] == [("hi, all", "1"), ("after it", "3"), ("@user hi", "6")]
    for number, reason in (
        (3, "more cells"),
        (4, "fewer cells"),
        (5, "broken CSV"),
        (7, "NUL character"),
        (8, "UTF-8"),
    ):
        assert re.search(rf"posts.csv, line {number}: .*{reason}", done.stderr), done.stderr


@pytest.mark.parametrize("text", ["", "\U0001f621\U0001f621", "لا يعمل", "ecitizen \x01 down"])
def test_classify_answers_odd_texts(tracker: Tracker, text: str) -> None:
    done = tracker("classify", "--json", text)
    assert done.returncode == 0, done.stderr
    (post,) = json.loads(done.stdout)
    assert post["kind"] in KINDS


def test_classify_refuses_what_is_no_text(tracker: Tracker) -> None:
    for text, says in (("x" * 100_000, "at most 65,536"), ("half \udcff", "not Unicode text")):
        done = tracker("classify", "--json", text)
        assert done.returncode == 2
        assert says in done.stderr and "Traceback" not in done.stderr


# Labelled files


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("f.csv", b"", "is empty"),
        ("f.csv", b"text,kind\n", "no labelled post"),
        ("f.jsonl", b"\n \n", "only white space"),
        ("f.csv", b"text,note\na,b\n", "no label to score"),
        ("f.jsonl", b'{"text":"a","lang":"en"}\n', "no label to score"),
        ("f.csv", b"text,kind,note,kind\na,praise,,news\n", "columns 2 and 4 have one name"),
        ("f.csv", b'"text,kind\na,praise\n', "broken header"),
        ("f.csv", b"text;kind\na;praise\n", "line 2: its columns are parted by semicolons"),
        ("f.csv", b"text,kind\nhello, all,praise\n", "line 2: more cells"),
        ("f.csv", b"text,kind\na,praise\nb\n", "line 3: fewer cells"),
        ("f.csv", b'text,kind\na,praise\n"b,praise\nc,praise\n', "line 3: broken CSV"),
        ("f.csv", b"text,kind\na\x00b,praise\n", "line 2: text contains a NUL character"),
        (
            "f.csv",
            b'text,kind\n"' + b"a" * (2**24 + 1) + b'",praise\n',
            "line 2: broken CSV: line 2 is longer than 16 MiB",
        ),
        ("f.csv", b"text,kind\n" + b"a" * 100_000 + b",praise\n", "line 2: text has 100,000 characters"),
        ("f.tsv", "text\tkind\nhello\tpraise\n".encode("utf-16"), "is UTF-16"),
        ("f.csv", "text,kind\ncaf\xe9,praise\n".encode("latin-1"), "line 2: column 1 is not UTF-8"),
        ("f.parquet", b"PAR1\x00\xff", "is not a whole Parquet file"),
        ("f.jsonl", b'{"text":"a","kind":"praise"}\n{"text":\n', "line 2: broken JSON"),
        ("f.jsonl", b"[" * 200_000, "broken JSON"),
        ("f.jsonl", b"[1]\n", "item 1: expected a JSON object, found int"),
        ("f.jsonl", b'{"kind":"praise"}\n', "line 1: text is missing"),
        ("f.jsonl", b'{"text":7,"kind":"praise"}\n', "line 1: text must be text, found int"),
        ("f.jsonl", b'{"text":"\\ud800","kind":"praise"}\n', "line 1: text is not Unicode"),
        ("f.jsonl", b'{"text":"a","kind":"rant"}\n', "line 1: kind has 'rant'"),
        ("f.jsonl", b'{"text":"a","kind":7}\n', "line 1: kind has a value, which is not in the guide"),
        ("f.jsonl", b'{"text":"a","kind":["praise"]}\n', "line 1: kind must be one label"),
        ("f.jsonl", b'{"text":"a","problems":{"outage":1}}\n', "line 1: problems must be a list"),
        ("f.jsonl", b'{"text":"a","problems":[["outage"]]}\n', "line 1: problems has a value"),
        ("f.jsonl", b'{"text":"a","kind":"call %s"}\n' % SECRET.encode(), "line 1: kind has a value"),
    ],
)
def test_a_file_that_is_not_labelled_posts_is_refused_with_the_record(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(says)) as raised:
        read_labelled(tmp_path / name, {})
    assert name in str(raised.value) and SECRET not in str(raised.value)


def test_odd_files_are_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(
        b'\xef\xbb\xbf text ,problems,votes,\r\n"a\nb", outage | slow ,x,\r\n\r\n"",,,\r\n'
        + "\U0001f621,,,\r\n".encode()
    )
    posts = read_labelled(tmp_path / "f.csv", {})
    assert [example.text for example in posts.examples] == ["a\nb", "", "\U0001f621"]
    assert [example.labels["problems"] for example in posts.examples] == [["outage", "slow"], [], []]


def test_quotes_of_a_tsv_that_do_not_close_are_plain_characters(tmp_path: Path) -> None:
    lines = ["text\tn", '"down again" they say\t1', '"never closed\t2', '"a ""real"" quoted\tone"\t3', 'mid "q"\t4']
    (tmp_path / "f.tsv").write_text("\n".join(lines), encoding="utf-8")
    with open_records(tmp_path / "f.tsv") as records:
        assert [(record["text"], record["n"]) for _, record in records] == [
            ('"down again" they say', "1"),
            ('"never closed', "2"),
            ('a "real" quoted\tone', "3"),
            ('mid "q"', "4"),
        ]


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(CELL, CELL), max_size=6), st.sampled_from([(".csv", ","), (".tsv", "\t")]))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_is_read_as_it_was_written(
    tmp_path: Path, rows: list[tuple[str, str]], ending: tuple[str, str]
) -> None:
    path = tmp_path / f"table{ending[0]}"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=ending[1]).writerows([("text", "note"), *rows])
    with open_records(path) as records:
        found = [(record["text"], record["note"]) for _, record in records]

    def plain(cell: str) -> str:
        return cell[1:] if cell[:1] == "'" and cell[1:2] in {*"=+-@\t\r"} else cell

    assert found == [(plain(first), plain(second)) for first, second in rows]


@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv", ".jsonl"]))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_labelled_posts_or_a_clear_error(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"any{ending}"
    path.write_bytes(b"text,kind\n" + content if ending == ".csv" else content)
    try:
        posts = read_labelled(path, {})
    except InputError as error:
        assert path.name in str(error)
    else:
        assert posts.examples


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("text", "takes pairs"),
        ("text=", "takes pairs"),
        ("text=a=b", "takes pairs"),
        ("", "takes pairs"),
        ("tweet=text", "there is no 'tweet'"),
        ("text=a,text=b", "names 'text' twice"),
        ("text=a,kind=a", "names 'a' twice"),
    ],
)
def test_columns_that_say_nothing_clear_are_refused(columns: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        column_names(columns)


def test_a_language_tag_of_a_platform_is_no_answer_and_is_said_once(tmp_path: Path) -> None:
    tags = ["in", "en", "und", "zh-CN", ""]
    path = put(tmp_path / "f.jsonl", [{"text": "a", "kind": "news", "lang": tag} for tag in tags])
    said: list[str] = []
    posts = read_labelled(path, {}, said.append)
    assert [example.labels.get("lang") for example in posts.examples] == [None, "en", None, None, None]
    assert len(said) == 1 and "lang of 3 posts" in said[0]
    put(path, [{"text": "a", "kind": "news", "lang": "Kiswahili"}])
    with pytest.raises(InputError, match="line 1: lang has 'Kiswahili'"):
        read_labelled(path, {})


def test_the_author_is_taken_out_of_a_labelled_text_as_in_the_store(tmp_path: Path) -> None:
    path = put(tmp_path / "f.jsonl", [{"text": "mti_mkavu asks: down?", "author": "mti_mkavu", "kind": "news"}])
    assert read_labelled(path, {}).examples[0].text == "@user asks: down?"


def test_a_mapped_column_wins_and_must_be_there(tmp_path: Path) -> None:
    path = table(tmp_path / "f.csv", [{"tweet": "a", "sentiment": "positive", "gold": "negative"}])
    posts = read_labelled(path, column_names("text=tweet,sentiment=gold"))
    assert posts.examples == [Example("a", {"sentiment": "negative"})]
    with pytest.raises(InputError, match="no column 'absent'"):
        read_labelled(path, column_names("text=tweet,sentiment=absent"))


# Predictions


TWO = [
    {"id": 1, "text": "ecitizen iko down", "kind": "complaint", "problems": ["outage"]},
    {"id": 2, "text": "asante", "kind": "praise", "problems": []},
]
TOLD = [{"id": "1", "kind": "complaint", "problems": ["slow"]}, {"id": "2", "kind": "news", "problems": []}]

NEWS: dict[str, Any] = {"kind": "news", "problems": []}


@pytest.mark.parametrize(
    ("predictions", "says"),
    [
        ([], "is empty"),
        (TOLD[:1], "posts.jsonl, not 1"),
        ([*TOLD, {"id": 3, "kind": "news", "problems": []}], "posts.jsonl, not 3"),
        ([TOLD[0], TOLD[1] | {"kind": "rant"}], "line 2: kind has 'rant'"),
        ([TOLD[0], TOLD[1] | {"problems": ["down"]}], "line 2: problems has 'down'"),
        ([TOLD[0], TOLD[1] | {"kind": None}], "line 2: kind is missing"),
        ([TOLD[0], TOLD[1] | {"problems": None}], "line 2: problems is missing"),
        ([{"id": "1", "kind": "news"}, {"id": "2", "kind": "news"}], "does not answer problems"),
        ([TOLD[0], TOLD[1] | {"id": 3}], "no prediction with the id of"),
        ([TOLD[0], TOLD[1] | {"id": 1}], "line 1 and line 2 have one id"),
        ([TOLD[0] | {"kind_score": 1.5}, TOLD[1]], "line 1: kind_score must be a number from 0 to 1"),
        ([TOLD[0] | {"about_score": float("nan")}, TOLD[1]], "line 1: about_score must be"),
        ([TOLD[0] | {"kind_score": True}, TOLD[1]], "line 1: kind_score must be"),
        ([TOLD[0] | {"scores": {"outage": 0.5}}, TOLD[1]], "line 1: scores must give a number for every problem"),
        ([TOLD[0] | {"scores": [0.5]}, TOLD[1]], "line 1: scores must give a number"),
        ([TOLD[0] | {"scores": "{"}, TOLD[1]], "line 1: scores is not a JSON object"),
        ([TOLD[0] | {"scores": dict.fromkeys(PROBLEMS, "x")}, TOLD[1]], "line 1: the score of outage must be"),
        ([TOLD[0], {"kind": "news", "problems": []}], "line 2: id is missing, which other rows have"),
        ([{"text": SECRET} | NEWS, NEWS], "line 1: its text is not that of the post"),
        ([{"text": "\ud800", "kind": "news", "problems": []}, TOLD[1]], "line 1: text is not Unicode"),
    ],
)
def test_predictions_that_do_not_answer_the_posts_are_refused(
    tmp_path: Path, predictions: list[dict[str, Any]], says: str
) -> None:
    posts = read_labelled(put(tmp_path / "posts.jsonl", TWO), {})
    path = put(tmp_path / "theirs.jsonl", predictions)
    with pytest.raises(InputError, match=re.escape(says)) as raised:
        read_predictions(path, posts)
    assert "theirs.jsonl" in str(raised.value) and SECRET not in str(raised.value)


def test_posts_that_share_an_id_cannot_be_matched_by_it(tmp_path: Path) -> None:
    posts = read_labelled(put(tmp_path / "posts.jsonl", [TWO[0], TWO[1] | {"id": 1}]), {})
    with pytest.raises(InputError, match=r"posts\.jsonl, line 1 and line 2 have one id"):
        read_predictions(put(tmp_path / "theirs.jsonl", TOLD), posts)


@pytest.mark.parametrize("ids", [(2.0, 1.0), ("2.0", "1.0"), ("x:2", "x:1")])
def test_ids_are_matched_however_a_table_wrote_them(tmp_path: Path, ids: tuple[Any, Any]) -> None:
    posts = read_labelled(put(tmp_path / "posts.jsonl", [post | {"source": "x"} for post in TWO]), {})
    told = [{"id": ids[0], "source": "x", **NEWS}, {"id": ids[1], "source": "x", "kind": "praise", "problems": []}]
    said: list[str] = []
    answers = read_predictions(put(tmp_path / "theirs.jsonl", told), posts, said.append)
    assert [answer["kind"] for answer in answers] == ["praise", "news"]
    assert not said


def test_one_id_of_two_sources_is_two_posts_where_both_files_say_so(tmp_path: Path) -> None:
    both = [TWO[0] | {"source": "x"}, TWO[1] | {"source": "reddit", "id": 1}]
    posts = read_labelled(put(tmp_path / "posts.jsonl", both), {})
    told = [{"id": "reddit:1", "source": "reddit"} | NEWS, {"id": "x:1", "source": "x"} | NEWS | {"kind": "rumour"}]
    answers = read_predictions(put(tmp_path / "theirs.jsonl", told), posts)
    assert [answer["kind"] for answer in answers] == ["rumour", "news"]
    with pytest.raises(InputError, match="give every row of both files a source"):
        read_predictions(put(tmp_path / "theirs.jsonl", TOLD), posts)


def test_without_ids_on_both_sides_rows_are_matched_and_texts_checked(tmp_path: Path) -> None:
    posts = read_labelled(put(tmp_path / "posts.jsonl", TWO), {})
    theirs = [{"text": f" {post['text']}\n", "kind": "news", "problems": "slow"} for post in TWO]
    theirs[0]["scores"] = json.dumps(dict.fromkeys(PROBLEMS, 0.25))
    said: list[str] = []
    answers = read_predictions(put(tmp_path / "theirs.jsonl", theirs), posts, said.append)
    assert len(said) == 1 and "by row" in said[0]
    assert [answer["problems"] for answer in answers] == [["slow"], ["slow"]]
    assert answers[0]["scores"] == dict.fromkeys(PROBLEMS, 0.25)


def test_a_head_that_the_posts_lack_is_left_out(tmp_path: Path) -> None:
    posts = read_labelled(put(tmp_path / "posts.jsonl", [{"text": "a", "kind": "news"}]), {})
    answers = read_predictions(put(tmp_path / "theirs.jsonl", [{"kind": "news", "sentiment": "neutral"}]), posts)
    result = score_answers(posts.examples, answers)
    assert set(result) == {"n", "kind", "by_lang"} and result["kind"]["accuracy"] == 1.0


def test_a_status_is_asked_for_only_where_one_was_labelled_and_its_lack_is_a_miss(tmp_path: Path) -> None:
    labelled = [
        {"text": "a", "kind": "official", "status": "notice"},
        {"text": "b", "kind": "official", "status": "help"},
        {"text": "c", "kind": "praise"},
    ]
    posts = read_labelled(put(tmp_path / "posts.jsonl", labelled), {})
    told = [{"kind": "praise", "status": None}, {"kind": "official", "status": "help"}, {"kind": "praise"}]
    result = score_answers(posts.examples, read_predictions(put(tmp_path / "theirs.jsonl", told), posts))
    assert result["status"]["accuracy"] == 0.5
    assert result["status"]["per_label"]["notice"]["recall"] == 0.0
    with pytest.raises(InputError, match="does not answer status"):
        read_predictions(put(tmp_path / "theirs.jsonl", [{"kind": "praise"}] * 3), posts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("id", "source", "text", "kind", "problems", "scores", "kind_score", "status", "unsure")


@given(st.lists(st.fixed_dictionaries({}, optional={name: JSON for name in FIELDS}) | JSON, min_size=2, max_size=2))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_predictions_or_a_clear_error(tmp_path: Path, predictions: list[Any]) -> None:
    posts = read_labelled(put(tmp_path / "posts.jsonl", TWO), {})
    try:
        answers = read_predictions(put(tmp_path / "theirs.jsonl", predictions), posts)
    except InputError as error:
        assert "theirs.jsonl" in str(error)
    else:
        assert score_answers(posts.examples, answers, resamples=2)["n"] == 2


# Places


def test_a_file_is_written_whole_and_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "real" / "page.html")
    check_place(tmp_path / "link.html", [])
    write_whole(tmp_path / "link.html", "new")
    assert (tmp_path / "link.html").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["page.html"]
    assert (tmp_path / "real" / "page.html").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("place", ["folder", "posts.jsonl/under.html", "nowhere/x", "pipe", "n" * 300, "alias.jsonl"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path, place: str) -> None:
    import os

    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    posts = put(tmp_path / "posts.jsonl", TWO)
    (tmp_path / "alias.jsonl").hardlink_to(posts)
    with pytest.raises(InputError):
        check_place(tmp_path / place, [posts, None])


# Scores by hand


def test_intervals_are_those_of_drawing_posts_with_replacement() -> None:
    true = ["complaint"] * 1_000
    told = ["complaint"] * 800 + ["news"] * 200
    low, high = score_head("kind", true, told, resamples=1_000)["accuracy_ci95"]
    # The normal approximation: .8 +- 1.96 * sqrt(.8 * .2 / 1000).
    assert (low, high) == (pytest.approx(0.775, abs=0.004), pytest.approx(0.825, abs=0.004))


def test_perfect_answers_have_no_interval_however_rare_a_label_is() -> None:
    true = ["complaint"] * 100 + ["praise", "news", "rumour"]
    scores = score_head("kind", true, true, resamples=1_000)
    assert scores["macro_f1_ci95"] == scores["weighted_f1_ci95"] == scores["accuracy_ci95"] == [1.0, 1.0]
    for row in scores["per_label"].values():
        assert row["precision_ci95"] == row["recall_ci95"] == row["f1_ci95"] == [1.0, 1.0]
    problems = score_head("problems", [[], ["security"]] + [["slow"]] * 50, [[], ["security"]] + [["slow"]] * 50, 1_000)
    assert problems["macro_f1_ci95"] == problems["micro_f1_ci95"] == [1.0, 1.0]


def test_a_comparison_leaves_out_what_a_resample_did_not_draw() -> None:
    kinds = ["complaint"] * 100 + ["praise", "news", "rumour"]
    examples = [Example(str(index), {"kind": kind}) for index, kind in enumerate(kinds)]
    ours = [{"kind": kind} for kind in kinds]
    theirs = [{"kind": "other" if index % 2 and index < 100 else kind} for index, kind in enumerate(kinds)]
    row = compare(examples, ours, theirs)["kind"]["macro_f1"]
    # Half of the complaints are missed, an F1 of 2/3. Where a rare label was not drawn, complaints weigh more, never less.
    assert row["difference"] == pytest.approx((1 - 2 / 3) / 4, abs=1e-4)
    low, high = row["difference_ci95"]
    assert row["difference"] * 0.75 < low < high < 0.45
    assert row["share_reversed"] == 0.0


def test_where_nothing_occurs_and_nothing_was_found_there_is_no_average(tracker: Tracker, tmp_path: Path) -> None:
    rows = [{"id": str(index), "text": f"asante {index}", "problems": [], "lang": "sw"} for index in range(5)]
    put(tmp_path / "posts.jsonl", [*rows, {"id": "5", "text": "slow", "problems": ["slow"], "lang": "en"}])
    put(tmp_path / "calm.jsonl", rows)
    words = ["evaluate", "calm.jsonl", "--answers", "calm.jsonl", "--against", "calm.jsonl", "--report", "page.html"]
    done = tracker(*words, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    nothing = {"macro_f1": None, "macro_f1_ci95": None, "micro_f1": None, "micro_f1_ci95": None, "per_label": {}}
    assert result["problems"] == nothing
    assert "problems   macro F1 none occurs  micro F1 none occurs" in tracker(*words).stdout
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "none occurs" in page and "nan" not in page.lower()
    whole = tracker("evaluate", "posts.jsonl", "--answers", "posts.jsonl", "--json")
    by_lang = json.loads(whole.stdout)["by_lang"]
    assert by_lang["sw"]["problems"] == nothing
    assert by_lang["en"]["problems"]["macro_f1"] == 1.0
    found_wrongly = score_head("problems", [[], []], [["slow"], []], 100)
    assert (found_wrongly["macro_f1"], found_wrongly["micro_f1"]) == (None, 0.0)


def test_the_model_card_says_where_a_language_has_no_problem() -> None:
    model = load_model()
    examples = [
        Example(text, {"problems": problems, "kind": kind, "sentiment": "neutral", "about": "ecitizen", "lang": lang})
        for text, problems, kind, lang in (
            ("ecitizen iko down", ["outage"], "complaint", "mixed"),
            ("thank you eCitizen", [], "praise", "en"),
        )
    ]
    tables = score_tables("two", model, examples)
    assert "| en | 1 | none occurs | 1.000" in tables and "nan" not in tables.lower()


def test_scores_do_not_depend_on_the_order_of_the_posts() -> None:
    true = [["outage"], [], ["payment", "slow"], ["delay"]] * 20
    told = [["outage"], ["slow"], ["payment"], []] * 20
    order = np.random.default_rng(5).permutation(len(true))
    assert score_head("problems", true, told, 200) == score_head(
        "problems", [true[index] for index in order], [told[index] for index in order], 200
    )


def test_a_comparison_is_paired() -> None:
    examples = [Example("a", {"kind": "praise", "problems": ["slow"]}), Example("b", {"kind": "news", "problems": []})]
    examples *= 50
    theirs = [{"kind": "praise", "problems": []}, {"kind": "praise", "problems": []}] * 50
    ours = [{"kind": "praise", "problems": ["slow"]}, {"kind": "news", "problems": []}] * 50
    itself = compare(examples, ours, ours)
    assert itself["kind"]["accuracy"]["difference_ci95"] == [0.0, 0.0]
    assert itself["kind"]["macro_f1"]["share_reversed"] == 1.0
    better, worse = compare(examples, ours, theirs), compare(examples, theirs, ours)
    assert set(better) == {"kind", "problems"} and better["kind"]["n"] == 100
    assert better["kind"]["accuracy"] == {
        "ours": 1.0,
        "theirs": 0.5,
        "difference": 0.5,
        "difference_ci95": better["kind"]["accuracy"]["difference_ci95"],
        "share_reversed": 0.0,
    }
    low, high = better["kind"]["accuracy"]["difference_ci95"]
    assert low < 0.5 < high
    assert worse["kind"]["accuracy"]["difference_ci95"] == [-high, -low]
    assert better["problems"]["micro_f1"]["difference"] == 1.0


def test_a_difference_of_nothing_but_chance_is_often_reversed() -> None:
    examples = [Example(str(index), {"kind": "praise"}) for index in range(40)]
    ours = [{"kind": "praise" if index % 2 else "news"} for index in range(40)]
    theirs = [{"kind": "news" if index % 2 and index > 1 else "praise"} for index in range(40)]
    row = compare(examples, ours, theirs)["kind"]["accuracy"]
    assert row["difference"] == -0.025
    assert 0.3 < row["share_reversed"] < 0.7


def test_calibration_error_and_curve_by_hand() -> None:
    examples = [Example("a", {"kind": "praise"})] * 10
    answers = [{"kind": "praise" if index < 6 else "news", "kind_score": 0.9} for index in range(10)]
    result = score_answers(examples, answers, resamples=50)
    assert result["calibration"]["kind_ece"] == pytest.approx(0.3)
    low, high = result["calibration"]["kind_ece_ci95"]
    assert low < 0.3 < high
    (point,) = reliability(np.array([[index < 6] for index in range(10)]), np.full((10, 1), 0.9))
    assert (point["probability"], point["share"], point["count"]) == (pytest.approx(0.9), 0.6, 10)
    # Wilson's interval of 6 in 10.
    assert (point["low"], point["high"]) == (pytest.approx(0.3127, abs=1e-3), pytest.approx(0.8318, abs=1e-3))


def test_a_reply_is_scored_as_the_store_would_label_it(tracker: Tracker, tmp_path: Path) -> None:
    words = "Access to services has now been restored"
    official = {"kind": "official", "status": "resolved", "text": words}
    rows = [official | {"scope": "statement", "to": None}, official | {"scope": "reply", "to": "77"}]
    rows.append(official | {"scope": "reply", "text": f"@jane_wanjiru {words}"})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = tracker("evaluate", "in.jsonl", "--columns", "reply_to=to", "--json", "--predictions", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scope"]["accuracy"] == 1
    (tmp_path / "posts.jsonl").write_text(
        "".join(json.dumps({"text": row["text"], "reply_to": row.get("to")}) + "\n" for row in rows), encoding="utf-8"
    )
    assert tracker("classify", "--input", "posts.jsonl", "--output", "labelled.jsonl").returncode == 0
    for name in ("out.jsonl", "labelled.jsonl"):
        told = [json.loads(line)["scope"] for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        assert told == ["statement", "reply", "reply"]


@pytest.mark.parametrize("row", ["ecitizen iko down;complaint", "haifunguki, hata leo;complaint"])
def test_a_table_parted_by_semicolons_is_said_to_be_one(tracker: Tracker, tmp_path: Path, row: str) -> None:
    (tmp_path / "in.csv").write_text(f"text;kind\n{row}\n", encoding="utf-8")
    done = tracker("evaluate", "in.csv")
    assert done.returncode == 2
    assert "in.csv, line 2: " in done.stderr and "semicolons" in done.stderr and done.stderr.count("\n") == 1


def test_the_calibration_error_of_what_is_said_is_not_hidden_by_what_is_not() -> None:
    examples = [Example("a", {"problems": []})] * 10
    scores = dict.fromkeys(PROBLEMS, 0.0)
    answers = [{"problems": ["slow"], "scores": scores | ({"slow": 0.8} if index < 5 else {})} for index in range(10)]
    result = score_answers(examples, answers, resamples=50)["calibration"]
    assert result["problems_ece"] == pytest.approx(5 * 0.8 / 80)
    assert (result["problems_ece_from_half"], result["problems_ece_from_half_ci95"]) == (0.8, [0.8, 0.8])
    answers = [{"problems": [], "scores": scores}] * 10
    result = score_answers(examples, answers, resamples=50)["calibration"]
    assert (result["problems_ece_from_half"], result["problems_ece_from_half_ci95"]) == (None, None)


def test_a_confusion_has_a_column_for_no_answer() -> None:
    counted = confusion("sentiment", ["negative", "negative", "positive"], ["negative", "neutral", []])
    assert counted.tolist() == [[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_swaps_say_which_problem_stood_where_another_was_missed() -> None:
    table = swaps([["outage"], ["outage"], [], ["slow"]], [["slow"], [], ["slow"], ["slow"]])
    outage, slow, nothing = PROBLEMS.index("outage"), PROBLEMS.index("slow"), len(PROBLEMS)
    assert (table[outage, slow], table[outage, nothing], table[nothing, slow], table.sum()) == (1, 1, 1, 3)


def test_coverage_keeps_the_surest_first_and_equal_ones_together() -> None:
    shares, accuracy = coverage([True, False, True, False], [0.9, 0.5, 0.5, 0.1])
    assert shares.tolist() == [0.25, 0.75, 1.0]
    assert accuracy.tolist() == [1.0, pytest.approx(2 / 3), 0.5]


def test_the_confidence_of_an_answer_is_the_one_that_marks_it_unsure() -> None:
    model = load_model()
    for label in label_texts(model, ["ecitizen iko down", "asante", "nimelipa lakini bado inasema unpaid", "ok"]):
        answer = {"scores": label.scores, "kind_score": label.kind_score, "about_score": label.about_score}
        sure = sureness(answer)
        assert sure is not None
        if abs(sure - model.manifest["unsure_below"]) > 0.01:  # scores are rounded
            assert (sure < model.manifest["unsure_below"]) == label.unsure


def test_mistakes_are_graded_by_how_sure_the_answer_was() -> None:
    example = Example("a", {"problems": ["outage"], "kind": "complaint", "about": "ecitizen"})
    scores = dict.fromkeys(PROBLEMS, 0.01) | {"outage": 0.2, "slow": 0.7}
    answer = {"problems": ["slow"], "scores": scores, "kind": "news", "kind_score": 0.6, "about": "ecitizen"}
    assert mistakes(example, answer) == [
        ("problems", "outage missed", 0.8),
        ("problems", "slow found wrongly", 0.7),
        ("kind", "news, not complaint", 0.6),
    ]


# The page


class Page(HTMLParser):
    """Which tags and outside addresses a page has, and whether its tags close."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attributes if name in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def many(count: int = 120) -> tuple[list[Example], list[dict[str, Any]]]:
    """Posts with answers of which some are wrong in every way that there is."""
    draw = np.random.default_rng(3)
    examples, answers = [], []
    for index in range(count):
        problem = PROBLEMS[index % 8]
        labels = {
            "problems": [problem] if index % 3 else [],
            "kind": KINDS[index % 10],
            "sentiment": "negative",
            "about": "ecitizen",
            "lang": ("en", "sw")[index % 2],
        }
        told = {
            "problems": [PROBLEMS[int(draw.integers(8))]] if index % 4 else [],
            "scores": {name: round(float(draw.random()), 4) for name in PROBLEMS},
            "kind": KINDS[index % 10 if index % 5 else 0],
            "kind_score": round(float(draw.uniform(0.3, 1)), 4),
            "sentiment": ("negative", "neutral")[index % 7 == 0],
            "sentiment_score": 0.9,
            "about": "ecitizen",
            "about_score": 0.95,
            "unsure": bool(index % 2),
        }
        if labels["kind"] == "official":
            labels["status"] = "notice"
            told["status"] = ("notice", "help", None)[index % 3]
        examples.append(Example(f"post {index} <b>&amp; \x00\u202e {'a' * (index * 10)}", labels))
        answers.append(told)
    return examples, answers


def page_of(examples: list[Example], answers: list[dict[str, Any]], **result: Any) -> str:
    scores = score_answers(examples, answers, resamples=20) | result
    return report_page("A <title>", {"File": "a&b"}, ["SYNTHETIC: all"], examples, answers, scores, "others.jsonl")


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    examples, answers = many()
    content = page_of(examples, answers, against=compare(examples, answers, answers))
    page = Page(content)
    assert not page.tags & {"script", "img", "link", "iframe", "object", "b", "form"}
    assert page.addresses and all(address.startswith("#") for address in page.addresses)
    assert "http" not in re.sub(r'http-equiv="', "", content)
    assert "default-src 'none'" in content and "\x00" not in content
    assert "A &lt;title&gt;" in content and "a&amp;b" in content and "SYNTHETIC: all" in content
    for heading in ("Against others.jsonl", "What is taken for what", "By language", "The worst errors"):
        assert f"<h2>{heading}" in content
    assert content.count('class="text"') == 40
    assert page_of(examples, answers, against=compare(examples, answers, answers)) == content


@pytest.mark.parametrize(
    "answer",
    [
        {"sentiment": "negative"},
        {"sentiment": "positive"},
        {"sentiment": "positive", "sentiment_score": 0.5},
        {"sentiment": "negative", "unsure": True},
    ],
)
def test_a_page_of_one_post_with_one_head_is_whole(answer: dict[str, Any]) -> None:
    content = page_of([Example("", {"sentiment": "negative"})], [answer])
    Page(content)
    assert "nan" not in content.lower() and "None" not in content.replace("<p>None: every answer is right", "")


def test_the_worst_errors_are_the_surest_first() -> None:
    examples = [Example(f"post {index}", {"kind": "praise"}) for index in range(60)]
    answers = [{"kind": "news", "kind_score": index / 100} for index in range(60)]
    content = page_of(examples, answers)
    shown = re.findall(r"<bdi>post (\d+)</bdi>", content)
    assert shown == [str(index) for index in range(59, 19, -1)]
    assert "40 of 60 posts with a mistake" in content


def test_a_synthetic_file_stamps_its_scores_and_its_page(tracker: Tracker, tmp_path: Path) -> None:
    put(tmp_path / "posts.jsonl", [TWO[0] | {"synthetic": True}, TWO[1]])
    put(tmp_path / "theirs.jsonl", TOLD)
    words = ["evaluate", "posts.jsonl", "--answers", "theirs.jsonl", "--report", "page.html"]
    assert json.loads(tracker(*words, "--json").stdout)["synthetic_posts"] == 1
    assert "SYNTHETIC: 1 of" in tracker(*words).stdout
    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "SYNTHETIC: 1 of 2 posts" in content and "pretended" in content
    assert f"{NOW.day} March 2026, 20:00 EAT" in content
    guide = Path(__file__).parent.parent / "data" / "guide.md"
    assert sha256(guide.read_bytes()).hexdigest() in content
    assert str(tmp_path) not in content


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_is_drawn_in_a_browser_without_a_fault(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    (tmp_path / "page.html").write_text(page_of(*many()), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for width in (1200, 420):
            page = browser.new_page(viewport={"width": width, "height": 900})
            faults: list[str] = []
            page.on("console", lambda message, faults=faults: faults.append(message.text))
            page.on("request", lambda request, faults=faults: faults.append(request.url))
            page.goto((tmp_path / "page.html").as_uri())
            assert page.locator("svg circle").count() > 20
            assert page.locator("table.heat").count() == 5
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert faults == [(tmp_path / "page.html").as_uri()]
        browser.close()


# Model folders


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_model_folder(), tmp_path / "model"))


def change(folder: Path, **fields: Any) -> None:
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    kept = {name: value for name, value in (manifest | fields).items() if value is not ...}
    (folder / "model.json").write_text(json.dumps(kept), encoding="utf-8")


@pytest.mark.parametrize(
    "fields",
    [
        *(
            {name: ...}
            for name in ("name", "labels", "thresholds", "temperatures", "max_pieces", "unsure_below", "files")
        ),
        {"files": {}},
        {"files": {"model.onnx": "0"}},
        {"files": []},
        {"thresholds": dict.fromkeys(PROBLEMS, "0.5")},
        {"thresholds": dict.fromkeys(PROBLEMS, float("nan"))},
        {"thresholds": {"outage": 0.5}},
        {"temperatures": {"kind": 0}},
        {"unsure_below": None},
        {"max_pieces": "many"},
        {"name": 7},
    ],
)
def test_a_manifest_that_is_not_whole_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(default_model_folder() / "model.json", folder)
    change(folder, **fields)
    with pytest.raises(ModelError, match=r"model\.json is incomplete or damaged|other labels"):
        load_model(folder)


@pytest.mark.parametrize(("name", "says"), [("model.onnx", "no graph"), ("tokenizer.json", "no tokenizer")])
def test_a_foreign_part_under_a_manifest_that_fits_is_refused(copied: Path, name: str, says: str) -> None:
    (copied / name).write_bytes(b"not a part of any model")
    manifest = json.loads((copied / "model.json").read_text(encoding="utf-8"))
    change(copied, files=manifest["files"] | {name: file_sha256(copied / name)})
    with pytest.raises(ModelError, match=says):
        label_texts(load_model(copied), ["a text"])


def test_evaluate_refuses_a_damaged_model_in_one_line(tracker: Tracker, labelled: Path, copied: Path) -> None:
    with (copied / "model.onnx").open("ab") as file:
        file.write(b"\0")
    done = tracker("evaluate", "labelled.jsonl", "--model", "model", "--report", "page.html")
    assert done.returncode == 1
    assert "model.onnx is damaged or foreign" in done.stderr and done.stderr.count("\n") == 1
    assert not (copied.parent / "page.html").exists()
