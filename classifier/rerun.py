"""An exported dataset labelled again: does the model that first labelled it still say the same, and if not, what changed?

In one runtime on one kind of processor it says the same bit for bit; another kind may round otherwise, within TOLERANCE.
"""

from __future__ import annotations

import json
import math
import platform
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.files import batches
from classifier.labelling import label_texts
from classifier.model import Model, load_model
from classifier.releases import find_model, parse_reference
from data.errors import InputError, ModelError, RecordError
from data.files import is_unicode, open_records
from data.records import MAX_TEXT_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_EXAMPLES = 20
LABEL_SETS = ("problems", "services")
LABELS = ("problems", "kind", "sentiment", "about", "lang", "unsure", "services", "status", "scope")
SCORES = ("scores", "kind_score", "sentiment_score", "about_score")
TOLERANCE = {"posts_with_equal_labels": 0.995, "score_difference": 0.02}
_INSTRUCTIONS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve")


@dataclass(frozen=True, slots=True)
class Row:
    """One post of the file: what its model said, a correction undone; fields that the file lacks are not in `said`."""

    number: int
    id: str | None
    text: str
    model: str | None
    said: dict[str, Any]
    corrected: bool
    of_account: bool = (
        False  # which is on the list of official ones, so that it has a status whatever the model takes it for
    )
    is_reply: bool = False
    is_emptied: bool = False  # by the retention limit


def read_rows(path: Path) -> Iterator[Row]:
    """The labelled posts of a JSONL, CSV or Parquet file as `tracker export` and `tracker classify` write it, one after the other.

    Raises InputError at the first row that cannot be labelled or compared, naming it.
    """
    if path.suffix.lower() not in {".jsonl", ".csv", ".parquet"}:
        raise InputError(f"{path} must end in .jsonl, .csv or .parquet, as `tracker export` writes it")
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'not here'}; name an exported file")
    with open_records(path) as records:
        for number, (_, record) in enumerate(records, 1):
            if isinstance(record, RecordError):
                raise InputError(f"{path}, row {number}: {record}; nothing was compared")
            if "text" not in record:
                raise InputError(_why_no_text(path, number, record))
            try:
                yield _row(number, record)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                reason = str(error) if type(error) is ValueError else "a field is not as an export has it"
                raise InputError(f"{path}, row {number}: {reason}; nothing was compared") from None


def _why_no_text(path: Path, number: int, record: dict[str, Any]) -> str:
    tier = None
    if "posts" in record:
        tier = "aggregate"
    elif "fingerprint" in record and "created_at" not in record:
        tier = "public"
    if tier is None:
        return f"{path}, row {number}: it has no text; give a file as `tracker export` writes it"
    return f"{path} is of the tier {tier}, which has no texts: export the same posts with `--tier partner` for a rerun"


def _row(number: int, record: dict[str, Any]) -> Row:
    text = record["text"]
    if not isinstance(text, str):
        raise ValueError("it has no text")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"its text has more than {MAX_TEXT_CHARACTERS:,} characters")
    model = record.get("model") or None
    if model is not None and (not isinstance(model, str) or parse_reference(model) is None):
        raise ValueError("its model is not NAME@HASH")
    said = {name: _value(name, record[name]) for name in (*LABELS, *SCORES) if name in record}
    if not any(name in said for name in LABELS):
        raise ValueError("it has no label to compare with")
    corrections = _structure(record.get("corrections") or [])
    # What a person settled is not what the model said.
    said |= {each["field"]: _value(each["field"], each["model_said"]) for each in corrections if each["field"] in said}
    identifier = _identifier(record)
    if not is_unicode(json.dumps([text, identifier, said], ensure_ascii=False)):
        raise ValueError("it is not Unicode text")
    return Row(
        number,
        identifier,
        text,
        model,
        said,
        bool(corrections),
        of_account=any((each["field"], each["who"]) == ("kind", "account") for each in corrections),
        is_reply=bool(record.get("reply_to")),
        is_emptied=bool(record.get("text_erased_at")),
    )


