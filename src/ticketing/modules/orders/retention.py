"""Retention of reservations: one with an order stays with its order, and one without is deleted after some days."""

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.modules import reservations

#: Reservations per transaction. Readers of the log wait for the oldest writing transaction.
CLEAN_ROWS = 1000

_ORDERED = """
select o.reservation_id from unnest(%s::uuid[], %s::uuid[]) as e (organization_id, id)
  join orders o on o.organization_id = e.organization_id and o.reservation_id = e.id"""


async def clean_reservations(session: AsyncSession, days: int) -> int:
    """Delete a batch of reservations that expired or were cancelled `days` ago, except those that have an order.

    Returns the number of reservations that were examined.
    """
    ended = await reservations.retention.lock_ended(session, days, CLEAN_ROWS)
    if not ended:
        return 0
    found = await statements.execute(session, _ORDERED, *map(list, zip(*ended, strict=True)))
    ordered = {reservation_id for (reservation_id,) in await found.fetchall()}
    await reservations.retention.keep(session, [hold for hold in ended if hold.id in ordered])
    await reservations.retention.delete_ended(session, [hold for hold in ended if hold.id not in ordered])
    return len(ended)
