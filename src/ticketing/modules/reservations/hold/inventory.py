"""Who gets what: the requests of a batch are decided one after another, against what the batch has locked.

No waiting and no database here. Whoever comes first is served first; all of a request or nothing of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ticketing.infra.errors import Invalid, NotFound, TicketingError
from ticketing.modules import events
from ticketing.modules.reservations.hold.requests import HoldRequest, Wish
from ticketing.modules.reservations.purchase_limits import (
    Allowance,
    AllowanceContended,
    Buyer,
    LimitExceeded,
    check_limit,
)


class SeatNotPriced(TicketingError):
    """This seat is not for sale: no ticket type prices its category."""

    status, code = 422, "seat_not_for_sale"


class Item(NamedTuple):
    """A seat, or a quantity of places, that was granted."""

    offer: events.Offer
    quantity: int = 1
    seat_number: int | None = None
    seat_label: str | None = None


@dataclass(slots=True)
class Shelf:
    """What there is for this batch. `grant` takes from it."""

    sales: Mapping[UUID, events.Sale]
    seats: Mapping[events.Spot, events.FreeSeat]
    #: Seats that could not be locked: True when taken, False when somebody else is deciding; unknown ones are missing.
    is_taken: Mapping[events.Spot, bool]
    #: Reservations that have run out and are ours to expire.
    lapsed: Iterable[UUID]
    places: dict[UUID, int]
    allowances: Mapping[Buyer, Allowance]
    overtaken: set[UUID] = field(default_factory=set)
    _gone: set[events.Spot] = field(default_factory=set)
    _granted: dict[bytes, int] = field(default_factory=dict)

    def grant(self, wish: Wish) -> list[Item]:
        """Everything that the request names.

        Raises:
            NotFound, EventNotOnSale: there is nothing to hold.
            AllowanceContended: something else of this buyer is being decided at this moment.
            LimitExceeded: more than the event or the ticket type allows in one order, or to one person over all orders.
            Invalid: there is no such ticket type with places.
            SeatUnknown, SeatTaken, SeatContended, SeatNotPriced, SoldOut: nothing of it was taken.
        """
        request, sale = wish.request, self.sales.get(wish.request.event_id)
        if sale is None:
            raise NotFound
        if sale.refusal is not None:
            raise sale.refusal
        buyer = self._check_limits(sale, request)
        items = [*self._find_seats(sale, wish), *self._find_places(sale, request)]
        self._take(request, wish.seats, buyer)
        return items

    def _check_limits(self, sale: events.Sale, request: HoldRequest) -> bytes | None:
        field, quantity = request.quantity_field, request.quantity
        if quantity > sale.max_per_order:
            raise LimitExceeded(f"One order may have at most {sale.max_per_order} tickets of this event.", field=field)
        if sale.max_per_buyer is None:
            return None
        allowance = self.allowances.get(Buyer(request.event_id, request.user_id))
        if allowance is None:
            raise AllowanceContended
        had = allowance.places + self._granted.get(allowance.identity, 0)
        check_limit(sale.max_per_buyer, had, quantity, field)
        return allowance.identity

    def _find_seats(self, sale: events.Sale, wish: Wish) -> list[Item]:
        if not wish.seats:
            return []
        spots = [(sale.event_id, label) for label in wish.seats]
        if wish.request.best_available and not all(map(self._is_ours, spots)):
            raise events.SeatContended(field="best_available")  # they were free when they were chosen: choose again
        self._check_free(spots)
        unpriced = [spot[1] for spot in spots if self.seats[spot].category not in sale.by_category]
        if unpriced:
            raise SeatNotPriced(field="seats", seats=unpriced)
        found = ((self.seats[spot], spot[1]) for spot in spots)
        items = [Item(sale.by_category[seat.category], 1, seat.number, label) for seat, label in found]
        _check_type_limits(items, wish.request.seats_field)
        return items

    def _check_free(self, spots: list[events.Spot]) -> None:
        if unknown := [spot[1] for spot in spots if spot not in self.seats and spot not in self.is_taken]:
            raise events.SeatUnknown(field="seats", seats=unknown)
        if taken := [spot[1] for spot in spots if spot in self._gone or self.is_taken.get(spot)]:
            raise events.SeatTaken(field="seats", seats=taken)
        if busy := [spot[1] for spot in spots if not self._is_ours(spot)]:
            raise events.SeatContended(field="seats", seats=busy)

    def _is_ours(self, spot: events.Spot) -> bool:
        seat = self.seats.get(spot)
        return seat is not None and (seat.lapsed is None or seat.lapsed in self.lapsed)

    def _find_places(self, sale: events.Sale, request: HoldRequest) -> list[Item]:
        if any(type_id not in sale.areas for type_id in request.places):
            message = "This event has no such general-admission ticket type."
            raise Invalid(message, field="items.ticket_type_id")
        items = [Item(sale.areas[type_id], quantity) for type_id, quantity in request.places.items()]
        _check_type_limits(items, "items")
        for type_id, quantity in sorted(request.places.items()):
            if (available := self.places.get(type_id, 0)) < quantity:
                raise events.SoldOut(field="items", ticket_type_id=str(type_id), available=available)
        return items

    def _take(self, request: HoldRequest, labels: Iterable[str], buyer: bytes | None) -> None:
        for label in labels:
            spot = (request.event_id, label)
            self._gone.add(spot)
            if (lapsed := self.seats[spot].lapsed) is not None:
                self.overtaken.add(lapsed)
        for type_id, quantity in request.places.items():
            self.places[type_id] -= quantity
        if buyer is not None:
            self._granted[buyer] = self._granted.get(buyer, 0) + request.quantity


def _check_type_limits(items: list[Item], field: str) -> None:
    wanted: dict[events.Offer, int] = {}
    for item in items:
        if item.offer.max_per_order is not None:
            wanted[item.offer] = wanted.get(item.offer, 0) + item.quantity
    for offer, quantity in wanted.items():
        if offer.max_per_order is not None and quantity > offer.max_per_order:
            raise LimitExceeded(f"One order may have at most {offer.max_per_order} of {offer.name}.", field=field)
