"""Store the payload of messages as `json`, because no query looks inside it.

Formatting a `jsonb` value costs each reader as much as the rest of the row, and building one costs the publishing
transaction. The migration rewrites all partitions and locks the log meanwhile.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("alter table outbox alter column payload type json using payload::json")
