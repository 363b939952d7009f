"""Training, on a network too small to be good: the whole way from a corpus to a model folder that labels posts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

from classifier.backbone import Backbone, half_way, trim  # noqa: E402
from classifier.checkpoint import read_network  # noqa: E402
from classifier.corpus import HEADS, Example, load_corpus, parse_example  # noqa: E402
from classifier.labelling import label_texts  # noqa: E402
from classifier.model import load_model  # noqa: E402
from classifier.network import build_network, largest_inputs, tokenizer_json  # noqa: E402
from classifier.train import Recipe, _Batches, _loss, _pad, _targets, predict, train  # noqa: E402
from data.errors import InputError  # noqa: E402

pytestmark = pytest.mark.train

CORPUS = Path(__file__).parent.parent / "data" / "corpus" / "posts.jsonl"
HIDDEN, LAYERS = 32, 2
POSTS = 240


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first posts of the project's corpus, some of every part."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()[:POSTS]
    path = tmp_path_factory.mktemp("corpus") / "posts.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def backbone(corpus: Path) -> Backbone:
    """An untrained encoder with a vocabulary learnt from the corpus."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=2_000, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([example.text for example in load_corpus(corpus)], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    content = json.loads(tokenizer.to_str())
    generator = np.random.default_rng(1)

    def random(*shape: int) -> np.ndarray:
        return generator.normal(0, 0.3, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": random(len(content["model"]["vocab"]), HIDDEN),
        "embeddings.position_embeddings.weight": random(512, HIDDEN),
        "embeddings.token_type_embeddings.weight": random(2, HIDDEN),
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        shapes = {
            "attention.self.query": (HIDDEN, HIDDEN),
            "attention.self.key": (HIDDEN, HIDDEN),
            "attention.self.value": (HIDDEN, HIDDEN),
            "attention.output.dense": (HIDDEN, HIDDEN),
            "intermediate.dense": (4 * HIDDEN, HIDDEN),
            "output.dense": (HIDDEN, 4 * HIDDEN),
        }
        for name, shape in shapes.items():
            weights |= {f"{at}.{name}.weight": random(*shape), f"{at}.{name}.bias": random(shape[0])}
    normalised = [
        "embeddings",
        *(f"encoder.layer.{layer}.{part}" for layer in range(LAYERS) for part in ("attention.output", "output")),
    ]
    for at in normalised:
        weights |= {
            f"{at}.LayerNorm.weight": np.ones(HIDDEN, np.float32),
            f"{at}.LayerNorm.bias": np.zeros(HIDDEN, np.float32),
        }
    shape = {"layers": LAYERS, "hidden": HIDDEN, "heads": 4, "intermediate": 4 * HIDDEN, "positions": 512}
    return Backbone(weights, content, sha256="0" * 64, **shape)


RECIPE = Recipe(epochs=2, vocabulary=1_500)


@pytest.fixture(scope="module")
def trained(corpus: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train([corpus], tmp_path_factory.mktemp("models"), "tiny_1", RECIPE, backbone=backbone)


def test_a_trained_folder_labels_posts_and_says_what_it_was_trained_on(trained: Path, corpus: Path) -> None:
    model = load_model(trained)
    (labels,) = label_texts(model, ["eCitizen imekataa password yangu"])
    assert model.id.startswith("tiny_1@")
    assert labels.kind in HEADS["kind"]
    assert set(labels.scores) == set(HEADS["problems"])
    record = json.loads((trained / "training.json").read_text(encoding="utf-8"))
    assert sum(record["posts"].values()) == POSTS
    assert len(record["curve"]) == RECIPE.epochs
    assert record["data"]["posts.jsonl"]


def test_corrections_and_posts_with_some_answers_only_join_the_train_part_and_the_card_says_so(
    corpus: Path, backbone: Backbone, tmp_path: Path
) -> None:
    corrected = [
        parse_example({"text": "haifunguki", "problems": ["outage"], "kind": "complaint"}),
        parse_example({"text": "asante", "sentiment": "positive"}),
    ]
    folder = train([corpus], tmp_path, "tiny_2", Recipe(epochs=1), corrections=corrected, backbone=backbone)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["posts"]["corrections"] == 2
    assert np.isfinite(record["curve"][0]["loss"])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "**2 posts that analysts had corrected" in card
    assert load_model(folder).id in card


def test_training_can_begin_half_way_to_an_earlier_model(
    trained: Path, corpus: Path, backbone: Backbone, tmp_path: Path
) -> None:
    begun = load_model(trained)
    folder = train([corpus], tmp_path, "tiny_3", Recipe(epochs=1, vocabulary=1_500), backbone=backbone, start=begun)
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["start"] == {"model": begun.id, "sha256": begun.sha256}
    assert f"half-way between the backbone and {begun.id}" in (folder / "README.md").read_text(encoding="utf-8")
    fresh = train([corpus], tmp_path, "tiny_4", Recipe(epochs=1, vocabulary=1_500), backbone=backbone)
    first = [json.loads((each / "training.json").read_text("utf-8"))["curve"][0]["loss"] for each in (folder, fresh)]
    assert first[0] < first[1]


def test_half_way_is_the_mean_by_piece_and_refuses_another_shape(trained: Path, backbone: Backbone) -> None:
    begun, heads, offsets = read_network(load_model(trained))
    mean = half_way(backbone, begun)
    assert mean.tokenizer == backbone.tokenizer
    assert heads.shape == (len(offsets), HIDDEN)
    name = "encoder.layer.1.output.dense.weight"
    assert np.allclose(mean.weights[name], (backbone.weights[name] + begun.weights[name]) / 2)
    words = "embeddings.word_embeddings.weight"
    ours, theirs = ([piece for piece, _ in each.tokenizer["model"]["vocab"]] for each in (backbone, begun))
    shared, lacking = ours.index(theirs[100]), next(i for i, piece in enumerate(ours) if piece not in set(theirs))
    assert np.allclose(mean.weights[words][shared], (backbone.weights[words][shared] + begun.weights[words][100]) / 2)
    assert (mean.weights[words][lacking] == backbone.weights[words][lacking]).all()
    with pytest.raises(InputError, match="layers 2, the backbone 3"):
        half_way(Backbone(**{**backbone.__dict__, "layers": 3}), begun)


def test_joined_complaints_have_the_problems_of_both_and_hidden_pieces_keep_the_ends(backbone: Backbone) -> None:
    posts = [
        parse_example({"text": "haifunguki", "problems": ["outage"], "kind": "complaint"}),
        parse_example({"text": "nimelipa", "problems": ["payment"], "kind": "complaint"}),
        parse_example({"text": "asante sana", "problems": [], "kind": "praise"}),
    ]
    tokenizer = Tokenizer.from_str(tokenizer_json(backbone))
    always = Recipe(joined_posts=1.0, hidden_pieces=1.0, vary_texts=False)
    praised, joined = 0, []
    for ids, mask, targets in _Batches(tokenizer, posts, always):
        for row in range(len(ids)):
            inner = ids[row][mask[row] == 1].tolist()
            assert (inner[0], inner[-1]) == (0, 2)
            assert set(inner[1:-1]) == {tokenizer.token_to_id("<unk>")}
            praised += int(targets["kind"][row].sum())
            joined.append(targets["problems"][row].tolist())
    outage, payment = HEADS["problems"].index("outage"), HEADS["problems"].index("payment")
    assert praised == 1  # of a joined post nothing but its problems is taught
    assert sum(row[outage] == 1 or row[payment] == 1 for row in joined) == 2


def test_training_readdresses_no_message_that_has_a_scope(backbone: Backbone) -> None:
    official = {"kind": "official", "status": "notice"}
    posts = [
        parse_example({"text": "haifunguki", "scope": "statement"} | official),
        parse_example({"text": "haifunguki", "votes": [{"scope": "statement"} | official, {"kind": "news"}]}),
        parse_example({"text": "@user haifunguki", "scope": "reply"} | official),
        parse_example({"text": "haifunguki", "kind": "complaint"}),
    ]
    tokenizer = Tokenizer.from_str(tokenizer_json(backbone))
    batches = _Batches(tokenizer, posts, Recipe(hidden_pieces=0.0, joined_posts=0.0))
    at = tokenizer.encode("@user haifunguki").ids[1]
    addressed: dict[str, set[bool]] = {}
    for _ in range(60):
        for ids, _mask, targets in batches:
            for row, scope in zip(ids.tolist(), targets["scope"].tolist(), strict=True):
                addressed.setdefault(str(scope), set()).add(row[1] == at)
    assert addressed == {"[1.0, 0.0]": {False}, "[0.0, 1.0]": {True}, "[0.0, 0.0]": {False, True}}


def test_an_unanswered_question_teaches_nothing() -> None:
    logits = torch.randn(2, sum(map(len, HEADS.values())))
    answered, silent = (
        parse_example({"text": "a", "problems": ["slow"], "kind": "complaint"}),
        parse_example({"text": "b", "sentiment": "neutral"}),
    )

    def targets(*examples: Example) -> dict[str, torch.Tensor]:
        each = [_targets(example) for example in examples]
        return {head: torch.tensor(np.stack([target[head] for target in each])) for head in HEADS}

    whole = _loss(logits, targets(answered, silent), 0.05)
    parts = _loss(logits[:1], targets(answered), 0.05) + _loss(logits[1:], targets(silent), 0.05)
    assert whole.item() == pytest.approx(parts.item(), rel=1e-5)


def test_the_checkpoint_loads_with_the_auto_classes_and_says_what_the_model_says(trained: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from classifier.checkpoint import write_checkpoint

    model = load_model(trained)
    write_checkpoint(model, tmp_path / "checkpoint")
    network = AutoModelForTokenClassification.from_pretrained(tmp_path / "checkpoint").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "checkpoint")
    text = "eCitizen imekataa password yangu tangu asubuhi"
    batch = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[0].mean(0)
    kinds = [index for index, name in network.config.id2label.items() if name.startswith("kind:")]
    theirs = torch.softmax(logits[kinds] / model.manifest["temperatures"]["kind"], 0).numpy()
    assert np.abs(theirs - model.probabilities(model.read([text]))["kind"][0]).max() < 0.02
    with pytest.raises(InputError, match="exists already"):
        write_checkpoint(model, tmp_path / "checkpoint")


def test_the_loss_falls(trained: Path) -> None:
    curve = json.loads((trained / "training.json").read_text(encoding="utf-8"))["curve"]
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_the_same_seed_gives_the_same_model(trained: Path, corpus: Path, backbone: Backbone, tmp_path: Path) -> None:
    again = train([corpus], tmp_path, "tiny_1", RECIPE, backbone=backbone)
    assert load_model(again).sha256 == load_model(trained).sha256


# Without smoothing the second error is .0057.
@pytest.mark.parametrize(("outlier", "most"), [(1.0, 0.01), (40.0, 0.003)])
def test_the_exported_graph_says_what_the_network_says_however_large_one_channel_is(
    outlier: float, most: float, backbone: Backbone, corpus: Path, tmp_path: Path
) -> None:
    from classifier.export import export_model

    torch.manual_seed(3)
    network = build_network(backbone).eval()
    # One channel of the layers' inputs so many times as large as the rest, and what reads it as much smaller.
    with torch.no_grad():
        for layer in network.encoder.encoder.layer:
            layer.attention.output.LayerNorm.weight[5] *= outlier
            layer.intermediate.dense.weight[:, 5] /= outlier
    network.centre.fill_(0.2)
    network.spread.fill_(0.7)
    examples = load_corpus(corpus)[:80]
    tokenizer = Tokenizer.from_str(tokenizer_json(backbone))
    tokenizer.enable_truncation(256)
    batches = [_pad([encoding.ids]) for encoding in tokenizer.encode_batch([example.text for example in examples])]
    export_model(network, tokenizer_json(backbone), largest_inputs(network, batches), tmp_path / "m", "m")
    logits = predict(network, tokenizer, examples)
    model = load_model(tmp_path / "m")
    probabilities = model.probabilities(model.read([example.text for example in examples]))
    expected = 1 / (1 + np.exp(-logits["problems"]))
    # Eight-bit products: close, not equal.
    assert np.abs(probabilities["problems"] - expected).mean() < most
    assert np.corrcoef(probabilities["problems"].ravel(), expected.ravel())[0, 1] > 0.99


def test_trimming_keeps_the_pieces_of_the_texts_it_was_given(backbone: Backbone, corpus: Path) -> None:
    texts = [example.text for example in load_corpus(corpus)[:40]]
    whole = Tokenizer.from_str(tokenizer_json(backbone))
    small = trim(backbone, texts, 900)
    cut = Tokenizer.from_str(tokenizer_json(small))
    assert len(small.tokenizer["model"]["vocab"]) == len(small.weights["embeddings.word_embeddings.weight"]) < 2_000
    assert [encoding.tokens for encoding in cut.encode_batch(texts)] == [
        encoding.tokens for encoding in whole.encode_batch(texts)
    ]
    word = "embeddings.word_embeddings.weight"
    piece = cut.encode(texts[0]).ids[1]
    assert (small.weights[word][piece] == backbone.weights[word][whole.encode(texts[0]).ids[1]]).all()


def test_a_corpus_without_dev_is_refused(corpus: Path, backbone: Backbone, tmp_path: Path) -> None:
    kept = [line for line in corpus.read_text(encoding="utf-8").splitlines() if json.loads(line)["split"] != "dev"]
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(InputError, match="dev"):
        train([path], tmp_path, "m", RECIPE, backbone=backbone)


def test_a_label_that_is_not_in_the_guide_is_named_with_its_line(
    corpus: Path, backbone: Backbone, tmp_path: Path
) -> None:
    lines = corpus.read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[4]) | {"kind": "rant"}
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join([*lines[:4], json.dumps(record), *lines[5:]]), encoding="utf-8")
    with pytest.raises(InputError, match=r"line 5.*rant.*complaint"):
        train([path], tmp_path, "m", RECIPE, backbone=backbone)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": "half a pair \ud83d"}, "surrogate"),
        ({"split": "dev", "about": None}, "about is missing, which a post of dev needs"),
        ({"split": "exam"}, "split must be one of"),
    ],
)
def test_a_post_that_cannot_be_learnt_from_ends_training_before_it_begins(
    change: dict[str, str | None], reason: str, corpus: Path, backbone: Backbone, tmp_path: Path
) -> None:
    lines = corpus.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join([json.dumps(json.loads(lines[0]) | change), *lines[1:]]), encoding="utf-8")
    with pytest.raises(InputError, match=reason):
        train([path], tmp_path / "models", "m_1", RECIPE, backbone=backbone)
    assert not (tmp_path / "models" / "m_1").exists()


