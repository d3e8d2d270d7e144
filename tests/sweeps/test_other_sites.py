"""What a browser can be made to send from another site changes nothing: no form carries a log-in, and none is JSON."""

import httpx2
from fastapi import FastAPI

from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (they register the examples)
from tests.sweeps.calls.call import examples_of, make, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage
from tests.sweeps.openapi.routes import WEBHOOK, Route, each_route

#: What is sent across sites without asking us first (https://fetch.spec.whatwg.org, "CORS-safelisted"); the last is a
#: body without a type.
WITHOUT_PREFLIGHT = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None)


@each_route(lambda route: route.method != "GET" and route.name != WEBHOOK)
async def test_what_another_site_can_send_changes_nothing(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call = await make(next(examples_of(route.name)), stage)
    # 400: where money or seats move, a key is asked for first, and a form can't send that header either.
    expected = {400, 401} if route.operation.get("security") else {415}
    before = await read_state(app)
    for media in WITHOUT_PREFLIGHT:
        headers = {"Authorization": None, "Idempotency-Key": None, "Content-Type": media, "Origin": "https://evil.test"}
        answer = await send(client, call, headers=headers)
        assert answer.status_code in expected, (media, answer.text[:300])
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert changed_tables(before, await read_state(app)) == []
