"""A model folder, checked against its manifest, and its forward pass: texts in, probabilities out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.corpus import HEADS
from classifier.thresholds import sigmoid, softmax
from data.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DEFAULT_MODEL_NAME = "ecitizen_4"
FORMAT = 1
GRAPH_FILE, TOKENIZER_FILE, MANIFEST_FILE = "model.onnx", "tokenizer.json", "model.json"
PRECISION = "int8 products (7-bit weights), float32 elsewhere"
MAX_PIECES = 256
BATCH_PIECES = 4_096
LABELS = sum(map(len, HEADS.values()))
PIECE_CHARACTERS = 16  # the longest piece has so many: what lies behind is cut off before it costs time and memory
FOREIGN_SHARE = 0.2  # of pieces that are unknown, from which up a text is not one that the model can read
_PADDING_STEP = 8
_TEMPERATURES = 0.01, 100.0  # beyond which every probability is 0, 1 or the same


def file_sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    return sha256(path.read_bytes()).hexdigest()


def default_model_folder() -> Path:
    """The model that ships with the tracker."""
    return Path(str(files("classifier").joinpath("models", DEFAULT_MODEL_NAME)))


@dataclass(frozen=True, slots=True)
class Reading:
    """The ids of a text's pieces, and whether they are the whole text in pieces that the model knows."""

    ids: list[int]
    is_whole: bool


