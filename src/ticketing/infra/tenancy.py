"""Whose rows a transaction may touch: row-level security reads it from settings that end with the transaction.

Unset means no rows. `enter` comes after the right has been established (a membership, a key, an own order, an event on
sale), never before: from then on the transaction reads and writes that organization's rows, and no other's.
"""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def enter(session: AsyncSession, organization_id: UUID) -> None:
    """From here to the end of the transaction: this organization's rows, to read and to write."""
    await session.execute(select(func.set_config("app.organization_id", str(organization_id), True)))
