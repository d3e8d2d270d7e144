"""A limit on the places of an event that one account holds at one time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("events", sa.Column("max_held_per_buyer", sa.Integer(), nullable=True))
    limit = "max_held_per_buyer between 1 and 100000"
    op.create_check_constraint("max_held_per_buyer", "events", limit)
