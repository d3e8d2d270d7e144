"""Tickets as files. They are drawn after the database has been read and its connection given back."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.config import get_settings
from ticketing.infra.db import Database
from ticketing.infra.errors import Conflict, Overloaded
from ticketing.modules import iam, orders
from ticketing.modules.tickets.documents import calendar, qr
from ticketing.modules.tickets.documents.passes import Pass
from ticketing.modules.tickets.documents.queries import list_passes
from ticketing.modules.tickets.models import TicketStatus
from ticketing.modules.tickets.queries import get_visible_order, get_visible_ticket
from ticketing.modules.tickets.service import TicketVoided

P = ParamSpec("P")
T = TypeVar("T")

DRAWINGS_MAX = 2
#: Drawings that wait or run; at 10 to 60 ms each the last one is served within seconds.
QUEUE_MAX = 50

_drawing = ThreadPoolExecutor(max_workers=DRAWINGS_MAX, thread_name_prefix="pdf")
_waiting = 0


class NoTickets(Conflict):
    """There is no ticket here to print: not issued yet, given away, or voided."""

    code = "no_tickets"


@dataclass(frozen=True, slots=True)
class File:
    """What a browser is to save, and under which name."""

    content: bytes
    media_type: str
    name: str


async def ticket_pdf(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Raises NotFound, TicketVoided, Overloaded."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    return File(await _in_thread(_draw, [found]), "application/pdf", f"ticket-{found.reference}.pdf")


async def order_pdf(database: Database, order_id: UUID, viewer: iam.Identity) -> File:
    """One page for each ticket that the viewer holds and that is not voided. Raises NotFound, NoTickets, Overloaded."""
    async with database.transaction(viewer.user_id) as session:
        order, tickets, held_ids = await get_visible_order(session, order_id, viewer)
        shown = [t for t in tickets if t.id in held_ids and t.status != TicketStatus.VOIDED]
        if not shown:
            raise NoTickets
        passes = await list_passes(session, order, shown)
    return await draw_pdf(passes)


async def draw_pdf(passes: Sequence[Pass]) -> File:
    """One page for each of an order's passes, drawn in a thread. Raises Overloaded."""
    return File(await _in_thread(_draw, passes), "application/pdf", f"tickets-{passes[0].reference}.pdf")


async def ticket_qr(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Raises NotFound, TicketVoided."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    return File(qr.as_svg(found.code), "image/svg+xml", f"ticket-{found.reference}.svg")


async def ticket_calendar(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Raises NotFound, TicketVoided."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    url = f"{get_settings().base_url}/o/{found.reference}"
    return File(calendar.as_calendar(found, url), "text/calendar; charset=utf-8", f"ticket-{found.reference}.ics")


async def _find_pass(session: AsyncSession, ticket_id: UUID, viewer: iam.Identity) -> Pass:
    ticket = await get_visible_ticket(session, ticket_id, viewer)
    if ticket.status == TicketStatus.VOIDED:
        raise TicketVoided
    order = await orders.get_order(session, ticket.order_id)
    return (await list_passes(session, order, [ticket]))[0]


def _draw(passes: Sequence[Pass]) -> bytes:
    # Imported here: fpdf2 takes most of a second, which workers and the start of the API can do without.
    from ticketing.modules.tickets.documents import pdf

    return pdf.draw(passes)


async def _in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    global _waiting
    if _waiting >= QUEUE_MAX:
        raise Overloaded
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_drawing, lambda: function(*arguments, **options))
    finally:
        _waiting -= 1
