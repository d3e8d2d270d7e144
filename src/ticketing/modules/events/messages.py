"""Messages about events and their seats."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class EventMessage(Message):
    """A message about one event. Messages of one event stay in order."""

    key_field: ClassVar[str] = "event_id"
    subject_field: ClassVar[str | None] = "event_id"

    event_id: UUID


class SeatsMessage(EventMessage):
    """These seats of the map, and the counters of these ticket types, have changed."""

    seat_numbers: list[int] = Field(default_factory=list, description="seats of the map that have changed")
    ticket_type_ids: list[UUID] = Field(default_factory=list, description="types whose counters have moved")


class EventCreated(EventMessage):
    """A draft of an event was created; only its organization can see it."""

    topic = "event.created"

    title: str


class EventUpdated(EventMessage):
    """Fields of an event were changed."""

    topic = "event.updated"

    changed: list[str] = Field(description="names of the changed fields")
    calendar_sequence: int | None = Field(
        None, description="the new SEQUENCE of the event's calendar files; null if they have not changed"
    )


class EventPublished(EventMessage):
    """The event is public from now on, and on sale during its sale window."""

    topic = "event.published"


class EventCancelled(EventMessage):
    """The event was cancelled: pending orders end, and payments are returned by refunds."""

    topic = "event.cancelled"

    calendar_sequence: int | None = Field(None, description="the new SEQUENCE of the event's calendar files")


class EventCompleted(EventMessage):
    """The event is over."""

    topic = "event.completed"


class TicketTypeCreated(SeatsMessage):
    """A ticket type was created."""

    topic = "ticket_type.created"


class SeatsSynced(SeatsMessage):
    """All seats were created; `seat_numbers` is empty, and viewers have to load the map again."""

    topic = "seats.synced"

    seats: int = Field(description="number of seats")
    plan_version: int = Field(description="of the venue's seating plan")


class SeatsBlocked(SeatsMessage):
    """Seats were taken off sale by the organization."""

    topic = "seats.blocked"


class SeatsUnblocked(SeatsMessage):
    """Blocked seats are on sale again."""

    topic = "seats.unblocked"
