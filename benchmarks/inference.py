"""How fast the model labels, beside transformers.pipeline with the same weights, and how much memory a file takes.

    python benchmarks/inference.py [--posts 1000]        (needs the `train` extra)

One run, one machine: (a) transformers.pipeline one post at a time, (b) the same in batches of 32, (c) this project end to
end on distinct texts, tokenising included, (d) the bound of the bare matrix products in the model's own precision. Then
the agreement of the labels with the fp32 checkpoint, on posts of the test part, which training has not fitted the weights to, the cold start of `tracker classify TEXT`, and the peak memory of `tracker classify --input` at three lengths.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from classifier.checkpoint import write_checkpoint
from classifier.commands import default_corpus
from classifier.corpus import HEADS, load_corpus
from classifier.labelling import label_texts
from classifier.model import BATCH_PIECES, Model, load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SEED = 20_260_305
COLD_STARTS = 5
SLOW_POSTS = 150  # the pipeline one by one is slow, and its rate does not change


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--posts", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--agreement-only", action="store_true", help="for a machine that does other work, too")
    options = parser.parse_args()
    model = load_model()
    texts = sorted({example.text for example in load_corpus(default_corpus()) if example.split == "test"})
    random.Random(SEED).shuffle(texts)
    texts = texts[: options.posts]
    pieces = [len(reading.ids) for reading in model.read(texts)]
    print(f"{_processor()}; {os.cpu_count()} cores; onnxruntime {onnxruntime.__version__}, torch {torch.__version__}")
    print(f"{model.id}; {len(texts):,} distinct posts of {np.mean(pieces):.1f} pieces; seed {SEED}\n")

    if options.memory_only:
        _memory(texts)
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint"
        write_checkpoint(model, checkpoint)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        network = AutoModelForTokenClassification.from_pretrained(checkpoint).eval()
        if options.agreement_only:
            _agreement(model, network, texts)
            return
        rival = pipeline("feature-extraction", model=network.bert, tokenizer=tokenizer, device="cpu")
        settings: dict[str, Any] = {"truncation": True, "max_length": model.manifest["max_pieces"]}

        def one_by_one(some: list[str]) -> None:
            for text in some:
                rival(text, tokenize_kwargs=settings)

        def in_batches(some: list[str]) -> None:
            for _ in rival(some, batch_size=32, tokenize_kwargs=settings):
                pass

        label_texts(model, texts[:64])  # the session is made once
        rates = {
            "a": _rate(one_by_one, texts[:SLOW_POSTS], options.repeats),
            "b": _rate(in_batches, texts, options.repeats),
            "c": _rate(lambda some: label_texts(model, some), texts, options.repeats),
            "d": _bound(network.config, float(np.mean(pieces))),
        }
        print("| | posts/s | (c) is so many times that |\n|---|---|---|")
        names = {
            "a": "transformers.pipeline, one by one",
            "b": "transformers.pipeline, batches of 32",
            "c": "this project, end to end",
            "d": "bound: the bare int8 products",
        }
        for key, name in names.items():
            print(f"| ({key}) {name} | {rates[key]:.0f} | {rates['c'] / rates[key]:.2f} |")
        _agreement(model, network, texts)
    _cold_start(texts[0])
    _memory(texts)


def _rate(work: Callable[[list[str]], Any], texts: list[str], repeats: int) -> float:
    """The best of some repeats: other work on the machine only ever slows one down."""
    best = 0.0
    for _ in range(repeats):
        started = time.perf_counter()
        work(texts)
        best = max(best, len(texts) / (time.perf_counter() - started))
    return best


def _bound(config: Any, mean_pieces: float) -> float:
    """Posts a second if nothing but the products of the weights were computed, as large as the model's batches are."""
    seconds = 0.0
    shapes = {
        (config.hidden_size, 3 * config.hidden_size): 1,
        (config.hidden_size, config.hidden_size): 1,
        (config.hidden_size, config.intermediate_size): 1,
        (config.intermediate_size, config.hidden_size): 1,
    }
    for (inner, outer), count in shapes.items():
        generator = np.random.default_rng(SEED)
        weight = generator.integers(-63, 64, (inner, outer)).astype(np.int8)
        rows = generator.integers(0, 256, (BATCH_PIECES, inner)).astype(np.uint8)
        node = helper.make_node(
            "MatMulIntegerToFloat", ["x", "w", "one", "scale", "zero"], ["y"], domain="com.microsoft"
        )
        constants = {
            "w": weight,
            "one": np.float32(1),
            "scale": np.ones(outer, np.float32),
            "zero": np.array(128, np.uint8),
        }
        graph = helper.make_graph(
            [node],
            "product",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, [BATCH_PIECES, inner])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH_PIECES, outer])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        content = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        runs = []
        for _ in range(8):
            started = time.perf_counter()
            session.run(None, {"x": rows})
            runs.append(time.perf_counter() - started)
        seconds += count * min(runs)
    return BATCH_PIECES / (seconds * config.num_hidden_layers) / mean_pieces


