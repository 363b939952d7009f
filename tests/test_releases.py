"""Release files: the same bytes everywhere, nothing hostile let in, a model found again by name and hash."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from classifier.model import default_model_folder, load_model
from classifier.releases import (
    LIST_FILE,
    MAX_RELEASE_BYTES,
    find_model,
    get,
    list_releases,
    models_folder,
    pack,
    parse_reference,
    unpack,
)
from data.errors import InputError, ModelError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from classifier.releases import Reference

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

README, RECIPE = b"# Model card: small_1\n", b'{"seed": 7}\n'


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder of the test, which is not there yet."""
    monkeypatch.setenv("TRACKER_MODELS", str(tmp_path / "kept"))
    return tmp_path / "kept"


def make_model(folder: Path, name: str = "small_1", graph: bytes = b"a graph", **changes: Any) -> Path:
    """A model folder that is whole, with a graph of a few bytes: what is asked here never runs it."""
    folder.mkdir(parents=True)
    manifest = json.loads((default_model_folder() / "model.json").read_text(encoding="utf-8"))
    contents = {"model.onnx": graph, "tokenizer.json": b"{}"}
    digests = {file: sha256(content).hexdigest() for file, content in contents.items()}
    manifest |= {"name": name, "files": digests} | changes
    contents |= {"model.json": json.dumps(manifest).encode(), "README.md": README, "training.json": RECIPE}
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_model(tmp_path / "small")


@pytest.fixture
def release(small: Path, tmp_path: Path) -> Path:
    return pack(small, tmp_path / "released")[0]


def reference_of(id_: str) -> Reference:
    reference = parse_reference(id_)
    assert reference is not None
    return reference


def older_model(folder: Path) -> Path:
    """The model that ships with another threshold, which is another model, and runs."""
    shutil.copytree(default_model_folder(), folder)
    (folder / "README.md").write_bytes(README)
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    manifest |= {"name": "older_1", "thresholds": manifest["thresholds"] | {"outage": 0.999}}
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


# A tar by hand, so that what is read and what is written are held against the format and not against each other.


def header(name: str, size: int | bytes, kind: bytes = b"0", link: str = "", mode: bytes = b"0000644\0") -> bytes:
    digits = size if isinstance(size, bytes) else b"%011o\0" % size
    fields = [
        name.encode().ljust(100, b"\0"),
        mode + b"0000000\0" * 2 + digits + b"%011o\0" % 0,
        b" " * 8,
        kind + link.encode().ljust(100, b"\0") + b"ustar\x0000",
    ]
    block = b"".join(fields).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def member(name: str, content: bytes, kind: bytes = b"0", link: str = "") -> bytes:
    return header(name, len(content), kind, link) + content + bytes(-len(content) % 512)


def contents_of(folder: Path) -> dict[str, bytes]:
    names = ("model.json", "model.onnx", "tokenizer.json", "README.md", "training.json")
    return {name: (folder / name).read_bytes() for name in names}


def archive(id_: str, contents: dict[str, bytes]) -> bytes:
    return b"".join(member(f"{id_}/{name}", content) for name, content in contents.items()) + bytes(1024)


