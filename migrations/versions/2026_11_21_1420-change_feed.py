"""The change feed, in which a tenant reads its part of the log: an index for new rows, and horizons of past days."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ticketing.infra.outbox import Xid8

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A process with long polls runs one query for all tenants that wait in it, each with its position; the result is the
# tenants that have new messages.
NEWS = """
create function organizations_with_news(ids uuid[], since text[]) returns setof uuid language sql stable
    security definer set search_path = public as
    $$ select w.id from unnest(ids, since) as w (id, since)
        where exists (select from outbox o
                       where o.organization_id = w.id and o.xid >= w.since::xid8
                         and o.xid < pg_snapshot_xmin(pg_current_snapshot())) $$;
revoke execute on function organizations_with_news(uuid[], text[]) from public;
grant execute on function organizations_with_news(uuid[], text[]) to ticketing_requests, ticketing_workers;
"""


def upgrade() -> None:
    op.drop_index("ix_outbox_organization_id_id", "outbox")
    op.create_index("ix_outbox_organization_id_xid_id", "outbox", ["organization_id", "xid", "id"])
    op.create_table(
        "log_horizons",
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("xid", name="pk_log_horizons"),
    )
    op.create_index("ix_log_horizons_seen_at", "log_horizons", ["seen_at"])
    op.execute("grant select on log_horizons to ticketing_requests")
    op.execute("grant select, insert, update, delete on log_horizons to ticketing_workers")
    op.execute(NEWS)
