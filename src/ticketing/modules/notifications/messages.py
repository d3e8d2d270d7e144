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


class _EventNoticeMessage(Message):
    key_field: ClassVar[str] = "event_id"
    subject_field: ClassVar[str | None] = "event_id"

    event_id: UUID
    about: str = Field(description="the topic of the message about the event, such as `event.cancelled`")


class EventNoticesContinued(_EventNoticeMessage):
    """Further recipients are to be told that an event was moved or cancelled."""

    topic: ClassVar[str] = "event_notices.continued"

    after_user_id: UUID | None = Field(None, description="the last recipient for whom an email was requested")
    after_order_id: UUID | None = Field(None, description="the order of that recipient, if the email is to its address")


class EventNoticeRequested(_EventNoticeMessage):
    """A buyer or a holder of tickets is to be told that an event was moved or cancelled."""

    topic: ClassVar[str] = "event_notice.requested"

    user_id: UUID
    order_id: UUID | None = Field(description="the email goes to this order's address; null: to that of the account")


class RefundNoticeRequested(Message):
    """An admin is to be told what a provider has reported about a refund or dispute."""

    topic: ClassVar[str] = "refund_notice.requested"
    key_field: ClassVar[str] = "order_id"

    refund_id: UUID
    order_id: UUID
    user_id: UUID
    about: str = Field(description="the topic of the message that reported it, such as `refund.failed`")
