"""Releases: a model in one file, `NAME@HASH12.tar`, and models found again by name and hash.

A release file is a plain tar, not compressed, so that its bytes are decided by the model alone and by no version of a compressor:
whoever has the folder makes the same file. It is read back against what `pack` would have written, byte for byte, so that
links, paths, owners, sparse members and whatever else a tar can hold have no way in.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import typer

from classifier.model import GRAPH_FILE, MANIFEST_FILE, TOKENIZER_FILE, Model, file_sha256, load_model
from data.errors import InputError, ModelError
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING = ".tar"
CARD_FILE, RECIPE_FILE = "README.md", "training.json"
LIST_FILE = "releases.jsonl"
HASH_DIGITS = 12
MAX_RELEASE_BYTES = 200 * 2**20
MAX_MEMBERS = 16
MAX_REDIRECTS = 5
TIMEOUT_SECONDS = (10, 60)  # to connect, and between two pieces of the answer
_BLOCK = 512
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_REFERENCE = re.compile(rf"({NAME})@([0-9a-f]{{4,64}})")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Reference:
    """NAME@HASH: a model's name, and 4 to 64 digits with which its hash begins."""

    name: str
    digits: str

    def __str__(self) -> str:
        return f"{self.name}@{self.digits}"

    def fits(self, name: str, digits: str) -> bool:
        """Whether a model of this name, whose hash begins with these digits, can be the one that is meant."""
        return self.name == name and (digits.startswith(self.digits) or self.digits.startswith(digits))


@dataclass(frozen=True)
class Release:
    """One line of a list of releases. `sha256` is the model's (of its manifest), `file_sha256` that of the release file."""

    id: str
    sha256: str
    file_sha256: str
    date: str
    note: str = ""


@dataclass(frozen=True)
class Place:
    """A model found on this machine: its folder, or a release file that is not unpacked yet; not checked."""

    id: str
    path: Path
    state: str  # shipped, kept or release file


def parse_reference(text: str) -> Reference | None:
    """The reference, or None for what is none, such as a folder."""
    match = _REFERENCE.fullmatch(text)
    return Reference(*match.groups()) if match else None


def models_folder() -> Path:
    """Where models other than the shipped ones are kept: the setting, or the user's data folder."""
    setting = load_settings().models_folder
    if setting is not None:
        return setting.expanduser()
    if sys.platform in {"win32", "darwin"}:  # one folder holds settings and data there
        return Path(typer.get_app_dir("ecitizen-tracker")) / "models"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "ecitizen-tracker" / "models"


def _shipped_folder() -> Path:
    return Path(str(files("classifier").joinpath("models")))


def list_releases(path: Path) -> dict[str, Release]:
    """The releases that a list names, by their id; none where there is no list. Raises ModelError with the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    releases = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            release = Release(**json.loads(line))
            known = parse_reference(release.id)
            if known is None or not release.sha256.startswith(known.digits):
                raise ValueError
        except (ValueError, TypeError, AttributeError):
            raise ModelError(f"{path}, line {number}: not a release; restore the list") from None
        releases[release.id] = release
    return releases


def known_releases() -> dict[str, Release]:
    """The releases that the tracker's own list names, and those of a list in the models folder."""
    return list_releases(models_folder() / LIST_FILE) | list_releases(_shipped_folder() / LIST_FILE)


def places() -> list[Place]:
    """Every model on this machine: those that ship, then the folders and the release files in the models folder."""
    found = [Place(id_, folder, "shipped") for folder in _folders(_shipped_folder()) if (id_ := _id_of(folder))]
    return found + _kept(models_folder())


def _kept(folder: Path) -> list[Place]:
    found = [Place(id_, child, "kept") for child in _folders(folder) if (id_ := _id_of(child))]
    releases = [child for child in _children(folder) if child.name.endswith(ENDING) and child.is_file()]
    found += [Place(child.stem, child, "release file") for child in releases if parse_reference(child.stem)]
    return found


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if not child.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [child for child in _children(folder) if child.is_dir()]


def _id_of(folder: Path) -> str | None:
    """The id that a model folder claims; None where it holds no manifest of a model."""
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        id_ = f"{json.loads(content)['name']}@{sha256(content).hexdigest()[:HASH_DIGITS]}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return id_ if parse_reference(id_) else None


