"""Members of an organization, which always keeps an admin."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from tests.support.world import World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules import organizations
from ticketing.modules.organizations import invitations, members
from ticketing.modules.organizations.permissions import RoleTooHigh


async def test_a_member_is_added_promoted_and_removed(world: World, database: Database) -> None:
    tenant = await world.tenant()
    bob = await world.member(tenant, "ORG_STAFF")
    [_, added] = data(await tenant.admin.get(tenant.path("/members")))
    assert (added["user_id"], added["email"], added["role"]) == (bob.id, bob.email, "ORG_STAFF")
    assert added["status"] == "member"
    path = tenant.path(f"/members/{bob.id}")
    assert data(await tenant.admin.patch(path, {"role": "ORG_SCANNER"})) == {**added, "role": "ORG_SCANNER"}
    listed = data(await tenant.admin.get(tenant.path("/members")))
    assert [(member["user_id"], member["role"]) for member in listed] == [
        (tenant.admin.id, "ORG_ADMIN"),
        (bob.id, "ORG_SCANNER"),
    ]
    data(await tenant.admin.delete(path))
    refusal(await bob.get(tenant.path()), 404)
    async with database.transaction() as session:
        told = "select topic, payload->>'role' from outbox where topic like 'member.%' and payload->>'user_id' = :id"
        query = text(f"{told} order by id")
        facts = [tuple(row) for row in await session.execute(query, {"id": bob.id})]
    assert facts == [
        ("member.added", "ORG_STAFF"),
        ("member.role_changed", "ORG_SCANNER"),
        ("member.removed", None),
    ]


async def test_members_are_paged(world: World) -> None:
    tenant = await world.tenant()
    ids = [tenant.admin.id, *[(await world.member(tenant, "ORG_STAFF")).id for _ in range(2)]]
    first = await tenant.admin.get(tenant.path("/members"), params={"limit": 2})
    rest = {"limit": 2, "cursor": first.json()["meta"]["next_cursor"]}
    second = await tenant.admin.get(tenant.path("/members"), params=rest)
    assert [member["user_id"] for member in data(first) + data(second)] == ids


async def test_setting_the_same_role_changes_nothing(world: World, database: Database) -> None:
    tenant = await world.tenant()
    path = tenant.path(f"/members/{tenant.admin.id}")
    assert data(await tenant.admin.patch(path, {"role": "ORG_ADMIN"}))["role"] == "ORG_ADMIN"
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from outbox where topic = 'member.role_changed'")) == 0


async def test_a_member_cannot_be_added_twice(world: World) -> None:
    tenant = await world.tenant()
    bob = await world.member(tenant, "ORG_STAFF")
    body = {"email": bob.email.upper(), "role": "ORG_STAFF"}
    error = refusal(await tenant.admin.post(tenant.path("/members"), body), 409)
    assert (error["code"], error["field"]) == ("already_member", "email")


async def test_the_last_admin_can_neither_leave_nor_be_demoted(world: World) -> None:
    tenant = await world.tenant()
    await world.member(tenant, "ORG_STAFF")
    path = tenant.path(f"/members/{tenant.admin.id}")
    assert refusal(await tenant.admin.delete(path), 409)["code"] == "last_admin"
    assert refusal(await tenant.admin.patch(path, {"role": "ORG_STAFF"}), 409)["code"] == "last_admin"
    assert data(await tenant.admin.get("/me"))["memberships"][0]["role"] == "ORG_ADMIN"


async def test_an_admin_may_leave_when_another_stays(world: World) -> None:
    tenant = await world.tenant()
    await world.member(tenant, "ORG_ADMIN")
    data(await tenant.admin.delete(tenant.path(f"/members/{tenant.admin.id}")))
    refusal(await tenant.admin.get(tenant.path()), 404)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_two_admins_removing_each_other_leave_one(world: World, database: Database, method: str) -> None:
    body = {"json": {"role": "ORG_STAFF"}} if method == "PATCH" else {}
    for _ in range(5):
        tenant = await world.tenant()
        one, other = tenant.admin, await world.member(tenant, "ORG_ADMIN")
        answers = await asyncio.gather(
            one.request(method, tenant.path(f"/members/{other.id}"), **body),
            other.request(method, tenant.path(f"/members/{one.id}"), **body),
        )
        # The slower one is refused under the lock, or has lost the permission before that.
        slower = sorted(answer.status_code for answer in answers)
        assert slower[0] == 200
        assert slower[1] in {403, 404, 409}
        async with database.transaction() as session:
            admins = text("select count(*) from members where organization_id = :id and role = 'ORG_ADMIN'")
            assert await session.scalar(admins, {"id": tenant.id}) == 1


async def test_the_lock_serializes_two_admins_removing_each_other(world: World, database: Database) -> None:
    tenant = await world.tenant()
    one, other = tenant.admin, await world.member(tenant, "ORG_ADMIN")

    def access(person: Any) -> organizations.Access:
        role = organizations.Role.ORG_ADMIN
        return organizations.Access(UUID(tenant.id), f"user:{person.id}", UUID(person.id), role)

    async def remove(who: Any, by: Any) -> None:
        async with database.transaction() as session:
            await members.remove_member(session, access(by), UUID(who.id))

    outcomes = await asyncio.gather(remove(one, other), remove(other, one), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(members.LastAdmin) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "ORG_STAFF"}, "email"),
        ({"email": "bob", "role": "ORG_STAFF"}, "email"),
        ({"email": "bob@example.com"}, "role"),
        ({"email": "bob@example.com", "role": "SUPER_ADMIN"}, "role"),
        ({"email": "bob@example.com", "role": "org_admin"}, "role"),
        ({"email": "bob@example.com", "role": ["ORG_ADMIN"]}, "role"),
        ({"email": "bob@example.com", "role": "ORG_STAFF", "user_id": str(uuid4())}, "user_id"),
    ],
)
async def test_an_invalid_member_names_the_field(world: World, body: dict[str, Any], field: str) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.post(tenant.path("/members"), body), 422)["field"] == field


@pytest.mark.parametrize("role", [None, "", "SUPER_ADMIN", "SUPPORT", 1])
async def test_a_role_that_does_not_exist_is_named(world: World, role: object) -> None:
    tenant = await world.tenant()
    path = tenant.path(f"/members/{tenant.admin.id}")
    assert refusal(await tenant.admin.patch(path, {"role": role}), 422)["field"] == "role"


async def test_an_unknown_member_is_not_found(world: World) -> None:
    tenant, stranger = await world.tenant(), await world.person()
    for user_id in (stranger.id, str(uuid4())):
        path = tenant.path(f"/members/{user_id}")
        refusal(await tenant.admin.patch(path, {"role": "ORG_STAFF"}), 404)
        refusal(await tenant.admin.delete(path), 404)
    assert refusal(await tenant.admin.delete(tenant.path("/members/7")), 422)["field"] == "user_id"


@pytest.mark.parametrize("role", ["ORG_ADMIN", "ORG_STAFF"])
async def test_roles_above_ones_own_cannot_be_granted_or_removed(world: World, database: Database, role: str) -> None:
    """Holds even if the permission table ever lets roles other than admins edit members."""
    tenant, bob = await world.tenant(), await world.person("bob")
    above = await world.member(tenant, role)
    lesser = organizations.Role.ORG_STAFF if role == "ORG_ADMIN" else organizations.Role.ORG_SCANNER
    access = organizations.Access(UUID(tenant.id), "user:x", uuid4(), lesser)
    attempts = (
        lambda session: invitations.invite(session, access, bob.email, organizations.Role(role)),
        lambda session: members.change_role(session, access, UUID(above.id), organizations.Role.ORG_SCANNER),
        lambda session: members.remove_member(session, access, UUID(above.id)),
    )
    for attempt in attempts:
        with pytest.raises(RoleTooHigh):
            async with database.transaction() as session:
                await attempt(session)
