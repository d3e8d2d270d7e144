"""The table of permissions, cell by cell: every route of an organization, each role, as a person and as a machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from tests.support.world import API, data
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (they register the examples)
from tests.sweeps.calls.call import examples_of, make, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage
from tests.sweeps.openapi.routes import Route, all_routes, each_route
from ticketing.infra.config import get_settings
from ticketing.main import create_app
from ticketing.modules import iam, organizations
from ticketing.modules.organizations.permissions import HOLDERS, USERS_ONLY, NonMember, Permission

Role = organizations.Role
#: Routes whose path names no organization: the thing that is asked for says which one it is.
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
class Somebody:
    """A row of the test: a role, and how its bearer proves to have it."""

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
async def everybody(app: FastAPI, stage: Stage) -> list[Somebody]:
    """Each role as a person and as a key; support, and a device."""
    people = {Role.ORG_ADMIN: stage.admin, Role.ORG_STAFF: stage.staff, Role.ORG_SCANNER: stage.scanner}
    found = [Somebody(role, f"Bearer {person.token}") for role, person in people.items()]
    for role in people:
        key = data(await stage.admin.post(stage.tenant.path("/api-keys"), {"name": role, "role": role}), 201)
        found.append(Somebody(role, f"ApiKey {key['key']}"))
    supporter = await stage.world.person("support")
    async with app.state.worker_database.transaction() as session:
        user = await iam.find_user(session, supporter.email)
        assert user
        assert await organizations.grant_support(session, user)
    found.append(Somebody(NonMember.SUPPORT, f"Bearer {supporter.token}"))
    return [*found, Somebody(NonMember.DEVICE, f"Device {stage.device['token']}")]


@lru_cache(maxsize=1)
def permissions() -> dict[str, list[Permission]]:
    """What each route's dependencies ask for, by the route's name."""
    found = {}
    for context in iter_route_contexts(create_app(get_settings()).routes):
        if dependant := getattr(context, "dependant", None):
            for method in context.methods or ():
                found[f"{method} {(context.path or '').removeprefix(API)}"] = list(_asked_by(dependant))
    return found


def _asked_by(dependant: Dependant) -> Iterator[Permission]:
    permission = getattr(dependant.call, "permission", None)
    if isinstance(permission, Permission):
        yield permission
    for each in dependant.dependencies:
        yield from _asked_by(each)


def is_of_an_organization(route: Route) -> bool:
    return "org_id" in route.parameters("path")


def is_door(route: Route) -> bool:
    """Whether the document says that a device may knock."""
    return {"Device": []} in route.operation.get("security", [])


def test_every_route_of_an_organization_asks_for_one_permission_and_no_permission_is_idle() -> None:
    asked = {name: permissions()[name] for name, route in all_routes().items() if is_of_an_organization(route)}
    assert {name: found for name, found in asked.items() if len(found) != 1} == {}
    used = {found[0] for found in asked.values()} | set(ELSEWHERE.values())
    assert used == set(Permission) == HOLDERS.keys()


def test_support_holds_nothing_that_changes_anything() -> None:
    changes = [name for name, route in all_routes().items() if is_of_an_organization(route) and route.method != "GET"]
    assert not [name for name in changes if NonMember.SUPPORT in HOLDERS[permissions()[name][0]]]


@each_route(is_of_an_organization)
async def test_the_route_opens_exactly_where_the_table_says(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, everybody: list[Somebody], route: Route
) -> None:
    [permission] = permissions()[route.name]
    maker = next(examples_of(route.name))
    call = await make(maker, stage)
    before = await read_state(app)
    for somebody in everybody:
        if not somebody.may(permission):
            # A device is nobody where no device has any business.
            expected = 401 if somebody.role is NonMember.DEVICE and not is_door(route) else 403
            refused = await send(client, call, headers={"Authorization": somebody.authorization})
            assert refused.status_code == expected, f"{somebody.name}: {refused.text[:500]}"
    assert changed_tables(before, await read_state(app)) == []
    for somebody in everybody:
        if somebody.may(permission):
            call = await make(maker, stage)
            answer = await send(client, call, headers={"Authorization": somebody.authorization})
            assert answer.is_success, f"{somebody.name}: {answer.text[:500]}"


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_a_thing_opens_to_whom_its_organization_lets_see_it(
    client: httpx2.AsyncClient, stage: Stage, everybody: list[Somebody], name: str
) -> None:
    maker = next(examples_of(name))
    for somebody in everybody:
        call = await make(maker, stage)
        answer = await send(client, call, headers={"Authorization": somebody.authorization})
        if somebody.is_machine:
            assert answer.status_code == 401, f"{somebody.name}: only people are served here"
        elif somebody.role is NonMember.SUPPORT:
            assert answer.status_code == 404, "support looks where it leaves a trace, under /orgs"
        elif somebody.may(ELSEWHERE[name]):
            assert answer.is_success, f"{somebody.name}: {answer.text[:500]}"
        else:
            assert answer.status_code == (403 if ELSEWHERE[name] is Permission.REFUND_ORDERS else 404), somebody.name


async def test_a_draft_is_shown_to_members_and_to_no_machine(
    client: httpx2.AsyncClient, stage: Stage, everybody: list[Somebody]
) -> None:
    for somebody in everybody:
        is_member = not somebody.is_machine and somebody.may(Permission.READ_EVENTS) and somebody.role in set(Role)
        headers = {"Authorization": somebody.authorization}
        answer = await client.get(f"{API}/events/{stage.draft.id}", headers=headers)
        assert answer.status_code == (200 if is_member else 404), somebody.name
