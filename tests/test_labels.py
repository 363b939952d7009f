from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data
from data import labels
from data.errors import RecordError
from data.official import NAIROBI, PRECISIONS, official_accounts, official_handles, parse_official

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "0712345678"
GOOD: dict[str, Any] = {
    "at": "2026-03-05T08:40:30+03:00",
    "office": "Directorate of eCitizen",
    "status": "acknowledged",
    "text": "We are aware of the downtime",
}


def test_every_label_of_the_guide_is_found_and_explained() -> None:
    assert " ".join(labels.PROBLEMS) == "outage lockout payment slow delay service_error support security"
    assert " ".join(labels.KINDS) == "complaint question recovery praise official news rumour opinion promotion other"
    assert " ".join(labels.SENTIMENTS) == "negative positive neutral"
    assert " ".join(labels.ABOUTS) == "ecitizen government dependency other"
    assert " ".join(labels.STATUSES) == "acknowledged update resolved workaround maintenance denial notice help"
    assert " ".join(labels.SCOPES) == "statement reply"
    named = {*labels.PROBLEMS, *labels.KINDS, *labels.SENTIMENTS, *labels.ABOUTS, *labels.STATUSES, *labels.SCOPES}
    assert {name for name, meaning in labels.MEANINGS.items() if meaning} == named


