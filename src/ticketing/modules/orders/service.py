"""Status changes of orders: paid in the transaction in which the payment arrives, or closed together with the hold.

**Lock order** of the whole platform. Every transaction that waits for row locks takes them in this order:

1. the event, for changes by staff;
2. orders, by id;
3. tickets, by id;
4. payments, then refunds;
5. reservations, by id; then the allowance of a purchase limit;
6. seats, by organization, event and number;
7. places (the counters of ticket types), by organization and id, whatever their events;
8. an organization's row, then a user's row, then the rows of that user (sessions, links, second factor);
9. quotas (advisory locks), in the order of `organizations.Quota`, after the rows that they count were inserted.

Rows of one kind are locked in one statement, before the first of them is changed. A transaction that needs a lock out
of order takes it with SKIP LOCKED, or tries it: a batch of holds does so with seats, allowances and lapsed
reservations, jobs with the rows that they clean. A batch waits for nothing but places, and before them for the right to
choose an event's best seats, which only batches take. Consumers that process several messages in one transaction lock
their orders in the order of the log; after a deadlock they process the same messages one by one.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.errors import Conflict, NotFound
from ticketing.modules import events, reservations
from ticketing.modules.orders.locked_order import LockedOrder
from ticketing.modules.orders.messages import (
    OrderCancelled,
    OrderExpired,
    OrderPaid,
    OrderRefunded,
    OrderRefundReversed,
)
from ticketing.modules.orders.models import Order, OrderStatus
from ticketing.modules.orders.queries import find_order_of
from ticketing.modules.orders.sale_checks import EventOfSale, Unsold, find_refusal, query_event


class HoldHasEnded(Conflict):
    """The time to buy these seats is over; they are available to other buyers again."""

    code = "reservation_expired"


# Lateral queries are looked up one after the other by their keys, whatever the planner knows about the tables.
_SELECT_PAYABLE = """
select w.id::uuid, o.is_pending and r.is_running, e.status
  from json_array_elements_text(%s::json) as w (id)
 cross join lateral (select reservation_id, event_id, status = 'pending' as is_pending
                       from orders where id = w.id::uuid offset 0) as o
 cross join lateral (select status = 'active' and expires_at >= now() as is_running
                       from reservations where id = o.reservation_id offset 0) as r
 cross join lateral (select status from events where id = o.event_id offset 0) as e"""


class Payable(NamedTuple):
    """Whether a payment arriving now would find an order's seats held."""

    is_held: bool
    event_status: str

    def check(self) -> None:
        """Raises HoldHasEnded or events.EventNotOnSale."""
        if not self.is_held:
            raise HoldHasEnded
        check_open(self.event_status)


async def query_payable(connection: DriverConnection, order_ids: Collection[UUID]) -> PendingQuery[dict[UUID, Payable]]:
    """Check whether orders can be paid. Sent in the round trip that locks them."""
    return PendingQuery(_payable, await send(connection, _SELECT_PAYABLE, rows(list(order_ids))))


def _payable(found: Iterable[tuple[Any, ...]]) -> dict[UUID, Payable]:
    return {order_id: Payable(*state) for order_id, *state in found}


def check_open(event_status: str) -> None:
    """Raise events.EventNotOnSale unless the event is published.

    The sale window is not checked: a buyer with a hold may finish the purchase after sales have ended.
    """
    if event_status != events.EventStatus.PUBLISHED:
        raise events.EventNotOnSale(f"This event is {event_status}.")


async def lock_order(session: AsyncSession, order_id: UUID) -> Order:
    """Return the order, freshly read and locked until the transaction ends. This lock serializes payments and refunds.

    Raises NotFound.
    """
    query = select(Order).where(Order.id == order_id).with_for_update()
    order = await session.scalar(query.execution_options(populate_existing=True))
    if order is None:
        raise NotFound
    return order


class PendingSale(NamedTuple):
    """The locked hold of an order with its items, and the event: what the sale depends on."""

    hold: PendingQuery[tuple[reservations.HoldRow, list[reservations.HeldItem]]]
    event: PendingQuery[EventOfSale]


async def lock_sale(connection: DriverConnection, which: str, *values: object) -> PendingSale:
    """Lock the hold of an order that is locked already. For `which` see `lock_order_row`."""
    held_for = f"(select reservation_id from orders where id = {which})"  # noqa: S608 (a constant of the caller)
    hold = await reservations.lock_hold(connection, held_for, *values)
    return PendingSale(hold, await query_event(connection, which, *values))


_MARK_PAID = "update orders set status = 'paid', paid_at = now() where id = %s"


async def pay_order(
    session: AsyncSession, order: Order | LockedOrder, sale: PendingSale, write_payment: statements.Write
) -> Unsold | None:
    """Sell the held seats to an order whose payment has arrived, even after the hold expired if they are still free.

    The caller has locked the order. `write_payment` is executed together with the sale. Returns why nothing was sold
    (see `sale_checks`): a pending order is closed then, and the caller must return the payment.
    """
    hold, items = await sale.hold.fetch()
    refusal = await find_refusal(session, order.id, hold, items, await sale.event.fetch())

    async def write_sale(connection: DriverConnection) -> None:
        await send(connection, _MARK_PAID, order.id)
        outbox.publish(session, OrderPaid.of(order))
        await write_payment(connection)

    if refusal is None:
        if await reservations.confirm(session, hold, items, write_sale):
            return None
        refusal = Unsold.SEATS_GONE
    is_cancelled = refusal in {Unsold.EVENT_OFF, Unsold.GIVEN_BACK}
    await _close(session, order, OrderStatus.CANCELLED if is_cancelled else OrderStatus.EXPIRED)
    return refusal


async def expire_order(session: AsyncSession, message: reservations.ReservationExpired) -> None:
    """Close the pending order of an expired hold. An order that has been paid meanwhile stays paid."""
    await _close_order_of(session, message.reservation_id, OrderStatus.EXPIRED)


async def cancel_order(session: AsyncSession, message: reservations.ReservationCancelled) -> None:
    """Close the pending order of a hold that its buyer released."""
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


async def record_refund(session: AsyncSession, order_id: UUID, amount_minor: int) -> Order:
    """Add a completed refund to the order. `amount_minor` is in minor units of the order's currency."""
    order = await lock_order(session, order_id)
    refunded = order.refunded_minor + amount_minor
    status = OrderStatus.REFUNDED if refunded == order.total_minor else OrderStatus.PARTIALLY_REFUNDED
    await _set(session, order, refunded_minor=refunded, status=status)
    outbox.publish(session, OrderRefunded.of(order, amount_minor=amount_minor))
    return order


async def reverse_refund(session: AsyncSession, order_id: UUID, amount_minor: int) -> Order:
    """Subtract a refund whose money came back. `amount_minor` is in minor units of the order's currency."""
    order = await lock_order(session, order_id)
    refunded = order.refunded_minor - amount_minor
    status = OrderStatus.PARTIALLY_REFUNDED if refunded else OrderStatus.PAID
    await _set(session, order, refunded_minor=refunded, status=status)
    outbox.publish(session, OrderRefundReversed.of(order, amount_minor=amount_minor))
    return order


async def _set(session: AsyncSession, order: Order | LockedOrder, **values: object) -> None:
    changed = update(Order).where(Order.id == order.id).values(**values).returning(Order)
    await session.scalar(changed, execution_options={"populate_existing": True})
