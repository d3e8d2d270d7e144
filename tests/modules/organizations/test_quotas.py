"""Quotas: the limit of each is exact when requests arrive at once, and what is given back can be used again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import pytest

from tests.modules.venues.plans import plan
from tests.support.world import Show, World, data
from ticketing.infra.config import get_settings
from ticketing.modules.organizations import Quota

Request = Callable[[], Awaitable[httpx2.Response]]
AT_ONCE, LIMIT = 6, 4


class Case(NamedTuple):
    """A request that adds `counted` to a quota, and how many there are before the first one."""

    send: Request
    used: int = 0
    counted: int = 1
    status: int = 422
    code: str = "limit_exceeded"


def _name() -> str:
    return uuid4().hex


async def _case(world: World, show: Show, quota: Quota) -> Case:
    tenant, admin = show.tenant, show.tenant.admin
    draft = {"title": "Draft", "starts_at": "2030-01-01T00:00:00Z", "timezone": "Europe/Amsterdam", "currency": "EUR"}
    match quota:
        case Quota.ORGANIZATIONS:
            return Case(lambda: admin.post("/orgs", {"name": "More", "slug": f"m-{_name()}"}), 1)
        case Quota.MEMBERS:
            path = tenant.path("/invitations")
            return Case(lambda: admin.post(path, {"email": f"{_name()}@example.com", "role": "ORG_SCANNER"}), 1)
        case Quota.API_KEYS:
            return Case(lambda: admin.post(tenant.path("/api-keys"), {"name": "Key", "role": "ORG_STAFF"}))
        case Quota.VENUES:
            return Case(lambda: admin.post(tenant.path("/venues"), {"name": "Field", "timezone": "UTC"}), 1)
        case Quota.PLAN_SEATS:  # the plan has six seats, and so has the venue of the show
            return Case(lambda: admin.post(tenant.path("/venues/import?format=pretix"), plan()), 6, 6)
        case Quota.EVENTS:
            return Case(lambda: admin.post(tenant.path("/events"), draft), 1)
        case Quota.DRAFTS:
            return Case(lambda: admin.post(tenant.path("/events"), draft))
        case Quota.EVENT_SEATS:
            body = {**draft, "venue_id": show.venue_id}
            made = [data(await admin.post(tenant.path("/events"), body), 201)["id"] for _ in range(2 * AT_ONCE)]
            events = iter(made)
            return Case(lambda: admin.post(tenant.path(f"/events/{next(events)}/seats/sync")), 6, 6)
        case Quota.TICKET_TYPES:
            kind = {"price": 1, "capacity": 1}
            return Case(lambda: admin.post(show.path("/ticket-types"), {"name": _name(), **kind}), 1)
        case Quota.DEVICES:
            return Case(lambda: admin.post(show.path("/devices"), {"name": "Phone"}))
        case Quota.WEBHOOKS:
            path, url = tenant.path("/webhooks"), {"url": "https://hooks.example.com/"}
            return Case(lambda: admin.post(path, url), 0, 1, 409, "too_many_webhooks")


@pytest.fixture
def set_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Quota, int], None]]:
    def change(quota: Quota, limit: int) -> None:
        monkeypatch.setenv(quota.setting.upper(), str(limit))
        get_settings.cache_clear()

    yield change
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.parametrize("quota", Quota, ids=lambda quota: quota.name.lower())
async def test_requests_at_once_stay_within_every_quota(
    world: World, set_limit: Callable[[Quota, int], None], quota: Quota
) -> None:
    show = await world.show(rows=2, seats=3)
    case = await _case(world, show, quota)
    limit = case.used + case.counted * (LIMIT - 1) + case.counted - 1  # one seat short of room for LIMIT plans
    set_limit(quota, limit)
    responses = await asyncio.gather(*[case.send() for _ in range(AT_ONCE)])
    refused = [response for response in responses if not response.is_success]
    assert len(refused) == AT_ONCE - (LIMIT - 1)
    for response in refused:
        (error,) = response.json()["errors"]
        assert (response.status_code, error["code"]) == (case.status, case.code)
        assert (error["counted"], error["limit"]) == (quota.name.lower(), limit)
        assert f"{limit:,} {quota.noun}" in error["message"]
    set_limit(quota, limit + case.counted)
    assert (await case.send()).is_success
    assert not (await case.send()).is_success


async def test_what_is_given_back_can_be_used_again(world: World, set_limit: Callable[[Quota, int], None]) -> None:
    show = await world.show()
    admin, tenant = show.tenant.admin, show.tenant
    cases: dict[Quota, tuple[str, Any, str]] = {
        Quota.API_KEYS: (tenant.path("/api-keys"), {"name": "Key", "role": "ORG_STAFF"}, "delete"),
        Quota.DEVICES: (show.path("/devices"), {"name": "Phone"}, "delete"),
        Quota.WEBHOOKS: (tenant.path("/webhooks"), {"url": "https://hooks.example.com/"}, "delete"),
        Quota.DRAFTS: (
            tenant.path("/events"),
            {"title": "Draft", "starts_at": "2030-01-01T00:00:00Z", "timezone": "UTC", "currency": "EUR"},
            "cancel",
        ),
    }
    for quota, (path, body, ending) in cases.items():
        set_limit(quota, 1)
        made = data(await admin.post(path, body), 201)
        assert not (await admin.post(path, body)).is_success
        own = f"{path}/{made['id']}"
        data(await (admin.post(f"{own}/cancel") if ending == "cancel" else admin.delete(own)))
        data(await admin.post(path, body), 201)