def test_a_release_is_the_same_bytes_whenever_and_wherever_it_is_packed(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in sorted(small.iterdir(), reverse=True):
        shutil.copyfile(file, other / file.name)
        (other / file.name).chmod(0o600)
        os.utime(other / file.name, (1, 1))
    (other / "notes.txt").write_text("not of the model")
    first, line = pack(small, tmp_path / "a")
    second, _ = pack(other, tmp_path / "b")
    id_ = load_model(small).id
    assert first.name == f"{id_}.tar"
    assert first.read_bytes() == second.read_bytes() == archive(id_, contents_of(small))
    assert (line.id, line.sha256) == (id_, load_model(small).sha256)
    assert line.file_sha256 == sha256(first.read_bytes()).hexdigest()
    with tarfile.open(first) as tar:
        assert tar.getnames() == [f"{id_}/{name}" for name in contents_of(small)]
    assert [path.name for path in (tmp_path / "a").iterdir()] == [first.name]


@pytest.mark.parametrize("lacking", ["README.md", "training.json", "model.onnx"])
def test_a_model_that_is_not_whole_is_not_released(small: Path, tmp_path: Path, lacking: str) -> None:
    (small / lacking).unlink()
    with pytest.raises(ModelError, match=lacking):
        pack(small, tmp_path / "released")
    assert not list(tmp_path.glob("released/*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../evil"},
        {"name": ""},
        {"name": "small 1"},
        {"files": {}},
        {"files": None},
        {"files": {"../../outside": "0" * 64}},
        {"labels": None},
        {"format": 99},
    ],
)
def test_a_manifest_that_no_model_has_is_not_released(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "outside").write_bytes(b"")
    if changes.get("files"):
        changes = {"files": {"../outside": sha256(b"").hexdigest()}}
    with pytest.raises(ModelError):
        pack(make_model(tmp_path / "odd", **changes), tmp_path / "released")


def test_a_release_is_unpacked_as_it_was(release: Path, small: Path, kept: Path) -> None:
    model = unpack(release, kept, reference_of(release.stem))
    assert model.folder == kept / release.stem
    assert contents_of(model.folder) == contents_of(small)
    assert [path.name for path in kept.iterdir()] == [release.stem]
    assert unpack(release, kept, reference_of(release.stem)) == model


def hostile(id_: str, contents: dict[str, bytes], tmp_path: Path) -> dict[str, bytes]:
    """What could be handed out as a release of this model, and is none."""
    parts = [member(f"{id_}/{name}", content) for name, content in contents.items()]
    whole, end = b"".join(parts), bytes(1024)
    outside = str(tmp_path / "evil")
    negative = (b"\xff" * 12, b"\x80" + b"\xff" * 11)
    return {
        "nothing": b"",
        "zeros": bytes(10_240),
        "text": b"<html>not found</html>",
        "no end": whole,
        "half an end": whole + bytes(512),
        "more behind the end": whole + end + b"x",
        "a path upwards": member(f"{id_}/../../evil", b"x") + whole + end,
        "an absolute path": member(outside, b"x") + whole + end,
        "a path upwards as the folder": member("../evil", b"x") + whole + end,
        "a folder below": member(f"{id_}/below/evil", b"x") + whole + end,
        "a backslash": member(f"{id_}/..\\evil", b"x") + whole + end,
        "a hidden file": member(f"{id_}/.evil", b"x") + whole + end,
        "a symbolic link": header(f"{id_}/evil", 0, b"2", outside) + whole + end,
        "a hard link": header(f"{id_}/evil", 0, b"1", "/etc/passwd") + whole + end,
        "a link in place of the graph": parts[0]
        + header(f"{id_}/model.onnx", 0, b"2", outside)
        + b"".join(parts[2:])
        + end,
        "a folder": header(f"{id_}/", 0, b"5") + whole + end,
        "a device": header(f"{id_}/evil", 0, b"3") + whole + end,
        "a set-uid file": header(f"{id_}/evil", 0, mode=b"0004755\0") + whole + end,
        "another mode": b"".join(parts[:-1])
        + header(f"{id_}/training.json", len(RECIPE), mode=b"0000755\0")
        + parts[-1][512:]
        + end,
        "another padding": b"".join(parts[:-1]) + parts[-1][:-1] + b"x" + end,
        "a pax header": member("pax", b"20 path=../../evil\n\n", b"x") + whole + end,
        "a GNU long name": member("././@LongLink", b"../../evil\0", b"L") + whole + end,
        "a sparse file": header(f"{id_}/evil", 0, b"S") + whole + end,
        "a huge file": header(f"{id_}/evil", 2**33 - 1) + whole + end,
        "a file above the limit": header(f"{id_}/evil", MAX_RELEASE_BYTES + 1) + whole + end,
        "a negative size": header(f"{id_}/evil", negative[0]) + whole + end,
        "another negative size": header(f"{id_}/evil", negative[1]) + whole + end,
        "many files": b"".join(member(f"{id_}/{number}", b"") for number in range(5_000)) + whole + end,
        "one file twice": whole + parts[-1] + end,
        "a file too many": whole + member(f"{id_}/more.json", b"{}") + end,
        "a file too few": b"".join(parts[:-1]) + end,
        "a second model": whole + archive("other_1@0123456789ab", contents),
        "another id": archive("small_1@0123456789ab", contents),
        "another graph": archive(id_, contents | {"model.onnx": b"b graph"}),
        "another manifest": archive(id_, contents | {"model.json": contents["model.json"] + b" "}),
        "a manifest that is no JSON": archive(id_, contents | {"model.json": b"{"}),
        "a manifest that nests": archive(id_, contents | {"model.json": b"[" * 100_000}),
        "an empty manifest": archive(id_, contents | {"model.json": b'{"format": 1}'}),
    }


