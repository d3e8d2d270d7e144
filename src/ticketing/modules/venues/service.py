"""Venues come into being together with the first version of their plan, and a plan never changes after that."""

import asyncio

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id
from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.modules import organizations
from ticketing.modules.venues import pretix_import
from ticketing.modules.venues.generated_layout import draw_sections
from ticketing.modules.venues.messages import VenueCreated
from ticketing.modules.venues.models import SeatingPlan, Venue
from ticketing.modules.venues.plans import Draft
from ticketing.modules.venues.schemas import CreateVenue, ImportOptions

#: Seats per INSERT: enough to make the statement's own cost vanish, few enough to let other requests in between.
CHUNK_SEATS = 5_000


async def create_venue(session: AsyncSession, access: organizations.Access, body: CreateVenue) -> Venue:
    """Create a venue from sections, rows and numbers of seats.

    Raises:
        Invalid: naming the path of what is wrong with the plan.
    """
    draft = await asyncio.to_thread(draw_sections, body.sections)
    options = ImportOptions(**body.model_dump(exclude={"sections"}))
    return await _store(session, access, body.name, options, draft)


async def import_venue(
    session: AsyncSession, access: organizations.Access, file: bytes, options: ImportOptions
) -> Venue:
    """Create a venue from another program's seating plan.

    Raises:
        BadRequest: the file can't be read at all.
        Invalid: naming the path of what is wrong with it.
    """
    plan = await asyncio.to_thread(pretix_import.read_plan, file)
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
    await session.flush()  # The plan's rows refer to it, and its created_at is answered.
    await session.refresh(venue, ["created_at"])
    await _store_plan(session, venue, draft)
    _announce(session, access, venue)
    return venue


async def _store_plan(session: AsyncSession, venue: Venue, draft: Draft) -> None:
    plan = {"organization_id": venue.organization_id, "venue_id": venue.id, "version": venue.plan_version}
    await allow_long_statements(session)
    await session.execute(insert(SeatingPlan).values(**plan, layout=draft.layout))
    for columns in draft.chunks(CHUNK_SEATS):
        await session.execute(_INSERT_SEATS, {**plan, **columns})


def _announce(session: AsyncSession, access: organizations.Access, venue: Venue) -> None:
    facts = {"name": venue.name, "capacity": venue.capacity, "plan_version": venue.plan_version}
    organizations.record(session, access, "venue.created", f"venue:{venue.id}", None, facts)
    outbox.publish(session, VenueCreated(organization_id=venue.organization_id, venue_id=venue.id, **facts))


_INSERT_SEATS = text("""
insert into plan_seats (organization_id, venue_id, plan_version, number, label, section, "row", seat, category, x, y)
select :organization_id, :venue_id, :version, s.*
  from unnest(cast(:numbers as integer[]), cast(:labels as text[]), cast(:sections as text[]), cast(:rows as text[]),
              cast(:seats as text[]), cast(:categories as text[]), cast(:xs as double precision[]),
              cast(:ys as double precision[])) s""")
