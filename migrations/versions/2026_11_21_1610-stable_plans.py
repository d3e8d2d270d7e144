"""Give the planner statistics of tables that have none, and fix the one whose error makes it read a tenant's table.

Without statistics every equality of a small table is expected to match one row, so that an index on (organization_id,
event_id) looks as good as a unique one on (organization_id, id). A plan that was cached then reads all rows of the
organization from then on, until the table is analyzed.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0029"
down_revision: str | None = "0028"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# For each table that was never analyzed: how many different values a column has, by its name or else by its type. The
# numbers are small because the planner assumes ten pages. ANALYZE replaces them. PostgreSQL 17 cannot import them.
#
# Some columns of a sale's tables keep a number in ANALYZE too. Where each organization has one row so far,
# `organization_id` looks unique, and a condition on it alone as good as the whole key: assume that one of them has a
# large share of the rows. Where one buyer has made all rows so far, a condition on the buyer looks useless. In the
# log, a large number of organizations keeps PostgreSQL 18 from skipping through an index that starts with their id.
STABILIZE = """
create function stabilize_plans(of_table text default null) returns void language plpgsql
    set search_path = pg_catalog, public, pg_temp as $$
declare c record; fixed real;
begin
    for c in
        select t.relname, a.attname, t.reltuples < 0 as is_new, a.attnotnull, a.attoptions is null as is_free,
               case when a.attname in ('organization_id', 'provider') then 2
                    when a.attname in ('event_id', 'venue_id', 'position', 'unit', 'status', 'category', 'kind', 'type',
                                       'outcome', 'role', 'topic', 'consumer', 'currency', 'result') then 3
                    when a.attname = 'plan_version' then 1
                    when a.attname in ('user_id', 'buyer_identity') then -0.1
                    when a.atttypid = 'boolean'::regtype then 2
                    when a.atttypid = 'smallint'::regtype then 3
                    when a.atttypid = 'text'::regtype then -0.5
                    else -1 end as distinct_values
          from pg_class t join pg_attribute a on a.attrelid = t.oid
         where t.relnamespace = 'public'::regnamespace and t.relkind = 'r' and a.attnum > 0 and not a.attisdropped
           and t.relname = coalesce(of_table, t.relname)
         order by t.relname, a.attnum
    loop
        fixed := case
            when c.relname like 'outbox\\_%' and c.attname = 'organization_id' then 10000
            when c.relname in ('event_seats', 'reservations', 'reservation_items', 'ticket_types')
                 and c.attname = 'organization_id' then 2
            when c.relname in ('events', 'orders', 'order_lines', 'payments', 'tickets')
                 and c.attname = 'organization_id' then 500
            when c.relname in ('reservations', 'orders', 'tickets') and c.attname in ('user_id', 'buyer_identity')
                 then -0.1 end;
        if c.is_free and fixed is not null then
            execute format('alter table public.%I alter column %I set (n_distinct = %s)', c.relname, c.attname, fixed);
        end if;
        if c.is_new and current_setting('server_version_num')::integer >= 180000 then
            execute 'select pg_restore_attribute_stats(''version'', 180000, ''schemaname'', ''public'',
                         ''relname'', $1, ''attname'', $2, ''inherited'', false, ''null_frac'', $3, ''avg_width'', 16,
                         ''n_distinct'', $4)'
              using c.relname::text, c.attname::text, case when c.attnotnull then 0 else 0.5 end::real,
                    c.distinct_values::real;
        end if;
    end loop;
end $$;
revoke execute on function stabilize_plans(text) from public;
"""

# A new partition of the log is a new table every day.
MAKE = """
create or replace function make_outbox_partitions(days integer) returns void language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp set timezone = 'UTC' set lock_timeout = '50ms' as $$
declare day date; name text;
begin
    for day in select current_date + n from generate_series(0, days) n
                union select occurred_at::date from outbox_default order by 1 loop
        name := 'outbox_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass('public.' || name) is not null;
        lock table only outbox in share update exclusive mode;
        lock table outbox_default in access exclusive mode;
        execute format('create table public.%I (like outbox)', name);
        execute format('insert into %I select * from outbox_default where occurred_at >= %L and occurred_at < %L',
                       name, day, day + 1);
        delete from outbox_default where occurred_at >= day and occurred_at < day + 1;
        execute format('alter table outbox attach partition %I for values from (%L) to (%L)', name, day, day + 1);
        perform stabilize_plans(name);
    end loop;
end $$;
"""

# OFFSET 0 is an optimization fence: few holds have lapsed and are not expired yet, and an event has many reservations.
LAPSED = """
create or replace function lapsed_places(of_event uuid) returns table (ticket_type_id uuid, quantity bigint)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp as
    $$ select i.ticket_type_id, sum(i.quantity)
         from (select organization_id, id, event_id from reservations
                where status = 'active' and expires_at < now() offset 0) r
         join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
        where r.event_id = of_event and i.seat_number is null group by 1 $$;
"""


def upgrade() -> None:
    op.create_index("ix_events_organization_id_venue_id", "events", ["organization_id", "venue_id"])
    op.execute(STABILIZE)
    op.execute(MAKE)
    op.execute(LAPSED)