def test_nothing_hostile_is_unpacked(release: Path, small: Path, kept: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for what, content in hostile(release.stem, contents_of(small), tmp_path).items():
        release.write_bytes(content)
        with pytest.raises(ModelError):
            unpack(release, kept, reference_of(release.stem))
            pytest.fail(what)
        assert not list(kept.glob("*")), what
        assert [path for path in sorted(tmp_path.rglob("*")) if path != kept] == before, what


def test_a_compressed_tar_is_no_release(release: Path, small: Path, kept: Path) -> None:
    with tarfile.open(release, "w:gz") as tar:
        tar.add(small, release.stem)
    with pytest.raises(ModelError, match="not a release file"):
        unpack(release, kept, reference_of(release.stem))


def test_a_file_above_the_limit_is_not_read(release: Path, kept: Path) -> None:
    os.truncate(release, MAX_RELEASE_BYTES + 1)  # a hole, no bytes
    with pytest.raises(ModelError, match="MiB"):
        unpack(release, kept, reference_of(release.stem))


@given(st.data())
@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_release_with_a_wrong_byte_or_cut_off_is_refused(release: Path, kept: Path, data: st.DataObject) -> None:
    whole = release.read_bytes()
    damaged = release.with_name("damaged")
    # The card and the recipe are behind the graph and the tokenizer; no hash of the model covers them.
    at = data.draw(st.integers(0, whole.index(b"README.md") - 1))
    if data.draw(st.booleans()):
        damaged.write_bytes(whole[:at])
    else:
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    with pytest.raises(ModelError):
        unpack(damaged, kept, reference_of(release.stem))
    assert not list(kept.glob("*"))


def test_a_listed_release_is_accepted_as_the_file_that_was_released_alone(
    tracker: Tracker, small: Path, kept: Path, tmp_path: Path
) -> None:
    kept.mkdir()
    words = ("model", "pack", small, "--output", "released", "--json")
    done = tracker(*words, "--record", kept / LIST_FILE, "--note", "of the tests")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert json.loads((kept / LIST_FILE).read_text(encoding="utf-8")) == {
        name: line[name] for name in ("id", "sha256", "file_sha256", "date", "note")
    }
    assert (line["date"], line["note"]) == ("2026-03-06", "of the tests")
    assert tracker(*words, "--record", kept / LIST_FILE).returncode == 0
    assert len((kept / LIST_FILE).read_text(encoding="utf-8").splitlines()) == 1

    (small / "README.md").write_bytes(b"# Another card\n")
    again = tracker(*words, "--record", kept / LIST_FILE)
    assert (again.returncode, "with another file" in again.stderr) == (1, True)
    again = tracker("model", "pack", small, "--output", "again")
    assert (again.returncode, "will refuse" in again.stderr) == (0, True)

    refused = tracker("model", "get", line["id"], "--from", Path("again") / f"{line['id']}.tar")
    assert refused.returncode == 1
    assert "not that of the file released" in refused.stderr
    assert tracker("model", "show", line["id"]).returncode == 1
    (listed,) = [row for row in json.loads(tracker("model", "list", "--json").stdout) if row["id"] == line["id"]]
    assert (listed["state"], listed["note"]) == ("not here", "of the tests")


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "x"}', '{"id":"a@0123","sha256":"9","file_sha256":"","date":""}'])
def test_a_broken_list_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"list\.jsonl, line 2"):
        list_releases(tmp_path / "list.jsonl")


