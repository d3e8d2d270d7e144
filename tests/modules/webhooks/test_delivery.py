"""Messages are delivered to the endpoints of their type: signed, at least once, and retried after a failure."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.modules.webhooks.conftest import RunWorker, create_webhook, deliver, endpoint_key, list_deliveries
from tests.modules.webhooks.messages import painted, publish
from tests.modules.webhooks.receiver import Receiver, http_response, start_receiver
from tests.support.world import World, data
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.modules.webhooks import Sender, fan_out
from ticketing.modules.webhooks.delivery import dispatcher
from ticketing.modules.webhooks.delivery.fan_out import fan_out_page


async def make_due(database: Database) -> None:
    """Make all pending deliveries due."""
    async with database.transaction() as session:
        await session.execute(text("update webhook_deliveries set due_at = now() where due_at is not null"))


async def seconds_until_retry(database: Database) -> list[float]:
    """Seconds until the next attempt of each pending delivery."""
    async with database.transaction() as session:
        rows = await session.scalars(
            text("select extract(epoch from due_at - now()) from webhook_deliveries where due_at is not null")
        )
        return [float(row) for row in rows]


async def test_a_message_is_delivered_signed_to_endpoints_of_its_type(
    world: World, receiver: Receiver, run_worker: RunWorker
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    staff = await world.member(tenant, "ORG_STAFF")
    webhook = await create_webhook(tenant, receiver, types=["member.*"])
    async with run_worker():
        data(await tenant.admin.patch(tenant.path(f"/members/{staff.id}"), {"role": "ORG_SCANNER"}))
        await world.member(other, "ORG_STAFF")
        data(await tenant.admin.patch(tenant.path(), {"name": "Not a member.* message"}))
        await until(lambda: receiver.requests)
        await asyncio.sleep(1)
    [request] = receiver.requests
    assert request.is_signed_with(webhook["secret"])
    assert request.headers["content-type"] == "application/json"
    assert request.message.keys() == {"type", "timestamp", "data"}
    assert request.message["type"] == "member.role_changed"
    assert request.message["data"]["user_id"] == staff.id
    [row] = await list_deliveries(tenant, webhook)
    assert (row["status"], row["message_id"], row["next_attempt_at"]) == ("delivered", request.id, None)
    [attempt] = row["attempts"]
    assert (attempt["status_code"], attempt["error"]) == (204, None)
    feed = data(await tenant.admin.get(tenant.path("/feed?types=member.*&limit=100")))
    assert request.id in [item["id"] for item in feed], "the feed has the same id"


async def test_a_new_endpoint_receives_all_later_messages_and_no_earlier_ones(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    await publish(database, painted(tenant, "before"))
    await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, *[painted(tenant, str(n)) for n in range(10)])
    while await deliver(database, sender):
        continue
    assert [request.message["data"]["colour"] for request in sorted(receiver.requests, key=lambda t: t.id)] == [
        str(n) for n in range(10)
    ]


async def test_a_message_that_commits_late_is_delivered_once(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    await create_webhook(tenant, receiver, types=["wall.*"])
    async with database.transaction() as late:
        outbox.publish(late, painted(tenant, "late"))
        await late.flush()
        await publish(database, painted(tenant, "early"), painted(other, "theirs"))
        assert await deliver(database, sender) == 0
    await deliver(database, sender)
    await deliver(database, sender)
    assert sorted(request.message["data"]["colour"] for request in receiver.requests) == ["early", "late"]


async def test_several_workers_send_each_message_once(
    world: World, database: Database, receiver: Receiver, run_worker: RunWorker
) -> None:
    tenant = await world.tenant()
    await create_webhook(tenant, receiver, types=["wall.*"])
    async with run_worker(), run_worker(), run_worker():
        for n in range(30):
            await publish(database, painted(tenant, str(n)))
        await until(lambda: len(receiver.requests) >= 30)
        await asyncio.sleep(1)
    assert sorted(int(request.message["data"]["colour"]) for request in receiver.requests) == list(range(30))


async def test_concurrent_readers_of_an_endpoint_create_one_delivery_per_message(
    world: World, database: Database, receiver: Receiver
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, *[painted(tenant, str(n)) for n in range(50)])

    async def read() -> int:
        async with database.transaction() as session:
            return await fan_out_page(session, *endpoint_key(tenant, webhook))

    counts = await asyncio.gather(*[read() for _ in range(6)])
    while await fan_out(database):
        continue
    assert sum(counts) == 50
    assert len(await list_deliveries(tenant, webhook)) == 50


async def test_a_delivery_that_was_sent_but_not_recorded_is_sent_again_with_the_same_id(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "red"))
    received = asyncio.Event()

    async def never_respond(writer: asyncio.StreamWriter) -> None:
        received.set()
        await asyncio.sleep(60)

    receiver.responses = [never_respond]
    killed = asyncio.create_task(deliver(database, sender))
    await received.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    assert await deliver(database, sender) == 0, "the claim has not expired"
    [left] = await seconds_until_retry(database)
    assert 0 < left <= dispatcher.CLAIM_SECONDS
    await make_due(database)
    assert await deliver(database, sender) == 1
    first, second = receiver.requests
    assert first.id == second.id
    assert first.body == second.body
    [row] = await list_deliveries(tenant, webhook)
    assert row["status"] == "delivered"


async def test_nothing_is_sent_under_a_claim_that_may_expire_meanwhile(
    world: World, database: Database, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a claim whose process was suspended."""
    tenant = await world.tenant()
    await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "red"))
    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "CLAIM_SECONDS", dispatcher.ATTEMPT_SECONDS)
        await deliver(database, sender)
    assert receiver.requests == []
    await make_due(database)
    await deliver(database, sender)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500, 503])
