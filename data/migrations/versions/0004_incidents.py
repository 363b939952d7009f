"""Facts of labelled posts and their five-minute sums; incidents as they were raised, what people said of them, and alerts.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bucket", sa.Integer, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("lane", sa.String),
        sa.Column("account", sa.String),
        sa.Column("copy", sa.String, nullable=False),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("main_problem", sa.String),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("about", sa.String, nullable=False),
        sa.Column("sentiment", sa.String, nullable=False),
        sa.Column("lang", sa.String, nullable=False),
        sa.Column("services", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source", "id"),
    )
    op.create_index("facts_lane_bucket", "facts", ["lane", "bucket"])
    op.create_table(
        "volume",
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("bucket", sa.Integer, nullable=False),
        sa.Column("posts", sa.Integer, nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("lane", "bucket"),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("planned", sa.Boolean, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
    )
    op.create_index("incidents_started_at", "incidents", ["lane", "started_at"])
    op.create_table(
        "incident_notes",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("incident", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String),
        sa.Column("note", sa.Text),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("incident_notes_incident", "incident_notes", ["incident", "number"])
    op.create_table(
        "alerts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("incident", sa.Integer),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("failure", sa.Text),
        sa.UniqueConstraint("key", "channel"),
    )
    op.create_index("alerts_waiting", "alerts", ["sent_at", "not_before"])
