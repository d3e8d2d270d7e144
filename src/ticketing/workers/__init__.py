"""The worker processes: relay, consumers, scheduler, webhooks. Like main.py, they may import every module."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ticketing.infra import log, metrics, redis
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database
from ticketing.infra.db.server_requirements import check_server
from ticketing.infra.redis.commit_notifications import CommitNotifier
from ticketing.infra.system.retry import OWN_SERVERS_MAX_SECONDS
from ticketing.infra.system.sleep import pause
from ticketing.workers import consumers, relay, scheduler, webhooks

Worker = Callable[[Settings, Database, asyncio.Event], Coroutine[Any, Any, None]]

WORKERS: dict[str, Worker] = {
    "relay": relay.run,
    "consumers": consumers.run,
    "scheduler": scheduler.run,
    "webhooks": webhooks.run,
}


async def run(only: set[str], stop: asyncio.Event) -> None:
    """Run the named workers until `stop` is set; each finishes its current batch."""
    settings = get_settings()
    log.configure(settings.log_format, settings.log_level, "+".join(sorted(only)))
    if settings.metrics_port is not None:
        metrics.serve(settings.metrics_port)
    connection = redis.connect(settings)
    database = Database(settings, notifier=CommitNotifier(connection), url=settings.worker_database_url)
    try:
        await _wait_for_server(settings, stop)
        async with asyncio.TaskGroup() as tasks:
            for name in () if stop.is_set() else only:
                tasks.create_task(WORKERS[name](settings, database, stop), name=name)
    finally:
        await database.close()
        await connection.aclose()


async def _wait_for_server(settings: Settings, stop: asyncio.Event) -> None:
    """Wait until the server is available and checked, or `stop` is set. Raises UnsupportedServer."""
    name = "WORKER_DATABASE_URL" if settings.worker_database_url else "DATABASE_URL"
    url = settings.worker_database_url or settings.database_url
    while not stop.is_set():
        if await asyncio.to_thread(check_server, name, url, settings.database_prepare_threshold):
            return
        await pause(OWN_SERVERS_MAX_SECONDS, stop)
