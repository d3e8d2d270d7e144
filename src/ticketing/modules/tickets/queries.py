"""Queries of tickets. Each query for a viewer checks whether they may see the ticket."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import NotFound
from ticketing.modules import events, iam, orders, organizations, venues
from ticketing.modules.tickets.codes import code_of
from ticketing.modules.tickets.models import Ticket, TicketStatus
from ticketing.modules.tickets.schemas import TicketEventOut, TicketOut, TicketVenueOut


async def get_visible_ticket(session: AsyncSession, ticket_id: UUID, viewer: iam.Identity) -> Ticket:
    """Return a ticket for its holder or for staff of its organization. Raises NotFound for any other viewer."""
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        raise NotFound
    if ticket.user_id != viewer.user_id and not await is_staff(session, ticket.organization_id, viewer):
        raise NotFound
    return ticket


async def lock_ticket(session: AsyncSession, ticket_id: UUID) -> Ticket:
    """Return the ticket, freshly read and locked until the transaction ends. Raises NotFound."""
    query = select(Ticket).where(Ticket.id == ticket_id).with_for_update()
    ticket = await session.scalar(query.execution_options(populate_existing=True))
    if ticket is None:
        raise NotFound
    return ticket


async def is_staff(session: AsyncSession, organization_id: UUID, viewer: iam.Identity) -> bool:
    """Return whether the viewer may read all tickets of this organization."""
    may_read = organizations.Permission.READ_TICKETS
    return await organizations.is_allowed(session, organization_id, viewer.user_id, may_read)


async def list_of_order(session: AsyncSession, order: orders.Order, *, is_locked: bool = False) -> list[Ticket]:
    """Return all tickets of the order in the order of its lines, including transferred and voided ones."""
    of_order = (Ticket.organization_id == order.organization_id) & (Ticket.order_id == order.id)
    # Every transaction locks tickets in the order of their ids, which rules out deadlocks.
    query = select(Ticket).where(of_order).order_by(Ticket.id)
    query = query.with_for_update().execution_options(populate_existing=True) if is_locked else query
    return sorted(await session.scalars(query), key=lambda ticket: (ticket.position, ticket.unit))


async def get_visible_order(
    session: AsyncSession, order_id: UUID, viewer: iam.Identity
) -> tuple[orders.Order, list[Ticket], set[UUID]]:
    """Return an order, its tickets, and the ids of the tickets whose code the viewer may see.

    The holder may see a ticket's code, and staff may see all codes. Raises NotFound unless the viewer is the buyer or
    staff of the organization.
    """
    order = await orders.get_order(session, order_id)
    is_viewer_staff = await is_staff(session, order.organization_id, viewer)
    if order.user_id != viewer.user_id and not is_viewer_staff:
        raise NotFound
    tickets = await list_of_order(session, order)
    return order, tickets, {t.id for t in tickets if is_viewer_staff or t.user_id == viewer.user_id}


async def describe(
    session: AsyncSession, tickets: Sequence[Ticket], held_ids: Collection[UUID] | None = None
) -> list[TicketOut]:
    """Return the tickets with their events, in a fixed number of queries.

    Codes are included for the tickets in `held_ids`, or for all tickets when it is None; never for voided tickets.
    """
    await tenancy.show(session, {ticket.organization_id for ticket in tickets})
    events_out = await _events_of(session, {ticket.event_id for ticket in tickets})
    return [TicketOut.of(t, events_out[t.event_id], _code_for_viewer(t, held_ids)) for t in tickets]


def _code_for_viewer(ticket: Ticket, held_ids: Collection[UUID] | None) -> str | None:
    if ticket.status == TicketStatus.VOIDED or (held_ids is not None and ticket.id not in held_ids):
        return None
    return code_of(ticket.id, ticket.event_id, ticket.code_version)


async def _events_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, TicketEventOut]:
    found = (await session.scalars(select(events.Event).where(events.Event.id.in_(ids)))).all()
    venues_by_id = await venues.list_venues_by_ids(session, {event.venue_id for event in found if event.venue_id})
    return {e.id: _event_out(e, venues_by_id.get(e.venue_id) if e.venue_id else None) for e in found}


def _event_out(event: events.Event, venue: venues.Venue | None) -> TicketEventOut:
    return TicketEventOut(
        id=event.id,
        title=event.title,
        status=event.status,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        timezone=event.timezone,
        venue=TicketVenueOut(name=venue.name, city=venue.city) if venue else None,
    )
