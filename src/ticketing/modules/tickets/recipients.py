"""The people whom a change of an event concerns: buyers of live orders, and holders of transferred tickets."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import send
from ticketing.modules import events

_NONE = UUID(int=0)


class EventRecipient(NamedTuple):
    """A person at one address: that of the order, or of their account if there is no order of theirs."""

    user_id: UUID
    order_id: UUID | None


# An order whose tickets are still to be issued counts, and one whose tickets were all voided does not.
_SELECT = """
with buyers as (
     select o.user_id, o.buyer_email as address, o.id as order_id from orders o
      where o.organization_id = %s and o.event_id = %s and o.status in ('paid', 'partially_refunded', 'refunded')
        and case when exists (select from tickets t
                               where t.organization_id = o.organization_id and t.order_id = o.id)
                 then exists (select from tickets t
                               where t.organization_id = o.organization_id and t.order_id = o.id
                                 and t.status <> 'voided')
                 else o.status <> 'refunded' end),
     holders as (
     select t.user_id, u.email_normalized as address, null::uuid as order_id
       from tickets t
       join orders o on o.organization_id = t.organization_id and o.id = t.order_id
       join users u on u.id = t.user_id
      where t.organization_id = %s and t.event_id = %s and t.status <> 'voided' and t.user_id <> o.user_id),
     recipients as (
     select user_id, (array_agg(order_id order by order_id))[1] as order_id
       from (select * from buyers union all select * from holders) r
      where address <> '' group by user_id, address)
select user_id, order_id from recipients
 where (user_id, coalesce(order_id, %s)) > (%s, %s)
 order by user_id, coalesce(order_id, %s) limit %s"""


async def list_recipients(
    session: AsyncSession, event: events.Event, after: EventRecipient | None, limit: int
) -> list[EventRecipient]:
    """Return a page of the event's recipients, each address of a person once. For workers."""
    of_event = event.organization_id, event.id
    user_id, order_id = after or EventRecipient(_NONE, None)
    async with statements.round_trip(session) as connection:
        page = (_NONE, user_id, order_id or _NONE, _NONE, limit)
        found = await send(connection, _SELECT, *of_event, *of_event, *page)
    return [EventRecipient(*row) for row in await found.fetchall()]
