"""Facts about tickets and the door. All facts of one order's tickets travel in order: the key is the order."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra import outbox


class _TicketFact(outbox.Message):
    """What every fact about tickets says."""

    key_field: ClassVar[str] = "order_id"

    order_id: UUID
    event_id: UUID


class _DeviceFact(outbox.Message):
    """What every fact about devices says; those of one event travel in order."""

    key_field: ClassVar[str] = "event_id"

    event_id: UUID
    device_id: UUID


class DeviceMade(_DeviceFact):
    """A scanner was given a token for this event's door."""

    topic: ClassVar[str] = "device.made"


class DeviceRevoked(_DeviceFact):
    """This scanner's token opens nothing any more."""

    topic: ClassVar[str] = "device.revoked"


class TicketsIssued(_TicketFact):
    """The tickets of a paid order exist now."""

    topic: ClassVar[str] = "tickets.issued"

    user_id: UUID
    ticket_ids: list[UUID]


class TicketTransferred(_TicketFact):
    """A ticket has a new holder; the old code opens nothing any more."""

    topic: ClassVar[str] = "ticket.transferred"

    ticket_id: UUID
    from_user_id: UUID
    to_user_id: UUID
    code_version: int = Field(description="codes of lower versions open nothing any more")


class TicketsVoided(_TicketFact):
    """These tickets open nothing any more, and their seats and places are on sale again."""

    topic: ClassVar[str] = "tickets.voided"

    ticket_ids: list[UUID]
    seat_numbers: list[int] = Field(description="seats of the map that have changed")
    ticket_type_ids: list[UUID] = Field(description="general-admission types whose counters have moved")


class TicketCheckedIn(_TicketFact):
    """A ticket was admitted; once more for the same ticket only when an offline scan proves to have come first."""

    topic: ClassVar[str] = "ticket.checked_in"

    ticket_id: UUID
    gate: str | None
    checked_in_at: datetime
    is_correction: bool = Field(False, description="an offline scan proved to have come before another one")
