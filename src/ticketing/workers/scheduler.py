"""Periodic jobs: sweep lapsed holds, maintain the partitions of the log, retry provider webhooks that came too early.

Correctness does not depend on them running on time: a lapsed hold is free at that instant, swept or not.
"""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from psycopg.errors import LockNotAvailable
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.infra.outbox import HORIZON, Horizon
from ticketing.infra.system.retry import OUTAGES
from ticketing.infra.system.sleep import pause
from ticketing.modules import events, payments, privacy, reservations
from ticketing.workers import cleaning, lag_metrics
from ticketing.workers.cleaning import Job

#: Partitions are created this many days ahead: the scheduler may be down for a long weekend.
PARTITIONS_AHEAD_DAYS = 3
#: How often the wall clock is compared with the monotonic one, and a difference that is a jump and no correction.
JUMP_CHECK_SECONDS = 1.0
JUMP_SECONDS = 2.0
LOCK_TRIES_MAX = 20
LOCK_PAUSE_SECONDS = 0.2

_log = log.get_logger(__name__)


async def expire_reservations(session: AsyncSession, settings: Settings) -> int:
    return await reservations.expire_due(session)


async def end_cancelled_holds(session: AsyncSession, settings: Settings) -> int:
    return await reservations.end_holds_of_cancelled_events(session)


async def keep_partitions(session: AsyncSession, settings: Settings) -> int:
    await session.execute(text("select make_outbox_partitions(:days)"), {"days": PARTITIONS_AHEAD_DAYS})
    return 0


async def drop_partitions(session: AsyncSession, settings: Settings) -> int:
    """Take one step of dropping a partition that is old enough and that every reader has read to the end.

    Partitions are detached in one transaction and dropped in the next, and none is made in the same transaction: so no
    lock that readers or writers need is held while another one is waited for, or while files are removed.
    """
    parameters = {"days": settings.outbox_retention_days, "over_kafka": settings.is_distributed}
    return int(await session.scalar(text("select drop_outbox_partitions(:days, :over_kafka)"), parameters) or 0)


async def record_horizon(session: AsyncSession, settings: Settings) -> int:
    """Record where a window of the log may end, for a feed that reads it later; deleted with the log itself."""
    days = timedelta(days=settings.outbox_retention_days + 1)
    await session.execute(delete(Horizon).where(Horizon.seen_at < func.now() - days))
    await session.execute(insert(Horizon).values(xid=HORIZON).on_conflict_do_nothing())
    return 0


async def complete_events(session: AsyncSession, settings: Settings) -> int:
    return await events.complete_past_events(session)


async def retry_webhooks(session: AsyncSession, settings: Settings) -> int:
    return await payments.retry_waiting_event(session)


async def forget_old_buyers(session: AsyncSession, settings: Settings) -> int:
    return await privacy.forget_old_buyers(session)


async def finish_erasures(session: AsyncSession, settings: Settings) -> int:
    """All in one transaction: at most the people who were erased within the last hour."""
    await privacy.finish_erasures(session)
    return 0


#: Each job and its interval in seconds; None: the setting EXPIRY_SWEEP_SECONDS.
JOBS: dict[str, tuple[Job, float | None]] = {
    "expire_reservations": (expire_reservations, None),
    "end_cancelled_holds": (end_cancelled_holds, 5),
    "retry_webhooks": (retry_webhooks, 10),
    "complete_events": (complete_events, 60),
    "keep_partitions": (keep_partitions, 3600),
    "drop_partitions": (drop_partitions, 3600),
    "note_horizon": (record_horizon, 10),
    "forget_old_buyers": (forget_old_buyers, 3600),
    "finish_erasures": (finish_erasures, 600),
    **cleaning.JOBS,
}


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Run the jobs until `stop` is set; running jobs finish."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    running: set[asyncio.Task[int]] = set()

    async def start(name: str, job: Job) -> None:
        task = asyncio.ensure_future(run_job(name, job, settings, database))
        running.add(task)
        task.add_done_callback(running.discard)
        await task

    for name, (job, seconds) in JOBS.items():
        every = seconds or settings.expiry_sweep_seconds
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        scheduler.add_job(start, "interval", (name, job), seconds=every, id=name, jitter=every / 10, **options)
    await run_job("keep_partitions", keep_partitions, settings, database)
    scheduler.start()
    dropping = asyncio.ensure_future(start("drop_partitions", drop_partitions))
    await asyncio.gather(lag_metrics.run(settings, database, stop), run_jobs_after_jumps(scheduler, stop))
    scheduler.pause()
    await asyncio.gather(dropping, *running, return_exceptions=True)
    scheduler.shutdown(wait=False)


async def run_jobs_after_jumps(scheduler: AsyncIOScheduler, stop: asyncio.Event) -> None:
    """Run every job after a jump of the wall clock, until `stop` is set.

    APScheduler plans by the wall clock: after a jump back by an hour, no job would run for an hour.
    """
    behind = _wall_clock() - time.monotonic()
    while not stop.is_set():
        await pause(JUMP_CHECK_SECONDS, stop)
        before, behind = behind, _wall_clock() - time.monotonic()
        if abs(behind - before) > JUMP_SECONDS:
            _log.warning("wall_clock_jumped", seconds=round(behind - before))
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))


def _wall_clock() -> float:
    return time.time()


async def run_job(name: str, job: Job, settings: Settings, database: Database) -> int:
    """Run a job until nothing is left, one transaction at a time, unless another process runs it; the row count.

    A job that did not get a lock within the database's `lock_timeout` is tried LOCK_TRIES_MAX times. It pauses without
    a transaction, so that what it waits for can go on.
    """
    total = lock_timeouts = 0
    try:
        while True:
            try:
                done = await _run_once(name, job, settings, database)
            except OperationalError as error:
                lock_timeouts += 1
                if not isinstance(error.orig, LockNotAvailable) or lock_timeouts == LOCK_TRIES_MAX:
                    raise
                await asyncio.sleep(LOCK_PAUSE_SECONDS * random.uniform(0.5, 1.5))
                continue
            if not done:
                break
            total += done
    except OUTAGES as error:
        _log.warning("job_waits", job=name, error=type(error).__name__)
    except Exception as error:
        _log.error("job_failed", job=name, exc_info=error)
    if total:
        _log.info("job_done", job=name, rows=total)
    return total


async def _run_once(name: str, job: Job, settings: Settings, database: Database) -> int:
    async with database.transaction() as session:
        await allow_long_statements(session)
        is_ours = await session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(f"job:{name}", 0))))
        done = await job(session, settings) if is_ours else 0
        if done:
            crash_points.at("before_job_commits")
        return done
