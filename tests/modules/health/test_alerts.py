"""Every alert fires on its condition, names its subject, and clears."""

import asyncio
import inspect
from dataclasses import replace
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import text

from tests.support.drain import drain
from tests.support.world import World, data, refusal
from ticketing.alerts import ALERTS
from ticketing.infra import outbox
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, log_cluster, new_id
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.infra.outbox.reader import LogReader
from ticketing.modules import reservations, webhooks
from ticketing.modules.events import SeatsUnblocked
from ticketing.modules.health import Alert, monitor
from ticketing.modules.health.alerts import log_alerts, read_alerts
from ticketing.modules.health.checks import Dependencies
from ticketing.modules.health.monitor import HealthMonitor

#: A message of a day without a partition.
STRAY = """
insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
values (now() + interval '40 days', gen_random_uuid(), 'bell.rung', 'k', 1, '{}', '', '', '')"""


@pytest.fixture(autouse=True)
def _uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "CACHE_SECONDS", 0)


async def run(app: FastAPI, *statements: str) -> None:
    async with app.state.owner_database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def firing(client: httpx2.AsyncClient) -> dict[str, Any]:
    response = await client.get("/health/alerts")
    alerts = response.json()["data"]["alerts"]
    found = {alert["name"]: alert for alert in alerts if alert["firing"]}
    assert response.status_code == (503 if found else 200)
    return found


def use_broker(app: FastAPI, bootstrap: str) -> None:
    """Configure the process for a Kafka broker at this address; empty means the embedded log."""
    app.state.provide(app.state.get(Settings).model_copy(update={"kafka_bootstrap_servers": bootstrap}))
    app.state.provide(HealthMonitor(dependencies(app), ALERTS))


def dependencies(app: FastAPI) -> Dependencies:
    return Dependencies.of(app.state.get(Settings), app.state.get(Database), app.state.get(Redis))


async def read_all(database: Database, reader: str) -> None:
    log = LogReader(database, reader, "test")
    assert await log.acquire()
    while page := await log.read():
        await log.advance(page[-1].log_id)


async def publish(database: Database) -> None:
    async with database.transaction() as session:
        outbox.publish(session, SeatsUnblocked(event_id=new_id()))


async def test_no_alert_fires_on_a_healthy_platform(client: httpx2.AsyncClient, app: FastAPI) -> None:
    for bootstrap in ("", "127.0.0.1:1"):
        use_broker(app, bootstrap)
        alerts = data(await client.get("/health/alerts"))["alerts"]
        ours = {"outbox_lag", "outbox_pinned", "outbox_ahead", "outbox_partitions", "dead_letters"}
        ours |= {"kafka_partition_stuck"} if bootstrap else set()
        assert {alert["name"] for alert in alerts} == ours | {alert.name for alert in ALERTS}
        assert not any(alert["firing"] for alert in alerts)


def test_every_alert_has_a_test_that_fires_and_clears_it(app: FastAPI) -> None:
    distributed = app.state.get(Settings).model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    rules = {alert.name for alert in (*log_alerts(distributed), *ALERTS)}
    assert rules == FIRED_BY.keys()
    for name, test in FIRED_BY.items():
        assert f'"{name}"' in inspect.getsource(test)


async def test_a_lagging_reader_is_named(client: httpx2.AsyncClient, app: FastAPI) -> None:
    database = app.state.worker_database
    await publish(database)
    await read_all(database, "tickets")
    await read_all(database, "orders")
    assert await firing(client) == {}
    await publish(database)
    await read_all(database, "tickets")
    await run(
        app,
        "alter table outbox disable trigger user",
        "update outbox set occurred_at = occurred_at - interval '2 minutes'",
    )
    lag = (await firing(client))["outbox_lag"]
    assert lag["subject"] == "orders"
    assert lag["value"] > 115
    assert (lag["threshold"], lag["unit"]) == (30, "seconds")
    await read_all(database, "orders")
    assert await firing(client) == {}


async def test_a_log_without_readers_is_reported(client: httpx2.AsyncClient, app: FastAPI) -> None:
    await publish(app.state.worker_database)
    await run(
        app,
        "alter table outbox disable trigger user",
        "update outbox set occurred_at = occurred_at - interval '1 minute'",
    )
    assert (await firing(client))["outbox_lag"]["subject"] == "nobody"


async def test_a_dead_letter_fires_until_it_is_removed(client: httpx2.AsyncClient, app: FastAPI) -> None:
    await run(
        app,
        """insert into dead_letters (consumer, topic, key, message_id, message, error, attempts)
           values ('tickets', 'order.paid', 'k', gen_random_uuid(), '{}', 'KeyError', 8)""",
    )
    response = await client.get("/health/alerts")
    assert refusal(response, 503)["code"] == "alert_firing"
    assert (await firing(client))["dead_letters"]["value"] == 1
    await run(app, "delete from dead_letters")
    assert await firing(client) == {}


