"""Erasure of a person, and the retention of buyers' data."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("users", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_users_erased_at", "users", ["erased_at"], postgresql_where=sa.text("erased_at is not null"))
    op.create_index(
        "ix_payment_events_with_body", "payment_events", ["processed_at"], postgresql_where=sa.text("body <> '{}'")
    )
    op.add_column("organizations", sa.Column("buyer_data_days", sa.Integer(), nullable=True))
    op.create_check_constraint(
        "ck_organizations_buyer_data_days", "organizations", "buyer_data_days between 30 and 3650"
    )
    op.create_index("ix_audit_log_actor_organization_id", "audit_log", ["actor", "organization_id"])
    op.create_index("ix_audit_log_subject_organization_id", "audit_log", ["subject", "organization_id"])
