"""A pipeline through a real broker for each test."""

import asyncio

import pytest

from tests.infra.kafka.pipeline import Pipeline
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.config import Settings
from ticketing.infra.db import Database


@pytest.fixture
async def pipeline(database: Database, owner: Database, settings: Settings, kafka_broker: KafkaBroker) -> Pipeline:
    if not kafka_broker.running:  # A test that failed may have left it dead.
        await asyncio.to_thread(kafka_broker.start)
    update = {"kafka_bootstrap_servers": kafka_broker.bootstrap, "kafka_partitions": 3, "consumer_max_attempts": 2}
    pipeline = Pipeline(database, settings.model_copy(update=update))
    await pipeline.make_table(owner)
    return pipeline
