"""Drop partitions of the log only when every reader has read them, and create missing ones."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The readers that must have read a row before it is dropped. `road` says when a reader counts: `kafka` with a broker,
# `log` without one, null always. A new table of cursors must be added here.
READERS = """
create view outbox_readers as
    select reader, case reader when 'relay' then 'kafka' else 'log' end as road,
           window_from, window_to, last_id, updated_at
      from outbox_cursor;
grant select on outbox_readers to ticketing_requests, ticketing_workers;
"""

# Rows of a day without a partition are in the default one. They move when the partition of that day is made, whatever
# the day is: a server's clock may have been wrong. Writers of the default partition wait meanwhile, for a moment.
MAKE = """
create or replace function make_outbox_partitions(days integer) returns void language plpgsql security definer
    set search_path = public set timezone = 'UTC' set lock_timeout = '5s' as $$
declare day date; name text;
begin
    for day in select current_date + n from generate_series(0, days) n
                union select occurred_at::date from outbox_default order by 1 loop
        name := 'outbox_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(name) is not null;
        lock table outbox_default in access exclusive mode;
        execute format('create table %I (like outbox)', name);
        execute format('insert into %I select * from outbox_default where occurred_at >= %L and occurred_at < %L',
                       name, day, day + 1);
        delete from outbox_default where occurred_at >= day and occurred_at < day + 1;
        execute format('alter table outbox attach partition %I for values from (%L) to (%L)', name, day, day + 1);
    end loop;
end $$;
"""

# The earliest time of which the log may have rows: older inbox rows can be deleted.
BEGIN = """
create function outbox_begins_at() returns timestamptz language sql stable set search_path = public
    set timezone = 'UTC' as
    $$ select min(to_date(substr(c.relname, 8), 'YYYYMMDD'))::timestamptz
         from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$' $$;
"""

# The transactions that hold the horizon: no reader can pass the oldest writing transaction. Runs with its owner's
# rights, because ordinary roles cannot see the age of other roles' transactions; returns no query texts.
PINS = """
create function outbox_pins() returns table (pid integer, application text, seconds double precision)
    language sql stable security definer set search_path = public as
    $$ with horizon as (select pg_snapshot_xmin(pg_current_snapshot())::xid as xid)
       select a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, 'unknown'),
              extract(epoch from clock_timestamp() - a.xact_start)
         from pg_stat_activity a, horizon h where a.backend_xid = h.xid and a.pid <> pg_backend_pid()
        union all
       select null, 'prepared transaction ' || p.gid, extract(epoch from clock_timestamp() - p.prepared)
         from pg_prepared_xacts p, horizon h where p.transaction = h.xid $$;
revoke execute on function outbox_pins() from public;
grant execute on function outbox_pins() to ticketing_requests, ticketing_workers;
create view watched_outbox_default as select occurred_at from outbox_default;
grant select on watched_outbox_default to ticketing_requests, ticketing_workers;
"""


def upgrade() -> None:
    for statements in (READERS, MAKE, BEGIN, PINS):
        op.execute(statements)
    op.create_table(
        "kafka_lag",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("committed", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "topic", "partition", name="pk_kafka_lag"),
    )
    op.execute("grant select on kafka_lag to ticketing_requests")
    op.execute("grant select, insert, update, delete on kafka_lag to ticketing_workers")
