"""Collecting from Mastodon: the real client over loopback, the real store."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from mastodon_server import HOME, MastodonInstance, Toot, toots
from platforms import DROPPED, HTML, TRUNCATED, Clock, Fault, Reading, body, edited, status

from collector import web
from collector.markup import plain_text
from collector.sources import mastodon
from collector.terms import matcher
from data.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TAG, PUBLIC = "/tag/ecitizen", "/public"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def instance(clock: Clock) -> Iterator[MastodonInstance]:
    with MastodonInstance(clock.now) as instance:
        yield instance


def reading_of(folder: Path, clock: Clock, *urls: str) -> Reading:
    settings = load_settings(
        database_url=f"sqlite:///{folder / 'posts.db'}",
        pseudonym_key=KEY,
        mastodon_urls=urls,
        terms=("eCitizen", "e-citizen", "e citizen"),
    )
    return Reading(mastodon, settings, clock)


@pytest.fixture
def reading(instance: MastodonInstance, clock: Clock, tmp_path: Path) -> Iterator[Reading]:
    reading = reading_of(tmp_path, clock, instance.url)
    yield reading
    reading.store.close()


def stream(instance: MastodonInstance, tag: str | None = "ecitizen") -> str:
    return f"{instance.url.removeprefix('http://')} {f'#{tag}' if tag else 'public'}"


def asked(instance: MastodonInstance, path: str) -> list[str | None]:
    return [parameters.get("max_id") for asked, parameters in instance.requests if path in asked]


def of_tag(posts: list[Toot]) -> list[Toot]:
    """The same posts, written elsewhere: in the timeline of the hashtag alone."""
    return [replace(post, host="mbali.example") for post in posts]


def assert_all_stored(reading: Reading, *instances: MastodonInstance) -> None:
    served = {id_ for instance in instances for tag in ("ecitizen", None) for id_ in instance.served(tag)}
    assert reading.rows().keys() == served


def assert_nothing_claimed_unread(reading: Reading, *instances: MastodonInstance) -> None:
    for instance in instances:
        for tag in ("ecitizen", None):
            reading.assert_nothing_claimed_unread(stream(instance, tag), instance.served(tag))


def test_timelines_are_read_to_their_end_and_the_next_run_stops_at_what_is_known(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    instance.publish(of_tag(toots(90, NOW - MINUTE)))
    run = reading.run()
    assert (run.outcome, run.fetched, run.new, run.gaps) == ("done", 90, 90, 0)
    assert len(asked(instance, TAG)) == 5  # three pages, and an empty one, which is not believed at once
    assert_all_stored(reading, instance)

    instance.requests.clear()
    clock.at += 30 * HOUR
    instance.publish(of_tag(toots(50, clock.at, timedelta(seconds=9), seed=3)))
    again = reading.run()
    assert (again.new, again.gaps) == (50, 0)
    assert len(asked(instance, TAG)) <= 5  # the last day is read again, for what comes late
    assert_all_stored(reading, instance)
    assert reading.coverage(stream(instance), gaps=True) == []
    ((_, to_at),) = reading.coverage(stream(instance))
    assert to_at == clock.at


def test_the_public_timeline_brings_what_mentions_a_term_and_nothing_else(
    reading: Reading, instance: MastodonInstance
) -> None:
    about = [replace(each, tags=()) for each in toots(30, NOW - MINUTE, MINUTE)]
    others = [replace(each, number=each.number + 500, text="Ugali? Only the Citizen Weekly knows") for each in about]
    instance.publish([*about, *others])
    assert reading.run().outcome == "done"
    assert reading.rows().keys() == {post.id for post in about}


def test_a_public_timeline_that_needs_a_login_is_said_once_and_fails_nothing(
    reading: Reading, instance: MastodonInstance, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.closed = True
    instance.publish(of_tag(toots(5, NOW - MINUTE)))
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 5)
    assert capsys.readouterr().out.count("needs a login") == 1
    for _ in range(3):
        clock.at += HOUR
        assert reading.run().outcome == "done"
    assert len(asked(instance, PUBLIC)) == 1
    assert reading.coverage(stream(instance, None)) == []
    clock.at += timedelta(days=1)
    assert reading.run().outcome == "done"
    assert len(asked(instance, PUBLIC)) == 2
    assert "needs a login" not in capsys.readouterr().out
    instance.closed = False
    clock.at += timedelta(days=2)
    instance.publish(toots(3, clock.at - MINUTE, MINUTE, seed=4))
    assert reading.run().new == 3
    assert len(reading.coverage(stream(instance, None))) == 1


def test_a_post_that_several_instances_show_is_stored_once_and_its_author_is_one_person(
    clock: Clock, tmp_path: Path
) -> None:
    posts = toots(60, NOW - MINUTE)
    with (
        MastodonInstance(clock.now, posts) as own,
        MastodonInstance(clock.now, toots(7, NOW, seed=8, host="nyingine.example"), "nyingine.example") as other,
    ):
        other.publish(posts)
        own.publish(toots(7, NOW, seed=8, host="nyingine.example"))
        reading = reading_of(tmp_path, clock, own.url, f"{other.url}/gateway/", f"{own.url}/")
        assert reading.run().outcome == "done"
        assert_all_stored(reading, own, other)
        authors = {(row.author, row.author_handle) for row in reading.rows().values()}
        assert len(authors) <= len({(post.author, post.host) for post in own.posts.values()})
        reading.store.close()


def shown(**extra: Any) -> Toot:
    return Toot(1, NOW - MINUTE, "eCitizen", "kalamu", "mbali.example", extra=extra)


def stored(reading: Reading, instance: MastodonInstance, *posts: Toot) -> dict[str, Any]:
    instance.publish(posts)
    assert reading.run().outcome == "done"
    return reading.rows()


def test_html_becomes_text_in_which_links_stay_and_mentions_are_handles(
    reading: Reading, instance: MastodonInstance, tmp_path: Path
) -> None:
    content = (
        '<p>Hey <span class="h-card"><a href="https://mbali.example/@juma" class="u-url mention">@<span>juma</span></a></span>'
        ' and <a class="mention" href="https://x.example/u/asha">asha</a>,<br>eCitizen &amp; &lt;OTP&gt;</p><p>see '
        '<a href="https://news.example/a/very/long"><span class="invisible">https://</span><span class="ellipsis">'
        'news.example/a</span><span class="invisible">/very/long</span></a><script>alert(1)</script></p>'
    )
    rows = stored(reading, instance, shown(content=content, spoiler_text="Rant"))
    (row,) = rows.values()
    assert row.text == "Rant\n\nHey @user and @user,\neCitizen & <OTP>\n\nsee <URL>"
    assert row.links == ["news.example"]
    assert (row.platform_lang, row.created_at) == ("sw", NOW - MINUTE)
    reading.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("posts.db*"))
    assert b"mbali.example/1" in kept
    assert not any(secret in kept for secret in (b"kalamu", b"juma", b"asha"))


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain", "plain"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br />b  c\n d", "a\nb c d"),
        ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ('<a href="https://a.example/b">here</a>', "here https://a.example/b"),
        ('<a href="https://a.example/b">a.example/b</a>', "https://a.example/b"),
        ('<a href="javascript:x()">here</a>', "here"),
        ('<a href="https://a.example/tags/x">#<span>x</span></a>', "#x"),
        ("<a href=x>unclosed", "unclosed"),
        ("</a></p></script>closed", "closed"),
        ("&amp;lt; &#x41; &nbsp; &unknown;", "&lt; A &unknown;"),
        ("<!-- no --><style>p{}</style>yes", "yes"),
        ("a<![if x]>b<![endif]>c<![1]>d<!>e<!x>f<?y?>g", "abcdefg"),
    ],
)
def test_markup(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize(
    "end",
    ["<![x[", "<![", "<![1", "<!-- b", "<!doctype", "<?", "</", "<a href='", "&#", "&#x110000;", "&#99999999999;"],
)
def test_markup_that_is_cut_off_keeps_what_stands_before(end: str) -> None:
    assert plain_text(f"<p>eCitizen {end}").startswith("eCitizen")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nimefungiwa na ECITIZEN.", True),
        ("e \n citizen imelala", True),
        ("accounts.ecitizen.go.ke is down", True),
        ("(e-Citizen)", True),
        ("ｅＣｉｔｉｚｅｎ", True),
        ("the citizen", False),
        ("the e citizenship bill", False),
        ("eCitizens", False),
        ("", False),
    ],
)
def test_terms_are_words_of_their_own(text: str, expected: bool) -> None:
    assert matcher(("eCitizen", "e-citizen", "e citizen"))(text) is expected


def test_boosts_replies_and_edits(reading: Reading, instance: MastodonInstance) -> None:
    original = {"uri": "https://asili.example/ap/users/12/statuses/77", "content": "<p>eCitizen imelala</p>"}
    boost = Toot(2, NOW - 2 * MINUTE, "", "kalamu", "mbali.example", extra={"reblog": original, "content": ""})
    edited_at = f"{NOW:%FT%TZ}"
    rows = stored(reading, instance, shown(in_reply_to_id="9876", edited_at=edited_at), boost)
    assert (rows["mbali.example/1"].reply_to, rows["mbali.example/1"].repost_of) == ("127.0.0.1/9876", None)
    assert rows["mbali.example/1"].created_at == NOW - MINUTE
    assert (rows["mbali.example/2"].text, rows["mbali.example/2"].repost_of) == ("eCitizen imelala", "asili.example/77")


@pytest.mark.parametrize("edited_at", ["yesterday", "2999-01-01T00:00:00Z", 7, {}])
def test_an_edit_takes_the_place_of_the_text_and_one_at_an_odd_time_loses_no_post(
    reading: Reading, instance: MastodonInstance, clock: Clock, edited_at: Any
) -> None:
    [row] = stored(reading, instance, shown(edited_at=edited_at)).values()
    assert row.edited_at is None or row.edited_at <= clock.at
    clock.at += MINUTE
    [number] = instance.posts
    now = f"{clock.at - MINUTE / 2:%FT%TZ}"
    instance.posts[number] = replace(instance.posts[number], text="eCitizen iko sawa", extra={"edited_at": now})
    run = reading.run()
    [row] = reading.rows().values()
    assert ("iko sawa" in row.text, row.edited_at) == (True, clock.at - MINUTE / 2)
    assert (run.new, run.duplicate, reading.run().duplicate) == (0, 1, 1)


@pytest.mark.parametrize("visibility", ["private", "direct", None, "followers"])
def test_what_is_not_public_is_not_stored(reading: Reading, instance: MastodonInstance, visibility: str | None) -> None:
    instance.publish([shown(visibility=visibility), replace(shown(visibility="unlisted"), number=2)])
    run = reading.run()
    assert (run.new, run.dropped) == (1, 1)
    assert reading.rows().keys() == {"mbali.example/2"}


@pytest.mark.parametrize(
    "uri",
    [
        "https://mbali.example/objects/9b2-44",
        "https://mbali.example/@kalamu/statuses/5/x",
        "https://MBALI.example/n?a=@b",
    ],
)
def test_a_uri_of_another_server_software_becomes_an_id_without_a_handle(
    reading: Reading, instance: MastodonInstance, uri: str
) -> None:
    (id_,) = stored(reading, instance, shown(uri=uri))
    host, _, rest = id_.partition("/")
    assert host == "mbali.example"
    assert len(rest) == 32
    assert "kalamu" not in id_


@pytest.mark.parametrize(
    "extra",
    [
        {"uri": None, "url": None},
        {"uri": "no address"},
        {"uri": "https://[half"},
        {"uri": 5, "url": []},
        {"created_at": None},
        {"created_at": "soon"},
        {"created_at": "2031-01-01T00:00:00Z"},
        {"created_at": "1999-01-01T00:00:00Z"},
        {"content": None},
        {"content": ""},
        {"content": {"a": 1}},
        {"content": "<p>" * 200_000},
        {"spoiler_text": []},
        {"account": None},
        {"account": {"acct": 7}},
        {"language": {"x": 1}},
        {"reblog": {"uri": "https://[half", "content": "x"}},
    ],
)
def test_a_post_with_an_odd_field_costs_no_other_post(
    reading: Reading, instance: MastodonInstance, extra: dict[str, Any]
) -> None:
    instance.publish([*of_tag(toots(9, NOW - 2 * MINUTE)), replace(shown(**extra), number=77_777)])
    run = reading.run()
    assert run.outcome == "done"
    assert run.new + run.dropped == 10
    assert run.new >= 9
    assert len(reading.rows()) == run.new


def test_a_post_dated_by_its_server_into_the_past_or_future_ends_no_walk(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    reading.run()
    clock.at += HOUR
    posts = of_tag(toots(120, clock.at - MINUTE, timedelta(seconds=10)))
    for place, at in ((5, "2010-01-01T00:00:00Z"), (39, "2009-01-01T00:00:00Z"), (60, "2039-01-01T00:00:00Z")):
        posts[place] = replace(posts[place], extra={"created_at": at})
    instance.publish(posts)
    run = reading.run()
    assert (run.outcome, run.new, run.dropped) == ("done", 119, 1)


def test_what_the_instance_no_longer_lists_is_a_gap(reading: Reading, instance: MastodonInstance, clock: Clock) -> None:
    instance.publish(of_tag(toots(30, NOW - MINUTE)))
    reading.run()
    clock.at += 50 * HOUR
    flood = of_tag(toots(300, clock.at - MINUTE, 5 * MINUTE, seed=1))
    instance.publish(flood)
    instance.lists = 200
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 200, 1)
    assert reading.coverage(stream(instance), gaps=True) == [(NOW, flood[199].at)]
    assert_nothing_claimed_unread(reading, instance)
    assert reading.run().gaps == 0


@pytest.mark.parametrize(("hours", "gaps"), [(20, 0), (30, 1)])
def test_a_public_timeline_is_walked_back_two_hours_at_first_and_a_day_after_downtime(
    reading: Reading, instance: MastodonInstance, clock: Clock, hours: int, gaps: int
) -> None:
    instance.publish(replace(each, tags=()) for each in toots(300, NOW, MINUTE))
    reading.run()
    assert reading.coverage(stream(instance, None)) == [(NOW - 2 * HOUR, NOW)]
    clock.at += hours * HOUR
    instance.publish(replace(each, tags=()) for each in toots(hours * 20 - 1, clock.at, 3 * MINUTE, seed=1))
    run = reading.run()
    assert (run.outcome, run.gaps) == ("done", gaps)
    expected = [(NOW, clock.at - 24 * HOUR)] if gaps else []
    assert reading.coverage(stream(instance, None), gaps=True) == expected
    assert_nothing_claimed_unread(reading, instance)


def test_a_post_that_is_gone_was_the_mark_of_the_last_walk_and_nothing_is_lost(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    instance.publish(of_tag(toots(100, NOW - 25 * HOUR, 5 * MINUTE)))
    reading.run()
    newest = max(instance.posts)
    del instance.posts[newest]
    clock.at += 3 * HOUR
    instance.publish(of_tag(toots(90, clock.at - MINUTE, MINUTE, seed=1)))
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 90, 0)


@pytest.mark.parametrize("count", [200, 2], ids=["an old timeline", "a timeline younger than what may come late"])
def test_a_post_that_comes_late_from_another_server_is_read_all_the_same(
    reading: Reading, instance: MastodonInstance, clock: Clock, count: int
) -> None:
    instance.most = 2 if count == 2 else 40
    instance.publish(of_tag(toots(count, NOW - MINUTE, 10 * MINUTE)))
    reading.run()
    clock.at += HOUR
    instance.publish([Toot(99_999, NOW - 20 * HOUR, "eCitizen", host="polepole.example")])
    assert reading.run().new == 1


@pytest.mark.parametrize("before", [True, False], ids=["a later walk", "the first"])
def test_an_end_that_comes_too_early_is_asked_for_again_and_nothing_is_given_up(
    reading: Reading, instance: MastodonInstance, clock: Clock, before: bool
) -> None:
    if before:
        instance.publish(of_tag(toots(20, NOW - MINUTE)))
        reading.run()
        clock.at += HOUR
    instance.publish(of_tag(toots(130, clock.at - MINUTE, timedelta(seconds=20), seed=1)))

    def first_time_empty(posts: list[Any]) -> list[Any]:
        return [] if len(asked(instance, TAG)) - begun == 2 else posts

    begun = len(asked(instance, TAG))
    instance.fail(edited(first_time_empty, path=TAG), edited(first_time_empty, path=TAG))
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 130, 0)
    again = asked(instance, TAG)[begun:]
    assert again[1] == again[2] and again[1] is not None
    assert reading.coverage(stream(instance), gaps=True) == []


def test_what_is_no_longer_listed_is_a_gap_also_where_nothing_was_listed_at_first(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    reading.run()
    clock.at += 20 * HOUR
    flood = of_tag(toots(300, clock.at - MINUTE, 3 * MINUTE))
    instance.publish(flood)
    instance.lists = 200
    run = reading.run()
    assert run is not None and (run.outcome, run.new, run.gaps) == ("done", 200, 1)
    assert reading.coverage(stream(instance), gaps=True) == [(NOW, flood[199].at)]
    assert_nothing_claimed_unread(reading, instance)


@pytest.mark.parametrize("stop_after", [None, 1])
def test_where_an_instance_lists_less_than_a_page_it_lists_all_there_is(
    reading: Reading, instance: MastodonInstance, clock: Clock, stop_after: int | None
) -> None:
    first = of_tag(toots(3, NOW - 30 * HOUR))
    instance.publish(first)
    reading.run()
    for post in first:  # at which the next walk would end
        instance.delete(post)
    instance.most = 5
    clock.at += HOUR
    instance.publish(of_tag(toots(12, clock.at - MINUTE, MINUTE, seed=1)))
    if stop_after:  # what goes on at the page where it was stopped does not know how many there were
        assert reading.run(stop_after=stop_after) is None
        clock.at += HOUR
        instance.publish(of_tag(toots(1, clock.at - MINUTE, seed=2)))
    run = reading.run()
    assert run is not None and (run.outcome, run.gaps) == ("done", 0)
    assert len(reading.rows()) == len(first) + 12 + bool(stop_after)
    [(_, to_at)] = reading.coverage(stream(instance))
    assert (to_at, reading.coverage(stream(instance), gaps=True)) == (clock.at, [])


def test_a_walk_that_is_stopped_where_an_end_came_too_early_asks_twice_again(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    instance.publish(of_tag(toots(20, NOW - MINUTE)))
    reading.run()
    clock.at += HOUR
    instance.publish(of_tag(toots(130, clock.at - MINUTE, timedelta(seconds=20), seed=1)))
    instance.fail(edited(list, path=TAG), body([], path=TAG))
    assert reading.run(stop_after=2) is None
    instance.fail(body([], path=TAG))
    run = reading.run()
    assert (run.outcome, run.new, run.gaps) == ("done", 90, 0)
    assert reading.coverage(stream(instance), gaps=True) == []


def test_an_empty_answer_where_posts_were_listed_before_moves_no_cursor(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    instance.publish(of_tag(toots(20, NOW - MINUTE)))
    reading.run()
    clock.at += HOUR
    instance.publish(of_tag(toots(60, clock.at - MINUTE, timedelta(seconds=20), seed=1)))
    instance.fail(body([], path=TAG))
    assert (reading.run().new, reading.coverage(stream(instance))[-1][1]) == (0, NOW)
    assert (reading.run().new, reading.coverage(stream(instance), gaps=True)) == (60, [])
    assert len(reading.coverage(stream(instance))) == 1


def test_a_walk_that_was_stopped_goes_on_and_what_came_since_is_read_at_once(
    reading: Reading, instance: MastodonInstance, clock: Clock
) -> None:
    instance.publish(of_tag(toots(350, NOW - MINUTE)))
    assert reading.run(stop_after=4) is None
    assert len(reading.rows()) == 160
    assert reading.coverage(stream(instance)) == []
    clock.at += HOUR
    instance.publish(of_tag(toots(120, clock.at - MINUTE, timedelta(seconds=5), seed=2)))
    run = reading.run()
    assert (run.outcome, run.new) == ("done", 310)
    assert_all_stored(reading, instance)
    assert len(reading.coverage(stream(instance))) == 1


PASSING = [
    pytest.param(status(500), id="500"),
    pytest.param(status(502, b"<html>"), id="502 in HTML"),
    pytest.param(status(503), id="503"),
    pytest.param(status(504), id="504"),
    pytest.param(status(520, b""), id="520"),
    pytest.param(DROPPED, id="dropped connection"),
    pytest.param(TRUNCATED, id="truncated body"),
    pytest.param(status(429, X_RateLimit_Reset=""), id="429 without a reset"),
    pytest.param(status(429, X_RateLimit_Reset="soon"), id="429 with a reset that is no time"),
    pytest.param(status(429, X_RateLimit_Reset="99999999999999"), id="429 with a reset beyond all years"),
    pytest.param(status(400), id="400"),
    pytest.param(status(418), id="a status nobody knows"),
    pytest.param(status(302, Location="http://[half"), id="302 to nowhere"),
    pytest.param(HTML, id="HTML for JSON"),
    pytest.param(body({"error": "no"}), id="an object"),
    pytest.param(body([1, 2]), id="numbers"),
    pytest.param(body([{}]), id="posts without ids"),
    pytest.param(body(None), id="null"),
    pytest.param(body(b""), id="an empty body"),
    pytest.param(status(204, b""), id="204"),
    pytest.param(body("x"), id="a string"),
    pytest.param(body(b'[{"a":' * 5_000), id="deep nesting"),
    pytest.param(body(b"\xff\xfe\x00"), id="bytes"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_costs_one_wait_and_no_post(reading: Reading, instance: MastodonInstance, fault: Fault) -> None:
    instance.publish(of_tag(toots(45, NOW - MINUTE)))
    instance.fail(replace(fault, path=TAG))
    run = reading.run()
    assert (run.outcome, run.new, len(reading.waits)) == ("done", 45, 1)
    assert 1 <= reading.waits[0] <= 304  # the window of earlier answers, where a 429 names none
    assert_all_stored(reading, instance)


@pytest.mark.parametrize("code", [401, 402, 403, 404, 410, 422])
def test_a_hashtag_that_is_refused_is_told_at_once_and_the_public_timeline_is_read(
    reading: Reading, instance: MastodonInstance, code: int
) -> None:
    instance.publish(toots(20, NOW - MINUTE, MINUTE))
    instance.fail(status(code, path=TAG))
    run = reading.run()
    assert (run.outcome, run.new, reading.waits) == ("refused", 20, [])
    assert str(code) in run.note
    assert reading.coverage(stream(instance)) == []
    assert reading.run().outcome == "done"


def test_an_instance_that_is_down_stops_no_other(clock: Clock, tmp_path: Path) -> None:
    with MastodonInstance(clock.now, toots(5, NOW - MINUTE)) as up, MastodonInstance(clock.now) as down:
        down.fail(*[status(503)] * 100)
        reading = reading_of(tmp_path, clock, down.url, up.url)
        run = reading.run()
        assert (run.outcome, run.new) == ("failed", 5)
        reading.store.close()


def test_a_rate_limit_is_waited_out_as_long_as_the_instance_asks(reading: Reading, instance: MastodonInstance) -> None:
    instance.publish(of_tag(toots(5, NOW - MINUTE)))
    instance.fail(status(429, path=TAG))
    assert reading.run().outcome == "done"
    (waited,) = reading.waits
    assert 295 <= waited <= 304
    assert_all_stored(reading, instance)


def test_an_answer_without_end_is_refused(reading: Reading, instance: MastodonInstance) -> None:
    instance.fail(body(b" " * (web.MAX_ANSWER_BYTES + 1), path=TAG))
    run = reading.run()
    assert (run.outcome, reading.waits) == ("refused", [])
    assert "8 MB" in run.note


def test_the_command_and_the_doctor(tracker: Callable[..., CompletedProcess[str]]) -> None:
    with MastodonInstance(lambda: NOW, toots(7, NOW - MINUTE)) as instance:
        both = f"{instance.url},{instance.url}/gateway"
        done = tracker("collect", "mastodon", "--once", "--json", TRACKER_MASTODON_URLS=both)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)["mastodon"]
        assert (told["new"], told["gaps"], told["outcome"]) == (7, 0, "done")
        doctor = tracker("doctor", "--json", TRACKER_MASTODON_URLS=both)
        checks = {check["name"]: check for check in json.loads(doctor.stdout)["checks"]}
        assert checks["mastodon"]["state"] == "ok"
    gone = tracker("doctor", TRACKER_MASTODON_URLS=both)
    assert gone.returncode == 1
    assert "127.0.0.1" in gone.stdout
    assert HOME not in done.stderr
    off = tracker("collect", "mastodon", "--once")
    assert off.returncode == 2
    assert "TRACKER_MASTODON_URLS" in off.stderr
    wrong = tracker("doctor", TRACKER_MASTODON_URLS="https://good.example, bad")
    assert wrong.returncode == 2
    assert "MASTODON_URLS" in wrong.stderr.upper()


def test_the_displayed_name_of_an_author_reaches_the_door_and_no_further(
    reading: Reading, instance: MastodonInstance
) -> None:
    account = {"acct": "wanja_88", "url": f"https://{HOME}/@wanja_88", "display_name": "eCitizen Kenya"}
    instance.publish([replace(each, extra={"account": account}) for each in toots(1, NOW - MINUTE)])
    assert reading.run() is not None
    [suspect] = reading.store.impostors()
    assert (suspect["source"], suspect["reason"]) == ("mastodon", "name_same")
    assert "eCitizen Kenya" not in str(reading.rows())
