"""Requests and consumers work behind a pooler in transaction mode when nothing is prepared."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from tests.infra.db.transaction_pooler import LIMITS, behind, set_limits, transaction_pooler
from tests.support.drain import drain
from tests.support.world import World, data
from ticketing.infra.config import Settings
from ticketing.infra.embedded.postgres import EmbeddedPostgres


@pytest.fixture
async def settings(settings: Settings, postgres: EmbeddedPostgres, database_url: str) -> AsyncIterator[Settings]:
    set_limits(database_url, *LIMITS)
    async with transaction_pooler(postgres.port) as port:
        yield behind(settings, port)


async def test_a_sale_works_behind_a_pooler_in_transaction_mode(app: FastAPI, world: World) -> None:
    show, buyers = await world.show(seats=4, rows=2), [await world.person() for _ in range(4)]
    await asyncio.gather(*(world.buy(b, show, f"Stalls-A-{n}") for n, b in enumerate(buyers, 1)))
    await drain(app)
    assert [len(data(await buyer.get("/me/tickets"))) for buyer in buyers] == [1, 1, 1, 1]
    assert data(await world.client.get("/health/ready"))["checks"]["database"]["status"] == "ok"
