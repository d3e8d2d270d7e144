"""The promised fields of responses, by name: fields may be added, not removed or changed in meaning."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import Viewer, serve, until
from tests.support.world import API, data, refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import build_call, examples_of, send
from tests.sweeps.full_tenant import ROWS, SEATS, FullTenant
from tests.sweeps.openapi.response_schema import schema_errors
from tests.sweeps.openapi.routes import all_routes
from ticketing.modules.realtime.hub import Hub

EVENT = "/orgs/{org_id}/events/{event_id}"
RESERVATION = "id event_id status expires_at items total"
ORDER = "id reference status lines total"
PAYMENT = "id order_id provider provider_ref status amount checkout_url client_secret"
TICKET = "id order_id event_id seat ticket_type_id status code qr"
LOG_IN = "user access_token refresh_token token_type expires_in"
#: The fields of `data`, or of each of its rows.
PROMISED_FIELDS = {
    "POST /auth/register": LOG_IN,
    "POST /auth/login": LOG_IN,
    "POST /auth/refresh": LOG_IN,
    "GET /me": "id email display_name memberships",
    "POST /orgs": "id name slug",
    "POST /orgs/{org_id}/api-keys": "id name role key",
    "POST /orgs/{org_id}/venues": "id capacity plan_version",
    "POST /orgs/{org_id}/venues/import": "id capacity plan_version",
    "POST /orgs/{org_id}/venues/import/preview": "name capacity categories sections warnings layout",
    "POST /orgs/{org_id}/venues/{venue_id}/plans": "id capacity plan_version",
    "POST /orgs/{org_id}/venues/{venue_id}/plans/import": "id capacity plan_version warnings",
    "POST /orgs/{org_id}/events": "id title status starts_at currency hold_seconds max_per_order",
    "POST /orgs/{org_id}/webhooks": "id url types description enabled secret",
    "GET /orgs/{org_id}/webhooks": "id url types description enabled disabled_at disabled_because",
    "GET /orgs/{org_id}/webhooks/{webhook_id}/deliveries": "message_id type status attempts next_attempt_at",
    "GET /orgs/{org_id}/feed": "id type occurred_at schema_version data",
    f"POST {EVENT}/ticket-types": "id name price capacity categories max_per_order",
    "GET /events": "id title status starts_at currency venue",
    "GET /events/{event_id}": "id title status starts_at currency venue availability",
    "GET /events/{event_id}/seats": "number label section row category status price x y version",
    "GET /events/{event_id}/seatmap": "plan_version seats categories areas",
    "GET /events/{event_id}/availability": "version seats areas plan_version",
    "POST /reservations": RESERVATION,
    "GET /reservations/{reservation_id}": RESERVATION,
    "GET /me/reservations": RESERVATION,
    "POST /reservations/{reservation_id}/extend": RESERVATION,
    "DELETE /reservations/{reservation_id}": RESERVATION,
    "POST /orders": ORDER,
    "GET /orders/{order_id}": ORDER,
    "GET /orders/by-reference/{reference}": ORDER,
    "GET /me/orders": ORDER,
    "GET /orgs/{org_id}/orders": ORDER,
    "POST /payments": PAYMENT,
    "POST /checkout": "order payment",
    "GET /payments/{payment_id}": PAYMENT,
    "POST /orders/{order_id}/refunds": "id order_id amount status",
    "GET /me/tickets": TICKET,
    "GET /tickets/{ticket_id}": TICKET,
    f"POST {EVENT}/check-ins": "result ticket",
}


@pytest.mark.parametrize("name", PROMISED_FIELDS)
async def test_the_promised_fields_are_present(client: httpx2.AsyncClient, tenant: FullTenant, name: str) -> None:
    response = await send(client, await build_call(next(examples_of(name)), tenant))
    assert response.is_success, response.text[:500]
    response = response.json()["data"]
    for row in response if isinstance(response, list) else [response]:
        assert set(PROMISED_FIELDS[name].split()) <= row.keys()


async def test_a_login_returns_a_bearer_token_for_15_minutes(tenant: FullTenant) -> None:
    response = data(await tenant.world.client.post(f"{API}/auth/login", json=_credentials(tenant)))
    assert response["user"].keys() >= {"id", "email", "display_name"}
    assert response["token_type"].lower() == "bearer"
    claims = jwt.decode(response["access_token"], options={"verify_signature": False})
    assert claims.keys() >= {"iss", "aud", "exp", "typ"}
    assert response["expires_in"] == claims["exp"] - claims["iat"] == 900


def _credentials(tenant: FullTenant) -> dict[str, str]:
    return {"email": tenant.buyer.email, "password": "correct horse battery"}


async def test_a_member_reads_their_memberships(tenant: FullTenant) -> None:
    [membership] = data(await tenant.staff.get("/me"))["memberships"]
    assert (membership["organization_id"], membership["role"]) == (tenant.organization.id, "ORG_STAFF")


async def test_seats_are_numbered_from_zero_and_labelled_by_section_row_and_number(tenant: FullTenant) -> None:
    event = f"/events/{tenant.show.id}"
    seats: list[Any] = []
    page = {"next_cursor": ""}
    while page["next_cursor"] is not None:
        response = await tenant.buyer.get(f"{event}/seats", params={"limit": "100", "cursor": page["next_cursor"]})
        seats, page = [*seats, *data(response)], response.json()["meta"]
    statuses = data(await tenant.buyer.get(f"{event}/availability"))["seats"]
    plan = data(await tenant.buyer.get(f"{event}/seatmap"))["seats"]
    assert [seat["number"] for seat in seats] == [seat["number"] for seat in plan] == list(range(ROWS * SEATS))
    assert [seat["label"] for seat in seats] == [seat["label"] for seat in plan] == tenant.show.labels
    assert "".join(seat["status"][0] for seat in seats) == statuses
    assert set(statuses) <= set("ahsb")
    assert statuses[tenant.show.labels.index(tenant.reservation["items"][0]["seat"])] == "h"
    assert statuses[tenant.show.labels.index(tenant.ticket["seat"])] == "s"
    assert all(seat["price"] == {"amount": 4500, "currency": "EUR", "digits": 2} for seat in seats)
    assert not {"status", "version"} & plan[0].keys(), "the layout has no status"


async def test_areas_have_a_capacity_and_what_is_available(tenant: FullTenant) -> None:
    show = await tenant.world.show(tenant.organization, seats=0, capacity=10)
    await tenant.world.hold(tenant.buyer, show, items=[{"ticket_type_id": show.area_type_id, "quantity": 3}])
    response = data(await tenant.buyer.get(f"/events/{show.id}/availability"))
    assert response["seats"] == ""
    assert response["areas"] == {show.area_type_id: {"capacity": 10, "available": 7}}


async def test_immutable_responses_are_cacheable_and_all_have_an_etag(tenant: FullTenant) -> None:
    for rest, keeping in (("seatmap", "immutable"), ("availability", "no-cache")):
        first = await tenant.buyer.get(f"/events/{tenant.show.id}/{rest}")
        assert keeping in first.headers["Cache-Control"]
        again = await tenant.buyer.get(
            f"/events/{tenant.show.id}/{rest}", headers={"If-None-Match": first.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


async def test_the_responses_from_hold_to_payment_agree(tenant: FullTenant) -> None:
    hold = await tenant.hold()
    assert hold["status"] == "active"
    ends = datetime.fromisoformat(hold["expires_at"])
    assert ends - datetime.now(UTC) == pytest.approx(timedelta(seconds=3600), abs=timedelta(seconds=60))
    assert hold["items"][0].keys() >= {"seat", "ticket_type_id", "quantity", "price"}
    assert hold["total"] == {"amount": 4500, "currency": "EUR", "digits": 2}
    order = await tenant.world.order(tenant.buyer, hold)
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}", order["reference"])
    assert (order["status"], order["total"]) == ("pending", hold["total"])
    payment = await tenant.world.payment(tenant.buyer, order)
    assert (payment["status"], payment["amount"], payment["provider"]) == ("pending", order["total"], "mock")
    assert payment["checkout_url"].startswith("http")
    assert await tenant.world.payment(tenant.buyer, order) == payment, "one open payment per order"


async def test_one_ticket_is_admitted_once(tenant: FullTenant) -> None:
    _, _, [ticket] = await tenant.buy()
    door, body = tenant.show.path("/check-ins"), {"code": ticket["code"], "gate": "North"}
    assert data(await tenant.scanner.post(door, body))["result"] == "admitted"
    error = refusal(await tenant.scanner.post(door, {**body, "gate": "South"}), 409)
    assert (error["code"], error["gate"]) == ("already_checked_in", "North")
    assert datetime.fromisoformat(error["first_scanned_at"]).tzinfo


async def test_the_stream_starts_with_a_snapshot(app: FastAPI, tenant: FullTenant) -> None:
    await until(lambda: app.state.get(Hub).is_live)
    async with serve(app) as port:
        viewer = await Viewer.open(port, f"{API}/events/{tenant.show.id}/stream")
        first = await viewer.next()
        viewer.leave()
        lost = await Viewer.open(port, f"{API}/events/{uuid4()}/stream")
        lost.leave()
    assert (viewer.status, lost.status) == (200, 404)
    assert "content-type: text/event-stream" in viewer.headers
    assert "x-correlation-id: " in viewer.headers
    assert first.name == "snapshot"
    assert first.data.keys() == {"version", "seats", "areas", "plan_version"}
    assert re.fullmatch(rf"[^:]+:{first.data['version']}", first.id)
    now = data(await tenant.buyer.get(f"/events/{tenant.show.id}/availability"))
    assert first.data["seats"] == now["seats"]
    schema = all_routes()["GET /events/{event_id}/availability"].response_schema(200)
    assert schema
    assert schema_errors(schema, {"success": True, "message": "OK", "data": first.data}) == []


async def test_every_id_is_a_uuid_and_every_time_is_in_utc(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    for name in PROMISED_FIELDS:
        if name.startswith("GET"):
            response = await send(client, await build_call(next(examples_of(name)), tenant))
            assert list(_malformed(response.json()["data"])) == [], name


def _malformed(value: Any, name: str = "") -> Iterator[str]:
    """The fields whose value is not an id or a time in the documented format."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _malformed(item, key)
    elif isinstance(value, list):
        for item in value[:5]:
            yield from _malformed(item, name)
    elif value is not None and (name == "id" or name.endswith("_id")):
        if str(UUID(value)) != value:
            yield f"{name}: {value}"
    elif value is not None and name.endswith("_at") and not (value.endswith("Z") and datetime.fromisoformat(value)):
        yield f"{name}: {value}"
