"""The worker shares its time fairly, stops soon, and leaves nothing behind."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.modules.webhooks.conftest import Working, bring, hook
from tests.modules.webhooks.facts import painted, write
from tests.modules.webhooks.receiver import Receiver, receiving
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


async def test_who_hangs_holds_up_nobody_else_and_is_asked_a_few_times_at_once(
    world: World, database: Database, receiver: Receiver, working: Working
) -> None:
    slow_one, quick_one = await world.tenant(), await world.tenant()
    async with receiving() as slow:
        slow.always = hang
        await hook(slow_one, slow, types=["wall.*"])
        await hook(quick_one, receiver, types=["wall.*"])
        await write(database, *[painted(slow_one, str(n)) for n in range(50)])
        async with working():
            await until(lambda: slow.open_now == dispatcher.AT_ONCE)
            begun = time.monotonic()
            await write(database, *[painted(quick_one, str(n)) for n in range(20)])
            await until(lambda: len(receiver.told) == 20)
            assert time.monotonic() - begun < PATIENCE_SECONDS
            assert slow.most_open == dispatcher.AT_ONCE
            stopping = time.monotonic()
        assert time.monotonic() - stopping < PATIENCE_SECONDS, "it does not wait for who hangs"


async def test_what_is_being_sent_when_the_worker_stops_is_written_down(
    world: World, database: Database, receiver: Receiver, working: Working
) -> None:
    tenant = await world.tenant()
    begun = asyncio.Event()

    async def take_a_moment(writer: asyncio.StreamWriter) -> None:
        begun.set()
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    receiver.always = take_a_moment
    await hook(tenant, receiver, types=["wall.*"])
    async with working():
        await write(database, painted(tenant, "red"))
        await asyncio.wait_for(begun.wait(), 20)
    async with database.transaction() as session:
        assert list(await session.scalars(text("select status from webhook_deliveries"))) == ["delivered"]


async def test_an_outage_of_the_database_is_waited_for(
    world: World, database: Database, receiver: Receiver, working: Working, owner: Database
) -> None:
    tenant = await world.tenant()
    await hook(tenant, receiver, types=["wall.*"])
    async with working():
        async with owner.transaction() as session:
            cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            await session.execute(text(f"{cut} and pid <> pg_backend_pid() and usename like '%worker%'"))
        await asyncio.sleep(0.5)
        await write(database, painted(tenant, "red"))
        await until(lambda: receiver.told)


async def test_old_deliveries_and_deleted_endpoints_are_forgotten_and_the_rest_is_kept(
    world: World, app: FastAPI, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    kept, gone = await hook(tenant, receiver, types=["wall.*"]), await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "old"))
    await bring(database, sender)
    await write(database, painted(tenant, "new"))
    await bring(database, sender)
    data(await tenant.admin.delete(tenant.path(f"/webhooks/{gone['id']}")))
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


async def test_the_figures_tell_what_waits_and_what_became_of_tries(
    world: World, database: Database, receiver: Receiver, working: Working
) -> None:
    def tried() -> float:
        return float(delivery_metrics.ATTEMPTS.labels("delivered")._value.get())

    tenant, before = await world.tenant(), tried()
    await hook(tenant, receiver, types=["wall.*"])
    async with working():
        await write(database, painted(tenant, "red"))
        await until(lambda: tried() == before + 1)
    text_of_all = metrics.render().decode()
    for name in ("webhook_tries_total", "webhook_deliveries_waiting", "webhook_oldest_due_seconds"):
        assert f"ticketing_{name}" in text_of_all
