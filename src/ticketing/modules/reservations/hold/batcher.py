"""The entry point for holds, `await holds.submit(request)`: requests that arrive during a commit form the next batch.

There is no timer: the commits set the pace. Without load, a request is a batch of one and waits for no other; under
load, a batch consists of the requests that arrived during the one before it. The queue, the batches and the retries
are bounded, and a full queue refuses a request at once.
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
from ticketing.infra.db.sqlstates import Effect, effect_of
from ticketing.infra.http.idempotency import IdempotencyInFlight, check_key
from ticketing.infra.log import Cause
from ticketing.modules import events
from ticketing.modules.reservations.expiry import expire_due
from ticketing.modules.reservations.hold import metrics
from ticketing.modules.reservations.hold.batch import Batch
from ticketing.modules.reservations.hold.buyers_now import HoldRules
from ticketing.modules.reservations.hold.fair_queue import FairQueue
from ticketing.modules.reservations.hold.pending import HoldResponse, PendingHold
from ticketing.modules.reservations.hold_request import HoldRequest
from ticketing.modules.reservations.purchase_limits import AllowanceContended

#: Concurrent batches, each on its own connection. The limit per organization leaves connections to the others.
WORKERS, WORKERS_PER_ORGANIZATION = 4, 2
BATCH_MAX = 128
#: Retries of what another transaction has locked: error, number of retries, maximal delay in seconds.
_RETRIES = ((events.SeatContended, 4, 0.02), (AllowanceContended, 40, 0.1))
_LOCK_ERRORS = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)
#: Events whose organization a process caches. The cache is cleared when it is full.
ORGANIZATIONS_MAX = 10_000
DRAIN_SECONDS = 8.0

_log = log.get_logger(__name__)
crash_points.register(
    "after_batch_before_answers", "a batch of holds is committed, and none of its clients has a response"
)


class Holds:
    """Queues requests for holds and commits them in batches."""

    def __init__(self, database: Database, rules: HoldRules) -> None:
        self._database, self._rules = database, rules
        self._queue = FairQueue(WORKERS_PER_ORGANIZATION, BATCH_MAX)
        self._workers: set[asyncio.Task[None]] = set()
        self._organizations: dict[UUID, UUID] = {}
        self._lookups: dict[UUID, asyncio.Future[UUID]] = {}
        self._running: set[tuple[UUID, str]] = set()
        self._is_closing, self._is_idle = False, asyncio.Event()

    async def submit(self, request: HoldRequest) -> HoldResponse:
        """Hold what the request names. The returned response, a refusal included, is committed.

        A caller that is cancelled changes nothing: its hold is made completely or not at all.

        Raises:
            NotFound: there is no such event.
            Overloaded: the queue is full; nothing was changed.
            Unavailable: the database is unreachable.
            SeatContended, AllowanceContended: another transaction held the lock during every retry.
            IdempotencyMismatch, IdempotencyInFlight, Invalid: see the classes.
        """
        started, outcome = time.perf_counter(), "failed"
        try:
            response = await self._submit(request)
            outcome = response.outcome
            return response
        except errors.TicketingError as error:
            outcome = error.code
            raise
        finally:
            metrics.HOLD_SECONDS.observe(time.perf_counter() - started)
            metrics.count_hold(outcome)

    async def _submit(self, request: HoldRequest) -> HoldResponse:
        check_key(request.key)
        name = (request.user_id, request.key)
        if name in self._running:
            raise IdempotencyInFlight
        self._running.add(name)
        try:
            event_id = request.event_id
            organization_id = self._organizations.get(event_id) or await self._find_organization(event_id)
            hold = PendingHold(request, Cause.here(), asyncio.get_running_loop().create_future(), request.seats)
            if self._is_closing or not self._queue.add(organization_id, hold):
                raise errors.Overloaded
            self._start_worker()
            return await hold.response
        finally:
            self._running.discard(name)
            if self._is_closing and not self._running:
                self._is_idle.set()

    async def close(self) -> None:
        """Refuse new requests, and wait for the pending ones, at most DRAIN_SECONDS."""
        self._is_closing = True
        if self._running:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_idle.wait(), DRAIN_SECONDS)
        for worker in self._workers:
            worker.cancel()

    async def _find_organization(self, event_id: UUID) -> UUID:
        """Raises NotFound. Concurrent requests for an event that is not cached share one query."""
        lookup = self._lookups.get(event_id)
        if lookup is None:
            lookup = self._lookups[event_id] = asyncio.ensure_future(self._query_organization(event_id))
            lookup.add_done_callback(lambda _: self._lookups.pop(event_id))
        return await asyncio.shield(lookup)

    async def _query_organization(self, event_id: UUID) -> UUID:
        try:
            async with self._database.transaction() as session:
                organization_id = await events.find_organization(session, event_id)
        except (DBAPIError, PoolTimeout):
            raise errors.Unavailable from None
        if organization_id is None:
            raise errors.NotFound
        if len(self._organizations) >= ORGANIZATIONS_MAX:
            self._organizations.clear()
        self._organizations[event_id] = organization_id
        return organization_id

    def _start_worker(self) -> None:
        if len(self._workers) < WORKERS and self._queue.has_work:
            worker = asyncio.get_running_loop().create_task(self._run_worker())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _run_worker(self) -> None:
        """Run batch after batch on one connection, until the queue has none that this worker may take."""
        try:
            async with self._database.engine.connect() as connection:
                while (taken := self._queue.take()) is not None:
                    await self._run_batch(connection, *taken)
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            # Without a connection no batch can run: refuse all pending holds now instead of letting each time out.
            while (taken := self._queue.take()) is not None:
                self._queue.release(taken[0])
                _fail(taken[1], errors.Unavailable())

    async def _run_batch(
        self, connection: AsyncConnection, organization_id: UUID, holds: Sequence[PendingHold]
    ) -> None:
        try:
            await self._decide(connection, organization_id, holds)
        except BaseException:
            _fail(holds, errors.Unavailable())
            raise
        finally:
            self._queue.release(organization_id)

    async def _decide(self, connection: AsyncConnection, organization_id: UUID, holds: Sequence[PendingHold]) -> None:
        """Commit the holds in one batch, or one by one if the batch fails as a whole.

        Raises an error that means the connection is lost. The commit may have happened then: a retry with the same
        key finds out.
        """
        if not holds:
            return
        try:
            await self._commit(connection, organization_id, holds)
        except Exception as error:
            if _is_connection_lost(error):
                raise
            if len(holds) == 1:
                _fail(holds, _client_error(error))
                return
            _log.warning("batch_split", size=len(holds), exc_info=error)
            for hold in holds:
                await self._decide(connection, organization_id, [hold])

    async def _commit(self, connection: AsyncConnection, organization_id: UUID, holds: Sequence[PendingHold]) -> None:
        started = time.perf_counter()
        batch = Batch(connection, organization_id, holds, self._rules)
        try:
            await batch.run()
        finally:
            # Also after a failure: when the commit itself fails, the server may have committed.
            if batch.changed:
                self._database.notify_changed(batch.changed, batch.topics)
        if batch.changed:
            crash_points.at("after_batch_before_answers")
        metrics.HOLD_BATCH_SECONDS.observe(time.perf_counter() - started)
        metrics.HOLD_BATCH_SIZE.observe(len(holds))
        for hold in holds:
            if (response := batch.responses.get(hold)) is not None:
                _respond(hold, response)
        await self._retry_or_refuse(organization_id, [hold for hold in holds if hold not in batch.responses])

    async def _retry_or_refuse(self, organization_id: UUID, holds: Sequence[PendingHold]) -> None:
        swept: set[UUID] = set()
        for hold in holds:
            error, hold.refusal = hold.refusal, None
            assert error is not None  # a hold without a response has a refusal
            if isinstance(error, events.SoldOut):
                await self._sweep(organization_id, hold.request.event_id, swept)
                hold.has_swept = True
                self._retry(organization_id, hold)
            elif (seconds := _retry_delay(hold, error)) is not None:
                hold.contended += 1
                # The delay occupies no worker and no connection.
                asyncio.get_running_loop().call_later(seconds, self._retry, organization_id, hold)
            else:
                _fail([hold], error)

    async def _sweep(self, organization_id: UUID, event_id: UUID, swept: set[UUID]) -> None:
        """Expire the lapsed holds of an event once: their places count as available."""
        if event_id not in swept:
            swept.add(event_id)
            async with self._database.transaction() as session:
                await tenancy.enter(session, organization_id)
                await expire_due(session, event_id=event_id)

    def _retry(self, organization_id: UUID, hold: PendingHold) -> None:
        self._queue.requeue(organization_id, hold)
        self._start_worker()


def _retry_delay(hold: PendingHold, error: errors.TicketingError) -> float | None:
    """Seconds until the next attempt; None when no retries are left."""
    for kind, tries, seconds in _RETRIES:
        if isinstance(error, kind) and hold.contended < tries:
            return seconds * random.random()
    return None


def _respond(hold: PendingHold, response: HoldResponse) -> None:
    if not hold.response.done():  # cancelled when the client disconnects
        hold.response.set_result(response)


def _fail(holds: Sequence[PendingHold], error: Exception) -> None:
    for hold in holds:
        if not hold.response.done():
            hold.response.set_exception(error)


def _is_connection_lost(error: Exception) -> bool:
    """Whether the connection is gone, and not only the transaction."""
    cause = _driver_error(error)
    if isinstance(cause, psycopg.InterfaceError):
        return True
    # An error without a SQLSTATE comes from the client side of the connection.
    state = getattr(cause, "sqlstate", None)
    return isinstance(cause, psycopg.OperationalError) and (not state or effect_of(state) is Effect.RECONNECT)


def _client_error(error: Exception) -> Exception:
    """The error that the client gets for a request that failed in a batch of one."""
    cause = _driver_error(error)
    # A lock timeout or a deadlock.
    if isinstance(cause, _LOCK_ERRORS):
        return errors.Overloaded()
    # The server's problem, such as a full disk or no memory left: nothing was changed.
    return errors.Unavailable() if isinstance(cause, psycopg.OperationalError) else error


def _driver_error(error: Exception) -> BaseException | None:
    """The driver's error, whether the statement went through SQLAlchemy or not."""
    return error.orig if isinstance(error, DBAPIError) else error
