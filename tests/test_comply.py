"""Re-checking stored posts: the real clients against platforms on loopback, the real store."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from compliance_servers import AppView, XCompliance
from conftest import KEY, NOW
from labelled import MODEL, labels
from mastodon_server import MastodonInstance, Toot
from platforms import (
    DROPPED,
    HTML,
    REDDIT_ID,
    REDDIT_SECRET,
    TRUNCATED,
    X_TOKEN,
    RedditItem,
    RedditPlatform,
    body,
    edited,
    status,
)
from sqlalchemy import select

from collector.compliance import JOB_PATIENCE_SECONDS, Round, last_round, recheck
from collector.compliance_commands import _comply
from collector.runner import Runner, Stopped
from collector.sources import bluesky, mastodon, reddit, x_compliance
from data import tables
from data.records import Post
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from platforms import Fault, Platform

    from collector.presence import Check
    from data.settings import Settings
    from data.store import Store

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SOURCES = ("x jobs", "x lookup", "reddit", "mastodon", "bluesky")


@dataclass
class Place:
    """A platform and the posts on it, all of one source."""

    kind: str
    platform: Platform
    ids: list[str]

    @property
    def source(self) -> str:
        return self.kind.partition(" ")[0]

    @property
    def environment(self) -> dict[str, str]:
        address = {"x": "TRACKER_X_URL", "reddit": "TRACKER_REDDIT_URL"}
        address |= {"mastodon": "TRACKER_MASTODON_URLS", "bluesky": "TRACKER_BLUESKY_URL"}
        keys = {"x": {"X_BEARER_TOKEN": X_TOKEN}}
        keys["reddit"] = {"REDDIT_CLIENT_ID": REDDIT_ID, "REDDIT_CLIENT_SECRET": REDDIT_SECRET}
        return {address[self.source]: self.platform.url} | keys.get(self.source, {})

    def settings(self, url: str) -> Settings:
        return load_settings(database_url=url, pseudonym_key=KEY, pretended_now=NOW)

    def check(self, settings: Settings) -> Check:
        openers: dict[str, Callable[[Settings], Check]] = {
            "x jobs": x_compliance.open_check,
            "x lookup": lambda settings: x_compliance.open_check(settings, lookup=True),
            "reddit": reddit.open_check,
            "mastodon": mastodon.open_check,
            "bluesky": bluesky.open_check,
        }
        return openers[self.kind](settings)

    def delete(self, *ids: str) -> None:
        for id_ in ids:
            self._delete(id_, ids.index(id_))

    def _delete(self, id_: str, turn: int) -> None:
        if isinstance(self.platform, XCompliance):
            self.platform.ids.remove(id_)
        elif isinstance(self.platform, AppView):
            self.platform.uris.remove(id_)
        elif isinstance(self.platform, MastodonInstance):
            self.platform.posts = {key: each for key, each in self.platform.posts.items() if each.id != id_}
        elif isinstance(self.platform, RedditPlatform):
            [item] = [item for item in self.platform.items if item.name == id_]
            gone = [replace(item, author=None), replace(item, text="[deleted]"), replace(item, text="[removed]")]
            self.platform.items[self.platform.items.index(item)] = gone[turn % 3]


def build(kind: str, count: int) -> Place:
    if kind.startswith("x"):
        ids = [str(2_029_000_000_000_000_000 + number) for number in range(count)]
        return Place(kind, XCompliance(lambda: NOW, ids), ids)
    if kind == "reddit":
        items = [
            RedditItem(f"k{number}", NOW, "eCitizen imelala", title="Help" if number % 2 else None)
            for number in range(count)
        ]
        return Place(kind, RedditPlatform(lambda: NOW, items), [item.name for item in items])
    if kind == "mastodon":
        platform = MastodonInstance(lambda: NOW, host="")
        platform.host = platform.url.removeprefix("http://")
        platform.publish([Toot(number, NOW, "eCitizen", host=platform.host) for number in range(count)])
        return Place(kind, platform, [f"{platform.host}/{number}" for number in range(count)])
    ids = [f"at://did:plc:{number % 9}abc/app.bsky.feed.post/3k{number}" for number in range(count)]
    return Place(kind, AppView(lambda: NOW, ids), ids)


@pytest.fixture(params=SOURCES)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = build(request.param, 230)
    with place.platform:
        for name, value in place.environment.items():
            monkeypatch.setenv(name, value)
        yield place


def fill(store: Store, place: Place, **fields: Any) -> None:
    store.save_page(posts_of(place, **fields))


def posts_of(place: Place, **fields: Any) -> list[Post]:
    """Some minutes of them hold several posts."""
    return [
        Post(place.source, id_, NOW - DAY - number // 3 * MINUTE, f"eCitizen imelala {number}", f"h{number}", **fields)
        for number, id_ in enumerate(place.ids)
    ]


class Asking:
    """Re-checks as the command does, without sleeping."""

    def __init__(self, place: Place, url: str) -> None:
        self.place, self.settings = place, place.settings(url)
        self.store = open_store(self.settings)
        self.waits: list[float] = []

    def run(self, *, stop_after: int | None = None, **options: Any) -> Round | None:
        left = stop_after

        def wait(seconds: float) -> bool:
            nonlocal left
            self.waits.append(seconds)
            left = None if left is None else left - 1
            return left == 0

        runner = Runner(self.store, self.settings.now, wait, lambda _line: None)
        try:
            return recheck(runner, self.place.check(self.settings), **options)
        except Stopped:
            return None

    def done(self, **options: Any) -> Round:
        result = self.run(**options)
        assert result is not None
        return result

    def stored(self) -> set[str]:
        with self.store.engine.connect() as connection:
            return set(connection.execute(select(tables.posts.c.id)).scalars())

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.store.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]


@pytest.fixture
def asking(place: Place, tmp_path: Path) -> Iterator[Asking]:
    asking = Asking(place, f"sqlite:///{tmp_path / 'posts.db'}")
    fill(asking.store, place)
    yield asking
    asking.store.close()


def test_what_is_gone_at_the_platform_is_erased_and_stays_out(place: Place, url: str) -> None:
    asking = Asking(place, url)
    fill(asking.store, place)
    gone = place.ids[3:230:29]
    place.delete(*gone)
    result = asking.done()
    assert (result.outcome, result.asked, result.gone, result.unaskable) == ("done", 230, len(gone), 0)
    assert asking.stored() == set(place.ids) - set(gone)
    assert {(row["kind"], row["id"]) for row in asking.rows(tables.tombstones)} == {("post", id_) for id_ in gone}
    told = [row["detail"] for row in asking.rows(tables.audit) if row["action"] == "erase as at the platform"]
    assert sorted(id_ for detail in told for id_ in detail["ids"]) == sorted(gone)
    assert asking.store.save_page(posts_of(place)).dropped == len(gone)
    assert last_round(asking.store, place.source) == NOW
    again = asking.done()
    assert (again.asked, again.gone) == (230 - len(gone), 0)
    asking.store.close()


FAULTS = {
    "down": [status(500), status(503), status(502)] * 20,
    "busy": [status(429)] * 40,
    "refused": [status(403)],
    "no key": [status(401)] * 9,
    "dropped": [DROPPED] * 60,
    "a web page": [HTML] * 40,
    "a web page under 404": [status(404, b"<html>parked</html>")] * 40,
    "cut off": [TRUNCATED] * 60,
    "empty object": [body({})] * 40,
    "list": [body([])] * 40,
    "null": [body(None)] * 40,
    "empty": [body(b"")] * 40,
    "a redirect": [status(302, Location="http://127.0.0.1:9/")] * 40,
    "deep": [body(b"[" * 100_000)] * 40,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_of_a_platform_erases_a_post(place: Place, asking: Asking, fault: str) -> None:
    place.platform.fail(*FAULTS[fault])
    result = asking.done()
    assert (result.outcome in ("failed", "refused"), bool(result.note), result.gone) == (True, True, 0), result
    assert asking.stored() == set(place.ids)
    assert last_round(asking.store, place.source) is None
    place.platform.mend()
    place.delete(place.ids[5])
    assert asking.done().gone == 1
    assert asking.stored() == set(place.ids) - {place.ids[5]}


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.campaign) for n in (2, 3))])
def test_among_random_faults_and_stops_exactly_what_is_gone_is_erased(place: Place, asking: Asking, seed: int) -> None:
    print(f"seed {seed}")
    draw = random.Random(seed)
    faults: list[Fault] = [status(500), status(429), DROPPED, HTML, TRUNCATED, body({}), status(503, Retry_After="1")]
    gone: set[str] = set()
    for _ in range(5):
        some = draw.sample(sorted(set(place.ids) - gone), 6)
        place.delete(*some)
        gone |= set(some)
        place.platform.fail(*(draw.choice(faults) for _ in range(draw.randint(0, 8))))
        asking.run(stop_after=draw.choice([None, 1, 2, 3]))
        assert asking.stored() >= set(place.ids) - gone
    place.platform.mend()
    for _ in range(2):  # the round that was cut off, and a whole one
        assert asking.done().outcome == "done"
    assert asking.stored() == set(place.ids) - gone
    assert len(asking.rows(tables.tombstones)) == len(gone)


@pytest.mark.parametrize("most", [115, 116, 230])
def test_more_than_half_gone_needs_a_persons_word(place: Place, asking: Asking, most: int) -> None:
    # Evenly over all pages, so that each has as large a share.
    place.delete(*random.Random(7).sample(place.ids, most))
    before = len(asking.stored())
    result = asking.done()
    if most == 230:
        assert (result.outcome, result.gone) == ("refused", 0)
        assert len(asking.stored()) == before
    elif result.outcome == "refused":
        assert f"tracker comply {place.source} --yes" in (result.note or "")
        assert last_round(asking.store, place.source) is None
    assert asking.done(trust=True).outcome == "done"
    assert len(asking.stored()) == 230 - most


def test_a_round_goes_on_where_it_was_cut_off_and_asks_of_each_post_once(place: Place, asking: Asking) -> None:
    place.delete(place.ids[0], place.ids[229])
    rounds = 0
    asked = 0
    while (result := asking.run(stop_after=1)) is None:
        rounds += 1
        assert rounds < 40
    asked = sum(row["detail"]["asked"] for row in asking.rows(tables.audit) if row["action"] == "comply")
    assert (result.outcome, asked) == ("done", 230)
    assert asking.stored() == set(place.ids[1:-1])
    if isinstance(place.platform, XCompliance) and place.kind == "x jobs":
        assert (len(place.platform.jobs), place.platform.uploads) == (1, 1)
    elif isinstance(place.platform, AppView):
        assert len(place.platform.asked) == len(set(place.platform.asked)) == 230


def test_only_what_was_written_since_is_asked_about(place: Place, asking: Asking) -> None:
    place.delete(place.ids[1], place.ids[200])
    since = NOW - DAY - 10 * MINUTE
    result = asking.done(since=since)
    assert (result.asked, result.gone) == (33, 1)
    assert last_round(asking.store, place.source) is None  # it was no whole round
    assert asking.done().gone == 1


def test_posts_of_a_demonstration_and_ids_of_another_kind_are_not_asked_about(place: Place, tmp_path: Path) -> None:
    asking = Asking(place, f"sqlite:///{tmp_path / 'posts.db'}")
    fill(asking.store, place, synthetic=True)
    odd = ["not an id", "t3_UPPER", "mbali.example/12", "10.0.0.1/5", "localhost/7", "at://x/y/z", "a.test/9"]
    asking.store.save_page([Post(place.source, id_, NOW - DAY, "eCitizen") for id_ in odd])
    place.delete(*place.ids)
    result = asking.done()
    assert (result.outcome, result.asked, result.gone, result.unaskable) == ("done", 0, 0, len(odd))
    assert asking.stored() == {*place.ids, *odd}
    asking.store.close()


def only(*kinds: str) -> Any:
    return pytest.mark.parametrize("place", kinds, indirect=True)


@only("x jobs")
def test_x_tells_why_and_what_is_only_about_a_place_stays(place: Place, asking: Asking) -> None:
    assert isinstance(place.platform, XCompliance)
    reasons = ["deleted", "bounced", "protected", "suspended", "deactivated", "scrub_geo", "a new one"]
    place.platform.reasons = dict(zip(place.ids, reasons, strict=False))
    place.delete(*place.ids[:7])
    assert asking.done().gone == 5
    assert set(place.ids) - asking.stored() == set(place.ids[:5])


@only("x jobs")
def test_a_job_whose_posts_were_all_erased_meanwhile_does_not_end_the_round(place: Place, asking: Asking) -> None:
    assert asking.run(stop_after=1) is None
    for id_ in place.ids:
        asking.store.erase_post("x", id_)
    late = [Post("x", "77", NOW - 300 * DAY, "eCitizen"), Post("x", "78", NOW - 300 * DAY, "eCitizen")]
    asking.store.save_page(late)
    assert isinstance(place.platform, XCompliance)
    place.platform.ids = {"77"}
    result = asking.done()
    assert (result.outcome, result.gone, len(place.platform.jobs)) == ("done", 1, 2)
    assert asking.stored() == {"77"}


@only("x jobs")
def test_a_job_that_x_fails_at_is_made_anew_and_not_for_ever(place: Place, asking: Asking) -> None:
    assert isinstance(place.platform, XCompliance)
    place.delete(place.ids[0])
    place.platform.ends = ["failed", "expired"]
    assert (asking.done().gone, len(place.platform.jobs)) == (1, 3)
    place.platform.ends = ["failed"] * 3
    result = asking.done()
    assert (result.outcome, len(place.platform.jobs)) == ("refused", 6)
    assert asking.done().outcome == "done"
    kept = json.dumps(asking.rows(tables.cursors) + asking.rows(tables.audit), default=str)
    assert "signed" not in kept  # whoever has such an address can open the file


@only("x lookup")
def test_a_look_up_is_paid_for_what_is_still_there(place: Place, asking: Asking) -> None:
    assert isinstance(place.platform, XCompliance)
    place.platform.reasons = {place.ids[0]: "protected", place.ids[1]: "withheld"}
    place.delete(*place.ids[:3])
    result = asking.done()
    assert set(place.ids) - asking.stored() == {place.ids[0], place.ids[2]}
    assert place.platform.posts_read == 227 and result.cost_usd == pytest.approx(227 * 0.005)


@only("x lookup")
def test_a_look_up_that_x_does_not_answer_costs_nothing(place: Place, asking: Asking) -> None:
    place.platform.fail(*[status(503)] * 6)
    assert asking.done().outcome == "failed"
    assert [row["posts"] for row in asking.rows(tables.spending)] == [0]


@only("reddit")
def test_what_reddit_leaves_out_or_names_no_author_of_is_not_gone(place: Place, asking: Asking) -> None:
    def thin(answer: Any) -> Any:
        children = answer["data"]["children"]
        for child in children[:30]:
            child["data"].pop("author")
        del children[60:]
        return answer

    place.platform.fail(*[edited(thin, path="/api/info")] * 3)
    result = asking.done()
    assert (result.outcome, result.gone) == ("done", 0)


@only("bluesky")
def test_an_answer_about_other_posts_is_not_believed(place: Place, asking: Asking) -> None:
    other = {"posts": [{"uri": "at://did:plc:other/app.bsky.feed.post/3k"}]}
    place.platform.fail(*[body(other)] * 9)
    assert asking.done().outcome == "failed"
    assert asking.stored() == set(place.ids)


@only("mastodon")
def test_the_answer_must_be_about_the_post(place: Place, asking: Asking) -> None:
    place.platform.fail(*[edited(lambda answer: {**answer, "id": "99999"})] * 9)
    assert asking.done().outcome == "failed"
    place.platform.mend()
    place.platform.fail(status(410, {"error": "Gone"}), status(404, {"error": "Record not found"}))
    assert asking.done().gone == 2


@only("mastodon")
def test_a_server_that_nobody_chose_and_that_is_silent_stops_nothing(place: Place, asking: Asking) -> None:
    far = [f"no-such-server-{number}.kenya-outages-nowhere.net/{number}" for number in range(3)]
    asking.store.save_page([Post("mastodon", id_, NOW - DAY, "eCitizen") for id_ in far])
    place.delete(place.ids[100])
    result = asking.done()
    assert (result.outcome, result.gone, result.unanswered) == ("done", 1, 3)
    assert "3 servers did not answer" in (result.note or "")


@contextmanager
def ill_server(place: Place, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Another instance of Mastodon on the list, with 60 stored posts."""
    ill = build("mastodon", 60)
    with ill.platform:
        monkeypatch.setenv("TRACKER_MASTODON_URLS", f"{place.platform.url},{ill.platform.url}")
        asking.settings = place.settings(asking.store.engine.url.render_as_string())
        asking.store.save_page([Post("mastodon", id_, NOW - MINUTE, "eCitizen") for id_ in ill.ids])
        yield ill


