"""What a buyer can do with an active hold: extend it once, or cancel it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import tenancy
from ticketing.infra.errors import Conflict, NotFound
from ticketing.modules import events
from ticketing.modules.reservations.items import message_fields, places, seat_numbers
from ticketing.modules.reservations.messages import ReservationCancelled, ReservationExtended
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.queries import get_reservation, is_lapsed, list_items, lock_reservation


class HoldExpired(Conflict):
    """This reservation has expired; its seats are available to other buyers again."""

    code = "reservation_expired"


class HoldEnded(Conflict):
    """This reservation has ended."""

    code = "reservation_ended"


class ExtensionLimit(Conflict):
    """This reservation can't be extended again."""

    code = "extension_limit"


async def lock_own(session: AsyncSession, reservation_id: UUID, user_id: UUID) -> Reservation:
    """Lock the buyer's reservation and enter its organization.

    Raises NotFound when it is unknown or another buyer's.
    """
    reservation = await get_reservation(session, reservation_id)
    if reservation.user_id != user_id:
        raise NotFound
    await tenancy.enter(session, reservation.organization_id)
    return await lock_reservation(session, reservation_id)


async def check_active(session: AsyncSession, reservation: Reservation) -> None:
    """Raise HoldExpired or HoldEnded unless the hold is active and not lapsed, by the database's clock."""
    if reservation.status == ReservationStatus.EXPIRED or await is_lapsed(session, reservation):
        raise HoldExpired
    if reservation.status != ReservationStatus.ACTIVE:
        raise HoldEnded(f"This reservation is {reservation.status}.")


async def extend(session: AsyncSession, reservation_id: UUID, user_id: UUID, extensions_max: int) -> Reservation:
    """Extend the hold by the event's `hold_seconds`.

    Raises:
        NotFound, HoldExpired, HoldEnded, ExtensionLimit.
        events.EventNotOnSale: the event was cancelled, or its sale has ended; the hold keeps its time.
    """
    reservation = await lock_own(session, reservation_id, user_id)
    await check_active(session, reservation)
    if reservation.extensions >= extensions_max:
        raise ExtensionLimit
    await events.check_on_sale(session, reservation.organization_id, reservation.event_id)
    event = await events.get_event(session, reservation.event_id)
    reservation.expires_at += timedelta(seconds=event.hold_seconds)
    reservation.extensions += 1
    reservation.version += 1
    items = await list_items(session, reservation)
    if numbers := seat_numbers(items):
        where = (reservation.organization_id, reservation.event_id, reservation.id)
        await events.extend_seats(session, *where, numbers, reservation.expires_at)
    outbox.publish(
        session, ReservationExtended(**message_fields(reservation, items), expires_at=reservation.expires_at)
    )
    return reservation


async def cancel(session: AsyncSession, reservation_id: UUID, user_id: UUID) -> Reservation:
    """Cancel the hold and release its seats. Idempotent.

    Raises:
        NotFound, HoldExpired, HoldEnded (already bought).
    """
    reservation = await lock_own(session, reservation_id, user_id)
    if reservation.status == ReservationStatus.CANCELLED:
        return reservation
    await check_active(session, reservation)
    await cancel_locked(session, reservation, await list_items(session, reservation))
    return reservation


async def cancel_locked(session: AsyncSession, reservation: Reservation, items: Sequence[ReservationItem]) -> None:
    """Cancel an active hold that the caller has locked."""
    where = (reservation.organization_id, reservation.event_id, reservation.id)
    await events.release_seats(session, *where, seat_numbers(items))
    await events.release_places(session, places(items))
    reservation.status = ReservationStatus.CANCELLED
    reservation.ended_at = func.now()
    reservation.version += 1
    outbox.publish(session, ReservationCancelled(**message_fields(reservation, items)))