@dataclass(frozen=True)
class Model:
    """A checked model folder. `id` is NAME@SHA256-12; the hash is that of the manifest, which holds the files' hashes,
    the thresholds, the runtime and the precision."""

    folder: Path
    manifest: dict[str, Any]
    sha256: str
    threads: int | None = None

    @property
    def id(self) -> str:
        """NAME@SHA256-12, as labels carry it."""
        return f"{self.manifest['name']}@{self.sha256[:12]}"

    def runtime_warning(self) -> str | None:
        """What to say where the runtime that is installed is not the one that its labels are promised to come from."""
        installed = f"onnxruntime {version('onnxruntime')}"
        if self.manifest["runtime"] == installed:
            return None
        return (
            f"{self.id} was made for {self.manifest['runtime']}, and {installed} is installed: scores can differ a little; "
            "for the same to the last bit install that version"
        )

    def read_file(self, name: str) -> bytes:
        """The bytes of one of its files. Raises ModelError where they are not those of the manifest."""
        try:
            content = (self.folder / name).read_bytes()
        except (OSError, ValueError):  # a NUL in the name is a ValueError
            raise ModelError(f"{self.folder} lacks {name}; get the model anew") from None
        if sha256(content).hexdigest() != self.manifest["files"][name]:
            raise ModelError(
                f"{self.folder / name} is damaged or foreign: its SHA-256 is not the manifest's; get the model anew"
            )
        return content

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        content = self.read_file(TOKENIZER_FILE)
        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises nothing narrower
            raise ModelError(f"{self.folder / TOKENIZER_FILE} is no tokenizer; get the model anew") from error
        tokenizer.enable_truncation(self.manifest["max_pieces"])
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        path = self.folder / GRAPH_FILE
        # The hash covers the graph alone. Weights that it names in other files are sought below a file, where nothing is;
        # else those of the working directory would do.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path))
        content = self.read_file(GRAPH_FILE)
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors have no common class but this
            raise ModelError(f"{path} is no graph that this ONNX Runtime runs; get the model anew") from error
        outputs = session.get_outputs()
        if {each.name for each in session.get_inputs()} != {"ids", "mask"} or len(outputs) != 1:
            raise ModelError(f"{path} is a graph for another purpose; get the model anew")
        return session

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """What the model reads of each text: its first `max_pieces` pieces."""
        limit = self.manifest["max_pieces"] * PIECE_CHARACTERS
        unknown = self._tokenizer.token_to_id("<unk>")
        readings = []
        for text, encoding in zip(texts, self._tokenizer.encode_batch([text[:limit] for text in texts]), strict=True):
            is_whole = len(text) <= limit and not encoding.overflowing
            pieces = encoding.special_tokens_mask.count(0)
            is_known = encoding.ids.count(unknown) < FOREIGN_SHARE * pieces
            readings.append(Reading(encoding.ids, is_whole and is_known))
        return readings

    def probabilities(
        self, readings: Sequence[Reading], progress: Callable[[int], None] = lambda _done: None
    ) -> dict[str, NDArray[np.float64]]:
        """(texts, labels) for each head, calibrated; a text's row does not depend on the others."""
        return self._calibrated(self.logits(readings, progress))

    def logits(
        self, readings: Sequence[Reading], progress: Callable[[int], None] = lambda _done: None
    ) -> NDArray[np.float32]:
        """(texts, labels), the heads side by side in the order of HEADS, as the graph gives them."""
        # Texts are padded to a multiple of 8 pieces and batched with those of the same padded length alone: what a
        # row holds, padding included, is then decided by its own text.
        by_length: dict[int, list[int]] = {}
        for index, reading in enumerate(readings):
            by_length.setdefault(-(-len(reading.ids) // _PADDING_STEP) * _PADDING_STEP, []).append(index)
        logits = np.empty((len(readings), LABELS), dtype=np.float32)
        done = 0
        for length, members in sorted(by_length.items()):
            size = max(1, BATCH_PIECES // length)
            for start in range(0, len(members), size):
                some = members[start : start + size]
                logits[some] = self._run([readings[index].ids for index in some], length)
                done += len(some)
                progress(done)
        return logits

    def _run(self, rows: Sequence[Sequence[int]], length: int) -> NDArray[np.float32]:
        ids = np.ones((len(rows), length), dtype=np.int64)  # 1 is the padding piece
        mask = np.zeros((len(rows), length), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        session, path = self._session, self.folder / GRAPH_FILE
        try:
            logits = np.asarray(session.run(None, {"ids": ids, "mask": mask})[0], dtype=np.float32)
        except Exception as error:  # the runtime's errors have no common class but this
            raise ModelError(
                f"{path} failed on {length} pieces ({type(error).__name__}); get the model anew"
            ) from error
        if logits.shape != (len(rows), LABELS):
            raise ModelError(f"{path} does not give one number for each of the {LABELS} labels; get the model anew")
        if not np.isfinite(logits).all():
            raise ModelError(f"{path} gives what is no number; get the model anew")
        return logits

    def _calibrated(self, logits: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        result, start = {}, 0
        for head, labels in HEADS.items():
            part = logits[:, start : start + len(labels)] / self.manifest["temperatures"][head]
            result[head] = (
                sigmoid(part) if head == "problems" else softmax(part) if len(part) else part.astype(np.float64)
            )
            start += len(labels)
        return result


def load_model(folder: Path | None = None, *, threads: int | None = None) -> Model:
    """The model of a folder, or the one that ships.

    Raises ModelError where the manifest is not whole, a file is missing or is not the manifest's, or the labels are not the guide's.
    """
    folder = folder or default_model_folder()
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        manifest = json.loads(content)
    except FileNotFoundError:
        raise ModelError(f"{folder} is not a model folder: it has no {MANIFEST_FILE}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder / MANIFEST_FILE} cannot be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"{folder} holds a model of another format; this tracker reads format {FORMAT}")
    if manifest.get("labels") != {head: list(labels) for head, labels in HEADS.items()}:
        raise ModelError(f"{folder} answers with other labels than the annotation guide has; train it anew")
    if not _is_whole(manifest):
        raise ModelError(f"{folder / MANIFEST_FILE} is incomplete or damaged; get the model anew")
    least, most = _TEMPERATURES
    for head in HEADS:
        if not least <= manifest["temperatures"][head] <= most:
            raise ModelError(
                f"{folder / MANIFEST_FILE}: the temperature of {head} is not between {least} and {most:.0f}; get the model anew"
            )
    if not manifest["name"].strip() or not manifest["name"].isprintable():
        raise ModelError(
            f"{folder / MANIFEST_FILE}: the model's name is empty or cannot be printed; get the model anew"
        )
    model = Model(folder, manifest, sha256(content).hexdigest(), threads)
    for name in manifest["files"]:
        model.read_file(name)
    return model


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Whether everything that labelling reads is there and can be used."""
    try:
        temperatures = [manifest["temperatures"][head] for head in HEADS]
        shares = [*(manifest["thresholds"][problem] for problem in HEADS["problems"]), manifest["unsure_below"]]
        return (
            all(isinstance(temperature, int | float) for temperature in temperatures)
            and all(0 <= share <= 1 for share in shares)
            and isinstance(manifest["max_pieces"], int)
            and 8 <= manifest["max_pieces"] <= 512
            and isinstance(manifest["name"], str)
            and isinstance(manifest["runtime"], str)
            # Without their hashes any graph would do.
            and {GRAPH_FILE, TOKENIZER_FILE} <= manifest["files"].keys()
        )
    except (KeyError, TypeError, AttributeError):
        return False
