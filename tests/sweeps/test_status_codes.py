"""One short scenario for each error code in the contract's table of status codes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select

from tests.modules.payments.purchases import end_hold
from tests.support.world import API, PASSWORD, data, refusal
from tests.sweeps.full_tenant import FullTenant
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, new_id, statements
from ticketing.infra.group_commit import GroupCommit
from ticketing.infra.security import crypto
from ticketing.infra.security.keyring import Key
from ticketing.infra.system.fair_threads import FairThreads
from ticketing.modules.events.models import EventSeat
from ticketing.modules.organizations.models import Organization
from ticketing.modules.reservations.hold.batcher import Holds
from ticketing.modules.reservations.hold.buyers_now import HoldRules


async def test_400_idempotency_key_missing(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.buyer.token}"}
    body = {"event_id": tenant.show.id, "seats": [tenant.seats[-1]]}
    response = await client.post(f"{API}/reservations", json=body, headers=headers)
    assert refusal(response, 400)["code"] == "idempotency_key_missing"


async def test_400_malformed_json(tenant: FullTenant) -> None:
    response = await tenant.buyer.post("/orgs", content=b"{", headers={"Content-Type": "application/json"})
    assert refusal(response, 400)["code"] == "malformed"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic YTpi", "ApiKey tk_x", "Bearer a.b.c"])
async def test_401_unknown_credentials(client: httpx2.AsyncClient, tenant: FullTenant, authorization: str) -> None:
    for path in ("/me", tenant.organization.path()):
        response = await client.get(f"{API}{path}", headers={"Authorization": authorization})
        assert refusal(response, 401)["code"] == "unauthenticated"
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_401_expired_token(client: httpx2.AsyncClient, tenant: FullTenant, settings: Settings) -> None:
    [secret], past = settings.jwt_secrets, datetime.now(UTC) - timedelta(minutes=1)
    claims = jwt.decode(tenant.buyer.token, secret, algorithms=["HS256"], audience="ticketing-api")
    token = jwt.encode({**claims, "exp": past}, secret, "HS256", {"kid": Key(secret).id})
    response = await client.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})
    assert refusal(response, 401)["code"] == "token_expired"


async def test_403_insufficient_role(tenant: FullTenant) -> None:
    for person, path in ((tenant.staff, "/audit-log"), (tenant.scanner, "/orders"), (tenant.scanner, "/members")):
        assert refusal(await person.get(tenant.organization.path(path)), 403)["code"] == "forbidden"


async def test_403_a_buyer_cannot_refund_their_order(tenant: FullTenant) -> None:
    response = await tenant.buyer.post(f"/orders/{tenant.order['id']}/refunds", {})
    assert refusal(response, 403)["code"] == "forbidden"


async def test_404_unknown_resource(tenant: FullTenant) -> None:
    for path in (f"/events/{uuid4()}", f"/orders/{uuid4()}", f"/orgs/{uuid4()}", "/nothing"):
        assert refusal(await tenant.admin.get(path), 404)["code"] == "not_found"


async def test_409_a_taken_seat_is_named(tenant: FullTenant) -> None:
    taken, free = await tenant.hold(), tenant.seats[-1]
    label = taken["items"][0]["seat"]
    error = refusal(await _hold(tenant, seats=[free, label]), 409)
    assert (error["code"], error["field"], error["seats"]) == ("seat_unavailable", "seats", [label])
    data(await _hold(tenant, seats=[free]), 201)
    tenant.seats.pop()


async def test_409_a_locked_seat_is_contended(app: FastAPI, tenant: FullTenant) -> None:
    label = tenant.seats.pop()
    its = EventSeat.event_id == UUID(tenant.show.id), EventSeat.label == label
    async with app.state.worker_database.transaction() as session:
        await session.execute(select(EventSeat).where(*its).with_for_update())
        response = await _hold(tenant, seats=[label])
    error = refusal(response, 409)
    assert (error["code"], error["seats"]) == ("seat_contended", [label])
    assert response.headers["Retry-After"] == "1"


async def test_409_lapsed_hold(app: FastAPI, tenant: FullTenant) -> None:
    reservation, order = await tenant.hold(), await tenant.create_order()
    await end_hold(app, reservation["id"], -1)
    await end_hold(app, order["reservation_id"], -1)
    order_body = {"reservation_id": reservation["id"], "buyer": {"email": tenant.buyer.email, "name": "Ada"}}
    for path, body in (
        (f"/reservations/{reservation['id']}/extend", None),
        ("/orders", order_body),
        ("/payments", {"order_id": order["id"], "provider": "mock"}),
    ):
        assert refusal(await tenant.buyer.post(path, body), 409)["code"] == "reservation_expired", path


async def test_409_sold_out(tenant: FullTenant) -> None:
    show = await tenant.world.show(tenant.organization, seats=0, capacity=1)
    items = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    data(await _hold(tenant, event_id=show.id, items=items), 201)
    assert refusal(await _hold(tenant, event_id=show.id, items=items), 409)["code"] == "sold_out"


async def test_409_already_paid(tenant: FullTenant) -> None:
    response = await tenant.buyer.post("/payments", {"order_id": tenant.order["id"], "provider": "mock"})
    assert refusal(response, 409)["code"] == "already_paid"


async def test_409_the_first_request_is_still_running(app: FastAPI, tenant: FullTenant) -> None:
    key, slug = uuid4().hex, f"busy-{uuid4().hex[:12]}"
    async with app.state.worker_database.transaction() as session:
        # An uncommitted row with that slug blocks the first request while it holds its idempotency key.
        await session.execute(insert(Organization).values(id=new_id(), name="Busy", slug=slug))
        first = asyncio.create_task(tenant.buyer.post("/orgs", {"name": "B", "slug": slug}, key=key))
        await _wait_for_lock(app)
        second = await tenant.buyer.post("/orgs", {"name": "B", "slug": slug}, key=key)
        await session.rollback()
    assert refusal(second, 409)["code"] == "idempotency_in_flight"
    data(await first, 201)


async def _wait_for_lock(app: FastAPI) -> None:
    for _ in range(500):
        async with app.state.worker_database.transaction() as session:
            waiting = await statements.execute(session, "select from pg_locks where not granted limit 1")
            if await waiting.fetchone() is not None:
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the first request is not blocked")


async def test_413_body_too_large(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    response = await client.post(f"{API}/payments/webhooks/mock", content=b" " * 70_000)
    assert refusal(response, 413)["code"] == "too_large"
    headers = {"Content-Length": str(10**9), "Content-Type": "application/json"}
    assert refusal(await tenant.buyer.post("/orgs", content=b"{}", headers=headers), 413)["code"] == "too_large"


async def test_415_unsupported_media_type(tenant: FullTenant) -> None:
    response = await tenant.buyer.post("/orgs", content=b"name=x", headers={"Content-Type": "text/plain"})
    assert refusal(response, 415)["code"] == "unsupported_media_type"


async def test_422_one_entry_per_field(client: httpx2.AsyncClient) -> None:
    response = await client.post(f"{API}/auth/register", json={"email": "x", "password": "short"})
    refusal(response, 422)
    assert [(e["code"], e["field"]) for e in response.json()["errors"]] == [
        ("invalid", "email"),
        ("invalid", "password"),
    ]


async def test_422_a_key_reused_for_another_request(tenant: FullTenant) -> None:
    key = uuid4().hex
    data(await _hold(tenant, key=key, seats=[tenant.seats.pop()]), 201)
    response = await _hold(tenant, key=key, seats=[tenant.seats.pop()])
    assert refusal(response, 422)["code"] == "idempotency_mismatch"


async def test_422_event_not_on_sale(tenant: FullTenant) -> None:
    cancelled = await tenant.world.show(tenant.organization, rows=1, seats=1)
    data(await tenant.admin.post(cancelled.path("/cancel")))
    early = await tenant.world.show(tenant.organization, rows=1, seats=1, sales_start_at="2029-01-01T00:00:00Z")
    late = await tenant.world.show(tenant.organization, rows=1, seats=1, sales_end_at="2021-01-01T00:00:00Z")
    over = await tenant.world.show(tenant.organization, rows=1, seats=1, starts_at="2021-01-01T00:00:00Z")
    for show in (cancelled, early, late, over):
        error = refusal(await _hold(tenant, event_id=show.id, seats=["Stalls-A-1"]), 422)
        assert error["code"] == "event_not_on_sale"


async def test_422_more_than_the_limit_per_order(tenant: FullTenant) -> None:
    show = await tenant.world.show(tenant.organization, rows=1, seats=4, capacity=9, max_per_order=3)
    places = {"ticket_type_id": show.area_type_id, "quantity": 4}
    for wanted, field in (
        ({"seats": show.labels}, "seats"),
        ({"best_available": {"quantity": 4}}, "best_available.quantity"),
        ({"items": [places]}, "items"),
    ):
        error = refusal(await _hold(tenant, event_id=show.id, **wanted), 422)
        assert (error["code"], error["field"]) == ("limit_exceeded", field)


async def test_422_unknown_seat(tenant: FullTenant) -> None:
    error = refusal(await _hold(tenant, seats=[tenant.seats[-1], "Stalls-Z-9"]), 422)
    assert (error["code"], error["field"], error["seats"]) == ("seat_unknown", "seats", ["Stalls-Z-9"])


async def test_503_the_database_is_down(app: FastAPI, tenant: FullTenant, settings: Settings) -> None:
    async with _without_database(app, settings):
        responses = [await tenant.buyer.get("/me"), await _hold(tenant, seats=[tenant.seats[-1]])]
    for response in responses:
        assert refusal(response, 503)["code"] == "dependency_down"
        assert int(response.headers["Retry-After"]) >= 1
    data(await _hold(tenant, seats=[tenant.seats.pop()]), 201)


async def test_503_too_many_concurrent_logins(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    body = {"email": tenant.buyer.email, "password": PASSWORD}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crypto, "_hashing", FairThreads("argon2", 1, waiting_max=0, waiting_of_source_max=0))
        response = await client.post(f"{API}/auth/login", json=body)
    assert refusal(response, 503)["code"] == "overloaded"
    assert int(response.headers["Retry-After"]) >= 1
    data(await client.post(f"{API}/auth/login", json=body))


@asynccontextmanager
async def _without_database(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    nowhere = Database(settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:9/none"}))
    here, holds = app.state.get(Database), app.state.get(Holds)
    app.state.provide(nowhere, Holds(nowhere, GroupCommit(nowhere), HoldRules(1)))
    yield
    app.state.provide(here, holds)
    await nowhere.close()


async def _hold(tenant: FullTenant, *, key: str | None = None, **wanted: Any) -> httpx2.Response:
    return await tenant.buyer.post("/reservations", {"event_id": tenant.show.id, **wanted}, key=key)
