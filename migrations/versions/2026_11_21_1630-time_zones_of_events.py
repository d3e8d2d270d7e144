"""Every event has a time zone: its venue's, or its own. Those without a venue were shown in UTC, and keep it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("events", sa.Column("timezone", sa.Text(), nullable=True))
    op.execute(
        """update events e set timezone = coalesce(
               (select v.timezone from venues v where v.organization_id = e.organization_id and v.id = e.venue_id),
               'UTC')"""
    )
    op.alter_column("events", "timezone", nullable=False)
