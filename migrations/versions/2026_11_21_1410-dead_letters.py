"""One dead letter per consumer and message, with its origin and the time of its last attempt."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("dead_letters", sa.Column("origin", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "dead_letters",
        sa.Column("failed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.execute("update dead_letters set failed_at = created_at")
    # A message redelivered after its inbox row was deleted may have two dead letters; the last one is kept.
    op.execute(
        "delete from dead_letters a using dead_letters b"
        " where a.consumer = b.consumer and a.message_id = b.message_id and a.id < b.id"
    )
    op.create_unique_constraint("uq_dead_letters_consumer_message_id", "dead_letters", ["consumer", "message_id"])
