"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "posts",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("author", sa.String),
        sa.Column("author_handle", sa.String),
        sa.Column("platform_lang", sa.String),
        sa.Column("repost_of", sa.String),
        sa.Column("reply_to", sa.String),
        sa.Column("links", sa.Text, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("source", "id"),
    )
    op.create_index("posts_created_at", "posts", ["created_at"])
    op.create_index("posts_author", "posts", ["author"])
    op.create_index("posts_author_handle", "posts", ["author_handle"])
    op.create_table(
        "labels",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("labelled_at", MOMENT, nullable=False),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("scores", sa.Text, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("kind_score", sa.Float, nullable=False),
        sa.Column("sentiment", sa.String, nullable=False),
        sa.Column("sentiment_score", sa.Float, nullable=False),
        sa.Column("about", sa.String, nullable=False),
        sa.Column("about_score", sa.Float, nullable=False),
        sa.Column("lang", sa.String, nullable=False),
        sa.Column("unsure", sa.Boolean, nullable=False),
        sa.Column("services", sa.Text, nullable=False),
        sa.Column("status", sa.String),
        sa.Column("scope", sa.String),
        sa.PrimaryKeyConstraint("model", "source", "id"),
    )
    op.create_table(
        "models",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("first_used_at", MOMENT, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
    )
    op.create_table(
        "official_messages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String, nullable=False, unique=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("precision", sa.String, nullable=False),
        sa.Column("account", sa.String),
        sa.Column("office", sa.String),
        sa.Column("from_ecitizen", sa.Boolean, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("covers_from", MOMENT),
        sa.Column("covers_to", MOMENT),
        sa.Column("url", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
    )
    op.create_index("official_messages_at", "official_messages", ["at"])
    op.create_table(
        "cursors",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("source", "stream"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("outcome", sa.String),
        sa.Column("note", sa.Text),
        sa.Column("fetched", sa.Integer, nullable=False),
        sa.Column("new", sa.Integer, nullable=False),
        sa.Column("duplicate", sa.Integer, nullable=False),
        sa.Column("dropped", sa.Integer, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float, nullable=False),
    )
    op.create_index("runs_source_started_at", "runs", ["source", "started_at"])
    op.create_table(
        "coverage",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("from_at", MOMENT, nullable=False),
        sa.Column("to_at", MOMENT, nullable=False),
        sa.Column("gap_reason", sa.Text),
    )
    op.create_index("coverage_source_from_at", "coverage", ["source", "stream", "from_at"])
    op.create_table(
        "tombstones",
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("erased_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "source", "id"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "store_facts",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
