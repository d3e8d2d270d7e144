"""Commit many requests in one transaction: those that arrive during a commit form the next batch.

There is no timer: the commits set the pace. Without load, a request is a batch of one and waits for no other; under
load, a batch consists of the requests that arrived during the one before it. The queue and the batches are bounded, and
a full queue refuses a request at once. All kinds of requests of a process share its queue and its workers.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import errors, log
from ticketing.infra.db import Database
from ticketing.infra.group_commit.failures import is_connection_lost
from ticketing.infra.group_commit.fair_queue import AnyPending, FairQueue, Lane
from ticketing.infra.group_commit.pending import Committer, P
from ticketing.infra.system.outside_calls import free_context

#: Concurrent batches, each on its own connection. The limit per organization leaves connections to the others.
WORKERS, WORKERS_PER_ORGANIZATION = 4, 2
BATCH_MAX = 128
DRAIN_SECONDS = 8.0

_log = log.get_logger(__name__)


class GroupCommit:
    """Queues requests and lets their committers decide them in batches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = FairQueue(WORKERS_PER_ORGANIZATION, BATCH_MAX)
        self._workers: set[asyncio.Task[None]] = set()
        self._open = 0
        self._is_closing, self._is_idle = False, asyncio.Event()

    def add(self, committer: Committer[P], organization_id: UUID, pending: P) -> None:
        """Let the request join a batch; await `pending.response`.

        Raises:
            Overloaded: the queue is full, or this process is shutting down; nothing was changed.
        """
        if self._is_closing or not self._queue.add(Lane(organization_id, committer), pending):
            raise errors.Overloaded
        self._open += 1
        pending.response.add_done_callback(self._on_done)
        self._start_worker()

    def retry(self, committer: Committer[P], organization_id: UUID, pending: P) -> None:
        """Put a request that a batch did not decide into the next batch."""
        self._queue.requeue(Lane(organization_id, committer), pending)
        self._start_worker()

    async def close(self) -> None:
        """Refuse new requests, and wait for the pending ones, at most DRAIN_SECONDS."""
        self._is_closing = True
        if self._open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_idle.wait(), DRAIN_SECONDS)
        for worker in self._workers:
            worker.cancel()

    def _on_done(self, _: "asyncio.Future[object]") -> None:
        self._open -= 1
        if self._is_closing and not self._open:
            self._is_idle.set()

    def _start_worker(self) -> None:
        if len(self._workers) < WORKERS and self._queue.has_work:
            # Its own context: the request that starts a worker must not lend it an open transaction.
            worker = asyncio.get_running_loop().create_task(self._run_worker(), context=free_context())
            self._workers.add(worker)
            worker.add_done_callback(self._on_worker_done)

    def _on_worker_done(self, worker: "asyncio.Task[None]") -> None:
        self._workers.discard(worker)
        # A request that arrived while this worker returned its connection has started no other.
        if not worker.cancelled():
            self._start_worker()

    async def _run_worker(self) -> None:
        """Run batch after batch on one connection, until the queue has none that this worker may take."""
        try:
            async with self._database.engine.connect() as connection:
                while (taken := self._queue.take()) is not None:
                    await self._run_batch(connection, *taken)
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            # Without a connection no batch can run: refuse all pending requests now instead of letting each time out.
            while (taken := self._queue.take()) is not None:
                self._queue.release(taken[0])
                _fail(taken[1], errors.Unavailable())

    async def _run_batch(self, connection: AsyncConnection, lane: Lane, batch: Sequence[AnyPending]) -> None:
        try:
            await self._decide(connection, lane, batch)
        except BaseException:
            _fail(batch, errors.Unavailable())
            raise
        finally:
            self._queue.release(lane)

    async def _decide(self, connection: AsyncConnection, lane: Lane, batch: Sequence[AnyPending]) -> None:
        """Commit the requests in one batch, or one by one if the batch fails as a whole.

        Raises an error that means the connection is lost. The commit may have happened then: a retry with the same
        key finds out.
        """
        if not batch:
            return
        try:
            await lane.committer.commit(connection, lane.organization_id, batch)
        except Exception as error:
            if is_connection_lost(error):
                raise
            if len(batch) == 1:
                _fail(batch, lane.committer.error_for_client(error))
                return
            _log.warning("batch_split", size=len(batch), exc_info=error)
            for pending in batch:
                await self._decide(connection, lane, [pending])


def _fail(batch: Sequence[AnyPending], error: Exception) -> None:
    for pending in batch:
        pending.fail(error)
