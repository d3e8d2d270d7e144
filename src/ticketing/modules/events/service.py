"""Events from draft to end: every change of state, with its fact and its line in the audit log."""

from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict, Invalid
from ticketing.modules import organizations, venues
from ticketing.modules.events import queries, ticket_types
from ticketing.modules.events.messages import (
    EventCancelled,
    EventCompleted,
    EventCreated,
    EventMessage,
    EventPublished,
    EventUpdated,
)
from ticketing.modules.events.models import Event, EventSeat, EventStatus, TicketType

#: Events that one run of the scheduler completes; the next run takes the rest.
COMPLETED_MAX = 500

_CHECKED = ("venue_id", "starts_at", "ends_at", "sales_start_at", "sales_end_at")


class WrongState(Conflict):
    """This is not possible in the event's present state."""

    code = "event_state"


class AlreadyPriced(Conflict):
    """The venue and the currency can't change once there are ticket types or seats."""

    code = "event_in_use"


async def create_event(session: AsyncSession, access: organizations.Access, fields: dict[str, Any]) -> Event:
    """Create a draft.

    Raises:
        Invalid: the venue is unknown, or two times contradict each other.
    """
    await _check(session, access.organization_id, fields)
    event = Event(id=new_id(), organization_id=access.organization_id, status=EventStatus.DRAFT, **fields)
    session.add(event)
    await session.flush()  # What the session writes next refers to it, and its created_at is answered.
    await session.refresh(event, ["created_at"])
    organizations.record(session, access, "event.created", f"event:{event.id}", None, _facts(event, fields))
    outbox.publish(session, EventCreated(organization_id=event.organization_id, event_id=event.id, title=event.title))
    return event


async def update_event(
    session: AsyncSession, access: organizations.Access, event_id: UUID, fields: dict[str, Any]
) -> Event:
    """Change a draft or a published event.

    Raises:
        NotFound, WrongState, AlreadyPriced, Invalid: see the classes.
    """
    event = await get_open_event(session, access, event_id)
    before = _facts(event, fields)
    changed = [name for name, value in fields.items() if getattr(event, name) != value]
    if {"venue_id", "currency"} & set(changed) and await _is_in_use(session, event):
        raise AlreadyPriced(field="venue_id" if "venue_id" in changed else "currency")
    # Checked before a field is set: the next query would write the row, and the database's refusal says too little.
    await _check(session, event.organization_id, {name: fields.get(name, getattr(event, name)) for name in _CHECKED})
    for name in changed:
        setattr(event, name, fields[name])
    if "venue_id" in changed:
        event.plan_version = None
    if changed:
        organizations.record(session, access, "event.updated", f"event:{event.id}", before, _facts(event, fields))
        fact = EventUpdated(organization_id=event.organization_id, event_id=event.id, changed=changed)
        outbox.publish(session, fact)
    return event


async def publish_event(session: AsyncSession, access: organizations.Access, event_id: UUID) -> Event:
    """Make a draft public.

    Raises:
        NotFound, WrongState: see the classes.
        Invalid: nothing is sold yet, or some categories of seats have no price; they are under `categories`.
    """
    event = await queries.get_own_event(session, access.organization_id, event_id, is_locked=True)
    _require(event, EventStatus.DRAFT)
    if not await queries.list_ticket_types(session, event.id):
        raise Invalid("An event needs at least one ticket type before it is published.", field="ticket_types")
    await ticket_types.refuse_unpriced(session, event)
    event.published_at = await session.scalar(select(func.now()))
    return await _move(session, access, event, EventStatus.PUBLISHED, EventPublished)


async def cancel_event(session: AsyncSession, access: organizations.Access, event_id: UUID) -> Event:
    """Cancel a draft or a published event. What was sold stays sold: giving money back is an act of its own.

    Raises:
        NotFound, WrongState: see the classes.
    """
    event = await get_open_event(session, access, event_id)
    return await _move(session, access, event, EventStatus.CANCELLED, EventCancelled)


async def complete_past_events(session: AsyncSession) -> int:
    """Complete published events that are over by Postgres' clock; answers how many. The scheduler calls this."""
    over = select(Event.id).where(Event.status == EventStatus.PUBLISHED, queries.is_over()).order_by(Event.id)
    over = over.limit(COMPLETED_MAX).with_for_update(skip_locked=True, key_share=True)
    done = update(Event).where(Event.id.in_(over)).values(status=EventStatus.COMPLETED)
    done = done.execution_options(synchronize_session=False)
    rows = (await session.execute(done.returning(Event.organization_id, Event.id))).all()
    for organization_id, event_id in rows:
        outbox.publish(session, EventCompleted(organization_id=organization_id, event_id=event_id))
    return len(rows)


async def get_open_event(session: AsyncSession, access: organizations.Access, event_id: UUID) -> Event:
    """An event of this organization that can still be changed, locked for the rest of the transaction.

    Raises:
        NotFound, WrongState: see the classes.
    """
    event = await queries.get_own_event(session, access.organization_id, event_id, is_locked=True)
    _require(event, EventStatus.DRAFT, EventStatus.PUBLISHED)
    return event


def _require(event: Event, *states: EventStatus) -> None:
    if event.status not in states:
        raise WrongState(f"This event is {event.status}; it has to be {' or '.join(states)}.", status=event.status)


async def _move(
    session: AsyncSession,
    access: organizations.Access,
    event: Event,
    status: EventStatus,
    message: type[EventMessage],
) -> Event:
    before, event.status = event.status, status
    change = {"status": str(before)}, {"status": str(status)}
    organizations.record(session, access, message.topic, f"event:{event.id}", *change)
    outbox.publish(session, message(organization_id=event.organization_id, event_id=event.id))
    return event


async def _is_in_use(session: AsyncSession, event: Event) -> bool:
    for table in (TicketType, EventSeat):
        is_its = (table.organization_id == event.organization_id) & (table.event_id == event.id)
        if await session.scalar(select(exists().where(is_its))):
            return True
    return False


async def _check(session: AsyncSession, organization_id: UUID, fields: dict[str, Any]) -> None:
    """Raises Invalid when the venue is unknown here, or when two times contradict each other."""
    venue_id, ends_at = fields["venue_id"], fields["ends_at"]
    sales_start_at, sales_end_at = fields["sales_start_at"], fields["sales_end_at"]
    if ends_at is not None and ends_at <= fields["starts_at"]:
        raise Invalid("An event ends after it starts.", field="ends_at")
    if sales_start_at is not None and sales_end_at is not None and sales_end_at <= sales_start_at:
        raise Invalid("A sale ends after it starts.", field="sales_end_at")
    if venue_id is not None and await venues.find_venue(session, organization_id, venue_id) is None:
        raise Invalid("There is no such venue here.", field="venue_id")


def _facts(event: Event, fields: dict[str, Any]) -> dict[str, Any]:
    """What the audit log keeps: the present values of these fields, as JSON."""
    return {name: _plain(getattr(event, name)) for name in fields}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)
