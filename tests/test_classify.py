"""The model that ships: labels, the same for every order, batch and number of threads; bad input; damaged folders."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import threading
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import NOW
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from classifier.commands import runtime_check
from classifier.corpus import HEADS, Example
from classifier.evaluation import score_answers, score_head
from classifier.files import batches
from classifier.gazetteer import find_services
from classifier.labelling import label_texts
from classifier.model import PIECE_CHARACTERS, Model, default_model_folder, load_model
from data.commands import ROOM_CHECKS
from data.errors import ModelError
from data.files import draft_of
from data.labels import ABOUTS, KINDS, PROBLEMS, SENTIMENTS, confidence
from data.records import Post
from data.store import open_store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from data.settings import Settings

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

REPLAY = Path(__file__).parent.parent / "data" / "demo" / "replay_2026.jsonl"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [json.loads(line)["text"] for line in REPLAY.read_text(encoding="utf-8").splitlines()[:240]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("eCitizen keeps saying wrong password and I know it is the right one", "lockout"),
        ("ecitizen imekataa password yangu tangu asubuhi, siwezi kuingia", "lockout"),
        ("Nimelipa kwa 222222 pesa imekatwa lakini eCitizen inasema unpaid", "payment"),
        ("ecitizen iko down tena, haifunguki kabisa", "outage"),
    ],
)
def test_plain_complaints_get_their_problem(model: Model, text: str, problem: str) -> None:
    (labels,) = label_texts(model, [text])
    assert problem in labels.problems
    assert (labels.kind, labels.about, labels.sentiment) == ("complaint", "ecitizen", "negative")


def test_labels_follow_from_the_scores_and_the_models_thresholds(model: Model, texts: list[str]) -> None:
    found = label_texts(model, texts)
    for labels in found:
        assert list(labels.scores) == list(PROBLEMS)
        cuts = model.manifest["thresholds"]
        assert labels.problems == [name for name in PROBLEMS if labels.scores[name] >= cuts[name]]
        assert all(0 <= score <= 1 and score == round(score, 4) for score in labels.scores.values())
        for score, names in (
            (labels.kind_score, KINDS),
            (labels.sentiment_score, SENTIMENTS),
            (labels.about_score, ABOUTS),
        ):
            assert 1 / len(names) - 1e-4 <= score <= 1  # the largest of as many as there are labels
        assert (labels.status is None, labels.scope is None) == (labels.kind != "official",) * 2
    assert len({labels.kind for labels in found}) > 1


def test_a_text_is_labelled_alike_whatever_stands_beside_it(model: Model, texts: list[str]) -> None:
    together = label_texts(model, texts)
    order = np.random.default_rng(11).permutation(len(texts))
    shuffled = label_texts(model, [texts[index] for index in order])
    assert [together[index] for index in order] == shuffled
    assert [label_texts(model, [text])[0] for text in texts[:40]] == together[:40]


def test_probabilities_do_not_depend_on_threads(texts: list[str]) -> None:
    models = [load_model(threads=threads) for threads in (1, 2)]
    one, two = (each.probabilities(each.read(texts[:80])) for each in models)
    assert all((one[head] == two[head]).all() for head in HEADS)


@given(st.lists(st.text(max_size=200), max_size=6))
@hypothesis_settings(max_examples=15, deadline=None)
def test_any_text_gets_an_answer(texts: list[str]) -> None:
    model = load_model()
    labels = label_texts(model, texts)
    assert len(labels) == len(texts)
    assert all(np.isfinite(list(label.scores.values())).all() for label in labels)


@pytest.mark.parametrize("text", ["", "😡😡😡", "система не работает", "系统坏了", "a" * 60_000])
def test_odd_texts_get_an_answer(model: Model, text: str) -> None:
    (labels,) = label_texts(model, [text])
    assert labels.kind in KINDS
    if text in {"", "😡😡😡", "система не работает", "系统坏了"}:
        assert labels.lang == "other"


LONG = "nimelipa pesa lakini bado inasema unpaid na hakuna anayejibu " * 60
PLAIN = "ecitizen iko down tena, haifunguki kabisa"


@pytest.mark.parametrize(
    "text",
    [
        "система не работает уже третий день",
        "系统坏了",
        "ecitizen 系统 坏了 登录 失败",
        "الموقع eCitizen لا يعمل منذ ثلاثة أيام",
        "Сайт e-Citizen отличный, спасибо @eCitizenKenya <URL>",
        "M-Pesa እና eCitizen አይሰራም",
        "eCitizen app ya arabi: الموقع لا يعمل منذ ثلاثة أيام",
        LONG,
        PLAIN + " " * 5_000 + "!",
    ],
)
def test_what_the_model_cannot_read_or_did_not_read_to_its_end_is_unsure(model: Model, text: str) -> None:
    (labels,) = label_texts(model, [text])
    assert labels.unsure


@pytest.mark.parametrize(
    ("text", "is_other"),
    [
        ("الموقع eCitizen لا يعمل", True),
        ("@eCitizenKenya @user <PHONE> не работает", True),
        ("eCitizen да M-Pesa", True),
        ("site ecitizen.go.ke 打不开三天了没有人回复我们", True),
        ("eCitizen iko down, naona Ошибка tu", False),
        ("eCitizen 😡", False),
        ("eCitizen!", False),
        ("Nimelipa café, ñoño na phải", False),
        ("@eCitizenKenya <PHONE> 😡", True),
    ],
)
def test_a_script_is_told_by_most_letters_names_and_placeholders_aside(
    model: Model, text: str, *, is_other: bool
) -> None:
    (labels,) = label_texts(model, [text])
    assert (labels.lang == "other") == is_other
    assert labels.unsure or not is_other


def test_a_text_that_is_read_whole_is_unsure_by_its_confidence_alone(model: Model, texts: list[str]) -> None:
    ordinary = [PLAIN, f"{PLAIN} 😡", *texts]
    told = model.probabilities(model.read(ordinary))
    confident = (
        confidence(told["problems"], told["kind"].max(axis=1), told["about"].max(axis=1))
        >= model.manifest["unsure_below"]
    )
    labels = label_texts(model, ordinary)
    assert [label.unsure for label in labels if label.lang != "other"] == [
        not is_confident for is_confident, label in zip(confident, labels, strict=True) if label.lang != "other"
    ]
    assert not any(label.unsure for label in labels[:2])


def test_a_long_text_is_labelled_by_its_beginning_and_no_more_of_it_is_split(model: Model) -> None:
    (beginning,), (whole,) = model.read([LONG]), model.read([LONG * 15])
    assert beginning.ids == whole.ids and len(whole.ids) == model.manifest["max_pieces"]
    assert not whole.is_whole
    longest = max(len(piece) for piece, _ in json.loads(model.read_file("tokenizer.json"))["model"]["vocab"])
    assert longest <= PIECE_CHARACTERS


def test_services_are_found_by_their_longest_name() -> None:
    assert find_services("my driving licence and good conduct are stuck") == [
        "certificate of good conduct",
        "driving licence",
    ]
    assert find_services("Cheti cha kuzaliwa bado") == ["birth certificate"]
    assert find_services("the passportless") == []


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_model_folder(), tmp_path / "model"))


def test_a_damaged_model_is_refused(copied: Path) -> None:
    with (copied / "tokenizer.json").open("a", encoding="utf-8") as file:
        file.write(" ")
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged or foreign"):
        load_model(copied)


def test_a_missing_part_is_named(copied: Path) -> None:
    (copied / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"lacks model\.onnx"):
        load_model(copied)


def test_another_threshold_is_another_model(copied: Path) -> None:
    manifest = json.loads((copied / "model.json").read_text(encoding="utf-8"))
    manifest["thresholds"]["outage"] = 0.99
    (copied / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert load_model(copied).id != load_model().id


def rewrite(folder: Path, contents: dict[str, bytes] | None = None, **fields: Any) -> Path:
    """Other files under a manifest that fits them, as somebody else's folder may have."""
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for name, content in (contents or {}).items():
        (folder / name).write_bytes(content)
        manifest["files"][name] = sha256(content).hexdigest()
    (folder / "model.json").write_text(json.dumps(manifest | fields), encoding="utf-8")
    return folder


