"""Training: the corpus into a network, the network into a model folder. Needs the `train` extra."""

from __future__ import annotations

import json
import platform
import random
import re
import time
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from classifier.augmentation import vary
from classifier.auxiliary import LABELS_FILE, load_auxiliary
from classifier.backbone import half_way, load_backbone, trim
from classifier.card import model_card
from classifier.checkpoint import read_network
from classifier.corpus import HEADS, SPLITS, Example, load_corpus
from classifier.evaluation import EVERY_POST, score
from classifier.export import SMOOTHING, export_model, write_manifest
from classifier.files import clean
from classifier.model import MAX_PIECES, load_model
from classifier.network import PAD_ID, build_network, largest_inputs, split_heads, tokenizer_json
from classifier.releases import NAME
from classifier.thresholds import fit_thresholds
from data.errors import InputError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from classifier.backbone import Backbone
    from classifier.model import Model
    from classifier.network import Network


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run besides the data."""

    seed: int = 7
    epochs: int = 8
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1  # share of all steps
    dropout: float = 0.1  # of each block's output and of the pooled vector; none within the attention
    batch_pieces: int = 1_024
    vocabulary: int = 32_000
    label_smoothing: float = 0.05
    freeze_words: bool = True
    vary_texts: bool = True
    hidden_pieces: float = 0.1  # share of a text's pieces that training replaces by the unknown one
    joined_posts: float = 0.1  # share of complaints read together with another one, whose problems they then have too
    averaging: float = 0.998  # decay of the mean of the weights over the steps, which is scored and kept; 0: none


# How much each head's loss counts: status and scope have few posts, and those are told apart easily.
LOSS_WEIGHTS = {"problems": 10.0, "kind": 1.0, "sentiment": 0.7, "about": 0.7, "lang": 0.3, "status": 0.3, "scope": 0.2}

SMOOTHING_BATCHES = 30  # of training posts, from which the export learns how large activations are


def train(
    corpus: Sequence[Path],
    output: Path,
    name: str,
    recipe: Recipe,
    *,
    auxiliary: Path | None = None,
    corrections: Sequence[Example] = (),
    backbone: Backbone | None = None,
    start: Model | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Train on the corpus' train part, choose the epoch and fit thresholds on dev, score test once, write the model.

    `auxiliary` is a folder of public sets, `corrections` what analysts settled; both only join the train part. With `start`
    training begins half-way between the backbone and that model, so that what it learnt is kept and what it learnt by heart is not
    (Ash and Adams 2020, "On warm-starting neural network training"); it must not have learnt from this corpus' dev or test part.
    Returns the model folder, `output/name`, with the weights, the tokenizer, the manifest, a model card and `training.json`
    (the recipe, hashes of the data, versions, curves). Raises InputError, before any work, where a file, the name or the
    folder will not do, where the corpus lacks a part, or where a post of dev or test lacks an answer.
    """
    started = time.monotonic()
    folder = _new_folder(output, name)
    parts = _parts(corpus)
    public, public_hashes = load_auxiliary(auxiliary, _public_labels(corpus[0])) if auxiliary else ([], {})
    learnt = [*parts["train"], *public, *corrections]
    _seed(recipe.seed)
    say("reading the backbone")
    small = trim(backbone or load_backbone(), (example.text for example in learnt), recipe.vocabulary)
    heads = None
    if start is not None:
        say(f"beginning half-way to {start.id}")
        begun, *heads = read_network(start)
        small = half_way(small, begun)
    tokenizer = Tokenizer.from_str(tokenizer_json(small))
    tokenizer.enable_truncation(MAX_PIECES)
    network = build_network(small, recipe.dropout)
    network.encoder.embeddings.word_embeddings.requires_grad_(not recipe.freeze_words)
    batches = _Batches(tokenizer, learnt, recipe)
    _centre(network, batches)
    if heads is not None:
        network.unfold_heads(*(torch.from_numpy(part.copy()) for part in heads))
    averaged = AveragedModel(network, multi_avg_fn=_moving_mean(recipe.averaging))
    optimizer, schedule = _optimizer(network, recipe, len(batches) * recipe.epochs)

    best, best_state, curve = -1.0, {}, []
    for epoch in range(1, recipe.epochs + 1):
        loss = _epoch(network, averaged, batches, optimizer, schedule, recipe)
        scores = score(parts["dev"], predict(averaged.module, tokenizer, parts["dev"]))
        selected = _selection(scores)
        curve.append({"epoch": epoch, "loss": round(loss, 4), "dev": scores, "selected_on": round(selected, 4)})
        shown = " ".join(f"{head} {scores[head]['macro_f1'] or 0.0:.3f}" for head in EVERY_POST)
        say(f"epoch {epoch}/{recipe.epochs}: loss {loss:.3f}, dev {shown} ({time.monotonic() - started:.0f} s)")
        if selected > best:
            best = selected
            best_state = {key: value.clone() for key, value in averaged.module.state_dict().items()}
    network.load_state_dict(best_state)
    network.eval()

    say(f"writing {folder}")
    some = ((ids, mask) for ids, mask, _ in islice(batches, SMOOTHING_BATCHES))
    # Elsewhere until it is whole: with the thresholds that the export writes first it would label, and be another model.
    unfinished = output / f"{name}.unfinished"
    export_model(network, tokenizer_json(small), largest_inputs(network, some), unfinished, name)
    say("fitting thresholds and temperatures on dev")
    model = load_model(unfinished)
    logits = model.logits(model.read([example.text for example in parts["dev"]]))
    write_manifest(unfinished, name, model.manifest["max_pieces"], fit_thresholds(parts["dev"], split_heads(logits)))
    unfinished.rename(folder)
    record = {
        "recipe": asdict(recipe),
        "loss_weights": LOSS_WEIGHTS,
        "smoothing": {"exponent": SMOOTHING, "batches": SMOOTHING_BATCHES},
        "data": {path.name: sha256(path.read_bytes()).hexdigest() for path in corpus} | public_hashes,
        "parts": {part: _part_sha256(members) for part, members in (*parts.items(), ("corrections", corrections))},
        "posts": {part: len(members) for part, members in parts.items()}
        | {"public": len(public), "corrections": len(corrections)},
        "backbone_sha256": small.sha256,
        "start": None if start is None else {"model": start.id, "sha256": start.sha256},
        "versions": {
            "tracker": version("ecitizen-tracker"),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "numpy": np.__version__,
            "onnx": onnx.__version__,
        },
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {'bf16' if _has_bf16() else 'fp32'}",
        "seconds": round(time.monotonic() - started),
        "curve": curve,
    }
    (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    say("scoring test")
    (folder / "README.md").write_text(model_card(load_model(folder), record, parts["test"]), encoding="utf-8")
    return folder


def _new_folder(output: Path, name: str) -> Path:
    if not re.fullmatch(NAME, name):
        raise InputError("--name must be letters, digits, dots, dashes and underscores, such as mine_1")
    folder = output / name
    if folder.exists():
        raise InputError(f"{folder} exists already: give another --name or --output")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} is no folder that can be made: {error.strerror}") from None
    return folder


