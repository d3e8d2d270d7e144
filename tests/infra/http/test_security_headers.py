"""Security headers of every response, and CORS."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from starlette.routing import Route as PlainRoute

from tests.support.world import API, World
from tests.sweeps.openapi.routes import STREAM, all_routes
from ticketing.infra.config import Settings
from ticketing.main import create_app

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT = {"frame-ancestors 'none'", "base-uri 'none'"}


def assert_safe(answer: httpx2.Response) -> None:
    where = f"{answer.request.method} {answer.request.url.path}"
    for name, value in ALWAYS.items():
        assert answer.headers.get_list(name) == [value], where
    [policy] = answer.headers.get_list("Content-Security-Policy")
    directives = {each.strip() for each in policy.split(";")}
    assert directives >= STRICT, where
    assert "unsafe" not in policy, where
    assert "*" not in policy, where
    assert directives & {"form-action 'self'", "form-action 'none'"}, where
    assert directives & {"default-src 'self'", "default-src 'none'"}, where
    [features] = answer.headers.get_list("Permissions-Policy")
    assert "microphone=()" in features, where
    assert ("camera=()" in features) == (answer.request.url.path != "/door"), where
    assert len(answer.headers.get_list("Cache-Control")) == 1, where
    assert len(answer.headers.get_list("X-Correlation-ID")) == 1, where


def _filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", str(uuid4()), path)


def _pages(app: FastAPI) -> list[str]:
    """Return the paths that the OpenAPI document does not list: pages and files."""
    return [_filled(route.path) for route in app.router.routes if isinstance(route, PlainRoute)]


async def test_every_route_sends_every_header_to_anonymous_callers(client: httpx2.AsyncClient) -> None:
    for route in all_routes().values():
        if route.name != STREAM:
            answer = await client.request(route.method, _filled(route.path))
            assert_safe(answer)


async def test_every_page_and_file_has_every_header(app: FastAPI, client: httpx2.AsyncClient) -> None:
    paths = [
        *_pages(app),
        "/docs",
        "/static-docs/start.js",
        "/nothing/here",
        "/mock-pay/unknown",
        "/static/latest/css/base.css",
    ]
    assert len(paths) > 12
    for path in paths:
        assert_safe(await client.get(path))


async def test_no_page_has_inline_script_or_style(app: FastAPI, client: httpx2.AsyncClient) -> None:
    for path in [*_pages(app), "/docs", "/mock-pay/unknown"]:
        page = await client.get(path)
        if "text/html" in page.headers.get("Content-Type", ""):
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page.text), path


async def test_streams_and_internal_errors_have_every_header(app: FastAPI, client: httpx2.AsyncClient) -> None:
    async def break_down() -> None:
        raise RuntimeError("a bug")

    app.add_api_route("/api/v1/broken", break_down)
    assert_safe(await client.get(f"{API}/broken"))
    assert_safe(await client.get(f"{API}/events/{uuid4()}/stream"))


async def test_personal_responses_are_never_cached(client: httpx2.AsyncClient, world: World) -> None:
    person = await world.person()
    for path in ("/me", "/me/reservations", "/me/orders", "/me/tickets"):
        assert (await person.get(path)).headers["Cache-Control"] == "no-store"


async def test_the_seat_map_may_be_cached(client: httpx2.AsyncClient, world: World) -> None:
    show = await world.show()
    seatmap = await client.get(f"{API}/events/{show.id}/seatmap")
    assert "immutable" in seatmap.headers["Cache-Control"]
    assert_safe(seatmap)


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """An app on its own HTTPS address whose responses one other origin may read."""
    update = {"public_url": "https://tickets.example.com", "cors_origins": "https://shop.example.com"}
    app = create_app(settings.model_copy(update=update))
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://test") as one:
        yield one


async def test_over_https_browsers_are_told_to_stay_on_https(
    elsewhere: httpx2.AsyncClient, client: httpx2.AsyncClient
) -> None:
    for path in ("/", f"{API}/events", "/docs"):
        assert "max-age=31536000" in (await elsewhere.get(path)).headers["Strict-Transport-Security"]
        assert "Strict-Transport-Security" not in (await client.get(path)).headers


async def _preflight(client: httpx2.AsyncClient, origin: str, **headers: Any) -> httpx2.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return await client.options(f"{API}/reservations", headers={**asked, **headers})


async def test_a_listed_origin_may_send_requests_and_read_responses(elsewhere: httpx2.AsyncClient) -> None:
    origin = "https://shop.example.com"
    preflight = await _preflight(elsewhere, origin)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert preflight.headers["X-Content-Type-Options"] == "nosniff"
    answer = await elsewhere.get(f"{API}/events", headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in answer.headers["Vary"]
    exposed = answer.headers["Access-Control-Expose-Headers"]
    for name in ("RateLimit-Remaining", "Retry-After", "X-Correlation-ID", "Idempotency-Replayed"):
        assert name in exposed


async def test_a_listed_origin_can_read_error_responses(elsewhere: httpx2.AsyncClient) -> None:
    answer = await elsewhere.get(f"{API}/me", headers={"Origin": "https://shop.example.com"})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example.com"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "https://shop.example.com.evil.test",
        "http://shop.example.com",
        "null",
        "https://SHOP.example.com",
    ],
)
async def test_an_unlisted_origin_is_refused(elsewhere: httpx2.AsyncClient, origin: str) -> None:
    assert (await _preflight(elsewhere, origin)).status_code == 400
    answer = await elsewhere.get(f"{API}/events", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_no_cookie_is_ever_accepted_or_set(elsewhere: httpx2.AsyncClient) -> None:
    answer = await elsewhere.get(f"{API}/events", headers={"Origin": "https://shop.example.com"})
    assert "Access-Control-Allow-Credentials" not in answer.headers
    body = {"email": f"{uuid4().hex}@example.com", "password": "correct horse battery"}
    registered = await elsewhere.post(f"{API}/auth/register", json=body)
    assert registered.status_code == 201
    assert "Set-Cookie" not in registered.headers
    token = registered.json()["data"]["access_token"]
    with_cookie = await elsewhere.get(
        f"{API}/me", headers={"Cookie": f"access_token={token}; Authorization=Bearer {token}"}
    )
    assert with_cookie.status_code == 401


async def test_without_a_list_no_other_origin_can_read_responses(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{API}/events", headers={"Origin": "https://shop.example.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await _preflight(client, "https://shop.example.com")).status_code == 405
