"""A fact's payload is kept as the text it was written as: nobody asks Postgres what is inside of it.

To print a `jsonb` value costs as much as everything else of a row together, for each of its readers, and to build one
costs the transaction that tells the fact. All partitions are written anew, with the log locked.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("alter table outbox alter column payload type json using payload::json")
