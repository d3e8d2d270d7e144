"""A consumer group that writes a row per message: over Kafka if it is configured, else from the log."""

import asyncio
import signal

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, redis
from ticketing.infra.bus import Group
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database, statements
from ticketing.infra.kafka import consumer, shorten_switch_interval
from ticketing.infra.redis.commit_notifications import CommitListener
from ticketing.infra.system import garbage_collection
from ticketing.modules.reservations import ReservationCreated

#: Two names, because each transport needs a separate inbox.
GROUPS = {True: "effects over Kafka", False: "effects by the log"}
TABLE = "create table if not exists effects (reservation_id uuid); grant all on effects to public"


async def write_row(session: AsyncSession, message: ReservationCreated) -> None:
    # Deferred, like the inserts of tickets, the most frequent effect of a sale.
    await statements.defer(session, "insert into effects values (%s)", message.reservation_id)


async def main() -> None:
    settings, stop = get_settings(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.configure(settings.log_format, settings.log_level, "effects")
    database = Database(settings, url=settings.worker_database_url)
    group = Group(GROUPS[settings.is_distributed], {ReservationCreated: write_row})
    if settings.is_distributed:
        await consumer.consume(settings, database, group, stop)
    else:
        await _consume_log(settings, database, group, stop)
    await database.close()


async def _consume_log(settings: Settings, database: Database, group: Group, stop: asyncio.Event) -> None:
    connection: Redis = redis.connect(settings)
    wake = CommitListener(connection)
    async with wake.listening():
        await LogConsumer(database, group, wake.register(group.topics), settings.consumer_max_attempts).run(stop)
    await connection.aclose()


if __name__ == "__main__":
    # As `ticketing worker` does.
    garbage_collection.rest()
    shorten_switch_interval()
    asyncio.run(main())
