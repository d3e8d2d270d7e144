"""The one front to holding: `await holds.submit(request)`. Requests that arrive while a batch commits are the next one.

No timer: the commit is the clock. Alone, a request is a batch of one and waits for nobody; in a rush, a batch is what
has arrived during the one before it. Everything here has a bound, and the wait for it is short: whoever finds the
queue full is told so at once.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import crash_points, errors, log
from ticketing.infra.db import Database, tenancy
from ticketing.infra.http.idempotency import IdempotencyInFlight, check_key
from ticketing.infra.log import Cause
from ticketing.modules import events
from ticketing.modules.reservations.expiry import expire_due
from ticketing.modules.reservations.hold import metrics
from ticketing.modules.reservations.hold.batch import Batch
from ticketing.modules.reservations.hold.fair_queue import Waiting
from ticketing.modules.reservations.hold.requests import Answer, HoldRequest, Wish
from ticketing.modules.reservations.purchase_limits import AllowanceContended

#: Batches at one time, each on a connection of its own; of one organization, so that another one's never wait for it.
LANES, LANES_OF_ORGANIZATION = 4, 2
BATCH_MAX = 128
#: What somebody else is deciding about at this moment is tried so often again, after so many seconds at most.
_PATIENCE = ((events.SeatContended, 4, 0.02), (AllowanceContended, 40, 0.1))
_BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
#: Events whose organization a process remembers; beyond that it begins anew.
OWNERS_MAX = 10_000
DRAIN_SECONDS = 8.0

_log = log.get_logger(__name__)


class Holds:
    """Takes requests for holds and commits them in batches."""

    def __init__(self, database: Database, extensions_max: int) -> None:
        self._database, self._extensions_max = database, extensions_max
        self._waiting = Waiting(LANES_OF_ORGANIZATION, BATCH_MAX)
        self._lanes: set[asyncio.Task[None]] = set()
        self._owners: dict[UUID, UUID] = {}
        self._asking: dict[UUID, asyncio.Future[UUID]] = {}
        self._running: set[tuple[UUID, str]] = set()
        self._is_closing, self._is_idle = False, asyncio.Event()

    async def submit(self, request: HoldRequest) -> Answer:
        """The answer to one request, a refusal included; what it says is committed when this returns.

        A caller that stops waiting changes nothing: its hold is made whole or not at all.

        Raises:
            NotFound: there is no such event.
            Overloaded: too many are waiting; nothing was changed.
            Unavailable: the database is away.
            SeatContended, AllowanceContended: somebody else was deciding about it all the while.
            IdempotencyMismatch, IdempotencyInFlight, Invalid: see the classes.
        """
        started, outcome = time.perf_counter(), "failed"
        try:
            answer = await self._submit(request)
            outcome = answer.outcome
            return answer
        except errors.TicketingError as error:
            outcome = error.code
            raise
        finally:
            metrics.HOLD_SECONDS.observe(time.perf_counter() - started)
            metrics.count_hold(outcome)

    async def _submit(self, request: HoldRequest) -> Answer:
        check_key(request.key)
        name = (request.user_id, request.key)
        if name in self._running:
            raise IdempotencyInFlight
        self._running.add(name)
        try:
            organization_id = self._owners.get(request.event_id) or await self._ask_owner(request.event_id)
            wish = Wish(request, Cause.here(), asyncio.get_running_loop().create_future(), request.seats)
            if self._is_closing or not self._waiting.add(organization_id, wish):
                raise errors.Overloaded
            self._open_lane()
            return await wish.answered
        finally:
            self._running.discard(name)
            if self._is_closing and not self._running:
                self._is_idle.set()

    async def close(self) -> None:
        """Take nothing more, and let what waits be decided."""
        self._is_closing = True
        if self._running:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_idle.wait(), DRAIN_SECONDS)
        for lane in self._lanes:
            lane.cancel()

    async def _ask_owner(self, event_id: UUID) -> UUID:
        """Raises NotFound. A rush at an event that this process has not met yet asks the database once."""
        asking = self._asking.get(event_id)
        if asking is None:
            asking = self._asking[event_id] = asyncio.ensure_future(self._find_owner(event_id))
            asking.add_done_callback(lambda _: self._asking.pop(event_id))
        return await asyncio.shield(asking)

    async def _find_owner(self, event_id: UUID) -> UUID:
        try:
            async with self._database.transaction() as session:
                owner = await events.find_owner(session, event_id)
        except (DBAPIError, PoolTimeout):
            raise errors.Unavailable from None
        if owner is None:
            raise errors.NotFound
        if len(self._owners) >= OWNERS_MAX:
            self._owners.clear()
        self._owners[event_id] = owner
        return owner

    def _open_lane(self) -> None:
        if len(self._lanes) < LANES and self._waiting.has_work:
            lane = asyncio.get_running_loop().create_task(self._run_lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    async def _run_lane(self) -> None:
        """Decide batch after batch on one connection, until there is nothing that this lane may take."""
        try:
            async with self._database.engine.connect() as connection:
                while (taken := self._waiting.take()) is not None:
                    await self._serve(connection, *taken)
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            # Without a connection nobody gets further: those who wait are told so, and do not wait for the same.
            while (taken := self._waiting.take()) is not None:
                self._waiting.give_back(taken[0])
                _refuse(taken[1], errors.Unavailable())

    async def _serve(self, connection: AsyncConnection, organization_id: UUID, wishes: Sequence[Wish]) -> None:
        try:
            await self._decide(connection, organization_id, wishes)
        except BaseException:
            _refuse(wishes, errors.Unavailable())
            raise
        finally:
            self._waiting.give_back(organization_id)

    async def _decide(self, connection: AsyncConnection, organization_id: UUID, wishes: Sequence[Wish]) -> None:
        """Raises what says that the connection is lost; then the commit may have happened, and a retry will tell."""
        if not wishes:
            return
        try:
            await self._commit(connection, organization_id, wishes)
        except Exception as error:
            if _is_lost(error):
                raise
            if len(wishes) == 1:
                _refuse(wishes, _reason(error))
                return
            _log.warning("batch_split", size=len(wishes), exc_info=error)
            for wish in wishes:
                await self._decide(connection, organization_id, [wish])

    async def _commit(self, connection: AsyncConnection, organization_id: UUID, wishes: Sequence[Wish]) -> None:
        started = time.perf_counter()
        batch = Batch(connection, organization_id, wishes, self._extensions_max)
        try:
            await batch.run()
        finally:
            # Also when it failed at the commit: nobody knows then whether the server has committed.
            if batch.changed:
                self._database.tell_changed(batch.changed, batch.topics)
        if batch.changed:
            crash_points.at("after_batch_before_answers")
        metrics.HOLD_BATCH_SECONDS.observe(time.perf_counter() - started)
        metrics.HOLD_BATCH_SIZE.observe(len(wishes))
        for wish in wishes:
            if (answer := batch.answers.get(wish)) is not None:
                _answer(wish, answer)
        await self._see_to(organization_id, [wish for wish in wishes if wish not in batch.answers])

    async def _see_to(self, organization_id: UUID, wishes: Sequence[Wish]) -> None:
        """Try again what may fare better, and refuse the rest."""
        swept: set[UUID] = set()
        for wish in wishes:
            error, wish.refusal = wish.refusal, None
            assert error is not None  # a wish without an answer has a reason
            if isinstance(error, events.SoldOut):
                await self._sweep(organization_id, wish.request.event_id, swept)
                wish.has_swept = True
                self._try_again(organization_id, wish)
            elif (seconds := _patience(wish, error)) is not None:
                wish.contended += 1
                # A lane is not kept waiting, and no connection.
                asyncio.get_running_loop().call_later(seconds, self._try_again, organization_id, wish)
            else:
                _refuse([wish], error)

    async def _sweep(self, organization_id: UUID, event_id: UUID, swept: set[UUID]) -> None:
        """Places of holds that have run out are free, swept or not."""
        if event_id not in swept:
            swept.add(event_id)
            async with self._database.transaction() as session:
                await tenancy.enter(session, organization_id)
                await expire_due(session, event_id=event_id)

    def _try_again(self, organization_id: UUID, wish: Wish) -> None:
        self._waiting.add_again(organization_id, wish)
        self._open_lane()


def _patience(wish: Wish, error: errors.TicketingError) -> float | None:
    """In how many seconds to try again; None when it has been tried often enough."""
    for kind, tries, seconds in _PATIENCE:
        if isinstance(error, kind) and wish.contended < tries:
            return seconds * random.random()
    return None


def _answer(wish: Wish, answer: Answer) -> None:
    if not wish.answered.done():  # the client may have left
        wish.answered.set_result(answer)


def _refuse(wishes: Sequence[Wish], error: Exception) -> None:
    for wish in wishes:
        if not wish.answered.done():
            wish.answered.set_exception(error)


def _is_lost(error: Exception) -> bool:
    """Whether the connection is gone, and not only the transaction."""
    cause = _cause(error)
    if isinstance(cause, psycopg.InterfaceError):
        return True
    # Without a code it comes from this side of the line; 57P is a server that stops.
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(cause, psycopg.OperationalError) and (not state or state.startswith(("08", "57P")))


def _reason(error: Exception) -> Exception:
    """What a client is told of a request that failed by itself."""
    cause = _cause(error)
    # Somebody else's lock was waited for too long, or in a circle.
    if isinstance(cause, _BUSY):
        return errors.Overloaded()
    # A full disk, no memory left: the server's trouble, and nothing was changed.
    return errors.Unavailable() if isinstance(cause, psycopg.OperationalError) else error


def _cause(error: Exception) -> BaseException | None:
    """What the driver has said, by whichever way the statement went."""
    return error.orig if isinstance(error, DBAPIError) else error
