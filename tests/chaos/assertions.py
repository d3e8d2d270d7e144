"""What must hold after every round: every acknowledged request, and all invariants of `ticketing check`."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from tests.chaos.load.buyers import Purchase
from tests.chaos.load.viewers import Viewer
from tests.chaos.platform import Platform
from ticketing import invariants

#: How late a viewer may be after recovery.
VIEW_SECONDS = 2.0
#: A ticket that is missing after this counts as lost. How soon tickets are issued again is part of the recovery time.
TICKET_SECONDS = 60.0
#: The sweep runs every second; a hold that lapsed this long ago and was not swept counts as forgotten.
SWEPT_SECONDS = 5.0

_RESERVATIONS = "select id::text from reservations where id = any(%s::uuid[])"
_ORDERS = "select id::text from orders where id = any(%s::uuid[])"
_PAID = (
    "select id::text from orders where id = any(%s::uuid[]) and status in ('paid', 'partially_refunded', 'refunded')"
)
_TICKETS = "select order_id::text, seat_number from tickets where order_id = any(%s::uuid[])"
_SOLD_TWICE = """
select event_id, seat_number from tickets where seat_number is not null and status <> 'voided'
 group by event_id, seat_number having count(*) > 1"""
_PUBLISHED_TWICE = """
select topic, key from outbox where topic in ('order.paid', 'tickets.issued', 'reservation.confirmed')
 group by topic, key having count(*) > 1"""
_WITHOUT_EFFECT = """
select o.message_id::text from outbox o left join inbox i on i.consumer = 'tickets' and i.message_id = o.message_id
 where o.topic = 'order.paid' and i.message_id is null"""
_NOT_SWEPT = """
select id::text from reservations
 where status = 'active' and expires_at < now() - make_interval(secs => %s)"""
_MAP = """
select coalesce(string_agg(letter, '' order by number), '')
  from (select number, case when status = 'h' and held_until <= now() then 'a' else status end as letter
          from event_seats where event_id = %s) s"""


async def each_paid_order_has_one_ticket(platform: Platform, purchases: Sequence[Purchase]) -> list[str]:
    """Wait until every paid order has exactly one ticket; returns the orders that do not in time."""
    paid = [purchase.order_id for purchase in purchases if purchase.is_paid]
    end = time.monotonic() + TICKET_SECONDS
    while True:
        issued = Counter(order_id for order_id, _ in await platform.query(_TICKETS, paid))
        wrong = [f"order {order_id} has {issued[order_id]} tickets" for order_id in paid if issued[order_id] != 1]
        if not wrong or time.monotonic() > end:
            return wrong[:5]
        await asyncio.sleep(0.05)


async def acknowledgements_kept(platform: Platform, purchases: Sequence[Purchase]) -> list[str]:
    """Every acknowledged hold, order and payment is in the database, and no seat was sold twice."""
    wrong = []
    acknowledged = {
        "hold": (_RESERVATIONS, [one.reservation_id for one in purchases]),
        "order": (_ORDERS, [one.order_id for one in purchases if one.order_id]),
        "payment": (_PAID, [one.order_id for one in purchases if one.is_paid]),
    }
    for what, (query, ids) in acknowledged.items():
        found = {row[0] for row in await platform.query(query, ids)}
        wrong += [f"acknowledged {what} lost: {one}" for one in ids if one not in found]
    seats = Counter((one.show.id, one.seat) for one in purchases)
    return wrong + [f"{seat} was sold {count} times" for (_, seat), count in seats.items() if count > 1]


async def effects_once(platform: Platform) -> list[str]:
    """No message is published twice, no effect is missing, and every lapsed hold was swept."""
    wrong = [f"seat sold twice: {row}" for row in await platform.query(_SOLD_TWICE)]
    wrong += [f"published twice: {row}" for row in await platform.query(_PUBLISHED_TWICE)]
    end = time.monotonic() + TICKET_SECONDS
    while (late := await _unsettled(platform)) and time.monotonic() < end:  # noqa: ASYNC110 (polls a database)
        await asyncio.sleep(0.1)
    return wrong + late


async def _unsettled(platform: Platform) -> list[str]:
    late = [f"no effect: {row[0]}" for row in await platform.query(_WITHOUT_EFFECT)]
    return late + [f"not swept: {row[0]}" for row in await platform.query(_NOT_SWEPT, SWEPT_SECONDS)]


async def viewers_are_current(
    platform: Platform, viewers: Sequence[Viewer], event_id: str, bound_seconds: float
) -> tuple[float, list[str]]:
    """The seconds until every viewer showed the true seat map, and the viewers that did not in time."""
    began = time.monotonic()
    while True:
        true = (await platform.query(_MAP, event_id))[0][0]
        seconds = time.monotonic() - began
        wrong = [number for number, viewer in enumerate(viewers) if viewer.seats != true]
        if not wrong:
            return seconds, [f"viewers were current only after {seconds:.1f} s"] if seconds > bound_seconds else []
        if seconds > 5 * bound_seconds:
            return seconds, [f"viewer {number} shows an outdated map after {seconds:.0f} s" for number in wrong]
        await asyncio.sleep(0.05)


async def invariants_hold(platform: Platform) -> list[str]:
    """All invariants of `ticketing check`."""
    engine = create_async_engine(
        platform.database_url().replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool
    )
    try:
        async with AsyncSession(engine) as session:
            verdicts = await invariants.check(session)
    finally:
        await engine.dispose()
    return [f"{one.invariant.name}: {one.count}, such as {one.offenders[:2]}" for one in verdicts if one.count]