async def test_every_response_but_a_2xx_is_retried(
    world: World, database: Database, receiver: Receiver, sender: Sender, status: int
) -> None:
    tenant = await world.tenant()
    async with start_receiver() as elsewhere:
        webhook = await create_webhook(tenant, receiver, types=["wall.*"])
        await publish(database, painted(tenant, "red"))
        receiver.responses = [http_response(status, b"Sorry\0 for that", Location=elsewhere.url, Set_Cookie="a=b")]
        assert await deliver(database, sender) == 1
        [row] = await list_deliveries(tenant, webhook)
        [attempt] = row["attempts"]
        assert (row["status"], attempt["status_code"], attempt["snippet"]) == ("pending", status, "Sorry  for that")
        [left] = await seconds_until_retry(database)
        assert 3 < left <= 6
        await make_due(database)
        await deliver(database, sender)
        assert elsewhere.requests == [], "redirects are not followed"
    assert [request.headers.get("cookie") for request in receiver.requests] == [None, None]
    [row] = await list_deliveries(tenant, webhook)
    assert (row["status"], len(row["attempts"])) == ("delivered", 2)


async def test_a_delivery_fails_after_ten_attempts_over_three_days(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "red"))
    receiver.default_response = http_response(500)
    seconds = []
    for _ in range(10):
        await deliver(database, sender)
        seconds += await seconds_until_retry(database)
        await make_due(database)
    assert await deliver(database, sender) == 0
    assert len({request.id for request in receiver.requests}) == 1
    assert len(receiver.requests) == 10
    assert len(seconds) == 9
    assert all(0.85 * delay < left < 1.15 * delay for delay, left in zip(dispatcher.RETRY_DELAYS, seconds, strict=True))
    assert timedelta(days=3) <= timedelta(seconds=sum(dispatcher.RETRY_DELAYS)) <= timedelta(days=3.5)
    [row] = await list_deliveries(tenant, webhook, status="failed")
    assert len(row["attempts"]) == 10


async def test_a_redelivery_has_the_same_id(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "red"))
    await deliver(database, sender)
    [row] = await list_deliveries(tenant, webhook)
    path = tenant.path(f"/webhooks/{webhook['id']}/deliveries/{row['message_id']}")
    redelivered = data(await tenant.admin.post(f"{path}/redeliver"))
    assert (redelivered["status"], len(redelivered["attempts"])) == ("pending", 1)
    assert await deliver(database, sender) == 1
    assert [request.id for request in receiver.requests] == [row["message_id"]] * 2
    whole = data(await tenant.admin.get(path))
    assert (whole["status"], len(whole["attempts"]), whole["body"]) == ("delivered", 2, receiver.requests[0].body)


async def test_only_the_latest_attempts_of_a_delivery_are_stored(
    world: World, database: Database, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "STORED_ATTEMPTS_MAX", 3)
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "red"))
    receiver.default_response = http_response(500, b"x")
    for n in range(5):
        receiver.default_response = http_response(500, str(n).encode())
        await deliver(database, sender)
        await make_due(database)
    [row] = await list_deliveries(tenant, webhook)
    assert [attempt["snippet"] for attempt in row["attempts"]] == ["2", "3", "4"]


async def test_a_test_message_is_sent_to_its_endpoint_only(
    world: World, database: Database, receiver: Receiver, run_worker: RunWorker
) -> None:
    tenant = await world.tenant()
    async with start_receiver() as other, run_worker():
        await create_webhook(tenant, other)
        webhook = await create_webhook(tenant, receiver, types=["order.*"])
        created = data(await tenant.admin.post(tenant.path(f"/webhooks/{webhook['id']}/test")), 201)
        await until(lambda: receiver.requests)
        await asyncio.sleep(0.5)
        assert "webhook.test" not in other.types
    [request] = receiver.requests
    assert request.is_signed_with(webhook["secret"])
    assert (request.message["type"], request.id) == ("webhook.test", created["message_id"])
    feed = data(await tenant.admin.get(tenant.path("/feed?limit=100")))
    assert "webhook.test" not in [item["type"] for item in feed]


