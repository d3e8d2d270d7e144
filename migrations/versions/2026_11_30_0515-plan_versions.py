"""Versions of a venue's plan: what rows and seats are called, the plan's order, and the seats of each version.

The columns of `plan_seats` are nullable and have no default, so that the table is not rewritten.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0035"
down_revision: str | None = "0034"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("plan_seats", sa.Column("row_label", sa.Text(), nullable=True))
    op.add_column("plan_seats", sa.Column("seat_label", sa.Text(), nullable=True))
    op.add_column("plan_seats", sa.Column("position", sa.Integer(), nullable=True))
    op.add_column("seating_plans", sa.Column("seats", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        """update seating_plans p set seats = v.capacity from venues v
            where v.organization_id = p.organization_id and v.id = p.venue_id"""
    )
