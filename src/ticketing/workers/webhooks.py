"""Delivers messages to webhook endpoints: reads the log for each endpoint, and sends the deliveries that are due.

Several processes share the work: each skips rows that another one has locked or claimed.
"""

import asyncio
from uuid import UUID

from sqlalchemy import text

from ticketing.infra import log, redis
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.redis.commit_notifications import CommitListener
from ticketing.infra.system.retry import OUTAGES, log_outage, run_periodically, run_until_stopped
from ticketing.infra.system.sleep import pause
from ticketing.modules.webhooks import Sender, SsrfGuard, dispatch, fan_out, find_due_endpoints, record_backlog

#: A commit notification may be lost, and retries become due without one.
POLL_SECONDS = 1.0
#: The shortest interval between two reads, however many notifications arrive.
READ_INTERVAL_SECONDS = 0.25
#: The most endpoints that this process sends to at the same time.
DISPATCHED_ENDPOINTS_MAX = 64
#: How long requests in flight may take at shutdown. Those cancelled then are sent again after their claim expires.
SHUTDOWN_SECONDS = 5.0
MEASURE_SECONDS = 10.0

_log = log.get_logger(__name__)


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Read and send until `stop` is set, through outages of the database."""
    connection = redis.connect(settings)
    wake = CommitListener(connection)
    sender = Sender(SsrfGuard(allow_private=settings.webhook_private_addresses == "allow"))
    worker = Webhooks(database, sender, wake.register(), stop)
    try:
        async with wake.listening():
            await worker.run()
    finally:
        await sender.close()
        await connection.aclose()


class Webhooks:
    """The part of one process."""

    def __init__(self, database: Database, sender: Sender, wake: asyncio.Event, stop: asyncio.Event) -> None:
        self._database, self._sender, self._wake, self._stop = database, sender, wake, stop
        #: Set when a delivery may be due, or when an endpoint is finished.
        self._due = asyncio.Event()
        self._dispatching: dict[UUID, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run until `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_until_stopped(self._read, log_outage(_log, "webhooks_wait"), self._stop))
            tasks.create_task(self._send_until_stopped())
            on_error = log_outage(_log, "webhooks_not_measured", level="debug")
            tasks.create_task(run_periodically(MEASURE_SECONDS, self._measure, on_error, self._stop))

    async def _read(self) -> None:
        self._wake.clear()  # before the read: a notification that arrives during it is not lost
        found = await fan_out(self._database)
        # Also without new messages: tests and redeliveries are not in the log.
        self._due.set()
        await pause(READ_INTERVAL_SECONDS, self._stop)
        if not found:
            await pause(POLL_SECONDS, self._stop, self._wake)

    async def _send_until_stopped(self) -> None:
        await run_until_stopped(self._send, log_outage(_log, "webhooks_wait"), self._stop)
        await self._end_dispatching()

    async def _send(self) -> None:
        self._due.clear()
        room = DISPATCHED_ENDPOINTS_MAX - len(self._dispatching)
        due = await find_due_endpoints(self._database, list(self._dispatching), room) if room else []
        for organization_id, endpoint_id in due:
            self._dispatching[endpoint_id] = asyncio.create_task(self._dispatch(organization_id, endpoint_id))
        await pause(POLL_SECONDS, self._stop, self._due)

    async def _dispatch(self, organization_id: UUID, endpoint_id: UUID) -> None:
        try:
            await dispatch(self._database, self._sender, organization_id, endpoint_id, self._stop)
        except OUTAGES as error:
            _log.warning("webhook_turn_waits", webhook_id=str(endpoint_id), error=type(error).__name__)
        except Exception as error:
            _log.error("webhook_turn_failed", webhook_id=str(endpoint_id), exc_info=error)
        finally:
            del self._dispatching[endpoint_id]
            self._due.set()

    async def _end_dispatching(self) -> None:
        if self._dispatching:
            _, late = await asyncio.wait(self._dispatching.values(), timeout=SHUTDOWN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _measure(self) -> None:
        async with self._database.transaction() as session:
            waiting, oldest = (await session.execute(_WAITING)).one()
        record_backlog(waiting, oldest or 0)


_WAITING = text("""
select count(*), greatest(extract(epoch from clock_timestamp() - min(d.due_at)), 0)
  from webhook_deliveries d
  join webhook_endpoints e on e.organization_id = d.organization_id and e.id = d.endpoint_id
 where d.due_at is not null and e.disabled_at is null and e.deleted_at is null""")
