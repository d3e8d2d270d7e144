"""Deletes every row of a scratch organization and of its accounts, a few thousand rows at a time.

The tables and their foreign keys are read from the database's catalogue, so that new tables are covered. Append-only
tables are left out: messages stay in the log until their partition is dropped; they contain ids and no names.
"""

import asyncio
from dataclasses import dataclass
from graphlib import TopologicalSorter
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database, statements
from ticketing.infra.outbox import UNREAD
from ticketing.rehearsal import names
from ticketing.rehearsal.options import RehearsalError

ROWS_PER_TRANSACTION = 5000
#: A worker may still write rows that refer to deleted ones. Then all tables are gone through again.
PASSES_MAX = 10
PAUSE_SECONDS = 0.5
#: The log's readers process the messages of the sale first: without the rows, the messages would become dead letters.
READERS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ScratchOrganization:
    """A scratch organization that exists."""

    run: str
    organization_id: UUID


async def find_organizations(database: Database) -> list[ScratchOrganization]:
    """Every scratch organization, oldest first."""
    async with database.transaction() as session:
        rows = await (await statements.execute(session, _FIND, f"{names.SLUG_PREFIX}%")).fetchall()
    found = [ScratchOrganization(slug.removeprefix(names.SLUG_PREFIX), id_) for id_, slug in rows]
    return [each for each in found if names.RUN.fullmatch(each.run)]


async def delete_rehearsal(
    database: Database, scratch: ScratchOrganization, readers_seconds: float = READERS_SECONDS
) -> int:
    """Delete all rows of a rehearsal, and return their number.

    Raises:
        RehearsalError: some rows could not be deleted. The cleanup can be repeated.
    """
    await _cancel_events(database, scratch)
    await wait_for_readers(database, scratch.organization_id, readers_seconds)
    total = 0
    for _ in range(PASSES_MAX):
        try:
            total += await _delete_tables(database, scratch)
            # A job has ended the holds of the cancelled events meanwhile, and a reader of its messages that still found
            # an event has started a stream for it.
            await wait_for_readers(database, scratch.organization_id, readers_seconds)
            total += await _delete(database, "event_streams", "organization_id = %s", scratch.organization_id)
            return total + await _delete_accounts(database, scratch)
        except DBAPIError:  # a foreign key of a row written meanwhile, or a deadlock with its transaction
            await asyncio.sleep(PAUSE_SECONDS)
    raise RehearsalError(
        f"rows of the rehearsal {scratch.run} are still in use; run `ticketing rehearse --clean` in a minute"
    )


async def wait_for_readers(database: Database, organization_id: UUID, seconds: float) -> float | None:
    """Wait until the log's readers have read this organization's messages. Returns the seconds; None on timeout."""
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
    """The age of this organization's oldest message that some reader has not read; 0 if there is none."""
    ((age,),) = await (await statements.execute(session, _LAG, organization_id)).fetchall()
    return float(age or 0)


async def _cancel_events(database: Database, scratch: ScratchOrganization) -> None:
    async with database.transaction() as session:
        await statements.execute(session, _CANCEL, scratch.organization_id)


async def _delete_tables(database: Database, scratch: ScratchOrganization) -> int:
    async with database.transaction() as session:
        tables = await _tables(session)
    total = await _delete(database, "payment_events", _WEBHOOKS, scratch.organization_id)
    for table in tables:
        total += await _delete(database, table, "organization_id = %s", scratch.organization_id)
    return total + await _delete(database, "organizations", "id = %s", scratch.organization_id)


async def _delete_accounts(database: Database, scratch: ScratchOrganization) -> int:
    emails = f"{names.account_prefix(scratch.run)}%@rehearsal.invalid"
    total = await _delete(database, "idempotency_keys", _RESPONSES, emails)
    return total + await _delete(database, "users", "email_normalized like %s", emails)


async def _tables(session: AsyncSession) -> list[str]:
    """The tables with a column `organization_id` that allow deletes, referencing tables before referenced ones."""
    tables = {table for (table,) in await (await statements.execute(session, _TABLES)).fetchall()}
    referencing: dict[str, set[str]] = {table: set() for table in tables}
    for child, parent in await (await statements.execute(session, _REFERENCES)).fetchall():
        if child in tables and parent in tables and child != parent:
            referencing[parent].add(child)
    return list(TopologicalSorter(referencing).static_order())


async def _delete(database: Database, table: str, condition: str, value: object) -> int:
    """Delete the rows that meet the condition, which has one `%s` for the value, and return their number."""
    page = f"select ctid from {table} where {condition} limit {ROWS_PER_TRANSACTION}"  # noqa: S608 (from the catalogue)
    statement = f"delete from {table} where ctid = any(array({page}))"  # noqa: S608 (from the catalogue)
    total = 0
    while True:
        async with database.transaction() as session:
            rows = (await statements.execute(session, statement, value)).rowcount
        total += rows
        if rows == 0:
            return total


_FIND = "select id, slug from organizations where slug like %s order by created_at"

_CANCEL = "update events set status = 'cancelled' where organization_id = %s and status <> 'cancelled'"

# Unread as for the readers: by transaction, not by id (see infra/outbox/models.py). Inactive readers are ignored.
_LAG = f"""
select max(extract(epoch from clock_timestamp() - oldest.occurred_at)) from outbox_cursor r,
       lateral (select o.occurred_at from outbox o
                 where o.organization_id = %s and {UNREAD}
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

_WEBHOOKS = """
(provider, provider_ref) in (select provider, provider_ref from payments where organization_id = %s)"""

_RESPONSES = """
caller in (select 'user:' || id from users where email_normalized like %s)"""
