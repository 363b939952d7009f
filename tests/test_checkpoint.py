"""A model as a checkpoint of transformers, used as the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from classifier import load_model
from classifier.checkpoint import write_checkpoint
from classifier.corpus import HEADS

pytestmark = pytest.mark.train

README = Path(__file__).parent.parent / "README.md"


def test_the_readmes_lines_give_the_models_probability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model()
    write_checkpoint(model, tmp_path / "checkpoint")
    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (text,) = re.findall(r'tokenizer\(\["(.*?)"\]', lines)
    names: dict[str, Any] = {}
    exec(lines, names)
    ours = model.probabilities(model.read([text]))["problems"][0, HEADS["problems"].index("outage")]
    assert names["outage"].item() == pytest.approx(ours, abs=0.02)  # the model multiplies in 8 bits