def find_model(reference: str | None = None) -> Model:
    """The model that ships, that of a folder, or the one named NAME@HASH, unpacked from its release file where need be.

    Raises ModelError where it is not to be had, with where it was sought and the command that gets it, and where it is damaged.
    """
    if reference is None:
        return load_model()
    wanted = parse_reference(reference)
    if wanted is None:
        if Path(reference).is_file():
            raise ModelError(
                f"{reference} is not a model folder: get it with `tracker model get NAME@HASH --from FILE`"
            )
        return load_model(Path(reference))
    fitting = [place for place in places() if _fits(place.id, wanted)]
    ids = sorted({place.id for place in fitting})
    if len(ids) > 1:
        raise ModelError(f"{wanted} could be {' or '.join(ids)}: give more digits of the hash")
    damage = []
    for place in fitting:
        try:
            if place.state == "release file":
                model = unpack(place.path, models_folder(), _reference_of(place.id))
            else:
                model = load_model(place.path)
        except ModelError as error:
            damage.append(f"; {error}")
            continue
        if model.sha256.startswith(wanted.digits):
            return model
    raise ModelError(
        f"{wanted} is not to be had here: it is neither among the models that ship nor in {models_folder()}"
        f"{''.join(damage)}; get it with `tracker model get {wanted} --from FOLDER|FILE|https://...`; {origin(wanted)}"
    )


def origin(wanted: Reference) -> str:
    """Where a model that is not here would come from, for people: what its line in a list of releases says, if it has one."""
    release = next((each for each in known_releases().values() if _fits(each.id, wanted)), None)
    if release is None:
        return "no list of releases names it: ask those who labelled with it for its release file or its folder"
    file = f"{release.id}{ENDING}, SHA-256 {release.file_sha256}"
    return f"its release file is {file}" + (f" ({release.note})" if release.note else "")


def _reference_of(id_: str) -> Reference:
    name, _, digits = id_.rpartition("@")
    return Reference(name, digits)


def _fits(id_: str, wanted: Reference) -> bool:
    name, _, digits = id_.rpartition("@")
    return wanted.fits(name, digits)


def pack(folder: Path, output: Path) -> tuple[Path, Release]:
    """Write the release file of a model folder into the folder `output`; the same folder gives the same bytes anywhere.

    Returns the file and its line for a list of releases, without date. Raises ModelError where the folder is not a whole model.
    """
    model = load_model(folder)
    if parse_reference(model.id) is None:
        raise ModelError(f"{folder}: the model's name must be letters, digits and _ . - alone to be released")
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{model.id}{ENDING}"
    draft = output / f".{path.name}.{os.getpid()}.part"
    try:
        with draft.open("wb") as file:
            for name in _member_names(folder, model.manifest):
                try:
                    content = (folder / name).read_bytes()
                except FileNotFoundError:
                    raise ModelError(f"{folder} lacks {name}, without which a model is not released") from None
                file.writelines((_header(model.id, name, len(content)), content, _padding(len(content))))
            file.write(bytes(2 * _BLOCK))
        if draft.stat().st_size > MAX_RELEASE_BYTES:
            raise ModelError(
                f"{folder} has more than {MAX_RELEASE_BYTES // 2**20} MiB, the most that a release may have"
            )
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path, Release(model.id, model.sha256, file_sha256(path), "")


