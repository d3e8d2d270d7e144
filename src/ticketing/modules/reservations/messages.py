"""The facts of a reservation's life. `seat_numbers` and `ticket_type_ids` say what on the map has changed."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class ReservationMessage(Message):
    """What all of them say."""

    key_field = "reservation_id"

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
    """A hold lasts longer."""

    topic: ClassVar[str] = "reservation.extended"
    expires_at: datetime


class ReservationConfirmed(ReservationMessage):
    """What was held is sold."""

    topic: ClassVar[str] = "reservation.confirmed"
    is_late: bool = Field(description="the money came after the hold had run out, and the seats were still free")


class ReservationExpired(ReservationMessage):
    """The hold ran out, and what it held is free."""

    topic: ClassVar[str] = "reservation.expired"


class ReservationCancelled(ReservationMessage):
    """The hold was given up, and what it held is free."""

    topic: ClassVar[str] = "reservation.cancelled"
