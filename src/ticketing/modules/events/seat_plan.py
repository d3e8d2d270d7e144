"""Copy a venue's seating plan into an event, and block seats from sale."""

from collections.abc import Sequence
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
from ticketing.modules.events.inventory.seats import FREE, SeatTaken, SeatUnknown
from ticketing.modules.events.messages import SeatsBlocked, SeatsMessage, SeatsSynced, SeatsUnblocked
from ticketing.modules.events.models import Event, EventSeat, EventStatus


class SeatsInUse(Conflict):
    """The venue has a new plan, but seats of the old one are held or sold."""

    code = "seats_in_use"


class SeatNotBlocked(Conflict):
    """One of these seats is not blocked."""

    code = "seat_not_blocked"


_COPY = """
insert into event_seats (organization_id, event_id, number, label, category)
select organization_id, %s, number, label, category from plan_seats
 where organization_id = %s and venue_id = %s and plan_version = %s
 order by number"""
_LOCK_ALL = """
select count(*) from (
    select from event_seats where organization_id = %s and event_id = %s order by number for update) as seats"""
_DELETE = f"""
delete from event_seats
 where organization_id = %s and event_id = %s and (status = 'b' or {FREE})"""  # noqa: S608 (only constants)
_LOCK = f"""
select number, label, status, {FREE} from event_seats
 where organization_id = %s and event_id = %s and label = any(%s::text[])
 order by number for update"""  # noqa: S608 (only constants)
_SET = """
update event_seats set status = %s, reservation_id = null, held_until = null, version = version + 1
 where organization_id = %s and event_id = %s and number = any(%s::integer[])"""


class _LockedSeat(NamedTuple):
    number: int
    label: str
    status: str
    is_free: bool


async def sync_seats(session: AsyncSession, access: organizations.Access, event: Event) -> int:
    """Create the seats of an event, which the caller has locked, from its venue's plan; returns their number.

    Idempotent. A new version of the plan replaces all seats, blocked ones included.

    Raises:
        Invalid: the event has no venue, or is published and the plan has categories without a price.
        SeatsInUse: the plan has a new version, and seats are held or sold.
        organizations.QuotaExceeded: the organization has as many seats as it may have.
    """
    if event.venue_id is None:
        raise Invalid("This event has no venue, so it has no seats.", field="venue_id")
    await allow_long_statements(session)
    await plan_for_sets(session)
    venue = await venues.get_venue(session, event.organization_id, event.venue_id)
    if event.plan_version == venue.plan_version:
        return await _count(session, event)
    others = _seats_of_other_events(event)
    await organizations.foresee_quota(session, organizations.Quota.EVENT_SEATS, others, venue.capacity)
    if event.plan_version is not None:
        await _delete_seats(session, event)
    plan = (event.organization_id, venue.id, venue.plan_version)
    await statements.execute(session, _COPY, event.id, *plan)
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
    outbox.publish(session, SeatsSynced(**_event_of(event), seats=seats, plan_version=venue.plan_version))
    return seats


def _seats_of_other_events(event: Event) -> Select[int]:
    # From the capacities of their venues: counting millions of rows would take seconds.
    capacity = func.coalesce(func.sum(venues.Venue.capacity), 0)
    query = select(capacity).join(Event, Event.venue_id == venues.Venue.id)
    is_other = (Event.organization_id == event.organization_id) & (Event.id != event.id)
    return query.where(is_other, Event.plan_version.is_not(None))


async def block_seats(session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str]) -> None:
    """Take available seats off sale, all or none.

    Raises:
        SeatUnknown, SeatTaken: with the labels, under `seats`.
    """
    numbers = await _change(session, event, labels, is_blocking=True)
    _announce(session, access, event, labels, SeatsBlocked(**_event_of(event), seat_numbers=numbers))


async def unblock_seats(
    session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str]
) -> None:
    """Put blocked seats back on sale, all or none.

    Raises:
        SeatUnknown, SeatNotBlocked: with the labels, under `seats`.
    """
    numbers = await _change(session, event, labels, is_blocking=False)
    _announce(session, access, event, labels, SeatsUnblocked(**_event_of(event), seat_numbers=numbers))


async def _change(session: AsyncSession, event: Event, labels: Sequence[str], *, is_blocking: bool) -> list[int]:
    # Waits for holds in progress: they lock in the same order and are short.
    locked = await statements.execute(session, _LOCK, event.organization_id, event.id, list(labels))
    rows = [_LockedSeat(*row) for row in await locked.fetchall()]
    found = {row.label for row in rows}
    if unknown := [label for label in labels if label not in found]:
        raise SeatUnknown(field="seats", seats=unknown)
    if wrong := [row.label for row in rows if not (row.is_free if is_blocking else row.status == "b")]:
        raise (SeatTaken if is_blocking else SeatNotBlocked)(field="seats", seats=wrong)
    numbers = [row.number for row in rows]
    status = "b" if is_blocking else "a"
    await statements.execute(session, _SET, status, event.organization_id, event.id, numbers)
    return numbers


def _announce(
    session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str], message: SeatsMessage
) -> None:
    organizations.record(session, access, message.topic, f"event:{event.id}", None, {"seats": list(labels)})
    outbox.publish(session, message)


def _event_of(event: Event) -> dict[str, Any]:
    return {"organization_id": event.organization_id, "event_id": event.id}


async def _count(session: AsyncSession, event: Event) -> int:
    is_its = (EventSeat.organization_id == event.organization_id, EventSeat.event_id == event.id)
    return await session.scalar(select(func.count()).select_from(EventSeat).where(*is_its)) or 0


async def _delete_seats(session: AsyncSession, event: Event) -> None:
    # A DELETE would lock the seats in the order in which it finds them.
    await statements.execute(session, _LOCK_ALL, event.organization_id, event.id)
    await statements.execute(session, _DELETE, event.organization_id, event.id)
    if await _count(session, event):
        raise SeatsInUse