def record_release(release: Release, path: Path) -> None:
    """Add the release to a list, once. Raises ModelError where the list has the model with another file: what is out stays."""
    known = list_releases(path).get(release.id)
    if known is not None:
        if known.file_sha256 != release.file_sha256:
            raise ModelError(
                f"{release.id} stands in {path} with another file: {CARD_FILE} or {RECIPE_FILE} were changed since; restore "
                "them, or take the line out if that file was never handed out"
            )
        return
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text + json.dumps(asdict(release), ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def _member_names(folder: Path, manifest: dict[str, Any]) -> list[str]:
    listed = manifest["files"]
    own = {MANIFEST_FILE, CARD_FILE, RECIPE_FILE}
    if not {GRAPH_FILE, TOKENIZER_FILE} <= set(listed) or any(
        name in own or not _FILE_NAME.fullmatch(name) for name in listed
    ):
        raise ModelError(f"{folder / MANIFEST_FILE} lists files that no model has; get the model anew")
    return [MANIFEST_FILE, *sorted(listed), CARD_FILE, RECIPE_FILE]


def _header(id_: str, name: str, size: int) -> bytes:
    member = tarfile.TarInfo(f"{id_}/{name}")  # mode 644, nobody's, of 1970
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def unpack(file: Path, into: Path, reference: Reference) -> Model:
    """Unpack a release file and put it, checked, in the place of its id in the folder `into`.

    Raises ModelError where the file is not the model that is meant, is not what `pack` writes or is not the file that was
    released; nothing is left behind then. A damaged model in its place is replaced.
    """
    if file.stat().st_size > MAX_RELEASE_BYTES:
        raise ModelError(f"{file} has more than {MAX_RELEASE_BYTES // 2**20} MiB, the most that a release may have")
    known = next((release for release in known_releases().values() if _fits(release.id, reference)), None)
    if known is not None and file_sha256(file) != known.file_sha256:
        raise ModelError(f"{file} is damaged or foreign: its SHA-256 is not that of the file released as {known.id}")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=into) as draft:
        with file.open("rb") as archive:
            folder = _extract(archive, file, Path(draft))
        model = load_model(folder)
        _check_is(model, reference, file)
        if folder.name != model.id or [path.name for path in sorted(folder.iterdir())] != sorted(
            _member_names(folder, model.manifest)
        ):
            raise ModelError(f"{file} does not hold exactly the files of a release; get it anew")
        return _put_in_place(model, into / model.id)


def _check_is(model: Model, reference: Reference, origin: Path) -> None:
    known = known_releases().get(model.id)
    if not reference.fits(model.manifest["name"], model.sha256) or (known and known.sha256 != model.sha256):
        raise ModelError(f"{origin} holds {model.manifest['name']}@{model.sha256}, which is not {reference}")


def _extract(archive: IO[bytes], file: Path, draft: Path) -> Path:
    """Write the members into a new folder of `draft`, named as the archive says."""
    folder = None
    for id_, name, content in _members(archive, file):
        folder = draft / id_
        folder.mkdir(exist_ok=True)
        with (folder / name).open("xb") as out:
            out.write(content)
    if folder is None or len(list(draft.iterdir())) != 1:
        raise ModelError(f"{file} is no release of one model")
    return folder


def _members(archive: IO[bytes], file: Path) -> Iterator[tuple[str, str, bytes]]:
    """Id, file name and content of each member. Raises ModelError at the first byte that `pack` would not have written."""
    damaged = ModelError(f"{file} is damaged, or is not a release file as `tracker model pack` writes it; get it anew")
    seen = set()
    while (block := archive.read(_BLOCK)) != bytes(_BLOCK):
        try:
            member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            id_, _, name = member.name.partition("/")
            honest = _header(id_, name, member.size) == block  # a negative size raises ValueError
        except (tarfile.HeaderError, ValueError):
            raise damaged from None
        if not honest or parse_reference(id_) is None or not _FILE_NAME.fullmatch(name) or member.name in seen:
            raise damaged
        seen.add(member.name)
        if member.size > MAX_RELEASE_BYTES or len(seen) > MAX_MEMBERS:
            raise damaged
        content = archive.read(member.size)
        if len(content) != member.size or archive.read(-member.size % _BLOCK) != _padding(member.size):
            raise damaged
        yield id_, name, content
    if archive.read(_BLOCK + 1) != bytes(_BLOCK):
        raise damaged


def _put_in_place(model: Model, place: Path) -> Model:
    if place.exists() and not _is_sound(place, model):
        place.rename(model.folder.parent / "damaged")  # which goes with the temporary folder
    try:
        model.folder.rename(place)
    except OSError:
        if not _is_sound(place, model):  # else another process was first
            raise
    return load_model(place)


def _is_sound(place: Path, model: Model) -> bool:
    try:
        return load_model(place).sha256 == model.sha256
    except ModelError:
        return False


