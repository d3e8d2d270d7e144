"""What is on sale at this moment, and at what price: read once for all holds of a batch, from one organization."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.pipeline import Cursor, Wire, send
from ticketing.infra.errors import TicketingError
from ticketing.modules.events.models import Event, EventStatus


class EventNotOnSale(TicketingError):
    """This event is not on sale at this moment."""

    status, code = 422, "event_not_on_sale"


class Offer(NamedTuple):
    """A ticket type, as much of it as a hold has to know; `is_area` when it has places and no seats."""

    id: UUID
    name: str
    price_minor: int
    max_per_order: int | None
    is_area: bool


@dataclass(slots=True)
class Sale:
    """An event that seats and places are wanted of; `refusal` says why none can be held."""

    event_id: UUID
    organization_id: UUID
    venue_id: UUID | None
    plan_version: int | None
    currency: str
    max_per_order: int
    max_per_buyer: int | None
    #: When a hold that begins in this transaction runs out.
    expires_at: datetime
    refusal: TicketingError | None = None
    #: The offer that prices a category of seats; a category that is missing here can't be bought.
    by_category: dict[str, Offer] = field(default_factory=dict)
    areas: dict[UUID, Offer] = field(default_factory=dict)


async def find_owner(session: AsyncSession, event_id: UUID) -> UUID | None:
    """The organization of an event that the public has seen; it never changes."""
    return await session.scalar(
        select(Event.organization_id).where(Event.id == event_id, Event.published_at.is_not(None))
    )


class Sales:
    """Sends the two questions, and reads the answers when they are there."""

    def __init__(self, events: Cursor, offers: Cursor) -> None:
        self._events, self._offers = events, offers

    @classmethod
    async def ask(cls, wire: Wire, organization_id: UUID, event_ids: Collection[UUID]) -> "Sales":
        wanted = (organization_id, list(event_ids))
        return cls(await send(wire, _EVENTS, *wanted), await send(wire, _OFFERS, *wanted))

    async def read(self) -> dict[UUID, Sale]:
        """By event; one that does not exist, or that the public has never seen, is missing."""
        found: dict[UUID, Sale] = {}
        for row in await self._events.fetchall():
            sale = found[row[0]] = Sale(*row[:8])
            sale.refusal = _refusal(*row[8:])
        for event_id, categories, *offer in await self._offers.fetchall():
            if event_id in found:
                _list(found[event_id], Offer(*offer), categories)
        return found


def _list(sale: Sale, offer: Offer, categories: list[str]) -> None:
    if offer.is_area:
        sale.areas[offer.id] = offer
    for category in categories:
        sale.by_category[category] = offer


def _refusal(status: str, is_early: bool | None, is_late: bool | None) -> TicketingError | None:
    if status != EventStatus.PUBLISHED:
        reason = f"This event is {status}."
    elif is_early:
        reason = "The sale of this event has not begun."
    elif is_late:
        reason = "The sale of this event has ended."
    else:
        return None
    return EventNotOnSale(reason, field="event_id")


# An event without an end is taken to be over a day after its start.
_EVENTS = """
select id, organization_id, venue_id, plan_version, currency, max_per_order, max_per_buyer,
       now() + make_interval(secs => hold_seconds), status, sales_start_at > now(),
       sales_end_at <= now() or coalesce(ends_at, starts_at + interval '1 day') <= now()
  from events
 where organization_id = %s and id = any(%s::uuid[]) and published_at is not null"""

_OFFERS = """
select t.event_id, array(select c.category from category_prices c
                          where c.organization_id = t.organization_id and c.event_id = t.event_id
                            and c.ticket_type_id = t.id),
       t.id, t.name, t.price_minor, t.max_per_order, t.capacity is not null
  from ticket_types t
 where t.organization_id = %s and t.event_id = any(%s::uuid[])"""
