"""Support agents read every organization, change none, and are audited."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.support import forking
from tests.support.world import Person, Tenant, World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules import iam, organizations
from ticketing.modules.organizations.support import begin_reading


async def _supporter(world: World, database: Database) -> Person:
    person = await world.person("support")
    await _change(database, person, organizations.grant_support)
    return person


async def _change(database: Database, person: Person, act: Any) -> bool:
    async with database.transaction() as session:
        user = await iam.find_user(session, person.email)
        return bool(await act(session, user))


def _access(tenant: Tenant, supporter: Person) -> organizations.Access:
    support = organizations.NonMember.SUPPORT
    return organizations.Access(UUID(tenant.id), f"user:{supporter.id}", UUID(supporter.id), support)


async def _visits(tenant: Tenant) -> list[dict[str, Any]]:
    entries = data(await tenant.admin.get(tenant.path("/audit-log")))
    return [entry for entry in entries if entry["action"] == "support.read"]


async def test_support_reads_an_organization_without_being_a_member(world: World, database: Database) -> None:
    tenant, supporter = await world.tenant(), await _supporter(world, database)
    assert data(await supporter.get(tenant.path()))["id"] == tenant.id
    me = data(await supporter.get("/me"))
    assert (me["platform_role"], me["memberships"]) == ("SUPPORT", [])
    assert data(await tenant.admin.get("/me"))["platform_role"] is None


async def test_support_changes_nothing(world: World, database: Database) -> None:
    tenant, supporter = await world.tenant(), await _supporter(world, database)
    assert refusal(await supporter.patch(tenant.path(), {"name": "Ours"}), 403)["code"] == "forbidden"
    refusal(await supporter.post(tenant.path("/members"), {"email": supporter.email, "role": "ORG_ADMIN"}), 403)
    assert data(await tenant.admin.get(tenant.path()))["name"] == "Tenant"


async def test_the_database_refuses_changes_by_support(world: World, database: Database) -> None:
    tenant, supporter = await world.tenant(), await _supporter(world, database)
    access = _access(tenant, supporter)
    async with database.transaction() as session:
        await begin_reading(session, access)
        with pytest.raises(DBAPIError, match="read-only transaction"):
            await session.execute(text("update organizations set name = 'Ours'"))
        await session.rollback()


async def test_a_visit_of_support_is_audited_once_per_hour(world: World, database: Database, owner: Database) -> None:
    tenant, other, supporter = await world.tenant(), await world.tenant("other"), await _supporter(world, database)
    await asyncio.gather(*(supporter.get(tenant.path(rest)) for rest in ("", "/members", "/events", "/venues", "")))
    [visit] = await _visits(tenant)
    assert (visit["actor"], visit["subject"]) == (f"user:{supporter.id}", f"organization:{tenant.id}")
    assert visit["address"]
    assert await _visits(other) == []
    async with owner.transaction() as session:
        # Instead of waiting an hour, the owner of the tables moves the earlier entry into the past.
        await session.execute(text("alter table audit_log disable trigger audit_log_append_only"))
        await session.execute(text("update audit_log set created_at = created_at - interval '61 minutes'"))
    data(await supporter.get(tenant.path()))
    assert len(await _visits(tenant)) == 2


async def test_two_concurrent_visits_leave_one_entry(world: World, database: Database) -> None:
    tenant, supporter = await world.tenant(), await _supporter(world, database)

    async def visit() -> None:
        async with database.transaction() as session:
            await begin_reading(session, _access(tenant, supporter))

    async with database.transaction() as session:
        await begin_reading(session, _access(tenant, supporter))
        second = asyncio.create_task(visit())
        await asyncio.wait({second}, timeout=0.5)
        assert not second.done(), "it waits for what the first one writes"
    await second
    assert len(await _visits(tenant)) == 1


async def test_each_of_two_support_agents_is_audited(world: World, database: Database) -> None:
    tenant = await world.tenant()
    one, other = await _supporter(world, database), await _supporter(world, database)
    for person in (one, other, one):
        data(await person.get(tenant.path()))
    assert {visit["actor"] for visit in await _visits(tenant)} == {f"user:{one.id}", f"user:{other.id}"}
    assert len(await _visits(tenant)) == 2


async def test_support_gets_404_for_an_unknown_organization(world: World, database: Database) -> None:
    supporter = await _supporter(world, database)
    refusal(await supporter.get(f"/orgs/{uuid4()}"), 404)


async def test_the_role_of_a_member_applies_to_support_agents(world: World, database: Database) -> None:
    tenant, supporter = await world.tenant(), await _supporter(world, database)
    await world.join(tenant, supporter, "ORG_SCANNER")
    refusal(await supporter.get(tenant.path("/audit-log")), 403)
    assert await _visits(tenant) == []


async def test_revoking_support_takes_effect_at_once(world: World, database: Database) -> None:
    tenant, supporter = await world.tenant(), await _supporter(world, database)
    data(await supporter.get(tenant.path()))
    assert await _change(database, supporter, organizations.revoke_support)
    refusal(await supporter.get(tenant.path()), 404)
    async with database.transaction() as session:
        facts = text("select topic from outbox where payload->>'user_id' = :id and topic like 'support.%' order by id")
        assert list(await session.scalars(facts, {"id": supporter.id})) == ["support.granted", "support.revoked"]


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> Any:
    """Runs `ticketing support …` as an operator does."""

    def run(*arguments: str) -> tuple[int, str]:
        environment = os.environ | {"DATABASE_URL": database_url.replace("+psycopg", "")}
        done = forking.run("ticketing.cli", "support", *arguments, cwd=tmp_path, env=environment)
        return done.returncode, (done.stdout + done.stderr).strip()

    return run


async def test_an_operator_grants_and_revokes_support_with_feedback(world: World, command: Any) -> None:
    tenant, ada = await world.tenant(), await world.person("ada")
    refusal(await ada.get(tenant.path()), 404)
    assert await asyncio.to_thread(command, "grant", ada.email.upper()) == (
        0,
        f"{ada.email} can now read every organization.",
    )
    data(await ada.get(tenant.path()))
    assert await asyncio.to_thread(command, "grant", ada.email) == (
        0,
        f"{ada.email} could already read every organization.",
    )
    assert await asyncio.to_thread(command, "revoke", ada.email) == (0, f"{ada.email} is no longer support.")
    refusal(await ada.get(tenant.path()), 404)
    assert await asyncio.to_thread(command, "revoke", ada.email) == (0, f"{ada.email} was not support.")
    status, said = await asyncio.to_thread(command, "grant", "nobody@example.com")
    assert (status, said) == (1, "ticketing: no account has the address nobody@example.com")
