"""Payments, refunds and webhooks around calls of a provider that run outside of any transaction.

A payment has no `provider_ref` until its provider is known to have it. Refunds and waiting webhooks have the time of
their next attempt.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

A_SECOND = sa.text("now() + interval '1 second'")
INDEXES = (
    ("ix_refunds_due", "refunds", ["due_at"], "status = 'requested'"),
    ("ix_refunds_provider_ref", "refunds", ["provider_ref"], None),
    ("ix_payment_events_due", "payment_events", ["due_at"], "processed_at is null"),
)


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.alter_column("payments", "provider_ref", nullable=True)
    op.add_column("refunds", sa.Column("due_at", time, nullable=True))
    op.add_column("refunds", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    # Those whose message is consumed already. The others are queued when it is; twice makes no difference.
    op.execute("update refunds set due_at = now() where status = 'requested'")
    op.add_column("payment_events", sa.Column("due_at", time, server_default=A_SECOND, nullable=False))
    op.execute(WATCHED)
    with op.get_context().autocommit_block():  # writers of the tables do not wait
        for name, table, columns, condition in INDEXES:
            where = None if condition is None else sa.text(condition)
            op.create_index(name, table, columns, postgresql_where=where, postgresql_concurrently=True)


# For the alert, which names the provider.
WATCHED = """
create or replace view watched_refunds as
    select r.status, r.created_at, p.provider
      from refunds r join payments p on p.organization_id = r.organization_id and p.id = r.payment_id;
"""
