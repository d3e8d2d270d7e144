"""Money makes a hold final: judged in the transaction in which it arrives, so that no delay can undo it."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import Wire, send
from ticketing.modules import events
from ticketing.modules.reservations.expiry import expire_due, expire_overtaken
from ticketing.modules.reservations.items import HeldItem, HoldRow, facts, places, seat_numbers
from ticketing.modules.reservations.messages import ReservationConfirmed
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.queries import list_items, lock_reservation

_log = log.get_logger(__name__)


class _Gone(Exception):
    """Somebody else has them by now."""


async def confirm(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> bool:
    """Sell what a reservation holds. After its end, take the same seats and places again if they are free.

    The caller has just locked it (`lock_hold`). `then` writes what follows from the sale, in the same round trip.
    Answers False when they are gone; nothing was changed then. Confirming twice is confirming once.

    Raises:
        SeatContended: another reservation's run-out hold on one of the seats is being decided just now; try again.
    """
    if hold.status == ReservationStatus.CONFIRMED:
        async with statements.round_trip(session) as wire:
            await then(wire)
        return True
    try:
        await (_sell if hold.is_running else _sell_late)(session, hold, items, then)
    except _Gone:
        return False
    except (events.SeatsLost, events.PlacesLost) as error:
        # A bug, if it ever happens: the buyer gets the money back, and we an alarm.
        _log.error("hold_lost", reservation_id=str(hold.id), error=str(error))
        return False
    return True


async def _sell(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> None:
    try:
        await _write_sale(session, hold, items, then)
    except (events.SeatsLost, events.PlacesLost):
        async with statements.round_trip(session) as wire:
            await send(wire, _UNDO)
        raise
    async with statements.round_trip(session) as wire:
        await send(wire, _KEEP)


async def _write_sale(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> None:
    where = (hold.organization_id, hold.event_id, hold.id)
    try:
        async with statements.round_trip(session) as wire:
            await send(wire, _BEGIN)  # seats and places or neither, and the caller's transaction stays alive
            seats = await events.sell_seats(wire, *where, seat_numbers(items))
            await _note_sale(session, wire, hold, items)
            await then(wire)
    except IntegrityError as error:
        # A lost seat that was sold to somebody else is refused before it can be counted.
        if _ONE_CONFIRMED not in str(error.orig):
            raise
        raise events.SeatsLost(_ONE_CONFIRMED) from error
    await seats.fetch()
    if wanted := places(items):
        await events.mark_places_sold(session, hold.event_id, wanted)


async def _sell_late(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> None:
    async with session.begin_nested():
        await _take_again(session, hold, items)
        async with statements.round_trip(session) as wire:
            await _note_sale(session, wire, hold, items)
            await then(wire)


async def _note_sale(session: AsyncSession, wire: Wire, hold: HoldRow, items: Sequence[HeldItem]) -> None:
    await send(wire, _CONFIRM, hold.id)
    is_late = not hold.is_running
    outbox.publish(session, ReservationConfirmed(**facts(hold, items), is_late=is_late))


async def _take_again(session: AsyncSession, reservation: HoldRow, items: Sequence[HeldItem]) -> None:
    is_swept = reservation.status != ReservationStatus.ACTIVE
    if is_swept and places(items):
        await expire_due(session, event_id=reservation.event_id)  # what others' run-out holds still count is free
    if numbers := seat_numbers(items):
        where = (reservation.organization_id, reservation.event_id, numbers, reservation.id)
        if (retaken := await events.retake_seats(session, *where)) is None:
            raise _Gone
        await expire_overtaken(session, retaken.lapsed)
    if wanted := places(items):
        if not is_swept:  # run out, but its places are still counted
            await events.mark_places_sold(session, reservation.event_id, wanted)
        elif not await events.retake_places(session, reservation.event_id, wanted):
            raise _Gone


async def release_confirmed(
    session: AsyncSession, reservation_id: UUID, units: Mapping[int, int]
) -> tuple[list[int], list[UUID]]:
    """Give sold seats and places back, because their tickets were voided.

    Args:
        units: how many of each position; a seat's position has one.

    Answers the seat numbers and the ticket types whose state on the map has changed.
    """
    reservation = await lock_reservation(session, reservation_id)
    items = [item for item in await list_items(session, reservation) if item.position in units]
    seats = [item for item in items if item.seat_number is not None and item.is_confirmed]
    given_back: dict[UUID, int] = {}
    for item in items:
        if item.seat_number is None:
            given_back[item.ticket_type_id] = given_back.get(item.ticket_type_id, 0) + units[item.position]
    await _set_confirmed(session, reservation, [item.position for item in seats], False)
    for item in items:
        item.returned += units[item.position]
    where = (reservation.organization_id, reservation.event_id, reservation.id)
    await events.release_seats(session, *where, seat_numbers(seats))
    await events.release_places(session, reservation.event_id, given_back, from_sold=True)
    return seat_numbers(seats), list(given_back)


async def _set_confirmed(
    session: AsyncSession, reservation: Reservation, positions: Collection[int], is_confirmed: bool
) -> None:
    await session.execute(
        update(ReservationItem)
        .where(
            ReservationItem.organization_id == reservation.organization_id,
            ReservationItem.reservation_id == reservation.id,
            ReservationItem.position.in_(positions),
        )
        .values(is_confirmed=is_confirmed)
    )


_ONE_CONFIRMED = "uq_reservation_items_confirmed_seat"
_BEGIN, _UNDO, _KEEP = "savepoint sale", "rollback to savepoint sale", "release savepoint sale"
_CONFIRM = """
with sold as (
    update reservations set status = 'confirmed', version = version + 1 where id = %s returning organization_id, id)
update reservation_items i set is_confirmed = true from sold
 where i.organization_id = sold.organization_id and i.reservation_id = sold.id"""
