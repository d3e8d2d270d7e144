"""What is in the database, as one fingerprint per table: a refused request must not have changed any."""

from fastapi import FastAPI
from sqlalchemy import text

#: Remembered refusals are there to be added to; what they hold is the business of the idempotency tests.
IGNORED = ("idempotency_keys", "alembic_version")

State = dict[str, str]


async def read_state(app: FastAPI) -> State:
    """Number of rows and a hash of all of them, by table; the outbox is among them."""
    async with app.state.worker_database.transaction() as session:
        names = list(await session.scalars(_TABLES, {"ignored": list(IGNORED)}))
        union = " union all ".join(_FINGERPRINT.format(name=name) for name in names)
        return {row.name: row.state for row in await session.execute(text(union))}


def changed_tables(before: State, after: State) -> list[str]:
    return [name for name in after if before.get(name) != after[name]]


_TABLES = text("""
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> all(:ignored)
 order by 1""")
_FINGERPRINT = """
select '{name}' as name, count(*) || ' rows ' || coalesce(md5(string_agg(h, '' order by h)), '') as state
  from (select md5(t::text) as h from {name} t) as rows"""
