"""Creating, listing and changing organizations."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.support.world import World, data, refusal
from ticketing.infra.db import Database


async def test_the_creator_of_an_organization_is_its_admin(world: World) -> None:
    ada = await world.person("ada")
    opened = data(await ada.post("/orgs", {"name": "  Concert Hall ", "slug": "concert-hall"}), 201)
    assert (opened["name"], opened["slug"]) == ("Concert Hall", "concert-hall")
    assert opened["created_at"].endswith("Z")
    assert data(await ada.get(f"/orgs/{opened['id']}")) == opened
    assert data(await ada.get("/orgs")) == [{**opened, "role": "ORG_ADMIN"}]
    brief = {"id": opened["id"], "name": "Concert Hall", "slug": "concert-hall"}
    membership = {"organization_id": opened["id"], "organization": brief, "role": "ORG_ADMIN"}
    assert data(await ada.get("/me"))["memberships"] == [membership]


async def test_a_slug_belongs_to_one_organization(world: World) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    body = {"name": "Hall", "slug": "hall"}
    answers = await asyncio.gather(ada.post("/orgs", body), bob.post("/orgs", body))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    error = refusal(max(answers, key=lambda answer: answer.status_code), 409)
    assert (error["code"], error["field"]) == ("slug_taken", "slug")


async def test_own_organizations_are_paged(world: World) -> None:
    ada = await world.person("ada")
    ids = [data(await ada.post("/orgs", {"name": "Hall", "slug": f"hall-{n}"}), 201)["id"] for n in range(3)]
    first = await ada.get("/orgs", params={"limit": 2})
    assert [organization["id"] for organization in data(first)] == ids[:2]
    second = await ada.get("/orgs", params={"limit": 2, "cursor": first.json()["meta"]["next_cursor"]})
    assert [organization["id"] for organization in data(second)] == ids[2:]
    assert second.json()["meta"] == {"next_cursor": None}


async def test_an_admin_renames_an_organization(world: World, database: Database) -> None:
    tenant = await world.tenant()
    before = data(await tenant.admin.get(tenant.path()))
    after = data(await tenant.admin.patch(tenant.path(), {"name": "New Hall"}))
    assert after == {**before, "name": "New Hall"}
    assert data(await tenant.admin.get(tenant.path())) == after
    data(await tenant.admin.patch(tenant.path(), {"name": "New Hall"}))
    async with database.transaction() as session:
        facts = "select payload from outbox where topic = 'organization.updated'"
        assert [row["name"] for row in await session.scalars(text(facts))] == ["New Hall"], "once: nothing else changed"


async def test_a_slug_is_derived_from_a_name_in_any_script(world: World) -> None:
    ada = await world.person()
    made = [data(await ada.post("/orgs", {"name": "Köln"}), 201)["slug"] for _ in range(7)]
    assert made[:5] == ["koln", "koln-2", "koln-3", "koln-4", "koln-5"]
    assert len(set(made)) == 7
    for name in ("東京ドーム", "x" * 200):
        slugs = {data(await ada.post("/orgs", {"name": name}), 201)["slug"] for _ in range(2)}
        assert len(slugs) == 2
        assert all(len(slug) <= 63 for slug in slugs)


async def test_an_organization_cannot_take_anothers_slug(world: World) -> None:
    one, other = await world.tenant("one"), await world.tenant("other")
    assert refusal(await one.admin.patch(one.path(), {"slug": other.slug}), 409)["code"] == "slug_taken"
    data(await one.admin.patch(one.path(), {"slug": one.slug}))


BAD_SLUGS = [None, 7, "", "Upper", "-start", "end-", "with space", "umläut", "a" * 64, "nul\x00", "line\n"]


async def test_an_invalid_slug_is_named(world: World) -> None:
    tenant = await world.tenant()
    for slug in BAD_SLUGS:
        opened = await tenant.admin.post("/orgs", {"name": "Hall", "slug": slug})
        changed = await tenant.admin.patch(tenant.path(), {"slug": slug})
        assert [refusal(answer, 422)["field"] for answer in (opened, changed)] == ["slug", "slug"], repr(slug)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slug": "hall"}, "name"),
        ({"name": "", "slug": "hall"}, "name"),
        ({"name": "x" * 201, "slug": "hall"}, "name"),
        ({"name": "two\nlines", "slug": "hall"}, "name"),
        ({"name": "Hall", "slug": ""}, "slug"),
        ({"name": "Hall", "slug": "hall", "owner": "me"}, "owner"),
        (["Hall", "hall"], "body"),
        (None, "body"),
    ],
)
async def test_an_invalid_organization_names_the_field_and_creates_nothing(world: World, body: Any, field: str) -> None:
    ada = await world.person("ada")
    assert refusal(await ada.post("/orgs", body), 422)["field"] == field
    assert data(await ada.get("/orgs")) == []


@pytest.mark.parametrize(("body", "field"), [({}, "body"), ({"name": None}, "name"), ({"id": str(uuid4())}, "id")])
async def test_an_invalid_change_names_the_field(world: World, body: dict[str, Any], field: str) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.patch(tenant.path(), body), 422)["field"] == field


#: The two base64 values are `["x"]`, which is not an id, and `["\u0000"]`.
BAD_PAGES = [
    *({"limit": limit} for limit in (0, 101, -1, "many")),
    *({"cursor": cursor} for cursor in ("!", "WyJ4Il0", "WyJcdTAwMDAiXQ", "é", "x" * 2001)),
]


async def test_an_invalid_page_is_named(world: World) -> None:
    tenant = await world.tenant()
    for path in ("/orgs", *(tenant.path(rest) for rest in ("/members", "/api-keys", "/audit-log"))):
        for query in BAD_PAGES:
            answer = await tenant.admin.get(path, params=query)
            assert refusal(answer, 422)["field"] == next(iter(query)), f"{path} {query}"


async def test_thirty_retries_with_one_key_create_one_organization(world: World, database: Database) -> None:
    ada = await world.person("ada")
    body = {"name": "Hall", "slug": "hall"}
    answers = await asyncio.gather(*(ada.post("/orgs", body, key="once") for _ in range(30)))
    made = [answer for answer in answers if answer.status_code == 201]
    late = [answer for answer in answers if answer.status_code != 201]
    assert len([answer for answer in made if "Idempotency-Replayed" not in answer.headers]) == 1
    assert len({answer.content for answer in made}) == 1
    assert {refusal(answer, 409)["code"] for answer in late} <= {"idempotency_in_flight"}
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from organizations")) == 1


async def test_messages_of_an_organization_are_in_order(world: World, database: Database) -> None:
    tenant = await world.tenant()
    async with database.transaction() as session:
        query = text("select topic, key, actor from outbox where organization_id is not null order by id")
        facts = [tuple(row) for row in await session.execute(query)]
    actor = f"user:{tenant.admin.id}"
    assert facts == [("organization.created", tenant.id, actor), ("member.added", tenant.id, actor)]
