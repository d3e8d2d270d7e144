"""Messages about venues."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class VenueCreated(Message):
    """A venue was created, with the first version of its seating plan."""

    topic = "venue.created"
    key_field: ClassVar[str] = "venue_id"

    venue_id: UUID
    name: str
    capacity: int
    plan_version: int


class VenuePlanCreated(Message):
    """A venue has a new version of its seating plan. Events keep the version that they have until they are synced."""

    topic = "venue.plan_created"
    key_field: ClassVar[str] = "venue_id"

    venue_id: UUID
    capacity: int
    plan_version: int
