"""Events count the changes that entries in people's calendars have to follow."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0036"
down_revision: str | None = "0035"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("events", sa.Column("calendar_sequence", sa.Integer(), server_default="0", nullable=False))
    op.add_column("events", sa.Column("calendar_changed_at", sa.DateTime(timezone=True), nullable=True))
    # Files of earlier releases have no sequence, which counts as 0 (RFC 5545 §3.8.7.4).
    op.execute("update events set calendar_sequence = 1 where status = 'cancelled'")
    op.execute("update events set calendar_changed_at = created_at")
    op.alter_column("events", "calendar_changed_at", nullable=False, server_default=sa.func.now())