@dataclass(frozen=True)
class _InFp32(Model):
    """A model whose logits come from its checkpoint, and everything else from the same code."""

    network: Any = None

    def _run(self, rows: Sequence[Sequence[int]], length: int) -> NDArray[np.float32]:
        ids = torch.ones((len(rows), length), dtype=torch.int64)
        mask = torch.zeros((len(rows), length), dtype=torch.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        with torch.no_grad():
            logits = self.network(input_ids=ids, attention_mask=mask).logits * mask.unsqueeze(-1)
        return np.asarray(logits.sum(1) / mask.sum(1, keepdim=True), dtype=np.float32)


def _agreement(model: Model, network: Any, texts: list[str]) -> None:
    """Labels of the model against those of its own weights in fp32, by the same thresholds."""
    ours = label_texts(model, texts)
    theirs = label_texts(_InFp32(model.folder, model.manifest, model.sha256, network=network), texts)
    same = {
        name: np.array([getattr(one, name) == getattr(other, name) for one, other in zip(ours, theirs, strict=True)])
        for name in (*HEADS, "unsure")
    }
    print("\n| posts labelled as by the fp32 checkpoint | share |\n|---|---|")
    print(f"| in every label | {np.all(list(same.values()), axis=0).mean():.4f} |")
    for name, equal in same.items():
        print(f"| in {name} | {equal.mean():.4f} |")


def _cold_start(text: str) -> None:
    command = [sys.executable, "-m", "tracker", "classify", text]
    seconds = []
    for _ in range(1 + COLD_STARTS):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds[1:])  # the first reads the files from the disk
    print(f"\n`tracker classify TEXT`, start included: {median:.2f} s, median of {COLD_STARTS} after one")


def _memory(texts: list[str]) -> None:
    print("\n| posts in the file | MB | peak memory, MB | posts/s, start included |\n|---|---|---|---|")
    # The process itself says its peak: what its parent is told includes the parent's own, from before it became the tracker.
    program = (
        "import atexit, sys; from pathlib import Path; "
        "peak = lambda: next(line for line in Path('/proc/self/status').read_text().splitlines() if 'VmHWM' in line); "
        "atexit.register(lambda: print(peak().split()[1], file=sys.stderr)); from tracker import app; app()"
    )
    with tempfile.TemporaryDirectory() as folder:
        for lines in (1_000, 4_000, 12_000):
            path = Path(folder) / f"{lines}.jsonl"
            with path.open("w", encoding="utf-8") as out:
                for number in range(lines):
                    # A number makes each text distinct, so that nothing is labelled once for many.
                    out.write(json.dumps({"id": str(number), "text": f"{texts[number % len(texts)]} {number}"}) + "\n")
            command = [sys.executable, "-c", program, "classify", "--input", str(path), "--output", str(path) + ".out"]
            started = time.perf_counter()
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)
            seconds = time.perf_counter() - started
            peak = int(done.stderr.split()[-1]) / 1024
            print(f"| {lines:,} | {path.stat().st_size / 1e6:.1f} | {peak:.0f} | {lines / seconds:.0f} |", flush=True)


def _processor() -> str:
    wanted = ("avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    try:
        content = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    name = next((line.split(":")[1].strip() for line in content.splitlines() if line.startswith("model name")), "?")
    flags = next((line.split(":")[1].split() for line in content.splitlines() if line.startswith("flags")), [])
    return f"{name}, with {', '.join(flag for flag in wanted if flag in flags) or 'none of VNNI, AMX'}"


if __name__ == "__main__":
    main()