async def test_both_secrets_verify_for_a_day_after_a_rotation(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    rotated = data(await tenant.admin.post(tenant.path(f"/webhooks/{webhook['id']}/rotate-secret")))
    await publish(database, painted(tenant, "red"))
    await deliver(database, sender)
    async with database.transaction() as session:
        await session.execute(text("update webhook_endpoints set old_secret_until = now() - interval '1 second'"))
    await publish(database, painted(tenant, "blue"))
    await deliver(database, sender)
    during, after = receiver.requests
    assert during.is_signed_with(webhook["secret"])
    assert during.is_signed_with(rotated["secret"])
    assert not after.is_signed_with(webhook["secret"])
    assert after.is_signed_with(rotated["secret"])


async def test_a_410_disables_the_endpoint_and_loses_no_message(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    receiver.responses = [http_response(410)]
    await publish(database, painted(tenant, "red"))
    await deliver(database, sender)
    path = tenant.path(f"/webhooks/{webhook['id']}")
    seen = data(await tenant.admin.get(path))
    assert (seen["enabled"], seen["disabled_because"]) == (False, "its receiver answered 410 Gone")
    [row] = await list_deliveries(tenant, webhook)
    assert row["status"] == "failed"
    [entry] = data(await tenant.admin.get(tenant.path("/audit-log?limit=1")))
    assert (entry["action"], entry["actor"]) == ("webhook.disabled", "system:webhooks")
    feed = data(await tenant.admin.get(tenant.path("/feed?types=webhook.disabled")))
    assert [item["data"]["webhook_id"] for item in feed] == [webhook["id"]]
    await publish(database, painted(tenant, "blue"))
    assert await deliver(database, sender) == 0
    data(await tenant.admin.patch(path, {"enabled": True}))
    assert await deliver(database, sender) == 1
    assert receiver.requests[-1].message["data"]["colour"] == "blue"


@pytest.mark.parametrize(
    ("status", "value", "least", "most"),
    [
        (429, "1000", 990, 1001),
        (503, "1000", 990, 1001),
        (503, lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=1000), usegmt=True), 980, 1001),
        (503, "99999999999999999999", 86_300, 86_401),
        (503, lambda: format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True), 3, 6),
        (503, "soon", 3, 6),
        (503, "-5", 3, 6),
        (500, "1000", 3, 6),
    ],
)
async def test_retry_after_is_respected_up_to_a_day(
    world: World, database: Database, receiver: Receiver, sender: Sender, status: int, value: Any, least: int, most: int
) -> None:
    tenant = await world.tenant()
    await create_webhook(tenant, receiver, types=["wall.*"])
    receiver.responses = [http_response(status, Retry_After=value if isinstance(value, str) else value())]
    await publish(database, painted(tenant, "red"))
    await deliver(database, sender)
    [left] = await seconds_until_retry(database)
    assert least < left < most


async def test_an_endpoint_with_a_full_backlog_rests_and_loses_no_message(
    world: World, database: Database, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ticketing.modules.webhooks.delivery.fan_out"], "PENDING_MAX", 5)
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, *[painted(tenant, str(n)) for n in range(5)])
    while await fan_out(database):
        continue
    await publish(database, painted(tenant, "5"))
    await fan_out(database)
    assert len(await list_deliveries(tenant, webhook)) == 5
    assert await fan_out(database) == 0, "a resting endpoint is skipped"
    await deliver(database, sender)
    async with database.transaction() as session:
        await session.execute(text("update webhook_endpoints set rests_until = now() - interval '1 second'"))
    while await deliver(database, sender):
        continue
    assert sorted(request.message["data"]["colour"] for request in receiver.requests) == [str(n) for n in range(6)]


async def test_an_endpoint_that_is_days_behind_is_disabled(
    world: World, database: Database, owner: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ticketing.modules.webhooks.delivery.fan_out"], "PENDING_MAX", 1)
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "one"))
    await fan_out(database)
    await publish(database, painted(tenant, "two"))
    await fan_out(database)
    path = tenant.path(f"/webhooks/{webhook['id']}")
    assert data(await tenant.admin.get(path))["enabled"], "it is less than 3 days behind"
    async with owner.transaction() as session:
        await session.execute(text("alter table outbox disable trigger user"))
        await session.execute(text("update outbox set occurred_at = occurred_at - interval '4 days'"))
        await session.execute(text("update webhook_endpoints set rests_until = null"))
    await fan_out(database)
    assert data(await tenant.admin.get(path))["disabled_because"] == "its receiver is 3 days behind"


async def test_an_expired_claim_does_not_overwrite_a_later_attempt(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    webhook = await create_webhook(tenant, receiver, types=["wall.*"])
    await publish(database, painted(tenant, "red"))
    received, may_respond = asyncio.Event(), asyncio.Event()

    async def fail_late(writer: asyncio.StreamWriter) -> None:
        received.set()
        await may_respond.wait()
        writer.write(http_response(500))
        await writer.drain()

    receiver.responses = [fail_late]
    paused = asyncio.create_task(deliver(database, sender))
    await received.wait()
    await make_due(database)
    receiver.responses = [http_response(503, Retry_After="1000")]
    assert await deliver(database, sender) == 1
    may_respond.set()
    await paused
    [row] = await list_deliveries(tenant, webhook)
    assert [attempt["status_code"] for attempt in row["attempts"]] == [503]
    [left] = await seconds_until_retry(database)
    assert left > 900, "the response to the expired claim is ignored"
