"""An order is paid in the transaction in which its money arrives, and ends with its hold when none comes.

Locks are taken in one order everywhere that money moves: order, payment, reservation, allowance (of a purchase limit),
seats, places.
"""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import Cursor, DriverConnection, send
from ticketing.infra.errors import Conflict, NotFound
from ticketing.modules import events, reservations
from ticketing.modules.orders.locked_order import LockedOrder
from ticketing.modules.orders.messages import OrderCancelled, OrderExpired, OrderPaid, OrderRefunded
from ticketing.modules.orders.models import Order, OrderStatus
from ticketing.modules.orders.queries import find_order_of

#: The buyer has, or had, what they paid for.
SETTLED = frozenset({OrderStatus.PAID, OrderStatus.PARTIALLY_REFUNDED, OrderStatus.REFUNDED})


class HoldHasEnded(Conflict):
    """The time to buy these seats is over; they are free for everybody again."""

    code = "reservation_expired"


async def ask_payable(connection: DriverConnection, order_id: UUID) -> Cursor:
    """What `check_payable` judges by, in the round trip that locks the order."""
    return await send(connection, _PAYABLE, order_id)


async def check_payable(answer: Cursor) -> None:
    """Raises HoldHasEnded or events.EventNotOnSale unless money for the order would find its seats at this moment."""
    (is_payable, event_status) = (await answer.fetchall())[0]
    if not is_payable:
        raise HoldHasEnded
    check_open(event_status)


def check_open(event_status: str) -> None:
    """Raises events.EventNotOnSale unless the event takes place as announced.

    The sale window is not asked: who has a hold may finish, also when the sale ends meanwhile.
    """
    if event_status != events.EventStatus.PUBLISHED:
        raise events.EventNotOnSale(f"This event is {event_status}.")


async def lock_order(session: AsyncSession, order_id: UUID) -> Order:
    """The order, fresh and locked until the transaction ends: everything that its money does waits in this line.

    Raises:
        NotFound: there is no such order.
    """
    query = select(Order).where(Order.id == order_id).with_for_update()
    order = await session.scalar(query.execution_options(populate_existing=True))
    if order is None:
        raise NotFound
    return order


class Deal:
    """What a sale to an order depends on: its hold, locked, and whether the event takes place."""

    def __init__(self, hold: reservations.LockedHold, event_status: Cursor) -> None:
        self._hold, self._event_status = hold, event_status

    @classmethod
    async def ask(cls, connection: DriverConnection, which: str, *values: object) -> "Deal":
        """Of the order that `which` means, locked before; see `LockedOrder.ask`."""
        held_for = f"(select reservation_id from orders where id = {which})"  # noqa: S608 (a constant of the caller's)
        hold = await reservations.LockedHold.ask(connection, held_for, *values)
        return cls(hold, await send(connection, f"{_EVENT_STATUS} where o.id = {which}", *values))

    async def read(self) -> tuple[reservations.HoldRow, list[reservations.HeldItem], str]:
        """The hold, what it has, and the event's status."""
        (event_status,) = (await self._event_status.fetchall())[0]
        return *await self._hold.read(), event_status


async def pay_order(session: AsyncSession, order: Order | LockedOrder, deal: Deal, then: statements.Write) -> bool:
    """Its money is here: sell the seats to it, also after the hold ran out if they are still free.

    The caller has locked the order; `then` writes what follows from the sale. Answers False when the seats are gone or
    the event is off: the money has to go back, and a pending order is closed.
    """
    hold, items, event_status = await deal.read()
    if event_status != events.EventStatus.PUBLISHED:
        await _close(session, order, OrderStatus.CANCELLED)
        return False

    async def note(connection: DriverConnection) -> None:
        await send(connection, _PAY, order.id)
        outbox.publish(session, OrderPaid.of(order))
        await then(connection)

    if not await reservations.confirm(session, hold, items, note):
        await _close(session, order, OrderStatus.EXPIRED)
        return False
    return True


async def expire_order(session: AsyncSession, message: reservations.ReservationExpired) -> None:
    """A hold has run out, and a pending order ends with it. One that was paid meanwhile stays paid."""
    await _close_order_of(session, message.reservation_id, OrderStatus.EXPIRED)


async def cancel_order(session: AsyncSession, message: reservations.ReservationCancelled) -> None:
    """The buyer has let the hold go, and a pending order ends with it."""
    await _close_order_of(session, message.reservation_id, OrderStatus.CANCELLED)


async def _close_order_of(session: AsyncSession, reservation_id: UUID, status: OrderStatus) -> None:
    found = await find_order_of(session, await reservations.get_reservation(session, reservation_id))
    if found is not None:
        await _close(session, await lock_order(session, found.id), status)


async def _close(session: AsyncSession, order: Order | LockedOrder, status: OrderStatus) -> None:
    if order.status != OrderStatus.PENDING:
        return
    await _set(session, order, status=status)
    outbox.publish(session, (OrderExpired if status == OrderStatus.EXPIRED else OrderCancelled).of(order))


async def note_refund(session: AsyncSession, order_id: UUID, amount_minor: int) -> Order:
    """So much more of what paid this order has gone back; `amount_minor` is in minor units of its currency."""
    order = await lock_order(session, order_id)
    refunded = order.refunded_minor + amount_minor
    status = OrderStatus.REFUNDED if refunded == order.total_minor else OrderStatus.PARTIALLY_REFUNDED
    await _set(session, order, refunded_minor=refunded, status=status)
    outbox.publish(session, OrderRefunded.of(order, amount_minor=amount_minor))
    return order


async def _set(session: AsyncSession, order: Order | LockedOrder, **values: object) -> None:
    changed = update(Order).where(Order.id == order.id).values(**values).returning(Order)
    await session.scalar(changed, execution_options={"populate_existing": True})


_PAYABLE = """
select o.status = 'pending' and r.status = 'active' and r.expires_at >= now(), e.status
  from orders o
  join reservations r on r.id = o.reservation_id
  join events e on e.id = o.event_id
 where o.id = %s"""
_EVENT_STATUS = "select e.status from orders o join events e on e.id = o.event_id"
_PAY = "update orders set status = 'paid', paid_at = now() where id = %s"
