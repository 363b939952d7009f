"""Delivery of alerts over loopback SMTP and HTTP: receivers that are down, slow or refuse, kill -9, and the verbs."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import NOW
from killing_alerts import LONGEST_SECONDS, AlertKilling
from labelled import MODEL, labels, put
from receivers import PASSWORD, ChatReceiver, HttpReceiver, SmtpReceiver
from sqlalchemy import insert, select, update

from dashboard.alerts import Watch
from dashboard.channels import load_channels
from dashboard.delivery import GIVEN_UP_AFTER, LEASE, UNANSWERED, deliver, pause_after
from dashboard.picture import png
from data import tables
from data.records import Post
from data.settings import load_settings
from data.store import RunRecord, Span

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dashboard.channels import Channel
    from data.store import Store

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Clock:
    """A time that stands until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def smtp() -> Iterator[SmtpReceiver]:
    receiver = SmtpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def desks(http: HttpReceiver, smtp: SmtpReceiver, monkeypatch: pytest.MonkeyPatch) -> list[Channel]:
    return channels(monkeypatch, chat=http.url, mail=smtp.url)


def channels(monkeypatch: pytest.MonkeyPatch, **urls: str) -> list[Channel]:
    for name, url in urls.items():
        monkeypatch.setenv(f"{name.upper()}_URL", url)
    return load_channels(load_settings(alert_channels={name: {"url_from": f"{name.upper()}_URL"} for name in urls}))


def write(store: Store, channel: str, count: int, made_at: datetime = NOW, **more: Any) -> None:
    """Alerts as a step writes them."""
    with store.engine.execution_options(writes=True).begin() as connection:
        for number in range(count):
            row = {"key": f"incident:{number}:opened", "channel": channel, "kind": "opened", "incident": None}
            row |= {"severity": "major", "made_at": made_at, "not_before": made_at, "attempts": 0}
            row["message"] = {"title": f"incident {number}", "body": "why", "picture": None, "tells": []}
            connection.execute(insert(tables.alerts).values(row | more))


def rows(store: Store, channel: str | None = None) -> Sequence[Any]:
    query = select(tables.alerts).order_by(tables.alerts.c.number)
    with store.engine.connect() as connection:
        found = connection.execute(query).all()
    return [row for row in found if channel in (None, row.channel)]


def test_an_alert_arrives_by_mail_and_http_with_its_picture(
    store: Store, desks: list[Channel], http: HttpReceiver, smtp: SmtpReceiver, clock: Clock
) -> None:
    store.activate_model(MODEL, "0" * 64)
    put(store, "2026-03-06 19:00", labels("outage"))
    for name in ("chat", "mail"):
        picture = [(NOW - timedelta(hours=12)).isoformat(), NOW.isoformat()]
        message = {"title": "incident 0", "body": "why\nhttp://localhost:8501/", "picture": picture, "tells": []}
        write(store, name, 1, message=message)
    done = deliver(store.engine, desks, clock, lambda *span: png(store.engine, *span))
    assert (done.sent, done.failed) == (2, 0)
    for receiver in (http, smtp):
        [got] = receiver.got
        assert got.title == "incident 0"
        assert "why" in got.body and "http://localhost:8501/" in got.body
        assert [picture[:8] for picture in got.pictures] == [b"\x89PNG\r\n\x1a\n"]
    assert http.got[0].key != smtp.got[0].key
    assert [(row.sent_at, row.failure, row.attempts) for row in rows(store)] == [(NOW, None, 1)] * 2
    assert deliver(store.engine, desks, clock).sent == 0


def test_a_receiver_that_is_down_for_an_hour_misses_nothing_and_hears_nothing_twice(
    store: Store, desks: list[Channel], http: HttpReceiver, smtp: SmtpReceiver, clock: Clock
) -> None:
    http.down()
    smtp.down()
    for minute in range(60):
        if minute in (0, 10, 35, 59):
            for name in ("chat", "mail"):
                write(
                    store,
                    name,
                    1,
                    clock.now,
                    key=f"at {minute}",
                    message={"title": f"at {minute}", "body": "", "picture": None},
                )
        assert deliver(store.engine, desks, clock).sent == 0
        clock.now += MINUTE
    waiting = rows(store)
    assert len(waiting) == 8 and all(row.sent_at is None for row in waiting)
    assert {row.failure for row in waiting if row.failure} == {"the connection was refused"}
    assert max(row.attempts for row in waiting) < 12  # pauses grow
    http.up()
    smtp.up()
    for _ in range(16):
        deliver(store.engine, desks, clock)
        clock.now += MINUTE
    for receiver in (http, smtp):
        assert sorted(got.title for got in receiver.got) == ["at 0", "at 10", "at 35", "at 59"]
        assert next(got for got in receiver.got if got.title == "at 0").body.startswith("Late: this was written at")
    assert all(row.sent_at is not None and row.failure is None for row in rows(store))


