"""Decide the holds of a batch one after the other, against the inventory that the batch has locked.

No I/O and no waiting here. First come, first served; a request is granted completely or not at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ticketing.infra.errors import Invalid, NotFound, TicketingError
from ticketing.infra.http.fields import AMOUNT_MAX, Money
from ticketing.modules import events
from ticketing.modules.reservations.hold.held_places import HeldPlaces
from ticketing.modules.reservations.hold.pending import PendingHold
from ticketing.modules.reservations.hold_request import HoldRequest
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


class GrantedItem(NamedTuple):
    """A seat, or a quantity of places, granted to a hold."""

    offer: events.Offer
    quantity: int = 1
    seat_number: int | None = None
    seat_label: str | None = None


@dataclass(slots=True)
class LockedInventory:
    """The seats, places and allowances that a batch has locked. `grant` takes from them."""

    sales: Mapping[UUID, events.SaleTerms]
    seats: Mapping[events.SeatKey, events.FreeSeat]
    #: Seats that could not be locked: True when taken, False when locked elsewhere. Unknown seats are missing.
    is_taken: Mapping[events.SeatKey, bool]
    #: Reservations with lapsed holds that this batch has locked and may expire.
    lapsed: Iterable[UUID]
    places: dict[UUID, int]
    allowances: Mapping[Buyer, Allowance]
    held: HeldPlaces
    overtaken: set[UUID] = field(default_factory=set)
    _granted_seats: set[events.SeatKey] = field(default_factory=set)
    _granted_to: dict[bytes, int] = field(default_factory=dict)

    def grant(self, hold: PendingHold) -> list[GrantedItem]:
        """Grant everything that the request names.

        Raises:
            NotFound, EventNotOnSale: there is nothing to hold.
            AllowanceContended: another transaction has locked this buyer's allowance.
            SeatResting: the buyer let one of these seats go a moment ago.
            LimitExceeded: more than the event or the ticket type allows per order, or per person over all orders or at
                one time; or a total above AMOUNT_MAX.
            Invalid: a ticket type is not a general-admission type of this event.
            SeatUnknown, SeatTaken, SeatContended, SeatNotPriced, SoldOut: nothing was taken.
        """
        request, sale = hold.request, self.sales.get(hold.request.event_id)
        if sale is None:
            raise NotFound
        if sale.refusal is not None:
            raise sale.refusal
        identity = self._check_limits(sale, request)
        items = [*self._find_seats(sale, hold), *self._find_places(sale, request)]
        _check_total(items, sale.currency, request.quantity_field)
        self._take(request, hold.seats, identity)
        return items

    def _check_limits(self, sale: events.SaleTerms, request: HoldRequest) -> bytes | None:
        field, quantity = request.quantity_field, request.quantity
        if quantity > sale.max_per_order:
            raise LimitExceeded(f"One order may have at most {sale.max_per_order} tickets of this event.", field=field)
        buyer = Buyer(request.event_id, request.user_id)
        self.held.check_limit(buyer, sale, quantity, field)
        if sale.max_per_buyer is None:
            return None
        allowance = self.allowances.get(buyer)
        if allowance is None:
            raise AllowanceContended
        used = allowance.places + self._granted_to.get(allowance.identity, 0)
        check_limit(sale.max_per_buyer, used, quantity, field)
        return allowance.identity

    def _find_seats(self, sale: events.SaleTerms, hold: PendingHold) -> list[GrantedItem]:
        keys = [(sale.event_id, label) for label in hold.seats]
        named, chosen = keys[: len(hold.request.seats)], keys[len(hold.request.seats) :]
        self._check_free(named)
        if hold.request.best_available and not (chosen and all(map(self._is_locked, chosen))):
            # Free when they were chosen, or none were chosen beside a seat that an earlier hold has not got: try again.
            raise events.SeatContended(field="best_available")
        self._check_free(chosen)
        buyer = Buyer(hold.request.event_id, hold.request.user_id)
        self.held.check_rest(buyer, ((self.seats[key].number, key[1]) for key in keys), hold.request.seats_field)
        unpriced = [key[1] for key in keys if self.seats[key].category not in sale.by_category]
        if unpriced:
            raise SeatNotPriced(field="seats", seats=unpriced)
        found = ((self.seats[key], key[1]) for key in keys)
        items = [GrantedItem(sale.by_category[seat.category], 1, seat.number, label) for seat, label in found]
        _check_type_limits(items, hold.request.seats_field)
        return items

    def _check_free(self, keys: list[events.SeatKey]) -> None:
        if unknown := [key[1] for key in keys if key not in self.seats and key not in self.is_taken]:
            raise events.SeatUnknown(field="seats", seats=unknown)
        if taken := [key[1] for key in keys if key in self._granted_seats or self.is_taken.get(key)]:
            raise events.SeatTaken(field="seats", seats=taken)
        if contended := [key[1] for key in keys if not self._is_locked(key)]:
            raise events.SeatContended(field="seats", seats=contended)

    def _is_locked(self, key: events.SeatKey) -> bool:
        seat = self.seats.get(key)
        return seat is not None and (seat.lapsed is None or seat.lapsed in self.lapsed)

    def _find_places(self, sale: events.SaleTerms, request: HoldRequest) -> list[GrantedItem]:
        if any(type_id not in sale.areas for type_id in request.places):
            message = "This event has no such general-admission ticket type."
            raise Invalid(message, field="items.ticket_type_id")
        items = [GrantedItem(sale.areas[type_id], quantity) for type_id, quantity in request.places.items()]
        _check_type_limits(items, "items")
        for type_id, quantity in sorted(request.places.items()):
            if (available := self.places.get(type_id, 0)) < quantity:
                raise events.SoldOut(field="items", ticket_type_id=str(type_id), available=available)
        return items

    def _take(self, request: HoldRequest, labels: Iterable[str], identity: bytes | None) -> None:
        for label in labels:
            key = (request.event_id, label)
            self._granted_seats.add(key)
            if (lapsed := self.seats[key].lapsed) is not None:
                self.overtaken.add(lapsed)
        for type_id, quantity in request.places.items():
            self.places[type_id] -= quantity
        self.held.take(Buyer(request.event_id, request.user_id), request.quantity)
        if identity is not None:
            self._granted_to[identity] = self._granted_to.get(identity, 0) + request.quantity


def _check_total(items: Iterable[GrantedItem], currency: str, field: str) -> None:
    # A larger amount is refused by the providers' webhooks: the order could never be paid.
    total = sum(item.offer.price_minor * item.quantity for item in items)
    if total > AMOUNT_MAX:
        limit, asked = (Money(amount=amount, currency=currency).model_dump() for amount in (AMOUNT_MAX, total))
        message = f"One order may cost at most {AMOUNT_MAX} minor units of {currency}; choose fewer tickets."
        raise LimitExceeded(message, field=field, limit=limit, total=asked)


def _check_type_limits(items: list[GrantedItem], field: str) -> None:
    wanted: dict[events.Offer, int] = {}
    for item in items:
        if item.offer.max_per_order is not None:
            wanted[item.offer] = wanted.get(item.offer, 0) + item.quantity
    for offer, quantity in wanted.items():
        if offer.max_per_order is not None and quantity > offer.max_per_order:
            raise LimitExceeded(f"One order may have at most {offer.max_per_order} of {offer.name}.", field=field)
