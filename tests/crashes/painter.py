"""A process that consumes one topic of the tests from Kafka: `python -m tests.crashes.painter <topic> <group>`."""

import asyncio
import sys

from tests.infra.kafka.kafka_line import Line, SeatPainted
from ticketing.infra import bus, crash_points
from ticketing.infra.config import get_settings
from ticketing.infra.db import Database
from ticketing.infra.kafka.consumer import consume

#: A coat that never dries: its message is poison.
BAD = 13


async def main(topic: str, group: str) -> None:
    settings = get_settings()
    crash_points.arm(settings.crash_at)
    database = Database(settings, url=settings.worker_database_url)
    line = Line(database, settings)
    line.before_paint = choke
    message = type("SeatPainted", (SeatPainted,), {"topic": topic})
    await consume(settings, database, bus.Group(group, {message: line.paint}), asyncio.Event())


async def choke(message: SeatPainted) -> None:
    if message.coat == BAD:
        raise RuntimeError("this coat does not dry")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
