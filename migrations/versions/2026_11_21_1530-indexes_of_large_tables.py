"""Indexes for statements that read whole tables, and orders by id for the alert about orders without tickets."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEXES = (
    ("ix_mail_tokens_email", "mail_tokens", ["email"], None),
    ("ix_check_ins_organization_id_ticket_id", "check_ins", ["organization_id", "ticket_id"], None),
    # Empty in a platform that is well.
    ("ix_refunds_requested", "refunds", ["created_at"], "status = 'requested'"),
    ("ix_payment_events_refused", "payment_events", ["outcome"], "outcome in ('mismatch', 'abandoned')"),
)
_COLUMNS = """reference, status, paid_at, exists (select from tickets t where t.organization_id = o.organization_id
                                                   and t.order_id = o.id) as has_tickets"""


def upgrade() -> None:
    op.execute(f"create or replace view watched_orders as select {_COLUMNS}, id from orders o")
    with op.get_context().autocommit_block():  # writers of the tables do not wait
        for name, table, columns, condition in INDEXES:
            where = None if condition is None else sa.text(condition)
            op.create_index(name, table, columns, postgresql_where=where, postgresql_concurrently=True)


def downgrade() -> None:
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
    op.execute("drop view watched_orders")
    op.execute(f"create view watched_orders as select {_COLUMNS} from orders o")
    op.execute("grant select on watched_orders to ticketing_requests, ticketing_workers")
