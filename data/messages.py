"""All official messages: those added by hand, and the collected posts of listed accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from data import tables
from data.accounts import listed_accounts
from data.corrections import settled_posts
from data.links import address_keys, link_of, post_key
from data.maintenance import stated_window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Select

    from data.official import OfficialAccount


def official_messages(
    engine: Engine, from_at: datetime | None = None, to_at: datetime | None = None
) -> list[dict[str, Any]]:
    """The official messages said from `from_at` until before `to_at`, the newest first, times in UTC.

    Fields: at, precision, account, office, from_ecitizen, confirmed, status, scope, about, from, to, url, post, text,
    synthetic. `from` and `to` are what maintenance covers: as a person gave it, or as a collected text plainly states it. `confirmed` says whether its account is: other messages are shown, and nothing is graded by them. `post` is
    SOURCE:ID of a collected one, whose `about` the model gave; added by hand, a message is about eCitizen. A message that was
    both added and collected is one, with the post's time, account and words and the status that a person gave.
    """
    by_hand, posts = tables.official_messages, settled_posts()
    said = select(by_hand)
    collected = select(posts).where(
        posts.c.account.is_not(None),
        posts.c.status.is_not(None),
        posts.c.scope.is_not(None),
        posts.c.repost_of.is_(None),
    )
    with engine.connect() as connection:
        accounts = {account.key: account for account in listed_accounts(connection)}
        added = _rows(connection, _between(said, by_hand.c.at, from_at, to_at))
        found = _rows(connection, _between(collected, posts.c.created_at, from_at, to_at))
        # The other half of a message can lie outside the window: a day begins before the post of that day.
        with_address = _rows(connection, said.where(by_hand.c.url.is_not(None))) if found else []
    by_post = {key: row for row in with_address for key in address_keys(row["url"])}
    messages, hidden = [], set()
    for row in found:
        message = _of_post(row, accounts)
        if same := by_post.get(post_key(row["source"], row["id"])):
            hidden.add(same["id"])
            message |= _of_person(same, message, is_corrected=row["status_who"] is not None)
        messages.append(_with_window(message, row))
    messages += [_by_hand(row, accounts) for row in added if row["id"] not in hidden]
    return sorted(messages, key=lambda message: message["at"], reverse=True)


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _between(query: Select[Any], column: Any, from_at: datetime | None, to_at: datetime | None) -> Select[Any]:
    query = query if from_at is None else query.where(column >= from_at)
    return query if to_at is None else query.where(column < to_at)


def _by_hand(row: Mapping[str, Any], accounts: Mapping[str | None, OfficialAccount]) -> dict[str, Any]:
    account = accounts.get(row["account"]) if row["account"] else None
    is_confirmed = account.is_confirmed if account else not row["account"]  # an office is a person's word
    return {
        "at": row["at"],
        "precision": row["precision"],
        "account": row["account"],
        "office": row["office"] or (account.office if account else None),
        "from_ecitizen": row["from_ecitizen"] or bool(account and account.is_ecitizen and is_confirmed),
        "confirmed": is_confirmed,
        "status": row["status"],
        "scope": row["scope"],
        "about": "ecitizen",
        "from": row["covers_from"],
        "to": row["covers_to"],
        "url": row["url"],
        "post": None,
        "text": row["text"],
        "synthetic": row["synthetic"],
    }


def _of_post(row: Mapping[str, Any], accounts: Mapping[str | None, OfficialAccount]) -> dict[str, Any]:
    # A handle without an id, of an account that is confirmed by its id: what the key's own account is, nobody checked.
    account = accounts.get(row["account"])
    is_confirmed = account is not None and account.is_confirmed
    office = account.office if account else _office_of_handle(row["account"], accounts)
    return {
        "at": row["created_at"],
        "precision": "minute",
        "account": row["account"],
        "office": office,
        "from_ecitizen": bool(account and account.is_ecitizen and is_confirmed),
        "confirmed": is_confirmed,
        "status": row["status"],
        "scope": row["scope"],
        "about": row["about"],
        "from": None,
        "to": None,
        "url": link_of(row["source"], row["id"]),
        "post": f"{row['source']}:{row['id']}",
        "text": row["text"],
        "synthetic": row["synthetic"],
    }


def _with_window(message: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Announced maintenance with the window that its text states, where no person gave one.

    About eCitizen it must be about all of it: who works on one service says nothing of the others, and an office that does not
    name eCitizen may mean a system of its own.
    """
    is_first_text = row["edited_at"] is None  # what an edit says was perhaps not said beforehand
    is_named = message["from_ecitizen"] or "citizen" in row["text"].lower()
    is_plain = message["about"] != "ecitizen" or (is_named and not row["services"])
    if message["status"] != "maintenance" or message["from"] or message["to"] or not (is_first_text and is_plain):
        return message
    window = stated_window(row["text"], row["created_at"], message["about"])
    return message if window is None else message | dict(zip(("from", "to"), window, strict=True))


def _office_of_handle(key: str, accounts: Mapping[str | None, OfficialAccount]) -> str | None:
    source, _, handle = key.partition(":@")
    same = (
        each for each in accounts.values() if each.source == source and (each.handle or "").lower() == handle.lower()
    )
    return next((each.office for each in same), None)


def _of_person(row: Mapping[str, Any], message: Mapping[str, Any], *, is_corrected: bool) -> dict[str, Any]:
    """What somebody who added the message by hand said of it, over what is known of the post; a correction of the post wins."""
    said = {} if is_corrected else {"status": row["status"], "scope": row["scope"]}
    return said | {
        "about": "ecitizen",
        "office": row["office"] or message["office"],
        "from_ecitizen": row["from_ecitizen"] or message["from_ecitizen"],
        "confirmed": message["confirmed"] or bool(row["office"]),
        "from": row["covers_from"],
        "to": row["covers_to"],
        "url": message["url"] or row["url"],
    }
