"""Runs a rehearsal: copy the event, generate load, check the results; and clean up, however it ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from ticketing import invariants
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, statements
from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS
from ticketing.rehearsal import cleanup, figures, report, scratch_event
from ticketing.rehearsal.assertions import check_assertions
from ticketing.rehearsal.load.processes import LoadProcesses
from ticketing.rehearsal.load.workload import Workload
from ticketing.rehearsal.monitor import Monitor
from ticketing.rehearsal.options import RehearsalError, RehearsalOptions
from ticketing.rehearsal.progress import ProgressDisplay
from ticketing.rehearsal.results import BrokenInvariant, RateLimits, RehearsalResults
from ticketing.rehearsal.scratch_event import ScratchEvent
from ticketing.rehearsal.target import Target
from ticketing.rehearsal.thresholds import evaluate

#: The time that a load process needs to start.
START_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal with its options, and the platform and database it runs on."""

    settings: Settings
    database_url: str
    base_url: str
    options: RehearsalOptions
    progress: ProgressDisplay

    async def run(self) -> bool:
        """Returns True for a go.

        Raises:
            ConfigurationError: the event cannot be rehearsed.
            RehearsalError: the platform or its database is not available, or the rehearsal was interrupted.
        """
        target = Target(self.base_url)
        try:
            await target.check_ready()
            async with _database(self.settings, self.database_url) as database:
                run, organization_id = await scratch_event.create_organization(database)
                try:
                    results = await self._rehearse(database, target, run, organization_id)
                finally:
                    await _delete(database, cleanup.ScratchOrganization(run, organization_id), self.progress)
        finally:
            target.close()
        return self._report(results)

    async def _rehearse(self, database: Database, target: Target, run: str, organization_id: UUID) -> RehearsalResults:
        with self.progress.step("copying the event"):
            event = await scratch_event.copy_event(database, run, organization_id, self.options)
        with self.progress.step(f"{self.options.buyers} accounts"):
            user_ids = await scratch_event.create_accounts(database, run, self.options.buyers)
        await target.check_configuration(event.event_id, user_ids[0])
        rate_limits = await target.detect_rate_limits()
        if rate_limits == "shared":
            self.progress.say("  All buyers share the rate limits of one address, which will slow them: see the notes.")
        began_at = time.time()
        monitor, processes = await self._generate_load(database, event, user_ids)
        self.progress.say("  The last buyer has finished.")
        with self.progress.step("waiting for the log's readers"):
            caught_up = await cleanup.wait_for_readers(database, organization_id, self.options.max_lag_seconds)
        await monitor.sample(database)
        with self.progress.step("checking the data"):
            return await self._collect(database, monitor, processes, began_at, caught_up, rate_limits)

    async def _generate_load(
        self, database: Database, event: ScratchEvent, user_ids: Sequence[UUID]
    ) -> tuple[Monitor, LoadProcesses]:
        opens_at = time.time() + START_SECONDS + self.options.ramp_seconds
        monitor, processes = Monitor(event, opens_at), LoadProcesses()
        what = f"{event.for_sale} for sale, {self.options.buyers} buyers"
        self.progress.say(f"  {what}; the sale opens in {opens_at - time.time():.0f} s")
        sampling = asyncio.create_task(monitor.run(database))
        showing = asyncio.create_task(self.progress.show(event, monitor, processes))
        try:
            await processes.start(self._workloads(event, user_ids, opens_at))
            await processes.wait()
        finally:
            for task in (sampling, showing):
                task.cancel()
            await asyncio.gather(sampling, showing, return_exceptions=True)
            await processes.stop()
        return monitor, processes

    def _workloads(self, event: ScratchEvent, user_ids: Sequence[UUID], opens_at: float) -> list[Workload]:
        options = self.options
        parts = scratch_event.split(user_ids, min(options.processes, len(user_ids)))
        return [
            Workload(
                base_url=self.base_url,
                run=event.run,
                event_id=str(event.event_id),
                labels=event.labels,
                places=event.places,
                quantity_max=event.quantity_max,
                user_ids=[str(user_id) for user_id in ids],
                first_number=first,
                connections=max(1, options.connections // len(parts)),
                seed=options.seed,
                opens_at=opens_at,
                ramp_seconds=options.ramp_seconds,
                herd_seconds=options.herd_seconds,
                think_seconds=options.think_seconds,
                limit_seconds=options.limit_seconds,
                hold_seconds=options.hold_seconds,
                abandon_share=options.abandon_share,
                cancel_share=options.cancel_share,
                replay_share=options.replay_share,
                tries=options.tries,
                payments=options.payments,
            )
            for first, ids in parts
        ]

    async def _collect(
        self,
        database: Database,
        monitor: Monitor,
        processes: LoadProcesses,
        began_at: float,
        lag_back_seconds: float | None,
        rate_limits: RateLimits,
    ) -> RehearsalResults:
        async with database.transaction() as session:
            assertions = await check_assertions(session, monitor.event.organization_id)
        async with database.transaction() as session:
            checked = await invariants.check(session)
        last = monitor.samples[-1]
        return RehearsalResults(
            title=monitor.event.title,
            began_at=began_at,
            buyers=self.options.buyers,
            for_sale=monitor.event.for_sale,
            sold=last.sold,
            left=last.left,
            sold_out_seconds=monitor.sold_out_seconds,
            lag_peak_seconds=monitor.lag_peak_seconds,
            lag_back_seconds=lag_back_seconds,
            statistics=processes.statistics,
            assertions=assertions,
            invariants=len(checked),
            broken_invariants=[
                BrokenInvariant(each.invariant.sentence, each.count, each.offenders) for each in checked if each.count
            ],
            rate_limits=rate_limits,
            with_payments=self.options.payments,
        )

    def _report(self, results: RehearsalResults) -> bool:
        """Print and write the report. Returns True for a go."""
        thresholds = evaluate(self.options, results)
        report.print_report(self.progress.console, results, thresholds)
        if self.options.html is not None:
            self.options.html.write_text(report.as_html(results, thresholds), encoding="utf-8")
        if self.options.json is not None:
            content = orjson.dumps(figures.as_json(results, thresholds), option=orjson.OPT_INDENT_2)
            self.options.json.write_bytes(content + b"\n")
        return all(each.is_kept for each in thresholds)


async def clean(settings: Settings, database_url: str, progress: ProgressDisplay) -> int:
    """Delete what killed rehearsals have left, and return their number. Raises RehearsalError."""
    async with _database(settings, database_url) as database:
        found = await cleanup.find_organizations(database)
        for scratch in found:
            await _delete(database, scratch, progress)
    return len(found)


@asynccontextmanager
async def _database(settings: Settings, url: str) -> AsyncIterator[Database]:
    """The database. Raises RehearsalError if it is not available, or its connections are lost in the block."""
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        try:
            async with database.transaction() as session:
                await statements.execute(session, "select 1 from organizations limit 1")
        except (DBAPIError, OSError):
            raise RehearsalError("the database does not answer, or has no tables yet") from None
        yield database
    except (OperationalError, InterfaceError):
        raise RehearsalError(
            "the database stopped answering; run `ticketing rehearse --clean` when it is back"
        ) from None
    finally:
        await database.close()


async def _delete(database: Database, scratch: cleanup.ScratchOrganization, progress: ProgressDisplay) -> None:
    with progress.step(f"deleting the rehearsal {scratch.run}"):
        await cleanup.delete_rehearsal(database, scratch)