async def test_a_transaction_that_delays_all_readers_is_named(
    client: httpx2.AsyncClient, app: FastAPI, settings: Settings
) -> None:
    """Read with the role of requests, which sees that other transactions exist and nothing more."""
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("set local application_name = 'a report of last year'"))
        await session.execute(text("select pg_current_xact_id()"))
        assert "outbox_pinned" not in await firing(client)
        # A transaction's start time cannot be changed, so the threshold is lowered here.
        rule = next(one for one in log_alerts(settings) if one.name == "outbox_pinned")
        (pinned,) = await read_alerts([replace(rule, threshold=0.0)], dependencies(app))
        assert pinned.firing
        assert pinned.subject is not None
        assert pinned.subject.startswith("a report of last year (process ")
    assert "outbox_pinned" not in await firing(client)


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("update outbox_cursor set window_from = '9999999999' where reader = 'orders'", "reader orders"),
        ("update outbox_cursor set window_to = '9999999999', last_id = 1 where reader = 'orders'", "reader orders"),
        ("insert into log_horizons (xid) values ('9999999999')", "horizon"),
        (
            """insert into outbox (xid, message_id, topic, key, schema_version, payload, correlation_id, traceparent,
                                   actor)
               values ('9999999999', gen_random_uuid(), 'bell.rung', 'k', 1, '{}', '', '', '')""",
            "message",
        ),
        ("update log_cluster set cluster = '1/00000001'", "cluster"),
    ],
    ids=["cursor", "window", "horizon", "message", "cluster"],
)
async def test_what_is_ahead_of_the_log_is_reported_until_the_log_is_adopted(
    client: httpx2.AsyncClient, app: FastAPI, database_url: str, statement: str, subject: str
) -> None:
    """Its transaction counter went backwards: no reader would see the next messages."""
    database = app.state.worker_database
    await read_all(database, "orders")
    await run(app, statement)
    assert (await firing(client))["outbox_ahead"]["subject"] == subject
    assert await asyncio.to_thread(log_cluster.adopt_as_owner, database_url)
    await publish(database)
    await read_all(database, "orders")
    assert await firing(client) == {}


async def test_a_day_without_a_partition_is_reported(client: httpx2.AsyncClient, app: FastAPI) -> None:
    tomorrow = "to_char((now() at time zone 'UTC')::date + 1, 'YYYYMMDD')"
    await run(app, f"do $$ begin execute 'drop table outbox_' || {tomorrow}; end $$")
    missing = (await firing(client))["outbox_partitions"]
    assert (missing["value"], missing["subject"][:9]) == (1, "outbox_20")
    await run(app, "select make_outbox_partitions(1)")
    assert await firing(client) == {}
    await run(app, STRAY)
    assert (await firing(client))["outbox_partitions"]["subject"] == "outbox_default"
    await run(app, "select make_outbox_partitions(1)")
    assert "outbox_partitions" not in await firing(client)


async def test_a_transaction_in_another_database_of_the_cluster_is_named(
    client: httpx2.AsyncClient, app: FastAPI, settings: Settings, postgres: EmbeddedPostgres
) -> None:
    """A snapshot covers the whole cluster, so it delays all readers as well."""
    rule = next(one for one in log_alerts(settings) if one.name == "outbox_pinned")
    address = postgres.url("postgres").replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(address, application_name="a report") as other:
        await other.execute("select pg_current_xact_id()")
        (pinned,) = await read_alerts([replace(rule, threshold=0.0)], dependencies(app))
    assert pinned.subject is not None
    assert pinned.subject.startswith("a report in database postgres (process ")


async def test_a_stuck_kafka_partition_is_reported(client: httpx2.AsyncClient, app: FastAPI) -> None:
    use_broker(app, "127.0.0.1:1")
    await run(app, "insert into kafka_lag values ('tickets', 'order.paid', 3, 17, 2, now() - interval '59 seconds')")
    assert await firing(client) == {}
    await run(app, "update kafka_lag set since = now() - interval '2 minutes'")
    assert (await firing(client))["kafka_partition_stuck"]["subject"] == "tickets order.paid/3"
    await run(app, "delete from kafka_lag")
    assert await firing(client) == {}


async def test_lapsed_holds_that_are_not_swept_are_reported(
    client: httpx2.AsyncClient, app: FastAPI, world: World
) -> None:
    show = await world.show(rows=1, seats=1)
    await world.hold(await world.person(), show, "Stalls-A-1")
    assert "holds_not_swept" not in await firing(client)
    await run(app, "update reservations set expires_at = now() - interval '11 seconds'")
    assert (await firing(client))["holds_not_swept"]["value"] > 10
    async with app.state.worker_database.transaction() as session:
        assert await reservations.expire_due(session) == 1
    assert "holds_not_swept" not in await firing(client)


async def test_payment_webhooks_without_a_payment_are_reported(client: httpx2.AsyncClient, app: FastAPI) -> None:
    await run(
        app,
        """insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body,
                                       received_at)
           values ('mock', 'evt', 'payment.succeeded', 'ref', 1, 'EUR', '{}', now() - interval '6 minutes')""",
    )
    assert "webhooks_waiting" in await firing(client)
    await run(app, "update payment_events set processed_at = now(), outcome = 'mismatch'")
    assert set(await firing(client)) == {"payments_mismatched"}
    await run(app, "update payment_events set outcome = 'settled by hand'")
    assert await firing(client) == {}


