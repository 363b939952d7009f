"""The classifier: what a post complains of, its kind, sentiment and whose service it is about.

`model` checks a model folder and runs it (ONNX Runtime and tokenizers, no torch), `releases` finds one by its hash;
`labelling` turns its probabilities into labels, `rerun` labels an export again; `evaluation` scores labels that `files`
reads, and `report` draws them; `train`, with what it builds on (`network`, `backbone`, `auxiliary`), `export` and
`checkpoint` make a model and need the `train` extra. The label names are those of `data/guide.md`. This room never imports the collector.
"""

from classifier.labelling import label_texts
from classifier.model import Model, load_model

__all__ = ["Model", "label_texts", "load_model"]