def test_the_list_that_ships_names_the_model_that_ships_as_it_is_packed(tmp_path: Path) -> None:
    listed = list_releases(default_model_folder().parent / LIST_FILE)
    _, packed = pack(default_model_folder(), tmp_path)
    release = listed[packed.id]
    assert (release.sha256, release.file_sha256) == (packed.sha256, packed.file_sha256)
    for release in listed.values():
        assert re.fullmatch("[0-9a-f]{64}", release.sha256) and re.fullmatch("[0-9a-f]{64}", release.file_sha256)


# Getting one.


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, tuple[int, dict[str, str], bytes]]]]:
    """An address on loopback, and what is answered there by path: status, headers, body."""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path.partition("?")[0], (404, {}, b"not found"))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    opened = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=opened.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{opened.server_port}", answers
    opened.shutdown()
    opened.server_close()


@pytest.mark.parametrize(
    "where", ["its folder", "its file", "a folder of folders", "a folder of files", "an address", "an address/"]
)
def test_a_model_is_got_from_wherever_it_is(
    release: Path, small: Path, kept: Path, tmp_path: Path, server: Any, where: str
) -> None:
    address, answers = server
    answers["/models/latest"] = answers[f"/models/{release.name}"] = (200, {}, release.read_bytes())
    source = {
        "its folder": small,
        "its file": release,
        "a folder of folders": tmp_path,
        "a folder of files": release.parent,
        "an address": f"{address}/models/latest?token=1",
        "an address/": f"{address}/models/",
    }[where]
    wanted = reference_of(f"small_1@{load_model(small).sha256[:20]}")
    assert contents_of(get(wanted, str(source)).folder) == contents_of(small)
    assert [path.name for path in kept.iterdir()] == [release.stem]
    assert find_model(release.stem).folder == kept / release.stem


def test_a_model_is_got_by_command_listed_shown_and_used(tracker: Tracker, tmp_path: Path, server: Any) -> None:
    older = older_model(tmp_path / "older")
    id_ = load_model(older).id
    packed = tracker("model", "pack", "older", "--output", "released")
    assert packed.returncode == 0, packed.stderr
    address, answers = server
    answers[f"/{id_}.tar"] = (200, {}, (tmp_path / packed.stdout.strip()).read_bytes())
    missing = tracker("classify", "ecitizen iko down tena, haifunguki kabisa", "--json", "--model", id_)
    assert missing.returncode == 1
    assert f"tracker model get {id_} --from" in missing.stderr

    done = tracker("model", "get", id_, "--from", f"{address}/")
    assert done.returncode == 0, done.stderr
    answers.clear()
    assert tracker("model", "get", id_, "--from", f"{address}/").returncode == 0
    rows = {row["id"]: row for row in json.loads(tracker("model", "list", "--json").stdout)}
    assert (rows[id_]["state"], rows[id_]["sound"]) == ("kept", True)
    assert rows[load_model().id]["state"] == "shipped"
    shown = json.loads(tracker("model", "show", id_[:14], "--json").stdout)
    assert (shown["id"], shown["sha256"]) == (id_, load_model(older).sha256)
    assert shown["thresholds"]["outage"] == 0.999
    words = ("classify", "ecitizen iko down tena, haifunguki kabisa", "--json")
    (own,), (others,) = (json.loads(tracker(*words, *more).stdout) for more in ((), ("--model", id_)))
    assert (own["model"], "outage" in own["problems"]) == (load_model().id, True)
    assert (others["model"], "outage" in others["problems"]) == (id_, False)
    assert own["scores"] == others["scores"]


