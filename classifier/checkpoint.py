"""A model folder as a checkpoint of the transformers library: the same weights, de-quantised. Needs the `train` extra.

A linear head on the mean of the pieces is the mean of the head on each piece, so the whole model is a
`BertForTokenClassification` whose logits are averaged over a text's pieces.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from classifier.backbone import Backbone
from classifier.corpus import HEADS
from classifier.model import GRAPH_FILE, TOKENIZER_FILE
from classifier.network import PAD_ID
from data.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from classifier.model import Model

_SPECIAL_PIECES = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
_EMBEDDINGS = "bert.embeddings."


def write_checkpoint(model: Model, folder: Path) -> None:
    """Write `config.json`, `model.safetensors` and the tokenizer, for `AutoModelForTokenClassification` and `AutoTokenizer`.

    The logits' labels are `HEAD:LABEL`, the heads one after the other; temperatures and thresholds stay in `model.json`.
    Raises InputError where the folder exists.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already; name a new folder")
    state, layers, attention_heads = _state(model.folder / GRAPH_FILE)
    names = [f"{head}:{label}" for head, labels in HEADS.items() for label in labels]
    pieces, hidden = state[_EMBEDDINGS + "word_embeddings.weight"].shape
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=attention_heads,
        intermediate_size=len(state["bert.encoder.layer.0.intermediate.dense.weight"]),
        max_position_embeddings=len(state[_EMBEDDINGS + "position_embeddings.weight"]),
        pad_token_id=PAD_ID,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    network = BertForTokenClassification(config)
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()}, strict=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(model.folder / TOKENIZER_FILE),
        model_max_length=model.manifest["max_pieces"],
        **_SPECIAL_PIECES,
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def read_network(model: Model) -> tuple[Backbone, NDArray[np.float32], NDArray[np.float32]]:
    """A model's encoder, to go on training from, and the weights (labels, hidden) and biases (labels) of its heads on pooled vectors."""
    state, layers, attention_heads = _state(model.folder / GRAPH_FILE)
    heads, offsets = state.pop("classifier.weight"), state.pop("classifier.bias")
    encoder = {name.removeprefix("bert."): value for name, value in state.items()}
    positions, hidden = encoder["embeddings.position_embeddings.weight"].shape
    backbone = Backbone(
        encoder,
        json.loads((model.folder / TOKENIZER_FILE).read_text(encoding="utf-8")),
        layers=layers,
        hidden=hidden,
        heads=attention_heads,
        intermediate=len(encoder["encoder.layer.0.intermediate.dense.weight"]),
        positions=positions,
        sha256=model.sha256,
    )
    return backbone, heads, offsets


def _state(graph: Path) -> tuple[dict[str, np.ndarray], int, int]:
    """The weights under transformers' names, the number of layers and that of attention heads."""
    values = {each.name: numpy_helper.to_array(each) for each in onnx.load(str(graph)).graph.initializer}
    words = values["words"].astype(np.float32) * values["words_scale"]
    hidden = words.shape[1]
    state = {
        _EMBEDDINGS + "word_embeddings.weight": words,
        _EMBEDDINGS + "position_embeddings.weight": values["places"],
        # The graph holds the one type's vector within the positions.
        _EMBEDDINGS + "token_type_embeddings.weight": np.zeros((2, hidden), dtype=np.float32),
        "classifier.weight": values["heads"][0],
        "classifier.bias": values["heads_bias"],
    }
    layers = sum(name.endswith(".qkv.weight") for name in values)
    attention_heads = int(next(name for name in values if name.startswith("split_")).removeprefix("split_"))
    for name, value in values.items():
        if not name.startswith("encoder."):
            continue
        ours, _, part = name.rpartition(".")
        theirs = "bert." + ours.removeprefix("encoder.")
        if part == "scale":
            weight = (values[f"{ours}.weight"].astype(np.float32) * value).T
            weight *= values.get(f"{ours}.smoothing", np.float32(1))  # graphs of before have none
            offset = values[f"{ours}.bias"]
            if not ours.endswith(".qkv"):
                state |= {f"{theirs}.weight": weight, f"{theirs}.bias": offset}
                continue
            own = theirs.removesuffix("qkv") + "attention.self."
            root = np.float32(np.sqrt(hidden // attention_heads))  # the graph's queries are divided by it
            for index, projection in enumerate(("query", "key", "value")):
                rows = slice(index * hidden, (index + 1) * hidden)
                factor = root if projection == "query" else np.float32(1)
                state |= {
                    f"{own}{projection}.weight": weight[rows] * factor,
                    f"{own}{projection}.bias": offset[rows] * factor,
                }
        elif part in {"weight", "bias"} and f"{ours}.scale" not in values:
            state[f"{theirs}.{part}"] = value
    return state, layers, attention_heads
