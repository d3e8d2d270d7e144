"""An order is made from a hold that still runs, and paid in the transaction in which its money arrives.

Locks are taken in one order everywhere that money moves: order, payment, reservation, allowance (of a purchase limit),
seats, places. Making an order comes the other way round, but the row that it adds is one that nobody else can wait for.
"""

from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.errors import Conflict, Invalid, NotFound
from ticketing.modules import events, iam, reservations
from ticketing.modules.orders.messages import OrderCancelled, OrderCreated, OrderExpired, OrderPaid, OrderRefunded
from ticketing.modules.orders.models import Order, OrderLine, OrderStatus
from ticketing.modules.orders.queries import find_order_of
from ticketing.modules.orders.references import new_reference
from ticketing.modules.orders.schemas import CreateOrder

#: One clash among 8.5e11 references is rare, five in a row are a fault of ours.
REFERENCE_TRIES_MAX = 5

#: The buyer has, or had, what they paid for.
SETTLED = frozenset({OrderStatus.PAID, OrderStatus.PARTIALLY_REFUNDED, OrderStatus.REFUNDED})

_log = log.get_logger(__name__)


class HoldHasEnded(Conflict):
    """The time to buy these seats is over; they are free for everybody again."""

    code = "reservation_expired"


class AlreadyOrdered(Conflict):
    """There is an order for this reservation already."""

    code = "already_ordered"


class PromoCodeUnknown(Invalid):
    """This code is not valid for this event."""


async def create_order(session: AsyncSession, user_id: UUID, wanted: CreateOrder) -> Order:
    """Turn the caller's running hold into an order; one that costs nothing is paid at once.

    Raises:
        NotFound: the reservation is unknown, or somebody else's.
        AlreadyOrdered, HoldHasEnded, PromoCodeUnknown, events.EventNotOnSale.
        reservations.LimitExceeded: the address that the order names has too many places already; the hold stays.
    """
    reservation = await reservations.lock_own(session, wanted.reservation_id, user_id)
    if existing := await find_order_of(session, reservation):
        raise AlreadyOrdered(order_id=existing.id)
    await _check_running(session, reservation)
    event = await _check_open(session, reservation.event_id)
    if wanted.promo_code is not None:
        raise PromoCodeUnknown(field="promo_code")
    if event.max_per_buyer is not None:
        await _check_address(session, reservation, iam.normalize_email(wanted.buyer.email), event.max_per_buyer)
    order = await _insert_order(session, reservation, wanted)
    await _insert_lines(session, order, reservation)
    outbox.publish(session, OrderCreated.of(order))
    if order.total_minor == 0 and not await pay_order(session, order.id):
        raise HoldHasEnded
    return order


async def _check_address(session: AsyncSession, reservation: reservations.Reservation, email: str, limit: int) -> None:
    """Raises reservations.LimitExceeded when orders to this mailbox, whoever made them, leave too little for this one.

    The buyer's own account was asked at the hold. Without this, one person could buy under many borrowed accounts.
    """
    identity = await reservations.lock_address(session, reservation.event_id, email)
    theirs = select(Order.reservation_id).where(
        Order.organization_id == reservation.organization_id,
        Order.event_id == reservation.event_id,
        Order.buyer_identity == identity,
        Order.status.in_({OrderStatus.PENDING, *SETTLED}),
    )
    where = (session, reservation.organization_id)
    had = await reservations.count_places(*where, list(await session.scalars(theirs)))
    wanted = await reservations.count_places(*where, [reservation.id])
    reservations.check_limit(limit, had, wanted, "buyer.email")


async def _check_running(session: AsyncSession, reservation: reservations.Reservation) -> None:
    """Raises HoldHasEnded unless the hold runs at this moment, by the database's clock."""
    now = await session.scalar(select(func.now()))
    assert now is not None  # noqa: S101 (narrowing for the type checker)
    if reservation.status != reservations.ReservationStatus.ACTIVE or reservation.expires_at < now:
        raise HoldHasEnded


async def check_payable(session: AsyncSession, order: Order) -> None:
    """Raises HoldHasEnded or events.EventNotOnSale unless money for this order would find its seats at this moment."""
    if order.status != OrderStatus.PENDING:
        raise HoldHasEnded
    await _check_running(session, await reservations.get_reservation(session, order.reservation_id))
    await _check_open(session, order.event_id)


async def _check_open(session: AsyncSession, event_id: UUID) -> events.Event:
    # The sale window is not asked: who has a hold may finish, also when the sale ends meanwhile.
    event = await events.get_event(session, event_id)
    if event.status != events.EventStatus.PUBLISHED:
        raise events.EventNotOnSale(f"This event is {event.status}.")
    return event


async def _insert_order(session: AsyncSession, reservation: reservations.Reservation, wanted: CreateOrder) -> Order:
    values = {
        "organization_id": reservation.organization_id,
        "event_id": reservation.event_id,
        "reservation_id": reservation.id,
        "user_id": reservation.user_id,
        "buyer_email": iam.normalize_email(wanted.buyer.email),
        "buyer_name": wanted.buyer.name,
        "total_minor": reservation.total_minor,
        "currency": reservation.currency,
    }
    for _ in range(REFERENCE_TRIES_MAX):
        row = upsert(Order).values(**values, reference=new_reference())
        # ON CONFLICT and not an exception: a unique violation would take the whole transaction with it.
        row = row.on_conflict_do_nothing(index_elements=["reference"])
        order: Order | None = await session.scalar(row.returning(Order))
        if order is not None:
            return order
    raise RuntimeError("no free order reference was found")


async def _insert_lines(session: AsyncSession, order: Order, reservation: reservations.Reservation) -> None:
    names = {t.id: t.name for t in await events.list_ticket_types(session, order.event_id)}
    rows = [
        {
            "organization_id": order.organization_id,
            "order_id": order.id,
            "position": item.position,
            "seat_number": item.seat_number,
            "seat_label": item.seat_label,
            "ticket_type_id": item.ticket_type_id,
            "name": names[item.ticket_type_id],
            "quantity": item.quantity,
            "price_minor": item.price_minor,
        }
        for item in await reservations.list_items(session, reservation)
    ]
    await session.execute(insert(OrderLine), rows)


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


async def pay_order(session: AsyncSession, order_id: UUID) -> bool:
    """Its money is here: sell the seats to it, also after the hold ran out if they are still free.

    Answers False when the seats are gone or the event is off: the money has to go back, and a pending order is closed.
    Paying twice is paying once.
    """
    order = await lock_order(session, order_id)
    if order.status in SETTLED:
        return True
    event = await events.get_event(session, order.event_id)
    if event.status != events.EventStatus.PUBLISHED:
        await _close(session, order, OrderStatus.CANCELLED)
        return False
    if not await reservations.confirm(session, order.reservation_id):
        await _close(session, order, OrderStatus.EXPIRED)
        return False
    await _set(session, order, status=OrderStatus.PAID, paid_at=func.now())
    outbox.publish(session, OrderPaid.of(order))
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


async def _close(session: AsyncSession, order: Order, status: OrderStatus) -> None:
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


async def _set(session: AsyncSession, order: Order, **values: object) -> None:
    changed = update(Order).where(Order.id == order.id).values(**values).returning(Order)
    await session.scalar(changed, execution_options={"populate_existing": True})
