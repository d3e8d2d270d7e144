"""The items of a reservation, and the forms that seats, places and messages need them in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.modules import events
from ticketing.modules.reservations.models import Reservation, ReservationItem


@dataclass(frozen=True, slots=True)
class LapsedHold:
    """The part of a reservation that its expiry needs; plain values, which survive the rollback of a savepoint."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    user_id: UUID


class HoldRow(NamedTuple):
    """A reservation as plain values, read at the current time of the database's clock."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    user_id: UUID
    status: str
    #: Active and not lapsed.
    is_running: bool
    #: Lapsed, or about to lapse by the wall clock: another transaction may count it as lapsed before this one commits.
    is_ending: bool
    expires_at: datetime
    total_minor: int
    currency: str


class HeldItem(NamedTuple):
    """A seat, or a quantity of a ticket type, as plain values; `name` is the ticket type's."""

    position: int
    seat_number: int | None
    seat_label: str | None
    ticket_type_id: UUID
    name: str
    quantity: int
    price_minor: int


Item = ReservationItem | HeldItem


def seat_numbers(items: Iterable[Item]) -> list[int]:
    return [item.seat_number for item in items if item.seat_number is not None]


def held_seats(items: Iterable[ReservationItem]) -> list[events.HeldSeat]:
    """The seats, each with the reservation that is expected to hold it."""
    return [
        events.HeldSeat(item.organization_id, item.event_id, item.seat_number, item.reservation_id)
        for item in items
        if item.seat_number is not None
    ]


def places(items: Iterable[Item]) -> dict[UUID, int]:
    """General-admission quantities by ticket type."""
    wanted: dict[UUID, int] = {}
    for item in items:
        if item.seat_number is None:
            wanted[item.ticket_type_id] = wanted.get(item.ticket_type_id, 0) + item.quantity
    return wanted


def message_fields(reservation: Reservation | LapsedHold | HoldRow, items: Iterable[Item]) -> dict[str, Any]:
    """The fields that every message of a reservation carries."""
    items = list(items)
    return {
        "organization_id": reservation.organization_id,
        "reservation_id": reservation.id,
        "event_id": reservation.event_id,
        "user_id": reservation.user_id,
        "seat_numbers": seat_numbers(items),
        "ticket_type_ids": list(places(items)),
    }
