"""Create venues, each together with the first version of its plan. A plan version never changes afterwards."""

import asyncio
from uuid import UUID

from sqlalchemy import Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, statements
from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.modules import organizations
from ticketing.modules.venues import pretix_import
from ticketing.modules.venues.generated_layout import draw_sections
from ticketing.modules.venues.messages import VenueCreated
from ticketing.modules.venues.models import SeatingPlan, Venue
from ticketing.modules.venues.plans import Draft
from ticketing.modules.venues.schemas import CreateVenue, ImportOptions

#: Seats per INSERT: enough to amortize the cost of a statement, and few enough to let other requests run in between.
CHUNK_SEATS = 5_000

_INSERT_SEATS = """
insert into plan_seats (organization_id, venue_id, plan_version, number, label, section, "row", seat, category, x, y)
select %s, %s, %s, s.*
  from unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::double precision[],
              %s::double precision[]) s"""


async def create_venue(session: AsyncSession, access: organizations.Access, body: CreateVenue) -> Venue:
    """Create a venue from sections, rows and numbers of seats.

    Raises:
        Invalid: its field is the path of the first error in the plan.
        organizations.QuotaExceeded: the organization has as many venues or seats as it may have.
    """
    draft = await asyncio.to_thread(draw_sections, body.sections)
    draft.focal_point = body.focal_point.model_dump() if body.focal_point else None
    options = ImportOptions(**body.model_dump(exclude={"sections", "focal_point"}))
    return await _store(session, access, body.name, options, draft)


async def import_venue(
    session: AsyncSession, access: organizations.Access, plan: pretix_import.Plan, options: ImportOptions
) -> Venue:
    """Create a venue from another program's seating plan. Raises organizations.QuotaExceeded."""
    return await _store(session, access, options.name or plan.name, options, plan.draft)


async def _store(
    session: AsyncSession, access: organizations.Access, name: str, options: ImportOptions, draft: Draft
) -> Venue:
    venue = Venue(
        id=new_id(),
        organization_id=access.organization_id,
        name=name,
        city=options.city,
        country=options.country,
        timezone=options.timezone,
        capacity=draft.capacity,
        plan_version=1,
    )
    session.add(venue)
    await session.flush()  # the rows of the plan refer to the venue
    await session.refresh(venue, ["created_at"])
    await _store_plan(session, venue, draft)
    for quota, counted in _quotas(venue.organization_id).items():
        await organizations.check_quota(session, quota, venue.organization_id, counted)
    _record(session, access, venue)
    return venue


async def _store_plan(session: AsyncSession, venue: Venue, draft: Draft) -> None:
    for quota, counted in _quotas(venue.organization_id).items():
        await organizations.foresee_quota(session, quota, counted)
    plan = {"organization_id": venue.organization_id, "venue_id": venue.id, "version": venue.plan_version}
    await allow_long_statements(session)
    await session.execute(insert(SeatingPlan).values(**plan, layout=draft.layout))
    for columns in draft.chunks(CHUNK_SEATS):
        await statements.execute(session, _INSERT_SEATS, *plan.values(), *columns)


def _quotas(organization_id: UUID) -> dict[organizations.Quota, Select[int]]:
    of_theirs = Venue.organization_id == organization_id
    return {
        organizations.Quota.VENUES: select(func.count()).where(of_theirs),
        organizations.Quota.PLAN_SEATS: select(func.coalesce(func.sum(Venue.capacity), 0)).where(of_theirs),
    }


def _record(session: AsyncSession, access: organizations.Access, venue: Venue) -> None:
    values = {"name": venue.name, "capacity": venue.capacity, "plan_version": venue.plan_version}
    organizations.record(session, access, "venue.created", f"venue:{venue.id}", None, values)
    outbox.publish(session, VenueCreated(organization_id=venue.organization_id, venue_id=venue.id, **values))
