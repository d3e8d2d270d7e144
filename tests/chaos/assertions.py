"""What has to be true after every round: each word that a buyer was given, and all that `ticketing check` knows."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from tests.chaos.load.buyers import Purchase
from tests.chaos.load.viewers import Watcher
from tests.chaos.platform import Ground
from ticketing import invariants

#: Viewers may be so late, once everything is well again.
VIEW_SECONDS = 2.0
#: Whoever has no ticket by then has lost it; how soon they come again is what the recovery time says.
TICKET_SECONDS = 60.0
#: The sweep comes every second; what ran out so long ago and was not swept has been forgotten.
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
_TOLD_TWICE = """
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


async def until_tickets(ground: Ground, purchases: Sequence[Purchase]) -> list[str]:
    """Wait until whoever has paid has a ticket, one; those who have none in time, or more than one."""
    paid = [purchase.order_id for purchase in purchases if purchase.is_paid]
    end = time.monotonic() + TICKET_SECONDS
    while True:
        issued = Counter(order_id for order_id, _ in await ground.query(_TICKETS, paid))
        wrong = [f"order {order_id} has {issued[order_id]} tickets" for order_id in paid if issued[order_id] != 1]
        if not wrong or time.monotonic() > end:
            return wrong[:5]
        await asyncio.sleep(0.05)


async def words_kept(ground: Ground, purchases: Sequence[Purchase]) -> list[str]:
    """Every acknowledged hold, order and payment is in the database, and no seat was promised to two."""
    wrong = []
    told = {
        "hold": (_RESERVATIONS, [one.reservation_id for one in purchases]),
        "order": (_ORDERS, [one.order_id for one in purchases if one.order_id]),
        "payment": (_PAID, [one.order_id for one in purchases if one.is_paid]),
    }
    for what, (query, ids) in told.items():
        found = {row[0] for row in await ground.query(query, ids)}
        wrong += [f"acknowledged {what} lost: {one}" for one in ids if one not in found]
    seats = Counter((one.show.id, one.seat) for one in purchases)
    return wrong + [f"{seat} was sold {count} times" for (_, seat), count in seats.items() if count > 1]


async def effects_once(ground: Ground) -> list[str]:
    """No fact twice, no effect missing, nothing left that has run out."""
    wrong = [f"seat sold twice: {row}" for row in await ground.query(_SOLD_TWICE)]
    wrong += [f"told twice: {row}" for row in await ground.query(_TOLD_TWICE)]
    end = time.monotonic() + TICKET_SECONDS
    while (late := await _unsettled(ground)) and time.monotonic() < end:  # noqa: ASYNC110 (a database can't wake us)
        await asyncio.sleep(0.1)
    return wrong + late


async def _unsettled(ground: Ground) -> list[str]:
    late = [f"no effect: {row[0]}" for row in await ground.query(_WITHOUT_EFFECT)]
    return late + [f"not swept: {row[0]}" for row in await ground.query(_NOT_SWEPT, SWEPT_SECONDS)]


async def viewers_right(
    ground: Ground, watchers: Sequence[Watcher], event_id: str, bound_seconds: float
) -> tuple[float, list[str]]:
    """The seconds until every viewer saw what is true, and who did not in time."""
    began = time.monotonic()
    while True:
        true = (await ground.query(_MAP, event_id))[0][0]
        seconds = time.monotonic() - began
        wrong = [number for number, watcher in enumerate(watchers) if watcher.seats != true]
        if not wrong:
            return seconds, [f"viewers were right after {seconds:.1f} s"] if seconds > bound_seconds else []
        if seconds > 5 * bound_seconds:
            return seconds, [f"viewer {number} is wrong after {seconds:.0f} s" for number in wrong]
        await asyncio.sleep(0.05)


async def contradictions(ground: Ground) -> list[str]:
    """`ticketing check`."""
    engine = create_async_engine(
        ground.database_url().replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool
    )
    try:
        async with AsyncSession(engine) as session:
            verdicts = await invariants.check(session)
    finally:
        await engine.dispose()
    return [f"{one.invariant.name}: {one.count}, such as {one.named[:2]}" for one in verdicts if one.count]
