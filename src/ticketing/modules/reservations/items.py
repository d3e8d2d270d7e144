"""What a reservation has, in the shapes that seats, places and messages want."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.modules.reservations.models import Reservation, ReservationItem


@dataclass(frozen=True, slots=True)
class Ended:
    """As much of a reservation as its end needs; plain values, which survive a savepoint that is undone."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    user_id: UUID


class HoldRow(NamedTuple):
    """A reservation as plain values, as it is at this moment by the database's clock."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    user_id: UUID
    status: str
    #: It is active and its time is not over.
    is_running: bool
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


def places(items: Iterable[Item]) -> dict[UUID, int]:
    """General-admission quantities by ticket type."""
    wanted: dict[UUID, int] = {}
    for item in items:
        if item.seat_number is None:
            wanted[item.ticket_type_id] = wanted.get(item.ticket_type_id, 0) + item.quantity
    return wanted


def facts(reservation: Reservation | Ended | HoldRow, items: Iterable[Item]) -> dict[str, Any]:
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