def _parts(corpus: Sequence[Path]) -> dict[str, list[Example]]:
    """The examples by split, their texts redacted as those that the model will read."""
    if len({path.name for path in corpus}) < len(corpus):
        raise InputError("two corpus files have one name, by which training.json tells them apart: rename one")
    parts: dict[str, list[Example]] = {part: [] for part in SPLITS}
    for path in corpus:
        for number, example in enumerate(load_corpus(path), 1):
            assert example.split is not None
            lacking = [head for head in EVERY_POST if head not in example.labels]
            if lacking and example.split != "train":
                raise InputError(
                    f"{path}, post {number}: {lacking[0]} is missing, which a post of {example.split} needs"
                )
            try:
                parts[example.split].append(replace(example, text=clean(example.text)))
            except RecordError as error:
                raise InputError(f"{path}, post {number}: {error}") from None
    for part, members in parts.items():
        if not members:
            raise InputError(f"the corpus has no post whose split is {part}")
    return parts


def _public_labels(corpus: Path) -> Path:
    """Those beside the corpus, else the project's own."""
    beside = corpus.with_name(LABELS_FILE)
    return beside if beside.exists() else Path(__file__).parent.parent / "data" / "corpus" / LABELS_FILE


def _part_sha256(examples: Sequence[Example]) -> str:
    """Of the texts and labels in their order: a corpus may grow in its test part, and its train part is still the same."""
    content = [[example.text, example.labels, example.votes] for example in examples]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def predict(network: Network, tokenizer: Tokenizer, examples: Sequence[Example]) -> dict[str, np.ndarray[Any, Any]]:
    """Logits of every head, one row a post, in fp32."""
    network.eval()
    encodings = [encoding.ids for encoding in tokenizer.encode_batch([example.text for example in examples])]
    order = sorted(range(len(encodings)), key=lambda index: len(encodings[index]))
    rows: list[Any] = [None] * len(encodings)
    with torch.no_grad():
        for start in range(0, len(order), 32):
            some = order[start : start + 32]
            logits = network(*_pad([encodings[index] for index in some]))
            for index, row in zip(some, logits, strict=True):
                rows[index] = row.numpy()
    return split_heads(np.stack(rows))


