"""A process that consumes one test topic from Kafka: `python -m tests.crashes.consumer_process <topic> <group>`."""

import asyncio
import sys

from tests.infra.kafka.pipeline import Pipeline, SeatPainted
from ticketing.infra import bus, crash_points
from ticketing.infra.config import get_settings
from ticketing.infra.db import Database
from ticketing.infra.kafka.consumer import consume

#: The coat of a poison message.
BAD = 13


async def main(topic: str, group: str) -> None:
    settings = get_settings()
    crash_points.arm(settings.crash_at)
    database = Database(settings, url=settings.worker_database_url)
    pipeline = Pipeline(database, settings)
    pipeline.before_paint = choke
    message = type("SeatPainted", (SeatPainted,), {"topic": topic})
    await consume(settings, database, bus.Group(group, {message: pipeline.paint}), asyncio.Event())


async def choke(message: SeatPainted) -> None:
    if message.coat == BAD:
        raise RuntimeError("this coat does not dry")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
