"""The whole: the demo, the doctor, the supervised service, and the page in a real browser."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import KEY
from typer.testing import CliRunner

from tracker import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(words: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tracker", *words],
        cwd=folder,
        env={**os.environ, "TRACKER_PSEUDONYM_KEY": KEY, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until_served(port: int, process: subprocess.Popen[str]) -> None:
    """Ask the page server until it answers, at most some 30 seconds of connection attempts."""
    for _ in range(300):
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                if answer.read() == b"ok":
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            process_waits(process)
    raise AssertionError("the page was not served")


def process_waits(process: subprocess.Popen[str]) -> None:
    """A tenth of a second, or less when the process ends."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def until_said(process: subprocess.Popen[str], what: str) -> str:
    """Read what the process prints up to the line that holds `what`."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if what in line:
            return printed
    raise AssertionError(f"{what!r} was never said: {printed}")


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended after the test, with their children."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_the_demo_prints_what_was_imported_labelled_and_found(
    tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    process = start(["demo", "--no-serve"], tmp_path)
    ended.append(process)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "replay_2026: 650 read, 650 new, 0 known, 0 skipped" in printed
    assert "busiest day Fri 03 Jan 2025" in printed
    assert "busiest day Thu 05 Mar 2026" in printed
    assert "Huduma Kenya, acknowledged (reply), known to the day" in printed
    found = [line for line in printed.splitlines() if line.startswith("found")]
    assert "payment" in found[0].rpartition("EAT;")[2].split(",")[0]
    assert "lockout" in found[1].rpartition("EAT;")[2].split(",")[0]


def test_the_demo_leaves_a_database_in_use_alone(tracker: Tracker) -> None:
    assert tracker("import", ROOT / "data" / "demo" / "replay_2026.jsonl").returncode == 0
    done = tracker("demo", "--no-serve")
    assert done.returncode == 2
    assert "in use" in done.stderr


def test_the_service_runs_and_stops_cleanly(tmp_path: Path, ended: list[subprocess.Popen[str]]) -> None:
    port = free_port()
    url = f"sqlite:///{tmp_path / 'posts.db'}"
    process = start(["run", "--port", str(port)], tmp_path, TRACKER_DATABASE_URL=url)
    ended.append(process)
    until_said(process, "collect: off")  # no credentials: said once, not tried for ever
    until_served(port, process)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert "collect:" not in printed
    assert printed.rstrip().endswith("stopped")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_the_service_watches_and_alerts_and_starts_that_part_again(
    tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    url = f"sqlite:///{tmp_path / 'posts.db'}"
    process = start(["run", "--port", str(free_port())], tmp_path, TRACKER_DATABASE_URL=url)
    ended.append(process)
    until_said(process, "nobody is told: no alert channel")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    [watch] = [child for child in children if b"\0alerts\0" in Path(f"/proc/{child}/cmdline").read_bytes()]
    os.kill(int(watch), signal.SIGKILL)
    until_said(process, "alerts: ended with status -9; starting it again")
    until_said(process, "nobody is told: no alert channel")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_service_imports_what_is_dropped_into_the_folder_of_the_settings(
    tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    (tmp_path / "tracker.toml").write_text('watch_folder = "inbox"\nwatch_source = "care_desk"\n')
    url = f"sqlite:///{tmp_path / 'posts.db'}"
    process = start(["run", "--port", str(free_port()), "--every", "1"], tmp_path, TRACKER_DATABASE_URL=url)
    ended.append(process)
    until_said(process, "the folder inbox cannot be read")  # and tried again
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "march.csv").write_text(
        "id,created_at,text\nT-1,2026-03-05T09:12:00+03:00,eCitizen iko down\n"
    )
    until_said(process, "file imported")
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    with sqlite3.connect(tmp_path / "posts.db") as connection:
        assert connection.execute("SELECT source, id FROM posts").fetchall() == [("care_desk", "T-1")]
        # Nobody fell silent where nothing was dropped.
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(0,)]
    connection.close()


def test_the_doctor_tells_of_the_watched_folder(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "tracker.toml").write_text('watch_folder = "inbox"\n')

    def told() -> tuple[str, str]:
        [check] = [each for each in json.loads(tracker("doctor", "--json").stdout)["checks"] if each["name"] == "watch"]
        return check["state"], check["says"]

    assert told() == ("failed", "there is no folder inbox: make it")
    (tmp_path / "inbox").mkdir()
    assert told() == ("ok", "inbox is watched")


def test_the_service_starts_a_part_again_that_died(tmp_path: Path, ended: list[subprocess.Popen[str]]) -> None:
    port = free_port()
    process = start(["run", "--port", str(port)], tmp_path, TRACKER_DATABASE_URL=f"sqlite:///{tmp_path / 'posts.db'}")
    ended.append(process)
    until_served(port, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    page = [child for child in children if b"streamlit" in Path(f"/proc/{child}/cmdline").read_bytes()]
    os.kill(int(page[0]), signal.SIGKILL)
    for _ in range(200):  # until the port is free again, which shows that the page server is gone
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                break
        process_waits(process)
    until_served(port, process)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert "dashboard: ended with status -9; starting it again" in printed


def test_the_doctor_tells_what_is_off_and_what_is_stale(tracker: Tracker) -> None:
    tracker("import", ROOT / "data" / "demo" / "replay_2026.jsonl")
    done = tracker("doctor", "--json")
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["x"]["state"] == "off"
    assert checks["clock"]["state"] == "warning"
    assert "650 posts" in checks["database"]["says"]
    assert "DEMO" in checks["data"]["says"]
    assert "tracker classify" in checks["model"]["says"]


def test_the_doctor_fails_where_a_configured_platform_does_not_answer(tracker: Tracker) -> None:
    done = tracker("doctor", X_BEARER_TOKEN="secret-token", TRACKER_X_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "does not answer" in done.stdout
    assert "secret-token" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"TRACKER_DATABASE_URL": "mysql://localhost/x"}, "TRACKER_DATABASE_URL must begin with"),
        ({"TRACKER_DATABASE_URL": "nonsense"}, "TRACKER_DATABASE_URL"),
        ({"TRACKER_NOW": "tomorrow"}, "TRACKER_NOW"),
        ({"TRACKER_PSEUDONYM_KEY": "short"}, "TRACKER_PSEUDONYM_KEY is too short"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(tracker: Tracker, environment: dict[str, str], says: str) -> None:
    done = tracker("status", "list", **environment)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_account_that_is_not_listed_is_no_official(tracker: Tracker) -> None:
    words = ["status", "add", "--at", "2026-03-05", "--status", "resolved", "All is well"]
    done = tracker(*words, "--account", "x:999")
    assert done.returncode == 2
    assert "not confirmed on the list" in done.stderr
    assert tracker(*words, "--office", "Huduma Kenya").returncode == 0
    listed = json.loads(tracker("status", "list", "--json").stdout)
    assert [message["office"] for message in listed] == ["Huduma Kenya"]


def test_every_verb_has_help_with_an_example() -> None:
    for verb in (
        "collect",
        "import",
        "watch",
        "classify",
        "evaluate",
        "train",
        "dashboard",
        "detect",
        "export",
        "erase",
        "doctor",
        "demo",
        "run",
        "alerts run",
        "alerts test",
        "alerts list",
    ):
        done = CliRunner().invoke(app, [*verb.split(), "--help"], env={"COLUMNS": "200"})
        assert done.exit_code == 0
        assert f"Example: tracker {verb}" in done.stdout.replace("\n", " ")


def test_the_rooms_keep_their_walls() -> None:
    """The collector and the classifier never import each other; data imports no other room; nobody but pages knows Streamlit."""
    walls = {
        "collector": {"classifier", "dashboard"},
        "classifier": {"collector", "dashboard"},
        "data": {"collector", "classifier", "dashboard"},
    }
    for room, others in walls.items():
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            imported = {
                name.partition(".")[0]
                for node in ast.walk(tree)
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
            }
            assert not imported & others, path


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_demo_in_a_browser_shows_the_wave_and_the_acknowledgement(
    tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    from playwright.sync_api import expect, sync_playwright

    port = free_port()
    process = start(["demo", "--port", str(port)], tmp_path)
    ended.append(process)
    until_said(process, "the page:")
    until_served(port, process)
    with sync_playwright() as playwright:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        # A viewer far away: the page must show Nairobi's time all the same.
        viewer = browser.new_context(timezone_id="America/Los_Angeles", viewport={"width": 1400, "height": 1400})
        shown = viewer.new_page()
        faults: list[str] = []
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.goto(f"http://127.0.0.1:{port}/")
        expect(shown.get_by_text("DEMO: these posts are synthetic")).to_be_visible(timeout=60_000)
        expect(shown.get_by_text("lockout share")).to_be_visible(timeout=60_000)
        chart = shown.locator(".stVegaLiteChart").first
        expect(chart).to_be_visible(timeout=60_000)
        expect(chart.get_by_text("Huduma Kenya: acknowledged")).to_be_visible(timeout=60_000)
        expect(chart.get_by_text("Thu 05 Mar").first).to_be_visible()
        bars = chart.locator("path[aria-label*='People complaining'][aria-label*='Thu 05 Mar'][aria-label*='lockout']")
        assert bars.count() > 5
        bars.nth(3).click()
        expect(shown.get_by_text("Posts behind the bar of Thu 05 Mar")).to_be_visible(timeout=60_000)
        shown.get_by_role("link", name="Incidents").click()
        expect(shown.get_by_role("heading", name="Incidents")).to_be_visible(timeout=60_000)
        ladder = shown.locator(".stVegaLiteChart").first
        expect(ladder.get_by_text("Huduma Kenya: acknowledged (one person)")).to_be_visible(timeout=60_000)
        expect(ladder.get_by_text("some time on Thu 05 Mar").first).to_be_visible()
        shown.screenshot(path=tmp_path / "page.png")
        browser.close()
    assert not faults
