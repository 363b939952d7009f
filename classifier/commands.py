"""The commands `classify`, `evaluate` and `train`."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from data.commands import ROOM_CHECKS
from data.console import StopSignal, one_line_errors, print_json, progress_bar, say, set_up_logs
from data.errors import InputError, RecordError, TrackerError
from data.files import check_place, draft_of, is_unicode, open_records, write_whole
from data.official import NAIROBI
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from classifier.corpus import Example
    from classifier.files import LabelledPosts
    from classifier.model import Model
    from data.files import Placed
    from data.store import Labels, Store

app = typer.Typer()

STORE_BATCH = 512


@app.command(epilog="Example: tracker classify 'ecitizen imekataa password yangu' --json")
def classify(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT...]", help="Texts to label; without any, the store's unlabelled posts."),
    ] = None,
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="F", help="A JSONL, JSON, CSV, TSV or Parquet file with a text column."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="F.jsonl", help="Where the labelled posts go, as JSONL (default: stdout).")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME@HASH|FOLDER",
            help="Another model than the one that ships. In the store its labels are those that count, once no post lacks one.",
        ),
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Keep labelling what comes into the store, at this pause in seconds.", min=1)
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --input: end at the first record that cannot be labelled.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Say what posts complain of: texts given, a file, or what the store has not labelled yet."""
    set_up_logs()
    with one_line_errors():
        if texts and input_:
            raise InputError("give texts or --input, not both")
        if input_ is None and output is not None:
            raise InputError("--output goes with --input")
        if input_ is None and strict:
            raise InputError("--strict goes with --input")
        if every is not None and (texts or input_):
            raise InputError("--every labels what comes into the store: give it without texts and --input")
        loaded = _loaded(model)
        if texts:
            _classify_texts(loaded, texts, as_json)
        elif input_ is not None:
            _classify_file(loaded, input_, output, strict, as_json)
        else:
            _classify_store(loaded, every, as_json)


def _loaded(reference: str | None) -> Model:
    """The model that is to label, with a warning where another runtime than its own is installed."""
    from classifier.releases import find_model

    model = find_model(reference)
    if warning := model.runtime_warning():
        say(f"warning: {warning}")
    return model


def runtime_check(folder: Path | None = None) -> dict[str, Any]:
    """What `doctor` says of the model that ships, or of that of a folder, and the runtime that is installed."""
    from classifier.model import load_model

    try:
        model = load_model(folder)
    except TrackerError as error:
        return {"name": "runtime", "state": "failed", "says": str(error)}
    warning = model.runtime_warning()
    return {
        "name": "runtime",
        "state": "warning" if warning else "ok",
        "says": warning or f"{model.manifest['runtime']}, for which {model.id} was made",
    }


ROOM_CHECKS.append(runtime_check)


def _classify_texts(model: Model, texts: list[str], as_json: bool) -> None:
    from classifier.files import clean

    posts = list(_labelled(model, [{"text": clean(text)} for text in texts]))
    if as_json:
        print_json(posts)
        return
    for post in posts:
        problems = ", ".join(post["problems"]) or "no problem named"
        unsure = "  (unsure)" if post["unsure"] else ""
        services = f"\n  services: {', '.join(post['services'])}" if post["services"] else ""
        typer.echo(
            f"{post['text']}\n  {problems} · {post['kind']} {post['kind_score']:.2f} · {post['sentiment']} · "
            f"about {post['about']} · {post['lang']}{unsure}{services}"
        )


def _labelled(
    model: Model, posts: list[dict[str, Any]], known: dict[str, Labels] | None = None
) -> Iterator[dict[str, Any]]:
    from classifier.labelling import label_texts

    texts, replies = [post["text"] for post in posts], [bool(post.get("reply_to")) for post in posts]
    for post, labels in zip(posts, label_texts(model, texts, known=known, replies=replies), strict=True):
        yield post | asdict(labels) | {"model": model.id}