def test_what_an_address_answers_wrongly_is_refused(release: Path, small: Path, kept: Path, server: Any) -> None:
    address, answers = server
    whole = release.read_bytes()
    other, _ = pack(make_model(small.parent / "other", graph=b"another"), release.parent)
    answers |= {
        "/cut": (200, {"Content-Length": str(len(whole) + 1)}, whole),
        "/short": (200, {}, whole[:-600]),
        "/other": (200, {}, other.read_bytes()),
        "/error": (500, {}, whole),
        "/part": (206, {}, whole),
        "/page": (200, {}, b"<html>sign in</html>"),
        "/round": (302, {"Location": "/round"}, b""),
        "/there": (302, {"Location": "/short"}, b""),
    }
    for path in (*answers, "/nowhere"):
        with pytest.raises(ModelError) as caught:
            get(reference_of(release.stem), address + path)
            pytest.fail(path)
        assert "Traceback" not in str(caught.value)
        assert not list(kept.iterdir()), path
    answers["/found"] = (200, {}, whole)
    answers["/moved"] = (301, {"Location": "/found"}, b"")
    assert get(reference_of(release.stem), address + "/moved").id == release.stem


@pytest.mark.parametrize("said", [str(MAX_RELEASE_BYTES + 1), ""])
def test_no_more_than_the_limit_is_read_from_an_address(
    release: Path, kept: Path, server: Any, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    address, answers = server
    answers["/large"] = (200, {"Content-Length": said}, bytes(5_000))
    if not said:
        monkeypatch.setattr("classifier.releases.MAX_RELEASE_BYTES", 4_000)
    with pytest.raises(ModelError, match="the most that a release may have"):
        get(reference_of(release.stem), address + "/large")
    assert not list(kept.iterdir())


@pytest.mark.parametrize("path", ["", "/away", "/file"])
def test_nothing_is_asked_over_plain_http_but_this_machine(release: Path, server: Any, path: str) -> None:
    address, answers = server
    answers["/away"] = (302, {"Location": "http://models.example/release"}, b"")
    answers["/file"] = (302, {"Location": "file:///etc/passwd"}, b"")
    with pytest.raises(InputError, match="https"):
        get(reference_of(release.stem), address + path if path else "http://models.example/release")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["small_1@0123456789ab", "--from", "nowhere"], 2, "neither a folder nor a file"),
        (["small_1@0123456789ab", "--from", "https://user:very-secret@host/"], 2, "without a name or password"),
        (["small_1@0123456789ab", "--from", "https://"], 2, "no address"),
        (["small_1@0123456789ab", "--from", "https://host:port/"], 2, "no address"),
        (["small_1@0123456789ab", "--from", "ftp://host/"], 2, "neither a folder nor a file"),
        (["small_1@0123456789ab", "--from", "."], 1, "holds neither"),
        (["small_1@0123", "--from", "."], 2, "at least 12 digits"),
        (["small_1", "--from", "."], 2, "is not NAME@HASH"),
    ],
)
def test_wrong_words_get_one_line(tracker: Tracker, words: list[str], status: int, says: str) -> None:
    done = tracker("model", "get", *words)
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "very-secret" not in done.stderr


# Finding one.


def test_without_a_reference_it_is_the_model_that_ships() -> None:
    shipped = load_model()
    assert find_model() == shipped
    assert find_model(shipped.id) == shipped
    assert find_model(f"{shipped.manifest['name']}@{shipped.sha256}") == shipped
    assert find_model(shipped.id[:-6]) == shipped
    assert find_model(str(shipped.folder)) == shipped