def _identifier(record: dict[str, Any]) -> str | None:
    source, identifier = record.get("source"), record.get("id")
    if identifier is None:
        return None
    return f"{source}:{str(identifier).removeprefix(f'{source}:')}" if source else str(identifier)


def _structure(value: Any) -> Any:
    """CSV and Parquet hold what is no plain value as JSON."""
    return json.loads(value) if isinstance(value, str) else value


def _value(name: str, value: Any) -> Any:
    """A field as the model gives it. Raises ValueError saying what is wrong with it."""
    if name in LABEL_SETS:
        labels = [label for label in value.split("|") if label] if isinstance(value, str) else value or []
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError(f"its {name} are no list of labels")
        return sorted(labels)
    if name == "scores":
        scores = _structure(value or {})
        if not isinstance(scores, dict):
            raise ValueError("its scores are no object")
        return {problem: _number(name, score) for problem, score in scores.items()}
    if name in SCORES:
        return None if value in (None, "") else _number(name, value)
    if name == "unsure":
        return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its {name} is no label")
    return value or None


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (ValueError, TypeError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"its {name} is no number")
    return number


def file_facts(path: Path) -> dict[str, Any]:
    """SHA-256 of the file, and whether it is still the one that its data card describes (None without a card)."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    try:
        card = json.loads(path.with_name(path.name + ".card.json").read_text(encoding="utf-8"))
        described = card.get("sha256") if isinstance(card, dict) else None
    except (OSError, ValueError, RecursionError):
        described = None
    unchanged = None if described is None else described == digest.hexdigest()
    return {"file": path.name, "sha256": digest.hexdigest(), "as_its_card_says": unchanged}


def surroundings() -> dict[str, Any]:
    """What else decides the labels: the runtime, the processor with the instructions that it has for such work, the list of services."""
    import onnxruntime

    name, flags = platform.processor() or platform.machine(), ""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        facts = ""
    if match := re.search(r"^model name\s*:\s*(.+)$", facts, re.MULTILINE):
        name = match[1]
    if match := re.search(r"^(?:flags|Features)\s*:\s*(.+)$", facts, re.MULTILINE):
        flags = match[1]
    services = files("classifier").joinpath("gazetteer.csv").read_bytes()
    return {
        "onnxruntime": onnxruntime.__version__,
        "processor": name,
        "machine": platform.machine(),
        "instructions": [flag for flag in _INSTRUCTIONS if flag in flags.split()],
        "services_sha256": sha256(services).hexdigest(),
    }


@dataclass
class Plan:
    """Which model labels whose rows again, by the model that the rows name; `missing` says why one is not to be had."""

    posts: int
    models: dict[str | None, Model]
    counts: Counter[str | None]
    missing: dict[str, str] = field(default_factory=dict)


def plan(rows: Iterable[Row], reference: str | None) -> Plan:
    """Read all rows once, so that nothing is labelled where something is wrong, and find the models.

    Without a reference each row goes to the model that it names, or where that is not to be had to the one that ships.
    Raises InputError where there is no row, or one names no model and there is no reference; ModelError as `find_model` does.
    """
    counts: Counter[str | None] = Counter()
    for row in rows:
        if row.model is None and reference is None:
            raise InputError(f"row {row.number} names no model: say which one is to label it with --model")
        counts[row.model] += 1
    if not counts:
        raise InputError("the file holds no labelled post with a text")
    if reference is not None:
        model = find_model(reference)
        return Plan(counts.total(), dict.fromkeys(counts, model), counts)
    result = Plan(counts.total(), {}, counts)
    for named in counts:
        try:
            result.models[named] = find_model(named)
        except ModelError as error:
            result.models[named] = load_model()
            result.missing[str(named)] = str(error)
    return result


@dataclass
class Drift:
    """The tally of a rerun."""

    posts: int = 0
    differing: int = 0
    label_differences: int = 0  # posts with another label
    unexplained: int = 0  # of these, posts whose labels differ though no score does
    corrected: int = 0
    largest_score_difference: float = 0.0
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)  # those with another label first
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row, again: dict[str, Any], model: str, *, show_text: bool = False) -> dict[str, Any] | None:
        """Compare a row with its new labels; returns what differs, or None."""
        self.posts += 1
        self.corrected += row.corrected
        differs: dict[str, dict[str, Any]] = {}
        for name, said in row.said.items():
            if name in LABELS:
                self._count(name, said, again[name])
            if said != again[name]:
                differs[name] = {"file": said, "rerun": again[name]}
        largest = max(
            (_distance(pair["file"], pair["rerun"]) for name, pair in differs.items() if name in SCORES), default=0.0
        )
        if not differs:
            return None
        self.differing += 1
        self.largest_score_difference = max(self.largest_score_difference, largest)
        labels = [name for name in differs if name in LABELS]
        self.label_differences += bool(labels)
        # The services come from a list of names; a label that flips has a score that moved.
        self.unexplained += "services" in labels or (bool(labels) and largest == 0)
        self._counts.update(list(differs))
        if "scores" in differs:
            pair = differs["scores"]
            changed = [key for key in pair["file"] | pair["rerun"] if pair["file"].get(key) != pair["rerun"].get(key)]
            differs["scores"] = {side: {key: pair[side].get(key) for key in changed} for side in pair}
        found = {"id": row.id, "row": row.number, "said_by": row.model, "rerun_by": model, "differs": differs}
        if show_text:
            found["text"] = row.text
        self._keep_example(found, bool(labels))
        return found

    def _count(self, name: str, said: Any, again: Any) -> None:
        table = self.fields.setdefault(name, Counter())
        before, after = _label_names(said), _label_names(again)
        for side, labels in (("file", before), ("rerun", after), ("lost", before - after), ("gained", after - before)):
            table.update(f"{side} {label}" for label in labels)

    def _keep_example(self, found: dict[str, Any], with_label: bool) -> None:
        if with_label:
            at = next((at for at, each in enumerate(self.examples) if not set(each["differs"]) & set(LABELS)), None)
            self.examples.insert(len(self.examples) if at is None else at, found)
        elif len(self.examples) < MAX_EXAMPLES:
            self.examples.append(found)
        del self.examples[MAX_EXAMPLES:]

    def report(self) -> dict[str, Any]:
        """The tally as JSON: by field how many posts differ, and by label how many had it, have it, gained and lost it."""
        shown = {}
        for name, table in self.fields.items():
            labels = sorted({key.partition(" ")[2] for key in table})
            sides = ("file", "rerun", "gained", "lost")
            per_label = {label: {side: table[f"{side} {label}"] for side in sides} for label in labels}
            shown[name] = {"differing": self._counts[name], "per_label": per_label}
        return {
            "n": self.posts,
            "identical": self.posts - self.differing,
            "differing": self.differing,
            "with_other_labels": self.label_differences,
            "with_other_labels_and_equal_scores": self.unexplained,
            "corrected": self.corrected,
            "fields": shown,
            "scores": {
                "differing": {name: self._counts[name] for name in SCORES},
                "largest_difference": round(self.largest_score_difference, 6),
            },
        }

    @property
    def within_tolerance(self) -> bool:
        """Whether another kind of processor can have made the differences."""
        equal = 1 - self.label_differences / self.posts
        largest = round(self.largest_score_difference, 6)
        return (
            self.unexplained == 0
            and equal >= TOLERANCE["posts_with_equal_labels"]
            and largest <= TOLERANCE["score_difference"]
        )


def _label_names(value: Any) -> set[str]:
    if isinstance(value, list):
        return set(value)
    return set() if value is None else {str(value).lower() if isinstance(value, bool) else str(value)}


def _distance(said: Any, again: Any) -> float:
    """The largest difference of two scores or two objects of scores; one that is missing differs by 1."""
    if isinstance(said, dict) and isinstance(again, dict):
        return max((_distance(said.get(key), again.get(key)) for key in said | again), default=0.0)
    if said is None or again is None:
        return float(said is not again)
    return float(abs(said - again))


def rerun(
    path: Path,
    reference: str | None = None,
    *,
    exact: bool = False,
    show_text: bool = False,
    say: Callable[[str], None] = lambda _line: None,
    write: Callable[[dict[str, Any]], None] = lambda _difference: None,
    progress: Callable[[int, int], None] = lambda _done, _posts: None,
) -> dict[str, Any]:
    """Label a file again and return the report; every post that differs goes to `write` as well, in the file's order.

    `verdict` is identical, within tolerance, drifted, or other model where any row was not labelled by the model that it names.
    `exact` counts any difference as drift. Raises InputError where the file cannot be used, ModelError where `reference` is not to be had.
    """
    facts = file_facts(path) if path.is_file() else {}
    without_text = 0

    def rows() -> Iterator[Row]:
        """Those that can be labelled: a retention limit empties texts and leaves the labels."""
        nonlocal without_text
        without_text = 0
        for row in read_rows(path):
            if row.is_emptied:
                without_text += 1
            else:
                yield row

    planned = plan(rows(), reference)
    if without_text:
        say(f"{without_text:,} posts have no text any more and cannot be labelled again")
    for reason in planned.missing.values():
        say(
            f"{reason}. Until then {load_model().id} labels these posts, so that the differences are between two models"
        )
    drift = Drift()
    for batch in batches(rows(), lambda row: len(row.text)):
        for found in _compared(batch, planned, drift, progress, show_text):
            write(found)
    other = any(not _same(named, model) for named, model in planned.models.items())
    verdict = "other model" if other else "identical" if drift.differing == 0 else "drifted"
    if verdict == "drifted" and not exact and drift.within_tolerance:
        verdict = "within tolerance"
    models = [
        {
            "said_by": named,
            "rerun_by": model.id,
            "sha256": model.sha256,
            "runtime": model.manifest.get("runtime"),
            "posts": planned.counts[named],
            "why_another": planned.missing.get(str(named)),
        }
        for named, model in planned.models.items()
    ]
    return (
        facts
        | {"verdict": verdict, "without_text": without_text}
        | drift.report()
        | {"models": models, "runtime": surroundings(), "tolerance": TOLERANCE, "examples": drift.examples}
    )


def _same(named: str | None, model: Model) -> bool:
    reference = parse_reference(named) if named else None
    return reference is not None and reference.fits(model.manifest["name"], model.sha256)


def _compared(
    batch: list[Row], planned: Plan, drift: Drift, progress: Callable[[int, int], None], show_text: bool
) -> Iterator[dict[str, Any]]:
    by_model: dict[tuple[str, bool], list[Row]] = {}
    models = {model.id: model for model in planned.models.values()}
    for row in batch:
        by_model.setdefault((planned.models[row.model].id, row.of_account), []).append(row)
    answers: dict[int, tuple[str, dict[str, Any]]] = {}
    for (id_, of_account), rows in by_model.items():
        before = drift.posts + len(answers)

        def advance(done: int, before: int = before) -> None:
            progress(before + done, planned.posts)

        texts, replies = [row.text for row in rows], [row.is_reply for row in rows]
        found_labels = label_texts(models[id_], texts, advance, official=of_account, replies=replies)
        for row, labels in zip(rows, found_labels, strict=True):
            again = {"problems": sorted(labels.problems), "services": sorted(labels.services)}
            answers[row.number] = (id_, asdict(labels) | again)
    for row in batch:
        id_, again = answers[row.number]
        if (found := drift.add(row, again, id_, show_text=show_text)) is not None:
            yield found
