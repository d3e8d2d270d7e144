"""Facts are brought to whoever asked for them: signed, once each as far as we know, again when it failed."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.modules.webhooks.conftest import Working, bring, endpoint_key, hook, log_of
from tests.modules.webhooks.facts import announce, painted, write
from tests.modules.webhooks.receiver import Receiver, answer, receiving
from tests.support.world import World, data
from ticketing.infra.db import Database
from ticketing.modules.webhooks import Sender, fan_out
from ticketing.modules.webhooks.delivery import dispatcher
from ticketing.modules.webhooks.delivery.fan_out import read_for


async def make_due(database: Database) -> None:
    """Let the time pass until everything that waits is due."""
    async with database.transaction() as session:
        await session.execute(text("update webhook_deliveries set due_at = now() where due_at is not null"))


async def waits(database: Database) -> list[float]:
    """Seconds until the next try of each delivery that has one."""
    async with database.transaction() as session:
        rows = await session.scalars(
            text("select extract(epoch from due_at - now()) from webhook_deliveries where due_at is not null")
        )
        return [float(row) for row in rows]


async def test_what_happens_is_brought_signed_to_whoever_asked_for_it(
    world: World, receiver: Receiver, working: Working
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    made = await hook(tenant, receiver, types=["member.*"])
    async with working():
        staff = await world.member(tenant, "ORG_STAFF")
        await world.member(other, "ORG_STAFF")
        data(await tenant.admin.patch(tenant.path(), {"name": "Nothing for it"}))
        await until(lambda: receiver.told)
        await asyncio.sleep(1)
    [told] = receiver.told
    assert told.is_signed_with(made["secret"])
    assert told.headers["content-type"] == "application/json"
    assert told.message.keys() == {"type", "timestamp", "data"}
    assert told.message["type"] == "member.added"
    assert told.message["data"]["user_id"] == staff.id
    [row] = await log_of(tenant, made)
    assert (row["status"], row["message_id"], row["next_attempt_at"]) == ("delivered", told.id, None)
    [attempt] = row["attempts"]
    assert (attempt["status_code"], attempt["error"]) == (204, None)
    feed = data(await tenant.admin.get(tenant.path("/feed?types=member.*&limit=100")))
    assert told.id in [item["id"] for item in feed], "the feed knows it by the same id"


async def test_nothing_of_the_past_is_brought_and_nothing_of_the_future_is_missed(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    await write(database, painted(tenant, "before"))
    await hook(tenant, receiver, types=["wall.*"])
    await write(database, *[painted(tenant, str(n)) for n in range(10)])
    while await bring(database, sender):
        continue
    assert [told.message["data"]["colour"] for told in sorted(receiver.told, key=lambda t: t.id)] == [
        str(n) for n in range(10)
    ]


async def test_a_fact_that_commits_late_is_brought_once(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    await hook(tenant, receiver, types=["wall.*"])
    async with database.transaction() as late:
        announce(late, painted(tenant, "late"))
        await late.flush()
        await write(database, painted(tenant, "early"), painted(other, "theirs"))
        assert await bring(database, sender) == 0
    await bring(database, sender)
    await bring(database, sender)
    assert sorted(told.message["data"]["colour"] for told in receiver.told) == ["early", "late"]


async def test_two_workers_send_once_each(
    world: World, database: Database, receiver: Receiver, working: Working
) -> None:
    tenant = await world.tenant()
    await hook(tenant, receiver, types=["wall.*"])
    async with working(), working(), working():
        for n in range(30):
            await write(database, painted(tenant, str(n)))
        await until(lambda: len(receiver.told) >= 30)
        await asyncio.sleep(1)
    assert sorted(int(told.message["data"]["colour"]) for told in receiver.told) == list(range(30))


async def test_two_readers_of_one_endpoint_write_one_delivery_each(
    world: World, database: Database, receiver: Receiver
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, *[painted(tenant, str(n)) for n in range(50)])

    async def read() -> int:
        async with database.transaction() as session:
            return await read_for(session, *endpoint_key(tenant, made))

    counts = await asyncio.gather(*[read() for _ in range(6)])
    while await fan_out(database):
        continue
    assert sum(counts) == 50
    assert len(await log_of(tenant, made)) == 50


async def test_a_worker_that_dies_between_sending_and_writing_sends_again_under_the_same_id(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "red"))
    taken = asyncio.Event()

    async def take_and_say_nothing(writer: asyncio.StreamWriter) -> None:
        taken.set()
        await asyncio.sleep(60)

    receiver.answers = [take_and_say_nothing]
    dying = asyncio.create_task(bring(database, sender))
    await taken.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await bring(database, sender) == 0, "it is claimed until the claim runs out"
    [left] = await waits(database)
    assert 0 < left <= dispatcher.CLAIM_SECONDS
    await make_due(database)
    assert await bring(database, sender) == 1
    first, second = receiver.told
    assert first.id == second.id
    assert first.body == second.body
    [row] = await log_of(tenant, made)
    assert row["status"] == "delivered"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500, 503])
async def test_whatever_is_no_success_is_tried_again(
    world: World, database: Database, receiver: Receiver, sender: Sender, status: int
) -> None:
    tenant = await world.tenant()
    async with receiving() as elsewhere:
        made = await hook(tenant, receiver, types=["wall.*"])
        await write(database, painted(tenant, "red"))
        receiver.answers = [answer(status, b"Sorry\0 for that", Location=elsewhere.url, Set_Cookie="a=b")]
        assert await bring(database, sender) == 1
        [row] = await log_of(tenant, made)
        [attempt] = row["attempts"]
        assert (row["status"], attempt["status_code"], attempt["snippet"]) == ("pending", status, "Sorry  for that")
        [left] = await waits(database)
        assert 3 < left <= 6
        await make_due(database)
        await bring(database, sender)
        assert elsewhere.told == [], "a redirect is an answer like any other, and leads nowhere"
    assert [told.headers.get("cookie") for told in receiver.told] == [None, None]
    [row] = await log_of(tenant, made)
    assert (row["status"], len(row["attempts"])) == ("delivered", 2)


async def test_ten_tries_over_three_days_and_then_it_has_failed(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "red"))
    receiver.always = answer(500)
    seconds = []
    for _ in range(10):
        await bring(database, sender)
        seconds += await waits(database)
        await make_due(database)
    assert await bring(database, sender) == 0
    assert len({told.id for told in receiver.told}) == 1
    assert len(receiver.told) == 10
    assert len(seconds) == 9
    assert all(0.85 * delay < left < 1.15 * delay for delay, left in zip(dispatcher.DELAYS, seconds, strict=True))
    assert timedelta(days=3) <= timedelta(seconds=sum(dispatcher.DELAYS)) <= timedelta(days=3.5)
    [row] = await log_of(tenant, made, status="failed")
    assert len(row["attempts"]) == 10


async def test_what_is_asked_for_again_is_brought_again_under_the_same_id(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "red"))
    await bring(database, sender)
    [row] = await log_of(tenant, made)
    path = tenant.path(f"/webhooks/{made['id']}/deliveries/{row['message_id']}")
    again = data(await tenant.admin.post(f"{path}/redeliver"))
    assert (again["status"], len(again["attempts"])) == ("pending", 1)
    assert await bring(database, sender) == 1
    assert [told.id for told in receiver.told] == [row["message_id"]] * 2
    whole = data(await tenant.admin.get(path))
    assert (whole["status"], len(whole["attempts"]), whole["body"]) == ("delivered", 2, receiver.told[0].body)


async def test_the_log_of_one_delivery_does_not_grow_for_ever(
    world: World, database: Database, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "ATTEMPTS_KEPT", 3)
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "red"))
    receiver.always = answer(500, b"x")
    for n in range(5):
        receiver.always = answer(500, str(n).encode())
        await bring(database, sender)
        await make_due(database)
    [row] = await log_of(tenant, made)
    assert [attempt["snippet"] for attempt in row["attempts"]] == ["2", "3", "4"]


async def test_a_test_is_brought_to_this_endpoint_alone(
    world: World, database: Database, receiver: Receiver, working: Working
) -> None:
    tenant = await world.tenant()
    async with receiving() as other, working():
        await hook(tenant, other)
        made = await hook(tenant, receiver, types=["order.*"])
        begun = data(await tenant.admin.post(tenant.path(f"/webhooks/{made['id']}/test")), 201)
        await until(lambda: receiver.told)
        await asyncio.sleep(0.5)
        assert "webhook.test" not in other.types
    [told] = receiver.told
    assert told.is_signed_with(made["secret"])
    assert (told.message["type"], told.id) == ("webhook.test", begun["message_id"])
    feed = data(await tenant.admin.get(tenant.path("/feed?limit=100")))
    assert "webhook.test" not in [item["type"] for item in feed]


async def test_for_a_day_after_a_rotation_both_secrets_verify_and_then_the_new_one_alone(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    rotated = data(await tenant.admin.post(tenant.path(f"/webhooks/{made['id']}/rotate-secret")))
    await write(database, painted(tenant, "red"))
    await bring(database, sender)
    async with database.transaction() as session:
        await session.execute(text("update webhook_endpoints set old_secret_until = now() - interval '1 second'"))
    await write(database, painted(tenant, "blue"))
    await bring(database, sender)
    during, after = receiver.told
    assert during.is_signed_with(made["secret"])
    assert during.is_signed_with(rotated["secret"])
    assert not after.is_signed_with(made["secret"])
    assert after.is_signed_with(rotated["secret"])


async def test_gone_disables_the_endpoint_and_says_so_and_nothing_is_lost_meanwhile(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    receiver.answers = [answer(410)]
    await write(database, painted(tenant, "red"))
    await bring(database, sender)
    path = tenant.path(f"/webhooks/{made['id']}")
    seen = data(await tenant.admin.get(path))
    assert (seen["enabled"], seen["disabled_because"]) == (False, "its receiver answered 410 Gone")
    [row] = await log_of(tenant, made)
    assert row["status"] == "failed"
    [entry] = data(await tenant.admin.get(tenant.path("/audit-log?limit=1")))
    assert (entry["action"], entry["actor"]) == ("webhook.disabled", "system:webhooks")
    told = data(await tenant.admin.get(tenant.path("/feed?types=webhook.disabled")))
    assert [item["data"]["webhook_id"] for item in told] == [made["id"]]
    await write(database, painted(tenant, "blue"))
    assert await bring(database, sender) == 0
    data(await tenant.admin.patch(path, {"enabled": True}))
    assert await bring(database, sender) == 1
    assert receiver.told[-1].message["data"]["colour"] == "blue"


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
async def test_who_says_when_to_come_back_is_believed_up_to_a_day(
    world: World, database: Database, receiver: Receiver, sender: Sender, status: int, value: Any, least: int, most: int
) -> None:
    tenant = await world.tenant()
    await hook(tenant, receiver, types=["wall.*"])
    receiver.answers = [answer(status, Retry_After=value if isinstance(value, str) else value())]
    await write(database, painted(tenant, "red"))
    await bring(database, sender)
    [left] = await waits(database)
    assert least < left < most


async def test_an_endpoint_with_too_much_waiting_rests_and_loses_nothing(
    world: World, database: Database, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ticketing.modules.webhooks.delivery.fan_out"], "PENDING_MAX", 5)
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, *[painted(tenant, str(n)) for n in range(5)])
    while await fan_out(database):
        continue
    await write(database, painted(tenant, "5"))
    await fan_out(database)
    assert len(await log_of(tenant, made)) == 5
    assert await fan_out(database) == 0, "it rests, and nobody looks again and again"
    await bring(database, sender)
    async with database.transaction() as session:
        await session.execute(text("update webhook_endpoints set rests_until = now() - interval '1 second'"))
    while await bring(database, sender):
        continue
    assert sorted(told.message["data"]["colour"] for told in receiver.told) == [str(n) for n in range(6)]


async def test_who_is_days_behind_is_disabled_so_that_the_log_need_not_be_kept_for_it(
    world: World, database: Database, owner: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ticketing.modules.webhooks.delivery.fan_out"], "PENDING_MAX", 1)
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "one"))
    await fan_out(database)
    await write(database, painted(tenant, "two"))
    await fan_out(database)
    path = tenant.path(f"/webhooks/{made['id']}")
    assert data(await tenant.admin.get(path))["enabled"], "a day or two are no reason"
    async with owner.transaction() as session:
        await session.execute(text("alter table outbox disable trigger user"))
        await session.execute(text("update outbox set occurred_at = occurred_at - interval '4 days'"))
        await session.execute(text("update webhook_endpoints set rests_until = null"))
    await fan_out(database)
    assert data(await tenant.admin.get(path))["disabled_because"] == "its receiver is 3 days behind"


async def test_a_claim_that_ran_out_writes_nothing_over_what_came_after_it(
    world: World, database: Database, receiver: Receiver, sender: Sender
) -> None:
    tenant = await world.tenant()
    made = await hook(tenant, receiver, types=["wall.*"])
    await write(database, painted(tenant, "red"))
    taken, may_answer = asyncio.Event(), asyncio.Event()

    async def fail_late(writer: asyncio.StreamWriter) -> None:
        taken.set()
        await may_answer.wait()
        writer.write(answer(500))
        await writer.drain()

    receiver.answers = [fail_late]
    paused = asyncio.create_task(bring(database, sender))
    await taken.wait()
    await make_due(database)
    receiver.answers = [answer(503, Retry_After="1000")]
    assert await bring(database, sender) == 1
    may_answer.set()
    await paused
    [row] = await log_of(tenant, made)
    assert [attempt["status_code"] for attempt in row["attempts"]] == [503]
    [left] = await waits(database)
    assert left > 900, "what the paused one heard is not what counts"
