"""A retried POST has no second effect and gets the same response."""

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from starlette.responses import Response

from tests.support.world import API, PASSWORD, Tenant, World, data, refusal
from ticketing.infra import security
from ticketing.infra.db import Database, statements
from ticketing.infra.errors import NotFound, TicketingError
from ticketing.infra.http import error_handlers, idempotency

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


@pytest.mark.parametrize("is_batched", [False, True], ids=["ordinary", "hold"])
async def test_every_response_is_stored_encrypted(world: World, database: Database, is_batched: bool) -> None:
    buyer = await world.person("ada")
    if is_batched:
        show = await world.show()
        path, wanted = "/reservations", {"event_id": show.id, "seats": show.labels[:1]}
    else:
        path, wanted = "/orgs", {"name": "Hall", "slug": "hall"}
    answer = data(await buyer.post(path, wanted, key="mine"), 201)
    [body] = [body for key, _, body, _ in await _stored(database) if key == "mine"]
    assert answer["id"].encode() not in body
    assert b"success" not in body


async def test_a_stored_response_cannot_be_read_in_the_row_of_another_caller(world: World, owner: Database) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    body = {"name": "Hall", "slug": "hall"}
    data(await ada.post("/orgs", body, key="mine"), 201)
    [sealed] = [body for key, _, body, _ in await _stored(owner) if key == "mine"]
    assert b"Hall" in idempotency.unseal_body(sealed, f"user:{ada.id}", "mine")
    for caller, key in ((f"user:{bob.id}", "mine"), (f"user:{ada.id}", "other")):
        with pytest.raises(security.SealUnknown):
            idempotency.unseal_body(sealed, caller, key)


async def test_a_response_stored_in_the_clear_is_still_replayed(world: World, owner: Database) -> None:
    """As earlier versions stored it: a retry across an update must not create a second organization."""
    ada = await world.person("ada")
    body = {"name": "Hall", "slug": "hall"}
    first = await ada.post("/orgs", body, key="mine")
    async with owner.transaction() as session:
        await session.execute(
            text("update idempotency_keys set body = :body where key = 'mine'"), {"body": first.content}
        )
    again = await ada.post("/orgs", body, key="mine")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")


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

    first, again = data(await refresh("one")), data(await refresh("one"))
    # The access tokens differ if a second began in between.
    assert first["refresh_token"] == again["refresh_token"], "a retry of the same client is no theft"
    async with database.transaction() as session:
        await session.execute(text("update refresh_tokens set spent_at = spent_at - interval '1 minute'"))
    refusal(await refresh("two"), 401)
    assert await _stored(database) == []
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


async def post_venue(client: httpx2.AsyncClient, tenant: Tenant, authorization: str) -> httpx2.Response:
    section = {"name": "Stalls", "category": "Stalls", "rows": [{"name": "A", "seats": 1}]}
    body = {"name": "Hall", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam", "sections": [section]}
    headers = {"Authorization": authorization, "Idempotency-Key": "venue"}
    return await client.post(f"{API}{tenant.path('/venues')}", json=body, headers=headers)


async def test_a_stored_response_is_not_for_a_revoked_key(world: World) -> None:
    tenant = await world.tenant()
    key = data(await tenant.admin.post(tenant.path("/api-keys"), {"name": "script", "role": "ORG_ADMIN"}), 201)
    sent = [await post_venue(world.client, tenant, f"ApiKey {key['key']}") for _ in range(2)]
    assert [answer.headers.get("Idempotency-Replayed") for answer in sent] == [None, "true"]
    data(await tenant.admin.delete(tenant.path(f"/api-keys/{key['id']}")))
    refusal(await post_venue(world.client, tenant, f"ApiKey {key['key']}"), 401)


async def test_a_stored_response_is_not_for_a_member_who_was_removed(world: World) -> None:
    tenant = await world.tenant()
    member = await world.member(tenant, "ORG_ADMIN")
    key = {"name": "script", "role": "ORG_STAFF"}
    first = data(await member.post(tenant.path("/api-keys"), key, key="made"), 201)
    again = await member.post(tenant.path("/api-keys"), key, key="made")
    assert data(again, 201)["key"] == first["key"]
    data(await tenant.admin.delete(tenant.path(f"/members/{member.id}")))
    refused = await member.post(tenant.path("/api-keys"), key, key="made")
    assert refused.status_code in {403, 404}
    assert first["key"] not in refused.text


async def test_a_refresh_is_repeated_for_ten_seconds_only_with_a_key_as_well(world: World, owner: Database) -> None:
    ada, headers = await world.person("ada"), {"Idempotency-Key": "refresh"}

    async def refresh() -> httpx2.Response:
        return await world.client.post(
            f"{API}/auth/refresh", json={"refresh_token": ada.refresh_token}, headers=headers
        )

    first = data(await refresh())
    assert data(await refresh())["refresh_token"] == first["refresh_token"]
    async with owner.transaction() as session:
        await session.execute(text("update refresh_tokens set spent_at = spent_at - interval '11 seconds'"))
    refusal(await refresh(), 401)


def errors_with_retry(kind: type[TicketingError] = TicketingError) -> Iterator[type[TicketingError]]:
    for child in kind.__subclasses__():
        if child.retry_after_seconds is not None:
            yield child
        yield from errors_with_retry(child)


def test_no_error_that_asks_for_a_retry_is_stored() -> None:
    kinds = set(errors_with_retry())
    assert "sync_in_flight" in {kind.code for kind in kinds}
    assert [kind.__name__ for kind in kinds if idempotency.is_stored(kind())] == []


async def test_a_refusal_does_not_replace_what_the_same_request_did_meanwhile(world: World, database: Database) -> None:
    """A request failed, and before its refusal was stored a repetition of it succeeded."""
    claim = idempotency.Claim("user:ada", "hold-1", [b"1"])
    refused = error_handlers.render(NotFound())
    async with database.transaction() as session:
        await claim.store(session, Response(b'{"success":true}', 201))
    told = await claim.store_error(database, refused, NotFound(), error_handlers.render)
    assert (told.status_code, told.body, told.headers["Idempotency-Replayed"]) == (201, b'{"success":true}', "true")


async def test_a_refusal_is_withheld_while_the_same_request_runs(world: World, database: Database) -> None:
    claim = idempotency.Claim("user:ada", "hold-1", [b"1"])
    async with database.transaction() as session:
        async with statements.round_trip(session) as connection:
            await idempotency.query_claim(connection, claim)
        told = await claim.store_error(database, error_handlers.render(NotFound()), NotFound(), error_handlers.render)
    assert told.status_code == 409
    assert told.headers["Retry-After"] == "1"
    assert await _stored(database) == []
