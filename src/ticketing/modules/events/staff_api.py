"""Routes of events for members of an organization."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import organizations
from ticketing.modules.events import queries, seat_plan, seat_sync, service, ticket_types, views
from ticketing.modules.events.schemas import (
    BlockedOut,
    ChooseSeats,
    CreateEvent,
    CreateTicketType,
    EventOut,
    SyncedOut,
    TicketTypeOut,
    UpdateEvent,
)

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_EVENTS)]
Editor = Annotated[organizations.Access, organizations.may(organizations.Permission.EDIT_EVENTS)]

router = APIRouter(prefix="/orgs/{org_id}/events", route_class=idempotency.Route)


@router.post("", status_code=201)
async def create_event(body: CreateEvent, access: Editor, session: Db) -> Envelope[EventOut]:
    """Create a draft."""
    event = await service.create_event(session, access, body.model_dump())
    return envelope(await views.describe_event(session, event))


@router.get("")
async def list_events(page: Page, access: Reader, session: Db) -> Envelope[list[EventOut]]:
    """List the organization's events in any status, newest first."""
    rows = await queries.list_own_events(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda event: [str(event.id)])
    return envelope(await views.describe_events(session, kept), next_cursor=cursor)


@router.get("/{event_id}")
async def get_event(event_id: UUID, access: Reader, session: Db) -> Envelope[EventOut]:
    """Get an event of the organization in any status."""
    event = await queries.get_own_event(session, access.organization_id, event_id)
    return envelope(await views.describe_event(session, event))


@router.patch("/{event_id}")
async def update_event(event_id: UUID, body: UpdateEvent, access: Editor, session: Db) -> Envelope[EventOut]:
    """Change a draft or a published event; omitted fields stay unchanged."""
    event = await service.update_event(session, access, event_id, body.model_dump(exclude_unset=True))
    return envelope(await views.describe_event(session, event))


@router.post("/{event_id}/publish")
async def publish_event(event_id: UUID, access: Editor, session: Db) -> Envelope[EventOut]:
    """Make a draft public."""
    event = await service.publish_event(session, access, event_id)
    return envelope(await views.describe_event(session, event))


@router.post("/{event_id}/cancel")
async def cancel_event(event_id: UUID, access: Editor, session: Db) -> Envelope[EventOut]:
    """Cancel a draft or a published event."""
    event = await service.cancel_event(session, access, event_id)
    return envelope(await views.describe_event(session, event))


@router.post("/{event_id}/ticket-types", status_code=201)
async def create_ticket_type(
    event_id: UUID, body: CreateTicketType, access: Editor, session: Db
) -> Envelope[TicketTypeOut]:
    """Price categories of seats, or sell general admission with a capacity."""
    event = await service.get_open_event(session, access, event_id)
    ticket_type = await ticket_types.create_ticket_type(session, access, event, body)
    categories = sorted(set(body.categories or []))
    return envelope(views.describe_ticket_type(ticket_type, event.currency, categories))


@router.get("/{event_id}/ticket-types")
async def list_ticket_types(event_id: UUID, access: Reader, session: Db) -> Envelope[list[TicketTypeOut]]:
    """List the ticket types of an event, oldest first."""
    event = await queries.get_own_event(session, access.organization_id, event_id)
    return envelope((await views.describe_ticket_types(session, [event]))[event.id])


@router.post("/{event_id}/seats/sync", response_model_exclude_none=True)
async def sync_seats(
    event_id: UUID,
    access: Editor,
    session: Db,
    dry_run: Annotated[bool, Query(description="answer what would change, and change nothing")] = False,
) -> Envelope[SyncedOut]:
    """Give the event the seats of its venue's latest plan. Seats that both plans have keep status and owner."""
    event = await service.get_open_event(session, access, event_id)
    if dry_run:
        return envelope(await seat_sync.describe_sync(session, event))
    seats = await seat_sync.sync_seats(session, access, event)
    return envelope(SyncedOut(seats=seats, plan_version=event.plan_version or 0))


@router.post("/{event_id}/seats/block")
async def block_seats(event_id: UUID, body: ChooseSeats, access: Editor, session: Db) -> Envelope[BlockedOut]:
    """Take available seats off sale, all or none."""
    event = await service.get_open_event(session, access, event_id)
    await seat_plan.block_seats(session, access, event, body.seats)
    return envelope(BlockedOut(seats=len(body.seats)))


@router.post("/{event_id}/seats/unblock")
async def unblock_seats(event_id: UUID, body: ChooseSeats, access: Editor, session: Db) -> Envelope[BlockedOut]:
    """Put blocked seats back on sale, all or none."""
    event = await service.get_open_event(session, access, event_id)
    await seat_plan.unblock_seats(session, access, event, body.seats)
    return envelope(BlockedOut(seats=len(body.seats)))
