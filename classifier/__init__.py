"""The classifier: what a post complains of, its kind, sentiment and whose service it is about.

`model` checks a model folder and runs it (ONNX Runtime and tokenizers, no torch); `labelling` turns its probabilities
into labels; `evaluation` scores labels; `train`, `network`, `backbone` and `export` make a model and need the `train`
extra. The label names are those of `data/guide.md`. This room never imports the collector.
"""
