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


def upgrade() -> None:
    op.execute(SAFE_PATH.format(path="pg_catalog, public, pg_temp"))
    op.execute("revoke execute on function analyze_seats() from public")
    op.execute("grant execute on function analyze_seats() to ticketing_requests, ticketing_workers")
    # Usually by way of owning the database, which a dump does not contain; and adopt_log replaces a function.
    op.execute("do $$ begin execute format('grant create on schema public to %I', current_user); end $$")
    # No statement of the platform needs temporary tables. The right belongs to the database and not to its contents.
    op.execute("do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$")
