"""Queries of check-ins: statistics, and the ticket list for offline scanners."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events
from ticketing.modules.tickets.checkin.schemas import GateOut, OfflineTicketOut, StatsOut
from ticketing.modules.tickets.checkin.service import EventOff
from ticketing.modules.tickets.models import CheckIn, ScanResult, Ticket, TicketStatus
from ticketing.modules.tickets.service import TicketVoided

OFFLINE_PAGE_MAX = 5000


class OfflinePageQuery(PageQuery):
    """Allows larger pages than other routes: a device downloads the whole list before the doors open."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=OFFLINE_PAGE_MAX)] = OFFLINE_PAGE_MAX,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> None:
        super().__init__(limit, cursor)


OfflinePage = Annotated[OfflinePageQuery, Depends()]


async def get_stats(session: AsyncSession, organization_id: UUID, event_id: UUID) -> StatsOut:
    """Return the event's ticket and scan counts. Raises NotFound."""
    event = await events.get_own_event(session, organization_id, event_id)
    of_event = (Ticket.organization_id == event.organization_id) & (Ticket.event_id == event.id)
    scan_of_event = (CheckIn.organization_id == event.organization_id) & (CheckIn.event_id == event.id)
    statuses = select(Ticket.status, func.count()).where(of_event).group_by(Ticket.status)
    # Counted by tickets and not by scans: a ticket that was voided after its admission is no longer inside.
    is_inside = of_event & (Ticket.status == TicketStatus.CHECKED_IN)
    gates = select(Ticket.checked_in_gate, func.count()).where(is_inside).group_by(Ticket.checked_in_gate)
    scans = select(CheckIn.result, func.count()).where(scan_of_event, CheckIn.result != ScanResult.ADMITTED)
    corrected = select(func.count()).where(scan_of_event, CheckIn.claimed_at.is_not(None))
    count = {row[0]: int(row[1]) for row in await session.execute(statuses)}
    inside = count.get(TicketStatus.CHECKED_IN, 0)
    return StatsOut(
        issued=count.get(TicketStatus.ISSUED, 0) + inside,
        checked_in=inside,
        voided=count.get(TicketStatus.VOIDED, 0),
        by_gate=[
            GateOut(gate=row[0], checked_in=row[1])
            for row in await session.execute(gates.order_by(Ticket.checked_in_gate))
        ],
        refused={row[0]: int(row[1]) for row in await session.execute(scans.group_by(CheckIn.result))},
        corrected_times=await session.scalar(corrected) or 0,
    )


async def list_for_offline(
    session: AsyncSession, organization_id: UUID, event_id: UUID, page: PageQuery
) -> tuple[list[OfflineTicketOut], str | None]:
    """Return one page of the event's tickets, oldest first, and the next cursor. Raises NotFound.

    Voided tickets are included, so that a scanner can tell why it refuses them. All tickets of a cancelled event are
    listed as voided: every scanner refuses them then, also one that does not read `refusal`.
    """
    event = await events.get_own_event(session, organization_id, event_id)
    columns = (Ticket.id, Ticket.code_version, Ticket.status, Ticket.seat_label, Ticket.name, Ticket.holder_name)
    query = select(*columns).where(Ticket.organization_id == event.organization_id, Ticket.event_id == event.id)
    if page.after:
        query = query.where(Ticket.id > page.after_id())
    rows = (await session.execute(query.order_by(Ticket.id).limit(page.limit + 1))).all()
    kept, cursor = page.cut(rows, lambda row: [str(row.id)])
    off = EventOff.code if event.status == events.EventStatus.CANCELLED else None
    return [
        OfflineTicketOut(
            id=row.id,
            code_version=row.code_version,
            status=row.status if off is None else TicketStatus.VOIDED,
            refusal=off or (TicketVoided.code if row.status == TicketStatus.VOIDED else None),
            seat=row.seat_label,
            name=row.name,
            holder_initial=row.holder_name[:1].upper(),
        )
        for row in kept
    ], cursor
