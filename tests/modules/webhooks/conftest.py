"""Receivers and workers for the tests of webhooks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from tests.modules.webhooks.receiver import Receiver, receiving
from tests.support.world import Tenant, data
from ticketing.infra import config
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules.webhooks import CheckedBackend, Sender, endpoints, fan_out, find_due, take_turn
from ticketing.workers.webhooks import run

Working = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture(autouse=True)
def inside_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers of tests are on this machine. Those of the rule itself ask it directly, or close it again."""
    opened = config.get_settings().model_copy(update={"webhook_private_addresses": "allow"})
    monkeypatch.setattr(endpoints, "get_settings", lambda: opened)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    sender = Sender(CheckedBackend(allow_private=True))
    yield sender
    await sender.close()


@pytest.fixture
def working(app: FastAPI, database: Database) -> Working:
    """A worker, for as long as the block lasts; several of them share the work."""
    settings = app.state.get(Settings).model_copy(update={"webhook_private_addresses": "allow"})

    @asynccontextmanager
    async def working() -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run(settings, database, stop))
        try:
            yield
        finally:
            stop.set()
            await task

    return working


async def hook(tenant: Tenant, receiver: Receiver, **body: Any) -> dict[str, Any]:
    """An endpoint of the tenant's at the receiver."""
    made: dict[str, Any] = data(await tenant.admin.post(tenant.path("/webhooks"), {"url": receiver.url, **body}), 201)
    return made


async def bring(database: Database, sender: Sender) -> int:
    """Read all that is new, and send all that is due, once; the number sent."""
    while await fan_out(database):
        continue
    sent = 0
    for organization_id, endpoint_id in await find_due(database, [], 100):
        sent += await take_turn(database, sender, organization_id, endpoint_id, asyncio.Event())
    return sent


async def log_of(tenant: Tenant, made: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    """The deliveries, oldest first."""
    answer = await tenant.admin.get(tenant.path(f"/webhooks/{made['id']}/deliveries"), params={"limit": 100, **query})
    rows: list[dict[str, Any]] = data(answer)
    return rows[::-1]


def endpoint_key(tenant: Tenant, made: dict[str, Any]) -> tuple[UUID, UUID]:
    return UUID(tenant.id), UUID(made["id"])
