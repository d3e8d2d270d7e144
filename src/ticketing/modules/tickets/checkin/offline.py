"""Scans that were made without a network, merged afterwards: the earliest one of a ticket is its admission.

Whatever the order in which devices come back, the outcome is the same: when an earlier scan turns up, the admission
moves to it, and the later one becomes a repetition. Times are the devices' own words, used to compare scans only.
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
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict
from ticketing.modules import events, organizations
from ticketing.modules.tickets.checkin.schemas import OfflineScan, ScanOut
from ticketing.modules.tickets.checkin.service import (
    CHECK_INS,
    TRANSFERRED,
    AlreadyCheckedIn,
    NonceUsed,
    WrongEvent,
    checked_in,
    write_scans,
)
from ticketing.modules.tickets.codes import CodeClaims, InvalidCode, Keyring, keyring
from ticketing.modules.tickets.models import CheckIn, ScanResult, Ticket, TicketStatus
from ticketing.modules.tickets.service import TicketVoided


class SyncInFlight(Conflict):
    """These scans are being sent twice at this moment; send them again."""

    code, retry_after_seconds = "sync_in_flight", 1


@dataclass(slots=True)
class _Merge:
    """What is known under the tickets' locks, and what this batch adds to it."""

    tickets: dict[UUID, Ticket]
    #: Scans by nonce: those of earlier batches, and the ones decided so far.
    scans: dict[str, CheckIn]
    #: The admission of each ticket that has one.
    admissions: dict[UUID, CheckIn]
    added: list[CheckIn] = field(default_factory=list)


async def sync_scans(
    session: AsyncSession, access: organizations.Access, event_id: UUID, scans: Sequence[OfflineScan]
) -> list[ScanOut]:
    """Merge, and answer each scan in the order in which they came. Sending them again changes nothing.

    Raises:
        NotFound: the event is unknown, or another organization's.
        SyncInFlight: two devices claim one nonce at once.
    """
    event = await events.get_own_event(session, access.organization_id, event_id)
    # A thousand signatures take about 150 ms, which nobody else should have to wait for.
    claims = await asyncio.to_thread(_read_all, keyring(), [scan.code for scan in scans])
    merge = await _load(session, event, {c.ticket_id for c in claims if c}, {scan.nonce for scan in scans})
    refused: dict[int, ScanOut] = {}
    for n in sorted(range(len(scans)), key=lambda n: scans[n].scanned_at):
        if refusal := _refuse(merge, event, scans[n], claims[n]) or _add(merge, access, scans[n], claims[n]):
            refused[n] = refusal
    await _write(session, merge)
    return [refused.get(n) or _answer(merge, scan) for n, scan in enumerate(scans)]


def _read_all(keys: Keyring, codes: Iterable[str]) -> list[CodeClaims | None]:
    def read(code: str) -> CodeClaims | None:
        try:
            return keys.read(code)
        except InvalidCode:
            return None

    return [read(code) for code in codes]


async def _load(session: AsyncSession, event: events.Event, ids: set[UUID], nonces: set[str]) -> _Merge:
    mine = (Ticket.organization_id == event.organization_id) & (Ticket.event_id == event.id)
    # In the order of ids, as every other batch: two of them wait for each other, and never both ways round.
    tickets = select(Ticket).where(mine, Ticket.id.in_(ids)).order_by(Ticket.id).with_for_update()
    found = {t.id: t for t in await session.scalars(tickets.execution_options(populate_existing=True))}
    here = (CheckIn.organization_id == event.organization_id) & (CheckIn.event_id == event.id)
    is_admission = (CheckIn.result == ScanResult.ADMITTED) & CheckIn.ticket_id.in_(found)
    # Statements after the locks: they see what was committed while we waited.
    known = {scan.nonce: scan for scan in await session.scalars(select(CheckIn).where(here, CheckIn.nonce.in_(nonces)))}
    admitted = {scan.ticket_id: scan for scan in await session.scalars(select(CheckIn).where(here, is_admission))}
    return _Merge(found, {nonce: scan for nonce, scan in known.items() if nonce}, admitted)


def _refuse(merge: _Merge, event: events.Event, scan: OfflineScan, claims: CodeClaims | None) -> ScanOut | None:
    """The answer to a scan of what is no ticket of this event; it is not written down."""
    if claims is None:
        return _no(scan, InvalidCode())
    if claims.event_id != event.id:
        return _no(scan, WrongEvent())
    ticket = merge.tickets.get(claims.ticket_id)
    if ticket is None:
        return _no(scan, InvalidCode())
    return None if claims.version == ticket.code_version else _no(scan, InvalidCode(TRANSFERRED))


def _no(scan: OfflineScan, error: InvalidCode | WrongEvent | NonceUsed) -> ScanOut:
    return ScanOut(nonce=scan.nonce, result=error.code, message=error.message)


def _add(merge: _Merge, access: organizations.Access, scan: OfflineScan, claims: CodeClaims | None) -> ScanOut | None:
    """Decide one scan; the ones before it in time are decided already."""
    assert claims is not None  # refused before
    ticket = merge.tickets[claims.ticket_id]
    if known := merge.scans.get(scan.nonce):
        return None if known.ticket_id == ticket.id else _no(scan, NonceUsed())
    row = CheckIn(
        id=new_id(),
        organization_id=ticket.organization_id,
        event_id=ticket.event_id,
        ticket_id=ticket.id,
        gate=scan.gate or access.gate,
        nonce=scan.nonce,
        scanned_at=scan.scanned_at,
        scanned_by=access.actor,
        result=_decide(merge, ticket, scan.scanned_at),
    )
    if row.result == ScanResult.ADMITTED:
        if overtaken := merge.admissions.get(ticket.id):
            overtaken.result = ScanResult.ALREADY_CHECKED_IN
        merge.admissions[ticket.id] = row
    merge.scans[scan.nonce] = row
    merge.added.append(row)
    return None


def _decide(merge: _Merge, ticket: Ticket, scanned_at: datetime) -> ScanResult:
    if ticket.status == TicketStatus.VOIDED:
        return ScanResult.VOIDED
    first = merge.admissions.get(ticket.id)
    return ScanResult.ADMITTED if first is None or scanned_at < first.scanned_at else ScanResult.ALREADY_CHECKED_IN


async def _write(session: AsyncSession, merge: _Merge) -> None:
    if not merge.added:
        return
    # The overtaken admissions make room first: the index allows one of a ticket at every moment.
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
    outbox.publish(session, checked_in(ticket, is_correction=is_correction))


def _answer(merge: _Merge, scan: OfflineScan) -> ScanOut:
    kept = merge.scans[scan.nonce]
    first = merge.admissions.get(kept.ticket_id)
    return ScanOut(
        nonce=scan.nonce,
        result=kept.result,
        message=_MESSAGES[ScanResult(kept.result)],
        ticket_id=kept.ticket_id,
        first_scanned_at=first.scanned_at if first else None,
        gate=first.gate if first else None,
    )


_MESSAGES = {
    ScanResult.ADMITTED: "Admitted",
    ScanResult.ALREADY_CHECKED_IN: AlreadyCheckedIn().message,
    ScanResult.VOIDED: TicketVoided().message,
}