class _Batches:
    """Posts of like length together, at most `batch_pieces` padded pieces a batch, in a new order each epoch."""

    def __init__(self, tokenizer: Tokenizer, examples: Sequence[Example], recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        unknown = tokenizer.token_to_id("<unk>")
        assert unknown is not None
        self._unknown = unknown
        self._texts = [example.text for example in examples]
        self._ids = self._encode(self._texts)
        self._targets = [_targets(example) for example in examples]
        self._complaints = [index for index, each in enumerate(examples) if each.labels.get("kind") == "complaint"]
        self._recipe = recipe
        self._random = random.Random(recipe.seed)  # noqa: S311 - an order, not a secret
        self._length = len(self._plan())

    def __len__(self) -> int:
        """Batches in an epoch, about: the texts' variations differ a little in length."""
        return self._length

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def _plan(self) -> list[list[int]]:
        order = sorted(range(len(self._ids)), key=lambda index: len(self._ids[index]) + self._random.random() * 6)
        plan: list[list[int]] = [[]]
        for index in order:
            longest = max(len(self._ids[index]), *(len(self._ids[other]) for other in plan[-1]), 1)
            if plan[-1] and longest * (len(plan[-1]) + 1) > self._recipe.batch_pieces:
                plan.append([])
            plan[-1].append(index)
        self._random.shuffle(plan)
        return plan

    def __iter__(self) -> Any:
        texts, targets = list(self._texts), list(self._targets)
        if self._recipe.vary_texts:
            texts = [
                vary(text, self._random, readdress=not target["scope"].any())
                for text, target in zip(texts, targets, strict=True)
            ]
        for index in self._complaints:
            if self._random.random() < self._recipe.joined_posts:
                other = self._random.choice(self._complaints)
                texts[index] = f"{texts[index]} {texts[other]}"
                targets[index] = _of_both(self._targets[index], self._targets[other])
        self._ids = [self._hide(ids) for ids in self._encode(texts)]
        for some in self._plan():
            ids, mask = _pad([self._ids[index] for index in some])
            yield ids, mask, {head: torch.tensor(np.stack([targets[index][head] for index in some])) for head in HEADS}

    def _hide(self, ids: list[int]) -> list[int]:
        share = self._recipe.hidden_pieces
        inner = [self._unknown if self._random.random() < share else each for each in ids[1:-1]]
        return [ids[0], *inner, ids[-1]]


def _targets(example: Example) -> dict[str, np.ndarray[Any, Any]]:
    """The share of votes for each label; where a head was not answered all zero, and for problems, which may be none, -1."""
    targets = {head: np.array(example.shares(head), dtype=np.float32) for head in HEADS}
    if "problems" not in example.labels:
        targets["problems"] -= 1
    return targets


def _of_both(one: dict[str, np.ndarray[Any, Any]], other: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """The targets of two posts read as one: the problems of both; of the rest nothing can be said."""
    silent = {head: np.zeros_like(target) for head, target in one.items()}
    answered = (one["problems"] >= 0).all() and (other["problems"] >= 0).all()
    return silent | {"problems": np.maximum(one["problems"], other["problems"]) if answered else silent["problems"] - 1}


def _pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), PAD_ID)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return ids, mask


def _loss(logits: Tensor, targets: dict[str, Tensor], smoothing: float) -> Tensor:
    total = logits.new_zeros(())
    for head, part in split_heads(logits.float()).items():
        target = targets[head]
        applies = target[:, 0] >= 0 if head == "problems" else target.sum(1) > 0
        if not applies.any():
            continue
        if head == "problems":
            part_loss = functional.binary_cross_entropy_with_logits(part[applies], target[applies])
        else:
            smooth = target[applies] * (1 - smoothing) + smoothing / target.shape[1]
            part_loss = -(smooth * functional.log_softmax(part[applies], dim=1)).sum(1).mean()
        total = total + LOSS_WEIGHTS[head] * part_loss
    return total


def _centre(network: Network, batches: _Batches) -> None:
    """Centre and spread of the untrained encoder's vectors over the training posts."""
    network.eval()
    with torch.no_grad(), _precision():
        pooled = torch.cat([network.pool(ids, mask).float() for ids, mask, _ in batches])
    network.centre.copy_(pooled.mean(0))
    network.spread.copy_(pooled.std(0))


def _moving_mean(decay: float) -> Callable[[list[Tensor], list[Tensor], Any], None]:
    """An exponential mean that forgets faster in the first steps, so that a short run is not held at where it began."""

    def update(averaged: list[Tensor], current: list[Tensor], steps: Any) -> None:
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        torch._foreach_lerp_(averaged, current, 1 - kept)

    return update


def _precision() -> Any:
    """bf16 where the processor multiplies it; elsewhere it is emulated at a hundredth of the speed of fp32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=_has_bf16())


def _has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _epoch(
    network: Network, averaged: AveragedModel, batches: _Batches, optimizer: Any, schedule: Any, recipe: Recipe
) -> float:
    network.train()
    total, seen = 0.0, 0
    for ids, mask, targets in batches:
        with _precision():
            logits = network(ids, mask)
        loss = _loss(logits, targets, recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        total += loss.item() * len(ids)
        seen += len(ids)
    return total / seen


def _optimizer(network: Network, recipe: Recipe, steps: int) -> tuple[Any, Any]:
    heads = list(network.heads.parameters())
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [each for each in network.encoder.parameters() if each.requires_grad],
                "lr": recipe.learning_rate,
            },
            {"params": heads, "lr": recipe.head_learning_rate},
        ],
        weight_decay=recipe.weight_decay,
    )
    warm_up = max(1, int(steps * recipe.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / warm_up, max(0.0, (steps - step) / max(1, steps - warm_up)))
    )
    return optimizer, schedule


def _selection(scores: dict[str, Any]) -> float:
    return float(np.mean([scores[head]["macro_f1"] or 0.0 for head in EVERY_POST]))  # None: dev has no problem at all


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
