"""Request and response bodies of reservations."""

from typing import Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from ticketing.infra.http import idempotency
from ticketing.infra.http.fields import Body, Label, Moment, Money, Name, Out
from ticketing.modules.reservations.hold_request import BestAvailable, HoldRequest
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus

#: Above any event's max_per_order, so that a buyer gets the error of that limit and not of this one.
SEATS_MAX = 1000


class HoldItem(Body):
    """Places of a general-admission ticket type."""

    ticket_type_id: UUID
    quantity: int = Field(strict=True, ge=1, le=SEATS_MAX)


class HoldBestAvailable(Body):
    """The best seats that are together, optionally of one category or section: beside `seats`, if there are any."""

    quantity: int = Field(strict=True, ge=1, le=SEATS_MAX)
    category: Name | None = None
    section: Name | None = None


class HoldSeats(Body):
    """Seats by label, quantities of ticket types, the best available seats, or several of these: all or none."""

    event_id: UUID
    seats: list[Label] = Field(default=[], max_length=SEATS_MAX)
    items: list[HoldItem] = Field(default=[], max_length=50)
    best_available: HoldBestAvailable | None = None

    @field_validator("seats")
    @classmethod
    def _no_seat_twice(cls, seats: list[str]) -> list[str]:
        if len(set(seats)) < len(seats):
            raise ValueError("names a seat twice")
        return seats

    @field_validator("items")
    @classmethod
    def _no_type_twice(cls, items: list[HoldItem]) -> list[HoldItem]:
        if len({item.ticket_type_id for item in items}) < len(items):
            raise ValueError("names a ticket type twice")
        return items

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.seats or self.items or self.best_available):
            raise ValueError("name seats, items or best_available")
        return self

    def as_request(self, user_id: UUID, key: str, fingerprint: idempotency.Fingerprint) -> HoldRequest:
        best = self.best_available
        return HoldRequest(
            user_id=user_id,
            key=key,
            fingerprint=fingerprint,
            event_id=self.event_id,
            seats=tuple(self.seats),
            places={item.ticket_type_id: item.quantity for item in self.items},
            best_available=BestAvailable(best.quantity, best.category, best.section) if best else None,
        )


class ReservationItemOut(Out):
    seat: str | None
    ticket_type_id: UUID
    quantity: int
    price: Money


class ReservationOut(Out):
    id: UUID
    event_id: UUID
    status: ReservationStatus
    expires_at: Moment
    #: How many extensions are left.
    extensions_left: int
    items: list[ReservationItemOut]
    total: Money

    @classmethod
    def of(cls, reservation: Reservation, items: list[ReservationItem], extensions_left: int) -> Self:
        currency = reservation.currency
        return cls(
            id=reservation.id,
            event_id=reservation.event_id,
            status=reservation.status,
            expires_at=reservation.expires_at,
            extensions_left=extensions_left,
            items=[
                ReservationItemOut(
                    seat=item.seat_label,
                    ticket_type_id=item.ticket_type_id,
                    quantity=item.quantity,
                    price=Money(amount=item.price_minor, currency=currency),
                )
                for item in items
            ],
            total=Money(amount=reservation.total_minor, currency=currency),
        )
