"""`tracker doctor` on the sources: wrong keys, missing tiers, a skewed clock, stale streams, open circuits."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from conftest import NOW
from official_server import DID, X_ACCOUNT, Accounts, sayings
from platforms import REDDIT_ID, REDDIT_SECRET, X_TOKEN, RedditPlatform, XPlatform, status, submissions, x_posts

from data.store import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from data.store import Store

    Tracker = Callable[..., CompletedProcess[str]]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def doctor(tracker: Tracker, **environment: str) -> dict[str, dict[str, Any]]:
    done = tracker("doctor", "--json", **environment)
    assert "siri" not in done.stdout + done.stderr and X_TOKEN not in done.stdout + done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == any(check["state"] == "failed" for check in checks.values())
    return checks


@pytest.fixture
def x() -> Iterator[XPlatform]:
    with XPlatform(lambda: NOW, x_posts(3, NOW - MINUTE)) as platform:
        yield platform


def test_the_right_key_of_x_is_taken_and_no_post_is_read(tracker: Tracker, x: XPlatform) -> None:
    check = doctor(tracker, X_BEARER_TOKEN=X_TOKEN, TRACKER_X_URL=x.url)["x"]
    assert (check["state"], check["says"]) == ("ok", "X_BEARER_TOKEN is taken")
    assert x.posts_read == 0


def test_a_wrong_key_of_x_is_found(tracker: Tracker, x: XPlatform) -> None:
    check = doctor(tracker, X_BEARER_TOKEN="siri", TRACKER_X_URL=x.url)["x"]
    assert check["state"] == "failed" and "X_BEARER_TOKEN is wrong (401)" in check["says"]


@pytest.mark.parametrize(
    ("code", "state", "says"),
    [
        (402, "failed", "credits"),
        (403, "failed", "access level"),
        (404, "failed", "TRACKER_X_URL"),
        (429, "warning", "429"),
        (503, "warning", "503"),
    ],
)
def test_what_x_says_of_the_project_is_told(tracker: Tracker, x: XPlatform, code: int, state: str, says: str) -> None:
    x.fail(status(code, path=XPlatform.ROUTE))
    check = doctor(tracker, X_BEARER_TOKEN=X_TOKEN, TRACKER_X_URL=x.url)["x"]
    assert check["state"] == state and says in check["says"]


@pytest.mark.parametrize(
    ("secret", "code", "state", "says"),
    [
        (REDDIT_SECRET, None, "ok", "are taken"),
        ("siri", None, "failed", "check its credentials"),
        (REDDIT_SECRET, 403, "failed", "approved"),
        (REDDIT_SECRET, 404, "failed", "subreddit"),
    ],
)
def test_reddit_is_asked_with_the_key(tracker: Tracker, secret: str, code: int | None, state: str, says: str) -> None:
    with RedditPlatform(lambda: NOW, submissions(3, NOW - MINUTE)) as reddit:
        if code is not None:
            reddit.fail(status(code, path="/comments"))
        environment = {"REDDIT_CLIENT_ID": REDDIT_ID, "REDDIT_CLIENT_SECRET": secret, "TRACKER_REDDIT_URL": reddit.url}
        check = doctor(tracker, **environment)["reddit"]
    assert check["state"] == state and says in check["says"]


@pytest.mark.parametrize(
    ("faults", "state", "says"),
    [
        ([], "ok", "3 timelines and feeds of confirmed accounts: each answers"),
        ([status(403, path=f"/2/users/{X_ACCOUNT}")], "warning", "does not include timelines of accounts (403)"),
        ([status(503, path="/api/v1/accounts")], "warning", "mastodon"),
        ([status(403, path="/2/users"), status(503, path="/api/v1"), status(503, path="/xrpc")], "failed", "bluesky"),
    ],
)
def test_the_timelines_of_confirmed_accounts_are_asked_and_no_post_on_x_is_read(
    tracker: Tracker, store: Store, faults: list[Any], state: str, says: str
) -> None:
    with Accounts(lambda: NOW, sayings(3, NOW - MINUTE)) as accounts:
        ours = {"handle": None, "office": "Directorate of eCitizen", "is_ecitizen": True, "who": "desk 2"}
        for key in (f"x:{X_ACCOUNT}", f"bluesky:{DID}", f"mastodon:{accounts.page}"):
            store.confirm_account(key, **ours, evidence="https://example.org/accounts")
        for fault in faults:
            accounts.fail(fault)
        urls = {"TRACKER_X_URL": accounts.url, "TRACKER_BLUESKY_URL": accounts.url}
        check = doctor(tracker, X_BEARER_TOKEN=X_TOKEN, **urls)["official"]
    assert check["state"] == state and says in check["says"]


class Dated:
    """Servers on loopback, each with a clock that is so far ahead of ours; None tells no time."""

    def __init__(self, *ahead: timedelta | None) -> None:
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), self._handler(each)) for each in ahead]
        self.urls = ",".join(f"http://127.0.0.1:{server.server_port}/{n}" for n, server in enumerate(self._servers))

    def __enter__(self) -> Dated:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @staticmethod
    def _handler(ahead: timedelta | None) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(200)
                if ahead is not None:
                    self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
                else:
                    self.send_header("Date", "half past eight")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                pass

        return Handler


@pytest.mark.parametrize(
    ("ahead", "says"),
    [
        ([timedelta(0)], "within 120 s"),
        ([timedelta(minutes=10)], "s behind the platforms' clocks"),
        ([-timedelta(hours=3)], "s ahead of the platforms' clocks"),
        ([timedelta(0), timedelta(0), timedelta(days=400)], "within 120 s"),
        ([None, timedelta(minutes=10)], "s behind"),
    ],
)
def test_a_skewed_clock_is_found_by_the_answers(tracker: Tracker, ahead: list[timedelta | None], says: str) -> None:
    with Dated(*ahead) as servers:
        checks = doctor(tracker, TRACKER_FEED_URLS=servers.urls)
    assert checks["news"]["state"] == "ok"
    assert says in checks["clock skew"]["says"]
    assert checks["clock skew"]["state"] == ("ok" if "within" in says else "warning")


def test_where_no_platform_tells_the_time_nothing_is_said_of_it(tracker: Tracker) -> None:
    with Dated(None) as servers:
        assert "clock skew" not in doctor(tracker, TRACKER_FEED_URLS=servers.urls)


def test_streams_that_were_not_read_lately_are_told_and_those_that_are_gone_are_not(
    tracker: Tracker, store: Store
) -> None:
    with Dated(timedelta(0), timedelta(0)) as servers:
        one, two = (url.removeprefix("http://") for url in servers.urls.split(","))
        assert "news streams" not in doctor(tracker, TRACKER_FEED_URLS=servers.urls)  # never run
        store.save_page([], source="news", stream=one, cursor={})
        store.save_page([], source="news", stream="a feed of last year", cursor={})
        store.save_run(RunRecord("news", NOW - MINUTE, NOW, "done"))
        environment = {"TRACKER_FEED_URLS": servers.urls}
        check = doctor(tracker, **environment, TRACKER_NOW=(NOW + HOUR).isoformat())["news streams"]
        assert check["state"] == "ok" and check["says"].startswith("1 of 2 streams were read")
        store.save_page([], source="news", stream=two, cursor={})
        check = doctor(tracker, **environment, TRACKER_NOW=(NOW + 4 * HOUR).isoformat())["news streams"]
        assert check["state"] == "warning"
        assert check["says"] == "2 of 2 streams were last read Fri 06 Mar 2026 20:00 EAT: is `tracker run` running?"
        store.save_page([], source="news", stream=one, cursor={"closed_at": NOW.isoformat()})  # needs a login
        check = doctor(tracker, **environment, TRACKER_NOW=(NOW + 4 * HOUR).isoformat())["news streams"]
        assert check["says"].startswith("1 of 2 streams were last read")
        slow = {"TRACKER_EVERY_SECONDS": '{"news": 7200}'}
        check = doctor(tracker, **environment, **slow, TRACKER_NOW=(NOW + 4 * HOUR).isoformat())["news streams"]
        assert check["state"] == "ok"


def test_an_open_circuit_and_a_failed_run_are_told(tracker: Tracker, store: Store) -> None:
    with Dated(timedelta(0)) as servers:
        environment = {"TRACKER_FEED_URLS": servers.urls}
        store.save_run(RunRecord("news", NOW - 9 * MINUTE, NOW - 8 * MINUTE, "failed", "news: it was cut off"))
        checks = doctor(tracker, **environment)
        assert checks["news run"]["says"] == "failed: news: it was cut off" and "news circuit" not in checks
        for _ in range(4):
            store.save_run(RunRecord("news", NOW - 7 * MINUTE, NOW - 6 * MINUTE, "failed", "news: it was cut off"))
        checks = doctor(tracker, **environment)
    assert checks["news circuit"]["state"] == "warning" and "news run" not in checks
    for said in ("after 5 failed runs since Fri 06 Mar 2026 19:51", "cut off", "19:59", "tracker collect news --once"):
        assert said in checks["news circuit"]["says"]
