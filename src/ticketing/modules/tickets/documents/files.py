"""Tickets as files. They are drawn after the transaction has ended and its connection is back in the pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.config import get_settings
from ticketing.infra.db import Database
from ticketing.infra.errors import Conflict
from ticketing.modules import iam, orders
from ticketing.modules.tickets.documents import calendar, qr
from ticketing.modules.tickets.documents.drawings import Drawings, IsWanted
from ticketing.modules.tickets.documents.passes import Pass
from ticketing.modules.tickets.documents.queries import list_passes
from ticketing.modules.tickets.models import TicketStatus
from ticketing.modules.tickets.queries import get_visible_order, get_visible_ticket
from ticketing.modules.tickets.service import TicketVoided

_drawings = Drawings()


class NoTickets(Conflict):
    """There is no ticket to print: not issued yet, transferred, or voided."""

    code = "no_tickets"


@dataclass(frozen=True, slots=True)
class File:
    """A download: content, media type and file name."""

    content: bytes
    media_type: str
    name: str


async def ticket_pdf(database: Database, ticket_id: UUID, viewer: iam.Identity, is_wanted: IsWanted) -> File:
    """Draw one ticket. Raises NotFound, TicketVoided, Overloaded, ClientDisconnect."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    content = await _drawings.draw([found], str(viewer.user_id), is_wanted)
    return File(content, "application/pdf", f"ticket-{found.reference}.pdf")


async def order_pdf(database: Database, order_id: UUID, viewer: iam.Identity, is_wanted: IsWanted) -> File:
    """Draw one page per valid ticket that the viewer may see.

    Raises:
        NotFound, NoTickets, Overloaded, ClientDisconnect.
    """
    async with database.transaction(viewer.user_id) as session:
        order, tickets, held_ids = await get_visible_order(session, order_id, viewer)
        shown = [t for t in tickets if t.id in held_ids and t.status != TicketStatus.VOIDED]
        if not shown:
            raise NoTickets
        passes = await list_passes(session, order, shown)
    return await _draw_order(passes, str(viewer.user_id), is_wanted)


async def draw_pdf(passes: Sequence[Pass]) -> File:
    """Draw one page per pass of an order, for an email. Raises Overloaded."""

    async def is_wanted() -> bool:
        return True

    return await _draw_order(passes, passes[0].reference, is_wanted)


async def _draw_order(passes: Sequence[Pass], source: str, is_wanted: IsWanted) -> File:
    content = await _drawings.draw(passes, source, is_wanted)
    return File(content, "application/pdf", f"tickets-{passes[0].reference}.pdf")


async def ticket_qr(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Draw the QR code of a ticket. Raises NotFound, TicketVoided."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    return File(qr.as_svg(found.code), "image/svg+xml", f"ticket-{found.reference}.svg")


async def ticket_calendar(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Build the calendar entry of a ticket. Raises NotFound, TicketVoided."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    return File(_calendar([found]), "text/calendar; charset=utf-8", f"ticket-{found.reference}.ics")


def event_calendar(passes: Sequence[Pass]) -> File:
    """Build the calendar entries of tickets for one event, for an email. The media type names the file's method."""
    media_type = f"text/calendar; charset=utf-8; method={passes[0].revision.method}"
    return File(_calendar(passes), media_type, "event.ics")


def _calendar(passes: Sequence[Pass]) -> bytes:
    settings = get_settings()
    return calendar.as_calendar(passes, settings.base_url, settings.sender)


async def _find_pass(session: AsyncSession, ticket_id: UUID, viewer: iam.Identity) -> Pass:
    ticket = await get_visible_ticket(session, ticket_id, viewer)
    if ticket.status == TicketStatus.VOIDED:
        raise TicketVoided
    order = await orders.get_order(session, ticket.order_id)
    return (await list_passes(session, order, [ticket]))[0]
