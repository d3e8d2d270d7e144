"""A stolen key leaves nothing that outlasts it, and with a membership ends what its holder has made."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.drain import drain
from tests.support.world import API, Person, Show, Tenant, World, data, refusal
from ticketing.infra.db import Database
from ticketing.infra.errors import Forbidden
from ticketing.modules import organizations
from ticketing.modules.organizations import api_keys, members
from ticketing.modules.tickets.checkin import devices

Role = organizations.Role


async def make_key(tenant: Tenant, maker: Person, role: str) -> dict[str, Any]:
    body = {"name": f"Machine of {role}", "role": role}
    key: dict[str, Any] = data(await maker.post(tenant.path("/api-keys"), body), 201)
    return key


async def make_device(show: Show, maker: Person) -> dict[str, Any]:
    device: dict[str, Any] = data(await maker.post(show.path("/devices"), {"name": "Phone"}), 201)
    return device


async def works(world: World, show: Show, authorization: str) -> bool:
    """Whether the door accepts these credentials."""
    headers = {"Authorization": authorization}
    answer = await world.client.get(f"{API}{show.path('/check-ins/stats')}", headers=headers)
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


async def test_a_stolen_admin_key_leaves_nothing_that_outlasts_it(world: World) -> None:
    show = await world.show()
    tenant, admin = show.tenant, show.tenant.admin
    bob, thief = await world.member(tenant, "ORG_STAFF"), await world.person("thief")
    stolen, other = await make_key(tenant, admin, "ORG_ADMIN"), await make_key(tenant, admin, "ORG_STAFF")
    device = await make_device(show, admin)
    attempts: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", tenant.path("/members"), {"email": thief.email, "role": "ORG_SCANNER"}),
        ("PATCH", tenant.path(f"/members/{bob.id}"), {"role": "ORG_SCANNER"}),
        ("DELETE", tenant.path(f"/members/{bob.id}"), None),
        ("POST", tenant.path("/api-keys"), {"name": "Mine", "role": "ORG_SCANNER"}),
        ("DELETE", tenant.path(f"/api-keys/{other['id']}"), None),
        ("POST", show.path("/devices"), {"name": "Mine"}),
        ("DELETE", show.path(f"/devices/{device['id']}"), None),
        ("POST", tenant.path("/webhooks"), {"url": "https://example.com/", "topics": ["order.*"]}),
    ]
    for method, path, body in attempts:
        headers = {"Authorization": f"ApiKey {stolen['key']}", "Idempotency-Key": uuid4().hex}
        answer = await world.client.request(method, f"{API}{path}", json=body, headers=headers)
        assert refusal(answer, 403)["code"] == "forbidden", f"{method} {path}"
    audit = data(await admin.get(tenant.path("/audit-log?limit=100")))
    assert not [entry for entry in audit if entry["actor"] == f"key:{stolen['id']}"]


async def test_a_removed_members_keys_and_devices_are_revoked_and_audited(app: FastAPI, world: World) -> None:
    show = await world.show()
    tenant, admin = show.tenant, show.tenant.admin
    bob = await world.member(tenant, "ORG_ADMIN")
    gone = [f"ApiKey {(await make_key(tenant, bob, role))['key']}" for role in ("ORG_ADMIN", "ORG_SCANNER")]
    gone.append(f"Device {(await make_device(show, bob))['token']}")
    kept = [f"ApiKey {(await make_key(tenant, admin, 'ORG_ADMIN'))['key']}"]
    kept.append(f"Device {(await make_device(show, admin))['token']}")
    assert all([await works(world, show, each) for each in gone + kept])
    data(await admin.delete(tenant.path(f"/members/{bob.id}")))
    assert [await works(world, show, each) for each in gone[:2]] == [False, False], "keys end with the membership"
    await drain(app)
    assert [await works(world, show, each) for each in gone + kept] == [False] * 3 + [True] * 2
    audit = data(await admin.get(tenant.path("/audit-log?limit=100")))
    told = [(entry["action"], entry["actor"]) for entry in audit[:4]]
    assert sorted(told) == [(action, f"user:{admin.id}") for action in _REVOCATIONS]


_REVOCATIONS = ["api_key.revoked", "api_key.revoked", "device.revoked", "member.removed"]


async def test_a_lower_role_revokes_what_it_could_not_have_made(app: FastAPI, world: World) -> None:
    show = await world.show()
    tenant, admin = show.tenant, show.tenant.admin
    bob = await world.member(tenant, "ORG_ADMIN")
    roles = ("ORG_ADMIN", "ORG_STAFF", "ORG_SCANNER")
    made = [f"ApiKey {(await make_key(tenant, bob, role))['key']}" for role in roles]
    made.append(f"Device {(await make_device(show, bob))['token']}")
    for role, left in (("ORG_STAFF", [False, True, True, True]), ("ORG_SCANNER", [False, False, True, False])):
        data(await admin.patch(tenant.path(f"/members/{bob.id}"), {"role": role}))
        await drain(app)
        assert [await works(world, show, each) for each in made] == left, role


async def test_leaving_and_erasure_end_the_credentials_too(app: FastAPI, world: World) -> None:
    show = await world.show()
    for leave in ("leave", "erase"):
        bob = await world.member(show.tenant, "ORG_ADMIN")
        made = [f"ApiKey {(await make_key(show.tenant, bob, 'ORG_STAFF'))['key']}"]
        made.append(f"Device {(await make_device(show, bob))['token']}")
        if leave == "leave":
            data(await bob.delete(show.tenant.path(f"/members/{bob.id}")))
        else:
            data(await bob.post("/me/erase", {"password": "correct horse battery"}))
        await drain(app)
        assert [await works(world, show, each) for each in made] == [False, False], leave


@pytest.mark.parametrize("is_key", [True, False])
async def test_nothing_is_made_beside_a_removal(app: FastAPI, world: World, database: Database, is_key: bool) -> None:
    """A request that began as a member either commits before the removal, and is revoked by it, or is refused."""
    show = await world.show()
    bob = await world.member(show.tenant, "ORG_ADMIN")
    organization, begun, removed = UUID(show.tenant.id), asyncio.Event(), asyncio.Event()
    maker = organizations.Access(organization, f"user:{bob.id}", UUID(bob.id), Role.ORG_ADMIN)
    admin_id = UUID(show.tenant.admin.id)
    admin = organizations.Access(organization, f"user:{admin_id}", admin_id, Role.ORG_ADMIN)

    async def make() -> None:
        async with database.transaction() as session:
            if is_key:
                await api_keys.create_key(session, maker, "Late", Role.ORG_ADMIN, None)
            else:
                await devices.make_device(session, maker, UUID(show.id), "Late", None)
            begun.set()
            await _until_blocked(database, removed)

    async def remove() -> None:
        await begun.wait()
        async with database.transaction() as session:
            await members.remove_member(session, admin, UUID(bob.id))
        removed.set()

    await asyncio.gather(make(), remove())
    await drain(app)
    with pytest.raises(Forbidden):
        await make()
    async with database.transaction() as session:
        table = "api_keys" if is_key else "devices"
        live = await session.scalar(text(f"select count(*) from {table} where revoked_at is null"))
        made = await session.scalar(text(f"select count(*) from {table}"))
    assert (made, live) == (1, 0)


async def _until_blocked(database: Database, removed: asyncio.Event) -> None:
    """Wait until another transaction waits for a lock of this database, or has not had to wait."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while not removed.is_set():
        async with database.transaction() as session:
            if await session.scalar(text(waiting)):
                return
