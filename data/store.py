"""The store: one door in, where posts are redacted before the first write, and the transactions that keep it whole."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    and_,
    case,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    make_url,
    or_,
    select,
    text,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from data import facts, tables
from data.accounts import AccountList, check_account, listed_accounts, recognise_stored, split_key
from data.corrections import FIELDS, check_fields, settle, settled_posts, without_official
from data.errors import InputError, RecordError, StoreError
from data.labels import confidence
from data.official import NAIROBI, official_handles
from data.pseudonyms import key_check, load_key, pseudonym
from data.records import check_source, text_field
from data.redaction import redact
from data.rows import RowMaker, RowMakers
from data.tables import SCHEMA_REVISION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Insert, Subquery

    from data.official import OfficialMessage
    from data.records import Post
    from data.rows import PostRow
    from data.settings import Settings

BUSY_TIMEOUT_SECONDS = 60
IMPORTS = "import"  # where a cursor has the source: of a file whose import is under way, or was stopped
CLOCKS_DIFFER = timedelta(minutes=5)
MAX_WHO_CHARACTERS = 200
MAX_WHY_CHARACTERS = 2_000
_USER = re.compile(r"\A/?(?:u|user)/", re.IGNORECASE)  # as Reddit writes a user
VERDICTS = ("confirmed", "dismissed")
_ANALYST = ":analyst"  # where the hash of an author has the source, whose name has no colon
_CACHE_KIB = 32 * 1024  # new posts touch the indexes of authors, which are hashes, all over; 2 MB is SQLite's default
_KEYS_PER_LOOKUP = 500  # SQLite's default limit of variables in a statement was 999 for long
_MIGRATION_LOCK = 0x65436974  # "eCit", PostgreSQL's advisory lock while migrating


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that a source looked at, or with `gap_reason` one that it could not."""

    from_at: datetime
    to_at: datetime
    gap_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many posts a platform says that there were in a stretch of time."""

    from_at: datetime
    to_at: datetime
    posts: int


@dataclass(slots=True)
class Tally:
    """What became of the posts handed to the store."""

    new: int = 0
    duplicate: int = 0
    dropped: int = 0  # erased before, at the platform or here, and not let in again
    erased: int = 0  # deleted at the platform and now here
    updated: int = 0  # there already, and now with the text of a later edit

    def __iadd__(self, other: Tally) -> Tally:
        self.new += other.new
        self.duplicate += other.duplicate
        self.dropped += other.dropped
        self.erased += other.erased
        self.updated += other.updated
        return self


@dataclass(frozen=True, slots=True)
class Prepared:
    """Posts on their way in: looked up, and those that are not there being redacted."""

    given: int
    fresh: Sequence[Post]
    rows: Callable[[], list[PostRow]]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a model says of one post; the fields and their meaning are those of INTERFACE "A labelled post"."""

    problems: list[str]
    scores: dict[str, float]
    kind: str
    kind_score: float
    sentiment: str
    sentiment_score: float
    about: str
    about_score: float
    lang: str
    unsure: bool
    services: list[str]
    status: str | None = None
    scope: str | None = None


@dataclass(slots=True)
class RunRecord:
    """One collection run of one source, as `doctor` and the dashboard report it."""

    source: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    note: str | None = None
    fetched: int = 0
    new: int = 0
    duplicate: int = 0
    dropped: int = 0
    requests: int = 0
    cost_usd: float = 0.0
    gaps: int = 0  # the spans themselves are in coverage


