"""Orders as rows, for reads that need no models."""

from uuid import UUID

from ticketing.infra.db import DriverReads, tenancy
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import NotFound
from ticketing.modules import iam, organizations
from ticketing.modules.orders.schemas import LineRow, OrderEventOut, OrderOut, OrderRow

_ORDER = """
select o.id, o.reference, o.status, o.organization_id, o.event_id, o.reservation_id, o.buyer_email, o.buyer_name,
       o.total_minor, o.refunded_minor, o.currency, o.created_at, o.paid_at,
       o.user_id, m.role, e.title, e.starts_at, e.timezone, v.name, r.expires_at
  from orders o
  join events e on e.organization_id = o.organization_id and e.id = o.event_id
  join reservations r on r.organization_id = o.organization_id and r.id = o.reservation_id
  left join venues v on v.organization_id = e.organization_id and v.id = e.venue_id
  left join members m on m.organization_id = o.organization_id and m.user_id = %s
 where o.id = %s"""
_LINES = """
select l.seat_label, l.ticket_type_id, l.name, l.quantity, l.price_minor
  from orders o join order_lines l on l.organization_id = o.organization_id and l.order_id = o.id
 where o.id = %s order by l.position"""


async def describe_visible_order(reads: DriverReads, order_id: UUID, viewer: iam.Identity) -> OrderOut:
    """Return the order for its buyer or for staff of its organization, in one round trip.

    Raises NotFound for any other viewer.
    """
    async with reads.round_trip() as connection:
        await tenancy.show_owners_of(connection, "orders where id = %s", order_id)
        found = await send(connection, _ORDER, viewer.user_id, order_id)
        lines = await send(connection, _LINES, order_id)
    row = await found.fetchone()
    if row is None:
        raise NotFound
    user_id, role, title, starts_at, timezone, venue_name, expires_at = row[13:]
    if user_id != viewer.user_id and not organizations.role_allows(role, organizations.Permission.READ_ORDERS):
        raise NotFound
    order = OrderRow(*row[:13])
    event = OrderEventOut(id=order.event_id, title=title, starts_at=starts_at, timezone=timezone, venue_name=venue_name)
    return OrderOut.of(order, [LineRow(*line) for line in await lines.fetchall()], event, expires_at)
