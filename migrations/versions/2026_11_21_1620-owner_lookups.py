"""The organization of a reservation or an order, for its own buyer: a batch belongs to one organization."""

from collections.abc import Sequence

from alembic import op

revision: str = "0030"
down_revision: str | None = "0029"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"

# For a batch of requests the caller's own rows are not visible: it has no single caller. Only the buyer's id, which
# comes from the verified token, finds a row, and nothing but its organization is returned.
LOOK_UPS = f"""
create function organization_of_own_hold(wanted uuid, buyer uuid) returns uuid language sql stable security definer
    set search_path = pg_catalog, public, pg_temp as
    $$ select organization_id from reservations where id = wanted and user_id = buyer $$;
create function organization_of_own_order(wanted uuid, buyer uuid) returns uuid language sql stable security definer
    set search_path = pg_catalog, public, pg_temp as
    $$ select organization_id from orders where id = wanted and user_id = buyer $$;
revoke execute on function organization_of_own_hold(uuid, uuid), organization_of_own_order(uuid, uuid) from public;
grant execute on function organization_of_own_hold(uuid, uuid), organization_of_own_order(uuid, uuid)
    to {REQUESTS}, {WORKERS};
"""


def upgrade() -> None:
    op.execute(LOOK_UPS)
