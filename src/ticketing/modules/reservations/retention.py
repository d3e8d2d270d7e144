"""Retention of reservations that expired or were cancelled: found in batches, and then kept or deleted."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements


class EndedHold(NamedTuple):
    """A reservation that expired or was cancelled, and is locked until the transaction ends."""

    organization_id: UUID
    id: UUID


# Rows that another transaction has locked are left to the next call.
_LOCK_ENDED = """
select organization_id, id from reservations
 where status in ('expired', 'cancelled') and not is_kept and ended_at < now() - make_interval(days => %s)
 order by ended_at limit %s for update skip locked"""
_KEEP = "update reservations set is_kept = true where id = any(%s::uuid[])"
_DELETE_ITEMS = """
delete from reservation_items i using unnest(%s::uuid[], %s::uuid[]) as e (organization_id, id)
 where i.organization_id = e.organization_id and i.reservation_id = e.id"""
_DELETE = "delete from reservations where id = any(%s::uuid[])"


async def lock_ended(session: AsyncSession, days: int, limit: int) -> Sequence[EndedHold]:
    """Lock reservations that ended `days` ago, longest ended first, except those that `keep` was called for."""
    found = await statements.execute(session, _LOCK_ENDED, days, limit)
    return [EndedHold(*row) for row in await found.fetchall()]


async def keep(session: AsyncSession, holds: Collection[EndedHold]) -> None:
    """Exempt these reservations from later calls of `lock_ended`."""
    if holds:
        await statements.execute(session, _KEEP, [hold.id for hold in holds])


async def delete_ended(session: AsyncSession, holds: Collection[EndedHold]) -> None:
    """Delete these reservations and their items."""
    if holds:
        ids = [hold.id for hold in holds]
        await statements.execute(session, _DELETE_ITEMS, [hold.organization_id for hold in holds], ids)
        await statements.execute(session, _DELETE, ids)