def _classify_file(model: Model, path: Path, output: Path | None, strict: bool, as_json: bool) -> None:
    from classifier.files import batches, check_jsonl_name

    if output is not None:
        check_jsonl_name("--output", output)
        check_place(output, [path])
    read = skipped = labelled = 0

    def posts(records: Iterator[Placed]) -> Iterator[tuple[dict[str, Any], int]]:
        nonlocal read, skipped
        for place, record in records:
            read += 1
            try:
                yield _post_and_size(record)
            except InputError as error:
                if strict:
                    left = ", and nothing is written" if output is not None else ""
                    raise InputError(f"{path}, {place}: {error} (--strict ends here{left})") from None
                skipped += 1
                say(f"skipped: {path}, {place}: {error}")

    known: dict[str, Labels] = {}
    listed = as_json and output is None  # one JSON value, a list, written as it grows
    with ExitStack() as stack:
        records = stack.enter_context(open_records(path, ["text"]))
        out: IO[str] = sys.stdout
        if output is not None:
            draft = stack.enter_context(draft_of(output))
            out = stack.enter_context(draft.open("w", encoding="utf-8"))
        progress = stack.enter_context(progress_bar(path.name, None))
        for batch in batches(posts(records), lambda pair: pair[1]):
            for post in _labelled(model, [post for post, _ in batch], known):
                before, after = (", " if labelled else "[", "") if listed else ("", "\n")
                out.write(before + json.dumps(post, ensure_ascii=False, default=_plain) + after)
                labelled += 1
            progress(read)
        if not labelled:
            raise InputError(f"{path} has no record with a text")
    if listed:
        out.write("]\n")
    elif as_json:
        print_json({"read": read, "labelled": labelled, "skipped": skipped, "model": model.id})
    say(f"{path}: {labelled:,} labelled, {skipped:,} skipped, model {model.id}")


def _post_and_size(record: dict[str, Any] | RecordError) -> tuple[dict[str, Any], int]:
    """A record with its text redacted, and its characters as JSON. Raises RecordError where it cannot be labelled or written."""
    from classifier.files import clean

    if isinstance(record, RecordError):
        raise record
    # What an export says of its labels is not said of the ones that take their place.
    post = {name: value for name, value in record.items() if name not in {"corrections", "labelled_at"}}
    post["text"] = clean(record.get("text"), record.get("author"))
    try:
        written = json.dumps(post, ensure_ascii=False, allow_nan=False, default=_plain)
    except (ValueError, RecursionError):
        raise RecordError("a field holds a number that JSON has not, such as NaN, or is nested too deeply") from None
    if not is_unicode(written):
        raise RecordError("a field is not Unicode text")
    return post, len(written)


def _plain(value: object) -> str:
    """A time of a Parquet file as JSON has it."""
    if isinstance(value, date):
        return value.isoformat()
    raise RecordError(f"a field holds {type(value).__name__}, which JSON has not")


def _classify_store(model: Model, every: float | None, as_json: bool) -> None:
    settings = load_settings()
    store = open_store(settings)
    stop = StopSignal()
    counting = store.active_model()
    if counting is None:
        store.activate_model(model.id, model.sha256)
        counting = model.id
    known: dict[str, Labels] = {}
    labelled = 0
    while True:
        labelled += label_store(model, store, stop, known)
        # Only then, or the charts would be empty until the posts are labelled anew.
        if counting != model.id and store.count_unlabelled(model.id) == 0:
            store.activate_model(model.id, model.sha256)
            say(f"labels of {model.id} count from now on, none of {counting}")
            counting = model.id
        if every is None or stop.wait(every):
            break
    say(f"{labelled:,} posts labelled by {model.id}")
    if counting != model.id:
        say(f"labels of {counting} still count, as not every post has one of {model.id}; the same command goes on")
    store.close()
    if as_json:
        print_json({"labelled": labelled, "model": model.id})


def label_store(
    model: Model, store: Store, stop: StopSignal | None = None, known: dict[str, Labels] | None = None
) -> int:
    """Label what the store has not labelled yet; returns how many. Stopped in between, nothing is lost or doubled."""
    from classifier.labelling import label_texts

    known = {} if known is None else known
    total = store.count_unlabelled(model.id)
    done = 0
    with progress_bar("labelling", total) as progress:
        while True:
            official = bool(batch := store.unlabelled(model.id, STORE_BATCH, official=True))
            batch = batch or store.unlabelled(model.id, STORE_BATCH)
            if not batch:
                break
            texts = [text for _, _, text in batch]
            replies = store.replies((source, id_) for source, id_, _ in batch)
            labels = label_texts(
                model,
                texts,
                known=None if official else known,
                official=official,
                replies=[(source, id_) in replies for source, id_, _ in batch],
            )
            labelled = [(source, id_, label) for (source, id_, _), label in zip(batch, labels, strict=True)]
            saved = store.save_labels(model.id, labelled, {(source, id_): text for source, id_, text in batch})
            done += saved
            progress(done)
            if stop is not None and stop.wait(0):
                break
    return done


