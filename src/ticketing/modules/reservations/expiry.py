"""Expiry of holds: swept in sets, or at once when a new hold or a late payment takes what a lapsed one still has.

Everything that an expiry changes is locked before the first change, in the order of `orders.service`: reservations,
seats, places. Reservations that another transaction has locked are skipped. A new hold has locked seats before it knows
the lapsed reservations on them, so it waits for neither reservations nor seats: it skips what is locked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db import constant
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.metrics import Counter
from ticketing.modules import events
from ticketing.modules.reservations.items import LapsedHold, held_seats, message_fields, places
from ticketing.modules.reservations.messages import ReservationExpired
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.queries import items_by_reservation

SWEEP_ROWS = 1000

# OFFSET 0 is an optimization fence: few holds have lapsed and are not expired yet, and an event has many reservations.
_LAPSED_EVENTS = """
select distinct event_id from (
    select organization_id, event_id from reservations
     where status = 'active' and expires_at < now() offset 0) as lapsed
 where organization_id = %s and event_id = any(%s::uuid[])"""

EXPIRED = Counter("ticketing_reservations_expired_total", "Reservations that expired")

#: Lapsed holds that this transaction has locked, and their items.
Lapsed = Mapping[LapsedHold, Sequence[ReservationItem]]

_log = log.get_logger(__name__)


async def expire_due(session: AsyncSession, limit: int = SWEEP_ROWS, event_id: UUID | None = None) -> int:
    """Expire lapsed holds, oldest first, and return their number. Rows locked by other transactions are skipped."""
    return await _expire_locked(session, await lock_due(session, limit, event_id))


async def _expire_locked(session: AsyncSession, holds: Lapsed) -> int:
    await events.lock_held(session, held_seats(chain(*holds.values())))
    await events.lock_counters(session, places(chain(*holds.values())))
    return await expire_each(session, holds)


async def end_holds_of_cancelled_events(session: AsyncSession, limit: int = SWEEP_ROWS) -> int:
    """Expire running holds whose event was cancelled, and return their number. Orders of theirs expire with them."""
    is_cancelled = events.Event.status == constant(events.EventStatus.CANCELLED)
    of_cancelled = exists().where(events.Event.organization_id == Reservation.organization_id, is_cancelled)
    of_cancelled = of_cancelled.where(events.Event.id == Reservation.event_id)
    query = _select().where(Reservation.status == constant(ReservationStatus.ACTIVE), of_cancelled)
    return await _expire_locked(session, await _lock(session, query.order_by(Reservation.expires_at).limit(limit)))


async def lock_due(session: AsyncSession, limit: int = SWEEP_ROWS, event_id: UUID | None = None) -> Lapsed:
    """Lock the reservations of lapsed holds, oldest first, of one event or of all."""
    is_due = _is_lapsed() if event_id is None else _is_lapsed() & (Reservation.event_id == event_id)
    return await _lock(session, _select().where(is_due).order_by(Reservation.expires_at).limit(limit))


async def lock_lapsed(session: AsyncSession, reservation_ids: Collection[UUID]) -> Lapsed:
    """Lock the lapsed holds among these reservations. Those locked by another transaction are missing."""
    return await _lock(session, _select().where(_is_lapsed(), Reservation.id.in_(reservation_ids)))


async def lock_overtaken(session: AsyncSession, reservation_ids: Collection[UUID]) -> Lapsed:
    """Lock the lapsed holds among these reservations, and their seats.

    One is missing if another transaction has locked it, or one of its seats.
    """
    lapsed = await lock_lapsed(session, reservation_ids)
    locked = await events.lock_held(session, held_seats(chain(*lapsed.values())), skip_locked=True)
    return {one: items for one, items in lapsed.items() if locked.issuperset(held_seats(items))}


async def query_lapsed_events(
    connection: DriverConnection, organization_id: UUID, event_ids: Sequence[UUID]
) -> PendingQuery[set[UUID]]:
    """The events among these with reservations that have lapsed and are not expired yet."""
    return PendingQuery(_first_column, await send(connection, _LAPSED_EVENTS, organization_id, event_ids))


def _first_column(found: Iterable[tuple[UUID]]) -> set[UUID]:
    return {event_id for (event_id,) in found}


def _is_lapsed() -> ColumnElement[bool]:
    return (Reservation.status == constant(ReservationStatus.ACTIVE)) & (Reservation.expires_at < func.now())


def _select() -> Select[UUID, UUID, UUID, UUID]:
    columns = (Reservation.id, Reservation.organization_id, Reservation.event_id, Reservation.user_id)
    return select(*columns).with_for_update(skip_locked=True)


async def _lock(session: AsyncSession, query: Select[UUID, UUID, UUID, UUID]) -> Lapsed:
    lapsed = [LapsedHold(*row) for row in (await session.execute(query)).all()]
    items = await items_by_reservation(session, lapsed) if lapsed else {}
    return {one: items[one.id] for one in lapsed}


async def expire_each(session: AsyncSession, lapsed: Lapsed) -> int:
    """Like `expire`, but holds that can't be expired are logged and left; the number of the others."""
    if not lapsed:
        return 0
    if await _expire_or_roll_back(session, lapsed):
        return len(lapsed)
    return sum([await _expire_or_roll_back(session, {one: items}) for one, items in lapsed.items()])


async def _expire_or_roll_back(session: AsyncSession, lapsed: Lapsed) -> bool:
    try:
        async with session.begin_nested():
            await expire(session, lapsed)
    except (events.PlacesLost, IntegrityError) as error:
        _log.error("expiry_failed", reservations=[str(one.id) for one in [*lapsed][:5]], exc_info=error)
        return False
    return True


async def expire(session: AsyncSession, lapsed: Lapsed) -> None:
    """Expire holds of which the caller has locked everything: release seats and places, and publish messages.

    Raises:
        events.PlacesLost: a counter has fewer places than they hold.
    """
    if not lapsed:
        return
    state = {"status": ReservationStatus.EXPIRED, "ended_at": func.now(), "version": Reservation.version + 1}
    rows = update(Reservation).where(Reservation.id.in_([one.id for one in lapsed])).values(state)
    await session.execute(rows, execution_options={"synchronize_session": False})
    await events.release_held(session, held_seats(chain(*lapsed.values())))
    await events.release_places(session, places(chain(*lapsed.values())))
    for one, items in lapsed.items():
        outbox.publish(session, ReservationExpired(**message_fields(one, items)))
    await session.flush()  # inside the savepoint, so that its rollback includes the messages
    EXPIRED.inc(len(lapsed))
