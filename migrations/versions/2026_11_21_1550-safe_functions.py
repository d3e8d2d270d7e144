"""Functions with their owner's rights resolve no name in a schema that their caller can write to."""

from collections.abc import Sequence

from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Without pg_temp in the path, PostgreSQL searches it first for tables and types: a caller's temporary table `members`
# would take the place of ours. https://www.postgresql.org/docs/17/sql-createfunction.html (Writing SECURITY DEFINER
# Functions Safely)
SAFE_PATH = """
do $$ declare name text;
begin
    for name in select oid::regprocedure::text from pg_proc
                 where pronamespace = 'public'::regnamespace and 'search_path=public' = any (proconfig) loop
        execute format('alter function %s set search_path = {path}', name);
    end loop;
end $$"""

# A table is created in the first schema of the path unless it is named.
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
    end loop;
end $$;
"""


def upgrade() -> None:
    op.execute(MAKE)
    op.execute(SAFE_PATH.format(path="pg_catalog, public, pg_temp"))
    op.execute("revoke execute on function analyze_seats() from public")
    op.execute("grant execute on function analyze_seats() to ticketing_requests, ticketing_workers")
    # Usually by way of owning the database, which a dump does not contain; and adopt_log replaces a function.
    op.execute("do $$ begin execute format('grant create on schema public to %I', current_user); end $$")
    # No statement of the platform needs temporary tables. The right belongs to the database and not to its contents.
    op.execute("do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$")
