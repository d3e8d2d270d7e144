"""One small scene for each code of the contract's table of statuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import end_hold
from tests.support.world import API, PASSWORD, data, refusal
from tests.sweeps.full_tenant import Stage
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.security import crypto
from ticketing.infra.security.keyring import Key
from ticketing.modules.reservations.hold.batcher import Holds


async def test_400_a_key_is_missing(client: httpx2.AsyncClient, stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {stage.buyer.token}"}
    body = {"event_id": stage.show.id, "seats": [stage.seats[-1]]}
    answer = await client.post(f"{API}/reservations", json=body, headers=headers)
    assert refusal(answer, 400)["code"] == "idempotency_key_missing"


async def test_400_no_json_is_malformed(stage: Stage) -> None:
    answer = await stage.buyer.post("/orgs", content=b"{", headers={"Content-Type": "application/json"})
    assert refusal(answer, 400)["code"] == "malformed"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic YTpi", "ApiKey tk_x", "Bearer a.b.c"])
async def test_401_nobody_we_know(client: httpx2.AsyncClient, stage: Stage, authorization: str) -> None:
    for path in ("/me", stage.tenant.path()):
        answer = await client.get(f"{API}{path}", headers={"Authorization": authorization})
        assert refusal(answer, 401)["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_401_a_log_in_that_has_run_out(client: httpx2.AsyncClient, stage: Stage, settings: Settings) -> None:
    [secret], past = settings.jwt_secrets, datetime.now(UTC) - timedelta(minutes=1)
    claims = jwt.decode(stage.buyer.token, secret, algorithms=["HS256"], audience="ticketing-api")
    token = jwt.encode({**claims, "exp": past}, secret, "HS256", {"kid": Key(secret).id})
    answer = await client.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})
    assert refusal(answer, 401)["code"] == "token_expired"


async def test_403_a_role_that_is_too_low(stage: Stage) -> None:
    for person, path in ((stage.staff, "/audit-log"), (stage.scanner, "/orders"), (stage.scanner, "/members")):
        assert refusal(await person.get(stage.tenant.path(path)), 403)["code"] == "forbidden"


async def test_403_a_buyer_does_not_refund_themselves(stage: Stage) -> None:
    answer = await stage.buyer.post(f"/orders/{stage.order['id']}/refunds", {})
    assert refusal(answer, 403)["code"] == "forbidden"


async def test_404_the_unknown(stage: Stage) -> None:
    for path in (f"/events/{uuid4()}", f"/orders/{uuid4()}", f"/orgs/{uuid4()}", "/nothing"):
        assert refusal(await stage.admin.get(path), 404)["code"] == "not_found"


async def test_409_a_seat_is_taken_and_named(stage: Stage) -> None:
    taken, free = await stage.hold(), stage.seats[-1]
    label = taken["items"][0]["seat"]
    error = refusal(await _hold(stage, seats=[free, label]), 409)
    assert (error["code"], error["field"], error["seats"]) == ("seat_unavailable", "seats", [label])
    data(await _hold(stage, seats=[free]), 201)
    stage.seats.pop()


async def test_409_a_seat_is_being_decided_about(app: FastAPI, stage: Stage) -> None:
    label = stage.seats.pop()
    lock = text("select * from event_seats where event_id = :event and label = :label for update")
    async with app.state.worker_database.transaction() as session:
        await session.execute(lock, {"event": stage.show.id, "label": label})
        answer = await _hold(stage, seats=[label])
    error = refusal(answer, 409)
    assert (error["code"], error["seats"]) == ("seat_contended", [label])
    assert answer.headers["Retry-After"] == "1"


async def test_409_a_hold_that_has_run_out(app: FastAPI, stage: Stage) -> None:
    reservation, order = await stage.hold(), await stage.pend()
    await end_hold(app, reservation["id"], -1)
    await end_hold(app, order["reservation_id"], -1)
    bought = {"reservation_id": reservation["id"], "buyer": {"email": stage.buyer.email, "name": "Ada"}}
    for path, body in (
        (f"/reservations/{reservation['id']}/extend", None),
        ("/orders", bought),
        ("/payments", {"order_id": order["id"], "provider": "mock"}),
    ):
        assert refusal(await stage.buyer.post(path, body), 409)["code"] == "reservation_expired", path


async def test_409_the_last_place_is_gone(stage: Stage) -> None:
    show = await stage.world.show(stage.tenant, seats=0, capacity=1)
    items = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    data(await _hold(stage, event_id=show.id, items=items), 201)
    assert refusal(await _hold(stage, event_id=show.id, items=items), 409)["code"] == "sold_out"


async def test_409_paid_is_paid(stage: Stage) -> None:
    answer = await stage.buyer.post("/payments", {"order_id": stage.order["id"], "provider": "mock"})
    assert refusal(answer, 409)["code"] == "already_paid"


async def test_409_the_first_is_still_running(app: FastAPI, stage: Stage) -> None:
    key, slug = uuid4().hex, f"busy-{uuid4().hex[:12]}"
    insert = text("insert into organizations (id, name, slug) values (gen_random_uuid(), 'Busy', :slug)")
    async with app.state.worker_database.transaction() as session:
        # An uncommitted row with that slug holds the first request up in the middle of its work.
        await session.execute(insert, {"slug": slug})
        first = asyncio.create_task(stage.buyer.post("/orgs", {"name": "B", "slug": slug}, key=key))
        await _until_it_waits(app)
        second = await stage.buyer.post("/orgs", {"name": "B", "slug": slug}, key=key)
        await session.rollback()
    assert refusal(second, 409)["code"] == "idempotency_in_flight"
    data(await first, 201)


async def _until_it_waits(app: FastAPI) -> None:
    for _ in range(500):
        async with app.state.worker_database.transaction() as session:
            if await session.scalar(text("select exists (select from pg_locks where not granted)")):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the first request has not begun")


async def test_413_a_body_that_is_too_large(client: httpx2.AsyncClient, stage: Stage) -> None:
    answer = await client.post(f"{API}/payments/webhooks/mock", content=b" " * 70_000)
    assert refusal(answer, 413)["code"] == "too_large"
    headers = {"Content-Length": str(10**9), "Content-Type": "application/json"}
    assert refusal(await stage.buyer.post("/orgs", content=b"{}", headers=headers), 413)["code"] == "too_large"


async def test_415_no_json(stage: Stage) -> None:
    answer = await stage.buyer.post("/orgs", content=b"name=x", headers={"Content-Type": "text/plain"})
    assert refusal(answer, 415)["code"] == "unsupported_media_type"


async def test_422_one_entry_per_field(client: httpx2.AsyncClient) -> None:
    answer = await client.post(f"{API}/auth/register", json={"email": "x", "password": "short"})
    refusal(answer, 422)
    assert [(e["code"], e["field"]) for e in answer.json()["errors"]] == [("invalid", "email"), ("invalid", "password")]


async def test_422_a_key_is_used_again_for_something_else(stage: Stage) -> None:
    key = uuid4().hex
    data(await _hold(stage, key=key, seats=[stage.seats.pop()]), 201)
    answer = await _hold(stage, key=key, seats=[stage.seats.pop()])
    assert refusal(answer, 422)["code"] == "idempotency_mismatch"


async def test_422_an_event_that_is_not_on_sale(stage: Stage) -> None:
    cancelled = await stage.world.show(stage.tenant, rows=1, seats=1)
    data(await stage.admin.post(cancelled.path("/cancel")))
    early = await stage.world.show(stage.tenant, rows=1, seats=1, sales_start_at="2029-01-01T00:00:00Z")
    late = await stage.world.show(stage.tenant, rows=1, seats=1, sales_end_at="2021-01-01T00:00:00Z")
    over = await stage.world.show(stage.tenant, rows=1, seats=1, starts_at="2021-01-01T00:00:00Z")
    for show in (cancelled, early, late, over):
        error = refusal(await _hold(stage, event_id=show.id, seats=["Stalls-A-1"]), 422)
        assert error["code"] == "event_not_on_sale"


async def test_422_more_than_one_order_may_have(stage: Stage) -> None:
    show = await stage.world.show(stage.tenant, rows=1, seats=4, capacity=9, max_per_order=3)
    places = {"ticket_type_id": show.area_type_id, "quantity": 4}
    for wanted, field in (
        ({"seats": show.labels}, "seats"),
        ({"best_available": {"quantity": 4}}, "best_available.quantity"),
        ({"items": [places]}, "items"),
    ):
        error = refusal(await _hold(stage, event_id=show.id, **wanted), 422)
        assert (error["code"], error["field"]) == ("limit_exceeded", field)


async def test_422_a_seat_that_does_not_exist(stage: Stage) -> None:
    error = refusal(await _hold(stage, seats=[stage.seats[-1], "Stalls-Z-9"]), 422)
    assert (error["code"], error["field"], error["seats"]) == ("seat_unknown", "seats", ["Stalls-Z-9"])


async def test_503_without_a_database_we_ask_for_patience(app: FastAPI, stage: Stage, settings: Settings) -> None:
    async with _cut_off(app, settings):
        answers = [await stage.buyer.get("/me"), await _hold(stage, seats=[stage.seats[-1]])]
    for answer in answers:
        assert refusal(answer, 503)["code"] == "dependency_down"
        assert int(answer.headers["Retry-After"]) >= 1
    data(await _hold(stage, seats=[stage.seats.pop()]), 201)


async def test_503_too_many_log_ins_at_once(client: httpx2.AsyncClient, stage: Stage) -> None:
    body = {"email": stage.buyer.email, "password": PASSWORD}
    places = crypto._hashing_slots
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    answer = await client.post(f"{API}/auth/login", json=body)
    places.release(taken)
    assert refusal(answer, 503)["code"] == "overloaded"
    assert int(answer.headers["Retry-After"]) >= 1
    data(await client.post(f"{API}/auth/login", json=body))


@asynccontextmanager
async def _cut_off(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    nowhere = Database(settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:9/none"}))
    here, holds = app.state.get(Database), app.state.get(Holds)
    app.state.provide(nowhere, Holds(nowhere, 1))
    yield
    app.state.provide(here, holds)
    await nowhere.close()


async def _hold(stage: Stage, *, key: str | None = None, **wanted: Any) -> httpx2.Response:
    return await stage.buyer.post("/reservations", {"event_id": stage.show.id, **wanted}, key=key)