# A graph by hand in ONNX's encoding (Protocol Buffers), as the library that writes it comes with the train extra alone.


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


FLOAT, INT64 = 1, 7


def value_info(name: bytes, kind: int) -> bytes:
    shape = field(1, field(2, b"posts")) + field(1, field(2, b"wide"))
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def graph(width: int, fill: float = 0.0, external: str = "") -> bytes:
    """Logits of `width` numbers, each `fill`, for any text; or with weights that are kept in another file."""
    tensor = field(1, 1) + field(1, width) + field(2, FLOAT) + field(8, b"w")
    if external:
        entries = {"location": external, "offset": "0", "length": str(4 * width)}
        tensor += b"".join(
            field(13, field(1, key.encode()) + field(2, value.encode())) for key, value in entries.items()
        )
        tensor += field(14, 1)
    else:
        tensor += field(9, np.full(width, fill, np.float32).tobytes())
    axis = field(1, 1) + field(2, INT64) + field(8, b"axis") + field(9, np.array([1]).tobytes())
    to_float = field(5, field(1, b"to") + field(3, FLOAT) + field(20, 2))
    keep = field(5, field(1, b"keepdims") + field(3, 1) + field(20, 2))
    nodes = [
        field(1, b"mask") + field(1, b"axis") + field(2, b"sum") + field(4, b"ReduceMax") + keep,
        field(1, b"sum") + field(2, b"one") + field(4, b"Cast") + to_float,
        field(1, b"one") + field(1, b"w") + field(2, b"logits") + field(4, b"Mul"),
    ]
    body = b"".join(field(1, node) for node in nodes) + field(2, b"graph")
    body += b"".join(field(5, part) for part in (tensor, axis))
    body += field(11, value_info(b"ids", INT64)) + field(11, value_info(b"mask", INT64))
    body += field(12, value_info(b"logits", FLOAT))
    return field(1, 10) + field(7, body) + field(8, field(2, 21))


