"""Reading tickets: whose they are is asked here."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events, iam, orders, organizations, venues
from ticketing.modules.tickets.documents.queries import code_of
from ticketing.modules.tickets.models import Ticket, TicketStatus
from ticketing.modules.tickets.schemas import TicketEventOut, TicketOut, TicketVenueOut


async def get_visible_ticket(session: AsyncSession, ticket_id: UUID, viewer: iam.Identity) -> Ticket:
    """The ticket of its holder, or of an organization whose staff the viewer is. Raises NotFound for everybody else."""
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        raise NotFound
    if ticket.user_id != viewer.user_id and not await is_staff(session, ticket.organization_id, viewer):
        raise NotFound
    return ticket


async def lock_ticket(session: AsyncSession, ticket_id: UUID) -> Ticket:
    """The ticket, fresh and locked until the transaction ends. Raises NotFound."""
    query = select(Ticket).where(Ticket.id == ticket_id).with_for_update()
    ticket = await session.scalar(query.execution_options(populate_existing=True))
    if ticket is None:
        raise NotFound
    return ticket


async def is_staff(session: AsyncSession, organization_id: UUID, viewer: iam.Identity) -> bool:
    """Whether the viewer may see what this organization has sold."""
    may_read = organizations.Permission.READ_TICKETS
    return await organizations.is_allowed(session, organization_id, viewer.user_id, may_read)


async def list_of_user(session: AsyncSession, user_id: UUID, page: PageQuery) -> tuple[list[Ticket], str | None]:
    """What a person holds, newest first."""
    query = select(Ticket).where(Ticket.user_id == user_id)
    if page.after:
        query = query.where(Ticket.id < page.after_id())
    rows = (await session.scalars(query.order_by(Ticket.id.desc()).limit(page.limit + 1))).all()
    return page.cut(rows, lambda ticket: [str(ticket.id)])


async def list_of_order(session: AsyncSession, order: orders.Order, *, is_locked: bool = False) -> list[Ticket]:
    """The order's tickets in the order of its lines, those of other holders and voided ones too."""
    mine = (Ticket.organization_id == order.organization_id) & (Ticket.order_id == order.id)
    # Locks are taken by id, as everywhere: two who lock several tickets never wait for each other both ways round.
    query = select(Ticket).where(mine).order_by(Ticket.id)
    query = query.with_for_update().execution_options(populate_existing=True) if is_locked else query
    return sorted(await session.scalars(query), key=lambda ticket: (ticket.position, ticket.unit))


async def get_visible_order(
    session: AsyncSession, order_id: UUID, viewer: iam.Identity
) -> tuple[orders.Order, list[Ticket], set[UUID]]:
    """An order, its tickets, and which of these the viewer holds; all of them for staff.

    Raises NotFound for whoever neither bought it nor works for its organization.
    """
    order = await orders.get_order(session, order_id)
    has_staff_eyes = await is_staff(session, order.organization_id, viewer)
    if order.user_id != viewer.user_id and not has_staff_eyes:
        raise NotFound
    tickets = await list_of_order(session, order)
    return order, tickets, {t.id for t in tickets if has_staff_eyes or t.user_id == viewer.user_id}


async def describe(
    session: AsyncSession, tickets: Sequence[Ticket], held_ids: Collection[UUID] | None = None
) -> list[TicketOut]:
    """The tickets with their events, in a fixed number of queries; with codes only for those in `held_ids` if given."""
    await tenancy.show(session, {ticket.organization_id for ticket in tickets})
    shows = await _events_of(session, {ticket.event_id for ticket in tickets})
    return [TicketOut.of(t, shows[t.event_id], code_of(t) if _is_shown(t, held_ids) else None) for t in tickets]


def _is_shown(ticket: Ticket, held_ids: Collection[UUID] | None) -> bool:
    return ticket.status != TicketStatus.VOIDED and (held_ids is None or ticket.id in held_ids)


async def _events_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, TicketEventOut]:
    shows = (await session.scalars(select(events.Event).where(events.Event.id.in_(ids)))).all()
    places = await venues.list_venues_by_ids(session, {show.venue_id for show in shows if show.venue_id})
    return {show.id: _event_out(show, places.get(show.venue_id) if show.venue_id else None) for show in shows}


def _event_out(show: events.Event, venue: venues.Venue | None) -> TicketEventOut:
    return TicketEventOut(
        id=show.id,
        title=show.title,
        status=show.status,
        starts_at=show.starts_at,
        ends_at=show.ends_at,
        timezone=venue.timezone if venue else "UTC",
        venue=TicketVenueOut(name=venue.name, city=venue.city) if venue else None,
    )
