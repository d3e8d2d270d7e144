"""All that stands on the tickets of an order, read in one round trip."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements, tenancy
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.errors import NotFound
from ticketing.modules import events, orders
from ticketing.modules.tickets.codes import CodeClaims, keyring
from ticketing.modules.tickets.documents.passes import Pass, Place
from ticketing.modules.tickets.models import Ticket


class HeldTicket(NamedTuple):
    """As much of a ticket as stands on it."""

    id: UUID
    event_id: UUID
    code_version: int
    position: int
    name: str
    holder_name: str


class _Show(NamedTuple):
    """What the tickets of an order are for, and to whom they were sold."""

    organization: str
    title: str
    status: str
    starts_at: datetime
    ends_at: datetime | None
    timezone: str
    venue: str | None
    city: str | None
    reference: str
    currency: str
    buyer_email: str


class _Line(NamedTuple):
    """What one line of the order costs, in minor units, and where it sits. A label can't be taken apart for that, as
    sections have dashes in their names too, so the plan says it."""

    price_minor: int
    section: str | None
    row: str | None
    seat: str | None

    @property
    def place(self) -> Place | None:
        if self.section is None or self.row is None or self.seat is None:
            return None
        return Place(self.section, self.row, self.seat)


async def _query_print(connection: DriverConnection, order_id: UUID) -> PendingQuery[tuple[_Show, dict[int, _Line]]]:
    """The order's show, and its lines by position. Fetching raises NotFound."""
    return PendingQuery(_parse_print, await send(connection, _SHOW, order_id), await send(connection, _LINES, order_id))


def _parse_print(shows: Sequence[tuple[Any, ...]], lines: Sequence[tuple[Any, ...]]) -> tuple[_Show, dict[int, _Line]]:
    if not shows:
        raise NotFound
    return _Show(*shows[0]), {position: _Line(*line) for position, *line in lines}


async def list_passes(session: AsyncSession, order: orders.Order, tickets: Sequence[Ticket]) -> list[Pass]:
    """All that stands on these tickets, which are of one order."""
    async with statements.round_trip(session) as connection:
        await tenancy.show_on(connection, [order.organization_id])
        pending = await _query_print(connection, order.id)
    show, lines = await pending.fetch()
    return [_pass_of(ticket, show, lines[ticket.position]) for ticket in tickets]


async def list_passes_of_buyer(session: AsyncSession, order_id: UUID) -> tuple[str, list[Pass]]:
    """The address that the order names, and what a letter to it is about.

    That is neither what is voided, nor what was given away, nor a cancelled event's. For workers, who see all rows.
    Raises NotFound.
    """
    async with statements.round_trip(session) as connection:
        pending = await _query_print(connection, order_id)
        held = await send(connection, _HELD_BY_BUYER, order_id)
    show, lines = await pending.fetch()
    if show.status == events.EventStatus.CANCELLED:
        return show.buyer_email, []
    tickets = [HeldTicket(*ticket) for ticket in await held.fetchall()]
    return show.buyer_email, [_pass_of(ticket, show, lines[ticket.position]) for ticket in tickets]


def code_of(ticket: Ticket | HeldTicket) -> str:
    """The ticket's code, as it is since its last transfer."""
    return keyring().sign(CodeClaims(ticket.id, ticket.event_id, ticket.code_version))


def _pass_of(ticket: Ticket | HeldTicket, show: _Show, line: _Line) -> Pass:
    return Pass(
        ticket_id=ticket.id,
        organization=show.organization,
        title=show.title,
        starts_at=show.starts_at,
        ends_at=show.ends_at,
        timezone=show.timezone,
        venue=show.venue,
        city=show.city,
        place=line.place,
        kind=ticket.name,
        holder=ticket.holder_name,
        price_minor=line.price_minor,
        currency=show.currency,
        reference=show.reference,
        code=code_of(ticket),
        is_event_cancelled=show.status == events.EventStatus.CANCELLED,
    )


_SHOW = """
select g.name, e.title, e.status, e.starts_at, e.ends_at, coalesce(v.timezone, 'UTC'), v.name, v.city, o.reference,
       o.currency, o.buyer_email
  from orders o
  join events e on e.id = o.event_id
  join organizations g on g.id = o.organization_id
  left join venues v on v.id = e.venue_id
 where o.id = %s"""
_LINES = """
select l.position, l.price_minor, s.section, s.row, s.seat
  from orders o
  join order_lines l on l.organization_id = o.organization_id and l.order_id = o.id
  join events e on e.id = o.event_id
  left join plan_seats s on s.organization_id = e.organization_id and s.venue_id = e.venue_id
                        and s.plan_version = e.plan_version and s.number = l.seat_number
 where o.id = %s"""
_HELD_BY_BUYER = """
select t.id, t.event_id, t.code_version, t.position, t.name, t.holder_name
  from orders o
  join tickets t on t.organization_id = o.organization_id and t.order_id = o.id
 where o.id = %s and t.user_id = o.user_id and t.status <> 'voided'
 order by t.position, t.unit"""
