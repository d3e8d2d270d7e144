"""The facts of a reservation's life. `seat_numbers` and `ticket_type_ids` say what on the map has changed."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class ReservationMessage(Message):
    """What all of them say."""

    key_field = "reservation_id"

    reservation_id: UUID
    event_id: UUID
    user_id: UUID
    seat_numbers: list[int]
    #: The general-admission types whose counters moved.
    ticket_type_ids: list[UUID]


class ReservationCreated(ReservationMessage):
    topic: ClassVar[str] = "reservation.created"
    expires_at: datetime
    total_minor: int
    currency: str


class ReservationExtended(ReservationMessage):
    topic: ClassVar[str] = "reservation.extended"
    expires_at: datetime


class ReservationConfirmed(ReservationMessage):
    topic: ClassVar[str] = "reservation.confirmed"
    #: The money came after the hold had run out, and the seats were still free.
    is_late: bool


class ReservationExpired(ReservationMessage):
    topic: ClassVar[str] = "reservation.expired"


class ReservationCancelled(ReservationMessage):
    topic: ClassVar[str] = "reservation.cancelled"
