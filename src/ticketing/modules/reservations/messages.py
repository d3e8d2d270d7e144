"""Messages about reservations. `seat_numbers` and `ticket_type_ids` name what has changed on the seat map."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class ReservationMessage(Message):
    """The fields of every message about a reservation."""

    key_field = "reservation_id"
    subject_field: ClassVar[str | None] = "event_id"

    reservation_id: UUID
    event_id: UUID
    user_id: UUID
    seat_numbers: list[int] = Field(description="seats of the map that have changed")
    ticket_type_ids: list[UUID] = Field(description="general-admission types whose counters have moved")


class ReservationCreated(ReservationMessage):
    """Seats or places are held for a buyer until `expires_at`."""

    topic: ClassVar[str] = "reservation.created"
    expires_at: datetime
    total_minor: int
    currency: str


class ReservationExtended(ReservationMessage):
    """A hold was extended."""

    topic: ClassVar[str] = "reservation.extended"
    expires_at: datetime


class ReservationConfirmed(ReservationMessage):
    """The held seats and places are sold."""

    topic: ClassVar[str] = "reservation.confirmed"
    is_late: bool = Field(description="the payment arrived after the hold had expired, while the seats were still free")


class ReservationExpired(ReservationMessage):
    """The hold expired; its seats and places are available again."""

    topic: ClassVar[str] = "reservation.expired"


class ReservationCancelled(ReservationMessage):
    """The hold was cancelled; its seats and places are available again."""

    topic: ClassVar[str] = "reservation.cancelled"
