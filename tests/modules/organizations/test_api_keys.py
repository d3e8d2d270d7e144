"""API keys."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.support.world import API, Tenant, World, data, refusal
from ticketing.infra.db import Database


async def _create(tenant: Tenant, role: str = "ORG_STAFF", **options: Any) -> dict[str, Any]:
    body = {"name": "Box office", "role": role}
    key: dict[str, Any] = data(await tenant.admin.post(tenant.path("/api-keys"), body, **options), 201)
    return key


async def _use(client: httpx2.AsyncClient, tenant: Tenant, key: str) -> httpx2.Response:
    return await client.get(f"{API}{tenant.path()}", headers={"Authorization": f"ApiKey {key}"})


async def test_a_key_is_shown_once_and_authorizes_its_organization(
    client: httpx2.AsyncClient, world: World, database: Database
) -> None:
    tenant = await world.tenant()
    created = await _create(tenant)
    text_ = created.pop("key")
    secret = text_.removeprefix(f"tk_{created['prefix']}_")
    assert len(secret) > 40
    assert data(await _use(client, tenant, text_))["id"] == tenant.id
    listed = data(await tenant.admin.get(tenant.path("/api-keys")))
    assert [{**key, "last_used_at": None} for key in listed] == [created]
    async with database.transaction() as session:
        for table in ("api_keys", "idempotency_keys", "audit_log", "outbox"):
            rows = str((await session.execute(text(f"select * from {table}"))).all())
            assert secret not in rows, table


async def test_a_retry_gets_the_same_key_again(world: World) -> None:
    tenant = await world.tenant()
    assert await _create(tenant, key="once") == await _create(tenant, key="once")
    assert len(data(await tenant.admin.get(tenant.path("/api-keys")))) == 1


async def test_a_revoked_key_is_refused(client: httpx2.AsyncClient, world: World) -> None:
    tenant = await world.tenant()
    key = await _create(tenant)
    path = tenant.path(f"/api-keys/{key['id']}")
    data(await tenant.admin.delete(path))
    assert refusal(await _use(client, tenant, key["key"]), 401)["code"] == "unauthenticated"
    assert data(await tenant.admin.get(tenant.path("/api-keys")))[0]["revoked_at"].endswith("Z")
    refusal(await tenant.admin.delete(path), 404)


async def test_a_key_of_one_organization_is_unknown_to_another(client: httpx2.AsyncClient, world: World) -> None:
    one, other = await world.tenant("one"), await world.tenant("other")
    key = await _create(one, "ORG_ADMIN")
    refusal(await _use(client, other, key["key"]), 404)
    refusal(await other.admin.delete(other.path(f"/api-keys/{key['id']}")), 404)
    data(await _use(client, one, key["key"]))


async def test_a_key_identifies_no_user_outside_its_organization(client: httpx2.AsyncClient, world: World) -> None:
    headers = {"Authorization": f"ApiKey {(await _create(await world.tenant(), 'ORG_ADMIN'))['key']}"}
    for path in ("/me", "/orgs"):
        refusal(await client.get(f"{API}{path}", headers=headers), 401)


@pytest.mark.parametrize("change", ["", "x", "tk_", "{0}x", "{0} x", "é{0}"])
async def test_a_mistyped_key_is_refused(client: httpx2.AsyncClient, world: World, change: str) -> None:
    tenant = await world.tenant()
    header = f"ApiKey {change.format((await _create(tenant))['key'])}".encode("latin-1")
    refusal(await client.get(f"{API}{tenant.path()}", headers={"Authorization": header}), 401)


async def test_the_last_use_is_recorded_at_most_once_per_minute(
    client: httpx2.AsyncClient, world: World, database: Database
) -> None:
    tenant = await world.tenant()
    key = (await _create(tenant))["key"]

    async def last_use() -> Any:
        async with database.transaction() as session:
            return await session.scalar(text("select last_used_at from api_keys"))

    assert await last_use() is None
    await asyncio.gather(*(_use(client, tenant, key) for _ in range(5)))
    first = await last_use()
    data(await _use(client, tenant, key))
    assert first is not None
    assert await last_use() == first
    async with database.transaction() as session:
        await session.execute(text("update api_keys set last_used_at = now() - interval '61 seconds'"))
    data(await _use(client, tenant, key))
    assert await last_use() > first


async def test_changes_by_a_key_are_audited_under_its_id(
    client: httpx2.AsyncClient, world: World, database: Database
) -> None:
    tenant = await world.tenant()
    key = await _create(tenant, "ORG_ADMIN")
    headers = {"Authorization": f"ApiKey {key['key']}"}
    data(await client.patch(f"{API}{tenant.path()}", json={"name": "New Hall"}, headers=headers))
    assert data(await tenant.admin.get(tenant.path("/audit-log")))[0]["actor"] == f"key:{key['id']}"
    async with database.transaction() as session:
        actor = await session.scalar(text("select actor from outbox order by id desc limit 1"))
    assert actor == f"key:{key['id']}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "ORG_STAFF"}, "name"),
        ({"name": " ", "role": "ORG_STAFF"}, "name"),
        ({"name": "x" * 201, "role": "ORG_STAFF"}, "name"),
        ({"name": "Till"}, "role"),
        ({"name": "Till", "role": "SUPER_ADMIN"}, "role"),
        ({"name": "Till", "role": "ORG_STAFF", "key": "tk_mine"}, "key"),
    ],
)
async def test_an_invalid_key_names_the_field_and_is_not_created(
    world: World, body: dict[str, Any], field: str
) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.post(tenant.path("/api-keys"), body), 422)["field"] == field
    assert data(await tenant.admin.get(tenant.path("/api-keys"))) == []


async def test_an_invalid_key_id_is_named(world: World) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.delete(tenant.path("/api-keys/7")), 422)["field"] == "key_id"


async def test_an_expired_key_is_refused(client: httpx2.AsyncClient, world: World, database: Database) -> None:
    tenant = await world.tenant()
    body = {"name": "Guest", "role": "ORG_STAFF", "expires_at": "2030-06-01T19:00:00+02:00"}
    key = data(await tenant.admin.post(tenant.path("/api-keys"), body), 201)
    assert key["expires_at"] == "2030-06-01T17:00:00Z"
    data(await _use(client, tenant, key["key"]))
    async with database.transaction() as session:
        await session.execute(text("update api_keys set expires_at = now()"))
    assert refusal(await _use(client, tenant, key["key"]), 401)["code"] == "unauthenticated"


async def test_an_expiry_in_the_past_is_refused(world: World) -> None:
    tenant = await world.tenant()
    body = {"name": "Guest", "role": "ORG_STAFF", "expires_at": "2020-06-01T19:00:00Z"}
    assert refusal(await tenant.admin.post(tenant.path("/api-keys"), body), 422)["field"] == "expires_at"
    assert data(await tenant.admin.get(tenant.path("/api-keys"))) == []