@pytest.mark.parametrize(
    ("fault", "outcome", "says"),
    [
        (status(401), "refused", "take it off the list"),
        (status(503), "failed", "is failing (503)"),
        (status(429), "failed", "asks to wait"),
        (DROPPED, "failed", "no usable answer"),
        (status(404, {"error": "Record not found"}), "refused", "tracker comply mastodon --yes"),
    ],
    ids=["refused", "down", "busy", "dropped", "all gone"],
)
@only("mastodon")
def test_a_server_of_the_list_that_fails_stops_no_other(
    place: Place, asking: Asking, monkeypatch: pytest.MonkeyPatch, fault: Fault, outcome: str, says: str
) -> None:
    with ill_server(place, asking, monkeypatch) as ill:
        ill.platform.fail(*[fault] * 300)
        gone = place.ids[5:230:50]
        place.delete(*gone)
        result = asking.done()
        assert (result.outcome, result.asked, result.gone, result.unanswered) == (outcome, 230, len(gone), 60)
        assert says in (result.note or "")
        assert asking.stored() == {*place.ids, *ill.ids} - set(gone)
        assert last_round(asking.store, "mastodon") is None
        assert last_round(asking.store, "mastodon", whole=False) == NOW  # until the next is due
        ill.platform.mend()
        ill.delete(ill.ids[3])
        again = asking.done()
        assert (again.outcome, again.asked, again.gone) == ("done", 230 - len(gone) + 60, 1)
        assert last_round(asking.store, "mastodon") == NOW


