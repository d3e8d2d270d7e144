"""The interactive API documentation works without internet access and is complete."""

import asyncio
import re
import threading

import httpx2
import pytest
from fastapi import FastAPI

from ticketing.infra.http.openapi import pages


async def test_the_docs_page_loads_everything_from_this_origin(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/static-docs/")
        file = await client.get(address)
        assert (file.status_code, len(file.content) > 100) == (200, True)
    assert "<script>" not in page.text
    assert (await client.get("/static-docs/redoc.standalone.js")).status_code == 404


async def test_the_document_contains_streams_and_health(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    stream = document["paths"]["/api/v1/events/{event_id}/stream"]["get"]["responses"]["200"]
    assert "text/event-stream" in stream["content"]
    for path in ("/health", "/health/live", "/health/ready", "/health/alerts", "/health/db", "/health/cache"):
        assert path in document["paths"]


async def test_the_document_is_generated_once_and_not_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    app, generated = FastAPI(openapi_url=None), list[threading.Thread]()
    pages.install(app)

    def openapi() -> dict[str, str]:
        generated.append(threading.current_thread())
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(app, "openapi", openapi)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        responses = await asyncio.gather(*(client.get("/openapi.json") for _ in range(10)))
    assert {response.text for response in responses} == {'{"openapi":"3.1.0"}'}
    assert len(generated) == 1
    assert generated[0] is not threading.main_thread()
