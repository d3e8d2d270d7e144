"""Personal data of reservations: its export, the end of a person's active holds, and its erasure."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.personal_data import Part, Rows
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.service import HoldEnded, HoldExpired, cancel


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
    """Cancel this person's active holds; their seats are available at once."""
    is_active = (Reservation.status == ReservationStatus.ACTIVE) & (Reservation.expires_at > func.now())
    mine = select(Reservation.id).where(Reservation.user_id == user_id, is_active)
    for reservation_id in (await session.scalars(mine.order_by(Reservation.id))).all():
        try:
            await cancel(session, reservation_id, user_id)
        except (HoldEnded, HoldExpired):
            continue  # bought or expired since the query


async def forget_buyer(session: AsyncSession, user_id: UUID) -> None:
    """Erase the mailbox identity of this person's reservations."""
    await session.execute(_erase_identity().where(Reservation.user_id == user_id))


async def forget_buyers(session: AsyncSession, reservation_ids: Collection[UUID]) -> None:
    """Erase the mailbox identity of these reservations."""
    await session.execute(_erase_identity().where(Reservation.id.in_(reservation_ids)))


def _erase_identity() -> Update:
    return update(Reservation).where(Reservation.buyer_identity.is_not(None)).values(buyer_identity=None)
