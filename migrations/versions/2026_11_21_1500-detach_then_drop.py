"""Drop a day of the log without stopping its readers and writers: detach it under a brief lock, then drop the table."""

from collections.abc import Sequence

from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Readers and writers lock the parent first and then partitions, and so do these functions: a partition first would
# deadlock with them. Whoever comes later queues behind a lock that is waited for, so it is waited for 50 ms, and not at
# all while an old transaction (a `pg_dump`, a report) holds the log: the caller tries again after a pause.
# `detach concurrently` is impossible beside a default partition.
#
# A call does one step and returns 1, or returns 0 when nothing is left. Removing files takes seconds and has a step of
# its own, in which nothing is locked but the table that was detached. A crash between the steps leaves a table whose
# name says that it can be dropped. What is read is found out before the lock; under it, one look into an index shows
# whether a transaction wrote to the partition meanwhile.
DROP = """
create or replace function drop_outbox_partitions(keep_days integer, over_kafka boolean) returns integer
    language plpgsql security definer
    set search_path = public set timezone = 'UTC' set lock_timeout = '50ms' as $$
declare
    name text;
    is_read boolean;
    is_unchanged boolean;
    last_xid xid8;
    unread constant text :=
        'exists (select from %1$I o where o.xid >= r.window_from
                    and (r.window_to is null or o.xid >= r.window_to or o.id > r.last_id)';
begin
    select c.relname into name from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not c.relispartition
       and c.relname ~ '^outbox_detached_[0-9]{8}$' order by 1 limit 1;
    if name is not null then
        perform set_config('lock_timeout', '5s', true);
        execute format('drop table %I', name);
        return 1;
    end if;
    for name in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                 where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$'
                   and to_date(substr(c.relname, 8), 'YYYYMMDD') < current_date - keep_days order by 1 loop
        execute format(
            'select (select count(*) > 0 and not bool_or(' || unread || '))
                       from outbox_readers r
                      where r.road is null or r.road = case when $1 then ''kafka'' else ''log'' end)
                and not exists (
                     select from webhook_endpoints r
                      where r.disabled_at is null and r.deleted_at is null
                        and ' || unread || ' and o.organization_id = r.organization_id)),
                (select max(o.xid) from %1$I o)', name)
           into is_read, last_xid using over_kafka;
        continue when not is_read;
        if exists (select from pg_locks l join pg_stat_activity a using (pid)
                    where l.relation = 'outbox'::regclass and l.database = (select oid from pg_database
                                                                           where datname = current_database())
                      and l.pid <> pg_backend_pid() and a.xact_start < clock_timestamp() - interval '1 second') then
            raise 'an old transaction holds the log' using errcode = 'lock_not_available';
        end if;
        lock table only outbox in access exclusive mode;
        execute format('lock table %I, outbox_default in access exclusive mode nowait', name);
        execute format('select max(o.xid) is not distinct from $1 from %I o', name) into is_unchanged using last_xid;
        if not is_unchanged then
            raise 'a transaction has written to %', name using errcode = 'lock_not_available';
        end if;
        execute format('alter table outbox detach partition %I', name);
        execute format('alter table %I rename to %I', name, 'outbox_detached_' || substr(name, 8));
        return 1;
    end loop;
    return 0;
end $$;
"""

# Attaching a partition locks the default one, in which every reader looks, and the parent, but not against readers and
# writers.
MAKE = """
create or replace function make_outbox_partitions(days integer) returns void language plpgsql security definer
    set search_path = public set timezone = 'UTC' set lock_timeout = '50ms' as $$
declare day date; name text;
begin
    for day in select current_date + n from generate_series(0, days) n
                union select occurred_at::date from outbox_default order by 1 loop
        name := 'outbox_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass(name) is not null;
        lock table only outbox in share update exclusive mode;
        lock table outbox_default in access exclusive mode;
        execute format('create table %I (like outbox)', name);
        execute format('insert into %I select * from outbox_default where occurred_at >= %L and occurred_at < %L',
                       name, day, day + 1);
        delete from outbox_default where occurred_at >= day and occurred_at < day + 1;
        execute format('alter table outbox attach partition %I for values from (%L) to (%L)', name, day, day + 1);
    end loop;
end $$;
"""


def upgrade() -> None:
    op.execute(DROP)
    op.execute(MAKE)
