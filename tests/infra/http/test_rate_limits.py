"""Rate limits as clients see them: what is counted, in which class, and what the response says about it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.machine import stretched
from tests.support.world import API, PASSWORD, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.infra.http.rate_limiter import Bucket, Rate, Verdict
from ticketing.infra.redis import connect_for_limits
from ticketing.main import create_app
from ticketing.modules import payments
from ticketing.rate_limits import OFFICE, RATE_LIMIT_CLASSES, READ, SALE, SIGN_IN, Dimension, RateLimitClass


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": "on"})


@pytest.fixture
async def fresh(settings: Settings) -> None:
    """Reset all limits: tests share a Valkey and a client address."""
    redis = connect_for_limits(settings)
    await redis.flushdb()
    await redis.aclose()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, fresh: None) -> Callable[..., None]:
    """Return a function that sets limits of a class so low that a test can exceed them."""

    def narrow(limits: RateLimitClass, per_minute: int = 60, **rates: int) -> None:
        for dimension, burst in rates.items():
            monkeypatch.setitem(limits.rates, Dimension(dimension), Rate(per_minute, burst))

    return narrow


async def test_a_429_says_when_to_retry(client: httpx2.AsyncClient, narrow: Callable[..., None]) -> None:
    narrow(READ, address=3)
    path = f"{API}/events?from=2027-01-01T00:00:00Z"  # a search that is not cached: responses from memory have no limit
    answers = [await client.get(path) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    assert 1 <= int(answers[-1].headers["RateLimit-Reset"]) <= 3
    error = refusal(answers[-1], 429)
    assert (error["code"], error["limit"], error["lane"]) == ("rate_limited", "address", "read")
    assert answers[-1].headers["Retry-After"] == "1"
    await asyncio.sleep(1.05)
    data(await client.get(path))


async def test_probes_are_not_limited(client: httpx2.AsyncClient, narrow: Callable[..., None]) -> None:
    narrow(READ, address=1)
    for _ in range(5):
        answer = await client.get("/health/live")
        assert answer.status_code == 200
        assert "RateLimit-Limit" not in answer.headers


async def test_a_429_is_not_stored_under_its_idempotency_key(world: World, narrow: Callable[..., None]) -> None:
    person = await world.person()
    narrow(OFFICE, user=1)
    body, key = {"name": "Hall", "slug": f"hall-{uuid4().hex[:8]}"}, uuid4().hex
    data(await person.post("/orgs", {**body, "slug": f"first-{uuid4().hex[:8]}"}), 201)
    assert refusal(await person.post("/orgs", body, key=key), 429)["limit"] == "user"
    await asyncio.sleep(1.05)
    data(await person.post("/orgs", body, key=key), 201)


async def test_two_users_behind_one_address_have_separate_limits(world: World, narrow: Callable[..., None]) -> None:
    first, second = await world.person(), await world.person()
    narrow(READ, user=1)
    data(await first.get("/me"))
    assert refusal(await first.get("/me"), 429)["limit"] == "user"
    data(await second.get("/me"))


async def test_password_guessing_limits_one_address_but_not_the_account(
    app: FastAPI, client: httpx2.AsyncClient, world: World, narrow: Callable[..., None]
) -> None:
    person = await world.person()
    narrow(SIGN_IN, knocker=2)
    for spelling in (person.email, f" {person.email.upper()} "):
        await client.post(f"{API}/auth/login", json={"email": spelling, "password": "wrong wrong wrong"})
    right = {"email": person.email, "password": PASSWORD}
    assert refusal(await client.post(f"{API}/auth/login", json=right), 429)["limit"] == "knocker"
    transport = httpx2.ASGITransport(app, client=("198.51.100.7", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as elsewhere:
        data(await elsewhere.post(f"{API}/auth/login", json=right))


async def test_a_rush_on_one_event_does_not_limit_other_events(world: World, narrow: Callable[..., None]) -> None:
    tenant = await world.tenant()
    rushed, quiet = await world.show(tenant), await world.show(tenant)
    buyer = await world.person()
    narrow(SALE, event=1)
    await world.hold(buyer, rushed, rushed.labels[0])
    body = {"event_id": rushed.id.upper(), "seats": [rushed.labels[1]]}
    assert refusal(await buyer.post("/reservations", body), 429)["limit"] == "event"
    await world.hold(buyer, quiet, quiet.labels[0])


async def test_buyers_do_not_slow_down_check_in(world: World, narrow: Callable[..., None]) -> None:
    show = await world.show()
    narrow(SALE, address=1, user=1)
    narrow(READ, address=1, user=1)
    for _ in range(3):
        await show.tenant.admin.get("/me")
        data(await show.tenant.admin.get(show.path("/check-ins/stats")))


async def test_an_invalid_token_counts_by_address_only(client: httpx2.AsyncClient, narrow: Callable[..., None]) -> None:
    narrow(READ, address=2)
    headers = [{"Authorization": f"Bearer {n}"} for n in range(3)]
    statuses = [(await client.get(f"{API}/me", headers=each)).status_code for each in headers]
    assert statuses == [401, 401, 429]


async def test_payment_webhooks_are_not_limited(client: httpx2.AsyncClient, narrow: Callable[..., None]) -> None:
    for limits in RATE_LIMIT_CLASSES:
        narrow(limits, address=1)
    answers = [await client.post(f"{API}/payments/webhooks/mock", content=b"{}") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 5


@pytest.fixture
async def without_redis(settings: Settings, narrow: Callable[..., None]) -> AsyncIterator[World]:
    """An app whose Redis is unreachable, with a limit of three requests for everything."""
    for limits in RATE_LIMIT_CLASSES:
        narrow(limits, per_minute=1, address=3)  # even on a slow machine, a fourth request is refused
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9"}))
    payments.use_transport(httpx2.ASGITransport(app))
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://test") as one:
        yield World(one)
    payments.use_transport(None)


async def test_without_redis_reads_pass_and_login_and_holds_are_limited(without_redis: World) -> None:
    begun = time.monotonic()
    person = await without_redis.person()
    for _ in range(10):
        data(await person.get("/me"))
    login = [await without_redis.client.post(f"{API}/auth/login", json={"email": "a@b.example"}) for _ in range(3)]
    assert [answer.status_code for answer in login] == [422, 422, 429]
    hold: dict[str, Any] = {"event_id": str(uuid4()), "seats": ["A-1"]}
    assert [(await person.post("/reservations", hold)).status_code for _ in range(4)] == [404, 404, 404, 429]
    assert time.monotonic() - begun < stretched(10)


async def test_nothing_is_counted_when_rate_limits_are_off(settings: Settings, narrow: Callable[..., None]) -> None:
    narrow(READ, address=1)
    app = create_app(settings.model_copy(update={"rate_limits": "off"}))
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://test") as one:
        for _ in range(3):
            assert "RateLimit-Limit" not in (await one.get(f"{API}/events")).headers


def test_retry_after_is_at_least_one_whole_second() -> None:
    bucket = Bucket("limit:x", "user", Rate(60, 1))
    assert Verdict(bucket, 0, 1, 0).retry_after_seconds == 1
    assert Verdict(bucket, 0, 1_000_001, 0).retry_after_seconds == 2
