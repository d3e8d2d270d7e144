"""Merge scans that were made offline: the earliest scan of a ticket is its admission.

The result does not depend on the order in which devices sync: when an earlier scan arrives, it becomes the admission,
and the later scan becomes a repeated scan. Scan times come from the devices' clocks, within the bounds of
scan_times.py. A scan whose time is impossible counts from its arrival and never replaces an admission.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, transaction_time
from ticketing.infra.errors import Conflict
from ticketing.modules import events, organizations
from ticketing.modules.tickets.checkin.scan_times import ScanTime, bound_scan_time
from ticketing.modules.tickets.checkin.schemas import OfflineScan, ScanOut
from ticketing.modules.tickets.checkin.service import (
    CHECK_INS,
    TRANSFERRED,
    AlreadyCheckedIn,
    EventOff,
    NonceUsed,
    WrongEvent,
    checked_in,
    write_scans,
)
from ticketing.modules.tickets.codes import CodeClaims, InvalidCode, Keyring, keyring
from ticketing.modules.tickets.models import CheckIn, ScanResult, Ticket, TicketStatus
from ticketing.modules.tickets.service import TicketVoided


class SyncInFlight(Conflict):
    """These scans are being synced by another request at the same time; send them again."""

    code, retry_after_seconds = "sync_in_flight", 1


@dataclass(slots=True)
class _Merge:
    """Rows read under the tickets' locks, and the scans that this batch adds."""

    tickets: dict[UUID, Ticket]
    #: Scans by nonce: of earlier batches, and of this batch so far.
    scans: dict[str, CheckIn]
    #: The admission of each admitted ticket, by ticket id.
    admissions: dict[UUID, CheckIn]
    arrived_at: datetime
    added: list[CheckIn] = field(default_factory=list)


async def sync_scans(
    session: AsyncSession, access: organizations.Access, event_id: UUID, scans: Sequence[OfflineScan]
) -> list[ScanOut]:
    """Merge scans and return their results in request order. Idempotent by nonce.

    Raises:
        NotFound: the event is unknown or belongs to another organization.
        SyncInFlight: a concurrent request uses one of the nonces.
    """
    event = await events.get_own_event(session, access.organization_id, event_id)
    # Verifying a thousand signatures takes about 150 ms: a thread keeps the event loop free.
    claims = await asyncio.to_thread(_verify_all, keyring(), [scan.code for scan in scans])
    merge = await _load(session, event, {c.ticket_id for c in claims if c}, {scan.nonce for scan in scans})
    refused: dict[int, ScanOut] = {}
    times = [_time_of(merge, scan, claim) for scan, claim in zip(scans, claims, strict=True)]
    for n in sorted(range(len(scans)), key=lambda n: (times[n].is_corrected, times[n].scanned_at)):
        if refusal := _refuse(merge, event, scans[n], claims[n]) or _add(merge, access, scans[n], claims[n], times[n]):
            refused[n] = refusal
    await _write(session, merge)
    return [refused.get(n) or _result(merge, scan) for n, scan in enumerate(scans)]


def _verify_all(keys: Keyring, codes: Iterable[str]) -> list[CodeClaims | None]:
    def verify(code: str) -> CodeClaims | None:
        try:
            return keys.read(code)
        except InvalidCode:
            return None

    return [verify(code) for code in codes]


async def _load(session: AsyncSession, event: events.Event, ids: set[UUID], nonces: set[str]) -> _Merge:
    of_event = (Ticket.organization_id == event.organization_id) & (Ticket.event_id == event.id)
    # Every transaction locks tickets in the order of their ids, which rules out deadlocks.
    tickets = select(Ticket).where(of_event, Ticket.id.in_(ids)).order_by(Ticket.id).with_for_update()
    found = {t.id: t for t in await session.scalars(tickets.execution_options(populate_existing=True))}
    scans = select(CheckIn).where(CheckIn.organization_id == event.organization_id, CheckIn.event_id == event.id)
    is_admission = (CheckIn.result == ScanResult.ADMITTED) & CheckIn.ticket_id.in_(found)
    # These statements follow the locks, so they see what was committed while this transaction waited.
    known = {scan.nonce: scan for scan in await session.scalars(scans.where(CheckIn.nonce.in_(nonces)))}
    admitted = {scan.ticket_id: scan for scan in await session.scalars(scans.where(is_admission))}
    arrived_at = await transaction_time(session)
    return _Merge(found, {nonce: scan for nonce, scan in known.items() if nonce}, admitted, arrived_at)


def _time_of(merge: _Merge, scan: OfflineScan, claims: CodeClaims | None) -> ScanTime:
    ticket = merge.tickets.get(claims.ticket_id) if claims else None
    issued_at = ticket.created_at if ticket else merge.arrived_at
    return bound_scan_time(scan.scanned_at, issued_at, merge.arrived_at)


