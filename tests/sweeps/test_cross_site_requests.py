"""A cross-site request of a browser changes nothing: forms send no credentials and no JSON (CSRF)."""

import httpx2
from fastapi import FastAPI

from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import build_call, examples_of, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import WEBHOOK, Route, each_route

#: Media types that are sent across sites without a preflight (https://fetch.spec.whatwg.org, "CORS-safelisted"). None:
#: a body without a type.
WITHOUT_PREFLIGHT = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None)


@each_route(lambda route: route.method != "GET" and route.name != WEBHOOK)
async def test_a_cross_site_request_changes_nothing(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    # 400: routes that move money or seats require an idempotency key first, and a form can't send that header either.
    expected = {400, 401} if route.operation.get("security") else {415}
    before = await read_state(app)
    for media in WITHOUT_PREFLIGHT:
        headers = {"Authorization": None, "Idempotency-Key": None, "Content-Type": media, "Origin": "https://evil.test"}
        response = await send(client, call, headers=headers)
        assert response.status_code in expected, (media, response.text[:300])
        assert "Access-Control-Allow-Origin" not in response.headers
    assert changed_tables(before, await read_state(app)) == []
