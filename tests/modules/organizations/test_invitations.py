"""Invitations: a membership begins when it is accepted, and until then nothing is known about the person."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.notifications.conftest import settings, smtp
from tests.modules.notifications.smtp_server import SmtpServer, body_of, link_in, token_in
from tests.modules.notifications.test_order_emails import verified
from tests.support.drain import drain
from tests.support.world import API, PASSWORD, Person, Tenant, World, data, invitation_token, refusal
from ticketing.infra.db import Database

__all__ = ["settings", "smtp"]


async def invite(tenant: Tenant, email: str, role: str = "ORG_STAFF", path: str = "/invitations") -> dict[str, Any]:
    invitation: dict[str, Any] = data(await tenant.admin.post(tenant.path(path), {"email": email, "role": role}), 201)
    return invitation


async def memberships(person: Person) -> list[tuple[str, str]]:
    return [(each["organization_id"], each["role"]) for each in data(await person.get("/me"))["memberships"]]


async def test_an_invitation_says_nothing_about_the_person(world: World) -> None:
    tenant, bob = await world.tenant(), await world.person("bob")
    nobody = f"nobody-{uuid4().hex}@example.com"
    shapes = []
    for path in ("/members", "/invitations"):
        for email in (bob.email.upper(), nobody):
            answer = await invite(tenant, email, path=path)
            assert answer["email"] == email.lower()
            shapes.append({**answer, "email": "", "id": "", "created_at": "", "expires_at": ""})
    assert all(shape == shapes[0] for shape in shapes)
    assert shapes[0] == {
        "id": "",
        "email": "",
        "role": "ORG_STAFF",
        "status": "invited",
        "created_at": "",
        "expires_at": "",
    }
    assert await memberships(bob) == []
    refusal(await bob.get(tenant.path()), 404)
    assert len(data(await tenant.admin.get(tenant.path("/members")))) == 1
    assert [each["email"] for each in data(await tenant.admin.get(tenant.path("/invitations")))] == [bob.email, nobody]
    told = str(data(await tenant.admin.get(tenant.path("/audit-log"))))
    assert bob.id not in told
    assert bob.email not in told


async def test_the_emailed_link_shows_the_organization_and_begins_the_membership(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    tenant, eve = await world.tenant("lure"), await world.person("eve")
    newcomer = f"newcomer-{uuid4().hex}@example.com"
    await invite(tenant, newcomer, "ORG_SCANNER")
    await drain(app)
    [email] = smtp.to(newcomer)
    assert email["Subject"] == "You are invited to an organization"
    assert "Lure" not in body_of(email) + body_of(email, "html"), "a name that a stranger chose"
    assert "/account/invitation#" in link_in(email)
    token = token_in(email)
    shown = data(await client.get(f"{API}/invitations/{token}"))
    assert (shown["organization"]["name"], shown["role"]) == ("Lure", "ORG_SCANNER")
    error = refusal(await eve.post(f"/invitations/{token}/accept"), 409)
    assert error["code"] == "invitation_for_other_address"
    body = {"email": newcomer, "password": PASSWORD}
    made = data(await client.post(f"{API}/auth/register", json=body), 201)
    bob = Person(client, made["user"]["id"], newcomer, made["access_token"], made["refresh_token"])
    accepted = data(await bob.post(f"/invitations/{token}/accept"))
    assert (accepted["organization"]["name"], accepted["role"]) == ("Lure", "ORG_SCANNER")
    assert await memberships(bob) == [(tenant.id, "ORG_SCANNER")]
    assert refusal(await bob.post(f"/invitations/{token}/accept"), 422)["code"] == "link_invalid"
    entry = data(await tenant.admin.get(tenant.path("/audit-log")))[0]
    assert (entry["action"], entry["actor"], entry["subject"]) == ("member.added", f"user:{bob.id}", f"user:{bob.id}")


async def test_only_a_verified_address_accepts_in_its_account(app: FastAPI, world: World, database: Database) -> None:
    tenant, bob, squatter = await world.tenant(), await verified(app, world, "bob"), await world.person("squatter")
    for person in (bob, squatter):
        await invite(tenant, person.email)
    [mine] = data(await bob.get("/me/invitations"))
    assert mine["organization"]["id"] == tenant.id
    listed = {each["email"]: each["id"] for each in data(await tenant.admin.get(tenant.path("/invitations")))}
    assert data(await squatter.get("/me/invitations")) == []
    for person, other in ((squatter, squatter), (squatter, bob), (bob, squatter)):
        refusal(await person.post(f"/me/invitations/{listed[other.email]}/accept"), 404)
        refusal(await person.delete(f"/me/invitations/{listed[other.email]}"), 404)
    answers = await asyncio.gather(*(bob.post(f"/me/invitations/{mine['id']}/accept") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert await memberships(bob) == [(tenant.id, "ORG_STAFF")]
    async with database.transaction() as session:
        told = await session.scalar(text("select count(*) from outbox where topic = 'member.added'"))
    assert told == 2  # Bob, and the admin who has made the organization


async def test_invitations_are_replaced_withdrawn_declined_and_expire(
    app: FastAPI, world: World, database: Database
) -> None:
    tenant, bob = await world.tenant(), await verified(app, world, "bob")
    first, second = await invite(tenant, bob.email), await invite(tenant, bob.email, "ORG_SCANNER")
    assert (
        refusal(await bob.post(f"/invitations/{invitation_token(first['id'])}/accept"), 422)["code"] == "link_invalid"
    )
    data(await tenant.admin.delete(tenant.path(f"/invitations/{second['id']}")))
    refusal(await tenant.admin.delete(tenant.path(f"/invitations/{second['id']}")), 404)
    declined = await invite(tenant, bob.email)
    data(await bob.delete(f"/me/invitations/{declined['id']}"))
    expired = await invite(tenant, bob.email)
    async with database.transaction() as session:
        await session.execute(text("update invitations set expires_at = now()"))
    for invitation in (second, declined, expired):
        token = invitation_token(invitation["id"])
        assert refusal(await bob.post(f"/invitations/{token}/accept"), 422)["code"] == "link_invalid"
        refusal(await bob.post(f"/me/invitations/{invitation['id']}/accept"), 404)
    assert await memberships(bob) == []
    assert data(await tenant.admin.get(tenant.path("/invitations"))) == []


async def test_anybody_may_leave_and_remove_nobody_else(world: World) -> None:
    tenant = await world.tenant()
    for role in ("ORG_STAFF", "ORG_SCANNER"):
        bob, colleague = await world.member(tenant, role), await world.member(tenant, role)
        refusal(await bob.delete(tenant.path(f"/members/{colleague.id}")), 403)
        refusal(await bob.patch(tenant.path(f"/members/{bob.id}"), {"role": "ORG_ADMIN"}), 403)
        data(await bob.delete(tenant.path(f"/members/{bob.id}")))
        assert await memberships(bob) == []
    stranger = await world.person()
    refusal(await stranger.delete(tenant.path(f"/members/{stranger.id}")), 404)


async def test_a_stranger_cannot_make_somebody_the_last_admin(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    victim = await verified(app, world, "victim")
    await world.join(tenant, victim, "ORG_SCANNER")
    data(await tenant.admin.patch(tenant.path(f"/members/{victim.id}"), {"role": "ORG_ADMIN"}))
    own = tenant.path(f"/members/{tenant.admin.id}")
    assert refusal(await tenant.admin.delete(own), 409)["code"] == "last_admin"
    assert refusal(await tenant.admin.patch(own, {"role": "ORG_STAFF"}), 409)["code"] == "last_admin"
    data(await victim.post("/me/erase", {"password": PASSWORD}))


async def test_a_new_admin_who_accepts_lets_the_others_go(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    bob = await verified(app, world, "bob")
    await world.join(tenant, bob, "ORG_STAFF")
    data(await tenant.admin.patch(tenant.path(f"/members/{bob.id}"), {"role": "ORG_ADMIN"}))
    [asked] = data(await bob.get("/me/invitations"))
    data(await bob.post(f"/me/invitations/{asked['id']}/accept"))
    data(await tenant.admin.delete(tenant.path(f"/members/{tenant.admin.id}")))
    assert refusal(await bob.post("/me/erase", {"password": PASSWORD}), 409)["code"] == "last_admin"


async def test_a_lower_role_takes_the_open_acceptance_back(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    bob = await verified(app, world, "bob")
    await world.join(tenant, bob, "ORG_STAFF")
    for role in ("ORG_ADMIN", "ORG_SCANNER"):
        data(await tenant.admin.patch(tenant.path(f"/members/{bob.id}"), {"role": role}))
    assert data(await bob.get("/me/invitations")) == []
    assert await memberships(bob) == [(tenant.id, "ORG_SCANNER")]


async def test_a_removed_members_invitations_end(app: FastAPI, world: World) -> None:
    tenant, guest = await world.tenant(), await verified(app, world, "guest")
    chief = await world.member(tenant, "ORG_ADMIN")
    body = {"email": guest.email, "role": "ORG_ADMIN"}
    made = data(await chief.post(tenant.path("/invitations"), body), 201)
    data(await tenant.admin.delete(tenant.path(f"/members/{chief.id}")))
    assert (
        refusal(await guest.post(f"/invitations/{invitation_token(made['id'])}/accept"), 422)["code"] == "link_invalid"
    )


async def test_an_erasure_takes_invitations_along(app: FastAPI, world: World, database: Database) -> None:
    tenant, bob = await world.tenant(), await verified(app, world, "bob")
    await invite(tenant, bob.email)
    assert [each["role"] for each in (await bob.get("/me/export")).json()["invitations"]] == ["ORG_STAFF"]
    data(await bob.post("/me/erase", {"password": PASSWORD}))
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from invitations")) == 0
