"""The commands `classify`, `evaluate` and `train`."""

from __future__ import annotations

import csv
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from data.console import StopSignal, one_line_errors, print_json, progress_bar, say, set_up_logs
from data.errors import InputError, TrackerError
from data.official import official_handles
from data.redaction import redact
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from classifier.model import Model

app = typer.Typer()

FILE_BATCH = 2_000
STORE_BATCH = 512
MAX_TEXT_CHARACTERS = 65_536


@app.command(epilog="Example: tracker classify 'ecitizen imekataa password yangu' --json")
def classify(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT...]", help="Texts to label; without any, the store's unlabelled posts."),
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", metavar="F", help="A JSONL or CSV file with a text column.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="F", help="Where the labelled posts go, as JSONL (default: stdout).")
    ] = None,
    model: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Another model than the one that ships.")] = None,
    every: Annotated[
        float | None, typer.Option(help="Keep labelling what comes into the store, at this pause in seconds.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Say what posts complain of: texts given, a file, or what the store has not labelled yet."""
    set_up_logs()
    with one_line_errors():
        from classifier.model import load_model

        if texts and input_:
            raise InputError("give texts or --input, not both")
        if input_ is None and output is not None:
            raise InputError("--output goes with --input")
        loaded = load_model(model)
        if texts:
            _classify_texts(loaded, texts, as_json)
        elif input_ is not None:
            _classify_file(loaded, input_, output, as_json)
        else:
            _classify_store(loaded, every, as_json)


def _classify_texts(model: Model, texts: list[str], as_json: bool) -> None:
    posts = list(_labelled(model, [{"text": _clean(text)} for text in texts]))
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


def _clean(text: object) -> str:
    """Redacted as in the store. Raises InputError where it is no text that can be labelled."""
    if not isinstance(text, str):
        raise InputError(f"text must be text, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("text contains half a surrogate pair, which is not Unicode text") from None
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputError(f"text has {len(text):,} characters, at most {MAX_TEXT_CHARACTERS:,} are taken")
    return redact(text, keep_handles=official_handles())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _labelled(model: Model, posts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from classifier.labelling import label_texts

    for post, labels in zip(posts, label_texts(model, [post["text"] for post in posts]), strict=True):
        yield post | asdict(labels) | {"model": model.id}


def _classify_file(model: Model, path: Path, output: Path | None, as_json: bool) -> None:
    read = skipped = 0
    listed: list[dict[str, Any]] = []
    with ExitStack() as stack:
        records = stack.enter_context(_open_records(path))
        out: IO[str] = sys.stdout
        draft = None
        if output is not None:
            draft = output.with_name(output.name + ".part")
            try:
                out = stack.enter_context(draft.open("w", encoding="utf-8"))
            except OSError as error:
                raise InputError(f"{output} cannot be written: {error.strerror}") from None
        progress = stack.enter_context(progress_bar(path.name, None))
        numbered = enumerate(records, 1)
        while batch := list(islice(numbered, FILE_BATCH)):
            posts = []
            for number, record in batch:
                read += 1
                try:
                    if not isinstance(record, dict):
                        raise InputError(str(record))
                    post = record | {"text": _clean(record.get("text"))}
                    if not _is_unicode(json.dumps(post, ensure_ascii=False)):
                        raise InputError("a field is not Unicode text")
                    posts.append(post)
                except InputError as error:
                    skipped += 1
                    say(f"skipped: {path}, record {number}: {error}")
            for post in _labelled(model, posts):
                if as_json and output is None:
                    listed.append(post)
                else:
                    out.write(json.dumps(post, ensure_ascii=False) + "\n")
            progress(read)
    if read == skipped:
        if draft is not None:
            draft.unlink()
        raise InputError(f"{path} has no record with a text")
    if output is not None and draft is not None:
        draft.replace(output)
    say(f"{path}: {read - skipped:,} labelled, {skipped:,} skipped, model {model.id}")
    if as_json and output is None:
        print_json(listed)
    elif as_json:
        print_json({"read": read, "labelled": read - skipped, "skipped": skipped, "model": model.id})


class _open_records:
    """The records of a JSONL, CSV or TSV file, or the reason why a line is none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Iterator[dict[str, Any] | str]:
        if self._path.is_dir():
            raise InputError(f"{self._path} is a folder; name a file")
        try:
            self._file = self._path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="")
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}") from None
        if self._path.suffix.lower() in {".csv", ".tsv"}:
            delimiter = "\t" if self._path.suffix.lower() == ".tsv" else ","
            return self._rows(csv.DictReader(self._file, delimiter=delimiter))
        return self._lines(self._file)

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def _rows(self, reader: Any) -> Iterator[dict[str, Any] | str]:
        csv.field_size_limit(2**24)
        try:
            yield from ({name: value for name, value in row.items() if name is not None} for row in reader)
        except csv.Error as error:
            yield f"broken CSV: {error}"

    def _lines(self, lines: Iterable[str]) -> Iterator[dict[str, Any] | str]:
        for line in lines:
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                yield "broken JSON"
                continue
            yield value if isinstance(value, dict) else f"expected an object, found {type(value).__name__}"


def _classify_store(model: Model, every: float | None, as_json: bool) -> None:
    settings = load_settings()
    store = open_store(settings)
    stop = StopSignal()
    store.activate_model(model.id, model.sha256)
    labelled = 0
    while True:
        labelled += label_store(model, store, stop)
        if every is None or stop.wait(every):
            break
    say(f"{labelled:,} posts labelled by {model.id}")
    store.close()
    if as_json:
        print_json({"labelled": labelled, "model": model.id})


def label_store(model: Model, store: Any, stop: StopSignal | None = None) -> int:
    """Label what the store has not labelled yet; returns how many. Stopped in between, nothing is lost or doubled."""
    from classifier.labelling import label_texts

    total = store.count_unlabelled(model.id)
    done = 0
    with progress_bar("labelling", total) as progress:
        while batch := store.unlabelled(model.id, STORE_BATCH):
            labels = label_texts(model, [text for _, _, text in batch])
            saved = store.save_labels(
                model.id, [(source, id_, label) for (source, id_, _), label in zip(batch, labels, strict=True)]
            )
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
            help="Labelled posts: JSONL, CSV or TSV with text and any of problems, kind, sentiment, about, lang.",
        ),
    ],
    model: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Another model than the one that ships.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A=B,...", help="Other column names: text=tweet,sentiment=label.")
    ] = None,
    predictions: Annotated[Path | None, typer.Option(metavar="F", help="Write the predictions as JSONL.")] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="F", help="Compare with these predictions by paired bootstrap.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Score the model on labelled posts, with 95 % bootstrap intervals."""
    set_up_logs()
    with one_line_errors():
        from classifier.corpus import Example, parse_example
        from classifier.evaluation import compare, score_answers
        from classifier.labelling import label_texts
        from classifier.model import load_model

        names = _column_names(columns)
        examples: list[Example] = []
        with _open_records(file) as records:
            for number, record in enumerate(records, 1):
                try:
                    if not isinstance(record, dict):
                        raise InputError(str(record))
                    renamed = {names.get(name, name): value for name, value in record.items()}
                    example = parse_example(renamed)
                    _clean(example.text)
                except InputError as error:
                    raise InputError(f"{file}, record {number}: {error}") from None
                examples.append(example)
        if not examples:
            raise InputError(f"{file} has no labelled post")
        loaded = load_model(model)
        started = time.monotonic()
        with progress_bar("labelling", len(examples)) as progress:
            labels = label_texts(loaded, [_clean(example.text) for example in examples], progress)
        seconds = time.monotonic() - started
        answers = [asdict(label) for label in labels]
        result = {"n": len(examples), "model": loaded.id, "posts_per_second": round(len(examples) / seconds, 1)}
        result |= score_answers(examples, answers)
        if predictions is not None:
            with predictions.open("w", encoding="utf-8") as out:
                for example, answer in zip(examples, answers, strict=True):
                    out.write(
                        json.dumps({"text": _clean(example.text)} | answer | {"model": loaded.id}, ensure_ascii=False)
                        + "\n"
                    )
        if against is not None:
            with _open_records(against) as others:
                other = [record for record in others if isinstance(record, dict)]
            if len(other) != len(examples):
                raise InputError(f"{against} has {len(other)} predictions for {len(examples)} posts")
            result["against"] = compare(examples, answers, other)
        if as_json:
            print_json(result)
        else:
            _show_scores(result)


def _column_names(columns: str | None) -> dict[str, str]:
    if columns is None:
        return {}
    pairs = [part.split("=") for part in columns.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise InputError("--columns takes pairs such as text=tweet,sentiment=label")
    return {theirs: ours for ours, theirs in pairs}


def _show_scores(result: dict[str, Any]) -> None:
    typer.echo(f"{result['n']:,} posts, {result['model']}, {result['posts_per_second']:.0f} posts a second")
    for head in ("problems", "kind", "sentiment", "about", "status", "scope"):
        if head in result:
            scores = result[head]
            low, high = scores["macro_f1_ci95"]
            other = "micro_f1" if head == "problems" else "accuracy"
            typer.echo(
                f"{head:<10} macro F1 {scores['macro_f1']:.3f} [{low:.3f}, {high:.3f}]  {other} {scores[other]:.3f}"
            )
            for label, row in scores["per_label"].items():
                typer.echo(
                    f"  {label:<14} P {row['precision']:.2f}  R {row['recall']:.2f}  F1 {row['f1']:.2f}  of {row['support']}"
                )
    if "calibration" in result:
        typer.echo(f"calibration error of problems {result['calibration']['problems_ece']:.3f}")
    for head, row in result.get("against", {}).items():
        typer.echo(f"{head}: {row['difference']:+.3f} {row['difference_ci95']} against the other predictions")


@app.command(epilog="Example: tracker train --output runs")
def train(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the model folder is made.")] = Path("runs"),
    name: Annotated[str, typer.Option(help="The model's name and version.")] = "ecitizen_1",
    corpus: Annotated[
        list[Path] | None,
        typer.Option(metavar="F", help="Labelled posts with a split (default: the project's corpus)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 7,
    epochs: Annotated[int, typer.Option(help="Passes over the corpus.", min=1)] = 12,
) -> None:
    """Train a model on the corpus and write it as a folder; needs the `train` extra."""
    set_up_logs()
    with one_line_errors():
        try:
            from classifier.train import Recipe
            from classifier.train import train as run
        except ModuleNotFoundError as error:
            raise TrackerError(f"training needs {error.name}: pip install 'ecitizen-tracker[train]'") from None
        folder = run(corpus or [default_corpus()], output, name, Recipe(seed=seed, epochs=epochs), say=say)
        typer.echo(folder)


def default_corpus() -> Path:
    """The corpus of a checkout. Raises InputError where the tracker was installed without it."""
    path = Path(__file__).parent.parent / "data" / "corpus" / "posts.jsonl"
    if not path.exists():
        raise InputError(
            "the corpus is not part of an installed tracker: work in a checkout, or name a file with --corpus"
        )
    return path
