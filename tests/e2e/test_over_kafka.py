"""The platform with Kafka between the log and the consumers: the same handlers with the same results."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.support.kafka_broker import KafkaBroker
from tests.support.platform import Platform, Viewer, eventually, opened, tickets_of
from tests.support.world import API, World, data

pytestmark = pytest.mark.kafka


async def test_a_purchase_over_kafka_and_across_a_broker_restart(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    with opened(tmp_path / "data", KAFKA_BOOTSTRAP_SERVERS=kafka_broker.bootstrap) as platform:
        async with httpx2.AsyncClient(base_url=platform.url, timeout=30) as client:
            world = World(client)
            await watch_a_purchase(platform, world)
            # Sales continue without the broker, and their tickets are issued once it is back.
            await asyncio.to_thread(kafka_broker.stop)
            show, buyer = await world.show(seats=3, rows=1), await world.person()
            order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
            data(await world.webhook("payment.succeeded", await world.payment(buyer, order)))
            assert data(await buyer.get(f"/orders/{order['id']}"))["status"] == "paid"
            assert data(await buyer.get("/me/tickets")) == []
            await asyncio.to_thread(kafka_broker.start)
            assert len(await tickets_of(buyer, order, 1, seconds=120)) == 1


async def watch_a_purchase(platform: Platform, world: World) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    async with world.client.stream("GET", f"{API}/events/{show.id}/stream") as stream:
        viewer = Viewer(stream)
        await viewer.until("aaa")
        held = await world.hold(buyer, show, "Stalls-A-2")
        await viewer.until("aha", seconds=120)
    order = await world.order(buyer, held)
    data(await world.webhook("payment.succeeded", await world.payment(buyer, order)))
    assert len(await tickets_of(buyer, order, 1, seconds=120)) == 1

    async def is_carried() -> bool:
        sent = platform.query("select last_id > 0 or window_from > '0' from outbox_cursor where reader = 'relay'")
        return sent == [(True,)]

    assert await eventually(is_carried)
    readers = platform.query("select reader from outbox_cursor")
    assert readers == [("relay",)]  # no consumer read the log directly: the messages came over Kafka
