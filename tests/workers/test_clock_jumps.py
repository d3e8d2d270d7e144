"""Scheduled jobs run after a jump of the machine's wall clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.workers import scheduler


@pytest.mark.parametrize(("jump", "runs"), [(-3600, True), (3600, True), (0.5, False)])
async def test_jobs_run_at_once_after_a_jump_of_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch, jump: float, runs: bool
) -> None:
    monkeypatch.setattr(scheduler, "JUMP_CHECK_SECONDS", 0.01)
    compared = [0]

    def wall_clock() -> float:
        compared[0] += 1
        return time.time() + (jump if compared[0] > 3 else 0)

    monkeypatch.setattr(scheduler, "_wall_clock", wall_clock)
    ran, stop, jobs = asyncio.Event(), asyncio.Event(), AsyncIOScheduler(timezone="UTC")

    async def job() -> None:
        ran.set()

    # The state after a jump back: the next run is planned for a time that is an hour away.
    jobs.add_job(job, "interval", seconds=3600, next_run_time=datetime.now(UTC) + timedelta(hours=1))
    jobs.start()
    watching = asyncio.create_task(scheduler.run_jobs_after_jumps(jobs, stop))
    async with asyncio.timeout(PATIENCE_SECONDS):
        if runs:
            await ran.wait()
        while compared[0] < 20:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)
    stop.set()
    await watching
    jobs.shutdown()
    assert ran.is_set() is runs
