"""A scan keeps the time that its scanner sent, if that was replaced by the time at which the scan arrived."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("check_ins", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
