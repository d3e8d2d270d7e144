"""The webhook worker dies: what it had sent is sent again under the same id, and no delivery is lost or duplicated."""

from collections import Counter

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.crashes.processes import Processes
from tests.modules.webhooks.conftest import create_webhook, list_deliveries, private_addresses_are_allowed, receiver
from tests.modules.webhooks.messages import painted, publish
from tests.modules.webhooks.receiver import Receiver
from tests.support.platform import eventually
from tests.support.world import World
from ticketing.infra.db import Database

__all__ = ["private_addresses_are_allowed", "receiver"]

#: Receivers of tests are on this machine.
OPEN = {"WEBHOOK_PRIVATE_ADDRESSES": "allow"}


@pytest.mark.parametrize("point", ["before_deliveries_commit", "after_webhook_before_note"])
async def test_a_webhook_whose_sender_died_is_sent_again_with_the_same_id(
    app: FastAPI, world: World, database: Database, processes: Processes, receiver: Receiver, point: str
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, *[painted(tenant, str(n)) for n in range(3)])
    await processes.wait_for_crash(await processes.worker("webhooks", point, **OPEN))
    sent = [request.id for request in receiver.requests]
    assert len(sent) == (3 if point == "after_webhook_before_note" else 0)
    async with database.transaction() as session:  # its claims run out
        await session.execute(text("update webhook_deliveries set due_at = now() where due_at is not null"))
    await processes.worker("webhooks", **OPEN)

    async def all_is_done() -> bool:
        rows = await list_deliveries(tenant, webhook)
        return [row["status"] for row in rows] == ["delivered"] * 3

    assert await eventually(all_is_done)
    times = Counter(request.id for request in receiver.requests)
    assert set(times.values()) == {2 if sent else 1}
    assert {request.message["data"]["colour"] for request in receiver.requests} == {*"012"}