LABELS = sum(map(len, HEADS.values()))


def test_a_graph_that_fits_is_run(copied: Path) -> None:
    (labels,) = label_texts(load_model(rewrite(copied, {"model.onnx": graph(LABELS)})), ["a text"])
    assert set(labels.scores.values()) == {0.5}


@pytest.mark.parametrize("width", [1, 3, LABELS + 1])
def test_a_graph_of_other_labels_is_refused(copied: Path, width: int) -> None:
    with pytest.raises(ModelError, match="one number for each of the"):
        label_texts(load_model(rewrite(copied, {"model.onnx": graph(width)})), ["a text"])


def test_a_graph_that_gives_no_number_is_refused(copied: Path) -> None:
    with pytest.raises(ModelError, match="no number"):
        label_texts(load_model(rewrite(copied, {"model.onnx": graph(LABELS, float("nan"))})), ["a text"])


def test_weights_outside_the_hash_are_not_found(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "weights.bin").write_bytes(np.zeros(LABELS, np.float32).tobytes())
    rewrite(copied, {"model.onnx": graph(LABELS, external="weights.bin")})
    for place in (copied, copied.parent):
        monkeypatch.chdir(place)
        with pytest.raises(ModelError, match="no graph that this ONNX Runtime runs"):
            label_texts(load_model(copied), ["a text"])


def test_a_file_that_changes_after_the_check_is_refused(copied: Path) -> None:
    model = load_model(copied)
    (copied / "model.onnx").write_bytes(graph(LABELS))
    with pytest.raises(ModelError, match=r"model\.onnx is damaged or foreign"):
        label_texts(model, ["a text"])


@pytest.mark.parametrize("pieces", [1, 7, 513, 2_000, 25.5, True, "256"])
def test_a_number_of_pieces_that_no_model_reads_is_refused(copied: Path, pieces: Any) -> None:
    with pytest.raises(ModelError, match="incomplete or damaged"):
        load_model(rewrite(copied, max_pieces=pieces))


