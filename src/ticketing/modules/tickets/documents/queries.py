"""Read the data printed on an order's tickets in one round trip."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements, tenancy
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.errors import NotFound
from ticketing.infra.formats.calendar_file import Revision
from ticketing.modules import events, orders
from ticketing.modules.tickets.codes import code_of
from ticketing.modules.tickets.documents.passes import Pass, Place
from ticketing.modules.tickets.models import Ticket


class HeldTicket(NamedTuple):
    """The columns of a ticket that are printed on it."""

    id: UUID
    event_id: UUID
    code_version: int
    position: int
    name: str
    holder_name: str


class _OrderDetails(NamedTuple):
    """The event, venue and buyer of an order."""

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
    calendar_sequence: int
    calendar_changed_at: datetime


class _Line(NamedTuple):
    """An order line: the price per unit in minor units, and the seat.

    The parts of the seat come from the seating plan. They cannot be parsed from the label, because section names may
    contain dashes.
    """

    price_minor: int
    section: str | None
    row: str | None
    seat: str | None
    row_label: str | None
    seat_label: str | None

    @property
    def place(self) -> Place | None:
        if self.section is None or self.row is None or self.seat is None:
            return None
        return Place(self.section, self.row, self.seat, self.row_label, self.seat_label)


_SELECT_DETAILS = """
select g.name, e.title, e.status, e.starts_at, e.ends_at, e.timezone, v.name, v.city, o.reference,
       o.currency, o.buyer_email, e.calendar_sequence, e.calendar_changed_at
  from orders o
  join events e on e.id = o.event_id
  join organizations g on g.id = o.organization_id
  left join venues v on v.id = e.venue_id
 where o.id = %s"""
_SELECT_LINES = """
select l.position, l.price_minor, s.section, s.row, s.seat, s.row_label, s.seat_label
  from orders o
  join order_lines l on l.organization_id = o.organization_id and l.order_id = o.id
  join events e on e.id = o.event_id
  left join plan_seats s on s.organization_id = e.organization_id and s.venue_id = e.venue_id
                        and s.plan_version = e.plan_version and s.number = l.seat_number
 where o.id = %s"""


async def _query_order(
    connection: DriverConnection, order_id: UUID
) -> PendingQuery[tuple[_OrderDetails, dict[int, _Line]]]:
    """The order's details, and its lines by position. Fetching raises NotFound."""
    details = await send(connection, _SELECT_DETAILS, order_id)
    return PendingQuery(_parse_order, details, await send(connection, _SELECT_LINES, order_id))


def _parse_order(
    details: Sequence[tuple[Any, ...]], lines: Sequence[tuple[Any, ...]]
) -> tuple[_OrderDetails, dict[int, _Line]]:
    if not details:
        raise NotFound
    return _OrderDetails(*details[0]), {position: _Line(*line) for position, *line in lines}


async def list_passes(session: AsyncSession, order: orders.Order, tickets: Sequence[Ticket]) -> list[Pass]:
    """Return the passes of these tickets, which belong to one order."""
    async with statements.round_trip(session) as connection:
        await tenancy.show_on(connection, [order.organization_id])
        pending = await _query_order(connection, order.id)
    details, lines = await pending.fetch()
    return [_pass_of(ticket, details, lines[ticket.position]) for ticket in tickets]


_SELECT_HELD_BY_BUYER = """
select t.id, t.event_id, t.code_version, t.position, t.name, t.holder_name
  from orders o
  join tickets t on t.organization_id = o.organization_id and t.order_id = o.id
 where o.id = %s and t.user_id = o.user_id and t.status <> 'voided'
 order by t.position, t.unit"""


async def list_passes_of_buyer(session: AsyncSession, order_id: UUID) -> tuple[str, list[Pass]]:
    """Return the order's email address and the passes for the email to it.

    Voided and transferred tickets are left out, and so are all tickets of a cancelled event. For workers, whose
    database role bypasses row-level security. Raises NotFound.
    """
    async with statements.round_trip(session) as connection:
        pending = await _query_order(connection, order_id)
        held = await send(connection, _SELECT_HELD_BY_BUYER, order_id)
    details, lines = await pending.fetch()
    if details.status == events.EventStatus.CANCELLED:
        return details.buyer_email, []
    tickets = [HeldTicket(*ticket) for ticket in await held.fetchall()]
    return details.buyer_email, [_pass_of(ticket, details, lines[ticket.position]) for ticket in tickets]


_SELECT_OF_RECIPIENT = """
select t.order_id, t.user_id = u.id, t.id, t.event_id, t.code_version, t.position, t.name, t.holder_name
  from users u
  join tickets t on t.organization_id = %s and t.event_id = %s and t.status <> 'voided'
  join orders o on o.organization_id = t.organization_id and o.id = t.order_id
 where u.id = %s and u.id in (t.user_id, o.user_id)
   and case when o.user_id = u.id then o.buyer_email else u.email_normalized end = %s
 order by t.order_id, t.position, t.unit"""


async def list_passes_of_recipient(
    session: AsyncSession, event: events.Event, user_id: UUID, address: str
) -> list[Pass]:
    """Return the passes that an email about the event to this address concerns; see `list_recipients`.

    They are those that the person holds, or those of their orders if they hold none any more. For workers.
    """
    async with statements.round_trip(session) as connection:
        found = await send(connection, _SELECT_OF_RECIPIENT, event.organization_id, event.id, user_id, address)
    tickets = [(order_id, is_held, HeldTicket(*ticket)) for order_id, is_held, *ticket in await found.fetchall()]
    held = [each for each in tickets if each[1]] or tickets
    async with statements.round_trip(session) as connection:
        pending = {order_id: await _query_order(connection, order_id) for order_id in {each[0] for each in held}}
    found_orders = {order_id: await query.fetch() for order_id, query in pending.items()}
    passes = []
    for order_id, _, ticket in held:
        details, lines = found_orders[order_id]
        passes.append(_pass_of(ticket, details, lines[ticket.position]))
    return passes


def _pass_of(ticket: Ticket | HeldTicket, details: _OrderDetails, line: _Line) -> Pass:
    return Pass(
        ticket_id=ticket.id,
        organization=details.organization,
        title=details.title,
        starts_at=details.starts_at,
        ends_at=details.ends_at,
        timezone=details.timezone,
        venue=details.venue,
        city=details.city,
        place=line.place,
        kind=ticket.name,
        holder=ticket.holder_name,
        price_minor=line.price_minor,
        currency=details.currency,
        reference=details.reference,
        code=code_of(ticket.id, ticket.event_id, ticket.code_version),
        revision=Revision(
            details.calendar_sequence, details.calendar_changed_at, details.status == events.EventStatus.CANCELLED
        ),
    )
