"""Facts about events and their seats."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class EventMessage(Message):
    """A fact about one event. Facts of one event stay in order."""

    key_field: ClassVar[str] = "event_id"
    subject_field: ClassVar[str | None] = "event_id"

    event_id: UUID


class SeatsMessage(EventMessage):
    """Something on the map has changed: these seats, and the counters of these ticket types."""

    seat_numbers: list[int] = Field(default_factory=list, description="seats of the map that have changed")
    ticket_type_ids: list[UUID] = Field(default_factory=list, description="types whose counters have moved")


class EventCreated(EventMessage):
    """A draft of an event exists; nobody but its organization sees it."""

    topic = "event.created"

    title: str


class EventUpdated(EventMessage):
    """An event has other values now."""

    topic = "event.updated"

    changed: list[str] = Field(description="names of the fields that have another value now")


class EventPublished(EventMessage):
    """Everybody sees the event from here on, and it is sold in its time."""

    topic = "event.published"


class EventCancelled(EventMessage):
    """The event does not take place; what is pending ends, and money goes back by refunds."""

    topic = "event.cancelled"


class EventCompleted(EventMessage):
    """The event is over."""

    topic = "event.completed"


class TicketTypeCreated(SeatsMessage):
    """Something more can be bought."""

    topic = "ticket_type.created"


class SeatsSynced(SeatsMessage):
    """All seats are new, too many to list: `seat_numbers` is empty, and a viewer has to load the map again."""

    topic = "seats.synced"

    seats: int = Field(description="how many there are now")
    plan_version: int = Field(description="of the venue's seating plan")


class SeatsBlocked(SeatsMessage):
    """The house keeps these seats back."""

    topic = "seats.blocked"


class SeatsUnblocked(SeatsMessage):
    """These seats are for sale again."""

    topic = "seats.unblocked"
