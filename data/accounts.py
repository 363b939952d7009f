"""The list of official accounts as it stands, and which stored posts are theirs: those that ship, and those confirmed since."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, or_, select, update

from data import facts, tables
from data.errors import InputError, RecordError
from data.lookalikes import lookalikes
from data.official import OfficialAccount, official_accounts
from data.records import text_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from data.official import OfficialMessage

MOST_CHARACTERS = 500
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_HANDLE = re.compile(r"[\w.-]{1,100}(?:@[\w.-]{1,100})?")
_IDS = {  # what the platforms' ids look like, and how that is said
    "x": (re.compile(r"[0-9]{1,19}"), "the number of the account, not its handle"),
    "bluesky": (re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]+"), "its DID, such as did:plc:…"),
    "mastodon": (re.compile(r"https?://[^\s/@]+/\S+"), "the address of its page, such as https://HOST/@NAME"),
    "news": (re.compile(r"[a-z0-9.-]+"), "the host of the site's feed"),
}


class AccountList:
    """The listed accounts. `hash_of(source, name)` is the pseudonym under which the store knows an id or a handle."""

    def __init__(self, accounts: Iterable[OfficialAccount], hash_of: Callable[[str, str], str]) -> None:
        self.accounts = tuple(accounts)
        self.by_key = {account.key: account for account in self.accounts if account.key}
        self.ids: dict[tuple[str, str], OfficialAccount] = {}
        self.handles: dict[tuple[str, str], OfficialAccount] = {}
        for each in self.accounts:
            for found, name in ((self.ids, each.account_id), (self.handles, each.handle)):
                if each.source and name:
                    found[each.source, hash_of(each.source, name)] = each
        names = [(each.key or "", name) for each in self.accounts if each.handle for name in (each.handle, each.office)]
        self._lookalikes = lookalikes(tuple(names))

    def recognise(self, source: str, author: str | None, author_handle: str | None, *, has_id: bool) -> str | None:
        """The key of the account with these pseudonyms, None where it is not listed.

        `has_id`: whether `author` is of an id. A handle is enough only where the list has no id, or the post has none: then
        the key is `SOURCE:@HANDLE`, which nobody has confirmed.
        """
        if has_id and author is not None and (found := self.ids.get((source, author))):
            return found.key
        named = self.handles.get((source, author_handle)) if author_handle else None
        if named is None or (named.account_id and has_id):
            return None
        return f"{source}:@{named.handle}"

    def check_listed(self, message: OfficialMessage) -> None:
        """Raise RecordError where a message names an account that nobody has confirmed; an office is a person's word."""
        account = self.by_key.get(message.account) if message.account else None
        if message.account and not (account and account.is_confirmed):
            raise RecordError(
                "account is not confirmed on the list of official accounts (`tracker status accounts`): give the office"
            )

    def resemblance(self, handle: str | None, name: str | None) -> tuple[str, str] | None:
        """(key of the listed account, reason) where the handle or the displayed name of another account looks like it."""
        for what, said in (("handle", handle), ("name", name)):
            if said:
                # Mastodon's handles have a host behind them, Bluesky's are one.
                local = said.removeprefix("@").split("@")[0].removesuffix(".bsky.social") if what == "handle" else said
                if found := self._lookalikes.find(local):
                    return found[0], f"{what}_{found[1]}"
        return None


def listed_accounts(connection: Connection) -> list[OfficialAccount]:
    """The accounts that ship, each replaced by what a person has confirmed of it, and the confirmed ones beside them."""
    table = tables.confirmed_accounts
    rows = connection.execute(select(table).order_by(table.c.at, table.c.source, table.c.account_id)).mappings()
    confirmed = [
        OfficialAccount(
            source=row["source"],
            handle=row["handle"],
            office=row["office"],
            is_ecitizen=row["is_ecitizen"],
            account_id=row["account_id"],
            evidence=row["evidence"],
            confirmed_by=row["who"],
            confirmed_at=row["at"],
        )
        for row in rows
    ]
    taken = {(each.source, each.account_id) for each in confirmed}
    taken |= {(each.source, each.handle.lower()) for each in confirmed if each.handle}
    offices = {each.office for each in confirmed}

    def stays(each: OfficialAccount) -> bool:
        if each.account_id:
            return (each.source, each.account_id) not in taken
        return (each.source, each.handle.lower()) not in taken if each.handle else each.office not in offices

    return [*confirmed, *filter(stays, official_accounts())]


