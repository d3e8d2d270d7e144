"""The rate limiter: exact across processes, all or nothing, and local while Redis is away."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from tests.support.machine import stretched
from tests.support.silent_server import silent_server
from ticketing.infra.config import Settings
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.http import rate_limiter
from ticketing.infra.http.rate_limiter import Bucket, LocalRateLimiter, Rate, RateLimiter
from ticketing.infra.redis import connect_for_limits


@pytest.fixture
async def limiter(settings: Settings) -> AsyncIterator[RateLimiter]:
    limiter = RateLimiter(connect_for_limits(settings))
    yield limiter
    await limiter.close()


def bucket(name: str, per_minute: int, burst: int) -> Bucket:
    return Bucket(f"limit:test:{name}:{uuid4().hex}", name, Rate(per_minute, burst))


async def take(limiter: RateLimiter, *buckets: Bucket) -> rate_limiter.Verdict:
    verdict = await limiter.check(buckets)
    assert verdict is not None
    return verdict


async def test_a_burst_passes_and_then_the_rate_applies(limiter: RateLimiter) -> None:
    mine = bucket("user", 600, 3)  # one per 0.1 s
    verdicts = [await take(limiter, mine) for _ in range(4)]
    assert [v.is_allowed for v in verdicts] == [True, True, True, False]
    assert [v.remaining for v in verdicts] == [2, 1, 0, 0]
    assert 0 < verdicts[-1].wait_us <= 100_000
    await asyncio.sleep(verdicts[-1].wait_us / 1_000_000)
    assert (await take(limiter, mine)).is_allowed
    assert not (await take(limiter, mine)).is_allowed


async def test_a_refused_request_takes_nothing_from_other_limits(limiter: RateLimiter) -> None:
    wide, narrow = bucket("address", 60, 100), bucket("user", 60, 1)
    assert (await take(limiter, wide, narrow)).is_allowed
    for _ in range(20):
        refused = await take(limiter, wide, narrow)
        assert (refused.is_allowed, refused.bucket.name) == (False, "user")
    assert (await take(limiter, wide)).remaining == 98


async def test_the_verdict_reports_the_tightest_limit(limiter: RateLimiter) -> None:
    verdict = await take(limiter, bucket("address", 60, 100), bucket("user", 60, 5), bucket("tenant", 60, 50))
    assert (verdict.bucket.name, verdict.remaining) == ("user", 4)
    assert dict(verdict.headers) == {
        b"ratelimit-limit": b"5",
        b"ratelimit-remaining": b"4",
        b"ratelimit-reset": b"1",
    }


async def test_a_refilled_bucket_expires(limiter: RateLimiter, settings: Settings) -> None:
    mine = bucket("user", 60_000, 10)
    await take(limiter, mine)
    async with Redis.from_url(settings.redis_url) as redis:
        assert await redis.pttl(mine.key) <= 1
        await asyncio.sleep(0.01)
        assert not await redis.exists(mine.key)


async def test_two_processes_at_ten_times_the_rate_are_exact_to_two_percent(settings: Settings) -> None:
    # 20 per second; a machine that stalls for less than the five seconds of the burst does not change the result.
    rate, seconds = Rate(per_minute=1_200, burst=100), 4
    arguments = (f"limit:test:{uuid4().hex}", rate.per_minute, rate.burst, seconds, rate.per_minute / 60 * 5)
    command = [sys.executable, "-m", "tests.infra.http.rate_limit_client", *map(str, arguments)]
    environment = {**os.environ, "REDIS_URL": settings.redis_url}
    clients = [await asyncio.create_subprocess_exec(*command, stdout=PIPE, env=environment) for _ in range(2)]
    found = [json.loads((await client.communicate())[0]) for client in clients]
    lasted = max(one["ended"] for one in found) - min(one["begun"] for one in found)
    fair = rate.burst + lasted * rate.per_minute / 60
    assert sum(one["sent"] for one in found) > 3 * fair
    assert sum(one["allowed"] for one in found) == pytest.approx(fair, rel=0.02)


async def test_without_redis_the_process_counts_and_no_request_waits(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rate_limiter, "PAUSE_SECONDS", 0.3)
    mine, other = bucket("user", 60, 5), bucket("user", 60, 5)
    with EmbeddedValkey(tmp_path / "valkey") as server:
        limiter = RateLimiter(connect_for_limits(settings.model_copy(update={"redis_url": server.url()})))
        assert (await take(limiter, mine)).remaining == 4
    begun = time.monotonic()
    assert [(await take(limiter, mine)).is_allowed for _ in range(7)] == [True] * 5 + [False] * 2
    assert await limiter.check([other], is_kept_without_redis=False) is None
    assert time.monotonic() - begun < stretched(0.5)
    with EmbeddedValkey(tmp_path / "valkey") as server:
        limiter._redis.connection_pool.connection_kwargs.update(_address(server))
        await asyncio.sleep(0.35)
        assert (await take(limiter, other)).remaining == 4
    await limiter.close()


def _address(server: EmbeddedValkey) -> dict[str, object]:
    connection = Redis.from_url(server.url()).connection_pool.connection_kwargs
    return {key: value for key, value in connection.items() if key in {"host", "port", "path", "password"}}


async def test_a_hanging_redis_delays_one_request_only(settings: Settings) -> None:
    async with silent_server() as port:
        limiter = RateLimiter(
            connect_for_limits(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}"}))
        )
        begun = time.monotonic()
        for _ in range(100):
            assert (await take(limiter, bucket("user", 60, 5))).is_allowed
        assert time.monotonic() - begun < stretched(1)
        await limiter.close()


def test_local_limits_use_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limiter, "LOCAL_BUCKETS_MAX", 10)
    local, mine = LocalRateLimiter(), bucket("user", 60, 1)
    assert local.check([mine]).is_allowed
    for _ in range(9):
        local.check([bucket("user", 60, 1)])
    assert not local.check([mine]).is_allowed
    for _ in range(100):
        local.check([bucket("user", 60, 1)])
    assert len(local._full_at) == 10


def test_local_limits_take_all_or_nothing() -> None:
    local, wide, narrow = LocalRateLimiter(), bucket("address", 60, 100), bucket("user", 60, 1)
    assert local.check([wide, narrow]).is_allowed
    refused = [local.check([wide, narrow]) for _ in range(20)]
    assert {verdict.bucket.name for verdict in refused} == {"user"}
    assert local.check([wide]).remaining == 98