def test_the_outbox_is_the_same_on_both_databases(
    opened: Callable[..., Store], desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    store = opened()
    begin = NOW - timedelta(hours=2)
    store.save_run(RunRecord("x", begin, begin + MINUTE, "done"))
    store.save_page([], source="x", stream="s", spans=[Span(begin, begin + MINUTE)])
    for _ in range(2):
        Watch(store.engine, desks, "http://localhost:8501").step(NOW)
    assert [(row.kind, row.channel) for row in rows(store)] == [("blind", "chat"), ("blind", "mail")]
    http.status = 500
    assert (deliver(store.engine, desks, clock).sent, len(http.got)) == (1, 0)
    http.status = 200
    clock.now += MINUTE
    assert (deliver(store.engine, desks, clock).sent, len(http.got)) == (1, 1)
    assert "x: not looked at since Fri 06 Mar 2026 18:01 EAT" in http.got[0].body


def test_pauses_grow_up_to_a_quarter_of_an_hour() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 60)]
    assert pauses[:4] == [30 * SECOND, 60 * SECOND, 120 * SECOND, 240 * SECOND]
    assert pauses == sorted(pauses)
    assert max(pauses) == 15 * MINUTE


@pytest.mark.parametrize(("status", "reason"), [(500, "HTTP 500"), (401, "HTTP 401 (check"), (429, "HTTP 429")])
def test_what_is_refused_is_sent_again_later_with_the_same_reference(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock, status: int, reason: str
) -> None:
    http.status = status
    write(store, "chat", 3)
    assert deliver(store.engine, desks, clock).failed == 1
    assert len(http.keys) == 1  # the others wait for the channel
    assert reason in rows(store)[0].failure
    http.status = 200
    # The next shows that the receiver is back, and what it refused follows at once.
    assert deliver(store.engine, desks, clock).sent == 3
    assert [got.title for got in http.got] == ["incident 1", "incident 0", "incident 2"]
    assert http.keys[0] == http.got[1].key
    assert len(set(http.keys)) == 3


