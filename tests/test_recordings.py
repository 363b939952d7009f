"""What the platforms really answered, through the real clients on loopback into a store, where recordings are at hand.

`TRACKER_CASSETTES` names their folder: recorded traffic of tweepy, praw, python-twitter, Mastodon.py and Jetstream. They hold
strangers' posts and are not part of this project; the other tests carry recordings of our own making.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from conftest import NOW
from jetstream import Jetstream, micros
from platforms import Platform
from sqlalchemy import select

from collector.sources import bluesky, mastodon, reddit, x
from collector.sources.x_api import id_time
from data import tables
from data.errors import RecordError
from data.records import parse_post
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.page import Page, Stream
    from data.store import Store

CASSETTES = os.environ.get("TRACKER_CASSETTES", "")  # before the tests take the settings away
TODAY = datetime.now(UTC)  # recordings are younger than the clock of the other tests


class Recorded(Platform):
    """Answers each request with the recorded body, whatever was asked; and gives any client its token."""

    def __init__(self) -> None:
        super().__init__(lambda: TODAY)
        self.body: Any = None

    def reads(self, path: str) -> bool:
        return "access_token" not in path

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if not self.reads(path):
            return {"access_token": "a token of the tests", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
        return self.body


@pytest.fixture
def platform() -> Iterator[Recorded]:
    with Recorded() as platform:
        yield platform


def folder(name: str) -> Path:
    found = Path(CASSETTES) / name
    if not CASSETTES or not found.is_dir():
        pytest.skip("TRACKER_CASSETTES names no folder of recordings")
    return found


def bodies(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every JSON value that was answered, with the recording it stands in."""
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".yaml", ".json"):
            continue
        content = path.read_text(encoding="utf-8")
        value = yaml.load(content, yaml.CSafeLoader) if path.suffix == ".yaml" else json.loads(content)
        if not isinstance(value, dict) or "interactions" not in value:
            yield path.name, value
            continue
        for interaction in value["interactions"]:
            body = interaction["response"]["body"].get("string") or ""
            raw = body.encode() if isinstance(body, str) else body
            raw = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
            try:
                yield path.name, json.loads(raw)
            except ValueError:
                continue  # a page of HTML, a stream, or nothing


def save(store: Store, page: Page) -> list[str]:
    """As the runner does: what is no post is left out. Returns the ids."""
    posts = [parse_post(record, now=TODAY) for record in page.records if not isinstance(record, RecordError)]
    store.save_page(posts)
    return [post.id for post in posts]


def times(store: Store) -> dict[str, datetime]:
    with store.engine.connect() as connection:
        return {row.id: row.created_at for row in connection.execute(select(tables.posts))}


def read(stream: Stream) -> Page:
    return stream.fetch(None, TODAY)


@pytest.mark.parametrize("library", ["tweepy", "python-twitter-v2"])
def test_recorded_answers_of_x_go_through_tweepy_into_the_store(library: str, platform: Recorded, store: Store) -> None:
    served: dict[str, dict[str, Any]] = {}
    stored: list[str] = []
    for _, body in bodies(folder(library)):
        if not isinstance(body, dict) or not x.is_page(body):
            continue
        data = body["data"] if isinstance(body.get("data"), list) else [body.get("data")]
        posts = [post for post in data if isinstance(post, dict) and "text" in post and "id" in post]
        if not posts:  # accounts, jobs, counts
            continue
        served |= {post["id"]: post for post in posts}
        if not isinstance(body.get("data"), list):  # one post: no answer of a search, but of a file
            stored += [post["id"] for post in x.records(body) if not isinstance(post, RecordError)]
            store.save_page([parse_post(post, now=TODAY) for post in x.records(body)])  # type: ignore[arg-type]
            continue
        platform.body = body
        (search,) = x.open_streams(load_settings(x_bearer_token="a token of the tests", x_url=platform.url))
        stored += save(store, read(search))
    found = times(store)
    assert found.keys() == served.keys() == set(stored)
    assert len(found) > 10
    for identifier, post in served.items():
        said = post.get("created_at")
        at = datetime.fromisoformat(said) if said else id_time(identifier)
        assert abs(found[identifier] - at) < timedelta(seconds=1)  # some were served with and without a time
    assert any("created_at" not in post for post in served.values()) or library != "tweepy"
    print(f"{library}: {len(stored)} posts served, {len(found)} stored")


def test_recorded_listings_of_reddit_go_through_praw_into_the_store(platform: Recorded, store: Store) -> None:
    served: dict[str, dict[str, Any]] = {}
    stored: list[str] = []
    for _, body in bodies(folder("praw")):
        for listing in body if isinstance(body, list) else [body]:
            if not isinstance(listing, dict) or not reddit.is_listing(listing):
                continue
            children = [child["data"] for child in listing["data"]["children"] if child["kind"] in ("t1", "t3")]
            if not children:
                continue
            here = {
                child["name"]: child
                for child in children
                if not {child.get("body"), child.get("selftext"), child.get("title")} & {*reddit.GONE}
            }
            served |= here
            platform.body = listing
            credentials: Any = {"reddit_client_id": "an application", "reddit_client_secret": "its secret"}
            search, _comments = reddit.open_streams(load_settings(reddit_url=platform.url, **credentials))
            ids = save(store, read(search))
            assert set(ids) == here.keys()
            stored += ids
    found = times(store)
    assert found.keys() == served.keys()
    assert len(stored) > len(found) > 400  # some were served again and again
    assert all(found[name].timestamp() == item["created_utc"] for name, item in served.items())
    print(f"praw: {len(stored)} items served, {len(found)} stored")


