"""Choose the best available seats for the holds of a batch, one after the other, so that no seat is chosen twice."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
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
    quantities = defaultdict[UUID, set[int]](set)
    for hold in listed:
        if (best := hold.request.best_available) and hold.request.event_id in sales:
            quantities[hold.request.event_id].add(best.quantity)
    await _lock_choices(connection, quantities)
    free = await _read_free(connection, organization_id, quantities)
    for hold in listed:
        if (seats := free.get(hold.request.event_id)) is not None:
            _choose(hold, seats, sales[hold.request.event_id])
        elif hold.request.best_available:
            hold.refusal = events.SoldOut(field="best_available", available=0)
    chosen = [(hold.request.event_id, label) for hold in listed for label in hold.chosen]
    async with pipelined(connection):
        pending = await events.lock_seats(connection, organization_id, chosen)
    locked, _ = await pending.fetch()  # a seat lost since it was chosen makes the hold contended: it chooses again
    return locked


def _choose(hold: PendingHold, seats: events.FreeSeats, sale: events.SaleTerms) -> None:
    """Choose seats for a hold, and take them and the ones that it names from `seats`.

    A hold that will be refused takes none: it is too large, or a seat that it names is not free.
    """
    request = hold.request
    named = [number for number in map(seats.number_of, request.seats) if number is not None]
    if (best := request.best_available) is not None:
        if request.quantity > sale.max_per_order or len(named) < len(request.seats) or not seats.are_free(named):
            return
        try:
            numbers = seats.choose(best.quantity, best.category, best.section, beside=named)
        except events.SoldOut as error:
            hold.refusal = error
            return
        hold.seats = (*request.seats, *map(seats.label, numbers))
        seats.take(numbers)
    seats.take(named)


async def _lock_choices(connection: DriverConnection, event_ids: Iterable[UUID]) -> None:
    """Serialize the choices of an event's best seats across batches, until each batch has committed.

    Concurrent batches would all choose the same best seats, and all but one would have to choose again.
    """
    for event_id in sorted(event_ids):
        await send(connection, _LOCK_CHOICE, str(event_id))


async def _read_free(
    connection: DriverConnection, organization_id: UUID, quantities: Mapping[UUID, Set[int]]
) -> dict[UUID, events.FreeSeats]:
    async def run_query(query: str, *values: Any) -> list[tuple[Any, ...]]:
        return await (await send(connection, query, *values)).fetchall()

    return await events.read_free_seats(run_query, organization_id, quantities)
