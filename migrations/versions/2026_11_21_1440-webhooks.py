"""Webhook endpoints and their deliveries."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from ticketing.infra.outbox import Xid8

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"
TENANT = "organization_id = (select current_organization())"


def upgrade() -> None:
    _endpoints()
    _deliveries()
    for table in ("webhook_endpoints", "webhook_deliveries"):
        op.execute(f"grant select, insert, update on {table} to {REQUESTS}")
        op.execute(f"grant select, insert, update, delete on {table} to {WORKERS}")
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy workers on {table} to {WORKERS} using (true) with check (true)")
        op.execute(f"create policy tenant on {table} to {REQUESTS} using ({TENANT}) with check ({TENANT})")
    op.execute(WATCHED)


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_because", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_from", Xid8(), nullable=False),
        sa.Column("window_to", Xid8(), nullable=True),
        sa.Column("last_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_webhook_endpoints_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.UniqueConstraint("organization_id", "id", name="uq_webhook_endpoints_organization_id_id"),
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=True),
        sa.Column("attempts", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
        sa.CheckConstraint("(status = 'pending') = (due_at is not null)", name="due_at"),
        sa.ForeignKeyConstraint(
            ["organization_id", "endpoint_id"],
            ["webhook_endpoints.organization_id", "webhook_endpoints.id"],
            name="fk_webhook_deliveries_organization_id_endpoint_id",
        ),
        sa.PrimaryKeyConstraint("organization_id", "endpoint_id", "message_id", name="pk_webhook_deliveries"),
    )
    place = ["organization_id", "endpoint_id"]
    op.create_index("ix_webhook_deliveries_status", "webhook_deliveries", [*place, "status", "message_id"])
    is_due = sa.text("due_at is not null")
    op.create_index("ix_webhook_deliveries_due", "webhook_deliveries", [*place, "due_at"], postgresql_where=is_due)
    has_ended = sa.text("ended_at is not null")
    op.create_index("ix_webhook_deliveries_ended_at", "webhook_deliveries", ["ended_at"], postgresql_where=has_ended)


# For the alert: how long due deliveries, and unread messages of an endpoint, have waited for the worker. If the worker
# has tried since, the receiver is slow; and an endpoint that is paused, because its receiver has a backlog, does not
# wait for the worker either.
WATCHED = f"""
create view watched_webhooks as
    select (select greatest(d.due_at, e.tried_at) from webhook_deliveries d
             where d.organization_id = e.organization_id and d.endpoint_id = e.id and d.due_at is not null
             order by d.due_at limit 1) as due_at,
           (select o.occurred_at from outbox o
             where o.organization_id = e.organization_id and o.xid >= e.window_from
               and (e.window_to is null or o.xid >= e.window_to or o.id > e.last_id)
               and (e.rests_until is null or e.rests_until < now())
             order by o.xid limit 1) as unread_at
      from webhook_endpoints e
     where e.disabled_at is null and e.deleted_at is null;
grant select on watched_webhooks to {REQUESTS}, {WORKERS};
"""