def test_recorded_timelines_go_through_mastodon_py_into_the_store(platform: Recorded, store: Store) -> None:
    served: dict[str, dict[str, Any]] = {}
    stored: list[str] = []
    for _, body in bodies(folder("Mastodon.py")):
        values = body if isinstance(body, list) else [body]
        statuses = [each for each in values if isinstance(each, dict) and "uri" in each and "content" in each]
        statuses = [each for each in statuses if each["visibility"] in ("public", "unlisted")]
        if not statuses:
            continue
        platform.body = statuses
        timeline = mastodon.open_streams(load_settings(mastodon_urls=platform.url))[0]
        ids = save(store, read(timeline))
        said = [each for each in statuses if mastodon._text(each)]
        assert len(ids) == len(said)
        served |= dict(zip(ids, said, strict=True))
        stored += ids
        # Without their times they get those of their ids, which are of the same moment.
        platform.body = [each | {"created_at": None} for each in said]
        for record in read(timeline).records:
            assert not isinstance(record, RecordError)
            at = datetime.fromisoformat(served[record["id"]]["created_at"])
            assert abs(parse_post(record, now=TODAY).created_at - at) < timedelta(seconds=1)
    found = times(store)
    assert found.keys() == served.keys()
    assert len(found) > 5
    print(f"Mastodon.py: {len(stored)} posts served, {len(found)} stored")


def test_recorded_events_go_through_jetstream_into_the_store(store: Store) -> None:
    lines = (folder("jetstream") / "golden_v1.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    commits = [event["commit"] | {"did": event["did"]} for event in events if event["kind"] == "commit"]
    posts = {
        f"at://{commit['did']}/{bluesky.COLLECTION}/{commit['rkey']}": commit["record"]
        for commit in commits
        if commit["collection"] == bluesky.COLLECTION and commit["operation"] == "create"
    }
    assert posts
    terms = tuple(re.findall(r"\w+", post["text"])[0] for post in posts.values())  # so that each is about something
    end = datetime.fromtimestamp(max(event["time_us"] for event in events) / 1e6, UTC) + timedelta(seconds=1)
    with Jetstream(lambda: end, events) as server:
        stream = bluesky.Firehose(server.url, terms, page_events=len(events))
        for without_time in (False, True):
            if without_time:
                server.events = [_without_time(event) for event in events]
            page = stream.fetch(None, end)
            save(store, page)
            assert {record["id"] for record in page.records if not isinstance(record, RecordError)} == posts.keys()
            for record in page.records:
                assert not isinstance(record, RecordError)
                at = datetime.fromisoformat(posts[record["id"]]["createdAt"])
                assert abs(record["created_at"] - at) < timedelta(seconds=5)
    assert times(store).keys() == posts.keys()
    assert micros(end) > 0


def _without_time(event: dict[str, Any]) -> dict[str, Any]:
    commit = event.get("commit")
    if not commit or "createdAt" not in (commit.get("record") or {}):
        return event
    record = {name: value for name, value in commit["record"].items() if name != "createdAt"}
    return event | {"commit": commit | {"record": record}}


MASTODON_ID = str(round(NOW.timestamp() * 1000) << 16)


def test_a_post_of_mastodon_without_a_time_gets_that_of_its_id() -> None:
    status = {"id": MASTODON_ID, "uri": "https://a.example/users/b/statuses/1", "content": "<p>eCitizen</p>"}
    status |= {"visibility": "public"}
    found = mastodon.record(status, "a.example")
    assert not isinstance(found, RecordError)
    assert parse_post(found, now=NOW).created_at == NOW
    for other in ("9xYz", "01HXYZ", 7, None, "1" * 30):
        found = mastodon.record(status | {"id": other}, "a.example")
        assert not isinstance(found, RecordError)
        assert found["created_at"] is None


@pytest.mark.parametrize(("said", "takes"), [(None, "id"), ("yesterday", "id"), ("2026-03-06T10:00:00Z", "said")])
def test_a_post_of_bluesky_without_a_time_gets_that_of_its_key(said: str | None, takes: str) -> None:
    # 3mghdgkzab22x: the second of it that a TID of this moment has, made as the AT Protocol describes.
    at = datetime(2026, 3, 6, 9, 0, tzinfo=UTC)
    number, key = micros(at) << 10, ""
    for _ in range(13):
        number, digit = divmod(number, 32)
        key = "234567abcdefghijklmnopqrstuvwxyz"[digit] + key
    post = {"text": "eCitizen"} | ({"createdAt": said} if said else {})
    found = bluesky.record(f"at://did:plc:a/{bluesky.COLLECTION}/{key}", "did:plc:a", post, NOW)
    assert found["created_at"] == (at if takes == "id" else datetime(2026, 3, 6, 10, 0, tzinfo=UTC))
    for other in ("self", "zzzzzzzzzzzzz", "3mghdgkzab22", ""):
        found = bluesky.record(f"at://did:plc:a/{bluesky.COLLECTION}/{other}", "did:plc:a", {"text": "e"}, NOW)
        assert found["created_at"] == NOW
