"""Request and response bodies of check-ins and devices."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from ticketing.infra.http.fields import Body, Moment, Name, Out, ShortName, Timestamp
from ticketing.modules.tickets.codes import CODE_LENGTH_MAX
from ticketing.modules.tickets.models import Device, Ticket, TicketStatus

SCANS_MAX = 1000

Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CODE_LENGTH_MAX)]
#: Idempotency key chosen by the scanning device, such as a UUID: a scan that is sent twice is recorded once.
Nonce = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")]


class CheckInTicket(Body):
    """A code scanned at a gate. `scanned_at` is the device's time, and defaults to now.

    A time before the ticket was issued, or more than two minutes ahead of the server's, is replaced by the time of
    arrival. The response says so in `is_time_corrected`.
    """

    code: Code
    gate: ShortName | None = None
    scanned_at: Timestamp | None = None
    nonce: Nonce | None = None


class OfflineScan(Body):
    """A scan that was made offline. `scanned_at` is bounded as for a single scan."""

    code: Code
    gate: ShortName | None = None
    scanned_at: Timestamp
    nonce: Nonce


class SyncScans(Body):
    """Up to 1,000 scans in any order. Any of them may have been sent before."""

    scans: Annotated[list[OfflineScan], Field(min_length=1, max_length=SCANS_MAX)]


class DoorTicketOut(Out):
    """The fields of a ticket that are shown at the door."""

    id: UUID
    ticket_type_id: UUID
    name: str
    seat: str | None
    holder_name: str
    status: TicketStatus
    checked_in_at: Moment | None
    gate: str | None

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        return cls(
            id=ticket.id,
            ticket_type_id=ticket.ticket_type_id,
            name=ticket.name,
            seat=ticket.seat_label,
            holder_name=ticket.holder_name,
            status=ticket.status,
            checked_in_at=ticket.checked_in_at,
            gate=ticket.checked_in_gate,
        )


class CheckInOut(Out):
    """An admitted ticket."""

    result: str = "admitted"
    ticket: DoorTicketOut
    #: `scanned_at` of this scan was impossible and was replaced by the time of arrival.
    is_time_corrected: bool = False


class ScanOut(Out):
    """The result of one scan. `result` is the result of the check-in, or the error code of its refusal."""

    nonce: str
    result: str
    message: str
    ticket_id: UUID | None = None
    #: Time and gate of the ticket's admission, by this scan or another.
    first_scanned_at: Moment | None = None
    gate: str | None = None
    #: `scanned_at` of this scan was impossible and was replaced by the time of arrival.
    is_time_corrected: bool = False


class SyncOut(Out):
    """One result per scan, in the order in which they were sent."""

    results: list[ScanOut]


class GateOut(Out):
    gate: str | None
    checked_in: int


class StatsOut(Out):
    """Progress of the check-ins. `issued` counts the tickets that can be or have been admitted."""

    issued: int
    checked_in: int
    voided: int
    by_gate: list[GateOut]
    #: Refused scans, by result.
    refused: dict[str, int]
    #: Scans whose time was impossible: some scanner's clock is wrong.
    corrected_times: int = 0


class OfflineTicketOut(Out):
    """A ticket in the offline list. It carries only the holder's initial, because devices get lost."""

    id: UUID
    code_version: int
    status: TicketStatus
    seat: str | None
    name: str
    holder_initial: str
    #: The error code with which the door refuses the ticket: "voided" or "event_cancelled".
    refusal: str | None


class MakeDevice(Body):
    """A scanner for this event. `gate` applies to its scans that name none."""

    name: Name
    gate: ShortName | None = None


class DeviceOut(Out):
    """A scanner. `expires_at` is one day after the end of the event, and changes with it."""

    id: UUID
    event_id: UUID
    name: str
    gate: str | None
    created_by: UUID
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None
    revoked_at: Moment | None

    @classmethod
    def of(cls, device: Device, expires_at: datetime) -> Self:
        """Build the response from the row and the expiry of the event's devices."""
        names = cls.model_fields.keys() - {"expires_at", "token"}
        return cls(**{name: getattr(device, name) for name in names}, expires_at=expires_at)


class NewDeviceOut(DeviceOut):
    """A new device with its token. No other response contains it."""

    token: str
