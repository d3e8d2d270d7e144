"""Every alert can fire, and says why."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.world import World, data, refusal
from ticketing.alerts import ALERTS
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.outbox import LogReader
from ticketing.modules.events import SeatsUnblocked
from ticketing.modules.health import Alert, checkup


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "REMEMBER_SECONDS", 0)


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


async def read_all(database: Database, reader: str) -> None:
    log = LogReader(database, reader, "test")
    assert await log.acquire()
    while page := await log.read():
        await log.advance(page[-1].log_id)


async def publish(database: Database) -> None:
    async with database.transaction() as session:
        outbox.publish(session, SeatsUnblocked(event_id=outbox.new_id()))


async def test_nothing_fires_when_nothing_is_wrong(client: httpx2.AsyncClient) -> None:
    alerts = data(await client.get("/health/alerts"))["alerts"]
    assert {alert["name"] for alert in alerts} == {"outbox_lag", "dead_letters", *(alert.name for alert in ALERTS)}
    assert not any(alert["firing"] for alert in alerts)


async def test_a_reader_that_lags_is_named(client: httpx2.AsyncClient, app: FastAPI) -> None:
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


async def test_a_log_that_nobody_reads_is_told(client: httpx2.AsyncClient, app: FastAPI) -> None:
    await publish(app.state.worker_database)
    await run(
        app,
        "alter table outbox disable trigger user",
        "update outbox set occurred_at = occurred_at - interval '1 minute'",
    )
    assert (await firing(client))["outbox_lag"]["subject"] == "nobody"


async def test_dead_letters_wait_for_somebody(client: httpx2.AsyncClient, app: FastAPI) -> None:
    await run(
        app,
        """insert into dead_letters (consumer, topic, key, message_id, message, error, attempts)
           values ('tickets', 'order.paid', 'k', gen_random_uuid(), '{}', 'KeyError', 8)""",
    )
    response = await client.get("/health/alerts")
    assert refusal(response, 503)["code"] == "alert_firing"
    assert (await firing(client))["dead_letters"]["value"] == 1


async def test_holds_that_nobody_sweeps_are_told(client: httpx2.AsyncClient, app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=1)
    await world.hold(await world.person(), show, "Stalls-A-1")
    assert "holds_not_swept" not in await firing(client)
    await run(app, "update reservations set expires_at = now() - interval '11 seconds'")
    assert (await firing(client))["holds_not_swept"]["value"] > 10


async def test_webhooks_about_nothing_that_we_know_are_told(client: httpx2.AsyncClient, app: FastAPI) -> None:
    await run(
        app,
        """insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body,
                                       received_at)
           values ('mock', 'evt', 'payment.succeeded', 'ref', 1, 'EUR', '{}', now() - interval '6 minutes')""",
    )
    assert "webhooks_waiting" in await firing(client)
    await run(app, "update payment_events set processed_at = now(), outcome = 'mismatch'")
    assert set(await firing(client)) == {"payments_mismatched"}


async def test_a_refund_that_was_promised_and_not_sent_is_told(
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


async def test_an_alert_that_cannot_be_read_fires_and_takes_no_other_with_it(
    client: httpx2.AsyncClient, app: FastAPI
) -> None:
    broken, odd = text("select null, 1/0"), text("select null, 'many'")
    app.state.alerts = (Alert("broken", 0, "count", broken), Alert("odd", 0, "count", odd), *ALERTS)
    found = await firing(client)
    assert {name: alert["value"] for name, alert in found.items()} == {"broken": None, "odd": None}
    assert "zero" not in (await client.get("/health/alerts")).text


async def test_without_postgres_every_alert_fires(client: httpx2.AsyncClient, app: FastAPI) -> None:
    settings = app.state.settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/x"})
    database = Database(settings)
    app.state.database, kept = database, app.state.database
    assert len(await firing(client)) == 2 + len(ALERTS)
    await database.close()
    app.state.database = kept