@app.command(epilog="Example: tracker evaluate labelled.jsonl --json")
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Labelled posts: JSONL, JSON, CSV, TSV or Parquet with text and any of problems, kind, sentiment, about, lang.",
        ),
    ],
    model: Annotated[
        str | None, typer.Option(metavar="NAME@HASH|FOLDER", help="Another model than the one that ships.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="F",
            help="Score these predictions instead of the model's: a file with the columns of a labelled post.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A=B,...", help="Other column names in FILE: text=tweet,sentiment=label."),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="F.jsonl", help="Write the model's predictions; --answers takes them back.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="F", help="Compare with these predictions by paired bootstrap.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="F.html", help="Write a page with confusions, calibration and worst errors.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Score the model, or anyone's predictions, on labelled posts, with 95 % bootstrap intervals."""
    set_up_logs()
    with one_line_errors():
        from classifier.evaluation import compare, score_answers
        from classifier.files import check_jsonl_name, column_names, read_labelled, read_predictions

        if answers is not None and (model is not None or predictions is not None):
            raise InputError("--answers takes the model's place: give it without --model and --predictions")
        if predictions is not None:
            check_jsonl_name("--predictions", predictions)
        for place in (predictions, report):
            if place is not None:
                check_place(place, [file, answers, against])
        if predictions is not None and report is not None and predictions.resolve() == report.resolve():
            raise InputError("--predictions and --report name one file; name two")
        posts = read_labelled(file, column_names(columns), say)
        theirs = read_predictions(against, posts, say) if against is not None else None
        loaded, rate = None, None
        if answers is not None:
            told = read_predictions(answers, posts, say)
        else:
            loaded = _loaded(model)
            told, rate = _answers_of(loaded, posts)
        result: dict[str, Any] = {
            "n": len(told),
            "model": loaded.id if loaded is not None else None,
            "posts_per_second": rate,
        }
        if posts.synthetic:
            result["synthetic_posts"] = posts.synthetic
        result |= score_answers(posts.examples, told)
        if theirs is not None:
            result["against"] = compare(posts.examples, told, theirs)
        if predictions is not None and loaded is not None:
            rows = [
                key | {"text": example.text} | answer | {"model": loaded.id}
                for key, example, answer in zip(posts.keys, posts.examples, told, strict=True)
            ]
            write_whole(predictions, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        if report is not None:
            write_whole(report, _report(posts, loaded, answers, against, told, result))
        if as_json:
            print_json(result)
        else:
            _show_scores(result, answers)


def _answers_of(model: Model, posts: LabelledPosts) -> tuple[list[dict[str, Any]], float]:
    """What the model says of each post, and how many it reads in a second."""
    from classifier.labelling import label_texts

    started = time.monotonic()
    texts, replies = zip(*((example.text, example.is_reply) for example in posts.examples), strict=True)
    with progress_bar("labelling", len(posts.examples)) as progress:
        labels = label_texts(model, texts, progress, replies=replies)
    rate = round(len(labels) / max(time.monotonic() - started, 1e-9), 1)
    return [asdict(label) for label in labels], rate


def _report(
    posts: LabelledPosts,
    model: Model | None,
    answers: Path | None,
    against: Path | None,
    told: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
) -> str:
    from classifier.report import report_page

    settings = load_settings()
    facts = {"File": _with_hash(posts.path), "Posts": f"{len(told):,}"}
    if model is not None:
        facts["Model"] = f"{model.id}, SHA-256 {model.sha256}, {model.manifest['runtime']}"
    if answers is not None:
        facts["Predictions"] = _with_hash(answers)
    if against is not None:
        facts["Against"] = _with_hash(against)
    guide = sha256(resources.files("data").joinpath("guide.md").read_bytes()).hexdigest()
    facts["Annotation guide"] = f"SHA-256 {guide}"
    facts["Made"] = f"{settings.now().astimezone(NAIROBI):%-d %B %Y, %H:%M} EAT, tracker {version('ecitizen-tracker')}"
    stamps = []
    if posts.synthetic:
        stamps.append(
            f"SYNTHETIC: {posts.synthetic:,} of {len(told):,} posts are marked synthetic: they were written for a demo or a "
            "test, not by people on a platform, and scores on them say little about real posts."
        )
    if settings.pretends:
        stamps.append("The date below is a pretended one (TRACKER_NOW).")
    subject = model.id if model is not None else answers.name if answers is not None else ""
    title = f"Evaluation of {subject} on {posts.path.name}"
    return report_page(title, facts, stamps, posts.examples, told, result, against.name if against else None)


def _with_hash(path: Path) -> str:
    from classifier.model import file_sha256

    if not path.is_file():
        return f"{path.name}, a pipe, which has no hash"
    return f"{path.name}, SHA-256 {file_sha256(path)}"


def _show_scores(result: dict[str, Any], answers: Path | None) -> None:
    from classifier.evaluation import shown_score

    told = f"{result['model']}, {result['posts_per_second']:.0f} posts a second" if answers is None else answers.name
    typer.echo(f"{result['n']:,} posts, {told}")
    if "synthetic_posts" in result:
        typer.echo(f"SYNTHETIC: {result['synthetic_posts']:,} of the posts are marked synthetic")
    for head in ("problems", "kind", "sentiment", "about", "status", "scope"):
        if head in result:
            scores = result[head]
            other, name = ("micro_f1", "micro F1") if head == "problems" else ("accuracy", "accuracy")
            typer.echo(f"{head:<10} macro F1 {shown_score(scores, 'macro_f1')}  {name} {shown_score(scores, other)}")
            for label, row in scores["per_label"].items():
                typer.echo(
                    f"  {label:<14} P {row['precision']:.2f}  R {row['recall']:.2f}  F1 {row['f1']:.2f}  of {row['support']}"
                )
    calibration = result.get("calibration", {})
    for head in ("problems", "kind"):
        if f"{head}_ece" in calibration:
            half = calibration[f"{head}_ece_from_half"]
            sure = "nothing is" if half is None else f"{half:.3f} over what is"
            typer.echo(
                f"calibration error of {head} {calibration[f'{head}_ece']:.3f}; {sure} said with a probability of .5 or more"
            )
    for head, measures in result.get("against", {}).items():
        for average, row in measures.items():
            if average == "n":
                continue
            low, high = row["difference_ci95"]
            typer.echo(
                f"against the other predictions, {head} {average.replace('_f1', ' F1')}: {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}] "
                f"on {measures['n']:,} posts, reversed in {row['share_reversed']:.1%} of resamples"
            )


@app.command(epilog="Example: tracker train --output runs")
def train(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the model folder is made.")] = Path("runs"),
    name: Annotated[str, typer.Option(help="The model's name and version.")] = "trained_1",
    corpus: Annotated[
        list[Path] | None,
        typer.Option(metavar="F", help="Labelled posts with a split (default: the project's corpus)."),
    ] = None,
    auxiliary: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A folder of public sets to learn from too; data/corpus/README.md names them."
        ),
    ] = None,
    with_corrections: Annotated[
        bool, typer.Option("--with-corrections", help="Learn from what analysts settled in the store, too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0, max=2**32 - 1)] = 7,
    epochs: Annotated[int, typer.Option(help="Passes over the corpus.", min=1)] = 8,
    learning_rate: Annotated[float, typer.Option(help="The encoder's highest.", min=0)] = 2e-4,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="NAME@HASH|FOLDER",
            help="Begin half-way between the backbone and this model: what it learnt is kept, what it learnt by heart is not.",
        ),
    ] = None,
) -> None:
    """Train a model on the corpus and write it as a folder; needs the `train` extra."""
    set_up_logs()
    with one_line_errors():
        try:
            from classifier.releases import find_model
            from classifier.train import Recipe
            from classifier.train import train as run
        except ModuleNotFoundError as error:
            raise TrackerError(f"training needs {error.name}: pip install 'ecitizen-tracker[train]'") from None
        files = corpus or [default_corpus()]
        corrections = _corrected_examples() if with_corrections else []
        recipe = Recipe(seed=seed, epochs=epochs, learning_rate=learning_rate)
        begun = find_model(start) if start is not None else None
        folder = run(files, output, name, recipe, auxiliary=auxiliary, corrections=corrections, start=begun, say=say)
        typer.echo(folder)


def _corrected_examples() -> list[Example]:
    """What analysts settled in the store, the demo's synthetic posts left out. Raises InputError where there is nothing."""
    from classifier.corpus import parse_example

    store = open_store(load_settings())
    records = [record for record in store.corrected_examples() if not record["synthetic"]]
    store.close()
    if not records:
        raise InputError(
            "the store holds no correction of a real post yet: settle posts on the review page, or leave --with-corrections out"
        )
    return [parse_example(record | {"split": "train"}) for record in records]


def default_corpus() -> Path:
    """The corpus of a checkout. Raises InputError where the tracker was installed without it."""
    path = Path(__file__).parent.parent / "data" / "corpus" / "posts.jsonl"
    if not path.exists():
        raise InputError(
            "the corpus is not part of an installed tracker: work in a checkout, or name a file with --corpus"
        )
    return path
