"""A message about bells for the tests of the bus, a handler that fails on demand, and the rows it has written."""

from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db import Database
from ticketing.infra.outbox import Message


class BellRung(Message):
    topic: ClassVar[str] = "bell.rung"
    key_field: ClassVar[str] = "bell_id"

    bell_id: UUID
    times: int


class Counter:
    """A handler that inserts a row per ring, and raises the errors in `fail`."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.fail: dict[int, list[Exception]] = {}
        self.correlation_ids: list[str] = []

    async def __call__(self, session: AsyncSession, message: BellRung) -> None:
        self.calls.append(message.times)
        self.correlation_ids.append(log.correlation_id.get())
        await session.execute(text("insert into rung (times) values (:times)"), {"times": message.times})
        if self.fail.get(message.times):
            raise self.fail[message.times].pop(0)


async def make_counter(owner: Database) -> Counter:
    async with owner.transaction() as session:
        await session.execute(text("create table rung (id serial, times int)"))
        await session.execute(text("grant all on rung, rung_id_seq to public"))
    return Counter()


async def ring(database: Database, *times: int) -> None:
    async with database.transaction() as session:
        for n in times:
            outbox.publish(session, BellRung(bell_id=uuid4(), times=n))


async def rung(database: Database) -> list[int]:
    async with database.transaction() as session:
        return list((await session.scalars(text("select times from rung order by id"))).all())