@pytest.mark.parametrize("value", [0, -1, 0.001, 1e9, 10**400, float("nan"), float("inf")])
def test_a_temperature_that_leaves_no_probability_is_refused_by_name(copied: Path, value: float) -> None:
    temperatures = load_model().manifest["temperatures"]
    with pytest.raises(ModelError, match=r"the temperature of about is not between 0\.01 and 100; get the model anew"):
        load_model(rewrite(copied, temperatures=temperatures | {"about": value}))


@pytest.mark.parametrize("name", ["", " ", "a\x1b[31mred", "a\nb", "a\u202eb", "\ud800"])
def test_a_name_that_cannot_be_printed_is_refused(copied: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be printed") as raised:
        load_model(rewrite(copied, name=name))
    assert str(raised.value).isprintable()


def test_a_piece_that_the_graph_does_not_know_ends_in_one_line(copied: Path) -> None:
    tokenizer = json.loads((copied / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"].append(["\u2581zzzqqq", 0.0])
    content = json.dumps(tokenizer).encode()
    with pytest.raises(ModelError, match="failed on 8 pieces"):
        label_texts(load_model(rewrite(copied, {"tokenizer.json": content})), ["zzzqqq"])


def test_another_runtime_than_the_models_is_said_once(tracker: Tracker, copied: Path) -> None:
    rewrite(copied, runtime="onnxruntime 0.0.1")
    done = tracker("classify", "ecitizen iko down", "asante", "--model", copied)
    assert done.returncode == 0
    assert done.stderr.count("was made for onnxruntime 0.0.1") == 1
    check = runtime_check(copied)
    assert (check["name"], check["state"]) == ("runtime", "warning")
    assert runtime_check in ROOM_CHECKS and runtime_check()["name"] == "runtime"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        load_model(tmp_path)


def test_classify_prints_redacted_labelled_posts(tracker: Tracker) -> None:
    done = tracker("classify", "--json", "call 0712345678, ecitizen imekataa password")
    assert done.returncode == 0, done.stderr
    (post,) = json.loads(done.stdout)
    assert post["text"] == "call <PHONE>, ecitizen imekataa password"
    assert post["problems"] == ["lockout"]
    assert post["model"] == load_model().id


def test_classify_keeps_unknown_fields_in_order_and_skips_what_is_no_post(tracker: Tracker, tmp_path: Path) -> None:
    lines = [
        '{"b":1,"text":"ecitizen iko down","a":[2]}',
        "not json",
        '{"text":7}',
        '{"text":"asante eCitizen, nimepata passport"}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = tracker("classify", "--input", "in.jsonl", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    posts = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [list(post)[:3] for post in posts] == [["b", "text", "a"], ["text", "problems", "scores"]]
    assert "in.jsonl, line 2: broken JSON" in done.stderr
    assert "in.jsonl, line 3: text must be text" in done.stderr


def test_classify_reads_a_pipe_from_its_first_record(tracker: Tracker, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    content = "".join(json.dumps({"id": number, "text": "ecitizen iko down"}) + "\n" for number in range(3_000))
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(content,))
    writer.start()
    done = tracker("classify", "--input", "pipe", "--output", "out.jsonl")
    writer.join()
    assert done.returncode == 0, done.stderr
    assert "3,000 labelled, 0 skipped" in done.stderr
    out = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in out] == list(range(3_000))


ODD_RECORDS = (
    '\n\n{"text":"ecitizen iko down","author":"mti_mkavu"}\n'
    '{"text":"n","votes":NaN}\n{"text":"i","votes":1e999}\n{"text":"z\\u0000"}\n'
    '{"text":"mti_mkavu anauliza","author":"mti_mkavu","corrections":[],"labelled_at":"2026-03-05T06:00:00Z","votes":1}\n'
)


def test_classify_skips_what_json_or_the_store_has_not_and_names_the_line(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(ODD_RECORDS, encoding="utf-8")
    done = tracker("classify", "--input", "in.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout, parse_constant=pytest.fail)
    assert (first["text"], second["text"]) == ("ecitizen iko down", "@user anauliza")
    # What was said of the labels that stood there before.
    assert "corrections" not in second and "labelled_at" not in second and second["votes"] == 1
    told = [line.partition("in.jsonl, ")[2] for line in done.stderr.splitlines() if line.startswith("skipped")]
    assert [line.partition(":")[0] for line in told] == ["line 4", "line 5", "line 6"]
    assert "NaN" in told[0] and "NaN" in told[1] and "NUL" in told[2]


def test_classify_strict_ends_at_the_first_bad_record_and_writes_nothing(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(ODD_RECORDS, encoding="utf-8")
    done = tracker("classify", "--input", "in.jsonl", "--output", "out.jsonl", "--strict")
    assert done.returncode == 2
    assert "in.jsonl, line 4:" in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b'{"text":"a"}\n' * 50, mtime=0), "gzip"),
        (b"id;text\n1;a\n2;b\n", "semicolons"),
        (b"id,tweet\n1,a\n2,b\n", "the column text"),
        (b'[\n {"text": "a"},\n', "broken JSON"),
    ],
)
def test_classify_says_in_one_line_that_a_file_is_of_no_format_it_reads(
    tracker: Tracker, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "in").write_bytes(content)
    done = tracker("classify", "--input", "in", "--output", "out.jsonl")
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("name", ["in.json", "in.parquet"])
def test_classify_takes_a_list_over_lines_and_parquet(tracker: Tracker, tmp_path: Path, name: str) -> None:
    posts = [{"text": text, "at": datetime(2026, 3, 5, 6, tzinfo=UTC)} for text in ("ecitizen iko down", "asante")]
    if name == "in.json":
        (tmp_path / name).write_text(json.dumps(posts, indent=1, default=datetime.isoformat), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(posts), tmp_path / name)
    done = tracker("classify", "--input", name, "--json")
    assert done.returncode == 0, done.stderr
    assert [(post["text"], post["at"]) for post in json.loads(done.stdout)] == [
        (post["text"], "2026-03-05T06:00:00+00:00") for post in posts
    ]


def test_a_link_as_output_stays_and_no_draft_is_left(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "real" / "out.jsonl")
    (tmp_path / "in.jsonl").write_text('{"text":"asante"}\n', encoding="utf-8")
    assert tracker("classify", "--input", "in.jsonl", "--output", "out.jsonl").returncode == 0
    assert (tmp_path / "out.jsonl").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_a_draft_is_gone_when_its_writing_is_broken_off(tmp_path: Path, stop: type[BaseException]) -> None:
    (tmp_path / "out.jsonl").write_text("before", encoding="utf-8")
    with pytest.raises(stop), draft_of(tmp_path / "out.jsonl") as draft:
        draft.write_text("half", encoding="utf-8")
        raise stop
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "before"


def test_batches_are_bounded_by_number_and_by_characters() -> None:
    assert [len(batch) for batch in batches(["a"] * 4_001, len)] == [2_000, 2_000, 1]
    assert [len(batch) for batch in batches(["a" * 60_000] * 40, len)] == [17, 17, 6]


def test_what_is_known_of_texts_is_bounded_by_their_characters(model: Model) -> None:
    known = dict.fromkeys((f"{number}{'a' * 60_000}" for number in range(170)), label_texts(model, ["a"])[0])
    label_texts(model, ["a new text"], known=known)
    assert list(known) == ["a new text"]


def test_another_model_counts_in_the_store_once_no_post_lacks_its_label(
    tracker: Tracker, copied: Path, tmp_path: Path, settings: Settings
) -> None:
    manifest = json.loads((copied / "model.json").read_text(encoding="utf-8"))
    (copied / "model.json").write_text(json.dumps(manifest | {"name": "other_1"}), encoding="utf-8")
    shipped, other = load_model(), load_model(copied)
    store = open_store(settings)
    store.save_page([Post("x", str(number), NOW, f"ecitizen iko down {number}") for number in range(20)])
    assert tracker("classify").returncode == 0
    assert store.active_model() == shipped.id
    with sqlite3.connect(tmp_path / "posts.db") as connection:
        connection.executescript(
            "CREATE TABLE moved (model TEXT, labels INTEGER);"
            "CREATE TRIGGER moving AFTER INSERT ON models BEGIN INSERT INTO moved "
            "SELECT NEW.model, count(*) FROM labels WHERE labels.model = NEW.model; END"
        )
    done = tracker("classify", "--model", "model")
    assert f"labels of {other.id} count from now on, none of {shipped.id}" in done.stderr
    assert store.active_model() == other.id
    store.close()
    assert connection.execute("SELECT * FROM moved").fetchall() == [(other.id, 20)]
    connection.close()


def test_classify_labels_what_the_store_has_once(tracker: Tracker) -> None:
    assert tracker("import", REPLAY).returncode == 0
    first = json.loads(tracker("classify", "--json").stdout)
    second = json.loads(tracker("classify", "--json").stdout)
    assert first["labelled"] > 600
    assert second["labelled"] == 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["classify", "--input", "nowhere.jsonl"], 2, "nowhere.jsonl: No such file"),
        (["classify", "a text", "--input", "x.jsonl"], 2, "not both"),
        (["classify", "a text", "--every", "5"], 2, "--every labels what comes into the store"),
        (["classify", "--input", "x.jsonl", "--every", "5"], 2, "--every labels what comes into the store"),
        (["classify", "--strict"], 2, "--strict goes with --input"),
        (["classify", "--input", "x.jsonl", "--output", "y.csv"], 2, "--output writes JSONL: name it y.jsonl"),
        (["classify", "a text", "--model", "nowhere"], 1, "not a model folder"),
        (["evaluate", "nowhere.jsonl"], 2, "nowhere.jsonl: No such file"),
    ],
)
def test_wrong_words_get_one_line(tracker: Tracker, words: list[str], status: int, says: str) -> None:
    done = tracker(*words)
    assert done.returncode == status
    assert says in done.stderr and done.stderr.count("\n") == 1


