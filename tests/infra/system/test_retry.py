"""Back-off, retries and the loops that outlast outages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from ticketing.infra import log
from ticketing.infra.system import retry as retry_module
from ticketing.infra.system.retry import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MAX_SECONDS,
    Retry,
    Stopped,
    backoff_seconds,
    log_every_error,
    log_outage,
    max_backoff_seconds,
    retry,
    run_periodically,
    run_until_stopped,
)

_log = log.get_logger(__name__)


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_module, "BACKOFF_FIRST_SECONDS", 0.001)


def failing(*errors: Exception, then: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """Raises these errors one after the other, and returns what `then` returns from then on."""
    left = [*errors]

    async def attempt() -> Any:
        if left:
            raise left.pop(0)
        return then()

    return attempt


def test_backoff_doubles_and_is_capped() -> None:
    delays = [backoff_seconds(n) for n in range(40)]
    assert delays[0] <= BACKOFF_FIRST_SECONDS
    assert max(delays) <= BACKOFF_MAX_SECONDS
    assert delays[20] > 5


def test_backoff_for_postgres_and_redis_is_at_most_one_second() -> None:
    away = OperationalError("select", {}, Exception("gone"))
    for error in (away, RedisError("gone")):
        assert all(backoff_seconds(n, max_backoff_seconds(error)) <= 1 for n in range(40))
    assert backoff_seconds(20, max_backoff_seconds(Retry("a provider"))) > 5


async def test_an_attempt_is_repeated_until_it_succeeds() -> None:
    seen: list[Exception] = []
    first, second = Retry("one"), RuntimeError("two")
    assert await retry(failing(first, second, then=lambda: "done"), seen.append, asyncio.Event()) == "done"
    assert seen == [first, second]


async def test_an_error_that_the_handler_raises_ends_the_retries() -> None:
    with pytest.raises(RuntimeError, match="no outage"):
        await retry(failing(RuntimeError("no outage"), then=str), log_outage(_log, "failed"), asyncio.Event())


async def test_retries_end_when_the_process_stops() -> None:
    stop = asyncio.Event()
    with pytest.raises(Stopped):
        await retry(failing(Retry("away"), then=str), lambda _: stop.set(), stop)


async def test_a_loop_continues_after_an_outage_and_ends_when_stopped() -> None:
    stop = asyncio.Event()
    with capture_logs() as lines:
        step = failing(Retry("away"), OSError("reset"), then=stop.set)
        await run_until_stopped(step, log_outage(_log, "step_failed", group="orders"), stop)
    assert [(line["event"], line["group"], line["error"]) for line in lines] == [
        ("step_failed", "orders", "Retry"),
        ("step_failed", "orders", "OSError"),
    ]


async def test_a_step_ends_its_loop_by_raising_stopped() -> None:
    seen: list[Exception] = []
    await asyncio.wait_for(run_until_stopped(failing(Stopped(), then=str), seen.append), 5)
    assert seen == []


async def test_backoff_starts_anew_after_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[int] = []
    monkeypatch.setattr(retry_module, "BACKOFF_MAX_SECONDS", 0.0)  # every attempt counts as long
    monkeypatch.setattr(retry_module, "backoff_seconds", lambda retries, _: delays.append(retries) or 0)
    await retry(failing(*[Retry("away")] * 3, then=str), lambda _: None, asyncio.Event(), 1)
    assert delays == [0, 0, 0]


async def test_a_periodic_step_runs_again_after_any_error() -> None:
    stop = asyncio.Event()
    with capture_logs() as lines:
        step = failing(Retry("away"), ValueError("a bug"), then=stop.set)
        await asyncio.wait_for(run_periodically(0.001, step, log_every_error(_log, "not_measured"), stop), 5)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("not_measured", "warning"),
        ("not_measured", "error"),
    ]
