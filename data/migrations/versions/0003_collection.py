"""What collection needs to be left alone for a year: spending, volume counts, edits, retention, official accounts.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("account", sa.String),
        sa.Column("edited_at", sa.DateTime(timezone=True)),
        sa.Column("text_erased_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("posts", column)
    op.create_index("posts_account", "posts", ["account"])
    op.create_table(
        "spending",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("day", sa.String, nullable=False),
        sa.Column("posts", sa.Integer, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("source", "day"),
    )
    op.create_table(
        "counts",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("source", "stream", "from_at"),
    )
    op.create_table(
        "confirmed_accounts",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("handle", sa.String),
        sa.Column("office", sa.String, nullable=False),
        sa.Column("is_ecitizen", sa.Boolean, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "account_id"),
    )
    op.create_table(
        "suspected_impostors",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("resembles", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("first_post", sa.String, nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "author"),
    )
