"""Copying a venue's plan into an event, and keeping seats back for the house."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db.timeouts import be_patient
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


async def sync_seats(session: AsyncSession, access: organizations.Access, event: Event) -> int:
    """Give an event, which the caller has locked, the seats of its venue's present plan; answers how many.

    Doing it again changes nothing. With a new plan all seats are made anew, blocked ones included.

    Raises:
        Invalid: the event has no venue, or is published and the plan has categories without a price.
        SeatsInUse: the plan is another one and seats are held or sold.
    """
    if event.venue_id is None:
        raise Invalid("This event has no venue, so it has no seats.", field="venue_id")
    await be_patient(session)
    venue = await venues.get_venue(session, event.organization_id, event.venue_id)
    if event.plan_version == venue.plan_version:
        return await _count(session, event)
    if event.plan_version is not None:
        await _clear(session, event)
    plan = {"organization_id": event.organization_id, "event_id": event.id}
    await session.execute(_COPY, {**plan, "venue_id": venue.id, "plan_version": venue.plan_version})
    await session.execute(_ANALYZE)
    before, event.plan_version = event.plan_version, venue.plan_version
    if event.status == EventStatus.PUBLISHED:
        await ticket_types.refuse_unpriced(session, event)
    seats = await _count(session, event)
    versions = {"plan_version": before}, {"plan_version": event.plan_version, "seats": seats}
    organizations.record(session, access, "seats.synced", f"event:{event.id}", *versions)
    outbox.publish(session, SeatsSynced(**plan, seats=seats, plan_version=venue.plan_version))
    return seats


async def block_seats(session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str]) -> None:
    """Keep available seats back for the house, all or none.

    Raises:
        SeatUnknown, SeatTaken: with the labels, under `seats`.
    """
    numbers = await _change(session, event, labels, is_blocking=True)
    _announce(session, access, event, labels, SeatsBlocked(**_place(event), seat_numbers=numbers))


async def unblock_seats(
    session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str]
) -> None:
    """Give blocked seats to the public, all or none.

    Raises:
        SeatUnknown, SeatNotBlocked: with the labels, under `seats`.
    """
    numbers = await _change(session, event, labels, is_blocking=False)
    _announce(session, access, event, labels, SeatsUnblocked(**_place(event), seat_numbers=numbers))


async def _change(session: AsyncSession, event: Event, labels: Sequence[str], *, is_blocking: bool) -> list[int]:
    # The house waits for holds that are being decided just now: they lock in the same order, and are short.
    rows = (await session.execute(_LOCK, {**_place(event), "labels": list(labels)})).all()
    found = {row.label for row in rows}
    if unknown := [label for label in labels if label not in found]:
        raise SeatUnknown(field="seats", seats=unknown)
    if wrong := [row.label for row in rows if not (row.is_free if is_blocking else row.status == "b")]:
        raise (SeatTaken if is_blocking else SeatNotBlocked)(field="seats", seats=wrong)
    numbers = [row.number for row in rows]
    change = {**_place(event), "numbers": numbers, "status": "b" if is_blocking else "a"}
    await session.execute(_SET, change)
    return numbers


def _announce(
    session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str], message: SeatsMessage
) -> None:
    organizations.record(session, access, message.topic, f"event:{event.id}", None, {"seats": list(labels)})
    outbox.publish(session, message)


def _place(event: Event) -> dict[str, Any]:
    return {"organization_id": event.organization_id, "event_id": event.id}


async def _count(session: AsyncSession, event: Event) -> int:
    is_its = (EventSeat.organization_id == event.organization_id, EventSeat.event_id == event.id)
    return await session.scalar(select(func.count()).select_from(EventSeat).where(*is_its)) or 0


async def _clear(session: AsyncSession, event: Event) -> None:
    await session.execute(_DELETE, _place(event))
    if await _count(session, event):
        raise SeatsInUse


# The planner has to know at once that there are thousands of rows; autovacuum would tell it in a minute.
_ANALYZE = text("select analyze_seats()")
_COPY = text("""
insert into event_seats (organization_id, event_id, number, label, category)
select organization_id, :event_id, number, label, category from plan_seats
 where organization_id = :organization_id and venue_id = :venue_id and plan_version = :plan_version
 order by number""")
_DELETE = text(f"""
delete from event_seats where organization_id = :organization_id and event_id = :event_id
                          and (status = 'b' or {FREE})""")  # noqa: S608 (only constants)
_LOCK = text(f"""
select number, label, status, {FREE} as is_free from event_seats
 where organization_id = :organization_id and event_id = :event_id and label = any(cast(:labels as text[]))
 order by number for update""")  # noqa: S608 (only constants)
_SET = text("""
update event_seats set status = :status, reservation_id = null, held_until = null, version = version + 1
 where organization_id = :organization_id and event_id = :event_id and number = any(cast(:numbers as integer[]))""")
