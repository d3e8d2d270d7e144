"""Give every event a new stream when the database has moved: versions of its seat map start from an earlier one."""

from collections.abc import Sequence

from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Viewers, and processes that did not restart, know versions that the dump does not contain, and would ignore all frames
# up to them. With a new epoch they take a snapshot. Runs in `adopt_log`, with its rights.
RENEW = """
create function renew_event_streams() returns trigger language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
begin
    update event_streams set epoch = gen_random_uuid()::text;
    return null;
end $$;
create trigger log_cluster_renews_streams after insert or update on log_cluster
    for each statement execute function renew_event_streams();
"""


def upgrade() -> None:
    op.execute(RENEW)
