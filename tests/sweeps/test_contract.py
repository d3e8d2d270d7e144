"""The published contract, route by route: path, status, envelope, schema, correlation id, replay."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.support.world import refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import EXAMPLES, build_call, examples_of, send
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.contract import PUBLISHED
from tests.sweeps.openapi.response_schema import schema_errors
from tests.sweeps.openapi.routes import STREAM, WEBHOOK, Route, all_routes, each_route

#: Responses that are not JSON in an envelope.
UNWRAPPED = ("text/", "application/pdf", "image/svg+xml")
#: JSON that is a file for download.
FILES = {"GET /me/export"}
#: What was sent and stored at the time, as it was.
RECORDS = {"GET /orgs/{org_id}/audit-log"}
#: Routes that delete their caller: a retry gets 401.
ENDS_ITS_CALLER = {"POST /me/erase"}
#: Each has its own rule for a repeated request.
WITHOUT_KEYS = {WEBHOOK, "POST /auth/refresh"}
UNAUTHENTICATED = {f"GET {path}" for path in reads.UNAUTHENTICATED}
KEY_REQUIRED = {
    "POST /reservations",
    "POST /orders",
    "POST /payments",
    "POST /checkout",
    "POST /orders/{order_id}/refunds",
}


@pytest.mark.parametrize("route", PUBLISHED)
def test_every_published_route_is_in_the_document_with_its_status(route: str) -> None:
    assert PUBLISHED[route] in all_routes()[route].success_statuses


def test_every_route_of_the_document_has_an_example_and_every_example_a_route() -> None:
    assert {name.partition(" (")[0] for name in EXAMPLES} == set(all_routes())


@each_route(lambda route: route.name != STREAM)
async def test_a_valid_request_gets_the_documented_response(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        call = await build_call(build, tenant)
        response = await send(client, call, headers={"X-Correlation-ID": "sane:1.b-c_d"})
        assert response.status_code in route.success_statuses, f"{call.path}: {response.text[:500]}"
        assert response.status_code == PUBLISHED.get(route.name, response.status_code)
        assert response.headers["X-Correlation-ID"] == "sane:1.b-c_d"
        check_success(route, response)


def check_success(route: Route, response: httpx2.Response) -> None:
    schema = route.response_schema(response.status_code)
    is_file = response.headers["Content-Type"].startswith(UNWRAPPED) or route.name in FILES
    if is_file or route.name.startswith("GET /.well-known"):
        return
    assert response.headers["Content-Type"] == "application/json"
    assert schema is not None, "the document has no schema for this response"
    body = response.json()
    assert body.keys() - {"meta"} == {"success", "message", "data"}
    assert body["success"] is True
    assert body["message"]
    assert schema_errors(schema, body) == []
    if route.name not in RECORDS:
        assert list(objects_without(body, "currency", "digits")) == []
        assert list(objects_without(body, "starts_at", "timezone")) == []
    if route.is_list:
        assert body["meta"].keys() == {"next_cursor"}


def objects_without(part: Any, name: str, companion: str) -> Iterator[dict[str, Any]]:
    """The objects that have one field without the other, which a client would have to guess."""
    if isinstance(part, dict):
        if name in part and companion not in part:
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from objects_without(each, name, companion)


def check_refusal(response: httpx2.Response) -> None:
    body = response.json()
    assert body.keys() == {"success", "message", "errors", "meta"}
    assert body["success"] is False
    assert body["message"]
    assert body["errors"]
    assert body["meta"] == {"correlation_id": response.headers["X-Correlation-ID"]}
    for error in body["errors"]:
        assert re.fullmatch(r"[a-z_]+", error["code"])
        assert error["message"]
        assert isinstance(error.get("field", ""), str)


@each_route(lambda route: route.operation.get("security") and route.name not in UNAUTHENTICATED)
async def test_a_request_without_credentials_is_refused(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    response = await send(client, call, headers={"Authorization": None, "X-Correlation-ID": "mine"})
    assert refusal(response, 401)["code"] == "unauthenticated"
    assert response.headers["X-Correlation-ID"] == "mine"
    check_refusal(response)


@each_route(lambda route: route.name != STREAM)
async def test_an_invalid_correlation_id_is_replaced_also_in_errors(client: httpx2.AsyncClient, route: Route) -> None:
    path = re.sub(r"{\w+}", str(uuid4()), route.path)
    headers = {"X-Correlation-ID": "two words"}
    first, second = [await client.request(route.method, path, headers=headers) for _ in range(2)]
    ids = {response.headers["X-Correlation-ID"] for response in (first, second)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)
    if first.is_error and not first.url.path.startswith("/health"):  # a failed health check returns its data
        check_refusal(first)


@each_route(lambda route: route.method == "POST" and route.name not in {*WITHOUT_KEYS, *ENDS_ITS_CALLER})
async def test_the_same_idempotency_key_gets_the_same_response(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        call, key = await build_call(build, tenant), {"Idempotency-Key": uuid4().hex}
        first, again = await send(client, call, headers=key), await send(client, call, headers=key)
        assert first.status_code in route.success_statuses, first.text[:500]
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Content-Type"] == first.headers["Content-Type"]


async def test_a_webhook_is_deduplicated_by_its_id(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    call = await build_call(next(examples_of(WEBHOOK)), tenant)
    first, again = await send(client, call), await send(client, call)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    order = await tenant.buyer.get("/me/orders")
    assert order.json()["data"][0]["status"] == "paid"


@each_route(lambda route: route.method == "POST" and route.name not in {*WITHOUT_KEYS, *ENDS_ITS_CALLER} and route.body)
async def test_an_idempotency_key_is_not_for_another_body(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call, key = await build_call(next(examples_of(route.name)), tenant), {"Idempotency-Key": uuid4().hex}
    assert (await send(client, call, headers=key)).status_code in route.success_statuses
    other = (call.content or b"") + b" "
    assert refusal(await send(client, call, headers=key, content=other), 422)["code"] == "idempotency_mismatch"


@each_route(lambda route: route.name in KEY_REQUIRED)
async def test_routes_that_move_money_or_seats_require_an_idempotency_key(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    error = refusal(await send(client, call, headers={"Idempotency-Key": None}), 400)
    assert error["code"] == "idempotency_key_missing"
    assert (await send(client, call)).status_code in route.success_statuses
