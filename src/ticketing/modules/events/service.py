"""The life cycle of events: every change of status, with its message and its audit log entry."""

from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import constant, new_id, transaction_time
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

#: Events completed per run of the scheduler; the next run continues.
COMPLETED_MAX = 500

_CHECKED = ("venue_id", "timezone", "starts_at", "ends_at", "sales_start_at", "sales_end_at")


#: Changes that entries in people's calendars have to follow, of the event or of the start of its sale.
_IN_CALENDARS = frozenset({"title", "venue_id", "timezone", "starts_at", "ends_at", "sales_start_at"})


class WrongStatus(Conflict):
    """This is not possible in the event's present status."""

    code = "event_state"


class EventInUse(Conflict):
    """The venue and the currency can't change once there are ticket types or seats."""

    code = "event_in_use"


async def create_event(session: AsyncSession, access: organizations.Access, fields: dict[str, Any]) -> Event:
    """Create a draft.

    Raises:
        Invalid: the venue is unknown, the time zone is missing or another one, or an end is not after its start.
        organizations.QuotaExceeded: the organization has as many events or drafts as it may have.
    """
    fields |= {"timezone": await _check(session, access.organization_id, fields)}
    event = Event(id=new_id(), organization_id=access.organization_id, status=EventStatus.DRAFT, **fields)
    session.add(event)
    await session.flush()  # later rows reference it, and the response has its created_at
    await session.refresh(event, ["created_at"])
    of_theirs = select(func.count()).where(Event.organization_id == event.organization_id)
    drafts = of_theirs.where(Event.status == EventStatus.DRAFT)
    await organizations.check_quota(session, organizations.Quota.EVENTS, event.organization_id, of_theirs)
    await organizations.check_quota(session, organizations.Quota.DRAFTS, event.organization_id, drafts)
    organizations.record(session, access, "event.created", f"event:{event.id}", None, _audited(event, fields))
    outbox.publish(session, EventCreated(**event.ids, title=event.title))
    return event


async def update_event(
    session: AsyncSession, access: organizations.Access, event_id: UUID, fields: dict[str, Any]
) -> Event:
    """Change a draft or a published event.

    Raises:
        NotFound, WrongStatus, EventInUse, Invalid: see the classes.
    """
    event = await get_open_event(session, access, event_id)
    changed = [name for name, value in fields.items() if getattr(event, name) != value]
    if {"venue_id", "currency"} & set(changed) and await _is_in_use(session, event):
        raise EventInUse(field="venue_id" if "venue_id" in changed else "currency")
    # Checked before any field is set: the next query flushes the row, and a constraint violation names no field.
    checked = {name: fields.get(name, getattr(event, name)) for name in _CHECKED}
    if fields.get("venue_id") is not None:
        checked["timezone"] = fields.get("timezone")
    timezone = await _check(session, event.organization_id, checked)
    if timezone != event.timezone and "timezone" not in changed:  # that of another venue
        fields = fields | {"timezone": timezone}
        changed.append("timezone")
    before = _audited(event, fields)
    for name in changed:
        setattr(event, name, fields[name])
    if "venue_id" in changed:
        event.plan_version = None
    if changed:
        organizations.record(session, access, "event.updated", f"event:{event.id}", before, _audited(event, fields))
        sequence = await _revise_calendars(session, event) if _IN_CALENDARS & set(changed) else None
        outbox.publish(session, EventUpdated(**event.ids, changed=changed, calendar_sequence=sequence))
    return event


async def publish_event(session: AsyncSession, access: organizations.Access, event_id: UUID) -> Event:
    """Make a draft public.

    Raises:
        NotFound, WrongStatus: see the classes.
        Invalid: there is no ticket type, or some `categories` of seats have no price.
    """
    event = await queries.get_own_event(session, access.organization_id, event_id, is_locked=True)
    _require(event, EventStatus.DRAFT)
    if not await queries.list_ticket_types(session, event.id):
        raise Invalid("An event needs at least one ticket type before it is published.", field="ticket_types")
    await ticket_types.refuse_unpriced(session, event)
    event.published_at = await transaction_time(session)
    return await _move(session, access, event, EventStatus.PUBLISHED, EventPublished)


