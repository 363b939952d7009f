"""Official accounts: the list, recognition at the door, confirmation, messages, and what is not counted."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from conftest import KEY, NOW
from labelled import MODEL, hours, labels, nairobi
from sqlalchemy import select, text

from classifier import label_texts, load_model
from dashboard import volume
from dashboard.volume import Window
from data import tables
from data.accounts import AccountList
from data.corrections import corrections_of, settled_posts
from data.errors import InputError, RecordError
from data.links import address_keys, link_of, post_key
from data.messages import official_messages
from data.official import OfficialAccount, official_accounts, parse_official
from data.pseudonyms import pseudonym
from data.records import Post
from data.store import Store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from data.store import Labels

    Tracker = Callable[..., subprocess.CompletedProcess[str]]

EVIDENCE = "https://www.ecitizen.example/contacts"
OURS: dict[str, Any] = {
    "handle": "eCitizenKenya",
    "office": "Directorate of eCitizen",
    "is_ecitizen": True,
    "evidence": EVIDENCE,
    "who": "desk 2",
}
DAY = Window(nairobi("2026-03-05 00:00"), nairobi("2026-03-06 00:00"))
AT = nairobi("2026-03-05 08:40")


def said(number: int, words: str = "We are aware of the downtime", **more: Any) -> Post:
    fields: dict[str, Any] = {"author": "eCitizenKenya", "author_id": "123"} | more
    return Post(fields.pop("source", "x"), str(number), fields.pop("at", AT), words, **fields)


def account_of(store: Store, number: int = 1, source: str = "x") -> str | None:
    posts = tables.posts
    query = select(posts.c.account).where(posts.c.source == source, posts.c.id == str(number))
    with store.engine.connect() as connection:
        return connection.execute(query).scalar_one()


def label_as(store: Store, number: int, label: Labels, source: str = "x") -> None:
    store.activate_model(MODEL, "0" * 64)
    assert store.save_labels(MODEL, [(source, str(number), label)]) == 1


def with_status(status: str = "acknowledged", scope: str = "statement", **more: Any) -> Labels:
    """What the model says of a post that it takes for a complaint, though it is by a listed account."""
    return replace(labels("outage", **more), status=status, scope=scope)


# The list


def test_the_list_that_ships_names_the_offices_and_confirms_none() -> None:
    listed = official_accounts()
    offices = {each.office for each in listed}
    assert {"Directorate of eCitizen", "Huduma Kenya", "Kenya Revenue Authority"} <= offices
    assert {"Office of the Auditor-General", "Consulate General of Kenya, Dubai"} <= offices
    assert {each.office for each in listed if each.is_ecitizen} == {"Directorate of eCitizen"}
    # No source that this project has gives an id.
    assert not any(each.account_id or each.confirmed_by or each.is_confirmed for each in listed)
    assert all(each.evidence is None or each.evidence.startswith("http") for each in listed)
    keys = [each.key for each in listed if each.key]
    assert len(keys) == len(set(keys)) and "x:@eCitizenKenya" in keys


def test_a_handle_alone_is_recognised_but_unconfirmed(opened: Callable[..., Store]) -> None:
    store = opened()
    store.save_page(
        [said(1), said(2, author="ECITIZENKENYA", author_id=None), said(3, author="somebody", author_id="9")]
    )
    assert [account_of(store, number) for number in (1, 2, 3)] == ["x:@eCitizenKenya", "x:@eCitizenKenya", None]
    label_as(store, 1, with_status())
    [message] = official_messages(store.engine)
    assert (message["confirmed"], message["from_ecitizen"]) == (False, False)
    assert (message["office"], message["status"], message["post"]) == ("Directorate of eCitizen", "acknowledged", "x:1")


def test_confirming_recognises_what_is_stored_and_unconfirming_undoes_it(opened: Callable[..., Store]) -> None:
    store = opened()
    renamed = said(2, author="eCitizen_KE")
    other_id = said(3, author_id="666")
    no_id = said(4, author_id=None)
    store.save_page([said(1), renamed, other_id, no_id])
    assert [account_of(store, number) for number in range(1, 5)] == [
        "x:@eCitizenKenya",
        None,
        *["x:@eCitizenKenya"] * 2,
    ]
    assert store.confirm_account("x:123", **OURS) == (2, True)  # its old handle had been suspected
    # By id, whatever the handle; another id with the handle is nobody's; without an id nobody can tell.
    assert [account_of(store, number) for number in range(1, 5)] == ["x:123", "x:123", None, "x:@eCitizenKenya"]
    store.save_page([said(5), said(6, author=None), said(7, author_id="667")])
    assert [account_of(store, number) for number in (5, 6, 7)] == ["x:123", "x:123", None]
    assert {row["resembles"] for row in store.impostors()} == {"x:123"}  # of x:667, which bears the very handle
    store.unconfirm_account("x:123", "desk 2")
    before = ["x:@eCitizenKenya", None, "x:@eCitizenKenya", "x:@eCitizenKenya", "x:@eCitizenKenya", None]
    assert [account_of(store, number) for number in range(1, 7)] == before
    with pytest.raises(InputError, match="x:123 is not confirmed"):
        store.unconfirm_account("x:123", "desk 2")
    with store.engine.connect() as connection:
        audit = connection.execute(select(tables.audit).order_by(tables.audit.c.id)).all()
    assert [row.action for row in audit] == ["confirm account", "unconfirm account"]
    assert "desk 2" not in str(audit) and audit[0].detail["who"].startswith("p:")


def test_a_handle_that_is_written_like_an_id_does_not_make_its_owner_official(store: Store) -> None:
    store.save_page([said(1, author="123", author_id=None)])
    store.confirm_account("x:123", **OURS)
    store.save_page([said(2, author="123", author_id=None), said(3, author="123", author_id="55")])
    assert [account_of(store, number) for number in (1, 2, 3)] == [None, None, None]


def test_an_export_is_recognised_when_it_comes_back(store: Store) -> None:
    hashed = pseudonym(KEY.encode(), "x", "123")
    store.save_page([said(1, author=hashed, author_id=None)])
    store.confirm_account("x:123", **OURS)
    store.save_page([said(2, author=hashed, author_id=None)])
    assert [account_of(store, number) for number in (1, 2)] == ["x:123", "x:123"]


def test_labels_without_a_status_are_made_again_once_the_account_is_confirmed(store: Store) -> None:
    store.save_page([said(1, author=None), said(2, author=None, author_id="9")])
    store.activate_model(MODEL, "0" * 64)
    store.save_labels(MODEL, [("x", "1", labels("outage")), ("x", "2", labels("outage"))])
    store.confirm_account("x:123", **OURS)
    assert store.unlabelled(MODEL, 10) == []
    assert [id_ for _, id_, _ in store.unlabelled(MODEL, 10, official=True)] == ["1"]
    # A label made by somebody who read the post before it was recognised is not kept.
    assert store.save_labels(MODEL, [("x", "1", labels("outage"))]) == 0
    assert store.save_labels(MODEL, [("x", "1", with_status())]) == 1
    assert [message["post"] for message in official_messages(store.engine)] == ["x:1"]


def test_a_page_that_is_saved_while_an_account_is_confirmed_is_recognised_either_way(
    opened: Callable[..., Store],
) -> None:
    store, other = opened(), opened()
    store.save_page([said(0, author=None)])
    saved: list[int] = []
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            saved.append(len(saved) + 1)
            other.save_page([said(saved[-1], author=None)])

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for _ in range(5):
            store.confirm_account("x:123", **OURS)
            store.unconfirm_account("x:123")
        store.confirm_account("x:123", **OURS)
    finally:
        stop.set()
        thread.join()
    assert saved
    assert {account_of(store, number) for number in [0, *saved]} == {"x:123"}


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("x:eCitizenKenya", {}, "a handle can change hands"),
        ("x", {}, "named SOURCE:ID"),
        ("x: ", {}, "named SOURCE:ID"),
        ("x:٣٣", {}, "a handle can change hands"),
        ("reddit:t2_abc", {}, "accounts of reddit cannot be confirmed"),
        ("bluesky:ecitizen.bsky.social", {}, "by its DID"),
        ("mastodon:@ecitizen@jamii.example", {}, "the address of its page"),
        ("x:123", {"handle": "e Citizen"}, "--handle is not a handle"),
        ("x:123", {"office": " "}, "--office is missing"),
        ("x:123", {"evidence": "I know them"}, "--evidence must be an address"),
        ("x:123", {"evidence": ""}, "--evidence is missing"),
        ("x:123", {"who": " "}, "who is missing"),
        ("x:123", {"office": "A\0"}, "NUL"),
    ],
)
def test_what_cannot_be_confirmed_is_refused_and_nothing_is_kept(
    store: Store, key: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, RecordError), match=message):
        store.confirm_account(key, **(OURS | change))
    assert not any(each.is_confirmed for each in store.accounts().accounts)


def test_who_is_known_as_ecitizens_own_is_so_without_being_told(store: Store) -> None:
    store.confirm_account("x:123", **(OURS | {"is_ecitizen": False}))
    store.confirm_account("bluesky:did:plc:abc", **(OURS | {"is_ecitizen": False, "handle": None}))
    store.confirm_account("x:5", **(OURS | {"is_ecitizen": False, "handle": "HudumaKenya", "office": "Huduma Kenya"}))
    assert {each.key: each.is_ecitizen for each in store.accounts().accounts if each.is_confirmed} == {
        "x:123": True,
        "bluesky:did:plc:abc": True,
        "x:5": False,
    }


# What counts


def test_a_listed_account_never_complains_and_its_status_is_shown_and_corrected(store: Store) -> None:
    store.confirm_account("x:123", **OURS)
    store.save_page([said(1), said(2, "Jambo", author_id="9", author="jane_w")])
    label_as(store, 1, with_status("notice"))
    label_as(store, 2, labels("outage"))
    posts = volume.load_posts(store.engine, DAY)
    assert volume.complaints(posts)["id"].tolist() == ["2"]
    [message] = official_messages(store.engine)
    assert (message["confirmed"], message["from_ecitizen"], message["precision"]) == (True, True, "minute")
    assert (message["at"], message["status"], message["url"]) == (AT, "notice", "https://x.com/i/status/1")
    store.correct("x", "1", {"status": "acknowledged"}, "desk 2")
    assert official_messages(store.engine)[0]["status"] == "acknowledged"
    with pytest.raises(InputError, match="by a listed official account"):
        store.correct("x", "1", {"kind": "complaint"}, "desk 2")
    store.correct("x", "1", {}, "desk 2", confirm=True)
    assert official_messages(store.engine)[0]["scope"] == "statement"
    assert volume.complaints(volume.load_posts(store.engine, DAY))["id"].tolist() == ["2"]


def test_an_export_says_that_the_list_decided_against_the_model(store: Store) -> None:
    store.confirm_account("x:123", **OURS)
    store.save_page([said(1), said(2)])
    label_as(store, 1, with_status())
    label_as(store, 2, replace(with_status("update"), kind="official"))
    posts = settled_posts()
    with store.engine.connect() as connection:
        rows = {row["id"]: row for row in connection.execute(select(posts)).mappings()}
    assert (rows["1"]["kind"], rows["1"]["status"]) == ("official", "acknowledged")
    said_by_model = {(each["field"], each["model_said"], each["who"]) for each in corrections_of(rows["1"])}
    assert said_by_model == {("kind", "complaint", "account")}  # the status is the model's own
    assert corrections_of(rows["2"]) == []
    store.correct("x", "1", {"status": "update"}, "desk 2")
    with store.engine.connect() as connection:
        row = connection.execute(select(posts).where(posts.c.id == "1")).mappings().one()
    kind, status = corrections_of(row)
    assert (kind["who"], status["field"], status["model_said"]) == ("account", "status", "acknowledged")
    assert status["who"] != "account"


def test_what_an_official_account_reposts_is_not_its_word(store: Store) -> None:
    store.confirm_account("x:123", **OURS)
    store.save_page([said(1, "RT: it is down for me", repost_of="77")])
    label_as(store, 1, with_status())
    assert official_messages(store.engine) == []
    assert volume.complaints(volume.load_posts(store.engine, DAY)).empty


def test_a_message_added_by_hand_and_collected_is_one(store: Store) -> None:
    store.confirm_account("x:123", **OURS)
    store.save_page([said(1, at=nairobi("2026-03-05 14:12"))])
    label_as(store, 1, with_status("notice", about="other"))
    record = {"precision": "day", "office": "Directorate of eCitizen", "status": "acknowledged", "text": "aware"}
    urls = ("https://twitter.com/eCitizenKenya/status/1?s=20", "https://x.com/eCitizenKenya/status/11", None)
    store.add_official(
        parse_official(record | {"at": f"2026-03-05T0{number}:00+03:00", "precision": "minute", "url": url})
        for number, url in enumerate(urls)
    )
    found = official_messages(store.engine)
    assert [(each["post"], each["status"], each["at"]) for each in found] == [
        ("x:1", "acknowledged", nairobi("2026-03-05 14:12")),
        (None, "acknowledged", nairobi("2026-03-05 02:00")),
        (None, "acknowledged", nairobi("2026-03-05 01:00")),
    ]
    assert found[0]["about"] == "ecitizen"  # somebody thought it worth adding
    store.correct("x", "1", {"status": "update"}, "desk 2")
    assert official_messages(store.engine)[0]["status"] == "update"
    later = official_messages(store.engine, nairobi("2026-03-05 12:00"), nairobi("2026-03-06 00:00"))
    assert [each["post"] for each in later] == ["x:1"]


def test_a_message_of_an_account_counts_as_long_as_the_account_is_confirmed(store: Store) -> None:
    record = {"at": "2026-03-05T09:00+03:00", "account": "x:123", "status": "resolved", "text": "Restored"}
    message = parse_official(record)
    with pytest.raises(RecordError, match="account is not confirmed"):
        store.accounts().check_listed(message)
    store.confirm_account("x:123", **OURS)
    store.accounts().check_listed(message)
    store.add_official([message])
    [shown] = official_messages(store.engine)
    assert (shown["confirmed"], shown["from_ecitizen"], shown["office"]) == (True, True, "Directorate of eCitizen")
    store.unconfirm_account("x:123")
    [shown] = official_messages(store.engine)
    assert (shown["confirmed"], shown["from_ecitizen"], shown["office"]) == (False, False, None)


def test_the_page_shows_what_is_about_ecitizen_or_by_it(store: Store) -> None:
    store.confirm_account("x:123", **OURS)
    store.confirm_account("x:5", **(OURS | {"handle": "HudumaKenya", "office": "Huduma Kenya", "is_ecitizen": False}))
    huduma = {"author": "HudumaKenya", "author_id": "5"}
    store.save_page([said(1), said(2, **huduma), said(3, **huduma)])
    label_as(store, 1, with_status(about="other"))
    label_as(store, 2, with_status(about="ecitizen"))
    label_as(store, 3, with_status("notice", about="government"))
    shown = volume.official_messages(store.engine, DAY)
    assert sorted(shown["post"] if "post" in shown else shown["who"]) == ["Directorate of eCitizen", "Huduma Kenya"]
    assert len(official_messages(store.engine)) == 3
    reasons = volume.not_counted(volume.load_posts(store.engine, DAY)).set_index("id")["reason"].to_dict()
    assert reasons == {"1": "official_elsewhere", "2": "official", "3": "official_elsewhere"}


def test_a_chart_draws_the_messages_on_a_disruption_first(store: Store) -> None:
    record = {"office": "Huduma Kenya", "status": "help", "text": "Kindly DM"}
    many = [parse_official(record | {"at": f"2026-03-05T{n // 6:02}:{n % 6}0+03:00"}) for n in range(60)]
    early = parse_official(record | {"at": "2026-03-05T00:05+03:00", "status": "acknowledged", "text": "Down"})
    store.add_official([*many, early])
    official = volume.official_messages(store.engine, DAY)
    drawn = volume.drawn_messages(official)
    assert (len(official), len(drawn)) == (61, volume.DRAWN_MESSAGES)
    assert "acknowledged" in set(drawn["status"])
    assert drawn["from_at"].is_monotonic_increasing
    assert drawn["from_at"].iloc[-1] == official["from_at"].iloc[-1]


# Not counted


@pytest.mark.parametrize(
    ("kind", "about", "reason"),
    [
        ("complaint", "government", "government"),
        ("complaint", "dependency", "dependency"),
        ("complaint", "other", "unrelated"),
        ("opinion", "other", "unrelated"),
        ("promotion", "ecitizen", "promotion"),
        ("promotion", "other", "promotion"),
        ("rumour", "ecitizen", "rumour"),
        ("rumour", "other", "rumour"),
        ("question", "ecitizen", "question"),
        ("official", "ecitizen", "official_unlisted"),
        ("official", "government", "government"),
        ("other", "ecitizen", "other"),
        ("complaint", "ecitizen", None),
    ],
)
def test_each_post_that_does_not_count_says_why(store: Store, kind: str, about: str, reason: str | None) -> None:
    store.save_page([said(1, author="jane_w", author_id="9")])
    label_as(store, 1, labels(kind=kind, about=about))
    posts = volume.load_posts(store.engine, DAY)
    assert volume.not_counted(posts)["reason"].tolist() == ([reason] if reason else [])
    assert len(volume.complaints(posts)) + len(volume.not_counted(posts)) == 1
    drawn = {"government", "dependency", "unrelated", "promotion", "rumour"} & {reason}
    expected = [] if kind == "official" else sorted(drawn)
    assert volume.lanes(posts, DAY)["lane"].tolist() == expected


def test_who_reads_the_officials_has_not_listened_for_complaints(store: Store) -> None:
    from data.store import RunRecord, Span

    store.save_page([said(1)])
    store.save_page([], source="official", stream="x 123", spans=[Span(DAY.from_at, DAY.to_at)])
    store.save_run(RunRecord("official", AT))
    assert volume.not_looked_at(store.engine, DAY) == [(DAY.from_at, DAY.to_at)]
    status = volume.status_line(store.engine, AT + hours(1))
    assert (status.word, status.looked_until, status.silent) == ("blind", None, ())


# Links


def test_links_carry_no_handle() -> None:
    assert link_of("x", "123") == "https://x.com/i/status/123"
    assert link_of("reddit", "t3_abc") == "https://www.reddit.com/comments/abc"
    did_post = "at://did:plc:abc/app.bsky.feed.post/3k"
    assert link_of("bluesky", did_post) == "https://bsky.app/profile/did:plc:abc/post/3k"
    assert link_of("bluesky", "at://somebody.bsky.social/app.bsky.feed.post/3k") is None
    assert link_of("care-desk", "1") is None


@pytest.mark.parametrize(
    ("url", "source", "identifier"),
    [
        ("https://x.com/i/status/123", "x", "123"),
        ("twitter.com/eCitizenKenya/status/123?s=20", "x", "123"),
        ("https://mobile.twitter.com/i/web/status/123/photo/1", "x", "123"),
        ("https://bsky.app/profile/ecitizen.bsky.social/post/3k", "bluesky", "at://did:plc:abc/app.bsky.feed.post/3k"),
        ("https://jamii.example/@ecitizen/77", "mastodon", "jamii.example/77"),
        ("https://jamii.example/users/ecitizen/statuses/77", "mastodon", "jamii.example/77"),
    ],
)
def test_an_address_leads_to_its_post(url: str, source: str, identifier: str) -> None:
    assert post_key(source, identifier) in address_keys(url)


@pytest.mark.parametrize(
    "url", ["", "nairobileo.co.ke 26125", "https://x.com/eCitizenKenya", "https://[", "news report"]
)
def test_other_addresses_lead_to_no_post(url: str) -> None:
    assert {source for source, _ in address_keys(url)} <= {"news"}


# Commands


def test_the_commands_confirm_list_and_unconfirm(
    tracker: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    posts = [
        {"id": "1", "text": "eCitizen is back, thank you", "author": "eCitizenKenya", "author_id": "123"},
        {
            "id": "2",
            "text": "eCitizen iko down",
            "author": "eCitizen_Help",
            "author_id": "9",
            "author_name": "eCitizen",
        },
    ]
    file = tmp_path / "posts.jsonl"
    file.write_text(
        "".join(json.dumps(each | {"source": "x", "created_at": "2026-03-05T08:00Z"}) + "\n" for each in posts)
    )
    assert tracker("import", file).returncode == 0
    before = json.loads(tracker("status", "accounts", "--json").stdout)
    assert {each["state"] for each in before} == {"unconfirmed", "no account"}
    words = ["x:123", "--handle", "@eCitizenKenya", "--office", "Directorate of eCitizen", "--ecitizen"]
    done = tracker("status", "confirm", *words, "--evidence", EVIDENCE, "--who", "desk 2")
    assert done.returncode == 0 and "posts of it that are stored: 1" in done.stderr
    shown = tracker("status", "accounts")
    assert shown.returncode == 0 and EVIDENCE in shown.stdout and "desk 2" not in shown.stdout + done.stderr
    [mine] = [
        each for each in json.loads(tracker("status", "accounts", "--json").stdout) if each["state"] == "confirmed"
    ]
    assert (mine["account"], mine["handle"], mine["is_ecitizen"]) == ("x:123", "eCitizenKenya", True)
    assert tracker("classify").returncode == 0
    [message] = json.loads(tracker("status", "list", "--json").stdout)
    assert (message["post"], message["confirmed"], message["account"]) == ("x:1", True, "x:123")
    assert message["status"] and "[unconfirmed]" not in tracker("status", "list").stdout
    [suspect] = json.loads(tracker("status", "impostors", "--json").stdout)
    assert (suspect["resembles"], suspect["url"]) == ("x:@eCitizenKenya", "https://x.com/i/status/2")
    listed = tracker("status", "impostors").stdout
    assert "eCitizen_Help" not in json.dumps(suspect) + listed and " x:2 " in listed
    dismissed = tracker("status", "not-impostor", "x:2", "--who", "desk 2")
    assert dismissed.returncode == 0 and "posts of it that are stored: 1" in dismissed.stderr
    assert json.loads(tracker("status", "impostors", "--json").stdout) == []
    again = tracker("status", "not-impostor", "x:2", "--who", "desk 2")
    assert again.returncode == 2 and "`tracker status impostors` lists them" in again.stderr
    assert tracker("status", "not-impostor", "x:2", "--who", "desk 2", "--undo").returncode == 0
    assert json.loads(tracker("status", "impostors", "--json").stdout) == [suspect]
    assert tracker("status", "unconfirm", "x:123").returncode == 0
    assert "[unconfirmed]" in tracker("status", "list").stdout
    refused = tracker("status", "unconfirm", "x:123")
    assert refused.returncode == 2 and "is not confirmed" in refused.stderr


def test_of_a_listed_account_the_model_gives_a_status_whatever_it_takes_the_post_for() -> None:
    model = load_model()
    words = ["eCitizen iko down tangu asubuhi", "Access to services has now been restored"]
    plain, official = label_texts(model, words), label_texts(model, words, official=True)
    assert plain[0].status is None and plain[0].kind == "complaint"
    assert official[0].status is not None and official[0].scope in ("statement", "reply")
    for one, other in zip(plain, official, strict=True):
        assert (one.kind, one.scores, one.kind_score) == (other.kind, other.scores, other.kind_score)


WORD = "Access to services has now been restored"


@pytest.mark.parametrize("start", ["@user ", "@eCitizenKenya, ", " @user @user "])
def test_an_official_message_that_begins_with_a_mention_is_a_reply(start: str) -> None:
    model = load_model()
    # A mention elsewhere makes no reply by itself: of those the model decides.
    words = [WORD, start + WORD, f"{WORD} on @eCitizenKenya", "eCitizen iko down tangu asubuhi", f"{start}haifunguki"]
    labels = label_texts(model, words, official=True)
    assert [label.scope for label in labels[:3]] == ["statement", "reply", "statement"]
    assert labels[4].scope == "reply"
    assert label_texts(model, words[3:]) == [replace(label, status=None, scope=None) for label in labels[3:]]


def test_what_answers_another_post_is_a_reply_by_its_post_and_not_by_its_text() -> None:
    model, known = load_model(), {}
    words, replies = [WORD, WORD, "asante sana"], [False, True, True]
    first = label_texts(model, words, known=known, replies=replies)
    assert [(label.kind, label.scope) for label in first[:2]] == [("official", "statement"), ("official", "reply")]
    assert first[2].kind != "official" and first[2].scope is None
    # What is known of a text goes from one call to the next, what is so of one post does not.
    assert label_texts(model, words, known=known, replies=[True, False, True]) == [first[1], first[0], first[2]]
    assert label_texts(model, words[:2], known=known) == [first[0], first[0]]


def test_a_stored_post_that_answers_another_is_labelled_a_reply(tracker: Tracker, store: Store) -> None:
    store.confirm_account("x:123", **OURS)
    store.save_page(
        [
            said(1, WORD),
            said(2, WORD, reply_to="77"),
            said(3, "eCitizen iko down tangu asubuhi", reply_to="77"),
            said(4, f"@jane_wanjiru {WORD}"),
            said(5, WORD, author="somebody", author_id="9", reply_to="77"),
            said(6, WORD, author="somebody", author_id="9"),
        ]
    )
    assert store.replies([("x", str(number)) for number in range(9)]) == {("x", "2"), ("x", "3"), ("x", "5")}
    assert tracker("classify").returncode == 0
    with store.engine.connect() as connection:
        rows = connection.execute(select(tables.labels.c.id, tables.labels.c.scope)).all()
    assert {row.id: row.scope for row in rows} == {
        **dict.fromkeys("16", "statement"),
        **dict.fromkeys("2345", "reply"),
    }


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_listed_accounts_status_and_scope_are_said_again_and_a_change_of_them_is_found(
    tracker: Tracker, store: Store, tmp_path: Path, ending: str
) -> None:
    store.confirm_account("x:123", **OURS)
    store.save_page([said(1, "eCitizen iko down tangu asubuhi"), said(2, "asante sana", reply_to="77"), said(3, WORD)])
    assert tracker("classify").returncode == 0
    store.correct("x", "2", {"scope": "statement"}, "desk 2")
    path = tmp_path / f"out.{ending}"
    assert tracker("export", path).returncode == 0
    report = json.loads(tracker("rerun", path, "--json").stdout)
    assert (report["verdict"], report["n"], report["fields"]["status"]["differing"]) == ("identical", 3, 0)
    assert sum(row["rerun"] for row in report["fields"]["status"]["per_label"].values()) == 3
    if ending != "jsonl":
        return
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for field, other in (("status", "denial"), ("scope", "reply")):
        changed = [row | ({field: other} if row["id"] == "1" else {}) for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in changed), encoding="utf-8")
        done = tracker("rerun", path, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["fields"][field]["differing"] == 1


def test_nothing_of_a_name_is_stored(store: Store) -> None:
    store.save_page([said(1, author="eCitizen_desk", author_id="9", author_name="eCitizen Kenya Desk Wanjiru")])
    with store.engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        dump = "".join(str(connection.execute(text(f'SELECT * FROM "{name}"')).all()) for name in names)
    assert store.impostors()
    assert "eCitizen_desk" not in dump and "Wanjiru" not in dump


def test_an_account_list_knows_a_confirmed_account_by_its_id_alone() -> None:
    def hash_of(source: str, name: str) -> str:
        return f"{source}/{name.lower()}"

    mine = OfficialAccount("x", "Ours", "Office", True, "1", EVIDENCE, "p:1", NOW)
    listed = AccountList([mine], hash_of)
    assert listed.recognise("x", "x/1", None, has_id=True) == "x:1"
    assert listed.recognise("bluesky", "x/1", None, has_id=True) is None
    assert listed.recognise("x", "x/2", "x/ours", has_id=True) is None
    assert listed.recognise("x", "x/ours", "x/ours", has_id=False) == "x:@Ours"
    assert listed.recognise("x", None, None, has_id=False) is None
