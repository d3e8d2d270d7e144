"""One batch of holds: one organization, one transaction, two or three round trips, whatever its size.

    read         enter the organization, claim the keys, read the sale terms, lock the seats      one round trip
    read more    only if needed: choose best seats, count allowances, lock lapsed holds, places   one each
    decide       in order of arrival, without I/O (inventory.py)
    write        seats, reservations, responses, messages, and the commit                         one round trip

No statement waits for a lock that another batch may hold for long: locks of seats, keys and allowances are tried, and
skipped when taken. Only counters of places are waited for, at most LOCK_SECONDS.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.db.pipeline import pipelined
from ticketing.infra.errors import TicketingError
from ticketing.infra.group_commit import batch_transaction
from ticketing.infra.http.idempotency import IdempotencyInFlight, IdempotencyMismatch, is_stored, unseal_body
from ticketing.infra.http.idempotency_batch import KeyClaim, Stored, claim_keys, response_row, store_responses
from ticketing.infra.outbox.publish import append, message_row
from ticketing.modules import events
from ticketing.modules.reservations.expiry import Lapsed, expire, lock_overtaken, query_lapsed_events
from ticketing.modules.reservations.hold.best_available import choose_best
from ticketing.modules.reservations.hold.buyers_now import BuyersNow, HoldRules, query_buyers
from ticketing.modules.reservations.hold.held_places import HeldPlaces
from ticketing.modules.reservations.hold.inventory import LockedInventory
from ticketing.modules.reservations.hold.pending import HoldResponse, PendingHold
from ticketing.modules.reservations.hold.writes import (
    GrantedHold,
    error_response,
    insert_holds,
    message_payload,
    response_to,
)
from ticketing.modules.reservations.items import places
from ticketing.modules.reservations.messages import ReservationCreated, ReservationExpired
from ticketing.modules.reservations.purchase_limits import Allowance, Buyer, lock_allowances

LOCK_SECONDS = 2.0

_Free = dict[events.SeatKey, events.FreeSeat]
_Lost = dict[events.SeatKey, bool]


class Batch:
    """Pending holds of one organization, decided together. After `run`, each has a response or a `refusal`."""

    def __init__(
        self, connection: AsyncConnection, organization_id: UUID, holds: Sequence[PendingHold], rules: HoldRules
    ) -> None:
        self._connection, self._organization_id = connection, organization_id
        self._holds, self._rules = holds, rules
        for hold in holds:  # an earlier batch of theirs may have failed
            hold.seats, hold.refusal = hold.request.seats, None
        self.responses: dict[PendingHold, HoldResponse] = {}
        #: Events about which messages are published, and the topics of the messages.
        self.changed: set[UUID] = set()
        self.topics = {ReservationCreated.topic}
        self._sales: dict[UUID, events.SaleTerms] = {}
        self._lapsed: Lapsed = {}
        self._buyers = BuyersNow()
        self._to_sweep: set[UUID] = set()

    async def run(self) -> None:
        """Decide and commit. If this raises, nothing was changed, unless the connection broke during the commit."""
        async with batch_transaction(self._connection) as self._driver:
            free, lost = await self._read()
            inventory = await self._read_more(free, lost)
            granted = self._decide(inventory)
            if inventory.overtaken:
                await self._expire(inventory.overtaken)
            await self._write(granted)

    @property
    def _undecided(self) -> list[PendingHold]:
        return [hold for hold in self._holds if hold not in self.responses and hold.refusal is None]

    async def _read(self) -> tuple[_Free, _Lost]:
        connection, organization_id = self._driver, self._organization_id
        async with pipelined(connection):
            await tenancy.enter_on(connection, organization_id, LOCK_SECONDS)
            keys = await claim_keys(connection, [KeyClaim(h.request.caller, h.request.key) for h in self._holds])
            sales = await events.query_sale_terms(
                connection, organization_id, {h.request.event_id for h in self._holds}
            )
            buyers = await query_buyers(connection, organization_id, [_buyer(h) for h in self._holds], self._rules)
            seats = await events.lock_seats(connection, organization_id, _seat_keys(self._holds))
        self._replay(*await keys.fetch())
        self._sales, self._buyers = await sales.fetch(), await buyers.fetch()
        return await seats.fetch()

    def _replay(self, in_flight: set[int], stored: dict[int, Stored]) -> None:
        for n in in_flight:
            self._holds[n].refusal = IdempotencyInFlight()
        for n, response in stored.items():
            hold = self._holds[n]
            request = hold.request
            if response.fingerprint in request.fingerprint:
                body = unseal_body(response.body, request.caller, request.key)
                self.responses[hold] = HoldResponse(response.status, body, "replayed", is_replay=True)
            else:
                hold.refusal = IdempotencyMismatch()

    async def _read_more(self, free: _Free, lost: _Lost) -> LockedInventory:
        holds = self._undecided
        if any(hold.request.best_available for hold in holds):
            free |= await choose_best(self._driver, self._organization_id, holds, self._sales)
            for hold in holds:
                if hold.refusal is not None:
                    self._refuse(hold, hold.refusal)
            holds = self._undecided
        allowances = await self._lock_allowances(holds)
        await self._lock_overtaken({seat.lapsed for seat in free.values() if seat.lapsed is not None})
        left = await self._lock_places(holds)  # the last rows, because no others are waited for
        lapsed = {one.id for one in self._lapsed}
        held = HeldPlaces(self._rules.held_max, self._buyers)
        return LockedInventory(self._sales, free, lost, lapsed, left, allowances, held)

    async def _lock_allowances(self, holds: Iterable[PendingHold]) -> dict[Buyer, Allowance]:
        limited = {sale.event_id for sale in self._sales.values() if sale.max_per_buyer is not None}
        buyers = [_buyer(hold) for hold in holds if hold.request.event_id in limited]
        if not buyers:
            return {}
        async with pipelined(self._driver):
            allowances = await lock_allowances(self._driver, self._organization_id, buyers)
        return await allowances.fetch()

    async def _lock_places(self, holds: Iterable[PendingHold]) -> dict[UUID, int]:
        wanted = {ticket_type_id for hold in holds for ticket_type_id in hold.request.places}
        wanted |= places(chain(*self._lapsed.values())).keys()
        if not wanted:
            return {}
        async with pipelined(self._driver):
            left = await events.lock_places(self._driver, self._organization_id, wanted)
            lapsed = await query_lapsed_events(self._driver, self._organization_id, list(self._sales))
        self._to_sweep = await lapsed.fetch()
        return await left.fetch()

    async def _lock_overtaken(self, reservation_ids: set[UUID]) -> None:
        if reservation_ids:
            async with self._session() as session:
                self._lapsed = await lock_overtaken(session, reservation_ids)

    def _decide(self, inventory: LockedInventory) -> list[GrantedHold]:
        granted = []
        for pending in self._undecided:
            try:
                items = inventory.grant(pending)
            except TicketingError as error:
                self._refuse(pending, error)
            else:
                hold = GrantedHold.of(pending, self._sales[pending.request.event_id], items)
                self.responses[pending] = response_to(hold, self._rules.extensions_max)
                granted.append(hold)
                self.changed.add(hold.sale.event_id)
        return granted

    def _refuse(self, hold: PendingHold, error: TicketingError) -> None:
        may_be_swept = isinstance(error, events.SoldOut) and hold.request.event_id in self._to_sweep
        if is_stored(error) and (hold.has_swept or not may_be_swept):
            self.responses[hold] = error_response(hold, error)
        else:
            hold.refusal = error

    async def _expire(self, overtaken: Container[UUID]) -> None:
        self.topics.add(ReservationExpired.topic)
        async with self._session() as session:
            await expire(session, {one: items for one, items in self._lapsed.items() if one.id in overtaken})

    def _session(self) -> AsyncSession:
        # It joins the batch's transaction, and neither commits it nor ends it.
        return AsyncSession(self._connection, expire_on_commit=False, join_transaction_mode="rollback_only")

    async def _write(self, granted: list[GrantedHold]) -> None:
        connection = self._driver
        new = [(hold.request.claim, r) for hold, r in self.responses.items() if not r.is_replay]
        stored = [response_row(claim, response.status, response.body) for claim, response in new]
        async with pipelined(connection) as round_trip:
            if granted:
                await self._write_holds(granted)
            if stored:
                await store_responses(connection, stored)
            round_trip.commits = True

    async def _write_holds(self, granted: list[GrantedHold]) -> None:
        connection, organization_id = self._driver, self._organization_id
        if seats := list(_seat_rows(granted)):
            await events.hold_locked(connection, organization_id, seats)
        if wanted := _places(granted):
            await events.hold_places(connection, organization_id, wanted)
        await insert_holds(connection, organization_id, granted)
        messages = [message_row(ReservationCreated, h.id, message_payload(h), h.pending.cause) for h in granted]
        await append(connection, organization_id, messages)


def _buyer(hold: PendingHold) -> Buyer:
    return Buyer(hold.request.event_id, hold.request.user_id)


def _seat_keys(holds: Iterable[PendingHold]) -> list[events.SeatKey]:
    return [(hold.request.event_id, label) for hold in holds for label in hold.seats]


def _seat_rows(granted: Iterable[GrantedHold]) -> Iterator[events.SeatHold]:
    for hold in granted:
        for item in hold.items:
            if item.seat_number is not None:
                yield {
                    "event_id": hold.sale.event_id,
                    "number": item.seat_number,
                    "reservation_id": hold.id,
                    "hold_until": hold.sale.expires_at,
                }


def _places(granted: Iterable[GrantedHold]) -> Counter[UUID]:
    """The places of all holds together, by ticket type."""
    wanted = Counter[UUID]()
    for hold in granted:
        for item in hold.items:
            if item.seat_number is None:
                wanted[item.offer.id] += item.quantity
    return wanted
