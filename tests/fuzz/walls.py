"""All that is a tenant's, as one fingerprint per table: nobody else's call may have changed it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.sweeps.database_state import State
from tests.sweeps.full_tenant import Stage

_OWNED = text("""
select table_name, column_name from information_schema.columns
 where table_schema = 'public' and column_name in ('organization_id', 'user_id')
   and table_name not in (select c.relname from pg_class c where c.relispartition)
 order by table_name, column_name""")
_FINGERPRINT = """
select '{table}' as name, count(*) || ' rows ' || coalesce(md5(string_agg(h, '' order by h)), '') as state
  from (select md5(t::text) as h from {table} t where {column} = any(:ids)) as rows"""


async def read_tenant(database_url: str, stage: Stage) -> State:
    """By the owner of the database, who sees every row whatever the policies say."""
    people = [stage.admin, stage.staff, stage.scanner, stage.buyer]
    ids = {"organization_id": [stage.tenant.id], "user_id": [person.id for person in people]}
    engine = create_async_engine(database_url)
    try:
        async with engine.connect() as connection:
            owned = dict(reversed([tuple(row) for row in await connection.execute(_OWNED)]))
            state = {}
            for table, column in [*owned.items(), ("organizations", "id"), ("users", "id")]:
                mine = ids["organization_id" if table == "organizations" else "user_id" if column == "id" else column]
                query = text(_FINGERPRINT.format(table=table, column=f"{column}::text"))
                state[table] = (await connection.execute(query, {"ids": mine})).one().state
            return state
    finally:
        await engine.dispose()
