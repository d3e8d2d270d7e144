"""Every error response has the same shape and reveals no internals."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.world import API, PASSWORD, refusal
from ticketing.infra.config import Settings
from ticketing.main import create_app

JSON = {"Content-Type": "application/json"}
ADA = {"email": "ada@example.com", "password": PASSWORD}


async def _send(client: httpx2.AsyncClient, content: bytes, headers: dict[str, str] = JSON) -> httpx2.Response:
    return await client.post(f"{API}/auth/register", content=content, headers=headers)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"email": }',
        b"\xff\xfe",
        b'{"email": "\xff"}',
        b"[" * 100_000,
        b'{"email": ' + b"9" * 5000 + b"}",
    ],
    ids=["cut off", "no value", "no text", "no UTF-8", "too deep", "an endless number"],
)
async def test_a_body_that_is_not_json_is_malformed(client: httpx2.AsyncClient, content: bytes) -> None:
    assert refusal(await _send(client, content), 400)["code"] == "malformed"


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml"]
)
async def test_another_media_type_is_unsupported(client: httpx2.AsyncClient, media_type: str) -> None:
    answer = await _send(client, json.dumps(ADA).encode(), {"Content-Type": media_type})
    assert refusal(answer, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("content", [b"null", b"[]", b'"text"', b"7", b""])
async def test_a_body_that_is_not_an_object_is_invalid(client: httpx2.AsyncClient, content: bytes) -> None:
    error = refusal(await _send(client, content), 422)
    assert (error["code"], error["field"]) == ("invalid", "body")


async def test_each_invalid_field_is_named_once_without_its_value(client: httpx2.AsyncClient) -> None:
    answer = await _send(client, b'{"email": "<script>", "password": "geheim", "role": "admin"}')
    refusal(answer, 422)
    assert [error["field"] for error in answer.json()["errors"]] == ["email", "password", "role"]
    for value in ("script", "geheim"):
        assert value not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/", "/api/v1/orgs/x/y/z"])
async def test_an_unknown_path_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    assert refusal(await client.get(path), 404)["code"] == "not_found"


async def test_a_wrong_method_is_refused_with_the_allowed_one(client: httpx2.AsyncClient) -> None:
    answer = await client.delete(f"{API}/auth/login")
    assert refusal(answer, 405)["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "POST"


async def test_a_body_with_an_excessive_content_length_is_refused_unread(client: httpx2.AsyncClient) -> None:
    answer = await _send(client, b"{}", {**JSON, "Content-Length": str(10**10)})
    assert refusal(answer, 413)["code"] == "too_large"


async def test_an_endless_body_is_refused_while_it_arrives(client: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 2**20

    answer = await client.post(f"{API}/auth/register", content=endless(), headers=JSON)
    assert refusal(answer, 413)["code"] == "too_large"


async def test_an_internal_error_reveals_no_details(app: FastAPI, client: httpx2.AsyncClient) -> None:
    async def break_down() -> None:
        raise RuntimeError("select secret from vault at /srv/app.py")

    app.add_api_route("/api/v1/broken", break_down)
    answer = await client.get("/api/v1/broken", headers={"X-Correlation-ID": "trace-me"})
    assert refusal(answer, 500)["code"] == "internal"
    assert answer.headers["X-Correlation-ID"] == "trace-me"
    for word in ("secret", "vault", "RuntimeError", "Traceback", ".py"):
        assert word not in answer.text


@pytest.fixture
async def cut_off(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """An app whose database is unreachable."""
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:9/nothing"
    app = create_app(settings.model_copy(update={"database_url": nowhere}))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def test_without_a_database_the_client_is_told_to_retry(cut_off: httpx2.AsyncClient) -> None:
    answer = await cut_off.post(f"{API}/auth/register", json=ADA, headers={"Idempotency-Key": "one"})
    assert refusal(answer, 503)["code"] == "dependency_down"
    assert answer.headers["Retry-After"] == "2"
    assert "9" not in answer.json()["message"]


@pytest.mark.parametrize("sane", ["trace-me", "a" * 128, "A.b:c_d-9"])
async def test_a_valid_correlation_id_is_kept(client: httpx2.AsyncClient, sane: str) -> None:
    answer = await client.get(f"{API}/me", headers={"X-Correlation-ID": sane})
    refusal(answer, 401)
    assert answer.headers["X-Correlation-ID"] == sane


@pytest.mark.parametrize("strange", [None, "", "a" * 129, "two words", "line\nbreak", "<b>", "é", "a\n"])
async def test_an_invalid_correlation_id_is_replaced(client: httpx2.AsyncClient, strange: str | None) -> None:
    headers: dict[str, Any] = {} if strange is None else {"X-Correlation-ID": strange.encode()}
    first, second = [await client.get(f"{API}/me", headers=headers) for _ in range(2)]
    ids = {refusal(answer, 401) and answer.headers["X-Correlation-ID"] for answer in (first, second)}
    assert len(ids) == 2
    assert all(len(each) == 32 for each in ids)


async def test_responses_are_neither_sniffed_nor_cached(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{API}/me")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
