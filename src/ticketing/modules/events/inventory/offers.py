"""What is on sale now, and at what price: read once for all holds of a batch, which belong to one organization."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.errors import TicketingError
from ticketing.modules.events.models import Event, EventStatus


class EventNotOnSale(TicketingError):
    """This event is not on sale at this moment."""

    status, code = 422, "event_not_on_sale"


class Offer(NamedTuple):
    """The part of a ticket type that a hold needs; `is_area` for general admission (places, no seats)."""

    id: UUID
    name: str
    price_minor: int
    max_per_order: int | None
    is_area: bool


@dataclass(slots=True)
class SaleTerms:
    """An event for which holds are requested; `refusal` is the reason why nothing can be held, if any."""

    event_id: UUID
    organization_id: UUID
    venue_id: UUID | None
    plan_version: int | None
    currency: str
    max_per_order: int
    max_per_buyer: int | None
    #: Places that one account may hold at one time; null: the platform's setting.
    max_held_per_buyer: int | None
    #: When a hold that is created in this transaction lapses.
    expires_at: datetime
    refusal: TicketingError | None = None
    #: The offer that prices each category of seats; seats of a category that is missing are not for sale.
    by_category: dict[str, Offer] = field(default_factory=dict)
    areas: dict[UUID, Offer] = field(default_factory=dict)


async def find_organization(session: AsyncSession, event_id: UUID) -> UUID | None:
    """The organization of an event that was published at some time; it never changes."""
    return await session.scalar(
        select(Event.organization_id).where(Event.id == event_id, Event.published_at.is_not(None))
    )


# The arguments of `_refusal`. An event without an end time counts as over one day after its start.
_STATE = """
       status, sales_start_at > now(),
       sales_end_at <= now() or coalesce(ends_at, starts_at + interval '1 day') <= now()"""

_EVENTS = f"""
select id, organization_id, venue_id, plan_version, currency, max_per_order, max_per_buyer, max_held_per_buyer,
       now() + make_interval(secs => hold_seconds), {_STATE}
  from events
 where organization_id = %s and id = any(%s::uuid[]) and published_at is not null"""  # noqa: S608 (a constant)

_OFFERS = """
select t.event_id, array(select c.category from category_prices c
                          where c.organization_id = t.organization_id and c.event_id = t.event_id
                            and c.ticket_type_id = t.id),
       t.id, t.name, t.price_minor, t.max_per_order, t.capacity is not null
  from ticket_types t
 where t.organization_id = %s and t.event_id = any(%s::uuid[])"""


async def query_sale_terms(
    connection: DriverConnection, organization_id: UUID, event_ids: Collection[UUID]
) -> PendingQuery[dict[UUID, SaleTerms]]:
    """By event; an unknown event, or one that was never published, is missing."""
    wanted = (organization_id, list(event_ids))
    return PendingQuery(_parse, await send(connection, _EVENTS, *wanted), await send(connection, _OFFERS, *wanted))


_SALE_NOW = f"select {_STATE} from events where organization_id = %s and id = %s"  # noqa: S608 (a constant)


async def check_on_sale(session: AsyncSession, organization_id: UUID, event_id: UUID) -> None:
    """Check that seats of this event could be held now. Raises EventNotOnSale."""
    found = await statements.execute(session, _SALE_NOW, organization_id, event_id)
    row = await found.fetchone()
    refusal = EventNotOnSale() if row is None else _refusal(*row)
    if refusal is not None:
        raise refusal


def _parse(events: Iterable[tuple[Any, ...]], offers: Iterable[tuple[Any, ...]]) -> dict[UUID, SaleTerms]:
    found: dict[UUID, SaleTerms] = {}
    for row in events:
        sale = found[row[0]] = SaleTerms(*row[:9])
        sale.refusal = _refusal(*row[9:])
    for event_id, categories, *offer in offers:
        if event_id in found:
            _add_offer(found[event_id], Offer(*offer), categories)
    return found


def _add_offer(sale: SaleTerms, offer: Offer, categories: list[str]) -> None:
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
