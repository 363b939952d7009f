"""The commands `model list`, `model show`, `model pack`, `model get` and `rerun`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from data.console import one_line_errors, print_json, progress_bar, say, set_up_logs
from data.errors import InputError, ModelError, TrackerError
from data.files import check_place, draft_of
from data.settings import load_settings

if TYPE_CHECKING:
    from classifier.releases import Place, Reference

app = typer.Typer()
model = typer.Typer(
    help="Models by name and hash: list them, get one, make a release file of one.", no_args_is_help=True
)
app.add_typer(model, name="model")


@model.command("list", epilog="Example: tracker model list --json")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False) -> None:
    """List the models that are here, checked, and the releases that are not."""
    set_up_logs()
    with one_line_errors():
        from classifier.releases import known_releases, models_folder, origin, places

        known = known_releases()
        here = places()
        rows = [_described(place) for place in here]
        rows += [
            {"id": id_, "state": "not here", "path": None, "sound": None, "says": f"tracker model get {id_} --from ..."}
            for id_ in sorted(set(known) - {place.id for place in here})
        ]
        for row in rows:
            release = known.get(row["id"])
            row |= {"released": release.date if release else None, "note": release.note if release else None}
        if as_json:
            print_json(rows)
            return
        for row in rows:
            says = row["says"] or row["note"] or ""
            typer.echo(f"{row['id']:<32} {row['state']:<13} {row['released'] or 'not released':<13} {says}".rstrip())
            if row["state"] == "not here":
                typer.echo(f"    {origin(_reference(row['id']))}")
        say(f"kept in {models_folder()}")


def _described(place: Place) -> dict[str, Any]:
    """A model of this machine; a release file is checked when it is unpacked, a folder at once."""
    from classifier.model import default_model_folder, load_model

    sound, says = None, None
    if place.state != "release file":
        try:
            found = load_model(place.path)
            sound, says = True, "labels by default" if found.folder == default_model_folder() else None
        except ModelError as error:
            sound, says = False, str(error)
    return {"id": place.id, "state": place.state, "path": str(place.path), "sound": sound, "says": says}


@model.command("show", epilog="Example: tracker model show")
def show(
    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help="NAME@HASH or a folder; without, the model that ships.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Show what a model is: its hashes, runtime, precision and thresholds."""
    set_up_logs()
    with one_line_errors():
        from classifier.releases import find_model, known_releases

        found = find_model(reference)
        release = known_releases().get(found.id)
        facts = {
            "id": found.id,
            "sha256": found.sha256,
            "path": str(found.folder),
            "released": release.date if release else None,
            "release_file_sha256": release.file_sha256 if release else None,
            "note": release.note if release else None,
        }
        facts |= {name: value for name, value in found.manifest.items() if name not in facts}
        if as_json:
            print_json(facts)
            return
        for name, value in facts.items():
            if name not in {"name", "labels", "temperatures"} and value not in (None, ""):
                typer.echo(f"{name.replace('_', ' '):<20} {_shown(value)}")


@model.command("pack", epilog="Example: tracker model pack runs/trained_1 --output releases")
def pack(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where NAME@HASH12.tar is written.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="The model's folder; without, the model that ships.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST", help="Add it to this list: classifier/models/releases.jsonl is the tracker's own."
        ),
    ] = None,
    note: Annotated[
        str, typer.Option(help="With --record: what there is to know of it, such as where it is kept.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print its line of a list.")] = False,
) -> None:
    """Make the release file of a model: the same model gives the same bytes anywhere."""
    set_up_logs()
    with one_line_errors():
        from classifier.model import default_model_folder
        from classifier.releases import known_releases, record_release
        from classifier.releases import pack as write

        if note and record is None:
            raise InputError("--note goes with --record")
        path, release = write(folder or default_model_folder(), output)
        release = replace(release, date=f"{load_settings().now():%Y-%m-%d}", note=note)
        if record is not None:
            record_release(release, record)
        known = known_releases().get(release.id)
        if known is not None and known.file_sha256 != release.file_sha256:
            say(
                f"warning: {release.id} was released with another file (README.md or training.json differ), so that "
                "`tracker model get` will refuse this one"
            )
        if as_json:
            print_json({"file": str(path)} | asdict(release))
        else:
            typer.echo(path)
            say(f"SHA-256 {release.file_sha256}")


@model.command("checkpoint", epilog="Example: tracker model checkpoint --output checkpoint")
def checkpoint(
    output: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.")],
    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help="NAME@HASH or a folder; without, the model that ships.")
    ] = None,
) -> None:
    """Write a model as a checkpoint of transformers: the same weights, de-quantised; needs the `train` extra."""
    set_up_logs()
    with one_line_errors():
        from classifier.releases import find_model

        try:
            from classifier.checkpoint import write_checkpoint
        except ModuleNotFoundError as error:
            raise TrackerError(f"a checkpoint needs {error.name}: pip install 'ecitizen-tracker[train]'") from None
        write_checkpoint(find_model(reference), output)
        typer.echo(output)


