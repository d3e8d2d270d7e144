"""Every change of a tenant's data is audited permanently."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.support.world import API, World, data, refusal
from ticketing.infra.db import Database


async def test_each_change_is_audited_newest_first(world: World) -> None:
    tenant = await world.tenant()
    admin = tenant.admin
    bob = await world.member(tenant, "ORG_SCANNER")
    key = data(await admin.post(tenant.path("/api-keys"), {"name": "Till", "role": "ORG_STAFF"}), 201)
    data(await admin.patch(tenant.path(), {"name": "New Hall"}))
    data(await admin.patch(tenant.path(f"/members/{bob.id}"), {"role": "ORG_STAFF"}))
    data(await admin.delete(tenant.path(f"/members/{bob.id}")))
    data(await admin.delete(tenant.path(f"/api-keys/{key['id']}")))
    entries = data(await admin.get(tenant.path("/audit-log")))
    place, person, machine = f"organization:{tenant.id}", f"user:{bob.id}", f"api_key:{key['id']}"
    old = {"name": "Tenant", "slug": tenant.slug, "buyer_data_days": None, "provider_refund_tickets": "keep"}
    new = old | {"name": "New Hall"}
    till = {"name": "Till", "role": "ORG_STAFF"}
    assert [(e["action"], e["subject"], e["before"], e["after"]) for e in entries] == [
        ("api_key.revoked", machine, till, None),
        ("member.removed", person, {"role": "ORG_STAFF"}, None),
        ("member.role_changed", person, {"role": "ORG_SCANNER"}, {"role": "ORG_STAFF"}),
        ("organization.updated", place, old, new),
        ("api_key.created", machine, None, till),
        ("member.added", person, None, {"role": "ORG_SCANNER"}),
        ("member.invited", entries[6]["subject"], None, {"role": "ORG_SCANNER"}),
        ("organization.created", place, None, old),
    ]
    assert {e["actor"] for e in entries} == {f"user:{admin.id}", f"user:{bob.id}"}
    assert all(e["correlation_id"] and e["created_at"].endswith("Z") for e in entries)


async def test_the_audit_log_is_paged(world: World) -> None:
    tenant = await world.tenant()
    for n in range(4):
        data(await tenant.admin.patch(tenant.path(), {"name": f"Hall {n}"}))
    seen, cursor = [], None
    while True:
        page = await tenant.admin.get(
            tenant.path("/audit-log"), params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        )
        seen += [entry["after"]["name"] for entry in data(page)]
        if (cursor := page.json()["meta"]["next_cursor"]) is None:
            break
    assert seen == ["Hall 3", "Hall 2", "Hall 1", "Hall 0", "Tenant"]


async def test_a_refused_change_leaves_no_entry_and_no_message(world: World, database: Database) -> None:
    tenant = await world.tenant()
    refusal(await tenant.admin.delete(tenant.path(f"/members/{tenant.admin.id}")), 409)
    assert len(data(await tenant.admin.get(tenant.path("/audit-log")))) == 1
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from outbox where topic = 'member.removed'")) == 0


async def test_each_organization_has_a_separate_audit_log(world: World) -> None:
    one, other = await world.tenant("one"), await world.tenant("other")
    subjects = [e["subject"] for e in data(await one.admin.get(one.path("/audit-log")))]
    assert subjects == [f"organization:{one.id}"]
    assert other.id not in str(subjects)


@pytest.mark.parametrize("change", ["update audit_log set actor = 'nobody'", "delete from audit_log"])
async def test_the_audit_log_is_append_only(world: World, database: Database, change: str) -> None:
    await world.tenant()
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as session:
            await session.execute(text(change))


async def test_audit_entries_contain_the_client(world: World) -> None:
    tenant = await world.tenant()
    headers = {"User-Agent": "Box\x07 office " + "x" * 500, "Authorization": f"Bearer {tenant.admin.token}"}
    await world.client.patch(f"{API}{tenant.path()}", json={"name": "New Hall"}, headers=headers)
    entry = data(await tenant.admin.get(tenant.path("/audit-log")))[0]
    assert entry["address"] == "127.0.0.1"
    assert entry["user_agent"].startswith("Box office xxx")
    assert len(entry["user_agent"]) == 200
