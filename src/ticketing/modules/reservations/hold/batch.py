"""One batch of holds: one organization, one transaction, two or three round trips, whatever its size.

    look     enter the organization, claim the keys, read what is on sale, lock the seats       one round trip
    closer   only when need be: choose best seats, count what a person has, lock places         one each
    decide   in the order of arrival, without waiting (shelf.py)
    write    seats, reservations, answers, facts, and the commit                                one round trip

Nothing here waits for a lock that another batch may hold for long: seats, keys and allowances are tried and skipped.
Counters of places are waited for, no longer than LOCK_SECONDS.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.db.pipeline import pipelined, wire_of
from ticketing.infra.errors import TicketingError
from ticketing.infra.http.idempotency import IdempotencyInFlight, IdempotencyMismatch, is_remembered
from ticketing.infra.http.idempotency_batch import AnswerRow, KeyClaim, Stored, claim_keys, remember_all
from ticketing.infra.outbox.publish import append, message_row
from ticketing.modules import events
from ticketing.modules.reservations.expiry import expire, lock_lapsed, query_lapsed_events
from ticketing.modules.reservations.hold.best_available import choose_best
from ticketing.modules.reservations.hold.inventory import Shelf
from ticketing.modules.reservations.hold.requests import Answer, Wish
from ticketing.modules.reservations.hold.writes import Hold, answer_of, facts_of, insert_holds, refusal_of
from ticketing.modules.reservations.items import Ended
from ticketing.modules.reservations.messages import ReservationCreated, ReservationExpired
from ticketing.modules.reservations.purchase_limits import Allowance, Buyer, lock_allowances

LOCK_SECONDS = 2.0

_Free = dict[events.Spot, events.FreeSeat]
_Lost = dict[events.Spot, bool]


class Batch:
    """Wishes of one organization's buyers, decided together. After `run`, each has an answer or a `refusal`."""

    def __init__(
        self, connection: AsyncConnection, organization_id: UUID, wishes: Sequence[Wish], extensions_max: int
    ) -> None:
        self._connection, self._organization_id = connection, organization_id
        self._wishes, self._extensions_max = wishes, extensions_max
        for wish in wishes:  # an earlier batch may have come to nothing
            wish.seats, wish.refusal = wish.request.seats, None
        self.answers: dict[Wish, Answer] = {}
        #: The events about which facts are written, and the topics of those.
        self.changed: set[UUID] = set()
        self.topics = {ReservationCreated.topic}
        self._sales: dict[UUID, events.Sale] = {}
        self._ended: dict[UUID, Ended] = {}
        self._to_sweep: set[UUID] = set()

    async def run(self) -> None:
        """Decide and commit. When this raises, nothing was changed, unless the connection broke at the commit."""
        async with self._connection.begin():
            self._wire = await wire_of(self._connection)
            free, lost = await self._look()
            shelf = await self._look_closer(free, lost)
            holds = self._decide(shelf)
            if shelf.overtaken:
                await self._expire(shelf.overtaken)
            await self._write(holds)

    @property
    def _open(self) -> list[Wish]:
        """Those that are still to be decided."""
        return [wish for wish in self._wishes if wish not in self.answers and wish.refusal is None]

    async def _look(self) -> tuple[_Free, _Lost]:
        wire, place = self._wire, self._organization_id
        async with pipelined(wire):
            await tenancy.enter_wire(wire, place, LOCK_SECONDS)
            keys = await claim_keys(wire, [KeyClaim(w.request.caller, w.request.key) for w in self._wishes])
            sales = await events.query_sales(wire, place, {wish.request.event_id for wish in self._wishes})
            seats = await events.lock_seats(wire, place, _spots(self._wishes))
        self._answer_known(*await keys.fetch())
        self._sales = await sales.fetch()
        return await seats.fetch()

    def _answer_known(self, in_flight: set[int], stored: dict[int, Stored]) -> None:
        for n in in_flight:
            self._wishes[n].refusal = IdempotencyInFlight()
        for n, answer in stored.items():
            wish = self._wishes[n]
            if answer.fingerprint in wish.request.fingerprint:
                self.answers[wish] = Answer(answer.status, answer.body, "replayed", is_replay=True)
            else:
                wish.refusal = IdempotencyMismatch()

    async def _look_closer(self, free: _Free, lost: _Lost) -> Shelf:
        wishes, wire, place = self._open, self._wire, self._organization_id
        if any(wish.request.best_available for wish in wishes):
            free |= await choose_best(wire, place, wishes, self._sales)
            for wish in wishes:
                if wish.refusal is not None:
                    self._refuse(wish, wish.refusal)
            wishes = self._open
        allowances = await self._count(wishes)
        places = await self._lock_places(wishes)
        lapsed = await self._lock_lapsed({seat.lapsed for seat in free.values() if seat.lapsed is not None})
        return Shelf(self._sales, free, lost, lapsed, places, allowances)

    async def _count(self, wishes: Iterable[Wish]) -> dict[Buyer, Allowance]:
        limited = {sale.event_id for sale in self._sales.values() if sale.max_per_buyer is not None}
        buyers = [Buyer(w.request.event_id, w.request.user_id) for w in wishes if w.request.event_id in limited]
        if not buyers:
            return {}
        async with pipelined(self._wire):
            asked = await lock_allowances(self._wire, self._organization_id, buyers)
        return await asked.fetch()

    async def _lock_places(self, wishes: Iterable[Wish]) -> dict[UUID, int]:
        wanted = {ticket_type_id for wish in wishes for ticket_type_id in wish.request.places}
        if not wanted:
            return {}
        async with pipelined(self._wire):
            places = await events.lock_places(self._wire, self._organization_id, wanted)
            lapsed = await query_lapsed_events(self._wire, self._organization_id, list(self._sales))
        self._to_sweep = await lapsed.fetch()
        return await places.fetch()

    async def _lock_lapsed(self, reservation_ids: set[UUID]) -> set[UUID]:
        if reservation_ids:
            async with self._session() as session:
                self._ended = {ended.id: ended for ended in await lock_lapsed(session, reservation_ids)}
        return set(self._ended)

    def _decide(self, shelf: Shelf) -> list[Hold]:
        holds = []
        for wish in self._open:
            try:
                items = shelf.grant(wish)
            except TicketingError as error:
                self._refuse(wish, error)
            else:
                hold = Hold.of(wish, self._sales[wish.request.event_id], items)
                self.answers[wish] = answer_of(hold, self._extensions_max)
                holds.append(hold)
                self.changed.add(hold.sale.event_id)
        return holds

    def _refuse(self, wish: Wish, error: TicketingError) -> None:
        may_be_swept = isinstance(error, events.SoldOut) and wish.request.event_id in self._to_sweep
        if is_remembered(error) and (wish.has_swept or not may_be_swept):
            self.answers[wish] = refusal_of(wish, error)
        else:
            wish.refusal = error

    async def _expire(self, overtaken: Iterable[UUID]) -> None:
        self.topics.add(ReservationExpired.topic)
        async with self._session() as session:
            await expire(session, [self._ended[reservation_id] for reservation_id in overtaken])

    def _session(self) -> AsyncSession:
        # In this transaction, which it neither commits nor ends.
        return AsyncSession(self._connection, expire_on_commit=False, join_transaction_mode="rollback_only")

    async def _write(self, holds: list[Hold]) -> None:
        wire = self._wire
        answers = [_row(wish, answer) for wish, answer in self.answers.items() if not answer.is_replay]
        async with pipelined(wire):
            if holds:
                await self._write_holds(holds)
            if answers:
                await remember_all(wire, answers)
            await wire.commit()

    async def _write_holds(self, holds: list[Hold]) -> None:
        wire, place = self._wire, self._organization_id
        if seats := list(_held_rows(holds)):
            await events.hold_locked(wire, place, seats)
        if places := _places(holds):
            await events.hold_places(wire, place, places)
        await insert_holds(wire, place, holds)
        facts = [message_row(ReservationCreated, hold.id, facts_of(hold), hold.wish.cause) for hold in holds]
        await append(wire, place, facts)


def _spots(wishes: Iterable[Wish]) -> list[events.Spot]:
    return [(wish.request.event_id, label) for wish in wishes for label in wish.seats]


def _row(wish: Wish, answer: Answer) -> AnswerRow:
    request = wish.request
    return {
        "caller": request.caller,
        "key": request.key,
        "fingerprint": request.fingerprint[0].hex(),
        "status": answer.status,
        "body": answer.body.decode(),
    }


def _held_rows(holds: Iterable[Hold]) -> Iterator[events.HeldRow]:
    for hold in holds:
        for item in hold.items:
            if item.seat_number is not None:
                yield {
                    "event_id": hold.sale.event_id,
                    "number": item.seat_number,
                    "reservation_id": hold.id,
                    "hold_until": hold.sale.expires_at,
                }


def _places(holds: Iterable[Hold]) -> Counter[UUID]:
    """By ticket type, of all holds together."""
    wanted = Counter[UUID]()
    for hold in holds:
        for item in hold.items:
            if item.seat_number is None:
                wanted[item.offer.id] += item.quantity
    return wanted
