"""Messages about retention."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class BuyersForgotten(Message):
    """Buyers' names and addresses were erased from this number of orders, because their retention had ended."""

    topic: ClassVar[str] = "buyers.forgotten"
    key_field: ClassVar[str] = "organization_id"

    organization_id: UUID
    orders: int
