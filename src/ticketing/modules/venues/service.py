"""Create venues, and versions of their plans. A plan version never changes afterwards."""

import asyncio
from uuid import UUID

from sqlalchemy import Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, statements
from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.infra.errors import Invalid
from ticketing.modules import organizations
from ticketing.modules.venues import pretix, queries
from ticketing.modules.venues.generated_layout import draw_sections
from ticketing.modules.venues.messages import VenueCreated, VenuePlanCreated
from ticketing.modules.venues.models import SeatingPlan, Venue
from ticketing.modules.venues.plans import VERSIONS_MAX, Draft
from ticketing.modules.venues.schemas import CreatePlan, CreateVenue, ImportOptions

#: Seats per INSERT: enough to amortize the cost of a statement, and few enough to let other requests run in between.
CHUNK_SEATS = 5_000

_INSERT_SEATS = """
insert into plan_seats (organization_id, venue_id, plan_version, number, label, section, "row", seat, category, x, y,
                        row_label, seat_label, position)
select %s, %s, %s, s.*
  from unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::double precision[],
              %s::double precision[], %s::text[], %s::text[], %s::integer[]) s"""
# Arrays: an object per row would cost more than the query.
_NUMBERS = """
select array_agg(label), array_agg(number), max(number) + 1
  from (select distinct label, number from plan_seats where organization_id = %s and venue_id = %s) s"""


async def create_venue(session: AsyncSession, access: organizations.Access, body: CreateVenue) -> Venue:
    """Create a venue from sections, rows and numbers of seats.

    Raises:
        Invalid: its field is the path of the first error in the plan.
        organizations.QuotaExceeded: the organization has as many venues or seats as it may have.
    """
    draft = await _draw(body)
    options = ImportOptions(**body.model_dump(exclude={"sections", "focal_point"}))
    return await _store(session, access, body.name, options, draft)


async def import_venue(
    session: AsyncSession, access: organizations.Access, plan: pretix.Plan, options: ImportOptions
) -> Venue:
    """Create a venue from another program's seating plan. Raises organizations.QuotaExceeded."""
    return await _store(session, access, options.name or plan.name, options, plan.draft)


async def create_plan(session: AsyncSession, access: organizations.Access, venue_id: UUID, body: CreatePlan) -> Venue:
    """Create a version of a venue's plan from sections, rows and numbers of seats.

    Raises what `create_venue` and `add_plan` raise.
    """
    draft = await _draw(body)
    return await add_plan(session, access, venue_id, draft)


async def add_plan(session: AsyncSession, access: organizations.Access, venue_id: UUID, draft: Draft) -> Venue:
    """Make a draft the latest version of a venue's plan. Events keep the version that they have copied.

    Raises:
        NotFound: see the class.
        Invalid: all versions together would have too many different seats.
        organizations.QuotaExceeded: the organization has as many seats as it may have, in all versions.
    """
    venue = await queries.get_venue(session, access.organization_id, venue_id, is_locked=True)
    if venue.plan_version >= VERSIONS_MAX:
        raise Invalid(f"A plan can have {VERSIONS_MAX:,} versions. Create a venue for this one.", field="venue_id")
    await allow_long_statements(session)
    found = await statements.execute(session, _NUMBERS, venue.organization_id, venue.id)
    ((labels, numbers, free),) = await found.fetchall()
    await asyncio.to_thread(draft.number_as, dict(zip(labels or (), numbers or (), strict=True)), free or 0)
    before = {"plan_version": venue.plan_version, "capacity": venue.capacity}
    venue.plan_version, venue.capacity = venue.plan_version + 1, draft.capacity
    await _store_plan(session, venue, draft)
    await _check_quotas(session, venue)
    values = {"plan_version": venue.plan_version, "capacity": venue.capacity}
    organizations.record(session, access, VenuePlanCreated.topic, f"venue:{venue.id}", before, values)
    place = {"organization_id": venue.organization_id, "venue_id": venue.id}
    outbox.publish(session, VenuePlanCreated(**place, **values))
    return venue


async def _draw(body: CreateVenue | CreatePlan) -> Draft:
    draft = await asyncio.to_thread(draw_sections, body.sections)
    draft.focal_point = body.focal_point.model_dump() if body.focal_point else None
    return draft


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
    await _check_quotas(session, venue)
    _record(session, access, venue)
    return venue


async def _store_plan(session: AsyncSession, venue: Venue, draft: Draft) -> None:
    for quota, counted in _quotas(venue.organization_id).items():
        await organizations.foresee_quota(session, quota, counted)
    plan = {"organization_id": venue.organization_id, "venue_id": venue.id, "version": venue.plan_version}
    await allow_long_statements(session)
    await session.execute(insert(SeatingPlan).values(**plan, layout=draft.layout, seats=draft.capacity))
    for columns in draft.chunks(CHUNK_SEATS):
        await statements.execute(session, _INSERT_SEATS, *plan.values(), *columns)


async def _check_quotas(session: AsyncSession, venue: Venue) -> None:
    for quota, counted in _quotas(venue.organization_id).items():
        await organizations.check_quota(session, quota, venue.organization_id, counted)


def _quotas(organization_id: UUID) -> dict[organizations.Quota, Select[int]]:
    of_all_versions = select(func.coalesce(func.sum(SeatingPlan.seats), 0))
    return {
        organizations.Quota.VENUES: select(func.count()).where(Venue.organization_id == organization_id),
        organizations.Quota.PLAN_SEATS: of_all_versions.where(SeatingPlan.organization_id == organization_id),
    }


def _record(session: AsyncSession, access: organizations.Access, venue: Venue) -> None:
    values = {"name": venue.name, "capacity": venue.capacity, "plan_version": venue.plan_version}
    organizations.record(session, access, "venue.created", f"venue:{venue.id}", None, values)
    outbox.publish(session, VenueCreated(organization_id=venue.organization_id, venue_id=venue.id, **values))
