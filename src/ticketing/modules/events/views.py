"""Events as the API returns them: a page of events takes a fixed number of queries, whatever its length."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.formats.currencies import digits_of
from ticketing.infra.http.fields import Money
from ticketing.modules import organizations, venues
from ticketing.modules.events.inventory.counts import Count, SeatCounts, count_now
from ticketing.modules.events.models import CategoryPrice, Event, TicketType
from ticketing.modules.events.schemas import (
    Availability,
    CategoryAvailability,
    EventOut,
    OrganizationBrief,
    TicketTypeOut,
    VenueBrief,
)


async def describe_event(session: AsyncSession, event: Event, count: Count = count_now) -> EventOut:
    """One event with its organization, venue, ticket types and availability."""
    return (await describe_events(session, [event], count))[0]


async def describe_events(session: AsyncSession, events: Sequence[Event], count: Count = count_now) -> list[EventOut]:
    """Events with their organizations, venues, ticket types and availability, in the given order."""
    owners = await organizations.list_organizations(session, {event.organization_id for event in events})
    places = await venues.list_venues_by_ids(session, {event.venue_id for event in events if event.venue_id})
    types = await describe_ticket_types(session, events)
    counts = await count(session, events)
    return [
        _describe(
            event,
            OrganizationBrief.model_validate(owners[event.organization_id]),
            VenueBrief.model_validate(places[event.venue_id]) if event.venue_id else None,
            types[event.id],
            counts[event.id],
        )
        for event in events
    ]


async def describe_ticket_types(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, list[TicketTypeOut]]:
    """The ticket types of each event, oldest first."""
    query = select(TicketType).where(
        TicketType.organization_id.in_({event.organization_id for event in events}),
        TicketType.event_id.in_([event.id for event in events]),
    )
    found = list(await session.scalars(query.order_by(TicketType.id)))
    categories = await _list_categories(session, events)
    currencies = {event.id: event.currency for event in events}
    types: dict[UUID, list[TicketTypeOut]] = defaultdict(list)
    for ticket_type in found:
        currency = currencies[ticket_type.event_id]
        types[ticket_type.event_id].append(describe_ticket_type(ticket_type, currency, categories[ticket_type.id]))
    return types


def describe_ticket_type(ticket_type: TicketType, currency: str, categories: Sequence[str]) -> TicketTypeOut:
    """One ticket type with the categories that it prices."""
    capacity = ticket_type.capacity
    return TicketTypeOut(
        id=ticket_type.id,
        event_id=ticket_type.event_id,
        name=ticket_type.name,
        price=Money(amount=ticket_type.price_minor, currency=currency),
        capacity=capacity,
        available=None if capacity is None else capacity - ticket_type.held - ticket_type.sold,
        held=None if capacity is None else ticket_type.held,
        sold=None if capacity is None else ticket_type.sold,
        categories=list(categories),
        max_per_order=ticket_type.max_per_order,
    )


async def _list_categories(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, list[str]]:
    query = select(CategoryPrice.ticket_type_id, CategoryPrice.category).where(
        CategoryPrice.organization_id.in_({event.organization_id for event in events}),
        CategoryPrice.event_id.in_([event.id for event in events]),
    )
    categories: dict[UUID, list[str]] = defaultdict(list)
    for ticket_type_id, category in await session.execute(query.order_by(CategoryPrice.category)):
        categories[ticket_type_id].append(category)
    return categories


def _describe(
    event: Event,
    organization: OrganizationBrief,
    venue: VenueBrief | None,
    types: Sequence[TicketTypeOut],
    seats: SeatCounts,
) -> EventOut:
    cheapest = min((one.price.amount for one in types), default=None)
    return EventOut(
        id=event.id,
        organization=organization,
        title=event.title,
        description=event.description,
        status=event.status,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        timezone=event.timezone,
        currency=event.currency,
        digits=digits_of(event.currency),
        venue=venue,
        sales_start_at=event.sales_start_at,
        sales_end_at=event.sales_end_at,
        hold_seconds=event.hold_seconds,
        max_per_order=event.max_per_order,
        max_per_buyer=event.max_per_buyer,
        max_held_per_buyer=event.max_held_per_buyer,
        has_seats=seats.capacity > 0,
        plan_version=event.plan_version,
        price_from=None if cheapest is None else Money(amount=cheapest, currency=event.currency),
        ticket_types=list(types),
        availability=_add_up(seats, types),
        created_at=event.created_at,
        calendar_sequence=event.calendar_sequence,
        calendar_changed_at=event.calendar_changed_at,
    )


def _add_up(seats: SeatCounts, types: Sequence[TicketTypeOut]) -> Availability:
    return Availability(
        capacity=seats.capacity + sum(one.capacity or 0 for one in types),
        available=seats.available + sum(one.available or 0 for one in types),
        held=seats.held + sum(one.held or 0 for one in types),
        sold=seats.sold + sum(one.sold or 0 for one in types),
        blocked=seats.blocked,
        categories={
            category: CategoryAvailability(available=counts.available, held=counts.held)
            for category, counts in sorted(seats.categories.items())
        },
    )
