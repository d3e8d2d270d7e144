"""Whose rows a transaction may touch: row-level security reads it from settings that end with the transaction.

Unset means no rows. `enter` comes after the right has been established (a membership, a key, an own order, an event on
sale), never before: from then on the transaction reads and writes that organization's rows, and no other's.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Uuid, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.pipeline import Wire, send

_ORGANIZATION, _SHOWN, _PERSON = "app.organization_id", "app.shown_organizations", "app.user_id"
_ENTER = f"select set_config('{_ORGANIZATION}', %s, true), set_config('lock_timeout', %s, true)"

#: Who calls: a person sees their own rows. A transaction begins with it (see db.py).
NAMING = f"select set_config('{_PERSON}', %s, true)"
_SHOW = f"select set_config('{_SHOWN}', %s, true)"


async def enter(session: AsyncSession, organization_id: UUID) -> None:
    """From here to the end of the transaction: this organization's rows, to read and to write."""
    await session.execute(select(func.set_config(_ORGANIZATION, str(organization_id), True)))


async def enter_wire(wire: Wire, organization_id: UUID, lock_seconds: float) -> None:
    """`enter` for a batch, which also waits no longer than this for a lock of somebody else's."""
    await send(wire, _ENTER, str(organization_id), f"{int(lock_seconds * 1000)}ms")


async def enter_where(wire: Wire, rows: str, *values: object) -> None:
    """`enter` on the way, as the organization of the row that is found; nothing without one.

    `rows` is what follows FROM, with a `%s` for each value; it has to say whose row it may be.
    """
    query = f"select set_config('{_ORGANIZATION}', organization_id::text, true) from {rows}"  # noqa: S608 (constants)
    await send(wire, query, *values)


async def show(session: AsyncSession, organization_ids: Collection[UUID]) -> None:
    """From here to the end of the transaction: what these organizations show to everybody, to read."""
    await session.execute(select(func.set_config(_SHOWN, _listed(organization_ids), True)))


async def show_wire(wire: Wire, organization_ids: Collection[UUID]) -> None:
    """`show` among other statements of a round trip."""
    await send(wire, _SHOW, _listed(organization_ids))


def _listed(ids: Collection[UUID]) -> str:
    return "{" + ",".join(sorted(map(str, ids))) + "}"


async def enter_by(session: AsyncSession, look_up: str, *secrets: str) -> UUID | None:
    """Enter the organization that a database function names for these secrets; None, and nothing, when there is none.

    The functions are those of the migration, `organization_of_…`: the only questions that cross tenants.
    """
    organization_id: UUID | None = await session.scalar(select(getattr(func, look_up)(*secrets, type_=Uuid)))
    if organization_id is not None:
        await enter(session, organization_id)
    return organization_id