async def test_webhooks_that_the_worker_does_not_deliver_are_reported(
    client: httpx2.AsyncClient, app: FastAPI, world: World
) -> None:
    tenant = await world.tenant()
    path = tenant.path("/webhooks")
    made = data(await tenant.admin.post(path, {"url": "https://hooks.example.com/", "types": ["order.*"]}), 201)
    await read_everything(app)
    assert await firing(client) == {}
    data(await tenant.admin.post(f"{path}/{made['id']}/test"), 201)
    await run(app, "update webhook_deliveries set due_at = now() - interval '2 minutes'")
    late = (await firing(client))["webhooks_not_delivered"]
    assert late["value"] > 115
    await run(app, "update webhook_endpoints set tried_at = now()")
    assert await firing(client) == {}, "it has had its turn: what keeps it is a slow receiver"
    await run(
        app, "update webhook_endpoints set tried_at = null", "update webhook_deliveries set due_at = now() + '1h'"
    )
    assert await firing(client) == {}, "it failed, and is tried again later"
    data(await tenant.admin.patch(tenant.path(), {"name": "News"}))
    await run(
        app,
        "alter table outbox disable trigger user",
        "update outbox set occurred_at = occurred_at - interval '2 minutes'",
    )
    await read_all(app.state.worker_database, "orders")
    assert set(await firing(client)) == {"webhooks_not_delivered"}, "nobody reads the log for it"
    await run(app, "update webhook_endpoints set disabled_at = now()")
    assert await firing(client) == {}


async def read_everything(app: FastAPI) -> None:
    """Let every reader of the log read to its end."""
    database = app.state.worker_database
    await read_all(database, "orders")
    while await webhooks.fan_out(database):
        continue


async def test_a_requested_refund_that_is_not_sent_is_reported(
    client: httpx2.AsyncClient, app: FastAPI, world: World
) -> None:
    show, buyer = await world.show(rows=1, seats=1), await world.person()
    order = await world.buy(buyer, show, "Stalls-A-1")
    await run(
        app,
        """insert into refunds (id, organization_id, payment_id, order_id, status, amount_minor, currency, reason,
                                created_at)
           select gen_random_uuid(), organization_id, id, order_id, 'requested', 1, currency, 'why',
                  now() - interval '6 minutes' from payments""",
        "update orders set paid_at = paid_at - interval '2 minutes'",
    )
    found = await firing(client)
    assert "refunds_not_sent" in found
    assert found["paid_without_tickets"]["subject"] == order["reference"]
    await drain(app)
    await run(app, "update refunds set status = 'succeeded', provider_ref = 'r'")
    assert {"refunds_not_sent", "paid_without_tickets"}.isdisjoint(await firing(client))


async def test_an_unreadable_alert_fires_and_leaves_the_others_readable(
    client: httpx2.AsyncClient, app: FastAPI
) -> None:
    broken, odd = "select null, 1/0", "select null, 'many'"
    alerts = (Alert("broken", 0, "count", broken), Alert("odd", 0, "count", odd), *ALERTS)
    app.state.provide(HealthMonitor(dependencies(app), alerts))
    found = await firing(client)
    assert {name: alert["value"] for name, alert in found.items()} == {"broken": None, "odd": None}
    assert "zero" not in (await client.get("/health/alerts")).text


async def test_without_postgres_every_alert_fires(client: httpx2.AsyncClient, app: FastAPI) -> None:
    settings = app.state.get(Settings).model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/x"})
    database = Database(settings)
    app.state.provide(HealthMonitor(Dependencies.of(settings, database, app.state.get(Redis)), ALERTS))
    assert len(await firing(client)) == 5 + len(ALERTS)
    await database.close()


#: The test of each alert.
FIRED_BY = {
    "outbox_ahead": test_what_is_ahead_of_the_log_is_reported_until_the_log_is_adopted,
    "outbox_lag": test_a_lagging_reader_is_named,
    "outbox_pinned": test_a_transaction_that_delays_all_readers_is_named,
    "outbox_partitions": test_a_day_without_a_partition_is_reported,
    "dead_letters": test_a_dead_letter_fires_until_it_is_removed,
    "kafka_partition_stuck": test_a_stuck_kafka_partition_is_reported,
    "holds_not_swept": test_lapsed_holds_that_are_not_swept_are_reported,
    "webhooks_not_delivered": test_webhooks_that_the_worker_does_not_deliver_are_reported,
    "webhooks_waiting": test_payment_webhooks_without_a_payment_are_reported,
    "payments_mismatched": test_payment_webhooks_without_a_payment_are_reported,
    "refunds_not_sent": test_a_requested_refund_that_is_not_sent_is_reported,
    "paid_without_tickets": test_a_requested_refund_that_is_not_sent_is_reported,
}