async def cancel_event(session: AsyncSession, access: organizations.Access, event_id: UUID) -> Event:
    """Cancel a draft or a published event. Orders stay paid: refunds are separate actions.

    Raises:
        NotFound, WrongStatus: see the classes.
    """
    event = await get_open_event(session, access, event_id)
    sequence = await _revise_calendars(session, event)
    return await _move(session, access, event, EventStatus.CANCELLED, EventCancelled, calendar_sequence=sequence)


async def complete_past_events(session: AsyncSession) -> int:
    """Complete published events that have ended by Postgres' clock, and return their number. For the scheduler."""
    # What is over has begun: this condition is redundant, and the index of published events serves it.
    has_begun = (Event.status == constant(EventStatus.PUBLISHED)) & (Event.starts_at <= func.now())
    over = select(Event.id).where(has_begun, queries.is_over()).order_by(Event.id)
    over = over.limit(COMPLETED_MAX).with_for_update(skip_locked=True, key_share=True)
    done = update(Event).where(Event.id.in_(over)).values(status=EventStatus.COMPLETED)
    done = done.execution_options(synchronize_session=False)
    rows = (await session.execute(done.returning(Event.organization_id, Event.id))).all()
    for organization_id, event_id in rows:
        outbox.publish(session, EventCompleted(organization_id=organization_id, event_id=event_id))
    return len(rows)


async def get_open_event(session: AsyncSession, access: organizations.Access, event_id: UUID) -> Event:
    """An event of this organization that can still be changed, locked until the transaction ends.

    Raises:
        NotFound, WrongStatus: see the classes.
    """
    event = await queries.get_own_event(session, access.organization_id, event_id, is_locked=True)
    _require(event, EventStatus.DRAFT, EventStatus.PUBLISHED)
    return event


def _require(event: Event, *states: EventStatus) -> None:
    if event.status not in states:
        raise WrongStatus(f"This event is {event.status}; it has to be {' or '.join(states)}.", status=event.status)


async def _move(
    session: AsyncSession,
    access: organizations.Access,
    event: Event,
    status: EventStatus,
    message: type[EventMessage],
    **fields: int,
) -> Event:
    before, event.status = event.status, status
    change = {"status": str(before)}, {"status": str(status)}
    organizations.record(session, access, message.topic, f"event:{event.id}", *change)
    outbox.publish(session, message(**event.ids, **fields))
    return event


async def _revise_calendars(session: AsyncSession, event: Event) -> int:
    """Let new calendar files replace the earlier ones; the new SEQUENCE. The caller has locked the event."""
    event.calendar_sequence += 1
    event.calendar_changed_at = await transaction_time(session)
    return event.calendar_sequence


async def _is_in_use(session: AsyncSession, event: Event) -> bool:
    for table in (TicketType, EventSeat):
        is_its = (table.organization_id == event.organization_id) & (table.event_id == event.id)
        if await session.scalar(select(exists().where(is_its))):
            return True
    return False


async def _check(session: AsyncSession, organization_id: UUID, fields: dict[str, Any]) -> str:
    """The time zone of an event with these fields.

    Raises:
        Invalid: the venue is unknown in this organization, the time zone is missing or not the venue's, or an end is
            not after its start.
    """
    venue_id, ends_at = fields["venue_id"], fields["ends_at"]
    sales_start_at, sales_end_at = fields["sales_start_at"], fields["sales_end_at"]
    if ends_at is not None and ends_at <= fields["starts_at"]:
        raise Invalid("An event ends after it starts.", field="ends_at")
    if sales_start_at is not None and sales_end_at is not None and sales_end_at <= sales_start_at:
        raise Invalid("A sale ends after it starts.", field="sales_end_at")
    return await _timezone_of(session, organization_id, venue_id, fields["timezone"])


async def _timezone_of(
    session: AsyncSession, organization_id: UUID, venue_id: UUID | None, timezone: str | None
) -> str:
    if venue_id is None:
        if timezone is None:
            raise Invalid("An event without a venue needs a time zone, such as Europe/Amsterdam.", field="timezone")
        return timezone
    venue = await venues.find_venue(session, organization_id, venue_id)
    if venue is None:
        raise Invalid("There is no such venue here.", field="venue_id")
    if timezone not in (None, venue.timezone):
        raise Invalid(f"The venue's time zone is {venue.timezone}; send that or leave it out.", field="timezone")
    return venue.timezone


def _audited(event: Event, fields: dict[str, Any]) -> dict[str, Any]:
    """The present values of these fields as JSON, for the audit log."""
    return {name: _plain(getattr(event, name)) for name in fields}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)
