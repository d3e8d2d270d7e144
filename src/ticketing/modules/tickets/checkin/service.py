"""Check-ins: one admission per ticket, ever. A lock on the ticket ensures it, and a unique index backs it up.

A refused scan is not an error of the transaction: it is recorded as well, so the transaction must commit.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, transaction_time
from ticketing.infra.errors import Conflict, Invalid, TicketingError
from ticketing.infra.formats.times import rfc3339
from ticketing.infra.metrics import Counter
from ticketing.modules import events, organizations
from ticketing.modules.tickets.checkin.scan_times import ScanTime, bound_scan_time
from ticketing.modules.tickets.checkin.schemas import CheckInTicket
from ticketing.modules.tickets.codes import CodeClaims, InvalidCode, keyring
from ticketing.modules.tickets.messages import TicketCheckedIn
from ticketing.modules.tickets.models import CheckIn, ScanResult, Ticket, TicketStatus
from ticketing.modules.tickets.service import TicketVoided

CHECK_INS = Counter("ticketing_check_ins_total", "Scans at the door, by result", ["result"])

TRANSFERRED = "This code is out of date: the ticket was given to somebody else, who has a new one."


class AlreadyCheckedIn(Conflict):
    """This ticket has been checked in already."""

    code = "already_checked_in"


class WrongEvent(Conflict):
    """This ticket is for another event."""

    code = "wrong_event"


class EventOff(Conflict):
    """This event was cancelled: nobody is admitted."""

    code = "event_cancelled"


class NonceUsed(Invalid):
    """This nonce was used for a scan of another ticket."""

    code = "nonce_used"


@dataclass(frozen=True, slots=True)
class CheckInOutcome:
    """The result of a recorded scan, with its ticket. `is_time_corrected`: its time is that of its arrival."""

    result: ScanResult
    ticket: Ticket
    is_time_corrected: bool

    @property
    def refusal(self) -> TicketingError | None:
        """The error of a refused scan; None for an admission."""
        if self.result == ScanResult.ADMITTED:
            return None
        details: dict[str, Any] = {
            "ticket_id": self.ticket.id,
            "seat": self.ticket.seat_label,
            "name": self.ticket.name,
            "is_time_corrected": self.is_time_corrected,
        }
        if self.result == ScanResult.VOIDED:
            return TicketVoided(**details)
        assert self.ticket.checked_in_at is not None  # a constraint of the table says so
        first_scanned_at = rfc3339(self.ticket.checked_in_at)
        return AlreadyCheckedIn(first_scanned_at=first_scanned_at, gate=self.ticket.checked_in_gate, **details)


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of a verified code. `claimed_at` is the scanner's time; `scanned_by` the actor as in the audit log."""

    claims: CodeClaims
    gate: str | None
    nonce: str | None
    claimed_at: datetime | None
    arrived_at: datetime
    scanned_by: str

    @classmethod
    async def of(cls, session: AsyncSession, access: organizations.Access, body: CheckInTicket) -> Self:
        """Verify the code of a request. Raises InvalidCode."""
        claims = keyring().read(body.code)
        now = await transaction_time(session)
        return cls(claims, body.gate or access.gate, body.nonce, body.scanned_at, now, access.actor)

    def time_for(self, ticket: Ticket) -> ScanTime:
        """When this ticket was scanned, within the bounds of `bound_scan_time`."""
        return bound_scan_time(self.claimed_at, ticket.created_at, self.arrived_at)


async def check_in(
    session: AsyncSession, access: organizations.Access, event_id: UUID, body: CheckInTicket
) -> CheckInOutcome:
    """Admit the ticket or refuse it, and record the scan. Idempotent by nonce.

    Raises:
        NotFound: the event is unknown or belongs to another organization.
        InvalidCode, WrongEvent, NonceUsed: no scan is recorded, because there is no ticket to record it for.
        EventOff: no scan is recorded.
    """
    event = await events.get_own_event(session, access.organization_id, event_id)
    scan = await Scan.of(session, access, body)
    ticket = await _lock_scanned(session, event, scan.claims)
    outcome = await _find_earlier(session, ticket, scan)
    if outcome is None:
        check_takes_place(event)
        outcome = await _decide(session, ticket, scan)
    CHECK_INS.labels(outcome.result.value).inc()
    return outcome


