"""The table of permissions, cell by cell: every route of an organization, for each role of users and API keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from tests.support.world import API, data
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import build_call, examples_of, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import Route, all_routes, each_route
from ticketing.infra.config import get_settings
from ticketing.main import create_app
from ticketing.modules import iam, organizations
from ticketing.modules.organizations.permissions import HOLDERS, USERS_ONLY, NonMember, Permission

Role = organizations.Role
#: Routes whose path has no organization: the requested resource determines it.
ELSEWHERE = {
    "GET /reservations/{reservation_id}": Permission.READ_RESERVATIONS,
    "GET /orders/{order_id}": Permission.READ_ORDERS,
    "GET /orders/{order_id}/payments": Permission.READ_ORDERS,
    "GET /payments/{payment_id}": Permission.READ_ORDERS,
    "GET /orders/{order_id}/tickets": Permission.READ_TICKETS,
    "GET /orders/{order_id}/tickets.pdf": Permission.READ_TICKETS,
    "GET /tickets/{ticket_id}": Permission.READ_TICKETS,
    "GET /tickets/{ticket_id}/pdf": Permission.READ_TICKETS,
    "GET /tickets/{ticket_id}/qr.svg": Permission.READ_TICKETS,
    "GET /tickets/{ticket_id}/calendar.ics": Permission.READ_TICKETS,
    "POST /tickets/{ticket_id}/transfer": Permission.TRANSFER_TICKETS,
    "POST /orders/{order_id}/refunds": Permission.REFUND_ORDERS,
}


@dataclass(frozen=True)
class Caller:
    """A role, and credentials that have it."""

    role: organizations.Role | NonMember
    authorization: str

    @property
    def is_machine(self) -> bool:
        return not self.authorization.startswith("Bearer")

    @property
    def name(self) -> str:
        return f"{self.role} by {self.authorization.split()[0]}"

    def may(self, permission: Permission) -> bool:
        return self.role in HOLDERS[permission] and not (self.is_machine and permission in USERS_ONLY)


@pytest.fixture(scope="module")
async def callers(app: FastAPI, tenant: FullTenant) -> list[Caller]:
    """Each role as a user and as an API key, support, and a device."""
    people = {Role.ORG_ADMIN: tenant.admin, Role.ORG_STAFF: tenant.staff, Role.ORG_SCANNER: tenant.scanner}
    found = [Caller(role, f"Bearer {person.token}") for role, person in people.items()]
    for role in people:
        key = data(await tenant.admin.post(tenant.organization.path("/api-keys"), {"name": role, "role": role}), 201)
        found.append(Caller(role, f"ApiKey {key['key']}"))
    supporter = await tenant.world.person("support")
    async with app.state.worker_database.transaction() as session:
        user = await iam.find_user(session, supporter.email)
        assert user
        assert await organizations.grant_support(session, user)
    found.append(Caller(NonMember.SUPPORT, f"Bearer {supporter.token}"))
    return [*found, Caller(NonMember.DEVICE, f"Device {tenant.device['token']}")]


@lru_cache(maxsize=1)
def permissions() -> dict[str, list[Permission]]:
    """The permissions that the dependencies of each route require, by the name of the route."""
    found = {}
    for context in iter_route_contexts(create_app(get_settings()).routes):
        if dependant := getattr(context, "dependant", None):
            for method in context.methods or ():
                found[f"{method} {(context.path or '').removeprefix(API)}"] = list(_permissions_of(dependant))
    return found


def _permissions_of(dependant: Dependant) -> Iterator[Permission]:
    permission = getattr(dependant.call, "permission", None)
    if isinstance(permission, Permission):
        yield permission
    for each in dependant.dependencies:
        yield from _permissions_of(each)


def is_of_an_organization(route: Route) -> bool:
    return "org_id" in route.parameters("path")


def accepts_devices(route: Route) -> bool:
    """Whether the document lists device tokens for the route."""
    return {"Device": []} in route.operation.get("security", [])


def test_every_route_of_an_organization_requires_one_permission_and_every_permission_is_used() -> None:
    required = {name: permissions()[name] for name, route in all_routes().items() if is_of_an_organization(route)}
    assert {name: found for name, found in required.items() if len(found) != 1} == {}
    used = {found[0] for found in required.values()} | set(ELSEWHERE.values())
    assert used == set(Permission) == HOLDERS.keys()


def test_support_has_read_permissions_only() -> None:
    changes = [name for name, route in all_routes().items() if is_of_an_organization(route) and route.method != "GET"]
    assert not [name for name in changes if NonMember.SUPPORT in HOLDERS[permissions()[name][0]]]


@each_route(is_of_an_organization)
async def test_a_route_is_open_to_exactly_the_roles_of_the_table(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, callers: list[Caller], route: Route
) -> None:
    [permission] = permissions()[route.name]
    build = next(examples_of(route.name))
    call = await build_call(build, tenant)
    before = await read_state(app)
    for caller in callers:
        if not caller.may(permission):
            # Routes that do not accept device tokens treat a device as unauthenticated.
            expected = 401 if caller.role is NonMember.DEVICE and not accepts_devices(route) else 403
            refused = await send(client, call, headers={"Authorization": caller.authorization})
            assert refused.status_code == expected, f"{caller.name}: {refused.text[:500]}"
    assert changed_tables(before, await read_state(app)) == []
    for caller in callers:
        if caller.may(permission):
            call = await build_call(build, tenant)
            response = await send(client, call, headers={"Authorization": caller.authorization})
            assert response.is_success, f"{caller.name}: {response.text[:500]}"


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_a_route_without_an_organization_checks_the_permissions_of_its_resource(
    client: httpx2.AsyncClient, tenant: FullTenant, callers: list[Caller], name: str
) -> None:
    build = next(examples_of(name))
    for caller in callers:
        call = await build_call(build, tenant)
        response = await send(client, call, headers={"Authorization": caller.authorization})
        if caller.is_machine:
            assert response.status_code == 401, f"{caller.name}: only users are accepted here"
        elif caller.role is NonMember.SUPPORT:
            assert response.status_code == 404, "support reads under /orgs only, where its access is audited"
        elif caller.may(ELSEWHERE[name]):
            assert response.is_success, f"{caller.name}: {response.text[:500]}"
        else:
            assert response.status_code == (403 if ELSEWHERE[name] is Permission.REFUND_ORDERS else 404), caller.name


async def test_a_draft_is_visible_to_members_and_to_no_machine(
    client: httpx2.AsyncClient, tenant: FullTenant, callers: list[Caller]
) -> None:
    for caller in callers:
        is_member = not caller.is_machine and caller.may(Permission.READ_EVENTS) and caller.role in set(Role)
        headers = {"Authorization": caller.authorization}
        response = await client.get(f"{API}/events/{tenant.draft.id}", headers=headers)
        assert response.status_code == (200 if is_member else 404), caller.name
