"""Reads of many requests in one round trip: those that arrive while others are being read form the next batch.

Most of the cost of a short read is that of a round trip: borrowing a connection, a write and a read of its socket, and
waking two processes. There is no timer. Without load, a read is a batch of one.

The statements of a batch are one transaction, which cannot write. Each request begins with `tenancy.BEGIN_READS`, which
replaces every setting of row-level security that the request before it has left.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import psycopg

from ticketing.infra import errors
from ticketing.infra.db.driver.round_trip import RoundTrip
from ticketing.infra.db.driver.statement_list import StatementList
from ticketing.infra.db.pipeline import DriverConnection
from ticketing.infra.system.outside_calls import free_context

#: Concurrent batches, each on its own connection: a slow read delays the reads of its own batch only.
WORKERS = 4
BATCH_MAX = 32
#: About a second of reads. The next one is refused.
PENDING_MAX = 4000
#: Batches on one connection. The pool then checks whether the connection still leads to a usable server.
BATCHES_PER_LOAN = 50

Lend = Callable[[], AbstractAsyncContextManager[DriverConnection]]


class _Pending:
    """The reads of one request."""

    def __init__(self, statements: StatementList) -> None:
        self.statements = statements
        self.response: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: The task that reads it, and what it reads together with it.
        self.worker: asyncio.Task[None] | None = None
        self.batch: Sequence[_Pending] = ()


class ReadBatches:
    """Queues the reads of a process, and reads them in batches."""

    def __init__(self, lend: Lend) -> None:
        self._lend = lend
        self._pending: deque[_Pending] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._is_starting = False

    async def read(self, statements: StatementList) -> None:
        """Execute the statements and fill their results.

        Raises:
            Overloaded: too many requests are waiting.
            psycopg.Error: one of the statements failed.
            SQLAlchemyError: there is no connection.
        """
        if len(self._pending) >= PENDING_MAX:
            raise errors.Overloaded
        pending = _Pending(statements)
        self._pending.append(pending)
        self._start_soon()
        try:
            await pending.response
        except asyncio.CancelledError:
            # A batch that no request waits for any more is cancelled in the server as well.
            if pending.worker is not None and all(other.response.done() for other in pending.batch):
                pending.worker.cancel()
            raise

    def _start_soon(self) -> None:
        # Not at once: what else this iteration of the event loop wants to read can join the batch.
        if not self._is_starting and len(self._workers) < WORKERS:
            self._is_starting = True
            asyncio.get_running_loop().call_soon(self._start, context=free_context())

    def _start(self) -> None:
        self._is_starting = False
        if self._pending and len(self._workers) < WORKERS:
            worker = asyncio.get_running_loop().create_task(self._run())
            self._workers.add(worker)
            worker.add_done_callback(self._on_worker_done)

    def _on_worker_done(self, worker: "asyncio.Task[None]") -> None:
        self._workers.discard(worker)
        if self._pending:
            self._start_soon()

    async def _run(self) -> None:
        """Read batch after batch on one connection. Its errors are those of the requests."""
        try:
            async with self._lend() as connection:
                for _ in range(BATCHES_PER_LOAN):
                    if not (batch := self._take()):
                        return
                    await self._read(connection, batch)
                    if connection.closed:
                        return
        except Exception as error:
            # No connection. Other workers may have one; without any, nothing that waits would be read.
            if len(self._workers) == 1:
                _fail(self._take(len(self._pending)), error)

    def _take(self, count_max: int = BATCH_MAX) -> list[_Pending]:
        taken = [self._pending.popleft() for _ in range(min(count_max, len(self._pending)))]
        # Requests whose client has disconnected are dropped.
        batch = [pending for pending in taken if not pending.response.done()]
        for pending in batch:
            pending.worker, pending.batch = asyncio.current_task(), batch
        return batch

    async def _read(self, connection: DriverConnection, batch: Sequence[_Pending]) -> None:
        """Read a batch; one by one if a statement of it fails, so that each request gets its own error."""
        round_trip = RoundTrip(connection)
        round_trip.commits = True
        try:
            for pending in batch:
                pending.statements.add_to(round_trip)
            await connection.exchange(round_trip)
        except psycopg.Error as error:
            if len(batch) == 1 or connection.closed:
                _fail(batch, error)
                return
            for pending in batch:
                await self._read(connection, [pending])
        except BaseException as error:
            _fail(batch, error if isinstance(error, Exception) else errors.Unavailable())
            raise
        else:
            for pending in batch:
                if not pending.response.done():
                    pending.response.set_result(None)


def _fail(batch: Sequence[_Pending], error: Exception) -> None:
    for pending in batch:
        if not pending.response.done():
            pending.response.set_exception(error)