def check_takes_place(event: events.Event) -> None:
    """Raises EventOff for a cancelled event."""
    if event.status == events.EventStatus.CANCELLED:
        raise EventOff(field="code")


async def _lock_scanned(session: AsyncSession, event: events.Event, claims: CodeClaims) -> Ticket:
    if claims.event_id != event.id:
        raise WrongEvent(field="code")
    of_event = (Ticket.organization_id == event.organization_id) & (Ticket.event_id == event.id)
    query = select(Ticket).where(of_event, Ticket.id == claims.ticket_id).with_for_update()
    ticket = await session.scalar(query.execution_options(populate_existing=True))
    if ticket is None:
        raise InvalidCode(field="code")
    if claims.version != ticket.code_version:
        raise InvalidCode(TRANSFERRED, field="code")
    return ticket


async def _find_earlier(session: AsyncSession, ticket: Ticket, scan: Scan) -> CheckInOutcome | None:
    # Looked up under the ticket's lock: a concurrent repetition of the same scan waits for the first one to commit.
    if scan.nonce is None:
        return None
    known = select(CheckIn).where(
        CheckIn.organization_id == ticket.organization_id,
        CheckIn.event_id == ticket.event_id,
        CheckIn.nonce == scan.nonce,
    )
    earlier = await session.scalar(known)
    if earlier is None:
        return None
    if earlier.ticket_id != ticket.id:
        raise NonceUsed(field="nonce")
    return CheckInOutcome(ScanResult(earlier.result), ticket, earlier.claimed_at is not None)


async def _decide(session: AsyncSession, ticket: Ticket, scan: Scan) -> CheckInOutcome:
    result = {
        TicketStatus.VOIDED: ScanResult.VOIDED,
        TicketStatus.CHECKED_IN: ScanResult.ALREADY_CHECKED_IN,
        TicketStatus.ISSUED: ScanResult.ADMITTED,
    }[TicketStatus(ticket.status)]
    time = scan.time_for(ticket)
    await _write(session, ticket, scan, time, result)
    if result == ScanResult.ADMITTED:
        ticket.status = TicketStatus.CHECKED_IN
        ticket.checked_in_at, ticket.checked_in_gate = time.scanned_at, scan.gate
        outbox.publish(session, checked_in(ticket, is_time_corrected=time.is_corrected))
    return CheckInOutcome(result, ticket, time.is_corrected)


async def _write(session: AsyncSession, ticket: Ticket, scan: Scan, time: ScanTime, result: ScanResult) -> None:
    row = {
        "id": new_id(),
        "organization_id": ticket.organization_id,
        "event_id": ticket.event_id,
        "ticket_id": ticket.id,
        "result": result,
        "gate": scan.gate,
        "nonce": scan.nonce,
        "scanned_at": time.scanned_at,
        "claimed_at": time.claimed_at,
        "scanned_by": scan.scanned_by,
    }
    if await write_scans(session, [row]) == 0:
        raise NonceUsed(field="nonce")


async def write_scans(session: AsyncSession, rows: list[dict[str, Any]]) -> int:
    """Insert scans and return how many were inserted. A scan whose nonce is taken is skipped.

    Concurrent scans of two tickets with one nonce hold different locks, so only the unique index detects the conflict.
    """
    nonce = {"index_elements": ["organization_id", "event_id", "nonce"], "index_where": CheckIn.nonce.is_not(None)}
    once = insert(CheckIn).on_conflict_do_nothing(**nonce).returning(CheckIn.id)  # type: ignore[arg-type]
    return len((await session.scalars(once, rows)).all())


def checked_in(ticket: Ticket, *, is_time_corrected: bool, is_correction: bool = False) -> TicketCheckedIn:
    """Build the message of an admission."""
    assert ticket.checked_in_at is not None  # a constraint of the table says so
    return TicketCheckedIn(
        organization_id=ticket.organization_id,
        order_id=ticket.order_id,
        event_id=ticket.event_id,
        ticket_id=ticket.id,
        gate=ticket.checked_in_gate,
        checked_in_at=ticket.checked_in_at,
        is_correction=is_correction,
        is_time_corrected=is_time_corrected,
    )
