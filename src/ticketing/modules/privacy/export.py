"""A user's data as one JSON document, spooled first, so that a slow client does not hold a database connection."""

from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database, tenancy, transaction_time
from ticketing.infra.db.personal_data import Part, Rows
from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.infra.formats.times import rfc3339
from ticketing.modules import organizations, reservations, tickets
from ticketing.modules.privacy.inventory import PARTS

#: Rows fetched at a time, bytes in memory before the spool moves to disk, and bytes per chunk sent.
PAGE_ROWS, SPOOL_BYTES, CHUNK_BYTES = 500, 1024 * 1024, 64 * 1024

Spool = SpooledTemporaryFile[bytes]


async def write_export(database: Database, user_id: UUID) -> Spool:
    """Write all data of a user to a spool, which the caller closes.

    One repeatable-read snapshot, so that an order is exported together with its payment.
    """
    spool: Spool = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 (read while the response is sent)
    try:
        async with database.transaction(user_id) as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            await _write(session, spool, user_id)
    except BaseException:
        spool.close()
        raise
    return spool


async def read_spool(spool: Spool) -> AsyncIterator[bytes]:
    """Yield the document in chunks, then delete the spool."""
    with spool:
        spool.seek(0)
        while chunk := spool.read(CHUNK_BYTES):
            yield chunk


async def _write(session: AsyncSession, spool: Spool, user_id: UUID) -> None:
    await allow_long_statements(session)
    # All rows are fetched: a plan that is fast for the first tenth would read other people's rows in order of id.
    await session.execute(select(func.set_config("cursor_tuple_fraction", "1", True)))
    now = await transaction_time(session)
    tenants = await _list_tenants(session, user_id)
    spool.write(b'{"exported_at":' + orjson.dumps(rfc3339(now)))
    for part in PARTS:
        spool.write(b"," + orjson.dumps(part.name) + b":[")
        comma = b""
        async for row in _rows(session, part, user_id, tenants):
            spool.write(comma + orjson.dumps(row))
            comma = b","
        spool.write(b"]")
    spool.write(b"}")


async def _list_tenants(session: AsyncSession, user_id: UUID) -> list[UUID]:
    """Return the tenants where this user is or was a member, has bought, or holds a ticket."""
    found = await organizations.personal_data.list_workplaces(session)
    found |= await reservations.personal_data.list_organizations(session, user_id)
    found |= await tickets.personal_data.list_organizations_of_holder(session, user_id)
    return sorted(found)


async def _rows(session: AsyncSession, part: Part, user_id: UUID, tenants: list[UUID]) -> AsyncIterator[dict[str, Any]]:
    query = part.rows(user_id)
    if part.tenant is None:
        async for row in _stream(session, query):
            yield row
        return
    for organization_id in tenants:
        # One tenant at a time: row-level security does not show several at once.
        await tenancy.enter(session, organization_id)
        async for row in _stream(session, query.where(part.tenant == organization_id)):
            yield row


async def _stream(session: AsyncSession, query: Rows) -> AsyncIterator[dict[str, Any]]:
    rows = await session.stream(query.execution_options(yield_per=PAGE_ROWS))
    async for row in rows.mappings():
        yield dict(row)