def test_a_release_file_in_the_models_folder_is_unpacked_when_it_is_asked_for(release: Path, kept: Path) -> None:
    kept.mkdir()
    release.rename(kept / release.name)
    assert find_model(release.stem).folder == kept / release.stem
    (kept / release.stem / "model.onnx").write_bytes(b"damaged")
    assert load_model(find_model(release.stem).folder).id == release.stem


def test_a_damaged_model_is_named_and_replaced(tracker: Tracker, release: Path, kept: Path) -> None:
    get(reference_of(release.stem), str(release))
    (kept / release.stem / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"model\.onnx is damaged or foreign"):
        find_model(release.stem)
    (row,) = [row for row in json.loads(tracker("model", "list", "--json").stdout) if row["id"] == release.stem]
    assert row["sound"] is False
    done = tracker("model", "get", release.stem, "--from", release)
    assert done.returncode == 0, done.stderr
    assert find_model(release.stem).id == release.stem
    assert [path.name for path in kept.iterdir()] == [release.stem]


def test_digits_that_fit_two_models_are_not_enough(small: Path, kept: Path) -> None:
    manifest = json.loads((small / "model.json").read_text(encoding="utf-8"))
    first: dict[str, int] = {}
    for number in range(10_000):  # two hashes that begin with the same four digits
        digits = sha256(json.dumps(manifest | {"number": number}).encode()).hexdigest()[:4]
        if digits in first:
            break
        first[digits] = number
    models = [load_model(make_model(kept / f"m{each}", number=each)) for each in (first[digits], number)]
    with pytest.raises(ModelError, match="give more digits"):
        find_model(f"small_1@{digits}")
    assert [find_model(model.id) for model in models] == models


@pytest.mark.parametrize("reference", ["small_1@0123", "small_1@0123456789ab", "small_1@" + "0" * 64])
def test_what_is_not_here_is_said_with_the_places_and_the_command(reference: str, kept: Path) -> None:
    with pytest.raises(ModelError) as caught:
        find_model(reference)
    assert str(kept) in str(caught.value)
    assert f"`tracker model get {reference} --from" in str(caught.value)


def test_a_release_that_is_not_here_is_said_with_where_it_would_come_from(tracker: Tracker, kept: Path) -> None:
    assert not list(kept.glob("*"))
    listed = list_releases(default_model_folder().parent / LIST_FILE)
    release = listed["ecitizen_2@179874c81294"]
    steps = (release.file_sha256, "no public address", "git worktree add old 167a86db25fa", "tracker model pack old/")
    for words in (("model", "get", release.id), ("classify", "a text", "--model", release.id), ("model", "list")):
        done = tracker(*words)
        assert done.returncode == {"get": 2, "a text": 1, "list": 0}[words[1]]
        assert all(step in (done.stdout or done.stderr) for step in steps), words
    done = tracker("model", "get", "other_1@0123456789ab")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--from" in done.stderr and "no list of releases names it" in done.stderr


def test_a_name_or_digits_that_differ_are_another_model(release: Path, kept: Path) -> None:
    get(reference_of(release.stem), str(release))
    name, _, digits = release.stem.partition("@")
    for wrong in (f"other@{digits}", f"{name}@{digits}{'0' * 52}", f"{name}@{digits[1:]}0"):
        with pytest.raises(ModelError, match="not to be had"):
            find_model(wrong)


def test_a_file_is_no_model_folder(release: Path) -> None:
    with pytest.raises(ModelError, match="tracker model get"):
        find_model(str(release))


def test_the_models_folder_is_the_users_where_none_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRACKER_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    assert models_folder().name == "models"
    assert "ecitizen-tracker" in models_folder().parts
    Path("tracker.toml").write_text('models_folder = "~/here"\n', encoding="utf-8")
    assert models_folder() == Path.home() / "here"
