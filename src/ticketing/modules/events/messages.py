"""Facts about events and their seats."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class EventMessage(Message):
    """A fact about one event. Facts of one event stay in order."""

    key_field: ClassVar[str] = "event_id"

    event_id: UUID


class SeatsMessage(EventMessage):
    """Something on the map has changed: these seats, and the counters of these ticket types."""

    seat_numbers: list[int] = Field(default_factory=list)
    ticket_type_ids: list[UUID] = Field(default_factory=list)


class EventCreated(EventMessage):
    topic = "event.created"

    title: str


class EventUpdated(EventMessage):
    topic = "event.updated"

    #: Names of the fields that have another value now.
    changed: list[str]


class EventPublished(EventMessage):
    topic = "event.published"


class EventCancelled(EventMessage):
    topic = "event.cancelled"


class EventCompleted(EventMessage):
    topic = "event.completed"


class TicketTypeCreated(SeatsMessage):
    topic = "ticket_type.created"


class SeatsSynced(SeatsMessage):
    """All seats are new, too many to list: `seat_numbers` is empty, and a viewer has to load the map again."""

    topic = "seats.synced"

    seats: int
    plan_version: int


class SeatsBlocked(SeatsMessage):
    topic = "seats.blocked"


class SeatsUnblocked(SeatsMessage):
    topic = "seats.unblocked"