@only("mastodon")
def test_after_a_stop_a_round_that_left_a_server_out_is_followed_by_a_whole_one(
    place: Place, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ill_server(place, asking, monkeypatch) as ill:
        ill.platform.fail(status(401))
        assert asking.run(stop_after=4) is None  # when the first pages were passed over
        ill.delete(ill.ids[59])
        assert (asking.done().outcome, last_round(asking.store, "mastodon")) == ("done", NOW)
        assert asking.stored() == {*place.ids, *ill.ids} - {ill.ids[59]}


@only("x jobs")
def test_a_job_that_x_does_not_end_is_left_and_taken_up_by_the_next_run(place: Place, asking: Asking) -> None:
    assert isinstance(place.platform, XCompliance)
    place.delete(place.ids[7])
    place.platform.looks = 10_000
    for _ in range(2):
        asking.waits.clear()
        result = asking.done()
        assert (result.outcome, result.gone) == ("waiting", 0) and "still at work" in (result.note or "")
        assert 300 < sum(asking.waits) <= JOB_PATIENCE_SECONDS
        assert last_round(asking.store, "x") is None
    place.platform.looks = 0
    result = asking.done()
    assert (result.outcome, result.gone, len(place.platform.jobs), place.platform.uploads) == ("done", 1, 1, 1)


@only("bluesky")
def test_exports_are_named_for_what_was_erased_meanwhile_and_once(
    place: Place, asking: Asking, tracker: Callable[..., CompletedProcess[str]]
) -> None:
    def named() -> list[str]:
        done = tracker("comply", "--json", **place.environment)
        assert done.returncode == 0, done.stderr
        return [each["file"] for each in json.loads(done.stdout)["exports_to_withdraw"]]

    asking.store.activate_model(MODEL, "0" * 64)
    asking.store.save_labels(MODEL, [(place.source, id_, labels()) for id_ in place.ids])
    assert tracker("export", "out.csv", "--tier", "public").returncode == 0
    place.delete(place.ids[0])
    asking.store.save_page([], source="bluesky", stream="posts", cursor={}, deleted_posts=[place.ids[0]])
    assert named() == ["out.csv"]
    assert named() == []
    asking.store.save_page([], source="bluesky", stream="posts", cursor={}, deleted_posts=[place.ids[1]])
    place.delete(place.ids[1])
    assert named() == ["out.csv"]


@only("bluesky")
def test_rounds_that_go_on_outlast_a_database_that_fails(
    place: Place, asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    own = {"database_url": f"sqlite:///{tmp_path / 'posts.db'}", "pseudonym_key": KEY, "pretended_now": NOW}
    place.delete(place.ids[0])
    turns = []

    def wait(seconds: float) -> bool:
        if seconds < 60:  # the platform's pace
            return False
        turns.append(asking.stored())
        back = {1: "away_cursors TO cursors", 2: "cursors TO away_cursors"}[len(turns)]
        with asking.store.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {back.replace(' TO ', ' RENAME TO ')}")
        return len(turns) == 2

    with asking.store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE cursors RENAME TO away_cursors")
    how = {"lookup": False, "yes": False, "every": 60, "as_json": False, "is_chosen": True}
    _comply(load_settings(**own), [place.source], None, wait, **how)  # the database fails again as it ends
    assert turns == [set(place.ids), set(place.ids[1:])]
    said = capsys.readouterr().out
    assert "database failed" in said and "eCitizen" not in said


@pytest.mark.campaign
@only("bluesky", "x jobs")
def test_killed_at_any_moment_and_run_again_exactly_what_is_gone_is_erased(
    place: Place, asking: Asking, tmp_path: Path
) -> None:
    gone = place.ids[10:230:20]
    place.delete(*gone)
    place.platform.delay_seconds = 0.1
    command = [sys.executable, "-m", "tracker", "comply", place.source]
    settings = {"TRACKER_DATABASE_URL": f"sqlite:///{tmp_path / 'posts.db'}", "TRACKER_PSEUDONYM_KEY": KEY}
    environment = os.environ | place.environment | settings | {"TRACKER_NOW": NOW.isoformat()}
    for pages in (1, 2, 3):
        before = len(place.platform.requests)
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        place.platform.await_requests(before + pages, lambda process=process: process.poll() is not None)
        process.kill()
        process.wait()
        assert asking.stored() >= set(place.ids) - set(gone)
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert asking.stored() == set(place.ids) - set(gone)
    if isinstance(place.platform, AppView):  # a page that was cut off is asked for again, no more
        assert len(place.platform.asked) <= 230 + 3 * 25
    elif isinstance(place.platform, XCompliance):
        assert len(place.platform.jobs) <= 2
    names = [path for path in tmp_path.glob("posts.db*") if b"eCitizen imelala 30" in path.read_bytes()]
    assert not names  # the text of one that is gone, in no file of the database


@only("bluesky")
def test_the_command_the_audit_log_and_the_doctor(
    place: Place, asking: Asking, tracker: Callable[..., CompletedProcess[str]]
) -> None:
    asking.store.save_page([Post("news", "abc", NOW - DAY, "eCitizen")])
    asking.store.activate_model(MODEL, "0" * 64)
    asking.store.save_labels(MODEL, [(place.source, id_, labels()) for id_ in place.ids])

    def doctor() -> tuple[str, str]:
        checks = json.loads(tracker("doctor", "--json", **place.environment).stdout)["checks"]
        assert not [check for check in checks if check["name"] == "bluesky comply"]
        return next((check["state"], check["says"]) for check in checks if check["name"] == "comply")

    assert doctor()[0] == "warning" and "not re-checked for a day: bluesky;" in doctor()[1]
    exported = tracker("export", "out.csv", "--tier", "public")
    assert exported.returncode == 0, exported.stderr
    place.delete(*place.ids[:2])
    done = tracker("comply", "--json", **place.environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sources"]["bluesky"]["gone"] == 2
    assert "off" in told["sources"]["x"]
    assert [each["file"] for each in told["exports_to_withdraw"]] == ["out.csv"]
    assert "news: 1 posts cannot be asked about" in done.stderr and "out.csv (Fri 06 Mar 2026 20:00 EAT)" in done.stderr
    lines = json.loads(tracker("audit", "--json").stdout)
    assert [line["action"] for line in lines] == ["comply", "erase as at the platform", "export"]
    assert "comply" in tracker("audit", "--last", "1").stdout
    assert doctor()[0] == "ok"

    withdrawn = tracker("comply", "--withdraw", "out.csv")
    assert sorted(json.loads(line)["id"] for line in withdrawn.stdout.splitlines()) == sorted(place.ids[:2])
    place.delete(*place.ids[2:])
    stopped = tracker("comply", "bluesky", **place.environment)
    assert stopped.returncode == 1 and "--yes" in stopped.stderr
    assert tracker("comply", "bluesky", "--yes", **place.environment).returncode == 0
    assert asking.stored() == {"abc"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["news"], "cannot be asked"),
        (["facebook"], "choose from"),
        (["x"], "none of these sources is on"),
        (["--since", "yesterday"], "ISO 8601"),
        (["reddit", "--lookup"], "--lookup is for x"),
        (["--output", "f.jsonl"], "--withdraw"),
        (["x", "--withdraw", "f.csv"], "--withdraw goes with"),
        (["--withdraw", "nothing.csv"], "nothing.csv"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    tracker: Callable[..., CompletedProcess[str]], words: list[str], says: str
) -> None:
    ended = tracker("comply", *words)
    assert ended.returncode == 2 and says in ended.stderr and "Traceback" not in ended.stderr
