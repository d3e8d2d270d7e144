"""Queries of venues and their plans."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules.venues.models import PlanSeat, SeatingPlan, Venue


async def find_venue(
    session: AsyncSession, organization_id: UUID, venue_id: UUID, *, is_locked: bool = False
) -> Venue | None:
    """Return an organization's venue. None when it is unknown or belongs to another organization."""
    query = select(Venue).where(Venue.organization_id == organization_id, Venue.id == venue_id)
    if is_locked:
        # Rows that refer to the venue can still be inserted.
        query = query.with_for_update(key_share=True)
    return (await session.scalars(query)).one_or_none()


async def get_venue(session: AsyncSession, organization_id: UUID, venue_id: UUID, *, is_locked: bool = False) -> Venue:
    """Return an organization's venue, locked against changes until the transaction ends if asked. Raises NotFound."""
    venue = await find_venue(session, organization_id, venue_id, is_locked=is_locked)
    if venue is None:
        raise NotFound
    return venue


async def list_venues(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[Venue]:
    """Return one page of an organization's venues and one further row, newest first."""
    query = select(Venue).where(Venue.organization_id == organization_id)
    if page.after is not None:
        query = query.where(Venue.id < page.after_id())
    return list(await session.scalars(query.order_by(Venue.id.desc()).limit(page.limit + 1)))


async def list_venues_by_ids(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Venue]:
    """Return venues of any organization by id. Unknown ids are left out."""
    venues = await session.scalars(select(Venue).where(Venue.id.in_(ids)))
    return {venue.id: venue for venue in venues}


async def get_plan(session: AsyncSession, organization_id: UUID, venue_id: UUID, version: int) -> SeatingPlan:
    """Return one version of a venue's plan. Raises NotFound."""
    plan = await session.get(SeatingPlan, (organization_id, venue_id, version))
    if plan is None:
        raise NotFound
    return plan


def plan_seats(organization_id: UUID, venue_id: UUID, version: int) -> Select[Any]:
    """Return the query of one plan version's seats, for use as a subquery, in a join or in an INSERT."""
    return select(PlanSeat).where(
        PlanSeat.organization_id == organization_id,
        PlanSeat.venue_id == venue_id,
        PlanSeat.plan_version == version,
    )


def venue_ids_in(city: str) -> Select[UUID]:
    """Select ids of venues whose city contains this text, in any case and without accents."""
    # Folded once, not for every venue.
    folded = select(func.search_fold(city)).scalar_subquery()
    return select(Venue.id).where(func.strpos(func.search_fold(Venue.city), folded) > 0)
