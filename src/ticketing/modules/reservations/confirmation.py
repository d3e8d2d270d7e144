"""Confirm a hold, in the transaction in which its payment arrives, so that no later delay can undo the sale."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.modules import events
from ticketing.modules.reservations.expiry import Lapsed, expire_each, lock_due, lock_lapsed
from ticketing.modules.reservations.items import HeldItem, HoldRow, held_seats, message_fields, places, seat_numbers
from ticketing.modules.reservations.messages import ReservationConfirmed
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.queries import list_items, lock_reservation

_ONE_CONFIRMED = "uq_reservation_items_confirmed_seat"
_SAVEPOINT, _ROLLBACK, _RELEASE = "savepoint sale", "rollback to savepoint sale", "release savepoint sale"
_CONFIRM = """
with sold as (
    update reservations set status = 'confirmed', version = version + 1 where id = %s returning organization_id, id)
update reservation_items i set is_confirmed = true from sold
 where i.organization_id = sold.organization_id and i.reservation_id = sold.id"""

_log = log.get_logger(__name__)


class _SeatsGone(Exception):
    """Other buyers have the seats or places."""


async def confirm(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> bool:
    """Sell what a reservation holds. If it has expired, take the same seats and places again, provided they are free.

    The caller has locked it with `lock_hold`. `then` writes what follows from the sale, in the same round trip.
    Returns False, with nothing changed, when the seats or places are gone. Idempotent.

    Raises:
        SeatContended: another transaction has locked a lapsed hold on one of the seats; try again.
    """
    if hold.status == ReservationStatus.CONFIRMED:
        async with statements.round_trip(session) as connection:
            await then(connection)
        return True
    try:
        await (_sell if hold.is_running else _sell_late)(session, hold, items, then)
    except _SeatsGone:
        return False
    except (events.SeatsLost, events.PlacesLost) as error:
        # A bug, should it ever happen: the buyer gets a refund, and the log entry raises an alert.
        _log.error("hold_lost", reservation_id=str(hold.id), error=str(error))
        return False
    return True


async def _sell(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> None:
    try:
        await _write_sale(session, hold, items, then)
    except (events.SeatsLost, events.PlacesLost):
        async with statements.round_trip(session) as connection:
            await send(connection, _ROLLBACK)
        raise
    async with statements.round_trip(session) as connection:
        await send(connection, _RELEASE)


async def _write_sale(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> None:
    where = (hold.organization_id, hold.event_id, hold.id)
    try:
        async with statements.round_trip(session) as connection:
            await send(connection, _SAVEPOINT)  # all or nothing, without aborting the caller's transaction
            seats = await events.sell_seats(connection, *where, seat_numbers(items))
            await _record_sale(session, connection, hold, items)
            await then(connection)
    except IntegrityError as error:
        # The unique index refuses a seat that was sold to another buyer before the count is checked.
        if _ONE_CONFIRMED not in str(error.orig):
            raise
        raise events.SeatsLost(_ONE_CONFIRMED) from error
    await seats.fetch()
    if wanted := places(items):
        await events.mark_places_sold(session, wanted)


async def _sell_late(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem], then: statements.Write) -> None:
    async with session.begin_nested():
        await _retake(session, hold, items)
        async with statements.round_trip(session) as connection:
            await _record_sale(session, connection, hold, items)
            await then(connection)


async def _record_sale(
    session: AsyncSession, connection: DriverConnection, hold: HoldRow, items: Sequence[HeldItem]
) -> None:
    await send(connection, _CONFIRM, hold.id)
    is_late = not hold.is_running
    outbox.publish(session, ReservationConfirmed(**message_fields(hold, items), is_late=is_late))


async def _retake(session: AsyncSession, hold: HoldRow, items: Sequence[HeldItem]) -> None:
    is_swept, numbers, wanted = hold.status != ReservationStatus.ACTIVE, seat_numbers(items), places(items)
    lapsed = await _lock_rivals(session, hold, numbers)
    if is_swept and wanted:  # the counters include places of lapsed holds
        lapsed = {**lapsed, **await lock_due(session, event_id=hold.event_id)}
    where = (hold.organization_id, hold.event_id)
    own = [events.HeldSeat(*where, number, hold.id) for number in numbers]
    await events.lock_held(session, own + held_seats(chain(*lapsed.values())))
    await events.lock_counters(session, {*wanted, *places(chain(*lapsed.values()))})
    await expire_each(session, lapsed)
    if numbers:
        retaken = await events.retake_seats(session, *where, numbers, hold.id)
        if retaken is None:
            raise _SeatsGone
        if retaken.lapsed:  # of a hold that could not be expired
            raise events.SeatContended
    if not is_swept:  # lapsed, but its places are still counted as held
        await events.mark_places_sold(session, wanted)
    elif not await events.retake_places(session, wanted):
        raise _SeatsGone


async def _lock_rivals(session: AsyncSession, hold: HoldRow, numbers: Sequence[int]) -> Lapsed:
    """Lock the other lapsed holds that still have these seats.

    Raises:
        SeatContended: another transaction has locked one of them, to expire it or to sell what it held.
    """
    rivals = await events.find_lapsed_owners(session, hold.organization_id, hold.event_id, numbers) - {hold.id}
    lapsed = await lock_lapsed(session, rivals) if rivals else {}
    if len(lapsed) < len(rivals):
        raise events.SeatContended
    return lapsed


async def release_confirmed(
    session: AsyncSession, reservation_id: UUID, units: Mapping[int, int]
) -> tuple[list[int], list[UUID]]:
    """Release sold seats and places whose tickets were voided.

    Args:
        units: how many of each position; 1 for a seat.

    Returns the seat numbers and the ticket types whose state on the map has changed.
    """
    reservation = await lock_reservation(session, reservation_id)
    items = [item for item in await list_items(session, reservation) if item.position in units]
    seats = [item for item in items if item.seat_number is not None and item.is_confirmed]
    returned: dict[UUID, int] = {}
    for item in items:
        if item.seat_number is None:
            returned[item.ticket_type_id] = returned.get(item.ticket_type_id, 0) + units[item.position]
    await _set_confirmed(session, reservation, [item.position for item in seats], False)
    for item in items:
        item.returned += units[item.position]
    where = (reservation.organization_id, reservation.event_id, reservation.id)
    await events.release_seats(session, *where, seat_numbers(seats))
    await events.release_places(session, returned, from_sold=True)
    return seat_numbers(seats), list(returned)


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
