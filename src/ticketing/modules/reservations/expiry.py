"""Expiry of holds: swept in sets, or at once when a new hold takes the seats of a lapsed one.

Lock order, everywhere: reservations, seats, places. The only path in reverse order, a new hold that overwrites a lapsed
one, never waits for a reservation: it skips locked ones and reports the seat as contended.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.metrics import Counter
from ticketing.modules import events
from ticketing.modules.reservations.items import LapsedHold, message_fields, places
from ticketing.modules.reservations.messages import ReservationExpired
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.queries import items_by_reservation

SWEEP_ROWS = 1000

_LAPSED_EVENTS = """
select distinct event_id from reservations
 where organization_id = %s and event_id = any(%s::uuid[]) and status = 'active' and expires_at < now()"""

EXPIRED = Counter("ticketing_reservations_expired_total", "Reservations that expired")

_log = log.get_logger(__name__)


async def expire_due(session: AsyncSession, limit: int = SWEEP_ROWS, event_id: UUID | None = None) -> int:
    """Expire lapsed holds, oldest first, and return their number. Rows locked by other transactions are skipped."""
    due = _lapsed().order_by(Reservation.expires_at).limit(limit)
    if event_id is not None:
        due = due.where(Reservation.event_id == event_id)
    lapsed_holds = await _fetch(session, due)
    if await _expire_or_roll_back(session, lapsed_holds):
        return len(lapsed_holds)
    # One of them can't be expired; expire the others one by one.
    return sum([await _expire_or_roll_back(session, [one]) for one in lapsed_holds])


async def expire_overtaken(session: AsyncSession, reservation_ids: Collection[UUID]) -> None:
    """Expire the reservations whose lapsed seats were just taken again.

    Raises:
        SeatContended: another transaction has locked one of them, to confirm, extend or expire it.
    """
    if not reservation_ids:
        return
    lapsed_holds = await lock_lapsed(session, reservation_ids)
    if len(lapsed_holds) < len(reservation_ids):
        raise events.SeatContended
    await expire(session, lapsed_holds)


async def lock_lapsed(session: AsyncSession, reservation_ids: Collection[UUID]) -> list[LapsedHold]:
    """Lock the lapsed holds among these reservations. Those locked by another transaction are missing."""
    return await _fetch(session, _lapsed().where(Reservation.id.in_(reservation_ids)))


async def query_lapsed_events(
    connection: DriverConnection, organization_id: UUID, event_ids: Sequence[UUID]
) -> PendingQuery[set[UUID]]:
    """The events among these with reservations that have lapsed and are not expired yet."""
    return PendingQuery(_first_column, await send(connection, _LAPSED_EVENTS, organization_id, event_ids))


def _first_column(found: Iterable[tuple[UUID]]) -> set[UUID]:
    return {event_id for (event_id,) in found}


def _lapsed() -> Select[UUID, UUID, UUID, UUID]:
    lapsed = (Reservation.status == ReservationStatus.ACTIVE) & (Reservation.expires_at < func.now())
    columns = (Reservation.id, Reservation.organization_id, Reservation.event_id, Reservation.user_id)
    return select(*columns).where(lapsed).with_for_update(skip_locked=True)


async def _fetch(session: AsyncSession, query: Select[UUID, UUID, UUID, UUID]) -> list[LapsedHold]:
    return [LapsedHold(*row) for row in (await session.execute(query)).all()]


async def _expire_or_roll_back(session: AsyncSession, lapsed_holds: Sequence[LapsedHold]) -> bool:
    try:
        async with session.begin_nested():
            await expire(session, lapsed_holds)
    except (events.PlacesLost, IntegrityError) as error:
        _log.error("expiry_failed", reservations=[str(one.id) for one in lapsed_holds[:5]], exc_info=error)
        return False
    return True


async def expire(session: AsyncSession, lapsed_holds: Sequence[LapsedHold]) -> None:
    """Expire holds that the caller has locked: release their seats and places, and publish messages."""
    if not lapsed_holds:
        return
    state = {"status": ReservationStatus.EXPIRED, "ended_at": func.now(), "version": Reservation.version + 1}
    rows = update(Reservation).where(Reservation.id.in_([one.id for one in lapsed_holds])).values(state)
    await session.execute(rows, execution_options={"synchronize_session": False})
    items = await items_by_reservation(session, lapsed_holds)
    every = [item for row in items.values() for item in row]
    await events.release_held(session, _held_seats(every))
    for event_id in sorted({item.event_id for item in every if item.seat_number is None}):
        await events.release_places(session, event_id, places(i for i in every if i.event_id == event_id))
    for one in lapsed_holds:
        outbox.publish(session, ReservationExpired(**message_fields(one, items[one.id])))
    await session.flush()  # inside the savepoint, so that its rollback includes the messages
    EXPIRED.inc(len(lapsed_holds))


def _held_seats(items: Collection[ReservationItem]) -> list[events.HeldSeat]:
    return [
        events.HeldSeat(item.organization_id, item.event_id, item.seat_number, item.reservation_id)
        for item in items
        if item.seat_number is not None
    ]
