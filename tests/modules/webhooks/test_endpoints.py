"""Endpoints: created, changed, disabled and deleted by admins; a secret is shown once and stored encrypted."""

import asyncio
import base64
from typing import Any

import httpx2
from sqlalchemy import text

from tests.support.world import Tenant, World, data, refusal
from ticketing.infra import security
from ticketing.infra.config import get_settings
from ticketing.infra.db import Database

URL = "https://hooks.example.com/tickets?key=hush"


async def create(tenant: Tenant, **body: Any) -> dict[str, Any]:
    webhook: dict[str, Any] = data(await tenant.admin.post(tenant.path("/webhooks"), {"url": URL, **body}), 201)
    return webhook


async def test_a_secret_is_shown_once_and_stored_encrypted(world: World, database: Database) -> None:
    tenant = await world.tenant()
    webhook = await create(tenant, types=["order.*"], description="Books")
    secret = base64.b64decode(webhook["secret"].removeprefix("whsec_"), validate=True)
    assert webhook["secret"].startswith("whsec_")
    assert 24 <= len(secret) <= 64
    for path in ("/webhooks", f"/webhooks/{webhook['id']}", "/audit-log", "/feed?limit=100"):
        response = await tenant.admin.get(tenant.path(path))
        assert webhook["secret"] not in response.text
        assert "hush" not in response.text or path.startswith("/webhooks"), "nor the query of the URL"
    async with database.transaction() as session:
        [row] = (await session.execute(text("select * from webhook_endpoints"))).mappings()
    assert secret not in row["sealed_secret"]
    assert security.unseal(row["sealed_secret"]) == secret


async def test_a_rotation_keeps_the_old_secret_for_a_day_and_shows_the_new_one(
    world: World, database: Database
) -> None:
    tenant = await world.tenant()
    webhook = await create(tenant)
    rotated = data(await tenant.admin.post(tenant.path(f"/webhooks/{webhook['id']}/rotate-secret")))
    assert rotated["secret"] != webhook["secret"]
    assert rotated["old_secret_until"] is not None
    async with database.transaction() as session:
        is_a_day = "select old_secret_until - now() between '23 hours' and '24 hours' from webhook_endpoints"
        assert await session.scalar(text(is_a_day))
        old = await session.scalar(text("select sealed_old_secret from webhook_endpoints"))
    assert base64.b64encode(security.unseal(old)).decode() == webhook["secret"].removeprefix("whsec_")


async def test_concurrent_requests_do_not_exceed_the_limit_of_endpoints(world: World) -> None:
    tenant = await world.tenant()
    first = await create(tenant)
    for _ in range(get_settings().webhooks_per_organization_max - 3):
        await create(tenant)
    body = {"url": URL}
    responses = await asyncio.gather(*[tenant.admin.post(tenant.path("/webhooks"), body) for _ in range(6)])
    assert sorted(response.status_code for response in responses) == [201] * 2 + [409] * 4
    assert refusal(max(responses, key=lambda a: a.status_code), 409)["code"] == "too_many_webhooks"
    data(await tenant.admin.delete(tenant.path(f"/webhooks/{first['id']}")))
    await create(tenant)


async def test_a_deleted_endpoint_is_gone_with_its_deliveries(world: World) -> None:
    tenant = await world.tenant()
    webhook = await create(tenant)
    path = tenant.path(f"/webhooks/{webhook['id']}")
    delivery = data(await tenant.admin.post(f"{path}/test"), 201)
    data(await tenant.admin.delete(path))
    for deleted in (path, f"{path}/deliveries", f"{path}/deliveries/{delivery['message_id']}"):
        refusal(await tenant.admin.get(deleted), 404)
    refusal(await tenant.admin.delete(path), 404)
    assert data(await tenant.admin.get(tenant.path("/webhooks"))) == []


async def test_a_disabled_endpoint_is_not_tested_and_can_be_enabled_again(world: World) -> None:
    tenant = await world.tenant()
    webhook = await create(tenant)
    path = tenant.path(f"/webhooks/{webhook['id']}")
    off = data(await tenant.admin.patch(path, {"enabled": False}))
    assert (off["enabled"], off["disabled_because"]) == (False, "by an admin")
    assert refusal(await tenant.admin.post(f"{path}/test"), 409)["code"] == "webhook_disabled"
    on = data(await tenant.admin.patch(path, {"enabled": True}))
    assert (on["enabled"], on["disabled_at"], on["disabled_because"]) == (True, None, None)
    data(await tenant.admin.post(f"{path}/test"), 201)


async def test_an_update_that_changes_nothing_publishes_nothing(world: World) -> None:
    tenant = await world.tenant()
    webhook = await create(tenant)
    data(await tenant.admin.patch(tenant.path(f"/webhooks/{webhook['id']}"), {"enabled": True, "types": []}))
    published = [row["type"] for row in data(await tenant.admin.get(tenant.path("/feed?limit=100&types=webhook.*")))]
    assert published == ["webhook.created"]


async def test_an_api_key_reads_webhooks_and_cannot_create_one(world: World, client: httpx2.AsyncClient) -> None:
    """Otherwise a stolen key could outlive its revocation in an endpoint that receives every message."""
    tenant = await world.tenant()
    await create(tenant)
    key = data(await tenant.admin.post(tenant.path("/api-keys"), {"name": "x", "role": "ORG_ADMIN"}), 201)["key"]
    headers = {"Authorization": f"ApiKey {key}", "Idempotency-Key": "one"}
    path = f"/api/v1{tenant.path('/webhooks')}"
    assert len(data(await client.get(path, headers=headers))) == 1
    refusal(await client.post(path, json={"url": URL}, headers=headers), 403)
