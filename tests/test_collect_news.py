"""Collecting from feeds: the real parser over loopback, the real store."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from faults import FeedPages
from feed_server import Item, NewsSite, items
from platforms import DROPPED, HTML, TRUNCATED, Clock, Fault, Reading, _bytes, body, edited, status

from collector import web
from collector.sources import news
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path
    from subprocess import CompletedProcess

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def site(clock: Clock) -> Iterator[NewsSite]:
    with NewsSite(clock.now) as site:
        yield site


def reading_of(folder: Path, clock: Clock, *urls: str) -> Reading:
    settings = load_settings(database_url=f"sqlite:///{folder / 'posts.db'}", pseudonym_key=KEY, feed_urls=urls)
    return Reading(news, settings, clock)


@pytest.fixture(params=["/rss", "/atom"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reading(site: NewsSite, clock: Clock, tmp_path: Path, path: str) -> Iterator[Reading]:
    reading = reading_of(tmp_path, clock, site.url + path)
    yield reading
    reading.store.close()


def stream(site: NewsSite, path: str) -> str:
    return site.url.removeprefix("http://") + path


def served(site: NewsSite) -> dict[str, datetime]:
    return {item.id: item.at for item in site.items if item.at is not None}


def test_items_that_mention_a_term_are_stored_and_an_unchanged_feed_is_not_sent_again(
    reading: Reading, site: NewsSite, clock: Clock, path: str
) -> None:
    other = Item(777, NOW - MINUTE, "The citizen and the weather")
    site.publish([*items(10, NOW - MINUTE), other])
    run = reading.run()
    assert (run.outcome, run.new, run.gaps, run.requests) == ("done", 10, 0, 1)
    clock.at += HOUR
    again = reading.run()
    assert (again.new, again.fetched, site.unchanged) == (0, 0, 1)
    ((from_at, to_at),) = reading.coverage(stream(site, path))
    assert (from_at, to_at) == (min(served(site).values()), clock.at)
    site.publish(items(3, clock.at - MINUTE, MINUTE, seed=1))
    clock.at += HOUR
    assert reading.run().new == 3
    reading.assert_nothing_claimed_unread(
        stream(site, path), {id_: at for id_, at in served(site).items() if id_ != other.id}
    )


def test_title_and_summary_become_text_and_the_author_is_the_site(
    reading: Reading, site: NewsSite, tmp_path: Path, path: str
) -> None:
    name = (
        "<author>wanjiku@habari.example (Wanjiku)</author>"
        if path == "/rss"
        else "<author><name>Wanjiku</name></author>"
    )
    summary = '<p>Call <a href="https://a.example/b">0712 345 601</a> &amp; wait</p><script>x()</script>'
    site.publish([Item(1, NOW - MINUTE, "eCitizen down & out", summary, extra=name)])
    site.publish(
        [
            Item(2, NOW - 2 * MINUTE, "Habari", "<img src='x'>Mfumo wa eCitizen umelala"),
            Item(3, NOW, "eCitizen", "eCitizen"),
        ]
    )
    assert reading.run().new == 3
    rows = reading.rows()
    assert {row.text for row in rows.values()} == {
        "eCitizen down & out\n\nCall <PHONE> & wait",
        "Habari\n\nMfumo wa eCitizen umelala",
        "eCitizen",
    }
    assert rows[site.items[0].id].created_at == NOW - MINUTE
    assert len({row.author for row in rows.values()}) == 1
    reading.store.close()
    kept = b"".join(each.read_bytes() for each in tmp_path.glob("posts.db*"))
    assert b"Wanjiku" not in kept
    assert b"wanjiku" not in kept


def test_the_same_article_in_two_feeds_is_stored_once(site: NewsSite, clock: Clock, tmp_path: Path) -> None:
    site.publish(items(10, NOW - MINUTE))
    reading = reading_of(tmp_path, clock, f"{site.url}/rss", f"{site.url}/atom", f"{site.url}/rss")
    run = reading.run()
    assert (run.new, run.duplicate, run.requests) == (10, 10, 2)
    reading.store.close()


def test_an_item_without_time_or_id_is_dropped_with_a_reason_and_no_other(reading: Reading, site: NewsSite) -> None:
    site.publish([*items(5, NOW - MINUTE), Item(50, None, "eCitizen"), Item(51, NOW + 50 * HOUR, "eCitizen")])
    run = reading.run()
    assert (run.outcome, run.new, run.dropped) == ("done", 5, 2)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Fri, 06 Mar 2026 19:30:00 +0300", "16:30"),
        ("Fri, 06 Mar 2026 19:30:00 EAT", "16:30"),
        ("Fri, 06 Mar 2026 16:30:00 GMT", "16:30"),
        ("2026-03-06T19:30:00+03:00", "16:30"),
        ("2026-03-06 16:30:00", "16:30"),
        ("jana", None),
        ("", None),
        ("Fri, 99 Mar 2026 19:30:00 EAT", None),
    ],
)
def test_times(written: str, expected: str | None) -> None:
    feed = f"<rss version='2.0'><channel><item><title>a</title><pubDate>{written}</pubDate></item></channel></rss>"
    (item,) = news.parse(feed.encode(), "a feed")
    found = news.published(item)
    assert (f"{found:%H:%M}" if found else None) == expected


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<guid>https://a.example/1</guid><link>https://a.example/2</link>", news._digest("https://a.example/1")),
        ("<guid isPermaLink='false'>17</guid>", f"host/{news._digest('17')}"),
        ("<link>https://a.example/2</link>", news._digest("https://a.example/2")),
        ("<title>x</title>", None),
    ],
)
def test_ids(inside: str, expected: str | None) -> None:
    feed = f"<rss version='2.0'><channel><item>{inside}</item></channel></rss>"
    (item,) = news.parse(feed.encode(), "a feed")
    assert news.identifier(item, "host") == expected


def aged(at: datetime) -> Fault:
    """An item of another time stands third in the feed."""
    pages = FeedPages()

    def edit(content: Any) -> bytes:
        shown = pages.read(_bytes(content))
        shown.insert(2, pages.dated(shown[0], 1, at))
        return pages.write(_bytes(content), shown)

    return edited(edit)


def test_an_old_item_among_new_ones_does_not_widen_the_first_look(reading: Reading, site: NewsSite, path: str) -> None:
    listed = items(20, NOW - MINUTE)
    site.publish(listed)
    site.fail(aged(NOW - timedelta(days=300)))
    assert reading.run().new == 21
    assert reading.coverage(stream(site, path)) == [(listed[-1].at, NOW)]


def test_what_the_feed_no_longer_lists_is_a_gap(reading: Reading, site: NewsSite, clock: Clock, path: str) -> None:
    site.publish(items(20, NOW - MINUTE))
    reading.run()
    clock.at += 10 * HOUR
    flood = items(30, clock.at - MINUTE, 15 * MINUTE, seed=1)
    site.publish(flood)
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 20, 1)
    assert reading.coverage(stream(site, path), gaps=True) == [(NOW, flood[19].at)]
    assert reading.run().gaps == 0
    reading.assert_nothing_claimed_unread(stream(site, path), served(site))


def test_an_old_item_hides_no_gap(reading: Reading, site: NewsSite, clock: Clock, path: str) -> None:
    site.publish(items(20, NOW - MINUTE))
    reading.run()
    clock.at += 10 * HOUR
    flood = items(30, clock.at - MINUTE, 15 * MINUTE, seed=1)
    site.publish(flood)
    site.fail(aged(NOW + HOUR))
    assert (reading.run().gaps, reading.coverage(stream(site, path), gaps=True)) == (1, [(NOW, flood[19].at)])


def test_an_empty_feed_proves_nothing(reading: Reading, site: NewsSite, clock: Clock, path: str) -> None:
    assert reading.run().outcome == "done"
    assert reading.coverage(stream(site, path)) == []
    site.publish(items(5, NOW - MINUTE))
    reading.run()
    site.lists = 0
    clock.at += HOUR
    assert reading.run().outcome == "done"
    assert reading.coverage(stream(site, path))[-1][1] == NOW
    site.lists = 20
    assert reading.run().gaps == 0
    assert reading.coverage(stream(site, path))[-1][1] == clock.at


BOMB = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><rss version="2.0"><channel><title>&b;</title></channel></rss>'


@pytest.mark.parametrize("content", [BOMB, BOMB.decode().encode("utf-16")], ids=["UTF-8", "UTF-16"])
def test_a_feed_with_entities_of_its_own_is_refused(reading: Reading, site: NewsSite, content: bytes) -> None:
    site.fail(body(content))
    run = reading.run()
    assert (run.outcome, reading.waits) == ("refused", [])
    assert "entities" in run.note


def test_an_answer_without_end_is_refused(reading: Reading, site: NewsSite) -> None:
    site.fail(body(b"<rss>" + b" " * web.MAX_ANSWER_BYTES))
    run = reading.run()
    assert (run.outcome, reading.waits) == ("refused", [])
    assert "8 MB" in run.note


@pytest.mark.parametrize("code", [401, 402, 403, 404, 410, 451])
def test_a_refusal_is_told_at_once(reading: Reading, site: NewsSite, code: int) -> None:
    site.fail(status(code))
    run = reading.run()
    assert (run.outcome, reading.waits) == ("refused", [])
    assert str(code) in run.note


PASSING = [
    pytest.param(status(500), id="500"),
    pytest.param(status(503), id="503"),
    pytest.param(status(503, Retry_After="7"), id="503 that says when"),
    pytest.param(status(400), id="400"),
    pytest.param(status(429), id="429"),
    pytest.param(status(429, Retry_After="a while"), id="429 with a time that is none"),
    pytest.param(status(304, b""), id="304 that nobody asked for"),
    pytest.param(status(302, Location="http://[half"), id="302 to nowhere"),
    pytest.param(status(302, Location="file:///etc/hostname"), id="302 to a file"),
    pytest.param(DROPPED, id="dropped connection"),
    pytest.param(TRUNCATED, id="truncated body"),
    pytest.param(HTML, id="HTML"),
    pytest.param(body({"items": []}), id="JSON"),
    pytest.param(body(b""), id="an empty body"),
    pytest.param(body(b"/etc/hostname"), id="a path"),
    pytest.param(body(b"http://127.0.0.1:1/"), id="an address"),
    pytest.param(body(b"\xff\x00<<<&"), id="bytes"),
    pytest.param(edited(lambda feed: feed[: feed.rindex(b"eCitizen")]), id="a feed cut off"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_costs_one_wait_and_no_item(site: NewsSite, clock: Clock, tmp_path: Path, fault: Fault) -> None:
    site.publish(items(12, NOW - MINUTE))
    site.fail(fault)
    reading = reading_of(tmp_path, clock, f"{site.url}/rss")
    run = reading.run()
    assert (run.outcome, run.new, len(reading.waits)) == ("done", 12, 1)
    assert 1 <= reading.waits[0] <= 120
    reading.store.close()


@pytest.mark.parametrize(("after", "least", "most"), [("240", 239, 244), ("Wed, 21 Oct 2099 07:28:00 GMT", 900, 902)])
def test_a_rate_limit_is_waited_out_as_long_as_the_site_asks(
    reading: Reading, site: NewsSite, after: str, least: float, most: float
) -> None:
    site.publish(items(1, NOW - MINUTE))
    site.fail(status(429, Retry_After=after))
    assert reading.run().new == 1
    (waited,) = reading.waits
    assert least <= waited <= most


def test_a_key_in_the_address_is_not_shown(site: NewsSite, clock: Clock, tmp_path: Path, capsys: Any) -> None:
    reading = reading_of(tmp_path, clock, f"{site.url}/rss?key=sirikubwa".replace("http://", "http://mimi:sirikubwa@"))
    site.fail(*[status(500)] * 6)
    run = reading.run()
    assert run.outcome == "failed"
    assert "sirikubwa" not in run.note + capsys.readouterr().out
    reading.store.close()


def test_the_command_the_doctor_and_the_settings(tracker: Callable[..., CompletedProcess[str]]) -> None:
    with NewsSite(lambda: NOW, items(7, NOW - MINUTE)) as site:
        urls = f"{site.url}/rss, {site.url}/gateway/atom"
        done = tracker("collect", "news", "--once", "--json", TRACKER_FEED_URLS=urls)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["news"]["new"] == 7
        checks = json.loads(tracker("doctor", "--json", TRACKER_FEED_URLS=urls).stdout)["checks"]
        assert {check["name"]: check["state"] for check in checks}["news"] == "ok"
    off = tracker("collect", "news", "--once")
    assert off.returncode == 2
    assert "TRACKER_FEED_URLS" in off.stderr
