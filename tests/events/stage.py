"""What tests of seats need below the API: the event's row, and looks at its seats."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from tests.world import Show
from ticketing.infra.db import Database
from ticketing.modules import events

LATER = datetime.now(UTC) + timedelta(hours=1)
EARLIER = datetime.now(UTC) - timedelta(hours=1)


class Stage:
    """An event, seen from inside: every act is a transaction of its own."""

    def __init__(self, database: Database, show: Show) -> None:
        self.database = database
        self.show = show
        self.event_id = UUID(show.id)
        self.organization_id = UUID(show.tenant.id)
        self.place = (self.organization_id, self.event_id)

    async def take(
        self, labels: Iterable[str], reservation_id: UUID | None = None, until: datetime = LATER
    ) -> events.Taken:
        async with self.database.transaction() as session:
            event = await events.get_event(session, self.event_id)
            return await events.take_seats(session, event, list(labels), reservation_id or uuid4(), until)

    async def sell(self, reservation_id: UUID, numbers: list[int]) -> None:
        async with self.database.transaction() as session:
            await events.mark_sold(session, *self.place, reservation_id, numbers)

    async def seats(self) -> list[Any]:
        async with self.database.transaction() as session:
            query = text("select * from event_seats where event_id = :id order by number")
            return list(await session.execute(query, {"id": self.event_id}))

    async def letters(self) -> str:
        return "".join(seat.status for seat in await self.seats())

    async def counters(self) -> tuple[int, int]:
        """Held and sold places of the show's standing area."""
        async with self.database.transaction() as session:
            query = text("select held, sold from ticket_types where id = :id")
            row = (await session.execute(query, {"id": self.show.area_type_id})).one()
            return row.held, row.sold
