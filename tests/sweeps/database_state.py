"""The contents of the database as one fingerprint per table, to check that a refused request changed nothing."""

from fastapi import FastAPI

from ticketing.infra.db import statements

#: Stored idempotent responses are written for refused requests as well; the idempotency tests check them.
IGNORED = ("idempotency_keys", "alembic_version")

State = dict[str, str]

_TABLES = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> all(%s)
 order by 1"""
_FINGERPRINT = """
select '{name}' as name, count(*) || ' rows ' || coalesce(md5(string_agg(h, '' order by h)), '') as state
  from (select md5(t::text) as h from {name} t) as rows"""


async def read_state(app: FastAPI) -> State:
    """The number of rows and a hash of them per table, the outbox included."""
    async with app.state.worker_database.transaction() as session:
        names = await (await statements.execute(session, _TABLES, list(IGNORED))).fetchall()
        union = " union all ".join(_FINGERPRINT.format(name=name) for [name] in names)
        return dict(await (await statements.execute(session, union)).fetchall())


def changed_tables(before: State, after: State) -> list[str]:
    return [name for name in after if before.get(name) != after[name]]
