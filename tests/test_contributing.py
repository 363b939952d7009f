"""The worked example of CONTRIBUTING.md, put in place as it says, and collected with."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import NOW
from platforms import HTML, Platform, _Answer, body, status

from collector.sources import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class Board(Platform):
    """The notice board."""

    def __init__(self, *notices: Any) -> None:
        super().__init__(lambda: NOW)
        self.notices = list(notices)

    def reads(self, path: str) -> bool:
        return path == "/notices.json"

    def error_body(self, code: int) -> Any:
        return {"fault": code}

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if not self.reads(path):
            raise _Answer(404, self.error_body(404))
        return {"notices": self.notices}


def notice(number: int, at: Any, words: str = "Malipo ya eCitizen hayapatikani leo") -> dict[str, Any]:
    return {"number": number, "at": at.isoformat(), "words": words}


def blocks() -> dict[str, str]:
    """The code of the text by the file that it says it belongs to."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {name: code for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL)}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The project with the source of the text in it, where commands run."""
    shutil.copytree(ROOT / "collector", tmp_path / "collector", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data", "classifier", "dashboard", "tracker.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def put_in_place(house: Path, url: str) -> None:
    for name, code in blocks().items():
        path = house / name
        if path.exists():  # a line of the text in place of the line that begins like it
            begin = code.partition("=")[0]
            kept = path.read_text(encoding="utf-8")
            assert kept.count(f"\n{begin}=") == 1
            code = re.sub(rf"(?m)^{re.escape(begin)}=.*$", code.strip(), kept)
        path.write_text(code.replace("https://board.example", url), encoding="utf-8")


def test_the_text_names_every_source_there_is() -> None:
    assert '", "'.join(NAMES) in blocks()["collector/sources/__init__.py"]


def test_the_source_of_the_text_is_collected_explained_and_examined(house: Path, tracker: Callable[..., Any]) -> None:
    others = [notice(number, NOW - number * MINUTE, "Barabara imefungwa") for number in (12, 13, 14)]
    listed = [notice(1, NOW - DAY), *others, {"number": 3}]
    with Board(*listed) as board:
        put_in_place(house, board.url)
        explained = json.loads(tracker("collect", "--explain", "board", "--json").stdout)["sources"]["board"]
        assert explained == [{"stream": "notices", "asks": f"{board.url}/notices.json", "sifts": True}]
        done = tracker("collect", "board", "--once", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)["board"]
        assert (told["fetched"], told["new"], told["dropped"], told["gaps"]) == (2, 1, 1, 0)
        whole = {"TRACKER_NOW": (NOW + DAY).isoformat()}
        board.notices = [notice(1, NOW - DAY), notice(5, NOW + DAY / 2), *others[1:]]
        told = json.loads(tracker("collect", "board", "--once", "--json", **whole).stdout)["board"]
        assert (told["new"], told["gaps"]) == (1, 0)
        later = {"TRACKER_NOW": (NOW + 9 * DAY).isoformat()}
        pinned = [notice(1, NOW - DAY), others[1]]
        board.notices = [*pinned, notice(4, NOW + 8 * DAY)]
        told = json.loads(tracker("collect", "board", "--once", "--json", **later).stdout)["board"]
        assert (told["new"], told["duplicate"], told["gaps"]) == (1, 1, 1)
        board.fail(HTML, body(b'{"notices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), status(404))
        refused = tracker("collect", "board", "--once", **later)
        assert refused.returncode == 1 and refused.stderr.count("gave no usable answer") >= 2
        assert "404" in refused.stderr and "Traceback" not in refused.stderr
        checks = {each["name"]: each for each in json.loads(tracker("doctor", "--json", **later).stdout)["checks"]}
    assert checks["board"]["state"] == "ok" and checks["board streams"]["state"] == "ok"
    assert checks["board run"]["state"] == "warning"
    assert "hayapatikani" not in done.stdout + done.stderr
