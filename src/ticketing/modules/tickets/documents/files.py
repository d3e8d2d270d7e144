"""Tickets as files. They are drawn after the transaction has ended and its connection is back in the pool."""

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

THREADS = 2
#: Limit on queued and running drawings. At 10 to 60 ms each, the last one is finished within two seconds.
QUEUE_MAX = 50

_executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="pdf")
_queued = 0


class NoTickets(Conflict):
    """There is no ticket to print: not issued yet, transferred, or voided."""

    code = "no_tickets"


@dataclass(frozen=True, slots=True)
class File:
    """A download: content, media type and file name."""

    content: bytes
    media_type: str
    name: str


async def ticket_pdf(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Draw one ticket. Raises NotFound, TicketVoided, Overloaded."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    return File(await _in_thread(_draw, [found]), "application/pdf", f"ticket-{found.reference}.pdf")


async def order_pdf(database: Database, order_id: UUID, viewer: iam.Identity) -> File:
    """Draw one page per valid ticket that the viewer may see. Raises NotFound, NoTickets, Overloaded."""
    async with database.transaction(viewer.user_id) as session:
        order, tickets, held_ids = await get_visible_order(session, order_id, viewer)
        shown = [t for t in tickets if t.id in held_ids and t.status != TicketStatus.VOIDED]
        if not shown:
            raise NoTickets
        passes = await list_passes(session, order, shown)
    return await draw_pdf(passes)


async def draw_pdf(passes: Sequence[Pass]) -> File:
    """Draw one page per pass of an order, in a thread. Raises Overloaded."""
    return File(await _in_thread(_draw, passes), "application/pdf", f"tickets-{passes[0].reference}.pdf")


async def ticket_qr(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Draw the QR code of a ticket. Raises NotFound, TicketVoided."""
    async with database.transaction(viewer.user_id) as session:
        found = await _find_pass(session, ticket_id, viewer)
    return File(qr.as_svg(found.code), "image/svg+xml", f"ticket-{found.reference}.svg")


async def ticket_calendar(database: Database, ticket_id: UUID, viewer: iam.Identity) -> File:
    """Build the calendar entry of a ticket. Raises NotFound, TicketVoided."""
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
    # Imported on first use: fpdf2 takes most of a second to import, which would delay the start of API and workers.
    from ticketing.modules.tickets.documents import pdf

    return pdf.draw(passes)


async def _in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    global _queued
    if _queued >= QUEUE_MAX:
        raise Overloaded
    _queued += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_executor, lambda: function(*arguments, **options))
    finally:
        _queued -= 1
