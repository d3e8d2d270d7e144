"""Which rows a transaction may touch. Row-level security reads it from settings that end with the transaction.

Without a setting there are no rows. `enter` comes after the caller's right has been established (a membership, a key,
the caller's own order, an event on sale), never before: from then on the transaction reads and writes the rows of that
organization, and of no other.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Uuid, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.pipeline import DriverConnection, Statements, send

_ORGANIZATION, _SHOWN, _CALLER = "app.organization_id", "app.shown_organizations", "app.user_id"

#: Names the caller, so that the transaction sees the caller's own rows. Sent first (see `PersonalSession`).
SET_CALLER = f"select set_config('{_CALLER}', %s, true)"


async def enter(session: AsyncSession, organization_id: UUID) -> None:
    """Read and write the rows of this organization until the end of the transaction."""
    await session.execute(select(func.set_config(_ORGANIZATION, str(organization_id), True)))


_ENTER = f"select set_config('{_ORGANIZATION}', %s, true)"
_ENTER_AND_LIMIT = f"{_ENTER}, set_config('lock_timeout', %s, true)"
#: As SET_CALLER, with '' for none, in a transaction that only reads. The requests of a batch share the transaction (see
#: reads/batches.py), so the rows that the previous one could see are hidden again.
BEGIN_READS = f"""
select set_config('{_CALLER}', %s, true), set_config('{_ORGANIZATION}', '', true), set_config('{_SHOWN}', '', true),
       set_config('transaction_read_only', 'on', true)"""


async def enter_on(connection: DriverConnection, organization_id: UUID, lock_seconds: float | None = None) -> None:
    """Send `enter` in a round trip. `lock_seconds`: how long each statement of the transaction may wait for a lock."""
    if lock_seconds is None:
        await send(connection, _ENTER, str(organization_id))
    else:
        await send(connection, _ENTER_AND_LIMIT, str(organization_id), f"{int(lock_seconds * 1000)}ms")


async def enter_owner_of(connection: DriverConnection, rows: str, *values: object) -> None:
    """Send `enter` for the organization that owns the row that is found; does nothing without one.

    `rows` is the text after FROM, with a `%s` for each value. It has to restrict whose row it may be.
    """
    query = f"select set_config('{_ORGANIZATION}', organization_id::text, true) from {rows}"  # noqa: S608 (constants)
    await send(connection, query, *values)


async def enter_by(session: AsyncSession, look_up: str, *secrets: str) -> UUID | None:
    """Enter the organization that a database function finds by these secrets; None when there is none.

    The functions are the migration's `organization_of_…`: the only queries that cross tenants.
    """
    organization_id: UUID | None = await session.scalar(select(getattr(func, look_up)(*secrets, type_=Uuid)))
    if organization_id is not None:
        await enter(session, organization_id)
    return organization_id


async def show(session: AsyncSession, organization_ids: Collection[UUID]) -> None:
    """Read the public rows of these organizations (seats, prices, plans) until the end of the transaction."""
    await session.execute(select(func.set_config(_SHOWN, _array(organization_ids), True)))


_SHOW = f"select set_config('{_SHOWN}', %s, true)"


async def show_on(connection: Statements, organization_ids: Collection[UUID]) -> None:
    """Send `show` in a round trip."""
    await send(connection, _SHOW, _array(organization_ids))


async def show_owners_of(connection: Statements, rows: str, *values: object) -> None:
    """Send `show` for the organizations that own the rows that are found; shows none without any.

    `rows` is the text after FROM, with a `%s` for each value. Row-level security restricts it.
    """
    owners = f"select set_config('{_SHOWN}', coalesce(array_agg(distinct organization_id)::text, ''), true) from {rows}"  # noqa: S608 (constants)
    await send(connection, owners, *values)


def _array(ids: Collection[UUID]) -> str:
    return "{" + ",".join(sorted(map(str, ids))) + "}"
