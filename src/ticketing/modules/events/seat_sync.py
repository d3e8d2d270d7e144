"""Give an event the seats of its venue's latest plan, at first and again for a new version of the plan.

All versions of a plan number a label alike (see `venues.PlanSeat`), so a seat that two of them have is the same row
before and after: its owner, its hold and its ticket are untouched. A sync locks all seats of the event, in order of
number like a hold; once it has the locks, no seat that it removes can be held or sold.
"""

from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import statements
from ticketing.infra.db.planning import plan_for_sets
from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.infra.errors import Conflict, Invalid
from ticketing.modules import organizations, venues
from ticketing.modules.events import ticket_types
from ticketing.modules.events.inventory.seats import FREE
from ticketing.modules.events.messages import SeatsSynced
from ticketing.modules.events.models import Event, EventSeat, EventStatus
from ticketing.modules.events.schemas import LostSeatOut, PlanChangeOut, SyncedOut

#: Lost seats that are listed; the others are counted.
LOST_MAX = 100


class SeatsInUse(Conflict):
    """The venue has a new plan without seats that are held or sold."""

    code = "seats_in_use"


_LOCK_ALL = """
select count(*) from (
    select from event_seats where organization_id = %s and event_id = %s order by number for update) as seats"""

_BOTH = """
  from (select * from event_seats where organization_id = %s and event_id = %s) e
  full join (select number, category from plan_seats
              where organization_id = %s and venue_id = %s and plan_version = %s) p using (number)"""
_IS_GONE = "p.number is null"
_IS_LOST = f"{_IS_GONE} and e.status <> 'b' and not {FREE}"
_COUNT_CHANGES = f"""
select count(*) filter (where e.number is not null and p.number is not null),
       count(*) filter (where e.number is null),
       count(*) filter (where {_IS_GONE} and (e.status = 'b' or {FREE})),
       count(*) filter (where {_IS_GONE} and e.status = 'b'),
       count(*) filter (where e.category <> p.category),
       count(*) filter (where {_IS_LOST})
{_BOTH}"""
_LIST_LOST = f"""
select number, e.label, case when e.status = 's' then 'sold' else 'held' end
{_BOTH}
 where {_IS_LOST}
 order by number
 limit %s"""
_UNPRICED = """
select distinct category from plan_seats p
 where organization_id = %s and venue_id = %s and plan_version = %s
   and not exists (select from category_prices c
                    where c.organization_id = %s and c.event_id = %s and c.category = p.category)
 order by category"""

_OF_PLAN = "p.organization_id = %s and p.venue_id = %s and p.plan_version = %s"
_REMOVE = f"""
delete from event_seats e
 where e.organization_id = %s and e.event_id = %s
   and not exists (select from plan_seats p where {_OF_PLAN} and p.number = e.number)"""  # noqa: S608
_RECATEGORIZE = f"""
update event_seats e set category = p.category, version = e.version + 1
  from plan_seats p
 where e.organization_id = %s and e.event_id = %s and {_OF_PLAN} and p.number = e.number
   and p.category <> e.category"""  # noqa: S608
_ADD = """
insert into event_seats (organization_id, event_id, number, label, category)
select p.organization_id, %s, p.number, p.label, p.category from plan_seats p
 where p.organization_id = %s and p.venue_id = %s and p.plan_version = %s
   and not exists (select from event_seats e
                    where e.organization_id = %s and e.event_id = %s and e.number = p.number)
 order by p.number"""


class _Changes(NamedTuple):
    """Numbers of seats, as in `PlanChangeOut`."""

    kept: int
    added: int
    removed: int
    removed_blocked: int
    recategorized: int
    lost_count: int


