"""The worker of webhooks dies: what it had sent comes again under the same id, and nothing is left out or doubled."""

from collections import Counter

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.crashes.stage import Stage
from tests.modules.webhooks.conftest import hook, inside_is_open, log_of, receiver
from tests.modules.webhooks.facts import painted, write
from tests.modules.webhooks.receiver import Receiver
from tests.support.platform import eventually
from tests.support.world import World
from ticketing.infra.db import Database

__all__ = ["inside_is_open", "receiver"]

#: Receivers of tests are on this machine.
OPEN = {"WEBHOOK_PRIVATE_ADDRESSES": "allow"}


@pytest.mark.parametrize("point", ["before_deliveries_commit", "after_webhook_before_note"])
async def test_a_webhook_whose_sender_died_comes_again_under_its_id(
    app: FastAPI, world: World, database: Database, stage: Stage, receiver: Receiver, point: str
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, *[painted(tenant, str(n)) for n in range(3)])
    await stage.dies(await stage.worker("webhooks", point, **OPEN))
    sent = [told.id for told in receiver.told]
    assert len(sent) == (3 if point == "after_webhook_before_note" else 0)
    async with database.transaction() as session:  # its claims run out
        await session.execute(text("update webhook_deliveries set due_at = now() where due_at is not null"))
    await stage.worker("webhooks", **OPEN)

    async def all_is_done() -> bool:
        rows = await log_of(tenant, made)
        return [row["status"] for row in rows] == ["delivered"] * 3

    assert await eventually(all_is_done)
    times = Counter(told.id for told in receiver.told)
    assert set(times.values()) == {2 if sent else 1}
    assert {told.message["data"]["colour"] for told in receiver.told} == {*"012"}
