"""Ticket types of an event: prices for categories of seats, and general admission with a capacity."""

from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict, Invalid
from ticketing.modules import organizations, venues
from ticketing.modules.events.messages import TicketTypeCreated
from ticketing.modules.events.models import CategoryPrice, Event, EventSeat, TicketType
from ticketing.modules.events.schemas import CreateTicketType


class NameTaken(Conflict):
    """This event has a ticket type of this name already."""

    code = "name_taken"


class CategoryPriced(Conflict):
    """Another ticket type prices one of these categories already."""

    code = "category_priced"


async def create_ticket_type(
    session: AsyncSession, access: organizations.Access, event: Event, body: CreateTicketType
) -> TicketType:
    """Add a ticket type to an event that the caller has locked.

    Raises:
        Invalid: it has both categories and a capacity, or neither; or the plan lacks some `categories`.
        NameTaken, CategoryPriced: see the classes.
        organizations.QuotaExceeded: the event has as many ticket types as it may have.
    """
    if (body.capacity is None) == (body.categories is None):
        message = "Send either categories, to price seats, or a capacity, for general admission."
        raise Invalid(message, field="capacity")
    categories = list(dict.fromkeys(body.categories or []))
    await _refuse_unknown(session, event, categories)
    ticket_type = await _insert(session, event, body)
    of_event = (TicketType.organization_id == event.organization_id) & (TicketType.event_id == event.id)
    counted = select(func.count()).where(of_event)
    await organizations.check_quota(session, organizations.Quota.TICKET_TYPES, event.id, counted)
    await _price(session, ticket_type, categories)
    audited: dict[str, Any] = {"event_id": str(event.id), **body.model_dump(exclude_none=True)}
    organizations.record(session, access, "ticket_type.created", f"ticket_type:{ticket_type.id}", None, audited)
    outbox.publish(session, TicketTypeCreated(**event.ids, ticket_type_ids=[ticket_type.id]))
    return ticket_type


async def _insert(session: AsyncSession, event: Event, body: CreateTicketType) -> TicketType:
    row = upsert(TicketType).values(
        id=new_id(),
        organization_id=event.organization_id,
        event_id=event.id,
        name=body.name,
        price_minor=body.price,
        capacity=body.capacity,
        max_per_order=body.max_per_order,
    )
    row = row.on_conflict_do_nothing(index_elements=["event_id", "name"])
    ticket_type = (await session.scalars(row.returning(TicketType))).one_or_none()
    if ticket_type is None:
        raise NameTaken(field="name")
    return ticket_type


async def _price(session: AsyncSession, ticket_type: TicketType, categories: list[str]) -> None:
    if not categories:
        return
    place = {"organization_id": ticket_type.organization_id, "event_id": ticket_type.event_id}
    is_its = (CategoryPrice.organization_id == place["organization_id"], CategoryPrice.event_id == place["event_id"])
    # The event's row is locked, so no other transaction can price a category between this query and the insert.
    taken = list(await session.scalars(select(CategoryPrice.category).where(*is_its)))
    if twice := sorted(set(taken) & set(categories)):
        raise CategoryPriced(field="categories", categories=twice)
    rows = [{**place, "category": category, "ticket_type_id": ticket_type.id} for category in categories]
    await session.execute(insert(CategoryPrice), rows)


async def _refuse_unknown(session: AsyncSession, event: Event, categories: list[str]) -> None:
    if not categories:
        return
    if event.venue_id is None:
        raise Invalid("This event has no venue, so it has no seats to price.", field="categories")
    venue = await venues.get_venue(session, event.organization_id, event.venue_id)
    # The categories of the latest version have to be priced before the event can move to it.
    known = set()
    for version in {event.plan_version or venue.plan_version, venue.plan_version}:
        plan = await venues.get_plan(session, event.organization_id, venue.id, version)
        known |= {category["name"] for category in plan.layout["categories"]}
    if unknown := [category for category in categories if category not in known]:
        raise Invalid("The venue's plan has no such category.", field="categories", categories=unknown)


async def list_unpriced(session: AsyncSession, organization_id: UUID, event_id: UUID) -> list[str]:
    """The categories of the event's seats that no ticket type prices, sorted."""
    is_priced = exists().where(
        CategoryPrice.organization_id == EventSeat.organization_id,
        CategoryPrice.event_id == EventSeat.event_id,
        CategoryPrice.category == EventSeat.category,
    )
    unpriced = select(EventSeat.category).where(
        EventSeat.organization_id == organization_id, EventSeat.event_id == event_id, ~is_priced
    )
    return list(await session.scalars(unpriced.distinct().order_by(EventSeat.category)))


async def refuse_unpriced(session: AsyncSession, event: Event) -> None:
    """Raise Invalid, with the `categories`, if some of the event's seats have no price."""
    if unpriced := await list_unpriced(session, event.organization_id, event.id):
        message = "Every category of seats needs a ticket type that prices it."
        raise Invalid(message, field="ticket_types", categories=unpriced)
