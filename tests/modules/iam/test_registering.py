"""Registration, once per email address."""

import asyncio

import httpx2
import pytest
from sqlalchemy import text

from tests.support.world import API, PASSWORD, World, data, refusal
from ticketing.infra.db import Database


async def _register(client: httpx2.AsyncClient, **changes: object) -> httpx2.Response:
    body = {"email": "ada@example.com", "password": PASSWORD, "display_name": "Ada", **changes}
    return await client.post(f"{API}/auth/register", json=body)


async def test_registration_logs_the_user_in(client: httpx2.AsyncClient) -> None:
    answer = data(await _register(client), 201)
    assert answer["token_type"] == "bearer"
    assert answer["expires_in"] == 900
    assert answer["user"] == {"id": answer["user"]["id"], "email": "ada@example.com", "display_name": "Ada"}
    me = data(await client.get(f"{API}/me", headers={"Authorization": f"Bearer {answer['access_token']}"}))
    assert me == {**me, **answer["user"], "email_verified": False, "memberships": []}


async def test_email_addresses_are_case_insensitive(client: httpx2.AsyncClient) -> None:
    data(await _register(client), 201)
    error = refusal(await _register(client, email="ADA@Example.com"), 409)
    assert (error["code"], error["field"]) == ("email_taken", "email")


async def test_concurrent_registrations_of_one_address_create_one_account(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(_register(client) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_the_password_is_stored_as_argon2id_and_the_message_has_no_address(
    client: httpx2.AsyncClient, database: Database
) -> None:
    user_id = data(await _register(client), 201)["user"]["id"]
    async with database.transaction() as session:
        stored = await session.scalar(text("select password_hash from users"))
        facts = text("select topic, key, organization_id, payload from outbox where topic = 'user.registered'")
        fact = (await session.execute(facts)).one()
    assert stored.startswith("$argon2id$")
    assert fact[:3] == ("user.registered", user_id, None)
    assert "ada@" not in str(fact.payload)  # an id may contain "ada"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", None),
        ("email", 7),
        ("email", "not an address"),
        ("email", "a" * 250 + "@example.com"),
        ("email", "nul\x00@example.com"),
        ("password", None),
        ("password", 1234567890),
        ("password", "too short"),
        ("password", "x" * 129),
        ("display_name", ""),
        ("display_name", "x" * 201),
        ("display_name", "a\x00b"),
        ("display_name", ["Ada"]),
        ("is_admin", True),
    ],
)
async def test_an_invalid_registration_names_the_field_and_creates_nothing(
    client: httpx2.AsyncClient, database: Database, field: str, value: object
) -> None:
    error = refusal(await _register(client, **{field: value}), 422)
    assert (error["code"], error["field"]) == ("invalid", field)
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from users")) == 0


@pytest.mark.parametrize("password", ["x" * 10, "x" * 128, "pässwörd 🎫 ok", "  spaces count  "])
async def test_any_10_to_128_characters_make_a_password(client: httpx2.AsyncClient, password: str) -> None:
    data(await _register(client, password=password), 201)
    data(await client.post(f"{API}/auth/login", json={"email": "ada@example.com", "password": password}))


async def test_an_unpaired_surrogate_is_refused(client: httpx2.AsyncClient) -> None:
    raw = b'{"email": "ada@example.com", "password": "\\ud800 0123456789"}'
    answer = await client.post(f"{API}/auth/register", content=raw, headers={"Content-Type": "application/json"})
    assert refusal(answer, 422)["field"] == "password"


async def test_the_name_may_be_left_out(client: httpx2.AsyncClient, world: World) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    assert data(await client.post(f"{API}/auth/register", json=body), 201)["user"]["display_name"] is None