def get(
    reference: Reference, source: str, progress: Callable[[int, int | None], None] = lambda _done, _total: None
) -> Model:
    """Bring a model into the models folder from a folder, a release file or an http(s) address, checked before it is in its place.

    A folder may be the model's own or one of releases; an address that ends in / is such a folder's. `progress` takes the bytes read
    and how many there are, if that is known.
    Raises InputError where `source` is none of these, ModelError where it does not give the model that is meant.
    """
    if len(reference.digits) < HASH_DIGITS:
        raise InputError(
            f"{reference} is too short to check what comes: give at least {HASH_DIGITS} digits of the hash"
        )
    into = models_folder()
    if re.match(r"https?://", source, re.IGNORECASE):
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".getting-", dir=into) as draft:
            path = Path(draft) / "release"
            _download(source + _file_name(reference) if source.endswith("/") else source, path, progress)
            return unpack(path, into, reference)
    path = Path(source)
    if path.is_file():
        return unpack(path, into, reference)
    if not path.is_dir():
        raise InputError(f"--from {source} is neither a folder nor a file that is here, nor an https:// address")
    folders = [folder for folder in (path, *_folders(path)) if _fits(_id_of(folder) or "", reference)]
    if folders:
        return _copy(folders[0], into, reference)
    release = path / _file_name(reference)
    if not release.is_file():
        raise ModelError(f"{path} holds neither the model {reference} nor its release file {release.name}")
    return unpack(release, into, reference)


def _file_name(reference: Reference) -> str:
    return f"{reference.name}@{reference.digits[:HASH_DIGITS]}{ENDING}"


def _copy(folder: Path, into: Path, reference: Reference) -> Model:
    model = load_model(folder)
    _check_is(model, reference, folder)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".getting-", dir=into) as draft:
        copied = Path(draft) / "model"
        copied.mkdir()
        for name in _member_names(folder, model.manifest):
            if (folder / name).is_file():  # a model of one's own may have no card yet
                (copied / name).write_bytes((folder / name).read_bytes())
        return _put_in_place(load_model(copied), into / model.id)


def _download(url: str, path: Path, progress: Callable[[int, int | None], None]) -> None:
    """The file at an address. Raises ModelError where it cannot be had whole, InputError where the address is not to be asked."""
    import requests

    with requests.Session() as session:
        for _ in range(MAX_REDIRECTS + 1):
            host = _checked_host(url)
            session.trust_env = not _is_loopback(host)  # no proxy stands between a machine and itself
            shown = urlsplit(url)._replace(query="", fragment="").geturl()
            try:
                # Redirects by hand, so that none leads to plain http.
                with session.get(
                    url,
                    stream=True,
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                    headers={"Accept-Encoding": "identity"},
                ) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers["location"])
                        continue
                    if answer.status_code != 200:
                        raise ModelError(f"{shown} answered with status {answer.status_code}; correct the address")
                    _save(answer, path, shown, progress)
                    return
            except requests.RequestException as error:
                raise ModelError(
                    f"{shown} could not be read ({type(error).__name__}): check the address and the network"
                ) from None
    raise ModelError(f"{shown} leads from one address to the next; give the last one")


def _save(answer: Any, path: Path, shown: str, progress: Callable[[int, int | None], None]) -> None:
    said = answer.headers.get("Content-Length", "")
    total = int(said) if said.isdecimal() else None
    too_large = ModelError(f"{shown} has more than {MAX_RELEASE_BYTES // 2**20} MiB, the most that a release may have")
    if (total or 0) > MAX_RELEASE_BYTES:
        raise too_large
    done = 0
    with path.open("wb") as out:
        for chunk in answer.iter_content(2**20):
            done += len(chunk)
            if done > MAX_RELEASE_BYTES:
                raise too_large
            out.write(chunk)
            progress(done, total)


def _checked_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host or (parts.port or 1) < 1 or parts.username is not None:
            raise ValueError
    except ValueError:
        raise InputError(
            "--from is no address that can be asked: give https://HOST/PATH, without a name or password"
        ) from None
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise InputError(f"{host} is asked over https alone; http is for this machine itself")
    return host


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
