"""Personal data in tickets: export, and erasure of holders' names. A ticket without a name still admits."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.personal_data import Part, Rows, locked_in_order
from ticketing.modules import events, organizations
from ticketing.modules.tickets.models import CheckIn, Device, Ticket, TicketStatus

#: Upper limit of tickets listed in a response.
LISTED_MAX = 20


def _tickets(user_id: UUID) -> Rows:
    columns = (Ticket.organization_id, Ticket.id, Ticket.user_id, Ticket.order_id, Ticket.event_id, Ticket.name)
    state = (Ticket.seat_label, Ticket.holder_name, Ticket.status, Ticket.created_at)
    door = (Ticket.checked_in_at, Ticket.checked_in_gate)
    return select(*columns, *state, *door).where(Ticket.user_id == user_id).order_by(Ticket.id)


def _scans(user_id: UUID) -> Rows:
    columns = (CheckIn.organization_id, CheckIn.id, CheckIn.ticket_id, CheckIn.result, CheckIn.gate)
    times = (CheckIn.scanned_at, CheckIn.claimed_at)
    is_its = (Ticket.organization_id == CheckIn.organization_id) & (Ticket.id == CheckIn.ticket_id)
    query = select(*columns, *times).join(Ticket, is_its)
    return query.where(Ticket.user_id == user_id).order_by(CheckIn.id)


def _scans_made(user_id: UUID) -> Rows:
    columns = (CheckIn.organization_id, CheckIn.id, CheckIn.event_id, CheckIn.scanned_by, CheckIn.scanned_at)
    mine = CheckIn.scanned_by == organizations.personal_data.actor_of(user_id)
    return select(*columns, CheckIn.claimed_at, CheckIn.result, CheckIn.gate).where(mine).order_by(CheckIn.id)


def _devices_made(user_id: UUID) -> Rows:
    columns = (Device.organization_id, Device.id, Device.event_id, Device.name, Device.gate, Device.created_at)
    return select(*columns).where(Device.created_by == user_id).order_by(Device.id)


PARTS = (
    Part("tickets", _tickets, Ticket.organization_id),
    Part("check_ins", _scans, CheckIn.organization_id),
    Part("check_ins_made", _scans_made, CheckIn.organization_id),
    Part("devices_made", _devices_made, Device.organization_id),
)


async def list_organizations_of_holder(session: AsyncSession, user_id: UUID) -> set[UUID]:
    """Return the organizations whose tickets this user holds, including transferred tickets."""
    held = select(Ticket.organization_id).where(Ticket.user_id == user_id)
    return set(await session.scalars(held.distinct()))


async def list_usable(session: AsyncSession, user_id: UUID) -> list[Ticket]:
    """Return the user's issued tickets of events that have not ended, at most LISTED_MAX."""
    end = func.coalesce(events.Event.ends_at, events.Event.starts_at)
    is_ahead = (events.Event.status == events.EventStatus.PUBLISHED) & (end > func.now())
    query = select(Ticket).join(events.Event, events.Event.id == Ticket.event_id)
    query = query.where(Ticket.user_id == user_id, Ticket.status == TicketStatus.ISSUED, is_ahead)
    return list(await session.scalars(query.order_by(Ticket.id).limit(LISTED_MAX)))


async def forget_holder(session: AsyncSession, user_ids: Collection[UUID]) -> None:
    """Erase these users' names from the tickets they hold. Transferred tickets carry the new holder's name."""
    await session.execute(_forget(Ticket.user_id.in_(user_ids)))


async def forget_holders(session: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Erase the holders' names from all tickets of these orders."""
    await session.execute(_forget(Ticket.order_id.in_(order_ids)))


def _forget(whose: ColumnElement[bool]) -> Update:
    return update(Ticket).where(locked_in_order(Ticket.id, whose, Ticket.holder_name != "")).values(holder_name="")
