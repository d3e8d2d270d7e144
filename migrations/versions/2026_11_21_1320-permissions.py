"""Devices at the door, a read-only support role, and the origin of changes in the audit log."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("audit_log", sa.Column("address", sa.Text(), nullable=True))
    op.add_column("audit_log", sa.Column("user_agent", sa.Text(), nullable=True))
    op.create_index(
        "ix_audit_log_support_reads",
        "audit_log",
        ["organization_id", "actor", "created_at"],
        unique=False,
        postgresql_where=sa.text("action = 'support.read'"),
    )
    op.create_table(
        "support_people",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_support_people_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_support_people"),
    )
    op.create_table(
        "devices",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_devices_created_by"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_devices_organization_id_event_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("organization_id", "id", name="uq_devices_organization_id_id"),
        sa.UniqueConstraint("token_hash", name="uq_devices_token_hash"),
    )
    op.create_index(
        "ix_devices_organization_id_event_id_id", "devices", ["organization_id", "event_id", "id"], unique=False
    )
