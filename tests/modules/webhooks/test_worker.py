"""The webhook worker: fair to all endpoints, quick to shut down, and resumes after outages; retention and metrics."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.modules.webhooks.conftest import RunWorker, create_webhook, deliver
from tests.modules.webhooks.messages import painted, publish
from tests.modules.webhooks.receiver import Receiver, start_receiver
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import World, data
from ticketing.infra import metrics
from ticketing.infra.db import Database
from ticketing.modules.webhooks import Sender, clean_webhooks
from ticketing.modules.webhooks.delivery import dispatcher
from ticketing.modules.webhooks.delivery import metrics as delivery_metrics
from ticketing.workers.scheduler import JOBS


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(300)


async def test_a_receiver_that_hangs_delays_no_other_and_gets_few_concurrent_requests(
    world: World, database: Database, receiver: Receiver, run_worker: RunWorker
) -> None:
    slow_tenant, fast_tenant = await world.tenant(), await world.tenant()
    async with start_receiver() as slow:
        slow.default_response = hang
        await create_webhook(slow_tenant, slow, types=["wall.*"])
        await create_webhook(fast_tenant, receiver, types=["wall.*"])
        await publish(database, *[painted(slow_tenant, str(n)) for n in range(50)])
        async with run_worker():
            await until(lambda: slow.open_connections == dispatcher.CONCURRENCY_MAX)
            started = time.monotonic()
            await publish(database, *[painted(fast_tenant, str(n)) for n in range(20)])
            await until(lambda: len(receiver.requests) == 20)
            assert time.monotonic() - started < PATIENCE_SECONDS
            assert slow.max_open_connections == dispatcher.CONCURRENCY_MAX
            stopping = time.monotonic()
        assert time.monotonic() - stopping < PATIENCE_SECONDS, "it does not wait for the receiver that hangs"


async def test_a_delivery_in_flight_at_shutdown_is_recorded(
    world: World, database: Database, receiver: Receiver, run_worker: RunWorker
) -> None:
    tenant = await world.tenant()
    started = asyncio.Event()

    async def respond_slowly(writer: asyncio.StreamWriter) -> None:
        started.set()
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    receiver.default_response = respond_slowly
    await create_webhook(tenant, receiver, types=["wall.*"])
    async with run_worker():
        await publish(database, painted(tenant, "red"))
        await asyncio.wait_for(started.wait(), 20)
    async with database.transaction() as session:
        assert list(await session.scalars(text("select status from webhook_deliveries"))) == ["delivered"]


async def test_the_webhook_worker_survives_an_outage_of_the_database(
    world: World, database: Database, receiver: Receiver, run_worker: RunWorker, owner: Database
) -> None:
    tenant = await world.tenant()
    await create_webhook(tenant, receiver, types=["wall.*"])
    async with run_worker():
        async with owner.transaction() as session:
            terminate = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            await session.execute(text(f"{terminate} and pid <> pg_backend_pid() and usename like '%worker%'"))
        await asyncio.sleep(0.5)
        await publish(database, painted(tenant, "red"))
        await until(lambda: receiver.requests)


async def test_old_deliveries_and_deleted_endpoints_are_deleted(
    world: World, app: FastAPI, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    kept = await create_webhook(tenant, receiver, types=["wall.*"])
    deleted = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "old"))
    await deliver(database, sender)
    await publish(database, painted(tenant, "new"))
    await deliver(database, sender)
    data(await tenant.admin.delete(tenant.path(f"/webhooks/{deleted['id']}")))
    async with database.transaction() as session:
        old = "update webhook_deliveries set ended_at = now() - interval '31 days' where body like '%old%'"
        await session.execute(text(old))
    while await clean(database):
        continue
    assert await rows(database, "select endpoint_id::text, body like '%new%' from webhook_deliveries") == [
        (kept["id"], True)
    ]
    assert await rows(database, "select id::text from webhook_endpoints") == [(kept["id"],)]
    assert "clean_webhooks" in JOBS


async def clean(database: Database) -> int:
    async with database.transaction() as session:
        return await clean_webhooks(session, 30)


async def rows(database: Database, query: str) -> list[Any]:
    async with database.transaction() as session:
        return [tuple(row) for row in await session.execute(text(query))]


async def test_metrics_report_the_backlog_and_the_attempts(
    world: World, database: Database, receiver: Receiver, run_worker: RunWorker
) -> None:
    def count_delivered() -> float:
        return float(delivery_metrics.ATTEMPTS.labels("delivered")._value.get())

    tenant, before = await world.tenant(), count_delivered()
    await create_webhook(tenant, receiver, types=["wall.*"])
    async with run_worker():
        await publish(database, painted(tenant, "red"))
        await until(lambda: count_delivered() == before + 1)
    rendered = metrics.render().decode()
    for name in ("webhook_tries_total", "webhook_deliveries_waiting", "webhook_oldest_due_seconds"):
        assert f"ticketing_{name}" in rendered
