"""Samples the database during the sale: what is left, held and sold, and how far the log's readers are behind."""

import time
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database, statements
from ticketing.infra.system.retry import run_periodically
from ticketing.rehearsal.cleanup import lag_seconds
from ticketing.rehearsal.scratch_event import ScratchEvent

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. `lag_seconds` is the age of the oldest message of this sale that a reader has not read."""

    at: float
    left: int
    held: int
    sold: int
    lag_seconds: float


@dataclass(slots=True)
class Monitor:
    """The samples so far. A sample that failed because the database was busy is skipped, and counted in `missed`."""

    event: ScratchEvent
    opens_at: float
    samples: list[Sample] = field(default_factory=list)
    missed: int = 0

    async def run(self, database: Database) -> None:
        """Take samples until cancelled."""

        async def sample() -> None:
            await self.sample(database)

        await run_periodically(SAMPLE_SECONDS, sample, self._count_missed)

    def _count_missed(self, error: Exception) -> None:
        if not isinstance(error, (SQLAlchemyError, OSError)):
            raise error
        self.missed += 1

    async def sample(self, database: Database) -> None:
        async with database.transaction() as session:
            self.samples.append(await _sample(session, self.event))

    @property
    def sold_out_seconds(self) -> float | None:
        """From the opening to the first sample in which nothing was left; None if there is none."""
        return next((sample.at - self.opens_at for sample in self.samples if sample.left == 0), None)

    @property
    def lag_peak_seconds(self) -> float:
        return max((sample.lag_seconds for sample in self.samples), default=0.0)


async def _sample(session: AsyncSession, event: ScratchEvent) -> Sample:
    keys = (event.organization_id, event.event_id)
    ((left, held, sold),) = await (await statements.execute(session, _STATE, *keys, *keys)).fetchall()
    return Sample(time.time(), left, held, sold, await lag_seconds(session, event.organization_id))


# A hold that has expired is available at that instant, whether or not the scheduler has released it.
_STATE = """
select (seats.free + places.free)::bigint, (seats.held + places.held)::bigint, (seats.sold + places.sold)::bigint
  from (select count(*) filter (where status = 'a' or status = 'h' and held_until < now()) as free,
               count(*) filter (where status = 'h' and held_until >= now()) as held,
               count(*) filter (where status = 's') as sold
          from event_seats where organization_id = %s and event_id = %s) seats,
       (select coalesce(sum(capacity - held - sold), 0) as free, coalesce(sum(held), 0) as held,
               coalesce(sum(sold), 0) as sold
          from ticket_types
         where organization_id = %s and event_id = %s and capacity is not null) places"""
