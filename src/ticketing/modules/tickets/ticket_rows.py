"""Tickets as rows, for reads that need no models."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ticketing.infra.db import DriverReads, tenancy
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import iam, organizations
from ticketing.modules.tickets.codes import code_of
from ticketing.modules.tickets.models import TicketStatus
from ticketing.modules.tickets.schemas import TicketEventOut, TicketOut, TicketRow, TicketVenueOut

_COLUMNS = """
select t.id, t.order_id, t.event_id, t.ticket_type_id, t.name, t.seat_label, t.holder_name, t.status, t.checked_in_at,
       t.code_version, t.user_id, m.role, e.title, e.status, e.starts_at, e.ends_at, e.timezone, v.name, v.city
  from tickets t
  join events e on e.organization_id = t.organization_id and e.id = t.event_id
  left join venues v on v.organization_id = e.organization_id and v.id = e.venue_id
  left join members m on m.organization_id = t.organization_id and m.user_id = %s"""
_ONE = f"{_COLUMNS} where t.id = %s"
_LAST_ID = UUID(int=2**128 - 1)
_OF_USER = "tickets where user_id = %s and id < %s order by id desc limit %s"
_PAGE = f"{_COLUMNS} where t.user_id = %s and t.id < %s order by t.id desc limit %s"


async def describe_visible_ticket(reads: DriverReads, ticket_id: UUID, viewer: iam.Identity) -> TicketOut:
    """Return a ticket for its holder or for staff of its organization, in one round trip.

    Raises NotFound for any other viewer.
    """
    async with reads.round_trip() as connection:
        await tenancy.show_owners_of(connection, "tickets where id = %s", ticket_id)
        found = await send(connection, _ONE, viewer.user_id, ticket_id)
    row = await found.fetchone()
    if row is None:
        raise NotFound
    user_id, role = row[10:12]
    if user_id != viewer.user_id and not organizations.role_allows(role, organizations.Permission.READ_TICKETS):
        raise NotFound
    return _describe(row)


async def describe_of_user(reads: DriverReads, user_id: UUID, page: PageQuery) -> tuple[list[TicketOut], str | None]:
    """Return one page of the tickets that a user holds, newest first, in one round trip, and the next page's cursor."""
    values = (user_id, page.after_id() if page.after else _LAST_ID, page.limit + 1)
    async with reads.round_trip() as connection:
        await tenancy.show_owners_of(connection, f"(select organization_id from {_OF_USER}) w", *values)  # noqa: S608
        found = await send(connection, _PAGE, user_id, *values)
    rows, cursor = page.cut(await found.fetchall(), lambda row: [str(row[0])])
    return [_describe(row) for row in rows], cursor


def _describe(row: Sequence[Any]) -> TicketOut:
    ticket = TicketRow(*row[:9])
    title, status, starts_at, ends_at, timezone, venue, city = row[12:]
    event = TicketEventOut(
        id=ticket.event_id,
        title=title,
        status=status,
        starts_at=starts_at,
        ends_at=ends_at,
        timezone=timezone,
        venue=TicketVenueOut(name=venue, city=city) if venue is not None else None,
    )
    is_void = ticket.status == TicketStatus.VOIDED
    return TicketOut.of(ticket, event, None if is_void else code_of(ticket.id, ticket.event_id, row[9]))
