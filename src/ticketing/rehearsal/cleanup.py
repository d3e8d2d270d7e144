"""Taking the stage down: every row of a scratch organization and of its people, a few thousand at a time.

Which tables there are, and which refers to which, is asked of the database: a table that was added yesterday is swept
like the others. What is append-only stays: facts stay in the log until their partition is dropped, with ids and no
names.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database
from ticketing.infra.outbox import UNREAD
from ticketing.rehearsal import names
from ticketing.rehearsal.options import RehearsalError

ROWS_AT_ONCE = 5000
#: A worker may be busy with what we delete, and write a row behind our back: then all is gone through once more.
PASSES_MAX = 10
PAUSE_SECONDS = 0.5
#: Readers of the log work on what a sale has left; a row that is gone under their hands would be a dead letter.
READERS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch organization that is there."""

    run: str
    organization_id: UUID


async def find_scratch(database: Database) -> list[Scratch]:
    """Every scratch organization, the oldest first."""
    async with database.transaction() as session:
        rows = await session.execute(text(_FIND), {"prefix": f"{names.SLUG_PREFIX}%"})
        found = [Scratch(row.slug.removeprefix(names.SLUG_PREFIX), row.id) for row in rows]
    return [scratch for scratch in found if names.RUN.fullmatch(scratch.run)]


async def sweep(database: Database, scratch: Scratch, readers_seconds: float = READERS_SECONDS) -> int:
    """Delete everything of a rehearsal; the number of rows.

    Raises:
        RehearsalError: something is still there after many tries; it can be tried again later.
    """
    await _close_sale(database, scratch)
    await wait_for_readers(database, scratch.organization_id, readers_seconds)
    total = 0
    for _ in range(PASSES_MAX):
        try:
            total += await _pass(database, scratch)
            return total + await _delete_people(database, scratch)
        except DBAPIError:  # a foreign key of a row that has just come, or a deadlock with whoever wrote it
            await asyncio.sleep(PAUSE_SECONDS)
    raise RehearsalError(
        f"rows of the rehearsal {scratch.run} are still in use; run `ticketing rehearse --clean` in a minute"
    )


async def wait_for_readers(database: Database, organization_id: UUID, seconds: float) -> float | None:
    """Wait until every reader of the log has read this organization's facts: how long; None when time ran out."""
    begun = asyncio.get_running_loop().time()
    while True:
        async with database.transaction() as session:
            lag = await lag_seconds(session, organization_id)
        waited = asyncio.get_running_loop().time() - begun
        if lag == 0:
            return waited
        if waited > seconds:
            return None
        await asyncio.sleep(PAUSE_SECONDS)


async def lag_seconds(session: AsyncSession, organization_id: UUID) -> float:
    """The age of the oldest fact of this organization that some reader has not read; 0 when there is none."""
    age = await session.scalar(text(_LAG), {"organization_id": organization_id})
    return float(age or 0)


async def _close_sale(database: Database, scratch: Scratch) -> None:
    async with database.transaction() as session:
        await session.execute(text(_CANCEL), {"organization_id": scratch.organization_id})


async def _pass(database: Database, scratch: Scratch) -> int:
    async with database.transaction() as session:
        tables = await _tables(session)
    place = {"organization_id": scratch.organization_id}
    total = await _delete(database, "payment_events", _ITS_WEBHOOKS, place)
    for table in tables:
        total += await _delete(database, table, "organization_id = :organization_id", place)
    return total + await _delete(database, "organizations", "id = :organization_id", place)


async def _delete_people(database: Database, scratch: Scratch) -> int:
    prefix = names.account_prefix(scratch.run)
    mine = {"pattern": f"{prefix}%@rehearsal.invalid"}
    total = await _delete(database, "idempotency_keys", _THEIR_ANSWERS, mine)
    return total + await _delete(database, "users", "email_normalized like :pattern", mine)


async def _tables(session: AsyncSession) -> list[str]:
    """Tables with an organization in each row that can be deleted from, those that refer to others before them."""
    tables = set(await session.scalars(text(_TABLES)))
    referring: dict[str, set[str]] = {table: set() for table in tables}
    for child, parent in (await session.execute(text(_REFERENCES))).all():
        if child in tables and parent in tables and child != parent:
            referring[parent].add(child)
    return list(TopologicalSorter(referring).static_order())


async def _delete(database: Database, table: str, condition: str, values: Mapping[str, object]) -> int:
    statement = text(
        f"delete from {table} where ctid = any(array(select ctid from {table} where {condition} limit {ROWS_AT_ONCE}))"  # noqa: S608 (names from the catalogue)
    )
    total = 0
    while True:
        async with database.transaction() as session:
            rows = int((await session.execute(statement, values)).rowcount)  # type: ignore[attr-defined]
        total += rows
        if rows == 0:
            return total


_FIND = "select id, slug from organizations where slug like :prefix order by created_at"

_CANCEL = """
update events set status = 'cancelled' where organization_id = :organization_id and status <> 'cancelled'"""

# As readers read: by transaction, not by id (see infra/outbox/message.py). A reader that has been silent is ignored.
_LAG = f"""
select max(extract(epoch from clock_timestamp() - oldest.occurred_at)) from outbox_cursor r,
       lateral (select o.occurred_at from outbox o
                 where o.organization_id = :organization_id and {UNREAD}
                 order by o.xid, o.id limit 1) oldest
 where r.updated_at > now() - interval '10 minutes'"""  # noqa: S608 (a constant)

_TABLES = """
select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
   and a.attname = 'organization_id' and not a.attisdropped
   and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgfoid = 'refuse_change'::regproc)"""

_REFERENCES = """
select child.relname, parent.relname from pg_constraint f
  join pg_class child on child.oid = f.conrelid join pg_class parent on parent.oid = f.confrelid
 where f.contype = 'f' and child.relnamespace = 'public'::regnamespace"""

_ITS_WEBHOOKS = """
(provider, provider_ref) in (select provider, provider_ref from payments where organization_id = :organization_id)"""

_THEIR_ANSWERS = """
caller in (select 'user:' || id from users where email_normalized like :pattern)"""
