"""A trained network into a model folder: an ONNX graph whose matrix products are in 8 bits, row by row.

Each row of activations is quantised by its own largest value, never by its neighbours', so that a post's label does
not depend on its batch. Products of 8-bit integers are exact, in any order and on any processor; weights use 7 bits,
because processors without VNNI saturate above that. A few channels are far larger than the rest, which would be rounded
to little: so each is divided by a factor of its own first, by which its weights are multiplied (Xiao et al. 2023,
"SmoothQuant"). Needs the `train` extra.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from classifier.corpus import HEADS
from classifier.model import (
    FORMAT,
    GRAPH_FILE,
    MANIFEST_FILE,
    MAX_PIECES,
    PRECISION,
    TOKENIZER_FILE,
    file_sha256,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from classifier.network import Network

OPSET = 21
WEIGHT_LEVELS = 63  # 7 bits
ACTIVATION_LEVELS = 127
SMOOTHING = 0.8  # the exponent of SmoothQuant: 0 leaves all the rounding to the activations, 1 to the weights
NEUTRAL = {
    "temperatures": dict.fromkeys(HEADS, 1.0),
    "thresholds": dict.fromkeys(HEADS["problems"], 0.5),
    "unsure_below": 0.0,
}


def export_model(
    network: Network, tokenizer: str, largest: Mapping[str, NDArray[np.float32]], folder: Path, name: str
) -> None:
    """Write the graph, the tokenizer and a manifest with thresholds not yet fitted into `folder`, made or overwritten.

    `largest`: of each linear layer, by name, the largest values of its inputs, as `largest_inputs` finds them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = network.encoder.config
    weights = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    weights["heads.weight"], weights["heads.bias"] = (value.numpy() for value in network.folded_heads())
    graph = _Graph(weights, largest, config.num_hidden_layers, config.num_attention_heads, config.layer_norm_eps)
    onnx.save(graph.build(), str(folder / GRAPH_FILE))
    (folder / TOKENIZER_FILE).write_text(tokenizer, encoding="utf-8")
    write_manifest(folder, name, min(MAX_PIECES, config.max_position_embeddings), NEUTRAL)


