"""Receivers, senders and workers for the tests of webhooks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from tests.modules.webhooks.receiver import Receiver, start_receiver
from tests.support.world import Tenant, data
from ticketing.infra import config
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules.webhooks import Sender, SsrfGuard, dispatch, endpoints, fan_out, find_due_endpoints
from ticketing.workers.webhooks import run

RunWorker = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture(autouse=True)
def private_addresses_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow receivers on this machine. Tests of the guard itself create a strict one."""
    opened = config.get_settings().model_copy(update={"webhook_private_addresses": "allow"})
    monkeypatch.setattr(endpoints, "get_settings", lambda: opened)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with start_receiver() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    sender = Sender(SsrfGuard(allow_private=True))
    yield sender
    await sender.close()


@pytest.fixture
def run_worker(app: FastAPI, database: Database) -> RunWorker:
    """Run a worker during a block; several workers share the work."""
    settings = app.state.get(Settings).model_copy(update={"webhook_private_addresses": "allow"})

    @asynccontextmanager
    async def run_worker() -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run(settings, database, stop))
        try:
            yield
        finally:
            stop.set()
            await task

    return run_worker


async def create_webhook(tenant: Tenant, receiver: Receiver, **body: Any) -> dict[str, Any]:
    """Create a webhook of the tenant with the URL of the receiver."""
    webhook: dict[str, Any] = data(
        await tenant.admin.post(tenant.path("/webhooks"), {"url": receiver.url, **body}), 201
    )
    return webhook


async def deliver(database: Database, sender: Sender) -> int:
    """Fan out all new messages, and send all due deliveries once; the number sent."""
    while await fan_out(database):
        continue
    sent = 0
    for organization_id, endpoint_id in await find_due_endpoints(database, [], 100):
        sent += await dispatch(database, sender, organization_id, endpoint_id, asyncio.Event())
    return sent


async def list_deliveries(tenant: Tenant, webhook: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    """The deliveries of a webhook, oldest first."""
    response = await tenant.admin.get(
        tenant.path(f"/webhooks/{webhook['id']}/deliveries"), params={"limit": 100, **query}
    )
    rows: list[dict[str, Any]] = data(response)
    return rows[::-1]


def endpoint_key(tenant: Tenant, webhook: dict[str, Any]) -> tuple[UUID, UUID]:
    return UUID(tenant.id), UUID(webhook["id"])
