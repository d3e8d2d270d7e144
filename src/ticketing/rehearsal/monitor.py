"""The sale from outside, while it runs: what is left, what is sold, and how far behind the readers of the log are."""

import time
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database
from ticketing.infra.system.retry import run_periodically
from ticketing.rehearsal.cleanup import lag_seconds
from ticketing.rehearsal.scratch_event import Stage

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sight:
    """One look; `lag_seconds` is the age of the oldest fact of this sale that a reader has not read."""

    at: float
    left: int
    held: int
    sold: int
    lag_seconds: float


@dataclass(slots=True)
class Watch:
    """All looks so far. A look that the database was too busy for is left out, and counted."""

    stage: Stage
    opens_at: float
    sights: list[Sight] = field(default_factory=list)
    missed: int = 0

    async def keep(self, database: Database) -> None:
        """Look until cancelled."""

        async def look() -> None:
            await self.look(database)

        await run_periodically(LOOK_SECONDS, look, self._count_missed)

    def _count_missed(self, error: Exception) -> None:
        if not isinstance(error, (SQLAlchemyError, OSError)):
            raise error
        self.missed += 1

    async def look(self, database: Database) -> None:
        async with database.transaction() as session:
            self.sights.append(await _look(session, self.stage))

    @property
    def sold_out_seconds(self) -> float | None:
        """From the opening until for the first time nothing could be held; None when that never came."""
        return next((sight.at - self.opens_at for sight in self.sights if sight.left == 0), None)

    @property
    def lag_peak_seconds(self) -> float:
        return max((sight.lag_seconds for sight in self.sights), default=0.0)


async def _look(session: AsyncSession, stage: Stage) -> Sight:
    place = {"organization_id": stage.organization_id, "event_id": stage.event_id}
    row = (await session.execute(text(_STATE), place)).one()
    return Sight(time.time(), row.left_over, row.held, row.sold, await lag_seconds(session, stage.organization_id))


# A hold that has run out is free at that instant, swept or not.
_STATE = """
select seats.free + places.free as left_over, seats.held + places.held as held, seats.sold + places.sold as sold
  from (select count(*) filter (where status = 'a' or status = 'h' and held_until < now()) as free,
               count(*) filter (where status = 'h' and held_until >= now()) as held,
               count(*) filter (where status = 's') as sold
          from event_seats where organization_id = :organization_id and event_id = :event_id) seats,
       (select coalesce(sum(capacity - held - sold), 0) as free, coalesce(sum(held), 0) as held,
               coalesce(sum(sold), 0) as sold
          from ticket_types
         where organization_id = :organization_id and event_id = :event_id and capacity is not null) places"""