def test_a_time_out_is_a_failure(
    store: Store, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    release = threading.Event()
    http.hold = release.wait
    http.status = 503
    desks = channels(monkeypatch, chat=f"{http.url}?rto=0.3")
    write(store, "chat", 1)
    assert deliver(store.engine, desks, clock).failed == 1
    release.set()
    [row] = rows(store)
    assert (row.sent_at, row.failure, row.not_before) == (None, "no answer in time", NOW + pause_after(1))


def test_a_wrong_password_of_the_mail_server_is_told_without_the_password(
    store: Store, monkeypatch: pytest.MonkeyPatch, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver = SmtpReceiver(password="another")
    write(store, "mail", 1)
    said: list[str] = []
    deliver(store.engine, channels(monkeypatch, mail=receiver.url), clock, report=said.append)
    receiver.close()
    [row] = rows(store)
    assert row.failure == "the mail server answered 535 (check the user and the password)"
    printed = "".join(capfd.readouterr()) + "".join(said)
    assert PASSWORD not in row.failure + printed
    assert receiver.got == []
    right = SmtpReceiver(password=PASSWORD)
    clock.now += MINUTE
    assert deliver(store.engine, channels(monkeypatch, mail=right.url), clock).sent == 1
    right.close()
    assert len(right.got) == 1


def test_mail_that_the_server_refuses_after_its_text_is_sent_again(
    store: Store, desks: list[Channel], smtp: SmtpReceiver, clock: Clock
) -> None:
    smtp.reply = "451 try again later"
    write(store, "mail", 1)
    deliver(store.engine, desks, clock)
    [row] = rows(store)
    assert (row.sent_at, row.failure) == (None, "the mail server answered 451")
    smtp.reply = "250 OK"
    clock.now += MINUTE
    assert deliver(store.engine, desks, clock).sent == 1


def test_one_channel_that_is_down_does_not_hold_up_another(
    store: Store, desks: list[Channel], http: HttpReceiver, smtp: SmtpReceiver, clock: Clock
) -> None:
    http.down()
    for name in ("chat", "mail"):
        write(store, name, 2)
    done = deliver(store.engine, desks, clock)
    assert (done.sent, done.failed) == (2, 1)
    assert len(smtp.got) == 2


def test_an_alert_that_is_always_refused_goes_behind_the_others_and_is_given_up(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    write(store, "chat", 1)
    http.status = 400
    for _ in range(6):
        deliver(store.engine, desks, clock)
        clock.now += 15 * MINUTE
    http.status = 200
    write(store, "chat", 1, clock.now, key="new", message={"title": "new", "body": "", "picture": None})
    deliver(store.engine, desks, clock)
    assert [got.title for got in http.got] == ["new", "incident 0"]
    http.status = 400
    write(store, "chat", 1, clock.now, key="bad", message={"title": "bad", "body": "", "picture": None})
    deliver(store.engine, desks, clock)
    clock.now += GIVEN_UP_AFTER + MINUTE
    before = len(http.keys)
    assert deliver(store.engine, desks, clock).failed == 0
    assert len(http.keys) == before


def test_what_is_held_for_quiet_hours_is_not_sent_before(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    write(store, "chat", 1, not_before=NOW + timedelta(hours=2))
    write(store, "chat", 1, key="severe now")
    assert deliver(store.engine, desks, clock).sent == 1
    clock.now += timedelta(hours=2)
    assert deliver(store.engine, desks, clock).sent == 1
    assert len(http.got) == 2


def test_an_alert_of_an_incident_that_was_dismissed_meanwhile_is_not_sent(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    with store.engine.execution_options(writes=True).begin() as connection:
        times = dict.fromkeys(("raised_at", "started_at", "last_at"), NOW)
        made = {"id": 7, "lane": "complaint", "state": "open", "planned": False, "synthetic": False} | times
        connection.execute(insert(tables.incidents).values(made))
    write(store, "chat", 1, incident=7)
    store.note_incident(7, "desk 2", "dismissed")
    assert deliver(store.engine, desks, clock).sent == 0
    store.note_incident(7, "desk 2", "confirmed")
    assert deliver(store.engine, desks, clock).sent == 1
    assert len(http.got) == 1


def test_what_a_killed_process_had_claimed_is_due_again_after_its_lease(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    write(store, "chat", 1, attempts=1, not_before=NOW + LEASE)
    assert deliver(store.engine, desks, clock).sent == 0
    clock.now += LEASE
    assert deliver(store.engine, desks, clock).sent == 1
    assert len(http.got) == 1


def test_an_alert_that_another_process_took_over_is_not_sent_by_the_first(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    write(store, "chat", 1, message={"title": "a", "body": "b", "picture": [NOW.isoformat(), NOW.isoformat()]})

    def taken_over(*_: Any) -> None:
        with store.engine.execution_options(writes=True).begin() as connection:
            connection.execute(update(tables.alerts).values(attempts=2, not_before=NOW + LEASE))

    done = deliver(store.engine, desks, clock, taken_over)
    assert (done.sent, done.failed, http.got) == (0, 0, [])


def test_a_picture_that_cannot_be_drawn_does_not_keep_an_alert_back(
    store: Store, desks: list[Channel], http: HttpReceiver, clock: Clock
) -> None:
    write(store, "chat", 1, message={"title": "a", "body": "b", "picture": [NOW.isoformat(), NOW.isoformat()]})

    def fails(*_: Any) -> None:
        raise OSError("no font")

    assert deliver(store.engine, desks, clock, fails).sent == 1
    assert http.got[0].pictures == []


@pytest.mark.parametrize(
    "answer", [(200, b'{"ok":true}'), (200, b'{"ok":false,"error":"missing_scope"}'), (403, b"{}")]
)
@pytest.mark.parametrize(
    ("service", "url", "pictures"),
    [
        ("discord", "discord://webhookid1234567890/webhooktoken1234567890abcdef", 3),
        ("telegram", "tgram://123456789:abcdefg_hijklmnop/12315544/", 3),
        ("slack", "slack://xoxb-1234-1234-abc124/#general", 0),
    ],
)
def test_a_picture_that_is_a_request_of_its_own_never_says_the_text_again(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    service: str,
    url: str,
    pictures: int,
    answer: tuple[int, bytes],
) -> None:
    receiver = ChatReceiver(answer)
    speaks = __import__(f"apprise.plugins.{service}", fromlist=["x"])
    plugin, name, path = {
        "discord": ("NotifyDiscord", "notify_url", "/hooks"),
        "telegram": ("NotifyTelegram", "notify_url", "/bot"),
        "slack": ("NotifySlack", "api_url", "/{}"),
    }[service]
    monkeypatch.setattr(getattr(speaks, plugin), name, receiver.address + path)
    monkeypatch.setattr(getattr(speaks, plugin), "request_rate_per_sec", 0)
    for number in range(3):
        message = {"title": f"title {number}", "body": "why", "picture": [NOW.isoformat(), NOW.isoformat()]}
        write(store, "chat", 1, key=str(number), message=message)
    chat = channels(monkeypatch, chat=url)
    for _ in range(4):
        deliver(store.engine, chat, clock, lambda *_: b"\x89PNG\r\n\x1a\n picture")
        clock.now += 15 * MINUTE
    receiver.close()
    assert [sum(f"title {number}" in text for text in receiver.texts) for number in range(3)] == [1, 1, 1]
    assert len(receiver.texts) == 3
    assert receiver.pictures == pictures
    assert all(row.sent_at is not None and row.failure is None for row in rows(store))


@pytest.mark.campaign
@pytest.mark.parametrize("receiver", ["http", "smtp"])
def test_killed_at_any_moment_nothing_is_doubled_and_what_is_lost_is_known(
    store: Store, url_of: Callable[[], str], receiver: str, request: pytest.FixtureRequest
) -> None:
    killing = AlertKilling(url_of(), request.getfixturevalue(receiver), seed=20_261_130)
    print(killing.seed)
    write(store, "desk", 40)
    killing.run(25, LONGEST_SECONDS[receiver])
    print(killing.landed)
    assert killing.doubled() == 0
    lost = killing.lost(row.message["title"] for row in rows(store))
    unsure = {row.message["title"] for row in rows(store) if row.failure == UNANSWERED}
    assert lost <= unsure  # none is lost unseen
    assert killing.landed["while it had alerts to send"] >= 10


@pytest.fixture
def url_of(store: Store) -> Callable[[], str]:
    return lambda: store.engine.url.render_as_string(hide_password=False)


@pytest.mark.parametrize("receiver", ["http", "smtp"])
def test_killed_while_the_receiver_has_the_alert_and_has_not_answered_it_is_not_doubled(
    store: Store, url_of: Callable[[], str], receiver: str, request: pytest.FixtureRequest
) -> None:
    killing = AlertKilling(url_of(), request.getfixturevalue(receiver), seed=1)
    write(store, "desk", 3)
    killing.kill_at_receipt(3)
    assert sorted(got.title for got in killing.receiver.got) == ["incident 0", "incident 1", "incident 2"]
    assert {row.failure for row in rows(store)} == {UNANSWERED}


# --- the verbs ---


def desk_settings(tmp_path: Path, receiver: HttpReceiver) -> dict[str, str]:
    (tmp_path / "tracker.toml").write_text(
        '[alert_channels.desk]\nurl_from = "DESK_URL"\nlanguage = "sw"\nquiet_hours = "22:00-06:00"\n', encoding="utf-8"
    )
    return {"DESK_URL": receiver.url}


def test_the_test_message_says_of_each_channel_what_happened(
    tracker: Tracker, tmp_path: Path, http: HttpReceiver, smtp: SmtpReceiver
) -> None:
    environment = desk_settings(tmp_path, http) | {"TRACKER_ALERT_URLS": f"{smtp.url}, {http.url}x"}
    done = tracker("alerts", "test", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["desk: delivered", "mailto: delivered", "json: delivered"]
    assert http.got[0].title == "[REPLAY] Kifuatiliaji cha eCitizen: ujumbe wa majaribio"
    assert "[REPLAY] eCitizen tracker: a test message" in smtp.got[0].title
    http.down()
    done = tracker("alerts", "test", "desk", **environment)
    assert done.returncode == 1
    assert done.stdout == "desk: not delivered: the connection was refused\n"
    assert PASSWORD not in done.stdout + done.stderr
    assert tracker("alerts", "test", "nobody", **environment).returncode == 2


@pytest.mark.parametrize(
    ("toml", "environment", "says"),
    [
        ("", {}, "no alert channel: set TRACKER_ALERT_URLS"),
        ('[alert_channels.desk]\nurl_from = "DESK_URL"', {}, "DESK_URL, which is not set"),
        ('[alert_channels.desk]\nurl_from = "DESK_URL"', {"DESK_URL": "nonsense-s3cret"}, "none that apprise knows"),
        ('[alert_channels.desk]\nurl = "json://u:s3cret@h"', {}, "alert_channels.desk"),
        ('[alert_channels.desk]\nurl_from = "D"\nquiet_hours = "22-6"', {}, "quiet_hours"),
        ('[alert_channels.desk]\nurl_from = "D"\nleast_severity = "bad"', {}, "least_severity"),
        ('[alert_channels."De sk"]\nurl_from = "D"', {}, "alert_channels"),
        ('alert_urls = "json://u:s3cret@h"', {}, "TRACKER_ALERT_URLS, a secret"),
        ("", {"TRACKER_ALERT_URLS": "mailto://h?from=a@b.co&to=c@b.co,d@b.co"}, "has 2 receivers"),
    ],
)
def test_a_wrong_channel_is_named_without_its_address(
    tracker: Tracker, tmp_path: Path, toml: str, environment: dict[str, str], says: str
) -> None:
    (tmp_path / "tracker.toml").write_text(toml, encoding="utf-8")
    done = tracker("alerts", "test", **environment)
    assert done.returncode == 2
    assert says in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_may_stand_in_the_env_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("DESK_URL=json://127.0.0.1:9/file\n", encoding="utf-8")
    setting = load_settings(alert_channels={"desk": {"url_from": "DESK_URL"}})
    assert load_channels(setting)[0].url.get_secret_value() == "json://127.0.0.1:9/file"
    monkeypatch.setenv("DESK_URL", "json://127.0.0.1:9/environment")
    assert load_channels(setting)[0].url.get_secret_value() == "json://127.0.0.1:9/environment"


def test_a_list_of_addresses_keeps_their_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = "json://127.0.0.1:9/a,b, json://127.0.0.1:9/c\njsons://127.0.0.1/d"
    monkeypatch.setenv("TRACKER_ALERT_URLS", urls)
    found = load_channels(load_settings())
    assert [each.name for each in found] == ["json", "json_2", "jsons"]
    assert [each.url.get_secret_value() for each in found] == [
        "json://127.0.0.1:9/a,b",
        "json://127.0.0.1:9/c",
        "jsons://127.0.0.1/d",
    ]
    assert "127.0.0.1" not in repr(found)


def test_the_watch_raises_an_incident_and_alerts_and_the_list_and_the_doctor_know(
    tracker: Tracker, store: Store, tmp_path: Path, http: HttpReceiver
) -> None:
    store.activate_model(MODEL, "0" * 64)
    begin = NOW - timedelta(days=4)
    times = [begin + number * timedelta(minutes=50) for number in range(110)]
    times += [NOW - 50 * MINUTE + number * 50 * SECOND for number in range(58)]
    posts = [Post("x", str(n), at, f"secret words {'x' * n}", author=f"p{n}") for n, at in enumerate(times)]
    store.save_page(posts, source="x", stream="s", spans=[Span(begin, NOW)])
    store.save_labels(MODEL, [("x", post.id, labels("payment")) for post in posts])
    environment = desk_settings(tmp_path, http) | {"TRACKER_DASHBOARD_URL": "https://outages.example.org/"}
    http.down()
    done = tracker("alerts", "run", "--once", **environment)
    assert done.returncode == 1 and "the next run tries again" in done.stderr
    check = {each["name"]: each for each in json.loads(tracker("doctor", "--json", **environment).stdout)["checks"]}
    assert check["alerts"]["state"] == "warning"
    assert "desk; none delivered yet; " in check["alerts"]["says"]
    assert "the connection was refused" in check["alerts"]["says"]
    http.up()
    later = (NOW + timedelta(minutes=1)).isoformat()
    done = tracker("alerts", "run", "--once", **environment, TRACKER_NOW=later)
    assert done.returncode == 0, done.stderr
    assert http.got[0].title.startswith("[REPLAY] eCitizen: tukio 1 limeanza")
    assert "https://outages.example.org/incidents?incident=1" in http.got[0].body
    assert len(http.got[0].pictures) == 1
    assert "secret words" not in http.got[0].body
    listed = json.loads(tracker("alerts", "list", "--json", **environment).stdout)
    assert {row["state"] for row in listed} == {"sent"}
    assert len(listed) == len(http.got)
    assert PASSWORD not in json.dumps(listed) + done.stderr
    assert "limeanza" in tracker("alerts", "list").stdout
    check = {each["name"]: each for each in json.loads(tracker("doctor", "--json", **environment).stdout)["checks"]}
    assert check["alerts"]["state"] == "ok"


def test_without_a_channel_incidents_are_watched_all_the_same(tracker: Tracker) -> None:
    done = tracker("alerts", "run", "--once")
    assert done.returncode == 0
    assert "nobody is told: no alert channel" in done.stderr
    assert tracker("alerts", "list", "--json").stdout == "[]\n"
