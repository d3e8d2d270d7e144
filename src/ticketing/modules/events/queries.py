"""Reading events, and who may see them. The tenant filter lives here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import iam, organizations
from ticketing.modules.events.models import Event, TicketType


async def get_event(session: AsyncSession, event_id: UUID) -> Event:
    """An event in any state, of any organization whose events this transaction may see.

    Raises:
        NotFound: there is none.
    """
    event = await session.get(Event, event_id)
    if event is None:
        raise NotFound
    return event


async def get_own_event(
    session: AsyncSession, organization_id: UUID, event_id: UUID, *, is_locked: bool = False
) -> Event:
    """An event of this organization; `is_locked` keeps others from changing it until the transaction ends.

    Raises:
        NotFound: there is none, or it is another organization's: the two look the same.
    """
    query = select(Event).where(Event.organization_id == organization_id, Event.id == event_id)
    # The key stays what it is, so this lock lets holds and orders refer to the event all the while.
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True) if is_locked else query
    event = (await session.execute(query)).scalar_one_or_none()
    if event is None:
        raise NotFound
    return event


async def get_public_event(session: AsyncSession, event_id: UUID, viewer: iam.Identity | None) -> Event:
    """An event as the public sees it: a draft is shown to members of its organization only.

    From here on the transaction may read what the organization shows: seats, prices, plans.

    Raises:
        NotFound: there is none, or this viewer may not know of it.
    """
    event = await get_event(session, event_id)
    if not event.is_public and not await _is_member(session, event, viewer):
        raise NotFound
    await tenancy.show(session, [event.organization_id])
    return event


async def _is_member(session: AsyncSession, event: Event, viewer: iam.Identity | None) -> bool:
    if viewer is None:
        return False
    may_read = organizations.Permission.READ_EVENTS
    return await organizations.is_allowed(session, event.organization_id, viewer.user_id, may_read)


def ends_at() -> ColumnElement[datetime]:
    """When the event ends; one without an end is taken to be over a day after its start."""
    return func.coalesce(Event.ends_at, Event.starts_at + text("interval '1 day'"))


def is_over() -> ColumnElement[bool]:
    """True once the event has ended."""
    return ends_at() <= func.now()


async def list_own_events(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[Event]:
    """One page and one more, newest first, in all states."""
    query = select(Event).where(Event.organization_id == organization_id)
    if page.after is not None:
        query = query.where(Event.id < page.after_id())
    return list(await session.scalars(query.order_by(Event.id.desc()).limit(page.limit + 1)))


async def list_ticket_types(session: AsyncSession, event_id: UUID) -> list[TicketType]:
    """What is sold for an event, in the order in which it was made."""
    return list(await session.scalars(select(TicketType).where(_sold_for(event_id)).order_by(TicketType.id)))


def _sold_for(event_id: UUID) -> ColumnElement[bool]:
    # The index leads with the organization; the event alone says which one that is.
    owner = select(Event.organization_id).where(Event.id == event_id).scalar_subquery()
    return and_(TicketType.organization_id == owner, TicketType.event_id == event_id)
