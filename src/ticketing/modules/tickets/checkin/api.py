"""Routes of check-ins, for members and API keys of the organization and for devices of the event."""

from uuid import UUID

from fastapi import APIRouter, Response

from ticketing.infra.db import Db
from ticketing.infra.http import error_handlers, idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.tickets.checkin import offline, queries, service
from ticketing.modules.tickets.checkin.access import DoorReader, DoorScanner
from ticketing.modules.tickets.checkin.queries import OfflinePage
from ticketing.modules.tickets.checkin.schemas import (
    CheckInOut,
    CheckInTicket,
    DoorTicketOut,
    OfflineTicketOut,
    StatsOut,
    SyncOut,
    SyncScans,
)

router = APIRouter(
    prefix="/orgs/{org_id}/events/{event_id}/check-ins", tags=["check-ins"], route_class=idempotency.Route
)


@router.post("", response_model=Envelope[CheckInOut])
async def check_in(
    event_id: UUID, body: CheckInTicket, scanner: DoorScanner, session: Db
) -> Envelope[CheckInOut] | Response:
    """Check in a ticket. Each ticket is admitted once."""
    outcome = await service.check_in(session, scanner, event_id, body)
    if refusal := outcome.refusal:
        # Returned, not raised: the refused scan is recorded in this transaction, which must commit.
        return error_handlers.render(refusal)
    return envelope(_describe(outcome), "Admitted")


def _describe(outcome: service.CheckInOutcome) -> CheckInOut:
    return CheckInOut(ticket=DoorTicketOut.of(outcome.ticket), is_time_corrected=outcome.is_time_corrected)


@router.get("/stats")
async def get_stats(event_id: UUID, scanner: DoorReader, session: Db) -> Envelope[StatsOut]:
    """Count tickets by status, admissions by gate, and refused scans by result."""
    return envelope(await queries.get_stats(session, scanner.organization_id, event_id))


@router.get("/offline-list")
async def list_for_offline(
    event_id: UUID, scanner: DoorReader, page: OfflinePage, session: Db
) -> Envelope[list[OfflineTicketOut]]:
    """List all tickets of the event, for scanners that work offline. They verify codes with the public keys.

    All tickets of a cancelled event are listed as voided; `refusal` is the error code with which the door refuses one.
    """
    rows, cursor = await queries.list_for_offline(session, scanner.organization_id, event_id, page)
    return envelope(rows, next_cursor=cursor)


@router.post("/sync")
async def sync_scans(event_id: UUID, body: SyncScans, scanner: DoorScanner, session: Db) -> Envelope[SyncOut]:
    """Merge scans that were made offline. Each scan gets a result. Idempotent by nonce."""
    return envelope(SyncOut(results=await offline.sync_scans(session, scanner, event_id, body.scans)))
