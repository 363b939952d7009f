"""That a suspected impostor is none: who said so, and when.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("suspected_impostors", sa.Column("dismissed_by", sa.String))
    op.add_column("suspected_impostors", sa.Column("dismissed_at", sa.DateTime(timezone=True)))
