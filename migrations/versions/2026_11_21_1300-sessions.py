"""Sessions that can be named, listed and revoked."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


# Existing families of refresh tokens become sessions, so that users stay logged in.
FAMILIES = """
insert into sessions (id, user_id, created_at, last_used_at, expires_at, user_agent, address, revoked_at, end_reason)
select family_id, user_id, min(created_at), max(created_at), max(expires_at), '', '', max(revoked_at),
       case when max(revoked_at) is not null then 'log_out' end
  from refresh_tokens group by family_id, user_id;
"""


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(revoked_at is null) = (end_reason is null)", name="ck_sessions_end_reason"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.create_index(
        "ix_sessions_revoked_at",
        "sessions",
        ["revoked_at"],
        unique=False,
        postgresql_where=sa.text("revoked_at is not null"),
    )
    op.execute(FAMILIES)
    op.alter_column("refresh_tokens", "family_id", new_column_name="session_id")
    op.execute("alter index ix_refresh_tokens_family_id rename to ix_refresh_tokens_session_id")
    op.create_foreign_key(
        "fk_refresh_tokens_session_id", "refresh_tokens", "sessions", ["session_id"], ["id"], ondelete="CASCADE"
    )
    op.drop_column("refresh_tokens", "user_id")
    op.drop_column("refresh_tokens", "revoked_at")
    op.add_column("refresh_tokens", sa.Column("spent_by", sa.LargeBinary(), nullable=True))
