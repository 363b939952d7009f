"""The tables. A change here needs a migration in `data/migrations/versions` and its revision in SCHEMA_REVISION."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

SCHEMA_REVISION = "0005"


class _SqliteDateTime(sqlite.DATETIME):
    """The same text, made in C: SQLAlchemy's own way takes five times as long, three times a post."""

    def bind_processor(self, dialect: Dialect) -> Any:
        """Called with every moment that is written."""
        return lambda value: None if value is None else value.isoformat(" ", "microseconds")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC; SQLite keeps `2026-03-05 06:12:09.000000`."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The database's own type, but for the writing of it in SQLite."""
        return dialect.type_descriptor(_SqliteDateTime() if dialect.name == "sqlite" else DateTime(timezone=True))  # type: ignore[no-untyped-call]

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without an offset, which could be anybody's time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without an offset cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite gives back what it kept, without an offset."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """A small JSON value as text, the same in both databases: `["payment", "support"]`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """JSON without spaces; None stays NULL."""
        if value == []:
            return "[]"  # what most posts have for links
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The value that was bound."""
        return None if value is None else json.loads(value)


metadata = MetaData()

posts = Table(
    "posts",
    metadata,
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("author", String),
    Column("author_handle", String),
    Column("platform_lang", String),
    Column("repost_of", String),
    Column("reply_to", String),
    Column("links", JsonText, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column(
        "account", String
    ),  # SOURCE:ID of the listed official account that wrote it, known before the author is hashed
    Column("edited_at", UtcDateTime),  # of the version whose text this is; NULL: as first written
    Column("text_erased_at", UtcDateTime),  # when the source's retention limit emptied the text
    PrimaryKeyConstraint("source", "id"),
    Index("posts_account", "account"),
    Index("posts_created_at", "created_at"),
    Index("posts_author", "author"),
    Index("posts_author_handle", "author_handle"),
)

labels = Table(
    "labels",
    metadata,
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("model", String, nullable=False),
    Column("labelled_at", UtcDateTime, nullable=False),
    Column("problems", JsonText, nullable=False),
    Column("scores", JsonText, nullable=False),
    Column("kind", String, nullable=False),
    Column("kind_score", Float, nullable=False),
    Column("sentiment", String, nullable=False),
    Column("sentiment_score", Float, nullable=False),
    Column("about", String, nullable=False),
    Column("about_score", Float, nullable=False),
    Column("lang", String, nullable=False),
    Column("unsure", Boolean, nullable=False),
    Column("services", JsonText, nullable=False),
    Column("status", String),
    Column("scope", String),
    PrimaryKeyConstraint("model", "source", "id"),
    Index("labels_source_id", "source", "id"),
)

# What people say of a post's labels, one row a field, never changed: the highest number is the newest word.
corrections = Table(
    "corrections",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("field", String, nullable=False),
    Column("value", JsonText, nullable=False),
    Column("who", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("why", Text),
    Column("model", String),  # the active one at that moment, and what it had said; NULL before the first label
    Column("model_said", JsonText),
    Index("corrections_newest", "source", "id", "field", "number"),
)

models = Table(
    "models",
    metadata,
    Column("model", String, primary_key=True),  # NAME@SHA256-12
    Column("sha256", String, nullable=False),
    Column("first_used_at", UtcDateTime, nullable=False),
    Column("active", Boolean, nullable=False),
)

official_messages = Table(
    "official_messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("at", UtcDateTime, nullable=False),
    Column("precision", String, nullable=False),
    Column("account", String),
    Column("office", String),
    Column("from_ecitizen", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("covers_from", UtcDateTime),
    Column("covers_to", UtcDateTime),
    Column("url", Text),
    Column("text", Text, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Index("official_messages_at", "at"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("source", String, nullable=False),
    Column("stream", String, nullable=False),
    Column("cursor", JsonText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("source", "stream"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", String),
    Column("note", Text),
    Column("fetched", Integer, nullable=False),
    Column("new", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Index("runs_source_started_at", "source", "started_at"),
)

# Spans that a source looked at (gap_reason NULL; spans that touch are merged), and gaps that it could not look at.
coverage = Table(
    "coverage",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("stream", String, nullable=False),
    Column("from_at", UtcDateTime, nullable=False),
    Column("to_at", UtcDateTime, nullable=False),
    Column("gap_reason", Text),
    Index("coverage_source_from_at", "source", "stream", "from_at"),
)

# What a paid source was asked for, by UTC day ("2026-03-05"): counted before the call, settled after it.
spending = Table(
    "spending",
    metadata,
    Column("source", String, nullable=False),
    Column("day", String, nullable=False),
    Column("posts", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    PrimaryKeyConstraint("source", "day"),
)

# How many posts a platform says there were, where they were not read.
counts = Table(
    "counts",
    metadata,
    Column("source", String, nullable=False),
    Column("stream", String, nullable=False),
    Column("from_at", UtcDateTime, nullable=False),
    Column("to_at", UtcDateTime, nullable=False),
    Column("posts", Integer, nullable=False),
    PrimaryKeyConstraint("source", "stream", "from_at"),
)

# Official accounts whose id a person of this team checked, beside those that ship confirmed.
confirmed_accounts = Table(
    "confirmed_accounts",
    metadata,
    Column("source", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("handle", String),
    Column("office", String, nullable=False),
    Column("is_ecitizen", Boolean, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("who", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("source", "account_id"),
)

# Accounts that look like an official one and are not: by pseudonym, with a post through which a person finds them.
suspected_impostors = Table(
    "suspected_impostors",
    metadata,
    Column("source", String, nullable=False),
    Column("author", String, nullable=False),
    Column("resembles", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_post", String, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    # Set: a person looked, and it is none. The row stays, or its next post would raise the suspicion again.
    Column("dismissed_by", String),
    Column("dismissed_at", UtcDateTime),
    PrimaryKeyConstraint("source", "author"),
)

# A labelled post as settled, in one narrow row: what charts and the detector read. `data/facts.py` keeps it.
facts = Table(
    "facts",
    metadata,
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("bucket", Integer, nullable=False),  # the begin of its five minutes, in seconds since 1970
    Column("person", String, nullable=False),
    Column("lane", String),  # what it counts as; NULL: nothing
    Column("account", String),  # as in posts
    Column("copy", String, nullable=False),  # equal for near-copies of one text
    Column("problems", JsonText, nullable=False),
    Column("main_problem", String),
    Column("kind", String, nullable=False),
    Column("about", String, nullable=False),
    Column("sentiment", String, nullable=False),
    Column("lang", String, nullable=False),
    Column("services", JsonText, nullable=False),
    PrimaryKeyConstraint("source", "id"),
    Index("facts_lane_bucket", "lane", "bucket"),
)

# Five-minute sums of facts, exact after every transaction.
volume = Table(
    "volume",
    metadata,
    Column("lane", String, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("posts", Integer, nullable=False),
    Column("people", Integer, nullable=False),
    PrimaryKeyConstraint("lane", "bucket"),
)

# Incidents as they were raised: the id, `raised_at` and `started_at` never change.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("lane", String, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("state", String, nullable=False),
    Column("planned", Boolean, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Index("incidents_started_at", "lane", "started_at"),
)

# What people say of an incident, never changed: the newest verdict counts.
incident_notes = Table(
    "incident_notes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("incident", Integer, nullable=False),
    Column("verdict", String),
    Column("note", Text),
    Column("who", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("incident_notes_incident", "incident", "number"),
)

# What is to be sent, once for each key and channel, and what became of it.
alerts = Table(
    "alerts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("incident", Integer),
    Column("severity", String, nullable=False),
    Column("message", JsonText, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("failure", Text),
    UniqueConstraint("key", "channel"),
    Index("alerts_waiting", "sent_at", "not_before"),
)

# What was erased: kind `post` with the platform's id, or `author` with the pseudonym.
tombstones = Table(
    "tombstones",
    metadata,
    Column("kind", String, nullable=False),
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("erased_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("kind", "source", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("action", String, nullable=False),
    Column("detail", JsonText, nullable=False),
)

store_facts = Table(
    "store_facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
