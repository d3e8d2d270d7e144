"""What reservations hold of a person, how their running holds end, and how the rest is made nobody's."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.personal_data import Part, Rows
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.service import HoldEnded, HoldRanOut, cancel


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


async def list_shops(session: AsyncSession, user_id: UUID) -> set[UUID]:
    """The organizations at which this person has ever held anything."""
    mine = select(Reservation.organization_id).where(Reservation.user_id == user_id)
    return set(await session.scalars(mine.distinct()))


async def cancel_running(session: AsyncSession, user_id: UUID) -> None:
    """End this person's running holds; the seats are free at once."""
    is_running = (Reservation.status == ReservationStatus.ACTIVE) & (Reservation.expires_at > func.now())
    mine = select(Reservation.id).where(Reservation.user_id == user_id, is_running)
    for reservation_id in (await session.scalars(mine.order_by(Reservation.id))).all():
        try:
            await cancel(session, reservation_id, user_id)
        except (HoldEnded, HoldRanOut):
            continue  # it was bought, or ran out, while we were looking at the others


async def forget_buyer(session: AsyncSession, user_id: UUID) -> None:
    """Forget which mailbox was behind this person's reservations."""
    await session.execute(_forget().where(Reservation.user_id == user_id))


async def forget_buyers(session: AsyncSession, reservation_ids: Collection[UUID]) -> None:
    """The same for reservations of many people."""
    await session.execute(_forget().where(Reservation.id.in_(reservation_ids)))


def _forget() -> Update:
    return update(Reservation).where(Reservation.buyer_identity.is_not(None)).values(buyer_identity=None)
