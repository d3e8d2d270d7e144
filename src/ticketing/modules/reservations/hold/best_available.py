"""Best available seats are chosen for one wish of a batch after the other, so two buyers are never offered the same."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from ticketing.infra.db.pipeline import Wire, pipelined, send
from ticketing.modules import events
from ticketing.modules.reservations.hold.requests import Wish


async def choose_best(
    wire: Wire, organization_id: UUID, wishes: Iterable[Wish], sales: Mapping[UUID, events.Sale]
) -> dict[events.Spot, events.FreeSeat]:
    """Name the seats of every wish for the best, and lock those that are still free.

    Wishes are served in their order: what an earlier one wants by name is offered to nobody behind it. One for which
    there is not enough keeps no seats, and a `refusal` that says how many there are.
    """
    listed = list(wishes)
    wanted = {wish.request.event_id for wish in listed if wish.request.best_available} & sales.keys()
    await _take_turns(wire, wanted)
    free = await _read_free(wire, organization_id, wanted)
    for wish in listed:
        if (seats := free.get(wish.request.event_id)) is not None:
            _choose(wish, seats)
        elif wish.request.best_available:
            wish.refusal = events.SoldOut(field="best_available", available=0)
    chosen = [(w.request.event_id, label) for w in listed if w.request.best_available for label in w.seats]
    async with pipelined(wire):
        locked = await events.lock_seats(wire, organization_id, chosen)
    ours, _ = await locked.fetch()  # what was chosen and is lost now is chosen anew
    return ours


def _choose(wish: Wish, seats: events.FreeSeats) -> None:
    best = wish.request.best_available
    if best is None:
        numbers = [number for number in map(seats.number_of, wish.seats) if number is not None]
    else:
        try:
            numbers = seats.choose(best.quantity, best.category, best.section)
        except events.SoldOut as error:
            wish.refusal = error
            return
        wish.seats = tuple(map(seats.label, numbers))
    seats.take(numbers)


async def _take_turns(wire: Wire, event_ids: Iterable[UUID]) -> None:
    """Let batches choose of an event one after the other, until each has committed.

    They would all choose the same seats, the best, and all but one would have to choose again.
    """
    for event_id in sorted(event_ids):
        await send(wire, _TURN, str(event_id))


async def _read_free(wire: Wire, organization_id: UUID, event_ids: Iterable[UUID]) -> dict[UUID, events.FreeSeats]:
    async def read(query: str, *values: Any) -> list[tuple[Any, ...]]:
        return await (await send(wire, query, *values)).fetchall()

    return await events.read_free_seats(read, organization_id, list(event_ids))


_TURN = "select pg_advisory_xact_lock(hashtextextended('best of ' || %s, 0))"