async def sync_seats(session: AsyncSession, access: organizations.Access, event: Event) -> int:
    """Give an event, which the caller has locked, the seats of its venue's latest plan; returns their number.

    Idempotent. Seats that both plans have keep status, owner and hold. What was sold keeps its price where the category
    of its seat has changed.

    Raises:
        Invalid: the event has no venue, or is published and the plan has categories without a price.
        SeatsInUse: seats that are held or sold would be lost; the first LOST_MAX labels are under `seats`.
        organizations.QuotaExceeded: the organization has as many seats as it may have.
    """
    venue = await _venue_of(session, event)
    if event.plan_version == venue.plan_version:
        return await _count(session, event)
    others = _seats_of_other_events(event)
    await organizations.foresee_quota(session, organizations.Quota.EVENT_SEATS, others, venue.capacity)
    its, plan = (event.organization_id, event.id), (event.organization_id, venue.id, venue.plan_version)
    if event.plan_version is not None:
        # A DELETE would lock the seats in the order in which it finds them.
        await statements.execute(session, _LOCK_ALL, *its)
        await _refuse_losses(session, its, plan)
        await statements.execute(session, _REMOVE, *its, *plan)
        await statements.execute(session, _RECATEGORIZE, *its, *plan)
    await statements.execute(session, _ADD, event.id, *plan, *its)
    # The planner needs statistics of the thousands of new rows now; autovacuum would come a minute later.
    await session.execute(select(func.analyze_seats()))
    before, event.plan_version = event.plan_version, venue.plan_version
    if event.status == EventStatus.PUBLISHED:
        await ticket_types.refuse_unpriced(session, event)
    seats = await _count(session, event)
    quota, total = organizations.Quota.EVENT_SEATS, select(others.scalar_subquery() + seats)
    await organizations.check_quota(session, quota, event.organization_id, total)
    versions = {"plan_version": before}, {"plan_version": event.plan_version, "seats": seats}
    organizations.record(session, access, "seats.synced", f"event:{event.id}", *versions)
    outbox.publish(session, SeatsSynced(**event.ids, seats=seats, plan_version=venue.plan_version))
    return seats


async def describe_sync(session: AsyncSession, event: Event) -> SyncedOut:
    """What `sync_seats` would change now. Holds that begin later may change the answer.

    Raises:
        Invalid: the event has no venue.
    """
    venue = await _venue_of(session, event)
    its, plan = (event.organization_id, event.id), (event.organization_id, venue.id, venue.plan_version)
    changes = await _count_changes(session, its, plan)
    unpriced = []
    if event.status == EventStatus.PUBLISHED:
        listed = await statements.execute(session, _UNPRICED, *plan, *its)
        unpriced = [category for (category,) in await listed.fetchall()]
    described = PlanChangeOut(
        **changes._asdict(),
        is_possible=not changes.lost_count and not unpriced,
        lost=await _list_lost(session, its, plan) if changes.lost_count else [],
        unpriced=unpriced,
    )
    return SyncedOut(seats=changes.kept + changes.added, plan_version=venue.plan_version, changes=described)


async def _venue_of(session: AsyncSession, event: Event) -> venues.Venue:
    if event.venue_id is None:
        raise Invalid("This event has no venue, so it has no seats.", field="venue_id")
    await allow_long_statements(session)
    await plan_for_sets(session)
    return await venues.get_venue(session, event.organization_id, event.venue_id)


async def _refuse_losses(session: AsyncSession, its: tuple[Any, ...], plan: tuple[Any, ...]) -> None:
    changes = await _count_changes(session, its, plan)
    if not changes.lost_count:
        return
    lost = await _list_lost(session, its, plan)
    message = f"The venue's latest plan lacks {changes.lost_count:,} seats that are held or sold."
    listed = [seat.model_dump() for seat in lost]
    raise SeatsInUse(message, seats=[seat.label for seat in lost], lost=listed, lost_count=changes.lost_count)


async def _count_changes(session: AsyncSession, its: tuple[Any, ...], plan: tuple[Any, ...]) -> _Changes:
    ((*counts,),) = await (await statements.execute(session, _COUNT_CHANGES, *its, *plan)).fetchall()
    return _Changes(*counts)


async def _list_lost(session: AsyncSession, its: tuple[Any, ...], plan: tuple[Any, ...]) -> list[LostSeatOut]:
    found = await statements.execute(session, _LIST_LOST, *its, *plan, LOST_MAX)
    return [LostSeatOut(number=number, label=label, status=status) for number, label, status in await found.fetchall()]


def _seats_of_other_events(event: Event) -> Select[int]:
    # From the capacities of their venues: counting millions of rows would take seconds.
    capacity = func.coalesce(func.sum(venues.Venue.capacity), 0)
    query = select(capacity).join(Event, Event.venue_id == venues.Venue.id)
    is_other = (Event.organization_id == event.organization_id) & (Event.id != event.id)
    return query.where(is_other, Event.plan_version.is_not(None))


async def _count(session: AsyncSession, event: Event) -> int:
    is_its = (EventSeat.organization_id == event.organization_id, EventSeat.event_id == event.id)
    return await session.scalar(select(func.count()).select_from(EventSeat).where(*is_its)) or 0
