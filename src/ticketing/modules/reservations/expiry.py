"""Holds end by themselves: swept in sets, or overtaken at the instant at which they have run out.

Locks are taken in one order everywhere: reservations, seats, places. The one that comes the other way round (a new hold
that overwrites a lapsed one) never waits for a reservation: it skips, and calls the seat contended.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import Wire, send
from ticketing.infra.metrics import Counter
from ticketing.modules import events
from ticketing.modules.reservations.items import Ended, facts, places
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
    """Expire what has run out, oldest first; the number of reservations. Rows that others work on are left to them."""
    due = _lapsed().order_by(Reservation.expires_at).limit(limit)
    if event_id is not None:
        due = due.where(Reservation.event_id == event_id)
    ended = await _fetch(session, due)
    if await _expire_or_undo(session, ended):
        return len(ended)
    # One of them can't be expired: the others must not wait for it.
    return sum([await _expire_or_undo(session, [one]) for one in ended])


async def expire_overtaken(session: AsyncSession, reservation_ids: Collection[UUID]) -> None:
    """Expire the reservations whose lapsed seats a new hold has just taken.

    Raises:
        SeatContended: one of them is being paid, extended or swept at this moment; whoever does that decides.
    """
    if not reservation_ids:
        return
    ended = await lock_lapsed(session, reservation_ids)
    if len(ended) < len(reservation_ids):
        raise events.SeatContended
    await expire(session, ended)


async def lock_lapsed(session: AsyncSession, reservation_ids: Collection[UUID]) -> list[Ended]:
    """Those of the reservations that have run out, locked; one that is being paid, extended or swept is missing."""
    return await _fetch(session, _lapsed().where(Reservation.id.in_(reservation_ids)))


async def query_lapsed_events(
    wire: Wire, organization_id: UUID, event_ids: Sequence[UUID]
) -> PendingQuery[set[UUID]]:
    """The events among these with reservations that have lapsed and are not expired yet."""
    return PendingQuery(_first_column, await send(wire, _LAPSED_EVENTS, organization_id, event_ids))


def _first_column(found: Iterable[tuple[UUID]]) -> set[UUID]:
    return {event_id for (event_id,) in found}


def _lapsed() -> Select[UUID, UUID, UUID, UUID]:
    lapsed = (Reservation.status == ReservationStatus.ACTIVE) & (Reservation.expires_at < func.now())
    columns = (Reservation.id, Reservation.organization_id, Reservation.event_id, Reservation.user_id)
    return select(*columns).where(lapsed).with_for_update(skip_locked=True)


async def _fetch(session: AsyncSession, query: Select[UUID, UUID, UUID, UUID]) -> list[Ended]:
    return [Ended(*row) for row in (await session.execute(query)).all()]


async def _expire_or_undo(session: AsyncSession, ended: Sequence[Ended]) -> bool:
    try:
        async with session.begin_nested():
            await expire(session, ended)
    except (events.PlacesLost, IntegrityError) as error:
        _log.error("expiry_failed", reservations=[str(one.id) for one in ended[:5]], exc_info=error)
        return False
    return True


async def expire(session: AsyncSession, ended: Sequence[Ended]) -> None:
    """Expire reservations that the caller has locked: seats and places come back, and the world is told."""
    if not ended:
        return
    state = {"status": ReservationStatus.EXPIRED, "ended_at": func.now(), "version": Reservation.version + 1}
    rows = update(Reservation).where(Reservation.id.in_([one.id for one in ended])).values(state)
    await session.execute(rows, execution_options={"synchronize_session": False})
    items = await items_by_reservation(session, ended)
    every = [item for row in items.values() for item in row]
    await events.release_held(session, _held_seats(every))
    for event_id in sorted({item.event_id for item in every if item.seat_number is None}):
        await events.release_places(session, event_id, places(i for i in every if i.event_id == event_id))
    for one in ended:
        outbox.publish(session, ReservationExpired(**facts(one, items[one.id])))
    await session.flush()  # a savepoint that is undone must find the facts inside it
    EXPIRED.inc(len(ended))


def _held_seats(items: Collection[ReservationItem]) -> list[events.HeldSeat]:
    return [
        events.HeldSeat(item.organization_id, item.event_id, item.seat_number, item.reservation_id)
        for item in items
        if item.seat_number is not None
    ]

