"""A retried POST has no second effect and gets the same response."""

import asyncio
import hashlib
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.support.world import API, PASSWORD, World, data, refusal
from ticketing.infra.db import Database

ADA = {"email": "ada@example.com", "password": PASSWORD}


async def _register(client: httpx2.AsyncClient, body: dict[str, Any], key: str = "first") -> httpx2.Response:
    return await client.post(f"{API}/auth/register", json=body, headers={"Idempotency-Key": key})


async def _stored(database: Database) -> list[Any]:
    async with database.transaction() as session:
        return list(await session.execute(text("select key, status, body, fingerprint from idempotency_keys")))


async def test_a_retry_gets_the_same_bytes(client: httpx2.AsyncClient) -> None:
    first, again = await _register(client, ADA), await _register(client, ADA)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]


async def test_a_key_is_not_for_another_request(client: httpx2.AsyncClient, world: World) -> None:
    data(await _register(client, ADA), 201)
    error = refusal(await _register(client, {**ADA, "display_name": "Ada"}), 422)
    assert error["code"] == "idempotency_mismatch"
    other = await client.post(f"{API}/auth/login", json=ADA, headers={"Idempotency-Key": "first"})
    assert refusal(other, 422)["code"] == "idempotency_mismatch"


async def test_a_response_with_a_secret_is_stored_encrypted(client: httpx2.AsyncClient, database: Database) -> None:
    answer = data(await _register(client, ADA), 201)
    [(_, status, body, _)] = await _stored(database)
    assert status == 201
    for part in (answer["access_token"], answer["refresh_token"], ADA["email"], "success"):
        assert part.encode() not in body


async def test_the_stored_fingerprint_cannot_be_searched_for_the_password(
    client: httpx2.AsyncClient, database: Database
) -> None:
    answer = await _register(client, ADA)
    [(*_, fingerprint)] = await _stored(database)
    request = f"{API}/auth/register?\n".encode() + answer.request.content
    assert fingerprint != hashlib.sha256(request).digest()


async def test_two_callers_may_use_one_key(world: World) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    for person in (ada, bob):
        data(await person.post("/orgs", {"name": "Hall", "slug": f"hall-of-{person.id}"}, key="mine"), 201)


async def test_an_error_response_is_stored_too(world: World) -> None:
    ada, tenant = await world.person("ada"), await world.tenant()
    body = {"name": "Hall", "slug": tenant.slug}
    first = await ada.post("/orgs", body, key="taken")
    data(await tenant.admin.patch(tenant.path(), {"slug": "another-slug"}))
    again = await ada.post("/orgs", body, key="taken")
    assert refusal(first, 409)["code"] == "slug_taken"
    assert (again.status_code, again.json()["errors"]) == (409, first.json()["errors"])
    assert again.headers["Idempotency-Replayed"] == "true"
    data(await ada.post("/orgs", body, key="a new one"), 201)


@pytest.mark.parametrize(
    ("method_body", "status"),
    [({"email": "no address", "password": PASSWORD}, 422), ({**ADA, "password": "short"}, 422)],
)
async def test_bad_input_does_not_use_up_the_key(
    client: httpx2.AsyncClient, database: Database, method_body: dict[str, Any], status: int
) -> None:
    refusal(await _register(client, method_body), status)
    assert await _stored(database) == []
    data(await _register(client, ADA), 201)


async def test_a_wrong_password_does_not_use_up_the_key(client: httpx2.AsyncClient, database: Database) -> None:
    headers = {"Idempotency-Key": "log-in"}
    refusal(await client.post(f"{API}/auth/login", json=ADA, headers=headers), 401)
    data(await _register(client, ADA), 201)
    data(await client.post(f"{API}/auth/login", json=ADA, headers=headers))


async def test_a_stolen_refresh_token_ends_the_family_with_a_key_as_well(
    client: httpx2.AsyncClient, world: World, database: Database
) -> None:
    ada = await world.person("ada")

    async def refresh(key: str) -> httpx2.Response:
        body = {"refresh_token": ada.refresh_token}
        return await client.post(f"{API}/auth/refresh", json=body, headers={"Idempotency-Key": key})

    first, again = await refresh("one"), await refresh("one")
    assert first.content == again.content, "a retry of the same client is no theft"
    async with database.transaction() as session:
        await session.execute(text("update refresh_tokens set spent_at = spent_at - interval '1 minute'"))
    refusal(await refresh("two"), 401)
    assert [row.key for row in await _stored(database)] == ["one"]
    async with database.transaction() as session:
        assert await session.scalar(text("select end_reason from sessions")) == "token_reused"


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_bad_key_is_named(client: httpx2.AsyncClient, key: str) -> None:
    assert refusal(await _register(client, ADA, key), 422)["field"] == "Idempotency-Key"


async def test_a_concurrent_request_with_the_same_key_is_told_to_retry(world: World, database: Database) -> None:
    ada = await world.person("ada")
    body = {"name": "Hall", "slug": "hall"}
    async with database.transaction() as session:
        # An uncommitted row with the same slug blocks the first request midway.
        await session.execute(
            text("insert into organizations (id, name, slug) values (gen_random_uuid(), 'Hall', 'hall')")
        )
        first = asyncio.create_task(ada.post("/orgs", body, key="slow"))
        await _until_a_lock_is_waited_for(database)
        second = await ada.post("/orgs", body, key="slow")
        assert refusal(second, 409)["code"] == "idempotency_in_flight"
        assert second.headers["Retry-After"] == "1"
        await session.rollback()
    data(await first, 201)
    assert (await ada.post("/orgs", body, key="slow")).headers["Idempotency-Replayed"] == "true"


async def _until_a_lock_is_waited_for(database: Database) -> None:
    waiting = text("select exists (select from pg_locks where not granted)")
    async with database.transaction() as session:
        for _ in range(500):
            if await session.scalar(waiting):
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the first request has not begun in ten seconds")


async def test_a_response_is_stored_only_with_its_effect(world: World, database: Database) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    body = {"name": "Hall", "slug": "hall"}
    answers = await asyncio.gather(ada.post("/orgs", body, key="a"), bob.post("/orgs", body, key="b"))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert sorted(row.status for row in await _stored(database)) == [201, 409]
