"""Routes of the door, for everybody who works for the organization, and for the event's devices."""

from uuid import UUID

from fastapi import APIRouter, Response

from ticketing.infra.db import Db
from ticketing.infra.http import error_handlers, idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.tickets.checkin import offline
from ticketing.modules.tickets.checkin import queries as door_queries
from ticketing.modules.tickets.checkin import service as check_ins
from ticketing.modules.tickets.checkin.access import DoorKeeper, DoorReader
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
    event_id: UUID, body: CheckInTicket, scanner: DoorKeeper, session: Db
) -> Envelope[CheckInOut] | Response:
    """Admit a ticket, once."""
    verdict = await check_ins.check_in(session, scanner, event_id, body)
    if refusal := verdict.refusal:
        # Returned, not raised: the refused scan is written down in this transaction, which must commit.
        return error_handlers.render(refusal)
    return envelope(CheckInOut(ticket=DoorTicketOut.of(verdict.ticket)), "Admitted")


@router.get("/stats")
async def get_stats(event_id: UUID, scanner: DoorReader, session: Db) -> Envelope[StatsOut]:
    """How many are inside, and through which gate they came."""
    return envelope(await door_queries.get_stats(session, scanner.organization_id, event_id))


@router.get("/offline-list")
async def list_for_offline(
    event_id: UUID, scanner: DoorReader, page: OfflinePage, session: Db
) -> Envelope[list[OfflineTicketOut]]:
    """Every ticket of the event, for scanners that will have no network; codes are checked with the public keys."""
    rows, cursor = await door_queries.list_for_offline(session, scanner.organization_id, event_id, page)
    return envelope(rows, next_cursor=cursor)


@router.post("/sync")
async def sync_scans(event_id: UUID, body: SyncScans, scanner: DoorKeeper, session: Db) -> Envelope[SyncOut]:
    """Merge scans that were made without a network; each gets its own result, and sending them again is harmless."""
    return envelope(SyncOut(results=await offline.sync_scans(session, scanner, event_id, body.scans)))
