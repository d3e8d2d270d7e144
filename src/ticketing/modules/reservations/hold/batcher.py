"""The entry point for holds, `await holds.submit(request)`: group commit, with retries of what was locked elsewhere."""

import asyncio
import random
import time
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import crash_points, errors
from ticketing.infra.db import Database, tenancy
from ticketing.infra.group_commit import GroupCommit
from ticketing.infra.group_commit.failures import client_error
from ticketing.infra.http.idempotency import IdempotencyInFlight, check_key
from ticketing.infra.log import Cause
from ticketing.modules import events
from ticketing.modules.reservations.expiry import expire_due
from ticketing.modules.reservations.hold import metrics
from ticketing.modules.reservations.hold.batch import Batch
from ticketing.modules.reservations.hold.buyers_now import HoldRules
from ticketing.modules.reservations.hold.pending import HoldResponse, PendingHold
from ticketing.modules.reservations.hold_request import HoldRequest
from ticketing.modules.reservations.purchase_limits import AllowanceContended

#: Retries of what another transaction has locked: error, number of retries, maximal delay in seconds.
_RETRIES = ((events.SeatContended, 4, 0.02), (AllowanceContended, 40, 0.1))
#: Events whose organization a process caches. The cache is cleared when it is full.
ORGANIZATIONS_MAX = 10_000

crash_points.register(
    "after_batch_before_answers", "a batch of holds is committed, and none of its clients has a response"
)


class Holds:
    """Submits requests for holds to the group commit, and commits batches of them."""

    waiting = metrics.HOLDS_WAITING

    def __init__(self, database: Database, group_commit: GroupCommit, rules: HoldRules) -> None:
        self._database, self._group_commit, self._rules = database, group_commit, rules
        self._organizations: dict[UUID, UUID] = {}
        self._lookups: dict[UUID, asyncio.Future[UUID]] = {}
        self._running: set[tuple[UUID, str]] = set()

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
            self._group_commit.add(self, organization_id, hold)
            return await hold.response
        finally:
            self._running.discard(name)

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

    async def commit(self, connection: AsyncConnection, organization_id: UUID, holds: Sequence[PendingHold]) -> None:
        """See `group_commit.Committer`."""
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
                hold.answer(response)
        await self._retry_or_refuse(organization_id, [hold for hold in holds if hold not in batch.responses])

    def error_for_client(self, error: Exception) -> Exception:
        """See `group_commit.Committer`."""
        return client_error(error)

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
                hold.fail(error)

    async def _sweep(self, organization_id: UUID, event_id: UUID, swept: set[UUID]) -> None:
        """Expire the lapsed holds of an event once: their places count as available."""
        if event_id not in swept:
            swept.add(event_id)
            async with self._database.transaction() as session:
                await tenancy.enter(session, organization_id)
                await expire_due(session, event_id=event_id)

    def _retry(self, organization_id: UUID, hold: PendingHold) -> None:
        self._group_commit.retry(self, organization_id, hold)


def _retry_delay(hold: PendingHold, error: errors.TicketingError) -> float | None:
    """Seconds until the next attempt; None when no retries are left."""
    for kind, tries, seconds in _RETRIES:
        if isinstance(error, kind) and hold.contended < tries:
            return seconds * random.random()
    return None
