"""End a window of the log where it does not separate two messages of one aggregate in the wrong order."""

from collections.abc import Sequence

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Transaction ids follow the order of first writes, row ids the order of messages. A transaction that began early and
# published late is below the horizon, while its message comes after one of a transaction beyond the horizon: then the
# window ends before the early transaction. An uncommitted transaction cannot be affected: it holds the lock of the
# aggregate, so no later message about it exists. Each iteration has a smaller window and finds fewer rows, so the loop
# ends. The planner must not scan whole partitions for a handful of rows, nor walk the primary key backwards until it
# meets one of them, as it does for max(id) (hence `+ 0`).
END = """
create function outbox_window_end({parameters}) returns xid8 language plpgsql stable
    set search_path = public set enable_seqscan = off as $$
declare
    window_to xid8 := horizon;
    last_id bigint;
    swapped xid8;
begin
    loop
        select max(o.id + 0) into last_id from outbox o where {mine} o.xid >= window_from and o.xid < window_to;
        exit when last_id is null;
        select min(o.xid) into swapped
          from outbox o
          join (select b.key, min(b.id) as id from outbox b
                 where {behind} b.xid >= window_to and b.id < last_id group by b.key) b on b.key = o.key and b.id < o.id
         where {mine} o.xid >= window_from and o.xid < window_to;
        exit when swapped is null;
        window_to := swapped;
    end loop;
    return window_to;
end $$;
"""
OF_ALL = {"parameters": "window_from xid8, horizon xid8", "mine": "", "behind": ""}
OF_ONE = {
    "parameters": "window_from xid8, horizon xid8, tenant uuid",
    "mine": "o.organization_id = tenant and",
    "behind": "b.organization_id = tenant and",
}


def upgrade() -> None:
    for words in (OF_ALL, OF_ONE):
        op.execute(END.format(**words))
