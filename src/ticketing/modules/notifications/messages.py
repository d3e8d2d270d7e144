"""Messages about emails that are to be sent."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class TicketsEmailRequested(Message):
    """The address of a paid order was confirmed: the email with its tickets can be sent."""

    topic: ClassVar[str] = "tickets_email.requested"
    key_field: ClassVar[str] = "order_id"

    order_id: UUID


class RefundNoticeRequested(Message):
    """An admin is to be told what a provider has reported about a refund or dispute."""

    topic: ClassVar[str] = "refund_notice.requested"
    key_field: ClassVar[str] = "order_id"

    refund_id: UUID
    order_id: UUID
    user_id: UUID
    about: str = Field(description="the topic of the message that reported it, such as `refund.failed`")
