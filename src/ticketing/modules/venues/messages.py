"""Facts about venues."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class VenueCreated(Message):
    """A place exists where events can be, with a seating plan."""

    topic = "venue.created"
    key_field: ClassVar[str] = "venue_id"

    venue_id: UUID
    name: str
    capacity: int
    plan_version: int
