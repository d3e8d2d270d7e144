"""Login, token refresh and logout."""

import httpx2
import pytest
from sqlalchemy import text

from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra import security
from ticketing.infra.db import Database


async def _log_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> httpx2.Response:
    return await client.post(f"{API}/auth/login", json={"email": email, "password": password})


async def _refresh(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/refresh", json={"refresh_token": token})


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


async def test_the_right_password_logs_in(client: httpx2.AsyncClient, ada: Person) -> None:
    answer = data(await _log_in(client, ada.email.upper()))
    assert answer["user"]["id"] == ada.id
    assert {"access_token", "refresh_token", "token_type", "expires_in"} <= answer.keys()


async def test_wrong_password_and_unknown_address_get_the_same_response(
    client: httpx2.AsyncClient, ada: Person
) -> None:
    wrong = refusal(await _log_in(client, ada.email, "not the password"), 401)
    unknown = refusal(await _log_in(client, "nobody@example.com"), 401)
    assert wrong == unknown
    assert wrong["code"] == "bad_credentials"


async def test_an_unknown_address_costs_a_hash_too(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str | None] = []
    original = security.verify_password

    async def counted(password: str, stored: str | None) -> bool:
        compared.append(stored)
        return await original(password, stored)

    monkeypatch.setattr(security, "verify_password", counted)
    refusal(await _log_in(client, "nobody@example.com"), 401)
    assert compared == [None]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "ada", "password": PASSWORD}, "email"),
        ({"email": "ada@example.com"}, "password"),
        ({"email": "ada@example.com", "password": ""}, "password"),
        ({"email": "ada@example.com", "password": "x" * 129}, "password"),
        ({"email": "ada@example.com", "password": PASSWORD, "remember": 1}, "remember"),
    ],
)
async def test_an_invalid_login_names_the_field(
    client: httpx2.AsyncClient, body: dict[str, object], field: str
) -> None:
    assert refusal(await client.post(f"{API}/auth/login", json=body), 422)["field"] == field


async def test_a_refresh_token_gets_the_next_pair(client: httpx2.AsyncClient, ada: Person) -> None:
    first = data(await _refresh(client, ada.refresh_token))
    second = data(await _refresh(client, first["refresh_token"]))
    assert len({ada.refresh_token, first["refresh_token"], second["refresh_token"]}) == 3
    ada.token = second["access_token"]
    assert data(await ada.get("/me"))["id"] == ada.id


async def test_a_refresh_token_expires(client: httpx2.AsyncClient, ada: Person, database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("update refresh_tokens set expires_at = now() - interval '1 second'"))
    refusal(await _refresh(client, ada.refresh_token), 401)


async def test_only_hashes_of_refresh_tokens_are_stored(ada: Person, database: Database) -> None:
    async with database.transaction() as session:
        stored = str((await session.execute(text("select * from refresh_tokens"))).all())
    assert ada.refresh_token not in stored


async def test_logout_ends_the_session_and_is_idempotent(client: httpx2.AsyncClient, ada: Person) -> None:
    for _ in range(2):
        data(await client.post(f"{API}/auth/logout", json={"refresh_token": ada.refresh_token}))
    refusal(await _refresh(client, ada.refresh_token), 401)


async def test_logout_with_an_unknown_token_reveals_nothing(client: httpx2.AsyncClient) -> None:
    data(await client.post(f"{API}/auth/logout", json={"refresh_token": "no such token"}))


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("token", [None, "", 7, "x" * 201])
async def test_a_bad_refresh_token_is_named(client: httpx2.AsyncClient, path: str, token: object) -> None:
    error = refusal(await client.post(f"{API}{path}", json={"refresh_token": token}), 422)
    assert error["field"] == "refresh_token"


async def test_an_unknown_refresh_token_is_refused(client: httpx2.AsyncClient) -> None:
    refusal(await _refresh(client, "no such token"), 401)