def test_evaluate_scores_what_the_file_has(tracker: Tracker, tmp_path: Path) -> None:
    rows = [
        "tweet\tfeeling",
        "ecitizen iko down tena, ovyo kabisa\tnegative",
        "asante sana eCitizen, passport imefika\tpositive",
    ]
    (tmp_path / "posts.tsv").write_text("\n".join(rows), encoding="utf-8")
    done = tracker(
        "evaluate", "posts.tsv", "--columns", "text=tweet,sentiment=feeling", "--json", "--predictions", "mine.jsonl"
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert scores["n"] == 2
    assert "problems" not in scores
    assert len(scores["sentiment"]["macro_f1_ci95"]) == 2
    assert len((tmp_path / "mine.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_evaluate_names_a_label_that_is_not_in_the_guide(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").write_text('{"text":"x","kind":"rant"}\n', encoding="utf-8")
    done = tracker("evaluate", "posts.jsonl")
    assert done.returncode == 2
    assert "line 1" in done.stderr
    assert "'rant'" in done.stderr


def test_f1_is_computed_by_hand() -> None:
    scores = score_head(
        "kind", ["complaint", "complaint", "praise", "other"], ["complaint", "praise", "praise", "news"]
    )
    assert scores["accuracy"] == 0.5
    assert scores["per_label"]["complaint"] == {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "support": 2}
    # Over the labels that occur in the file: complaint 2/3, praise 2/3, other 0; news only occurs in the answers.
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3, abs=1e-4)


def test_micro_f1_counts_every_problem_of_every_post() -> None:
    scores = score_head("problems", [["outage", "support"], [], ["payment"]], [["outage"], ["slow"], ["payment"]])
    assert scores["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1), abs=1e-4)


def test_slices_are_by_language() -> None:
    examples = [Example("a", {"kind": "praise", "lang": "sw"}), Example("b", {"kind": "news", "lang": "en"})]
    scores = score_answers(examples, [{"kind": "praise"}, {"kind": "praise"}], resamples=10)
    assert scores["by_lang"]["sw"]["kind"]["accuracy"] == 1.0
    assert scores["by_lang"]["en"]["kind"]["accuracy"] == 0.0