@model.command("get", epilog="Example: tracker model get ecitizen_4@091dda43035a --from https://example.org/releases/")
def get(
    reference: Annotated[str, typer.Argument(metavar="NAME@HASH", help="With at least 12 digits of the hash.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FOLDER|FILE|https://...",
            help="Its folder, its release file, or a folder of them; `tracker model list` says where a release would come from.",
        ),
    ] = None,
) -> None:
    """Bring a model here, checked by its hash, so that NAME@HASH can be named from then on."""
    set_up_logs()
    with one_line_errors():
        from classifier import releases

        wanted = _reference(reference)
        try:
            found = releases.find_model(reference)
        except ModelError:
            if source is None:
                raise InputError(
                    f"{wanted} is not here: say with --from which folder, file or https:// address it is to come from; "
                    f"{releases.origin(wanted)}"
                ) from None
            with progress_bar(f"{wanted}, MiB", None) as progress:
                found = releases.get(
                    wanted, source, lambda done, total: progress(done // 2**20, total and -(-total // 2**20))
                )
        else:
            say("it is here already")
        typer.echo(f"{found.id}  {found.folder}")


def _reference(text: str) -> Reference:
    from classifier.releases import parse_reference

    wanted = parse_reference(text)
    if wanted is None:
        raise InputError(f"{text} is not NAME@HASH, such as ecitizen_4@091dda43035a")
    return wanted


@app.command(epilog="Example: tracker rerun march.csv --json")
def rerun(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `tracker export` wrote: JSONL, CSV or Parquet, with texts.")
    ],
    reference: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME@HASH|FOLDER", help="Another model than the one that each row names."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="F", help="Write every post that differs, with both answers, as JSONL.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Any difference is drift: it was labelled on this kind of processor.")
    ] = False,
    show_text: Annotated[bool, typer.Option("--show-text", help="Show the texts of posts that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Label an exported dataset again, offline, with the model that first labelled it, and report every difference.

    Exit status 0: identical, or different by no more than another kind of processor may be (at least 99.5 % of the posts with the same
    labels, scores within .02), or --model named another model. 1: drifted, or the model is not here and another one had to do.
    """
    set_up_logs()
    with one_line_errors():
        from classifier.files import check_jsonl_name
        from classifier.rerun import rerun as run

        if output is not None:
            check_jsonl_name("--output", output)
            check_place(output, [file])
        with ExitStack() as stack:
            out: IO[str] | None = None
            if output is not None:
                draft = stack.enter_context(draft_of(output))
                out = stack.enter_context(draft.open("w", encoding="utf-8"))
            progress = stack.enter_context(progress_bar(file.name, None))

            def write(found: dict[str, Any]) -> None:
                if out is not None:
                    out.write(json.dumps(found, ensure_ascii=False) + "\n")

            report = run(file, reference, exact=exact, show_text=show_text, say=say, write=write, progress=progress)
        if as_json:
            print_json(report)
        else:
            _show_report(report)
        if report["verdict"] == "drifted" or (report["verdict"] == "other model" and reference is None):
            raise typer.Exit(1)


_VERDICTS = {
    "identical": "identical: the same labels and scores, bit for bit",
    "within tolerance": "within the tolerance for another kind of processor; on the kind that labelled the file it is drift",
    "drifted": "drifted: the file does not say what its model says",
    "other model": "two models were compared, so that differences are to be expected",
}


def _show_report(report: dict[str, Any]) -> None:
    runtime = report["runtime"]
    card = {True: ", as its data card says", False: ", CHANGED since its data card was written", None: ""}
    typer.echo(
        f"file       {report['file']}, {report['n']:,} posts, SHA-256 {report['sha256']}{card[report['as_its_card_says']]}"
    )
    for row in report["models"]:
        again = "again" if row["said_by"] == row["rerun_by"] else f"for {row['said_by'] or 'no named model'}"
        typer.echo(f"model      {row['rerun_by']} {again}, {row['posts']:,} posts, SHA-256 {row['sha256']}")
        if row["runtime"] != f"onnxruntime {runtime['onnxruntime']}":
            typer.echo(f"           made for {row['runtime']}, which is not the one that is installed")
    instructions = " ".join(runtime["instructions"])
    typer.echo(
        f"runtime    onnxruntime {runtime['onnxruntime']}, {runtime['processor']} ({instructions or runtime['machine']})"
    )
    largest = report["scores"]["largest_difference"]
    typer.echo(
        f"identical  {report['identical']:,}; {report['differing']:,} differ, {report['with_other_labels']:,} in a label"
    )
    typer.echo(f"scores     largest difference {largest:.4f}")
    for field, row in report["fields"].items():
        if row["differing"]:
            moved = {label: side for label, side in row["per_label"].items() if side["gained"] or side["lost"]}
            shown = ", ".join(f"{label} +{side['gained']} -{side['lost']}" for label, side in moved.items())
            typer.echo(f"{field:<10} {row['differing']:,} posts: {shown}")
    if report["examples"]:
        typer.echo("examples   (file -> rerun)")
    for found in report["examples"]:
        # Where a label differs, that says enough.
        names = [name for name in found["differs"] if name in report["fields"]] or list(found["differs"])
        pairs = (f"{name} {' -> '.join(map(_shown, found['differs'][name].values()))}" for name in names)
        typer.echo(f"  {found['id'] or 'row ' + str(found['row'])}: {'; '.join(pairs)}")
        if "text" in found:
            typer.echo(f"    {found['text']}")
    typer.echo(f"verdict    {_VERDICTS[report['verdict']]}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items()) or "none"
    return "none" if value is None else str(value)
