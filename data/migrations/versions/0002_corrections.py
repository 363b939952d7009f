"""What people say of a post's labels.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("field", sa.String, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("model", sa.String),
        sa.Column("model_said", sa.Text),
    )
    op.create_index("corrections_newest", "corrections", ["source", "id", "field", "number"])
    op.create_index("labels_source_id", "labels", ["source", "id"])
