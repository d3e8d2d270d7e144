"""Invitations, and admins who have accepted to be one."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"
TENANT = "organization_id = (select current_organization())"
#: Of a verified address only: an account may have the address of another person, for whom the invitation is meant.
MINE = (
    "email = (select u.email_normalized from users u"
    " where u.id = (select current_person()) and u.email_verified_at is not null)"
)

# The organization of an emailed link, whose digest was verified before.
LOOK_UP = f"""
create function organization_of_invitation(wanted text) returns uuid language sql stable security definer
    set search_path = pg_catalog, public, pg_temp as
    $$ select organization_id from public.invitations where id = wanted::uuid $$;
revoke execute on function organization_of_invitation(text) from public;
grant execute on function organization_of_invitation(text) to {REQUESTS}, {WORKERS};
"""


def upgrade() -> None:
    op.add_column("members", sa.Column("admin_accepted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("update members set admin_accepted_at = created_at where role = 'ORG_ADMIN'")
    op.create_table(
        "invitations",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name=op.f("ck_invitations_role")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_invitations_organization_id"),
        sa.ForeignKeyConstraint(["invited_by"], ["users.id"], name="fk_invitations_invited_by"),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("organization_id", "email", name="uq_invitations_organization_id_email"),
    )
    op.create_index("ix_invitations_email", "invitations", ["email"])
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
    op.execute(f"grant select, insert, update, delete on invitations to {REQUESTS}, {WORKERS}")
    op.execute("alter table invitations enable row level security")
    op.execute("alter table invitations force row level security")
    op.execute(f"create policy workers on invitations to {WORKERS} using (true) with check (true)")
    op.execute(f"create policy tenant on invitations to {REQUESTS} using ({TENANT}) with check ({TENANT})")
    op.execute(f"create policy readable on invitations for select to {REQUESTS} using ({MINE})")
    op.execute(LOOK_UP)