def test_a_label_added_to_the_guide_is_a_label_of_the_code(tmp_path: Path) -> None:
    shutil.copytree(Path(data.__file__).parent, tmp_path / "data", ignore=shutil.ignore_patterns("demo", "corpus"))
    guide = tmp_path / "data" / "guide.md"
    guide.chmod(0o644)
    text = guide.read_text(encoding="utf-8")
    text = text.replace("| `slow` |", "| `accessibility` | cannot be used with a screen reader | |\n| `slow` |")
    guide.write_text(text.replace("| `rumour` | an", "| `hearsay` | an"), encoding="utf-8")
    program = (
        "import json; from data import labels; print(json.dumps([labels.PROBLEMS, labels.KINDS, labels.MEANINGS]))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    problems, kinds, meanings = json.loads(run.stdout)
    assert problems == [*labels.PROBLEMS[:3], "accessibility", *labels.PROBLEMS[3:]]
    assert "hearsay" in kinds and "rumour" not in kinds
    assert meanings["accessibility"] == "cannot be used with a screen reader"


def test_an_official_message_is_read_as_it_was_said() -> None:
    record = GOOD | {"text": " We are aware \n", "scope": "reply", "url": "https://example.com/1", "unknown": 1}
    message = parse_official(record)
    assert message.at == datetime(2026, 3, 5, 5, 40, 30, tzinfo=UTC)
    assert (message.precision, message.account, message.office) == ("minute", None, "Directorate of eCitizen")
    assert (message.status, message.scope, message.text) == ("acknowledged", "reply", "We are aware")
    assert (message.url, message.covers_from, message.covers_to) == ("https://example.com/1", None, None)
    assert message.from_ecitizen and not message.synthetic
    assert parse_official(GOOD).scope == "statement"


@pytest.mark.parametrize(
    ("at", "precision", "begin"),
    [
        ("2026-03-05T08:40:30+03:00", "hour", "2026-03-05T08:00+03:00"),
        ("2026-03-05T08:40:30+03:00", "day", "2026-03-05T00:00+03:00"),
        ("2026-03-05T22:30:00", "hour", "2026-03-06T01:00+03:00"),
        ("2026-03-05T22:30:00Z", "day", "2026-03-06T00:00+03:00"),
        ("2026-03-05", "day", "2026-03-05T00:00+03:00"),
        ("2026-03-05T08:40:30-05:30", "hour", "2026-03-05T17:00+03:00"),
    ],
)
def test_a_day_or_an_hour_begins_where_it_does_in_nairobi(at: str, precision: str, begin: str) -> None:
    assert parse_official(GOOD | {"at": at, "precision": precision}).at == datetime.fromisoformat(begin)


@given(st.integers(1_100_000_000, 3_800_000_000), st.sampled_from(PRECISIONS))
def test_a_message_is_never_dated_after_it_was_said_nor_before_its_precision_allows(
    second: int, precision: str
) -> None:
    said = datetime.fromtimestamp(second, UTC)
    at = parse_official(GOOD | {"at": said.isoformat(), "precision": precision}).at
    assert at <= said
    form = {"minute": "%c", "hour": "%x %H", "day": "%x"}[precision]
    assert at.astimezone(NAIROBI).strftime(form) == said.astimezone(NAIROBI).strftime(form)


def test_only_offices_and_account_ids_on_the_list_speak_for_ecitizen() -> None:
    def speaks(**who: str | None) -> bool:
        return parse_official(GOOD | {"office": None} | who).from_ecitizen

    assert speaks(office="Directorate of eCitizen")
    for typed in ("eCitizen", "directorate of ecitizen", "The Directorate of e-Citizen, Kenya", "E CITIZEN"):
        assert speaks(office=typed), typed
    assert not speaks(office="Huduma Kenya")
    assert not speaks(office="directorate of ecitizen fans")
    assert not speaks(account="x:None")
    assert not speaks(account="x:eCitizenKenya")
    assert not speaks(account="x:123", office="Directorate of eCitizen")
    handles = {account.handle.lower() for account in official_accounts() if account.handle}
    assert official_handles() == handles >= {"ecitizenkenya"}


WRONG: list[tuple[str, Any]] = [
    *((field, None) for field in ("at", "status", "text")),
    *((field, "") for field in ("at", "status", "text")),
    ("text", " \n"),
    *((field, SECRET) for field in ("at", "precision", "account", "status", "scope")),
    *((field, [SECRET]) for field in ("at", "precision", "account", "office", "status", "scope", "url", "text")),
    *((field, {"a": SECRET}) for field in ("at", "precision", "account", "office", "status", "scope", "url", "text")),
    *((field, f"{SECRET}:\0") for field in ("account", "office", "url", "text")),
    *((field, f"{SECRET}:\ud800") for field in ("account", "office", "url", "text")),
    *((field, value) for field in ("at", "from", "to") for value in ("9999-12-31T23:59:59", "soon", True, 10**30)),
    ("to", "2026-03-01"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_field_of_an_official_message_is_named_and_not_quoted(field: str, value: Any) -> None:
    with pytest.raises(RecordError) as raised:
        parse_official(GOOD | {"from": "2026-03-02"} | {field: value})
    assert str(raised.value).startswith(field)
    assert SECRET not in str(raised.value)


def test_a_message_that_nobody_said_is_refused() -> None:
    with pytest.raises(RecordError, match="who said it"):
        parse_official(GOOD | {"office": None})
    with pytest.raises(RecordError, match="expected an object"):
        parse_official([GOOD])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = GOOD | {"precision": "day", "account": "x:1", "scope": "reply", "from": 0, "to": "2026-03-05", "url": "u"}


@given(st.fixed_dictionaries({}, optional={name: st.just(good) | JSON for name, good in FIELDS.items()}) | JSON)
def test_any_json_is_an_official_message_or_a_record_error(record: Any) -> None:
    try:
        message = parse_official(record)
    except RecordError:
        return
    assert message.text.strip() and message.status in labels.STATUSES and (message.account or message.office)


def test_a_file_of_official_messages_is_taken_whole_or_refused_with_the_line(
    tracker: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    good, file = json.dumps(GOOD | {"text": f"DM us on {SECRET}"}), tmp_path / "official.jsonl"
    file.write_text(f"{good}\n\n{json.dumps(GOOD | {'status': SECRET})}\n", encoding="utf-8")
    refused = tracker("status", "import", file)
    assert refused.returncode == 2 and "line 3: status must be one of acknowledged" in refused.stderr
    assert "Traceback" not in refused.stderr and SECRET not in refused.stderr + refused.stdout
    assert json.loads(tracker("status", "list", "--json").stdout) == []
    file.write_text(f"{good}\n{good}\n", encoding="utf-8")
    assert tracker("status", "import", file).returncode == 0
    assert tracker("status", "import", file).returncode == 0
    [message] = json.loads(tracker("status", "list", "--json").stdout)
    assert message["text"] == "DM us on <PHONE>"
    assert message["at"] == "2026-03-05T05:40:30+00:00" and message["precision"] == "minute"
