"""A server that becomes read-only: writes get 503, reads are answered, readiness says no, and workers wait."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from tests.support.platform import eventually
from tests.support.world import World, data, refusal
from ticketing.infra import mail
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules.health import monitor
from ticketing.workers.consumers import groups
from ticketing.workers.scheduler import expire_reservations, run_job


@contextmanager
def read_only(database_url: str) -> Iterator[None]:
    """Make the database read-only for new sessions and end the others, as a failover to a standby does."""
    name = make_url(database_url).database
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"alter database {name} set default_transaction_read_only = on".encode())
        connection.execute(_END_OTHERS)
        yield
        connection.execute(f"alter database {name} reset default_transaction_read_only".encode())
        connection.execute(_END_OTHERS)


_END_OTHERS = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"""


async def test_writes_are_refused_with_503_reads_are_answered_and_all_goes_on_afterwards(
    app: FastAPI, world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "CACHE_SECONDS", 0)
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    payment = await world.payment(buyer, order)
    database: Database = app.state.worker_database
    all_groups, stop = groups(app.state.get(Redis), mail.connect(app.state.get(Settings))), asyncio.Event()
    consumers = [asyncio.ensure_future(LogConsumer(database, g, asyncio.Event(), 3).run(stop)) for g in all_groups]

    with read_only(database_url):
        for response in (
            await buyer.post("/orgs", {"name": "A", "slug": "a-b-c"}),
            await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-2"]}, key="k"),
            await buyer.post("/auth/register", {"email": "new@example.com", "password": "a long password"}),
            await world.webhook("payment.succeeded", payment),
        ):
            assert refusal(response, 503)["code"] == "dependency_down"
            assert response.headers["Retry-After"]

        async def is_readable() -> bool:  # each pooled connection was ended, which costs a request each
            return (await buyer.get(f"/orders/{order['id']}")).status_code == 200

        await eventually(is_readable)
        ready = await world.client.get("/health/ready")
        refusal(ready, 503)
        assert ready.json()["data"]["checks"]["database"]["details"]["error"] == "read_only"
        assert await run_job("expire", expire_reservations, app.state.get(Settings), database) == 0
        assert not any(consumer.done() for consumer in consumers)

    async def is_held() -> bool:
        body = {"event_id": show.id, "seats": ["Stalls-A-2"]}
        return (await buyer.post("/reservations", body, key="k")).status_code == 201

    async def is_paid() -> bool:
        return (await world.webhook("payment.succeeded", payment)).status_code == 200

    async def has_ticket() -> bool:
        return bool(data(await buyer.get("/me/tickets")))

    await eventually(is_held)
    await eventually(is_paid)
    await eventually(has_ticket)
    assert (await world.client.get("/health/db")).status_code == 200
    assert not any(consumer.done() for consumer in consumers)
    stop.set()
    await asyncio.gather(*consumers)
