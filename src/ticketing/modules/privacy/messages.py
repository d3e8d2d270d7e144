"""Facts about what was forgotten."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class BuyersForgotten(Message):
    """So many orders of an organization were old enough to lose their buyers' names and addresses."""

    topic: ClassVar[str] = "buyers.forgotten"
    key_field: ClassVar[str] = "organization_id"

    organization_id: UUID
    orders: int
