"""The network: one BERT encoder, mean pooling, one linear head a question. Needs the `train` extra."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from classifier.corpus import HEADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from classifier.backbone import Backbone

PAD_ID = 1  # of XLM-R's vocabulary, kept by the trimming


class PostDropout(nn.Module):
    """Dropout with one mask for all pieces of a post: a fresh one for each piece took a seventh of the training time."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, hidden: Tensor) -> Tensor:
        """(posts, pieces, width) in and out; untouched where the network does not train."""
        if not self.training or self.share == 0:
            return hidden
        kept = torch.empty(len(hidden), 1, hidden.shape[-1], dtype=hidden.dtype).bernoulli_(1 - self.share)
        return hidden * (kept / (1 - self.share))


class Network(nn.Module):
    """Logits for every head, side by side in the order of HEADS."""

    def __init__(self, config: BertConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.Linear(config.hidden_size, sum(map(len, HEADS.values())))
        # The backbone's vectors share a large common part, which would hide the rest from untrained heads.
        self.register_buffer("centre", torch.zeros(config.hidden_size))
        self.register_buffer("spread", torch.ones(config.hidden_size))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(posts, pieces) of ids and a mask of the same shape to (posts, labels) of logits."""
        pooled = (self.pool(input_ids, attention_mask) - self.centre) / self.spread
        return self.heads(self.dropout(pooled))

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The mean of the encoder's vectors over the pieces of each post."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)

    def folded_heads(self) -> tuple[Tensor, Tensor]:
        """Weights and biases that take the pooled vectors as they are, centring included."""
        weight = self.heads.weight / self.spread
        return weight.detach(), (self.heads.bias - weight @ self.centre).detach()

    def unfold_heads(self, weight: Tensor, bias: Tensor) -> None:
        """The inverse of `folded_heads`, for heads that take the pooled vectors as they are."""
        with torch.no_grad():
            self.heads.weight.copy_(weight * self.spread)
            self.heads.bias.copy_(bias + weight @ self.centre)


def largest_inputs(network: Network, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, NDArray[np.float32]]:
    """Of each linear layer of the encoder, by its name, the largest absolute value of each input over batches of ids and masks."""
    largest: dict[str, Tensor] = {}
    is_piece = torch.empty(0)

    def noting(name: str) -> Callable[..., None]:
        def note(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found = inputs[0][is_piece].abs().amax(0)
            largest[name] = torch.maximum(largest[name], found) if name in largest else found

        return note

    hooks = [
        layer.register_forward_pre_hook(noting(name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and layer is not network.heads
    ]
    network.eval()
    for ids, mask in batches:
        is_piece = mask == 1
        with torch.no_grad():
            network.pool(ids, mask)
    for hook in hooks:
        hook.remove()
    return {name: value.numpy() for name, value in largest.items()}


def split_heads(logits: Any) -> dict[str, Any]:
    """The columns of each head."""
    parts, start = {}, 0
    for name, labels in HEADS.items():
        parts[name] = logits[:, start : start + len(labels)]
        start += len(labels)
    return parts


def build_network(backbone: Backbone, dropout: float = 0.1) -> Network:
    """The network with the backbone's weights and untrained heads."""
    config = BertConfig(
        vocab_size=len(backbone.tokenizer["model"]["vocab"]),
        hidden_size=backbone.hidden,
        num_hidden_layers=backbone.layers,
        num_attention_heads=backbone.heads,
        intermediate_size=backbone.intermediate,
        max_position_embeddings=backbone.positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=PAD_ID,
    )
    network = Network(config, dropout)
    state = {name: torch.from_numpy(weight.copy()) for name, weight in backbone.weights.items()}
    network.encoder.load_state_dict(state, strict=True)
    network.encoder.embeddings.dropout = PostDropout(dropout)
    for layer in network.encoder.encoder.layer:
        layer.attention.output.dropout = PostDropout(dropout)
        layer.output.dropout = PostDropout(dropout)
    return network


def tokenizer_json(backbone: Backbone) -> str:
    """The tokenizer as the `tokenizers` library reads it."""
    return json.dumps(backbone.tokenizer, ensure_ascii=False, separators=(",", ":"))
