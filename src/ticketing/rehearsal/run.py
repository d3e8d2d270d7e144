"""One rehearsal from beginning to end: build, watch, prove, judge; and take everything down, however it ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from ticketing import invariants
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS
from ticketing.rehearsal import cleanup, figures, report, scratch_event
from ticketing.rehearsal.assertions import prove
from ticketing.rehearsal.load.processes import Company
from ticketing.rehearsal.load.workload import Sale
from ticketing.rehearsal.monitor import Watch
from ticketing.rehearsal.options import Choices, RehearsalError
from ticketing.rehearsal.progress import Display
from ticketing.rehearsal.results import Broken, Limits, Outcome
from ticketing.rehearsal.scratch_event import Stage
from ticketing.rehearsal.target import Platform
from ticketing.rehearsal.thresholds import Finding, judge

#: A process of the crowd needs so long to begin.
START_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Where and how."""

    settings: Settings
    database_url: str
    base_url: str
    choices: Choices
    display: Display

    async def run(self) -> bool:
        """True for a go.

        Raises:
            ConfigurationError: the event can't be rehearsed.
            RehearsalError: the platform or its database is not there, or the rehearsal was cut short.
        """
        platform = Platform(self.base_url)
        try:
            await platform.check_ready()
            async with _database(self.settings, self.database_url) as database:
                run, organization_id = await scratch_event.open_organization(database)
                try:
                    outcome = await self._rehearse(database, platform, run, organization_id)
                finally:
                    await _take_down(database, cleanup.Scratch(run, organization_id), self.display)
        finally:
            platform.close()
        return self._tell(outcome)

    async def _rehearse(self, database: Database, platform: Platform, run: str, organization_id: UUID) -> Outcome:
        with self.display.step("copying the event"):
            built = await scratch_event.build(database, run, organization_id, self.choices)
        with self.display.step(f"{self.choices.buyers} accounts"):
            people = await scratch_event.make_accounts(database, run, self.choices.buyers)
        await platform.check_stage(built.event_id, people[0])
        limits = await platform.find_limits()
        if limits == "shared":
            self.display.say("  All buyers count as one address here, whose limits will hold them back: see the notes.")
        began_at = time.time()
        watch, company = await self._perform(database, built, people)
        self.display.say("  The last buyer has gone home.")
        with self.display.step("waiting for the readers of the log"):
            back = await cleanup.wait_for_readers(database, organization_id, self.choices.max_lag_seconds)
        await watch.look(database)
        with self.display.step("proving"):
            return await self._sum_up(database, watch, company, began_at, back, limits)

    async def _perform(self, database: Database, built: Stage, people: Sequence[UUID]) -> tuple[Watch, Company]:
        opens_at = time.time() + START_SECONDS + self.choices.ramp_seconds
        watch, company = Watch(built, opens_at), Company()
        what = f"{built.for_sale} for sale, {self.choices.buyers} buyers"
        self.display.say(f"  {what}; the sale opens in {opens_at - time.time():.0f} s")
        watching = asyncio.create_task(watch.keep(database))
        drawing = asyncio.create_task(self.display.show(built, watch, company))
        try:
            await company.start(self._sales(built, people, opens_at))
            await company.finish()
        finally:
            for task in (watching, drawing):
                task.cancel()
            await asyncio.gather(watching, drawing, return_exceptions=True)
            await company.end()
        return watch, company

    def _sales(self, built: Stage, people: Sequence[UUID], opens_at: float) -> list[Sale]:
        choices = self.choices
        shares = scratch_event.share(people, min(choices.processes, len(people)))
        return [
            Sale(
                base_url=self.base_url,
                run=built.run,
                event_id=str(built.event_id),
                labels=built.labels,
                places=built.places,
                quantity_max=built.quantity_max,
                user_ids=[str(user_id) for user_id in ids],
                first_number=first,
                connections=max(1, choices.connections // len(shares)),
                seed=choices.seed,
                opens_at=opens_at,
                ramp_seconds=choices.ramp_seconds,
                herd_seconds=choices.herd_seconds,
                think_seconds=choices.think_seconds,
                limit_seconds=choices.limit_seconds,
                hold_seconds=choices.hold_seconds,
                abandon_share=choices.abandon_share,
                cancel_share=choices.cancel_share,
                replay_share=choices.replay_share,
                tries=choices.tries,
                payments=choices.payments,
            )
            for first, ids in shares
        ]

    async def _sum_up(
        self,
        database: Database,
        watch: Watch,
        company: Company,
        began_at: float,
        lag_back_seconds: float | None,
        limits: Limits,
    ) -> Outcome:
        async with database.transaction() as session:
            proofs = await prove(session, watch.stage.organization_id)
        async with database.transaction() as session:
            verdicts = await invariants.check(session)
        broken = [Broken(v.invariant.sentence, v.count, v.named) for v in verdicts if v.count]
        last = watch.sights[-1]
        return Outcome(
            title=watch.stage.title,
            began_at=began_at,
            buyers=self.choices.buyers,
            for_sale=watch.stage.for_sale,
            sold=last.sold,
            left=last.left,
            sold_out_seconds=watch.sold_out_seconds,
            lag_peak_seconds=watch.lag_peak_seconds,
            lag_back_seconds=lag_back_seconds,
            tally=company.tally,
            proofs=proofs,
            invariants=len(verdicts),
            broken=broken,
            limits=limits,
            with_payments=self.choices.payments,
        )

    def _tell(self, outcome: Outcome) -> bool:
        findings: list[Finding] = judge(self.choices, outcome)
        report.print_page(self.display.console, outcome, findings)
        if self.choices.html is not None:
            self.choices.html.write_text(report.as_html(outcome, findings), encoding="utf-8")
        if self.choices.json is not None:
            content = orjson.dumps(figures.as_json(outcome, findings), option=orjson.OPT_INDENT_2)
            self.choices.json.write_bytes(content + b"\n")
        return all(finding.is_kept for finding in findings)


async def clean(settings: Settings, database_url: str, display: Display) -> int:
    """Take down what rehearsals that were killed have left; how many there were. Raises RehearsalError."""
    async with _database(settings, database_url) as database:
        found = await cleanup.find_scratch(database)
        for scratch in found:
            await _take_down(database, scratch, display)
    return len(found)


@asynccontextmanager
async def _database(settings: Settings, url: str) -> AsyncIterator[Database]:
    """A database that answers. Raises RehearsalError, in one sentence, when it does not, or no longer."""
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        try:
            async with database.transaction() as session:
                await session.execute(text("select from organizations limit 1"))
        except (DBAPIError, OSError):
            raise RehearsalError("the database does not answer, or has no tables yet") from None
        yield database
    except (OperationalError, InterfaceError):
        raise RehearsalError(
            "the database stopped answering; run `ticketing rehearse --clean` when it is back"
        ) from None
    finally:
        await database.close()


async def _take_down(database: Database, scratch: cleanup.Scratch, display: Display) -> None:
    with display.step(f"removing the rehearsal {scratch.run}"):
        await cleanup.sweep(database, scratch)
