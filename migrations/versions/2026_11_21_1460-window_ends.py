"""Where a window of the log may end: between no two facts of one aggregate that would come in the wrong order."""

from collections.abc import Sequence

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Numbers of transactions are given in the order in which they begin to write, and those of rows in the order in which
# facts happen. One that began early and told its fact late is before the horizon, with a fact that comes behind one of
# a transaction beyond it: then the window ends before the early one. What has not committed yet can't be concerned: it
# holds the aggregate's lock, so nobody has told a later fact about that. Every look at the smaller window can only find
# less, so it ends. The planner must not read whole partitions to find a handful of rows; nor go through the primary key
# from its end until it meets one of them, which is what it does for the largest of the ids as they are (hence `+ 0`).
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
