"""Sends due refunds to each provider, side by side: a slow provider delays neither another one nor any consumer.

It runs in the process of the consumers. Several processes share the work: each skips refunds that another has claimed.
"""

import asyncio

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.system.retry import OUTAGES, log_every_error, run_until_stopped
from ticketing.infra.system.sleep import pause
from ticketing.modules import payments

#: Calls of one process to one provider at the same time.
CALLS_MAX = 8
#: The longest delay of a refund that has become due.
POLL_SECONDS = 1.0
#: How long calls may take at shutdown. Refunds whose calls are cancelled then are sent again after their claim.
SHUTDOWN_SECONDS = 5.0

_log = log.get_logger(__name__)


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Send the refunds of every configured provider until `stop` is set, through outages."""
    async with asyncio.TaskGroup() as tasks:
        for provider in payments.list_providers(settings):
            tasks.create_task(ProviderRefunds(database, provider, stop).run())


class ProviderRefunds:
    """The part of one process in one provider's refunds."""

    def __init__(self, database: Database, provider: payments.Provider, stop: asyncio.Event) -> None:
        self._database, self._provider, self._stop = database, provider, stop
        #: Set when there is room for another call.
        self._has_room = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run until `stop` is set."""
        await run_until_stopped(self._send_due, log_every_error(_log, "refunds_wait"), self._stop)
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=SHUTDOWN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _send_due(self) -> None:
        self._has_room.clear()
        room = CALLS_MAX - len(self._sending)
        claimed = await payments.claim_refunds(self._database, self._provider, room) if room else []
        for one in claimed:
            self._sending.add(task := asyncio.create_task(self._send(one)))
            task.add_done_callback(self._finish)
        await pause(POLL_SECONDS, self._stop, self._has_room)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._has_room.set()

    async def _send(self, claimed: payments.ClaimedRefund) -> None:
        fields = {"provider": self._provider.name, "refund_id": str(claimed.refund.id)}
        try:
            await payments.send_refund(self._database, self._provider, claimed)
        except OUTAGES as error:
            _log.warning("refund_not_recorded", **fields, error=type(error).__name__)
        except Exception as error:
            _log.error("refund_not_recorded", **fields, exc_info=error)