def test_a_name_a_folder_and_two_files_that_will_not_do_are_refused(
    trained: Path, corpus: Path, backbone: Backbone, tmp_path: Path
) -> None:
    def refused(reason: str, *, files: list[Path], output: Path, name: str) -> None:
        with pytest.raises(InputError, match=reason):
            train(files, output, name, RECIPE, backbone=backbone)

    refused("letters, digits", files=[corpus], output=tmp_path, name="a b/../x")
    refused("exists already", files=[corpus], output=trained.parent, name=trained.name)
    taken = tmp_path / "taken"
    taken.write_text("", encoding="utf-8")
    refused("no folder", files=[corpus], output=taken, name="m_1")
    refused("rename one", files=[corpus, corpus], output=tmp_path, name="m_1")


def test_what_a_corpus_holds_is_redacted_before_it_is_learnt(corpus: Path, backbone: Backbone, tmp_path: Path) -> None:
    lines = corpus.read_text(encoding="utf-8").splitlines()
    index = next(index for index, line in enumerate(lines) if json.loads(line)["split"] == "train")
    paths = []
    for name, text in (("with", "nipigie 0712 345 678 saa hii"), ("without", "nipigie <PHONE> saa hii")):
        path = tmp_path / name / "posts.jsonl"
        path.parent.mkdir()
        changed = json.dumps(json.loads(lines[index]) | {"text": text})
        path.write_text("\n".join([*lines[:index], changed, *lines[index + 1 :]]), encoding="utf-8")
        paths.append(path)
    recipe = Recipe(epochs=1, vocabulary=1_500)
    made = [train([path], path.parent, "m_1", recipe, backbone=backbone) for path in paths]
    records = [json.loads((each / "training.json").read_text(encoding="utf-8")) for each in made]
    assert records[0]["parts"] == records[1]["parts"]
    assert records[0]["data"] != records[1]["data"]
