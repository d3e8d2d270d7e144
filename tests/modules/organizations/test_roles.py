"""The permissions of each role under /orgs/{org_id}, cell by cell."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.support.world import API, Person, Tenant, World, data, refusal

ROLES = ("ORG_ADMIN", "ORG_STAFF", "ORG_SCANNER")


@dataclass
class Cell:
    """One route; `allowed` are the roles that may use it, and `status` is what they get."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    status: int = 200
    allowed: set[str] = field(default_factory=lambda: {"ORG_ADMIN"})

    def __str__(self) -> str:
        return f"{self.method} {self.path or '/'}"


CELLS = [
    Cell("GET", "", allowed=set(ROLES)),
    Cell("PATCH", "", {"name": "New Name"}),
    Cell("GET", "/audit-log"),
    Cell("GET", "/members"),
    Cell("POST", "/members", {"email": "{newcomer}", "role": "ORG_STAFF"}, 201),
    Cell("PATCH", "/members/{colleague}", {"role": "ORG_STAFF"}),
    Cell("DELETE", "/members/{colleague}"),
    Cell("GET", "/api-keys"),
    Cell("POST", "/api-keys", {"name": "Till", "role": "ORG_SCANNER"}, 201),
    Cell("DELETE", "/api-keys/{key}"),
]


async def _ask(world: World, tenant: Tenant, cell: Cell, headers: dict[str, str]) -> httpx2.Response:
    wanted = f"{cell.path} {cell.body}"
    names = {
        "colleague": (await world.member(tenant, "ORG_SCANNER")).id if "{colleague}" in wanted else "",
        "newcomer": (await world.person()).email if "{newcomer}" in wanted else "",
        "key": (await _api_key(tenant, "ORG_STAFF"))["id"] if "{key}" in wanted else "",
    }
    body = cell.body and {name: str(value).format(**names) for name, value in cell.body.items()}
    url = f"{API}{tenant.path(cell.path.format(**names))}"
    return await world.client.request(cell.method, url, json=body, headers=headers)


def _bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def _machine(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"ApiKey {key['key']}"}


async def _api_key(tenant: Tenant, role: str) -> dict[str, Any]:
    body = {"name": "Machine", "role": role}
    key: dict[str, Any] = data(await tenant.admin.post(tenant.path("/api-keys"), body), 201)
    return key


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_member_may_do_what_the_role_allows(world: World, cell: Cell) -> None:
    tenant = await world.tenant()
    for role in ROLES:
        answer = await _ask(world, tenant, cell, _bearer(await world.member(tenant, role)))
        if role in cell.allowed:
            data(answer, cell.status)
        else:
            assert refusal(answer, 403)["code"] == "forbidden"


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_key_may_do_what_its_role_allows_except_change_members_and_keys(world: World, cell: Cell) -> None:
    tenant = await world.tenant()
    for role in ROLES:
        answer = await _ask(world, tenant, cell, _machine(await _api_key(tenant, role)))
        is_for_people = cell.method != "GET" and cell.path.startswith(("/members", "/api-keys"))
        if role in cell.allowed and not is_for_people:
            data(answer, cell.status)
        else:
            assert refusal(answer, 403)["code"] == "forbidden"


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_non_members_cannot_tell_whether_an_organization_exists(world: World, cell: Cell) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    nowhere = Tenant(str(uuid4()), "nowhere", tenant.admin)
    path = cell.path.format(colleague=tenant.admin.id, key=uuid4())
    for headers in (_bearer(other.admin), _machine(await _api_key(other, "ORG_ADMIN"))):
        headers["X-Correlation-ID"] = "same"
        urls = [f"{API}{place.path(path)}" for place in (tenant, nowhere)]
        theirs, nobodys = [await world.client.request(cell.method, u, json=cell.body, headers=headers) for u in urls]
        assert refusal(theirs, 404)["code"] == "not_found"
        assert theirs.content == nobodys.content


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_anonymous_callers_are_asked_to_log_in(world: World, cell: Cell) -> None:
    tenant = await world.tenant()
    for authorization in (None, "Bearer x", "ApiKey tk_0_0", "Basic x"):
        headers = {"Authorization": authorization} if authorization else {}
        assert refusal(await _ask(world, tenant, cell, headers), 401)["code"] == "unauthenticated"


async def test_an_invalid_body_reveals_nothing_to_non_members(world: World) -> None:
    tenant, stranger = await world.tenant(), await world.person()
    refusal(await stranger.post(tenant.path("/members"), {"role": 1}), 404)


async def test_an_invalid_id_is_named(world: World) -> None:
    ada = await world.person()
    assert refusal(await ada.get("/orgs/7"), 422)["field"] == "org_id"
