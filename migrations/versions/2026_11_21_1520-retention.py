"""Retention: indexes by which old rows are found, and deletion of audit entries that are older than a year.

The indexes are built concurrently, so that sales go on meanwhile. A build that was interrupted starts anew.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEXES = {
    "ix_reservations_ended": "reservations (ended_at) where status in ('expired', 'cancelled') and not is_kept",
    "ix_audit_log_created_at": "audit_log (created_at)",
    "ix_payment_events_settled": "payment_events (processed_at) where outcome in ('applied', 'seen')",
    "ix_check_ins_refused": "check_ins (created_at) where result <> 'admitted'",
}

# The lower bound of AUDIT_RETENTION_DAYS: nothing that the platform runs can delete an entry earlier.
KEEP_A_YEAR = """
drop trigger audit_log_append_only on audit_log;
create trigger audit_log_append_only before update on audit_log for each statement execute function refuse_change();
create trigger audit_log_kept before delete on audit_log for each row
    when (old.created_at > now() - interval '365 days') execute function refuse_change();
"""


def upgrade() -> None:
    op.execute("alter table reservations add column is_kept boolean not null default false")
    op.execute(KEEP_A_YEAR)
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")  # a concurrent build waits for older transactions, and blocks none
        for name, columns in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on {columns}")
        op.execute("reset lock_timeout")