def write_manifest(folder: Path, name: str, max_pieces: int, fitted: Mapping[str, Any]) -> None:
    """Write the manifest over the files that are there, with what `fit_thresholds` gave."""
    manifest = {
        "format": FORMAT,
        "name": name,
        "runtime": f"onnxruntime {onnxruntime.__version__}",
        "precision": PRECISION,
        "max_pieces": max_pieces,
        "labels": {head: list(labels) for head, labels in HEADS.items()},
        **fitted,
        "files": {file: file_sha256(folder / file) for file in (GRAPH_FILE, TOKENIZER_FILE)},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def smoothing(largest: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The factor of each input channel, by which its activations are divided and its weights multiplied."""
    weights = np.abs(weight).max(axis=0)
    factor = np.maximum(largest, 1e-5) ** SMOOTHING / np.maximum(weights, 1e-5) ** (1 - SMOOTHING)
    return np.asarray(factor / factor.mean(), dtype=np.float32)


class _Graph:
    """Ids and mask of (posts, pieces) in, logits of (posts, labels) out."""

    def __init__(
        self,
        weights: dict[str, NDArray[np.float32]],
        largest: Mapping[str, NDArray[np.float32]],
        layers: int,
        heads: int,
        epsilon: float,
    ) -> None:
        self._weights = weights
        self._largest = largest
        self._layers = layers
        self._heads = heads
        self._epsilon = epsilon
        self._hidden = weights["encoder.embeddings.LayerNorm.weight"].shape[0]
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._count = 0

    def build(self) -> onnx.ModelProto:
        """The whole network."""
        hidden = self._embed()
        mask = self._add("Cast", "mask", to=TensorProto.FLOAT)
        inverse = self._add("Sub", self._scalar("one", 1.0), mask)
        bias = self._add("Mul", inverse, self._scalar("minus", -10_000.0))
        bias = self._add("Unsqueeze", bias, self._ints("axes_1_2", [1, 2]))
        for layer in range(self._layers):
            hidden = self._layer(hidden, bias, f"encoder.encoder.layer.{layer}")
        # Sums over the last axis alone: over another axis, and in a float matrix product, their order depends on the batch.
        last = self._ints("last_axis", [-1])
        weight = self._add("Unsqueeze", mask, self._ints("axis_1", [1]))
        weighted = self._add("Mul", self._add("Transpose", hidden, perm=[0, 2, 1]), weight)
        pooled = self._add(
            "Div", self._add("ReduceSum", weighted, last, keepdims=0), self._add("ReduceSum", mask, last)
        )
        heads = self._constant("heads", self._weights["heads.weight"][None])
        wide = self._add("Mul", self._add("Unsqueeze", pooled, self._ints("axis_1", [1])), heads)
        logits = self._add("ReduceSum", wide, last, keepdims=0)
        self._nodes.append(
            helper.make_node("Add", [logits, self._constant("heads_bias", self._weights["heads.bias"])], ["logits"])
        )
        shape = ["posts", "pieces"]
        graph = helper.make_graph(
            self._nodes,
            "tracker",
            [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("ids", "mask")],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["posts", sum(map(len, HEADS.values()))])],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="ecitizen-tracker")
        onnx.checker.check_model(model)
        return model

    def _embed(self) -> str:
        """Words (8 bits, a scale for each), positions and the one type; normalised."""
        prefix = "encoder.embeddings."
        words = self._weights[prefix + "word_embeddings.weight"]
        scale = np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-8) / 127
        table = self._constant("words", np.round(words / scale).astype(np.int8))
        scales = self._constant("words_scale", scale.astype(np.float32))
        picked = self._add("Cast", self._add("Gather", table, "ids"), to=TensorProto.FLOAT)
        embedded = self._add("Mul", picked, self._add("Gather", scales, "ids"))
        places = (
            self._weights[prefix + "position_embeddings.weight"]
            + self._weights[prefix + "token_type_embeddings.weight"][0]
        )
        length = self._add("Shape", "ids", start=1, end=2)
        starts = self._ints("axis_0", [0])
        position = self._add("Slice", self._constant("places", places), starts, length, starts)
        return self._normalise(self._add("Add", embedded, position), prefix + "LayerNorm")

    def _layer(self, hidden: str, bias: str, at: str) -> str:
        """Attention and the two-layer perceptron, each added to what came in and normalised."""
        own = f"{at}.attention.self."
        weight = np.concatenate([self._weights[f"{own}{part}.weight"] for part in ("query", "key", "value")])
        offset = np.concatenate([self._weights[f"{own}{part}.bias"] for part in ("query", "key", "value")])
        size = self._hidden // self._heads
        weight[: self._hidden] /= np.sqrt(size)
        offset[: self._hidden] /= np.sqrt(size)
        mixed = self._product(hidden, weight, offset, self._largest[own + "query"], f"{at}.qkv")
        split = self._add("Reshape", mixed, self._ints(f"split_{self._heads}", [0, 0, 3 * self._heads, size]))
        parts = self._add("Transpose", split, perm=[0, 2, 1, 3])
        query, key, value = self._add_many("Split", [parts, self._ints("thirds", [self._heads] * 3)], 3, axis=1)
        score = self._add("MatMul", query, self._add("Transpose", key, perm=[0, 1, 3, 2]))
        attention = self._add("Softmax", self._add("Add", score, bias), axis=-1)
        context = self._add("Transpose", self._add("MatMul", attention, value), perm=[0, 2, 1, 3])
        context = self._add("Reshape", context, self._ints("joined", [0, 0, self._hidden]))
        out = f"{at}.attention.output."
        attended = self._dense(context, out + "dense")
        hidden = self._normalise(self._add("Add", attended, hidden), out + "LayerNorm")
        inner = self._add("Gelu", self._dense(hidden, f"{at}.intermediate.dense"))
        outer = self._dense(inner, f"{at}.output.dense")
        return self._normalise(self._add("Add", outer, hidden), f"{at}.output.LayerNorm")

    def _dense(self, value: str, name: str) -> str:
        weight, offset = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return self._product(value, weight, offset, self._largest[name], name)

    def _product(
        self,
        value: str,
        weight: NDArray[np.float32],
        offset: NDArray[np.float32],
        largest: NDArray[np.float32],
        name: str,
    ) -> str:
        """value · weightᵀ + offset, both factors rounded to integers with a scale for each row and each column."""
        factor = smoothing(largest, weight)
        weight = weight * factor
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-8) / WEIGHT_LEVELS
        columns = self._constant(f"{name}.weight", np.round(weight / scale[:, None]).astype(np.int8).T.copy())
        column_scale = self._constant(f"{name}.scale", scale.astype(np.float32))
        flat = self._add("Reshape", value, self._ints(f"flat_{weight.shape[1]}", [-1, weight.shape[1]]))
        flat = self._add("Mul", flat, self._constant(f"{name}.smoothing", 1 / factor))
        row_largest = self._add("ReduceMax", self._add("Abs", flat), self._ints("axis_1", [1]), keepdims=0)
        row_scale = self._add(
            "Mul",
            self._add("Max", row_largest, self._scalar("tiny", 1e-8)),
            self._scalar("level", 1 / ACTIVATION_LEVELS),
        )
        # Signed activations would do without the zero point of 128, but ONNX Runtime has no fast product for them.
        zero = self._constant("zero", np.array(128, dtype=np.uint8))
        zeros = self._add("Expand", zero, self._add("Shape", row_scale))
        rounded = self._add("QuantizeLinear", flat, row_scale, zeros, axis=0)
        product = self._add(
            "MatMulIntegerToFloat",
            rounded,
            columns,
            self._scalar("one", 1.0),
            column_scale,
            zero,
            domain="com.microsoft",
        )
        scaled = self._add("Mul", product, self._add("Unsqueeze", row_scale, self._ints("axis_1", [1])))
        shifted = self._add("Add", scaled, self._constant(f"{name}.bias", offset))
        shape = self._add(
            "Concat", self._add("Shape", "ids"), self._ints(f"width_{len(weight)}", [len(weight)]), axis=0
        )
        return self._add("Reshape", shifted, shape)

    def _normalise(self, value: str, name: str) -> str:
        gain = self._constant(f"{name}.weight", self._weights[f"{name}.weight"])
        offset = self._constant(f"{name}.bias", self._weights[f"{name}.bias"])
        return self._add("LayerNormalization", value, gain, offset, axis=-1, epsilon=self._epsilon)

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self._add_many(operator, inputs, 1, **attributes)[0]

    def _add_many(self, operator: str, inputs: Any, outputs: int, **attributes: Any) -> list[str]:
        self._count += 1
        names = [f"{operator}_{self._count}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants[name] = np.ascontiguousarray(value)
        return name

    def _scalar(self, name: str, value: float) -> str:
        return self._constant(name, np.array(value, dtype=np.float32))

    def _ints(self, name: str, values: list[int]) -> str:
        return self._constant(name, np.array(values, dtype=np.int64))
