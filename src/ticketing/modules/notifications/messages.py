"""Messages about emails that are to be sent."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class TicketsEmailRequested(Message):
    """The address of a paid order was confirmed: the email with its tickets can be sent."""

    topic: ClassVar[str] = "tickets_email.requested"
    key_field: ClassVar[str] = "order_id"

    order_id: UUID
