"""Recipients of order emails, and the limits on emails to one mailbox."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"
PURPOSES = "purpose in ('verify_email', 'reset_password', 'confirm_recipient')"


def upgrade() -> None:
    op.create_table(
        "confirmed_recipients",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_confirmed_recipients_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "email", name="pk_confirmed_recipients"),
    )
    op.create_index("ix_confirmed_recipients_email", "confirmed_recipients", ["email"])
    op.execute(f"grant select, insert, delete on confirmed_recipients to {REQUESTS}, {WORKERS}")
    op.create_table(
        "email_limits",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.LargeBinary(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "mailbox", name="pk_email_limits"),
    )
    op.create_index("ix_email_limits_full_at", "email_limits", ["full_at"])
    op.execute(f"grant select, insert, update, delete on email_limits to {WORKERS}")
    op.execute("alter table mail_tokens drop constraint if exists ck_mail_tokens_purpose")
    # `not valid` checks new rows at once; existing rows meet the narrower constraint that it replaces.
    op.execute(f"alter table mail_tokens add constraint ck_mail_tokens_purpose check ({PURPOSES}) not valid")
    op.execute("alter table mail_tokens validate constraint ck_mail_tokens_purpose")
