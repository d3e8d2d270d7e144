"""Refunds and chargebacks that begin at the provider, failed refunds, and what happens to the tickets of such money."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0027"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATUSES = "status in ('requested', 'sent', 'disputed', 'succeeded', 'failed')"
CHECKS = {
    "status": STATUSES,
    "origin": "origin in ('platform', 'provider')",
    "provider_ref": "origin = 'platform' or provider_ref is not null",
    "kind": "kind = 'refund' or kind = 'chargeback' and origin = 'provider'",
    "disputed": "(status = 'disputed') <= (kind = 'chargeback')",
    "failure_reason": "(status = 'failed') = (failure_reason is not null) and length(failure_reason) <= 500",
}


def upgrade() -> None:
    op.add_column("payments", sa.Column("is_returned", sa.Boolean(), server_default=sa.false(), nullable=False))
    # Staff's refunds have a requester. Those of the system return a payment that did not pay its order.
    op.execute(
        """update payments p set is_returned = true
            where p.status = 'refunded' and exists (
                  select from refunds r where r.organization_id = p.organization_id and r.payment_id = p.id
                     and r.requested_by is null)"""
    )
    op.add_column("refunds", sa.Column("origin", sa.Text(), server_default="platform", nullable=False))
    op.add_column("refunds", sa.Column("kind", sa.Text(), server_default="refund", nullable=False))
    op.add_column("refunds", sa.Column("failure_reason", sa.Text(), nullable=True))
    op.execute("update refunds set failure_reason = '' where status = 'failed'")
    op.drop_constraint("status", "refunds", type_="check")
    for name, condition in CHECKS.items():
        op.create_check_constraint(name, "refunds", condition)
    op.add_column("payment_events", sa.Column("object_ref", sa.Text(), nullable=True))
    op.add_column("payment_events", sa.Column("refund_id", sa.Uuid(), nullable=True))
    op.add_column("payment_events", sa.Column("reason", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "organizations", sa.Column("provider_refund_tickets", sa.Text(), server_default="keep", nullable=False)
    )
    op.create_check_constraint(
        "provider_refund_tickets", "organizations", "provider_refund_tickets in ('keep', 'void')"
    )
    with op.get_context().autocommit_block():  # writers of the table do not wait
        op.create_index(
            "uq_refunds_provider_ref",
            "refunds",
            ["payment_id", "kind", "provider_ref"],
            unique=True,
            postgresql_concurrently=True,
        )