def check_account(
    key: str, *, handle: str | None, office: str, is_ecitizen: bool, evidence: str, listed: Iterable[OfficialAccount]
) -> OfficialAccount:
    """The account to confirm. Raises InputError where a field cannot be right.

    One that the list, by handle or office, knows as eCitizen's own is so without being told.
    """
    source, account_id = split_key(key)
    form = _IDS.get(source)
    if form is None:
        raise InputError(f"accounts of {source} cannot be confirmed: choose from {', '.join(_IDS)}")
    if not form[0].fullmatch(account_id):
        raise InputError(f"{source} knows an account by {form[1]}: a handle can change hands, so it confirms nothing")
    handle = handle.removeprefix("@") if handle else None
    if handle is not None and not _HANDLE.fullmatch(handle):
        raise InputError("--handle is not a handle, such as eCitizenKenya")
    for option, value in (("--office", office), ("--evidence", evidence)):
        if not _plain_text(value):
            raise InputError(f"{option} is missing, or longer than {MOST_CHARACTERS} characters")
    if not re.fullmatch(r"https?://[^\s/]+\S*", evidence):
        raise InputError(
            "--evidence must be an address (https://…) where others can check that the account is the office's"
        )
    same = [
        each
        for each in listed
        if each.office == office or (handle and each.handle and each.handle.lower() == handle.lower())
    ]
    is_ecitizen = is_ecitizen or any(each.is_ecitizen for each in same)
    return OfficialAccount(source, handle, office.strip(), is_ecitizen, account_id, evidence)


def split_key(key: str) -> tuple[str, str]:
    """SOURCE and ID. Raises InputError where it is not `SOURCE:ID`."""
    source, colon, identifier = key.partition(":")
    if not colon or not _SOURCE.fullmatch(source) or not _plain_text(identifier):
        raise InputError("an account is named SOURCE:ID, such as x:123 (`tracker status accounts` lists them)")
    return source, identifier


def _plain_text(value: str) -> bool:
    text_field({"value": value}, "value")
    return bool(value.strip()) and len(value) <= MOST_CHARACTERS


def recognise_stored(connection: Connection, listed: AccountList) -> None:
    """Mark the stored posts of the list as it is now, in the same way as at the door.

    Labels made before a post was known as official have no status: they are removed, so that they are made again.
    """
    posts, labels = tables.posts, tables.labels
    official_keys = select(posts.c.source, posts.c.id).where(posts.c.account.is_not(None))
    before = {(row.source, row.id) for row in connection.execute(official_keys)}
    is_handle_only = posts.c.author == func.coalesce(posts.c.author_handle, "")
    connection.execute(update(posts).where(posts.c.account.is_not(None)).values(account=None))
    for (source, hashed), account in listed.ids.items():
        by_id = (posts.c.source == source, posts.c.author == hashed, ~is_handle_only)
        connection.execute(update(posts).where(*by_id).values(account=account.key))
    for (source, hashed), account in listed.handles.items():
        by_handle: list[Any] = [
            posts.c.source == source,
            posts.c.author_handle == hashed,
            posts.c.account.is_(None),
        ]
        if account.account_id:
            by_handle.append(is_handle_only)
        connection.execute(update(posts).where(*by_handle).values(account=f"{source}:@{account.handle}"))
    official = exists().where(
        posts.c.source == labels.c.source, posts.c.id == labels.c.id, posts.c.account.is_not(None)
    )
    connection.execute(delete(labels).where(or_(labels.c.status.is_(None), labels.c.scope.is_(None)), official))
    facts.refresh(connection, before | {(row.source, row.id) for row in connection.execute(official_keys)})
