"""Messages about tickets and devices.

Messages about tickets are keyed by order, and messages about devices by event. Messages with one key stay in order.
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra import outbox


class _TicketMessage(outbox.Message):
    """Fields of every message about tickets."""

    key_field: ClassVar[str] = "order_id"
    subject_field: ClassVar[str | None] = "event_id"

    order_id: UUID
    event_id: UUID


class _DeviceMessage(outbox.Message):
    """Fields of every message about devices."""

    key_field: ClassVar[str] = "event_id"
    subject_field: ClassVar[str | None] = "event_id"

    event_id: UUID
    device_id: UUID


class DeviceMade(_DeviceMessage):
    """A scanner got a token for check-ins at this event."""

    topic: ClassVar[str] = "device.made"


class DeviceRevoked(_DeviceMessage):
    """This scanner's token was revoked."""

    topic: ClassVar[str] = "device.revoked"


class TicketsIssued(_TicketMessage):
    """The tickets of a paid order were issued."""

    topic: ClassVar[str] = "tickets.issued"

    user_id: UUID
    ticket_ids: list[UUID]


class TicketTransferred(_TicketMessage):
    """A ticket has a new holder and a new code. The previous code is invalid."""

    topic: ClassVar[str] = "ticket.transferred"

    ticket_id: UUID
    from_user_id: UUID
    to_user_id: UUID
    code_version: int = Field(description="codes of lower versions are invalid")


class TicketsVoided(_TicketMessage):
    """These tickets were voided, and their seats and places are on sale again."""

    topic: ClassVar[str] = "tickets.voided"

    ticket_ids: list[UUID]
    seat_numbers: list[int] = Field(description="seats whose status has changed")
    ticket_type_ids: list[UUID] = Field(description="general-admission ticket types whose counters have changed")


class TicketCheckedIn(_TicketMessage):
    """A ticket was admitted. Sent again for the same ticket only when an earlier offline scan is synced later."""

    topic: ClassVar[str] = "ticket.checked_in"

    ticket_id: UUID
    gate: str | None
    checked_in_at: datetime
    is_correction: bool = Field(False, description="an earlier offline scan replaced the admission sent before")
    is_time_corrected: bool = Field(False, description="the scanner's time was impossible; this is the scan's arrival")
