"""Choose the best available seats for the holds of a batch, one after the other, so that no seat is chosen twice."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from ticketing.infra.db.pipeline import DriverConnection, pipelined, send
from ticketing.modules import events
from ticketing.modules.reservations.hold.pending import PendingHold

_LOCK_CHOICE = "select pg_advisory_xact_lock(hashtextextended('best of ' || %s, 0))"


async def choose_best(
    connection: DriverConnection,
    organization_id: UUID,
    holds: Iterable[PendingHold],
    sales: Mapping[UUID, events.SaleTerms],
) -> dict[events.SeatKey, events.FreeSeat]:
    """Choose seats for every hold that asks for the best available, and lock those that are still free.

    Holds are served in order: seats that an earlier one names are not offered to a later one. A hold for which there
    are too few seats gets none, and a `refusal` with the number of available seats.
    """
    listed = list(holds)
    event_ids = {hold.request.event_id for hold in listed if hold.request.best_available} & sales.keys()
    await _lock_choices(connection, event_ids)
    free = await _read_free(connection, organization_id, event_ids)
    for hold in listed:
        if (seats := free.get(hold.request.event_id)) is not None:
            _choose(hold, seats)
        elif hold.request.best_available:
            hold.refusal = events.SoldOut(field="best_available", available=0)
    chosen = [(h.request.event_id, label) for h in listed if h.request.best_available for label in h.seats]
    async with pipelined(connection):
        pending = await events.lock_seats(connection, organization_id, chosen)
    locked, _ = await pending.fetch()  # a seat lost since it was chosen makes the hold contended: it chooses again
    return locked


def _choose(hold: PendingHold, seats: events.FreeSeats) -> None:
    best = hold.request.best_available
    if best is None:
        numbers = [number for number in map(seats.number_of, hold.seats) if number is not None]
    else:
        try:
            numbers = seats.choose(best.quantity, best.category, best.section)
        except events.SoldOut as error:
            hold.refusal = error
            return
        hold.seats = tuple(map(seats.label, numbers))
    seats.take(numbers)


async def _lock_choices(connection: DriverConnection, event_ids: Iterable[UUID]) -> None:
    """Serialize the choices of an event's best seats across batches, until each batch has committed.

    Concurrent batches would all choose the same best seats, and all but one would have to choose again.
    """
    for event_id in sorted(event_ids):
        await send(connection, _LOCK_CHOICE, str(event_id))


async def _read_free(
    connection: DriverConnection, organization_id: UUID, event_ids: Iterable[UUID]
) -> dict[UUID, events.FreeSeats]:
    async def run_query(query: str, *values: Any) -> list[tuple[Any, ...]]:
        return await (await send(connection, query, *values)).fetchall()

    return await events.read_free_seats(run_query, organization_id, list(event_ids))
