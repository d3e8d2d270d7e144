"""A line over a real broker, for every test of that road."""

import asyncio

import pytest

from tests.infra.kafka.kafka_line import Line
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.config import Settings
from ticketing.infra.db import Database


@pytest.fixture
async def line(database: Database, owner: Database, settings: Settings, kafka_broker: KafkaBroker) -> Line:
    if not kafka_broker.running:  # A test that failed may have left it dead.
        await asyncio.to_thread(kafka_broker.start)
    update = {"kafka_bootstrap_servers": kafka_broker.bootstrap, "kafka_partitions": 3, "consumer_max_attempts": 2}
    line = Line(database, settings.model_copy(update=update))
    await line.make_table(owner)
    return line
