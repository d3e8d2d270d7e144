"""Drive the inventory of one event below the API, and inspect its seats."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from tests.support.world import Show
from ticketing.infra.db import Database, statements
from ticketing.infra.db.pipeline import DriverConnection, driver_connection
from ticketing.modules import events

LATER = datetime.now(UTC) + timedelta(hours=1)
EARLIER = datetime.now(UTC) - timedelta(hours=1)


class Stage:
    """One event; every method runs in its own transaction."""

    def __init__(self, database: Database, show: Show) -> None:
        self.database = database
        self.show = show
        self.event_id = UUID(show.id)
        self.organization_id = UUID(show.tenant.id)
        self.place = (self.organization_id, self.event_id)

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[DriverConnection]:
        """The driver connection of a transaction, as a batch of holds uses it."""
        async with self.database.engine.begin() as connection:
            yield await driver_connection(connection)

    async def look(
        self, connection: DriverConnection, labels: Iterable[str]
    ) -> tuple[dict[str, events.FreeSeat], dict[str, bool]]:
        """Lock the free seats among these, and find out whether the others are taken; both by label."""
        wanted = [(self.event_id, label) for label in labels]
        free, lost = await (await events.lock_seats(connection, self.organization_id, wanted)).fetch()
        in_order = sorted(free.items(), key=lambda found: found[1].number)
        return {label: seat for (_, label), seat in in_order}, {label: taken for (_, label), taken in lost.items()}

    async def lock(self, connection: DriverConnection, labels: Iterable[str]) -> dict[str, events.FreeSeat]:
        return (await self.look(connection, labels))[0]

    async def take(
        self, labels: Iterable[str], reservation_id: UUID | None = None, until: datetime = LATER
    ) -> list[events.FreeSeat] | None:
        """Hold all of these seats or none; returns them in order of number."""
        wanted, owner = list(labels), reservation_id or uuid4()
        async with self.batch() as connection:
            locked = await self.lock(connection, wanted)
            if len(locked) < len(wanted):
                return None
            held = [self.held(seat.number, owner, until) for seat in locked.values()]
            await events.hold_locked(connection, self.organization_id, held)
        return list(locked.values())

    def held(self, number: int, reservation_id: UUID, until: datetime = LATER) -> events.SeatHold:
        return {"event_id": self.event_id, "number": number, "reservation_id": reservation_id, "hold_until": until}

    async def take_places(self, quantities: dict[UUID, int]) -> bool:
        """Hold places of all of these ticket types, or none."""
        async with self.batch() as connection:
            left = await (await events.lock_places(connection, self.organization_id, quantities)).fetch()
            if any(left.get(ticket_type_id, 0) < quantity for ticket_type_id, quantity in quantities.items()):
                return False
            await events.hold_places(connection, self.organization_id, quantities)
        return True

    async def sell(self, reservation_id: UUID, numbers: list[int]) -> None:
        async with self.database.transaction() as session:
            async with statements.round_trip(session) as connection:
                sold = await events.sell_seats(connection, *self.place, reservation_id, numbers)
            await sold.fetch()

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
