"""The migrations make what the models say, and the rules that no model can say."""

from alembic import command
from sqlalchemy import create_engine, text

from ticketing.infra import migrate


def test_the_models_say_what_the_migrations_made(database_url: str) -> None:
    command.check(migrate.config(database_url))


def test_tenant_tables_are_led_by_their_tenant(database_url: str) -> None:
    """Each table with organization_id has a key or index that begins with it."""
    query = text("""
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
         where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
           and c.relname <> 'dead_letters'
           and not exists (select from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum)""")
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(query).scalars().all() == []
    engine.dispose()
