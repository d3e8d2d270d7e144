"""Queries of events, and their visibility. The tenant filter is applied here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import iam, organizations
from ticketing.modules.events.models import Event, EventStatus, TicketType


async def get_event(session: AsyncSession, event_id: UUID) -> Event:
    """An event in any status, of any organization whose events this transaction can see.

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
    """An event of this organization; `is_locked` prevents changes by others until the transaction ends.

    Raises:
        NotFound: it is unknown or another organization's.
    """
    query = select(Event).where(Event.organization_id == organization_id, Event.id == event_id)
    # FOR NO KEY UPDATE: concurrent holds and orders can still reference the event.
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True) if is_locked else query
    event = (await session.execute(query)).scalar_one_or_none()
    if event is None:
        raise NotFound
    return event


async def get_public_event(session: AsyncSession, event_id: UUID, viewer: iam.Identity | None) -> Event:
    """An event as the public sees it; a draft is visible to members of its organization only.

    Lets the transaction read the public data of the organization: seats, prices, plans.

    Raises:
        NotFound: it is unknown, or not visible to this viewer.
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
    """The end of the event; one day after its start if it has none."""
    return func.coalesce(Event.ends_at, Event.starts_at + text("interval '1 day'"))


def is_finished() -> ColumnElement[bool]:
    """True once the event is cancelled or completed: a status that never changes, in which nothing is sold."""
    return Event.status.in_((EventStatus.CANCELLED, EventStatus.COMPLETED))


def is_over() -> ColumnElement[bool]:
    """True once the event has ended."""
    return ends_at() <= func.now()


async def list_own_events(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[Event]:
    """One page plus one event, newest first, in any status."""
    query = select(Event).where(Event.organization_id == organization_id)
    if page.after is not None:
        query = query.where(Event.id < page.after_id())
    return list(await session.scalars(query.order_by(Event.id.desc()).limit(page.limit + 1)))


async def list_ticket_types(session: AsyncSession, event_id: UUID) -> list[TicketType]:
    """The ticket types of an event, in order of creation."""
    return list(await session.scalars(select(TicketType).where(_of_event(event_id)).order_by(TicketType.id)))


def _of_event(event_id: UUID) -> ColumnElement[bool]:
    # The index starts with the organization, which only the event knows.
    owner = select(Event.organization_id).where(Event.id == event_id).scalar_subquery()
    return and_(TicketType.organization_id == owner, TicketType.event_id == event_id)
