"""Personal data of reservations: its export, the end of a person's active holds, and its erasure."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from uuid import UUID

from sqlalchemy import ColumnElement, Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.db.personal_data import Part, Rows, locked_in_order
from ticketing.modules import events, iam
from ticketing.modules.reservations.items import held_seats, places
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.queries import items_by_reservation
from ticketing.modules.reservations.service import cancel_locked

#: A person's active holds that this transaction has locked, and their items.
_Held = Mapping[Reservation, Sequence[ReservationItem]]


def _reservations(user_id: UUID) -> Rows:
    kept = Reservation
    columns = (kept.organization_id, kept.id, kept.user_id, kept.event_id, kept.status, kept.total_minor, kept.currency)
    times = (kept.created_at, kept.expires_at, kept.ended_at)
    return select(*columns, *times).where(kept.user_id == user_id).order_by(kept.id)


def _items(user_id: UUID) -> Rows:
    item = ReservationItem
    columns = (item.organization_id, item.reservation_id, item.position, item.seat_label, item.ticket_type_id)
    query = select(*columns, item.quantity, item.price_minor).join(Reservation, Reservation.id == item.reservation_id)
    return query.where(Reservation.user_id == user_id).order_by(item.reservation_id, item.position)


PARTS = (
    Part("reservations", _reservations, Reservation.organization_id),
    Part("reservation_items", _items, ReservationItem.organization_id),
)


async def list_organizations(session: AsyncSession, user_id: UUID) -> set[UUID]:
    """The organizations with reservations of this person."""
    mine = select(Reservation.organization_id).where(Reservation.user_id == user_id)
    return set(await session.scalars(mine.distinct()))


async def cancel_active(session: AsyncSession, user_id: UUID) -> None:
    """Cancel this person's active holds; their seats are available at once.

    Row-level security shows one organization at a time, and the lock order is kept over all of them: all reservations,
    then all seats, then all places.
    """
    mine = select(Reservation.organization_id).where(Reservation.user_id == user_id, _is_active())
    held: dict[UUID, _Held] = {}
    for organization_id in sorted(await session.scalars(mine.distinct())):
        await tenancy.enter(session, organization_id)
        held[organization_id] = await _lock_active(session, organization_id, user_id)
    for step in (_lock_seats, _lock_places, _cancel):
        for organization_id, reservations in held.items():
            await tenancy.enter(session, organization_id)
            await step(session, reservations)


def _is_active() -> ColumnElement[bool]:
    return (Reservation.status == ReservationStatus.ACTIVE) & (Reservation.expires_at > func.now())


async def _lock_active(session: AsyncSession, organization_id: UUID, user_id: UUID) -> _Held:
    is_theirs = (Reservation.organization_id == organization_id) & (Reservation.user_id == user_id)
    query = select(Reservation).where(is_theirs, _is_active()).order_by(Reservation.id).with_for_update()
    locked = list(await session.scalars(query.execution_options(populate_existing=True)))
    items = await items_by_reservation(session, locked)
    return {reservation: items[reservation.id] for reservation in locked}


async def _lock_seats(session: AsyncSession, held: _Held) -> None:
    await events.lock_held(session, held_seats(chain(*held.values())))


async def _lock_places(session: AsyncSession, held: _Held) -> None:
    await events.lock_counters(session, places(chain(*held.values())))


async def _cancel(session: AsyncSession, held: _Held) -> None:
    for reservation, items in held.items():
        await cancel_locked(session, reservation, items)


async def forget_buyer(session: AsyncSession, user_ids: Collection[UUID]) -> None:
    """Erase the mailbox identity of these users' reservations of past events. Until then purchase limits count it."""
    is_over = Reservation.event_id.in_(select(events.Event.id).where(events.is_finished()))
    await session.execute(_erase_identity(Reservation.user_id.in_(user_ids), is_over))


async def forget_identities(session: AsyncSession, organization_id: UUID, event_id: UUID) -> None:
    """Erase the mailbox identities of erased users in the reservations of an event that is over."""
    of_event = (Reservation.organization_id == organization_id) & (Reservation.event_id == event_id)
    await session.execute(_erase_identity(of_event, Reservation.user_id.in_(iam.personal_data.erased_users())))


async def forget_buyers(session: AsyncSession, reservation_ids: Collection[UUID]) -> None:
    """Erase the mailbox identity of these reservations."""
    await session.execute(_erase_identity(Reservation.id.in_(reservation_ids)))


def _erase_identity(*whose: ColumnElement[bool]) -> Update:
    known = locked_in_order(Reservation.id, *whose, Reservation.buyer_identity.is_not(None))
    return update(Reservation).where(known).values(buyer_identity=None)
