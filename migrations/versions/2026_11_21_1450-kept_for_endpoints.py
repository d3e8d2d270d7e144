"""Drop a partition of the log only when every reader and every active endpoint has read it."""

from collections.abc import Sequence

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The partition is locked before it is checked, because rows written to it may not have committed yet. The lock timeout
# is short, because every publishing transaction would queue behind this lock; the job runs again in an hour.
#
# An active endpoint has still to read the rows of its organization that are behind its cursor.
DROP = """
drop function drop_outbox_partitions(integer);
create function drop_outbox_partitions(keep_days integer, over_kafka boolean) returns integer
    language plpgsql security definer
    set search_path = public set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    name text;
    is_read boolean;
    dropped integer := 0;
    unread constant text :=
        'exists (select from %I o where o.xid >= r.window_from
                    and (r.window_to is null or o.xid >= r.window_to or o.id > r.last_id)';
begin
    for name in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                 where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$'
                   and to_date(substr(c.relname, 8), 'YYYYMMDD') < current_date - keep_days order by 1 loop
        begin
            execute format('lock table %I in access exclusive mode', name);
            execute format(
                'select (select count(*) > 0 and not bool_or(' || unread || '))
                           from outbox_readers r
                          where r.road is null or r.road = case when $1 then ''kafka'' else ''log'' end)
                    and not exists (
                         select from webhook_endpoints r
                          where r.disabled_at is null and r.deleted_at is null
                            and ' || unread || ' and o.organization_id = r.organization_id))', name, name)
               into is_read using over_kafka;
            if is_read then
                execute format('drop table %I', name);
                dropped := dropped + 1;
            end if;
        exception when lock_not_available then
            null;
        end;
    end loop;
    return dropped;
end $$;
revoke execute on function drop_outbox_partitions(integer, boolean) from public;
grant execute on function drop_outbox_partitions(integer, boolean) to ticketing_workers;
"""


def upgrade() -> None:
    op.execute(DROP)