class Store:
    """The posts, labels and official messages in one database.

    Every method is one transaction. Texts and handles go in as the platform gave them and come out redacted.
    """

    def __init__(self, engine: Engine, key: bytes, now: Callable[[], datetime]) -> None:
        self.engine = engine
        self._key = key
        self._now = now
        self._keep_handles = official_handles()
        self._rows = RowMakers(RowMaker(key, self._keep_handles))
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def prepare(self, posts: Iterable[Post]) -> Prepared:
        """Look posts up and begin to redact those that are not there, in processes of their own once they are many.

        Whoever saves many pages prepares the next ones before saving the first; each is saved by `save_page`.
        """
        given = list(posts)
        fresh = {(post.source, post.id): post for post in _newest_versions(given)}
        with _readable_errors(self.engine), self.engine.connect() as connection:
            for key in _present(connection, tables.posts, fresh):
                if fresh[key].edited_at is None:
                    del fresh[key]
        return Prepared(len(given), list(fresh.values()), self._rows.start(list(fresh.values())))

    def save_page(
        self,
        posts: Iterable[Post] | Prepared,
        *,
        source: str | None = None,
        stream: str = "",
        cursor: Any = None,
        spans: Sequence[Span] = (),
        counts: Sequence[Count] = (),
        deleted_posts: Collection[str] = (),
        deleted_accounts: Collection[str] = (),
        scrub: bool = True,
    ) -> Tally:
        """Save a page of posts, where to go on reading (`cursor`) and the spans it looked at: all or nothing.

        A post that is there already, or that was erased, is counted and left alone, but for a later edit: its text takes
        the place of the earlier one, and the labels of that go. What `source` says was deleted there, posts by id and accounts
        with all that they wrote, is erased where it is kept, and kept out from then on; who erases page after page
        calls `scrub` once at the end. A cursor that is a function is called with what became of the posts.
        """
        prepared = posts if isinstance(posts, Prepared) else self.prepare(posts)
        now = self._now()
        rows = {(row["source"], row["id"]): row for row in prepared.rows()}
        for row in rows.values():
            row["first_seen_at"] = now
        with self._transaction() as connection:
            suspects = self._recognise(connection, prepared.fresh, rows)
            tally = self._insert_posts(connection, rows)
            edited = self._follow_edits(connection, rows)
            tally.updated = len(edited)
            self._suspect(connection, suspects)
            tally.duplicate = prepared.given - tally.new - tally.dropped - tally.updated
            if source is not None and cursor is not None:
                self._save_cursor(connection, source, stream, cursor(tally) if callable(cursor) else cursor)
            for span in spans:
                assert source is not None
                _cover(connection, source, stream, span)
            if counts:
                assert source is not None
                self._save_counts(connection, source, stream, counts)
            if deleted_posts or deleted_accounts:
                assert source is not None
                tally.erased = self._follow_deletions(connection, source, deleted_posts, deleted_accounts)
            facts.refresh(connection, edited)
        if scrub and tally.erased:
            self.scrub()
        return tally

    def cursor(self, source: str, stream: str) -> Any:
        """Where to go on reading, or None at the first time."""
        where = and_(tables.cursors.c.source == source, tables.cursors.c.stream == stream)
        with self.engine.connect() as connection:
            return connection.execute(select(tables.cursors.c.cursor).where(where)).scalar()

    def forget_cursor(self, source: str, stream: str) -> None:
        """There is nothing to go on with: all was read."""
        where = and_(tables.cursors.c.source == source, tables.cursors.c.stream == stream)
        with self._transaction() as connection:
            connection.execute(delete(tables.cursors).where(where))

    def save_run(self, run: RunRecord) -> None:
        """Keep what a collection run did."""
        row = {name: value for name, value in asdict(run).items() if name != "gaps"}
        with self._transaction() as connection:
            connection.execute(insert(tables.runs).values(row))

    def activate_model(self, model: str, sha256: str) -> None:
        """Labels of this model are the ones that count from now on, none of another."""
        with self._transaction() as connection:
            active = connection.execute(select(tables.models.c.model).where(tables.models.c.active)).scalar()
            if active == model:
                return
            connection.execute(update(tables.models).values(active=False))
            row = {"model": model, "sha256": sha256, "first_used_at": self._now(), "active": True}
            upsert = self._insert(tables.models).values(row)
            connection.execute(upsert.on_conflict_do_update(index_elements=["model"], set_={"active": True}))
            facts.rebuild(connection)

    def active_model(self) -> str | None:
        """NAME@SHA256-12 of the model whose labels count."""
        with self.engine.connect() as connection:
            return connection.execute(select(tables.models.c.model).where(tables.models.c.active)).scalar()

    def unlabelled(self, model: str, limit: int, *, official: bool = False) -> list[tuple[str, str, str]]:
        """Up to `limit` posts without a label of this model as (source, id, text), newest first; none whose text is gone.

        With `official` those of listed accounts, whose labels need a status whatever the model takes them for; else the rest.
        """
        posts, labels = tables.posts, tables.labels
        labelled = select(labels.c.id).where(
            labels.c.model == model, labels.c.source == posts.c.source, labels.c.id == posts.c.id
        )
        query = (
            select(posts.c.source, posts.c.id, posts.c.text)
            .where(
                ~labelled.exists(),
                posts.c.text_erased_at.is_(None),
                posts.c.account.is_not(None) if official else posts.c.account.is_(None),
            )
            .order_by(posts.c.created_at.desc())
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [(row.source, row.id, row.text) for row in connection.execute(query)]

    def replies(self, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these posts answer another one, as (source, id)."""
        posts = tables.posts
        with self.engine.connect() as connection:
            return {(row.source, row.id) for row in _found(connection, posts, keys, posts.c.reply_to) if row.reply_to}

    def count_unlabelled(self, model: str) -> int:
        """How many posts that have a text have no label of this model."""
        with self.engine.connect() as connection:
            return count_waiting(connection, model)

    def save_labels(
        self,
        model: str,
        labelled: Iterable[tuple[str, str, Labels]],
        texts: Mapping[tuple[str, str], str] | None = None,
    ) -> int:
        """Keep what a model says of (source, id); a label that is there already stays. Returns how many were given.

        A post that was erased meanwhile gets no label, nor one whose text is no longer that of `texts`, the texts read, nor one
        of an account listed meanwhile where the label has no status.
        """
        now, posts = self._now(), tables.posts
        rows = {
            (source, id_): {"source": source, "id": id_, "model": model, "labelled_at": now} | asdict(label)
            for source, id_, label in labelled
        }
        with self._transaction() as connection:
            present = {
                (row.source, row.id)
                for row in _found(connection, posts, rows, posts.c.text, lock=True)
                if texts is None or row.text == texts[row.source, row.id]
            }
            if without_status := {key for key, row in rows.items() if row["status"] is None}:
                # The list is read first, so that on PostgreSQL nobody changes it meanwhile.
                connection.execute(select(tables.confirmed_accounts.c.source).limit(1))
                official = select(posts.c.source, posts.c.id).where(posts.c.account.is_not(None)).subquery()
                present -= _present(connection, official, without_status)
            given = [rows[key] for key in sorted(present)]
            if given:
                connection.execute(self._insert(tables.labels).on_conflict_do_nothing(), given)
                facts.refresh(connection, rows.keys() & present)
        return len(given)

    def correct(
        self,
        source: str,
        id_: str,
        fields: Mapping[str, Any],
        who: str,
        why: str | None = None,
        *,
        confirm: bool = False,
    ) -> dict[str, Any]:
        """Settle labels of a post by a person's word, which wins over every model and every earlier word.

        `fields` maps problems (a list), kind, sentiment, about, status and scope to labels of the guide; with `confirm` all
        others are settled as the active model said. `who` is kept as a pseudonym, `why` redacted. Returns the fields settled;
        the same word again adds nothing. Raises InputError for an unknown post, field or label.
        """
        given = check_fields(fields)
        for field, value in (("source", source), ("id", id_)):
            text_field({field: value}, field, required=True)
        analyst = self._analyst(who, "corrects the post")
        reason = redact(_words("why", why, MAX_WHY_CHARACTERS), keep_handles=self._keep_handles) or None
        posts, labels, models, table = tables.posts, tables.labels, tables.models, tables.corrections
        with self._transaction() as connection:
            # The row is held to the end, so that words on one post follow each other and none outlives the post.
            held = select(posts.c.account).where(posts.c.source == source, posts.c.id == id_).with_for_update()
            post = connection.execute(held).first()
            if post is None:
                raise InputError(f"{source}:{id_} is not in the store: an export lists the source and id of each post")
            if post.account and given.get("kind", "official") != "official":
                raise InputError(
                    f"{source}:{id_} is by a listed official account, so that its kind is official: correct its status, scope "
                    "or about; or take the account off with `tracker status unconfirm`"
                )
            active = labels.join(models, and_(models.c.model == labels.c.model, models.c.active))
            by_model = select(labels).select_from(active).where(labels.c.source == source, labels.c.id == id_)
            label = connection.execute(by_model).mappings().first()
            if label is None and confirm:
                raise InputError(f"{source}:{id_} has no label to confirm yet: run `tracker classify` first")
            of_post = select(table).where(table.c.source == source, table.c.id == id_).order_by(table.c.number)
            newest = {row["field"]: row for row in connection.execute(of_post).mappings()}
            said = {field: label[field] if label else None for field in FIELDS}
            if post.account:
                said["kind"] = "official"
            before = said | {field: row["value"] for field, row in newest.items()}
            settled = settle(given, said if confirm else {}, before)
            common = {"source": source, "id": id_, "who": analyst, "at": self._now(), "why": reason}
            common["model"] = label["model"] if label else None
            rows = [
                common | {"field": field, "value": value, "model_said": said[field]}
                for field, value in settled.items()
                if field not in newest
                or (newest[field]["value"], newest[field]["who"], newest[field]["why"]) != (value, analyst, reason)
            ]
            if rows:
                connection.execute(insert(table), rows)
                facts.refresh(connection, [(source, id_)])
                detail = {"source": source, "id": id_, "fields": [row["field"] for row in rows], "who": analyst}
                self._audit(connection, "correct", detail)
        return settled

    def corrected_examples(self) -> list[dict[str, Any]]:
        """What people have settled, to train on: `{"id": "x:123", "text": …, "synthetic": …, "kind": …, …}`, in order of id.

        Only the fields that somebody settled are there: what the model alone says of a post is nothing to learn from. What was
        settled before an edit was said of another text.
        """
        posts, table = tables.posts, tables.corrections
        of_post = and_(table.c.source == posts.c.source, table.c.id == posts.c.id)
        is_of_this_text = or_(posts.c.edited_at.is_(None), posts.c.edited_at <= table.c.at)
        columns = (posts.c.source, posts.c.id, posts.c.text, posts.c.synthetic, table.c.field, table.c.value)
        query = (
            select(*columns)
            .select_from(posts.join(table, of_post))
            .where(posts.c.text_erased_at.is_(None), is_of_this_text)
            .order_by(posts.c.source, posts.c.id, table.c.number)
        )
        examples = []
        with self.engine.connect() as connection:
            for (source, id_), words in groupby(connection.execute(query), key=lambda row: (row.source, row.id)):
                settled = {}
                for word in words:
                    settled[word.field] = word.value  # the newest comes last
                    example = {"id": f"{source}:{id_}", "text": word.text, "synthetic": word.synthetic}
                examples.append(example | without_official(settled))
        return examples

    def review_queue(self, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` posts that the active model is unsure of and nobody has corrected, with their labels.

        Complaints about eCitizen first, then the newest day of Nairobi, and within it those of which the model is least sure.
        """
        found = settled_posts()
        first = case((and_(found.c.kind == "complaint", found.c.about == "ecitizen"), 0), else_=1).label("first")
        query = select(first, *_reviewed(found)).where(self._waits(found)).order_by(first, found.c.created_at.desc())
        queue: list[dict[str, Any]] = []
        streaming = self.engine.connect().execution_options(yield_per=_KEYS_PER_LOOKUP)
        with streaming as connection, connection.execute(query).mappings() as rows:
            for _, day in groupby(rows, key=lambda row: (row["first"], row["created_at"].astimezone(NAIROBI).date())):
                queue += sorted(map(dict, day), key=_sureness)
                if len(queue) >= limit:
                    break
        return queue[:limit]

    def review_post(self, source: str, id_: str) -> dict[str, Any] | None:
        """The post as in the review queue; None where it does not wait there any more."""
        found = settled_posts()
        query = select(*_reviewed(found)).where(self._waits(found), found.c.source == source, found.c.id == id_)
        with self.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None

    def review_counts(self) -> tuple[int, int]:
        """How many posts wait in the review queue, and how many have a correction."""
        table = tables.corrections
        corrected = select(table.c.source, table.c.id).distinct().subquery()
        with self.engine.connect() as connection:
            waiting = connection.execute(select(func.count()).where(self._waits(settled_posts()))).scalar_one()
            return waiting, connection.execute(select(func.count()).select_from(corrected)).scalar_one()

    def _waits(self, found: Subquery) -> ColumnElement[bool]:
        has_text = found.c.text_erased_at.is_(None)
        return and_(has_text, found.c.unsure, ~found.c.corrected, found.c.created_at <= self._now())

    def note_incident(self, incident: int, who: str, verdict: str | None = None, note: str | None = None) -> None:
        """Keep a person's word on an incident: a verdict of VERDICTS, a note, or both. The newest verdict counts.

        `who` is kept as a pseudonym, `note` redacted. Raises InputError for an unknown incident or verdict, and where nothing is said.
        """
        if verdict is not None and verdict not in VERDICTS:
            raise InputError(f"a verdict is one of {', '.join(VERDICTS)}")
        name = _words("who", who, MAX_WHO_CHARACTERS)
        if not name:
            raise InputError("who is missing: say who says so (it is kept as a pseudonym)")
        said = redact(_words("note", note, MAX_WHY_CHARACTERS), keep_handles=self._keep_handles) or None
        if verdict is None and said is None:
            raise InputError("nothing is said: give a verdict or a note")
        with self._transaction() as connection:
            known = select(tables.incidents.c.id).where(tables.incidents.c.id == incident)
            if connection.execute(known).scalar() is None:
                raise InputError(f"there is no incident {incident}: tracker incidents lists them")
            row = {"incident": incident, "verdict": verdict, "note": said, "at": self._now()}
            row["who"] = pseudonym(self._key, _ANALYST, name)
            connection.execute(insert(tables.incident_notes).values(row))
            self._audit(connection, "note incident", {"incident": incident, "verdict": verdict, "who": row["who"]})

    def add_official(self, messages: Iterable[OfficialMessage]) -> int:
        """Keep official messages; one that is there already is left alone. Returns how many were new.

        Raises RecordError for one that nobody can have said yet; then none is kept.
        """
        messages = list(messages)
        for message in messages:
            self.check_said(message)
        new = 0
        with self._transaction() as connection:
            for message in messages:
                row = asdict(message) | {"added_at": self._now()}
                told = (message.at.isoformat(), message.account, message.office, message.status, message.text)
                row["digest"] = hashlib.sha256("\0".join(map(str, told)).encode()).hexdigest()
                row["text"] = redact(message.text, keep_handles=self._keep_handles)
                statement = self._insert(tables.official_messages).values(row).on_conflict_do_nothing()
                new += connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount
        return new

    def check_said(self, message: OfficialMessage) -> None:
        """Raise RecordError where `at` is in the future."""
        if message.at > self._now() + CLOCKS_DIFFER:
            raise RecordError(
                "at is in the future: it is when the message was said; `from` and `to` are the time that it announces"
            )

    def accounts(self) -> AccountList:
        """The official accounts as they stand."""
        with self.engine.connect() as connection:
            return self._accounts(connection)

    def confirm_account(
        self, key: str, *, handle: str | None, office: str, is_ecitizen: bool, evidence: str, who: str
    ) -> tuple[int, bool]:
        """Take an account (SOURCE:ID) on the list of confirmed ones; what it wrote is official from now on, stored posts too.

        Returns how many posts of it are stored, and whether it had been suspected as an impostor, which is dropped. `who` is
        kept as a pseudonym. Raises InputError where a field is wrong.
        """
        analyst, table = self._analyst(who, "confirms the account"), tables.confirmed_accounts
        with self._transaction() as connection:
            self._hold_accounts(connection)
            listed = listed_accounts(connection)
            account = check_account(
                key, handle=handle, office=office, is_ecitizen=is_ecitizen, evidence=evidence, listed=listed
            )
            row = {name: getattr(account, name) for name in ("source", "account_id", "handle", "office", "is_ecitizen")}
            row |= {"evidence": account.evidence, "who": analyst, "at": self._now()}
            upsert = self._insert(table).values(row)
            connection.execute(upsert.on_conflict_do_update(index_elements=["source", "account_id"], set_=row))
            suspects = tables.suspected_impostors
            source, account_id = split_key(key)
            hashed = pseudonym(self._key, source, account_id)
            of_it = and_(suspects.c.source == source, suspects.c.author == hashed)
            dropped = connection.execute(delete(suspects).where(of_it).returning(suspects.c.dismissed_at)).scalars()
            was_suspected = any(dismissed_at is None for dismissed_at in dropped)
            recognise_stored(connection, self._accounts(connection))
            detail = {name: row[name] for name in ("source", "account_id", "office", "is_ecitizen", "who")}
            self._audit(connection, "confirm account", detail | {"was_suspected": was_suspected})
            posts = tables.posts
            count = connection.execute(select(func.count()).where(posts.c.account == account.key)).scalar_one()
        return count, was_suspected

    def unconfirm_account(self, key: str, who: str | None = None) -> None:
        """Take a confirmed account off again: its posts are no official messages any more. Raises InputError for another."""
        source, account_id = split_key(key)
        analyst, table = (
            self._analyst(who, "unconfirms the account") if who is not None else None,
            tables.confirmed_accounts,
        )
        with self._transaction() as connection:
            self._hold_accounts(connection)
            where = and_(table.c.source == source, table.c.account_id == account_id)
            if not connection.execute(delete(table).where(where)).rowcount:
                raise InputError(f"{key} is not confirmed: `tracker status accounts` lists those that are")
            recognise_stored(connection, self._accounts(connection))
            detail = {"source": source, "account_id": account_id, "who": analyst}
            self._audit(connection, "unconfirm account", detail)

    def impostors(self) -> list[dict[str, Any]]:
        """The suspected impostors, the newest first: source, resembles, reason, first_post (SOURCE:ID), first_seen_at."""
        table = tables.suspected_impostors
        columns = (table.c[name] for name in ("source", "author", "resembles", "reason", "first_post", "first_seen_at"))
        query = select(*columns).where(table.c.dismissed_at.is_(None))
        query = query.order_by(table.c.first_seen_at.desc(), table.c.source, table.c.author)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def dismiss_impostor(self, post: str, who: str, *, undo: bool = False) -> int:
        """Of the suspected account that wrote a post (SOURCE:ID), say that it is no impostor; `undo` takes that back.

        What it wrote, and will write, counts as anybody's. Returns how many posts of it are stored; `who` is kept as a
        pseudonym. Raises InputError where the account is not suspected, or with `undo` was not dismissed.
        """
        analyst = self._analyst(who, "judges the account")
        suspects, posts = tables.suspected_impostors, tables.posts
        source, _, id_ = post.partition(":")
        by = select(posts.c.author).where(posts.c.source == source, posts.c.id == id_).scalar_subquery()
        # The post through which it was found may be erased by now.
        wrote_it = or_(suspects.c.author == by, suspects.c.first_post == post)
        is_dismissed = suspects.c.dismissed_at.is_not(None)
        change = update(suspects).where(suspects.c.source == source, wrote_it, is_dismissed if undo else ~is_dismissed)
        change = change.values(
            dismissed_by=None if undo else analyst, dismissed_at=None if undo else self._now()
        ).returning(suspects.c.author, suspects.c.resembles)
        with self._transaction() as connection:
            self._hold_accounts(connection)
            found = connection.execute(change).first()
            if found is None:
                state = "was dismissed" if undo else "is suspected (`tracker status impostors` lists them)"
                raise InputError(f"{post} is by no account that {state}")
            by_it = select(posts.c.source, posts.c.id).where(posts.c.source == source, posts.c.author == found.author)
            keys = {(row.source, row.id) for row in connection.execute(by_it)}
            facts.refresh(connection, keys)
            detail = {"post": post, "resembles": found.resembles, "posts": len(keys), "who": analyst}
            self._audit(connection, "suspect impostor again" if undo else "dismiss impostor", detail)
        return len(keys)

    def erase_post(self, source: str, id_: str) -> int:
        """Remove a post, its labels and corrections, and keep it out. Returns how many posts were there (0 or 1).

        Raises RecordError for what is no name of a source.
        """
        check_source(source)
        with self._transaction() as connection:
            erased = self._erase(connection, {(source, id_)})
            facts.refresh(connection, {(source, id_)})
            detail = {"source": source, "id": id_, "posts": len(erased)}
            self._audit(connection, "erase post", detail | _extent(erased))
        self.scrub()
        return len(erased)

    def erase_texts(self, source: str, before: datetime) -> int:
        """Empty the texts of posts written before a moment, as the retention limit of their source says.

        Labels, corrections, counts and the fingerprint stay, and no import brings the text back. Returns how many.
        """
        posts = tables.posts
        old = and_(posts.c.source == source, posts.c.created_at < before, posts.c.text_erased_at.is_(None))
        emptied = {"text": "", "links": [], "text_erased_at": self._now()}
        with self._transaction() as connection:
            emptying = update(posts).where(old).values(emptied).returning(posts.c.created_at, posts.c.first_seen_at)
            found = connection.execute(emptying).all()
            if found:
                detail = {"source": source, "before": before.isoformat(), "posts": len(found)}
                self._audit(connection, "erase texts", detail | _extent(found))
        return len(found)

    def erase_author(self, handle: str, source: str | None = None) -> int:
        """Remove all that an author wrote and keep it out. Returns how many posts were there.

        `handle` is a handle, an account id or a pseudonym, also as Reddit shows it (u/NAME); `source` limits it to one
        platform. Raises RecordError for what is no name of a source, or no handle.
        """
        if source is not None:
            check_source(source)
        handle = _USER.sub("", handle.strip()).rstrip("/")
        if not handle.strip("@"):
            raise RecordError("the author is missing: give a handle, an account id or a pseudonym")
        with self._transaction() as connection:
            sources = [source] if source else _sources(connection)
            by_source = {name: self._erase_author(connection, name, handle) for name in sources}
            erased = [post for posts in by_source.values() for post in posts]
            facts.refresh(connection, {(post.source, post.id) for post in erased})
            found_at = [name for name, posts in by_source.items() if posts]
            detail = {"sources": sources, "posts": len(erased), "found_at": found_at}
            self._audit(connection, "erase author", detail | _extent(erased))
        self.scrub()
        return len(erased)

    def synthetic(self) -> bool:
        """Whether the store holds any post or message written for a demonstration."""
        with self.engine.connect() as connection:
            return any(
                connection.execute(select(table.c.synthetic).where(table.c.synthetic).limit(1)).scalar()
                for table in (tables.posts, tables.official_messages)
            )

    def is_empty(self) -> bool:
        """Whether no post and no official message is kept."""
        with self.engine.connect() as connection:
            return not any(
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (tables.posts, tables.official_messages)
            )

    def record(self, action: str, detail: dict[str, Any]) -> None:
        """Write a line into the audit log, such as what was handed out in an `export`."""
        with self._transaction() as connection:
            self._audit(connection, action, detail)

    def close(self) -> None:
        """Give the connections back, and end the processes."""
        self._rows.close()
        self.engine.dispose()

    def scrub(self) -> None:
        """What was erased out of the SQLite file too, whose pages and log hold old copies, secure_delete or not."""
        if self.engine.dialect.name == "sqlite":
            bare = self.engine.execution_options(transaction=False)
            with _readable_errors(self.engine), bare.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with _readable_errors(self.engine), self.engine.execution_options(writes=True).begin() as connection:
            yield connection

    def _analyst(self, who: str, does: str) -> str:
        name = _words("who", who, MAX_WHO_CHARACTERS)
        if not name:
            raise InputError(f"who is missing: say who {does} (it is kept as a pseudonym)")
        return pseudonym(self._key, _ANALYST, name)

    def _accounts(self, connection: Connection) -> AccountList:
        return AccountList(listed_accounts(connection), lambda source, name: pseudonym(self._key, source, name))

    def _hold_accounts(self, connection: Connection) -> None:
        """A page that was judged by the list as it was is saved first, and no other begins: none slips between."""
        if self.engine.dialect.name == "postgresql":  # on SQLite one transaction writes at a time
            connection.execute(text(f"LOCK TABLE {tables.confirmed_accounts.name} IN ACCESS EXCLUSIVE MODE"))

    def _recognise(
        self, connection: Connection, given: Sequence[Post], rows: dict[tuple[str, str], dict[str, Any]]
    ) -> dict[tuple[str, str], tuple[str, str]]:
        """Set `account` of the rows; returns what the others resemble, by key, as (listed account, reason)."""
        if not rows:
            return {}
        listed = self._accounts(connection)
        suspects = {}
        for post in given:
            row = rows[post.source, post.id]
            # An export's pseudonym is of an id, as long as there was one.
            has_id = post.author_id is not None or row["author"] == post.author
            row["account"] = listed.recognise(post.source, row["author"], row["author_handle"], has_id=has_id)
            if row["account"] is None and row["author"] is not None:
                handle = None if row["author"] == post.author else post.author
                if alike := listed.resemblance(handle, post.author_name):
                    suspects[post.source, post.id] = alike
        return suspects

    def _suspect(self, connection: Connection, suspects: dict[tuple[str, str], tuple[str, str]]) -> None:
        if not suspects:
            return
        posts, now = tables.posts, self._now()
        for source, id_ in sorted(_present(connection, posts, suspects)):  # not what was erased before
            author = select(posts.c.author).where(posts.c.source == source, posts.c.id == id_)
            resembles, reason = suspects[source, id_]
            row = {"source": source, "author": connection.execute(author).scalar_one(), "resembles": resembles}
            row |= {"reason": reason, "first_post": f"{source}:{id_}", "first_seen_at": now}
            connection.execute(self._insert(tables.suspected_impostors).values(row).on_conflict_do_nothing())

    def _insert_posts(self, connection: Connection, rows: dict[tuple[str, str], dict[str, Any]]) -> Tally:
        if not rows:
            return Tally()
        buried = _buried(connection, rows)
        # In one order, or two writers of the same posts would wait for each other for good.
        fresh = [rows[key] for key in sorted(rows.keys() - buried)]
        new = 0
        if fresh:
            new = _executemany(connection, self._insert(tables.posts).on_conflict_do_nothing(), fresh)
        return Tally(new=new, dropped=len(buried))

    def _follow_edits(
        self, connection: Connection, rows: dict[tuple[str, str], dict[str, Any]]
    ) -> set[tuple[str, str]]:
        """Of posts that are there in an earlier version, the text and what follows from it; returns which have another text."""
        posts, labels = tables.posts, tables.labels
        edited = {key: row for key, row in rows.items() if row["edited_at"] is not None}
        columns = (posts.c.edited_at, posts.c.fingerprint, posts.c.text_erased_at)
        updated = set()
        for kept in _found(connection, posts, edited, *columns, lock=True):
            row = edited[kept.source, kept.id]
            if kept.text_erased_at is not None or (kept.edited_at and kept.edited_at >= row["edited_at"]):
                continue
            changes = {name: row[name] for name in ("text", "links", "fingerprint", "edited_at")}
            this = and_(posts.c.source == kept.source, posts.c.id == kept.id)
            connection.execute(update(posts).where(this).values(changes))
            if kept.fingerprint != row["fingerprint"]:  # else only a picture, say, was changed
                connection.execute(delete(labels).where(labels.c.source == kept.source, labels.c.id == kept.id))
                updated.add((kept.source, kept.id))
        return updated

    def _save_cursor(self, connection: Connection, source: str, stream: str, cursor: Any) -> None:
        row = {"source": source, "stream": stream, "cursor": cursor, "updated_at": self._now()}
        upsert = self._insert(tables.cursors).values(row)
        kept = {"cursor": upsert.excluded.cursor, "updated_at": upsert.excluded.updated_at}
        connection.execute(upsert.on_conflict_do_update(index_elements=["source", "stream"], set_=kept))

    def _save_counts(self, connection: Connection, source: str, stream: str, counts: Sequence[Count]) -> None:
        """A later count of the same stretch replaces the earlier: some posts are found late, others are gone."""
        rows = {count.from_at: {"source": source, "stream": stream} | asdict(count) for count in counts}
        upsert = self._insert(tables.counts)
        kept = {"to_at": upsert.excluded.to_at, "posts": upsert.excluded.posts}
        upsert = upsert.on_conflict_do_update(index_elements=["source", "stream", "from_at"], set_=kept)
        connection.execute(upsert, [rows[from_at] for from_at in sorted(rows)])

    def _erase(self, connection: Connection, keys: set[tuple[str, str]]) -> list[Row[Any]]:
        """Returns which of the posts were there, when each was written, and when it was stored."""
        posts = tables.posts
        erased: list[Row[Any]] = []
        for source, id_ in sorted(keys):  # in one order, as in _insert_posts
            # The post first: whoever is correcting it holds its row, and their words are there to be removed after it.
            gone = delete(posts).where(posts.c.source == source, posts.c.id == id_)
            columns = (posts.c.source, posts.c.id, posts.c.created_at, posts.c.first_seen_at)
            erased += connection.execute(gone.returning(*columns))
            for table in (tables.labels, tables.corrections):
                connection.execute(delete(table).where(table.c.source == source, table.c.id == id_))
        self._bury(connection, "post", keys)
        return erased

    def _erase_author(self, connection: Connection, source: str, handle: str) -> list[Row[Any]]:
        posts = tables.posts
        hashed = pseudonym(self._key, source, handle)
        named = or_(posts.c.author == hashed, posts.c.author_handle == hashed)
        # The account behind a handle, too, with what it wrote under another: a handle can change.
        accounts = select(posts.c.author).where(posts.c.source == source, named)
        by_author = and_(posts.c.source == source, or_(named, posts.c.author.in_(accounts)))
        found = list(connection.execute(select(posts.c.id, posts.c.author, posts.c.author_handle).where(by_author)))
        erased = self._erase(connection, {(source, row.id) for row in found})
        names = {hashed}.union(*((row.author, row.author_handle) for row in found)) - {None}
        suspects = tables.suspected_impostors
        connection.execute(delete(suspects).where(suspects.c.source == source, suspects.c.author.in_(names)))
        self._bury(connection, "author", {(source, each) for each in names})
        return erased

    def _follow_deletions(
        self, connection: Connection, source: str, ids: Collection[str], accounts: Collection[str]
    ) -> int:
        """Only what is kept leaves a tombstone: a platform deletes much that never was here, and its ids name people."""
        posts = tables.posts
        by_author = select(posts.c.source, posts.c.author.label("id")).subquery()
        hashed = {(source, pseudonym(self._key, source, account)) for account in accounts}
        authors = _present(connection, by_author, hashed)
        erased = [each for _, author in sorted(authors) for each in self._erase_author(connection, source, author)]
        kept = _present(connection, posts, {(source, id_) for id_ in ids})
        erased += self._erase(connection, kept)
        # Last, since it waits for others that write facts, who may wait for a post that is erased here.
        facts.refresh(connection, {(post.source, post.id) for post in erased})
        if erased:
            detail = {"source": source, "ids": sorted(id_ for _, id_ in kept), "authors": len(authors)}
            detail |= {"posts": len(erased)}
            self._audit(connection, "erase as at the platform", detail | _extent(erased))
        return len(erased)

    def _bury(self, connection: Connection, kind: str, keys: set[tuple[str, str]]) -> None:
        rows = [{"kind": kind, "source": source, "id": id_, "erased_at": self._now()} for source, id_ in keys]
        if rows:
            connection.execute(self._insert(tables.tombstones).on_conflict_do_nothing(), rows)

    def _audit(self, connection: Connection, action: str, detail: dict[str, Any]) -> None:
        connection.execute(insert(tables.audit).values(at=self._now(), action=action, detail=detail))


def open_store(settings: Settings) -> Store:
    """The store of the settings, made or migrated where needed.

    Raises StoreError where the database cannot be reached, is newer than this code, or was written with another
    pseudonym key; InputError where the address is not one.
    """
    engine = _engine(settings.database_url)
    setting = settings.pseudonym_key.get_secret_value() if settings.pseudonym_key else None
    try:
        with _readable_errors(engine):
            migrate(engine)
            key = load_key(setting, may_create=engine.dialect.name == "sqlite")
            _check_key(engine, key)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, key, settings.now)


def migrate(engine: Engine) -> None:
    """Bring the tables to SCHEMA_REVISION in one transaction. Raises StoreError where they are newer."""
    if _revision(engine) == SCHEMA_REVISION:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        found = _revision_of(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise StoreError(
                f"{_shown(engine)} was written by a newer tracker (schema {found}, this one knows {SCHEMA_REVISION}): "
                "upgrade the tracker, or use another database"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if found is not None and found < "0004":
            facts.rebuild(connection)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _revision_of(connection)


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check_key(engine: Engine, key: bytes) -> None:
    table, check = tables.store_facts, key_check(key)
    found = select(table.c.value).where(table.c.name == "key_check")
    with engine.connect() as connection:
        kept = connection.execute(found).scalar()
    if kept is None:
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        with engine.execution_options(writes=True).begin() as connection:
            connection.execute(dialect.insert(table).values(name="key_check", value=check).on_conflict_do_nothing())
            kept = connection.execute(found).scalar()
    if kept != check:
        raise StoreError(
            f"{_shown(engine)} was written with another pseudonym key; with this one the same author would count twice: "
            "set TRACKER_PSEUDONYM_KEY to the key that it was made with, or use another database"
        )


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database and parsed.database != ":memory:":
                folder = Path(parsed.database).parent
                if not folder.is_dir():
                    raise InputError(f"TRACKER_DATABASE_URL: the folder {folder} does not exist; make it first")
            engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, hide_parameters=True)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        if parsed.get_backend_name() == "postgresql":
            return create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    except ArgumentError:
        raise InputError(
            "TRACKER_DATABASE_URL is not a database address: use sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        ) from None
    except (NoSuchModuleError, ModuleNotFoundError):
        raise InputError(
            "TRACKER_DATABASE_URL names PostgreSQL, whose driver is not installed: "
            "pip install 'ecitizen-tracker[postgres]', and write postgresql+psycopg://…"
        ) from None
    raise InputError("TRACKER_DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy says BEGIN below; the driver's own would come too late
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA secure_delete = ON")  # what is erased leaves the file, not only the index


def _use_wal(connection: Any) -> None:
    # SQLite does not wait for its lock where two processes make a new file WAL at once: it fails, whatever the time-out.
    until = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail on a busy database, so one that may write says so at once.
    options = connection.get_execution_options()
    if not options.get("transaction", True):
        return
    writes = options.get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _readable_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # The statement and its parameters, which hold posts, stay out of the message and of the traceback.
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        raise StoreError(f"the database {_shown(engine)} failed: {reason}") from None


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _reviewed(found: Subquery) -> list[Any]:
    names = ("source", "id", "created_at", "text", "synthetic", "model", *(field.name for field in fields(Labels)))
    return [found.c[name] for name in names]


def _sureness(row: Mapping[str, Any]) -> float:
    problems = np.array(list(row["scores"].values()), float)
    return float(confidence(problems, row["kind_score"], row["about_score"]))


def _words(field: str, value: str | None, most: int) -> str:
    """What a person wrote of a correction, with single spaces; empty where it is nothing."""
    written = " ".join((text_field({field: value}, field) or "").split())
    if len(written) > most:
        raise InputError(f"{field} has {len(written):,} characters, at most {most:,} are taken")
    return written


def count_waiting(connection: Connection, model: str | None, until: datetime | None = None) -> int:
    """How many posts, of those written until a moment, have a text and no label of the model."""
    posts, labels = tables.posts, tables.labels
    of_post = and_(labels.c.model == model, labels.c.source == posts.c.source, labels.c.id == posts.c.id)
    waits = [posts.c.text_erased_at.is_(None)] + ([posts.c.created_at <= until] if until else [])
    total = connection.execute(select(func.count()).select_from(posts).where(*waits)).scalar_one()
    done = connection.execute(select(func.count()).select_from(posts.join(labels, of_post)).where(*waits)).scalar_one()
    return int(total - done)


def _extent(posts: Sequence[Any]) -> dict[str, str]:
    """When the first of some posts was stored, and from when to when they were written: which exports can hold them."""
    if not posts:
        return {}
    written = [post.created_at for post in posts]
    return {
        "stored_from": min(post.first_seen_at for post in posts).isoformat(),
        "written_from": min(written).isoformat(),
        "written_to": max(written).isoformat(),
    }


def _executemany(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows of the same columns and say how many went in; SQLAlchemy binds row by row, in twice the time."""
    dialect = connection.dialect
    names = [column.name for column in statement.table.columns if column.name in rows[0]]
    bound = []
    for name in names:
        values = map(itemgetter(name), rows)
        processor = statement.table.columns[name].type.dialect_impl(dialect).bind_processor(dialect)
        bound.append(map(processor, values) if processor else values)
    compiled = statement.compile(dialect=dialect, column_keys=names)
    parameters: Iterable[Any] = zip(*bound, strict=True)
    if not dialect.positional:
        parameters = (dict(zip(names, row, strict=True)) for row in parameters)
    return connection.exec_driver_sql(str(compiled), list(parameters)).rowcount


def _newest_versions(posts: Iterable[Post]) -> Iterable[Post]:
    """Each post once: as edited last, or as given first."""
    newest: dict[tuple[str, str], Post] = {}
    for post in posts:
        other = newest.setdefault((post.source, post.id), post)
        if post.edited_at is not None and (other.edited_at is None or other.edited_at < post.edited_at):
            newest[post.source, post.id] = post
    return newest.values()


def _present(connection: Connection, table: Any, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (source, id) among `keys` that the table holds."""
    return {(row.source, row.id) for row in _found(connection, table, keys)}


def _found(
    connection: Connection, table: Any, keys: Iterable[tuple[str, str]], *columns: Any, lock: bool = False
) -> list[Row[Any]]:
    """The source, the id and these columns of those among `keys` that the table holds; `lock` holds their rows to the end."""
    by_source: dict[str, list[str]] = {}
    for source, id_ in sorted(keys):  # in one order, or two that lock would wait for each other for good
        by_source.setdefault(source, []).append(id_)
    found: list[Row[Any]] = []
    for source, ids in by_source.items():
        for start in range(0, len(ids), _KEYS_PER_LOOKUP):
            some = ids[start : start + _KEYS_PER_LOOKUP]
            query = select(table.c.source, table.c.id, *columns)
            query = query.where(table.c.source == source, table.c.id.in_(some))
            found += connection.execute(query.order_by(table.c.id).with_for_update() if lock else query)
    return found


def _sources(connection: Connection) -> list[str]:
    """Every source that the store has heard of, with posts or without."""
    known = (tables.posts, tables.coverage, tables.tombstones)
    return sorted(connection.execute(union(*(select(table.c.source) for table in known))).scalars())


def _buried(connection: Connection, rows: dict[tuple[str, str], dict[str, Any]]) -> set[tuple[str, str]]:
    table = tables.tombstones
    if connection.execute(select(table.c.kind).limit(1)).scalar() is None:
        return set()
    buried = set()
    for kind, key_of in (("post", "id"), ("author", "author"), ("author", "author_handle")):
        keyed: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for key, row in rows.items():
            if row[key_of] is not None:
                keyed.setdefault((row["source"], row[key_of]), []).append(key)
        of_kind = select(table).where(table.c.kind == kind).subquery()
        for found in _present(connection, of_kind, keyed):
            buried.update(keyed[found])
    return buried


def _cover(connection: Connection, source: str, stream: str, span: Span) -> None:
    table = tables.coverage
    if span.to_at < span.from_at:
        raise ValueError("a span ends before it begins")
    row = {
        "source": source,
        "stream": stream,
        "from_at": span.from_at,
        "to_at": span.to_at,
        "gap_reason": span.gap_reason,
    }
    same_reason = table.c.gap_reason.is_(None) if span.gap_reason is None else table.c.gap_reason == span.gap_reason
    touching = and_(
        table.c.source == source,
        table.c.stream == stream,
        same_reason,
        table.c.from_at <= span.to_at,
        table.c.to_at >= span.from_at,
    )
    for found in connection.execute(select(table.c.from_at, table.c.to_at).where(touching)):
        row["from_at"], row["to_at"] = min(row["from_at"], found.from_at), max(row["to_at"], found.to_at)
    connection.execute(delete(table).where(touching))
    connection.execute(insert(table).values(row))
