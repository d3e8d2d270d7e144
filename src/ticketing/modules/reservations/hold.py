"""One hold in one transaction: take the seats and places, or nothing, and write down for whom and until when."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import idempotency, outbox
from ticketing.infra.db import new_id
from ticketing.infra.errors import Invalid, TicketingError
from ticketing.modules import events
from ticketing.modules.reservations.contents import facts
from ticketing.modules.reservations.expiry import expire_overtaken
from ticketing.modules.reservations.limits import Buyer, LimitExceeded, check_limit, identity_of, lock_allowances
from ticketing.modules.reservations.messages import ReservationCreated
from ticketing.modules.reservations.models import Reservation, ReservationItem


class SeatNotPriced(TicketingError):
    """This seat is not for sale: no ticket type prices its category."""

    status, code = 422, "seat_not_for_sale"


@dataclass(frozen=True, slots=True)
class BestAvailable:
    """So many seats together, as good as can be had."""

    quantity: int
    category: str | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Who wants what, and under which Idempotency-Key."""

    user_id: UUID
    key: str
    #: Hash of the request's body: the same key with another body is a mistake of the client's.
    fingerprint: idempotency.Fingerprint
    event_id: UUID
    seats: tuple[str, ...] = ()
    places: dict[UUID, int] = field(default_factory=dict)
    best_available: BestAvailable | None = None

    @property
    def quantity(self) -> int:
        best = self.best_available.quantity if self.best_available else 0
        return len(self.seats) + sum(self.places.values()) + best

    @property
    def seats_field(self) -> str:
        """Where the request says which seats: what a client would change to get others, or fewer."""
        return "seats" if self.best_available is None else "best_available.quantity"

    @property
    def quantity_field(self) -> str:
        """Where the request says how many it wants."""
        return self.seats_field if self.seats or self.best_available else "items"


async def hold(session: AsyncSession, request: HoldRequest) -> tuple[Reservation, list[ReservationItem]]:
    """Hold everything that the request names.

    Raises:
        NotFound, EventNotOnSale: there is nothing to hold.
        LimitExceeded: more than the event or the ticket type allows in one order, or to one person over all orders.
        SeatUnknown, SeatTaken, SeatContended, SoldOut: nothing of it was taken.
    """
    event = await events.get_event_on_sale(session, request.event_id)
    await _check_limits(session, event, request)
    now = await session.scalar(select(func.now()))
    assert now is not None  # noqa: S101 (narrowing for the type checker)
    reservation = Reservation(
        id=new_id(),
        organization_id=event.organization_id,
        event_id=event.id,
        user_id=request.user_id,
        buyer_identity=identity_of(event.id, request.user_id),
        currency=event.currency,
        expires_at=now + timedelta(seconds=event.hold_seconds),
        extensions=0,
    )
    items = [
        *await _take_seats(session, event, request, reservation),
        *await _take_places(session, event, request, reservation),
    ]
    for position, item in enumerate(items):
        item.position = position
    reservation.total_minor = sum(item.price_minor * item.quantity for item in items)
    session.add(reservation)
    # The items refer to the reservation by key only; the database wants the parent first.
    await session.flush()
    session.add_all(items)
    terms = {"total_minor": reservation.total_minor, "currency": reservation.currency}
    outbox.publish(session, ReservationCreated(**facts(reservation, items), **terms, expires_at=reservation.expires_at))
    return reservation, items


async def _check_limits(session: AsyncSession, event: events.Event, request: HoldRequest) -> None:
    limit, field = event.max_per_order, request.quantity_field
    if request.quantity > limit:
        raise LimitExceeded(f"One order may have at most {limit} tickets of this event.", field=field)
    if event.max_per_buyer is not None:
        buyer = Buyer(event.id, request.user_id)
        had = (await lock_allowances(session, event.organization_id, [buyer]))[buyer].places
        check_limit(event.max_per_buyer, had, request.quantity, field)


async def _take_seats(
    session: AsyncSession, event: events.Event, request: HoldRequest, reservation: Reservation
) -> list[ReservationItem]:
    labels = list(request.seats)
    if (best := request.best_available) is not None:
        labels = await events.find_best_available(session, event, best.quantity, best.category, best.section)
    if not labels:
        return []
    taken = await events.take_seats(session, event, labels, reservation.id, reservation.expires_at)
    # A hold that had run out is overwritten at this instant; its reservation is told so in the same transaction.
    await expire_overtaken(session, taken.lapsed)
    prices = await events.prices_by_category(session, event)
    unpriced = [seat.label for seat in taken.seats if seat.category not in prices]
    if unpriced:
        raise SeatNotPriced(field="seats", seats=unpriced)
    items = [_item(reservation, prices[seat.category], seat=seat) for seat in taken.seats]
    _check_type_limits(items, {price.id: price for price in prices.values()}, request.seats_field)
    return items


async def _take_places(
    session: AsyncSession, event: events.Event, request: HoldRequest, reservation: Reservation
) -> list[ReservationItem]:
    if not request.places:
        return []
    types = {t.id: t for t in await events.list_ticket_types(session, event.id)}
    for type_id in request.places:
        if type_id not in types or types[type_id].capacity is None:
            raise Invalid("This event has no such general-admission ticket type.", field="items.ticket_type_id")
    items = [_item(reservation, types[type_id], quantity=n) for type_id, n in request.places.items()]
    _check_type_limits(items, types, "items")
    await events.take_places(session, event.id, request.places)
    return items


def _item(
    reservation: Reservation, ticket_type: events.TicketType, *, seat: events.TakenSeat | None = None, quantity: int = 1
) -> ReservationItem:
    return ReservationItem(
        organization_id=reservation.organization_id,
        reservation_id=reservation.id,
        event_id=reservation.event_id,
        seat_number=seat.number if seat else None,
        seat_label=seat.label if seat else None,
        ticket_type_id=ticket_type.id,
        quantity=quantity,
        price_minor=ticket_type.price_minor,
    )


def _check_type_limits(items: list[ReservationItem], types: dict[UUID, events.TicketType], field: str) -> None:
    wanted: dict[UUID, int] = {}
    for item in items:
        wanted[item.ticket_type_id] = wanted.get(item.ticket_type_id, 0) + item.quantity
    for type_id, quantity in wanted.items():
        limit = types[type_id].max_per_order
        if limit is not None and quantity > limit:
            raise LimitExceeded(f"One order may have at most {limit} of {types[type_id].name}.", field=field)
