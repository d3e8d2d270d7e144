"""The rows of a tenant as one fingerprint per table: calls of other tenants must not change them."""

import psycopg

from tests.sweeps.database_state import State
from tests.sweeps.full_tenant import FullTenant

_OWNED = """
select table_name, column_name from information_schema.columns
 where table_schema = 'public' and column_name in ('organization_id', 'user_id')
   and table_name not in (select c.relname from pg_class c where c.relispartition)
 order by table_name, column_name"""
_FINGERPRINT = """
select '{table}' as name, count(*) || ' rows ' || coalesce(md5(string_agg(h, '' order by h)), '') as state
  from (select md5(t::text) as h from {table} t where {column} = any(%s)) as rows"""


async def read_tenant(database_url: str, tenant: FullTenant) -> State:
    """Read as the owner of the database, to whom no row-level policy applies."""
    people = [tenant.admin, tenant.staff, tenant.scanner, tenant.buyer]
    ids = {"organization_id": [tenant.organization.id], "user_id": [person.id for person in people]}
    async with await psycopg.AsyncConnection.connect(database_url.replace("+psycopg", "", 1)) as connection:
        owned = dict(reversed(await (await connection.execute(_OWNED)).fetchall()))
        state = {}
        for table, column in [*owned.items(), ("organizations", "id"), ("users", "id")]:
            own = ids["organization_id" if table == "organizations" else "user_id" if column == "id" else column]
            query = _FINGERPRINT.format(table=table, column=f"{column}::text")
            row = await (await connection.execute(query.encode(), [own])).fetchone()
            assert row is not None
            state[table] = row[1]
        return state
