"""Endpoints as their admins see them: made, changed, ended; a secret is shown once and kept sealed."""

import asyncio
import base64
from typing import Any

import httpx2
from sqlalchemy import text

from tests.support.world import Tenant, World, data, refusal
from ticketing.infra import security
from ticketing.infra.db import Database
from ticketing.modules.webhooks.endpoints import ENDPOINTS_MAX

URL = "https://hooks.example.com/tickets?key=hush"


async def make(tenant: Tenant, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = data(await tenant.admin.post(tenant.path("/webhooks"), {"url": URL, **body}), 201)
    return made


async def test_a_secret_is_shown_once_and_is_as_the_standard_has_it(world: World, database: Database) -> None:
    tenant = await world.tenant()
    made = await make(tenant, types=["order.*"], description="Books")
    secret = base64.b64decode(made["secret"].removeprefix("whsec_"), validate=True)
    assert made["secret"].startswith("whsec_")
    assert 24 <= len(secret) <= 64
    for path in ("/webhooks", f"/webhooks/{made['id']}", "/audit-log", "/feed?limit=100"):
        answer = await tenant.admin.get(tenant.path(path))
        assert made["secret"] not in answer.text
        assert "hush" not in answer.text or path.startswith("/webhooks"), "nor what its address may hide"
    async with database.transaction() as session:
        [row] = (await session.execute(text("select * from webhook_endpoints"))).mappings()
    assert secret not in row["sealed_secret"]
    assert security.unseal(row["sealed_secret"]) == secret


async def test_a_rotation_keeps_the_old_secret_for_a_day_and_shows_the_new_one(
    world: World, database: Database
) -> None:
    tenant = await world.tenant()
    made = await make(tenant)
    rotated = data(await tenant.admin.post(tenant.path(f"/webhooks/{made['id']}/rotate-secret")))
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] is not None
    async with database.transaction() as session:
        is_a_day = "select old_secret_until - now() between '23 hours' and '24 hours' from webhook_endpoints"
        assert await session.scalar(text(is_a_day))
        old = await session.scalar(text("select sealed_old_secret from webhook_endpoints"))
    assert base64.b64encode(security.unseal(old)).decode() == made["secret"].removeprefix("whsec_")


async def test_an_organization_has_so_many_and_no_more_also_when_all_come_at_once(world: World) -> None:
    tenant = await world.tenant()
    first = await make(tenant)
    for _ in range(ENDPOINTS_MAX - 3):
        await make(tenant)
    body = {"url": URL}
    answers = await asyncio.gather(*[tenant.admin.post(tenant.path("/webhooks"), body) for _ in range(6)])
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 4
    assert refusal(max(answers, key=lambda a: a.status_code), 409)["code"] == "too_many_webhooks"
    data(await tenant.admin.delete(tenant.path(f"/webhooks/{first['id']}")))
    await make(tenant)


async def test_what_is_deleted_is_gone_with_its_log(world: World) -> None:
    tenant = await world.tenant()
    made = await make(tenant)
    path = tenant.path(f"/webhooks/{made['id']}")
    delivery = data(await tenant.admin.post(f"{path}/test"), 201)
    data(await tenant.admin.delete(path))
    for gone in (path, f"{path}/deliveries", f"{path}/deliveries/{delivery['message_id']}"):
        refusal(await tenant.admin.get(gone), 404)
    refusal(await tenant.admin.delete(path), 404)
    assert data(await tenant.admin.get(tenant.path("/webhooks"))) == []


async def test_what_is_disabled_is_not_tested_and_can_be_enabled_again(world: World) -> None:
    tenant = await world.tenant()
    made = await make(tenant)
    path = tenant.path(f"/webhooks/{made['id']}")
    off = data(await tenant.admin.patch(path, {"enabled": False}))
    assert (off["enabled"], off["disabled_because"]) == (False, "by an admin")
    assert refusal(await tenant.admin.post(f"{path}/test"), 409)["code"] == "webhook_disabled"
    on = data(await tenant.admin.patch(path, {"enabled": True}))
    assert (on["enabled"], on["disabled_at"], on["disabled_because"]) == (True, None, None)
    data(await tenant.admin.post(f"{path}/test"), 201)


async def test_a_change_of_nothing_is_told_to_nobody(world: World) -> None:
    tenant = await world.tenant()
    made = await make(tenant)
    data(await tenant.admin.patch(tenant.path(f"/webhooks/{made['id']}"), {"enabled": True, "types": []}))
    told = [row["type"] for row in data(await tenant.admin.get(tenant.path("/feed?limit=100&types=webhook.*")))]
    assert told == ["webhook.created"]


async def test_a_key_reads_webhooks_and_makes_none(world: World, client: httpx2.AsyncClient) -> None:
    """A stolen key must not outlive its revocation in an address that goes on being told everything."""
    tenant = await world.tenant()
    await make(tenant)
    key = data(await tenant.admin.post(tenant.path("/api-keys"), {"name": "x", "role": "ORG_ADMIN"}), 201)["key"]
    headers = {"Authorization": f"ApiKey {key}", "Idempotency-Key": "one"}
    path = f"/api/v1{tenant.path('/webhooks')}"
    assert len(data(await client.get(path, headers=headers))) == 1
    refusal(await client.post(path, json={"url": URL}, headers=headers), 403)
