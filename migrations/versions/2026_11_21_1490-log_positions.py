"""Positions of the log that stay in order when the database moves to another cluster."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Transaction ids start again in each cluster, so a position in the log is the transaction id plus an offset, which is
# part of the body of this function. Without SET and SECURITY DEFINER the planner inlines it: until the first adoption,
# `log_position(pg_current_xact_id())` costs what `pg_current_xact_id()` does. A plan that contains it is made anew when
# the function is replaced.
POSITION = """
create function log_position(xid xid8) returns xid8 language sql stable parallel safe as $$ select xid $$;
alter table outbox alter column xid set default log_position(pg_current_xact_id());
alter policy readable on outbox
    using (organization_id is null and xid = log_position(pg_current_xact_id_if_assigned()));
create or replace function organizations_with_news(ids uuid[], since text[]) returns setof uuid language sql stable
    security definer set search_path = public as
    $$ select w.id from unnest(ids, since) as w (id, since)
        where exists (select from outbox o
                       where o.organization_id = w.id and o.xid >= w.since::xid8
                         and o.xid < log_position(pg_snapshot_xmin(pg_current_snapshot()))) $$;
"""

# A cluster is named by its system identifier and its timeline, which changes when a standby is promoted and when the
# cluster is restored to a point in time. The timeline of a standby in recovery cannot be read, and does not matter.
CLUSTER = """
create function log_cluster_here() returns text language sql stable as
    $$ select system_identifier || '/' || case when pg_is_in_recovery() then 'standby'
                                               else left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end
         from pg_control_system() $$;
insert into log_cluster (cluster) values (log_cluster_here());
grant select on log_cluster to ticketing_requests, ticketing_workers;
"""

# What is ahead of the log: the first transaction id that has not been assigned is beyond every row and every cursor.
# Also the cluster, if the positions belong to another one. Empty when all is well; read by the alert, by `ticketing
# check` and by `adopt_log`.
AHEAD = """
create view watched_log_positions as
    with next as materialized (select log_position(pg_snapshot_xmax(pg_current_snapshot())) as position)
    select 'reader ' || r.reader as subject from outbox_readers r, next
     where greatest(r.window_from, r.window_to) > next.position
     union all
    select 'webhook' from webhook_endpoints e, next
     where e.deleted_at is null and greatest(e.window_from, e.window_to) > next.position
     union all
    select 'horizon' from next where (select max(h.xid) from log_horizons h) > next.position
     union all
    select 'message' from next where (select max(o.xid) from outbox o) >= next.position
     union all
    select 'cluster' where not pg_is_in_recovery()
       and not exists (select from log_cluster c where c.cluster = log_cluster_here());
grant select on watched_log_positions to ticketing_requests, ticketing_workers;
"""

# The new positions begin at the present second times 2^24. They are beyond all positions of all clusters that this log
# came from, also those that the dump does not know and that clients of the feed may hold: no cluster starts 2^24
# transactions a second. If a clock was wrong, they begin 2^40 beyond the highest position that is known.
#
# The lock waits for transactions that have written with the former offset, and lets no other one write until the
# commit. Logical replication does not carry sequences, so ids could be assigned a second time.
ADOPT = """
create function adopt_log() returns boolean language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp as $$
declare
    here constant text := log_cluster_here();
    highest bigint;
    first bigint;
    identity record;
    last_id bigint;
    next_id bigint;
begin
    if pg_is_in_recovery() then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('adopt_log', 0));
    if not exists (select from watched_log_positions) then
        return false;
    end if;
    if not (select rolsuper or rolbypassrls or pg_has_role(oid, 'ticketing_workers', 'usage')
              from pg_roles where rolname = current_user) then
        raise exception 'the owner of the log, %, is not a member of ticketing_workers', current_user
            using errcode = 'insufficient_privilege';
    end if;
    lock table outbox in share row exclusive mode;
    select max(position::text::bigint) into highest
      from (select max(xid) from outbox
             union all select max(greatest(window_from, window_to)) from outbox_readers
             union all select max(greatest(window_from, window_to)) from webhook_endpoints
             union all select max(xid) from log_horizons) known (position);
    first := greatest(extract(epoch from clock_timestamp())::bigint << 24, coalesce(highest, 0) + (1::bigint << 40));
    execute format(
        'create or replace function public.log_position(xid xid8) returns xid8 language sql stable parallel safe as
             $f$ select (xid::text::bigint + %s)::text::xid8 $f$',
        first - pg_snapshot_xmin(pg_current_snapshot())::text::bigint);
    for identity in
        select c.oid::regclass as of, a.attname as name,
               pg_get_serial_sequence(c.oid::regclass::text, a.attname)::regclass as sequence
          from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and not c.relispartition and a.attidentity <> ''
    loop
        execute format('select coalesce(max(%I), 0) from %s', identity.name, identity.of) into last_id;
        if identity.of = 'outbox'::regclass then
            last_id := greatest(last_id, (select max(r.last_id) from outbox_readers r));
        end if;
        next_id := nextval(identity.sequence);
        if next_id <= last_id then
            perform setval(identity.sequence, last_id);
        end if;
    end loop;
    insert into log_cluster (cluster) values (here)
        on conflict (is_only) do update set cluster = here, adopted_at = now();
    return true;
end $$;
revoke execute on function adopt_log() from public;
grant execute on function adopt_log() to ticketing_requests, ticketing_workers;
"""

# Snapshots cover all databases of a cluster, so a writing transaction in another one holds the horizon too; it is named
# with its database.
PINS = """
create or replace function outbox_pins() returns table (pid integer, application text, seconds double precision)
    language sql stable security definer set search_path = public as
    $$ with horizon as (select pg_snapshot_xmin(pg_current_snapshot())::xid as xid),
            holders as (
                select a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, 'unknown') as name,
                       a.datname as database, a.xact_start as since
                  from pg_stat_activity a, horizon h where a.backend_xid = h.xid and a.pid <> pg_backend_pid()
                 union all
                select null, 'prepared transaction ' || p.gid, p.database, p.prepared
                  from pg_prepared_xacts p, horizon h where p.transaction = h.xid)
       select pid, name || case when database = current_database() then '' else ' in database ' || database end,
              extract(epoch from clock_timestamp() - since)
         from holders $$;
"""


def upgrade() -> None:
    op.create_table(
        "log_cluster",
        sa.Column("is_only", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("is_only", name="one_row"),
        sa.PrimaryKeyConstraint("is_only", name="pk_log_cluster"),
    )
    for statements in (POSITION, CLUSTER, AHEAD, ADOPT, PINS):
        op.execute(statements)