def _refuse(merge: _Merge, event: events.Event, scan: OfflineScan, claims: CodeClaims | None) -> ScanOut | None:
    """Return the refusal of a code that is not a valid ticket of this event. It is not recorded."""
    if claims is None:
        return _refusal(scan, InvalidCode())
    if claims.event_id != event.id:
        return _refusal(scan, WrongEvent())
    ticket = merge.tickets.get(claims.ticket_id)
    if ticket is None:
        return _refusal(scan, InvalidCode())
    if claims.version != ticket.code_version:
        return _refusal(scan, InvalidCode(TRANSFERRED))
    # A scan that was recorded before the cancellation keeps its result.
    is_off = event.status == events.EventStatus.CANCELLED and scan.nonce not in merge.scans
    return _refusal(scan, EventOff()) if is_off else None


def _refusal(scan: OfflineScan, error: InvalidCode | WrongEvent | NonceUsed | EventOff) -> ScanOut:
    return ScanOut(nonce=scan.nonce, result=error.code, message=error.message)


def _add(
    merge: _Merge, access: organizations.Access, scan: OfflineScan, claims: CodeClaims | None, time: ScanTime
) -> ScanOut | None:
    """Decide one scan. Earlier scans of the batch have been decided already."""
    assert claims is not None  # checked by _refuse
    ticket = merge.tickets[claims.ticket_id]
    if known := merge.scans.get(scan.nonce):
        return None if known.ticket_id == ticket.id else _refusal(scan, NonceUsed())
    row = CheckIn(
        id=new_id(),
        organization_id=ticket.organization_id,
        event_id=ticket.event_id,
        ticket_id=ticket.id,
        gate=scan.gate or access.gate,
        nonce=scan.nonce,
        scanned_at=time.scanned_at,
        claimed_at=time.claimed_at,
        scanned_by=access.actor,
        result=_decide(merge, ticket, time),
    )
    if row.result == ScanResult.ADMITTED:
        if replaced := merge.admissions.get(ticket.id):
            replaced.result = ScanResult.ALREADY_CHECKED_IN
        merge.admissions[ticket.id] = row
    merge.scans[scan.nonce] = row
    merge.added.append(row)
    return None


def _decide(merge: _Merge, ticket: Ticket, time: ScanTime) -> ScanResult:
    if ticket.status == TicketStatus.VOIDED:
        return ScanResult.VOIDED
    first = merge.admissions.get(ticket.id)
    # By its scanner's clock, an admission may lie up to CLOCK_AHEAD_MAX in the future: an arrival before that time is
    # not an earlier scan.
    is_first = first is None or (not time.is_corrected and time.scanned_at < first.scanned_at)
    return ScanResult.ADMITTED if is_first else ScanResult.ALREADY_CHECKED_IN


async def _write(session: AsyncSession, merge: _Merge) -> None:
    if not merge.added:
        return
    # Write the replaced admissions first: the unique index allows one admission per ticket at any time.
    await session.flush()
    if await write_scans(session, [_values(scan) for scan in merge.added]) < len(merge.added):
        raise SyncInFlight
    for scan in merge.added:
        CHECK_INS.labels(scan.result.value).inc()
        if scan.result == ScanResult.ADMITTED:
            _admit(session, merge.tickets[scan.ticket_id], scan)


def _values(scan: CheckIn) -> dict[str, Any]:
    names = CheckIn.__table__.columns.keys()
    return {name: getattr(scan, name) for name in names if name != "created_at"}


def _admit(session: AsyncSession, ticket: Ticket, scan: CheckIn) -> None:
    is_correction = ticket.status == TicketStatus.CHECKED_IN
    ticket.status = TicketStatus.CHECKED_IN
    ticket.checked_in_at, ticket.checked_in_gate = scan.scanned_at, scan.gate
    is_time_corrected = scan.claimed_at is not None
    outbox.publish(session, checked_in(ticket, is_time_corrected=is_time_corrected, is_correction=is_correction))


def _result(merge: _Merge, scan: OfflineScan) -> ScanOut:
    recorded = merge.scans[scan.nonce]
    first = merge.admissions.get(recorded.ticket_id)
    return ScanOut(
        nonce=scan.nonce,
        result=recorded.result,
        message=_MESSAGES[ScanResult(recorded.result)],
        ticket_id=recorded.ticket_id,
        first_scanned_at=first.scanned_at if first else None,
        gate=first.gate if first else None,
        is_time_corrected=recorded.claimed_at is not None,
    )


_MESSAGES = {
    ScanResult.ADMITTED: "Admitted",
    ScanResult.ALREADY_CHECKED_IN: AlreadyCheckedIn().message,
    ScanResult.VOIDED: TicketVoided().message,
}
