"""The relay and Kafka consumers die around an acknowledgement: no message is lost, and no effect happens twice."""

import asyncio

import orjson
import pytest
from sqlalchemy import text

from tests.crashes.consumer_process import BAD
from tests.crashes.processes import Processes
from tests.infra.kafka.pipeline import Pipeline
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.config import Settings
from ticketing.infra.db import Database

pytestmark = pytest.mark.kafka

COATS = [(seat, coat) for coat in range(5) for seat in "AB"]


@pytest.fixture
def settings(settings: Settings, kafka_broker: KafkaBroker) -> Settings:
    update = {"kafka_bootstrap_servers": kafka_broker.bootstrap, "kafka_partitions": 3, "consumer_max_attempts": 2}
    return settings.model_copy(update=update)


@pytest.fixture
async def pipeline(database: Database, owner: Database, settings: Settings) -> Pipeline:
    pipeline = Pipeline(database, settings)
    await pipeline.make_table(owner)
    return pipeline


@pytest.mark.parametrize(("point", "copies"), [("before_produce", 1), ("after_produce_before_cursor", 2)])
async def test_a_relay_that_dies_around_the_acknowledgement_skips_nothing(
    pipeline: Pipeline, processes: Processes, point: str, copies: int
) -> None:
    await pipeline.publish(*COATS)
    await processes.wait_for_crash(await processes.worker("relay", point))
    await processes.worker("relay")
    records = await asyncio.to_thread(pipeline.records, copies * len(COATS), seconds=120)
    assert len(records) == copies * len(COATS)
    firsts = {dict(record.headers())["message_id"]: record for record in reversed(records)}.values()
    messages = [orjson.loads(record.value()) for record in reversed(firsts)]
    for seat in "AB":  # in the order of the log, without repetitions
        assert [message["coat"] for message in messages if message["seat"] == seat] == list(range(5))


async def test_a_consumer_that_dies_before_its_offset_has_each_effect_once(
    pipeline: Pipeline, processes: Processes
) -> None:
    await pipeline.publish(*COATS)
    await processes.worker("relay")
    program = ("tests.crashes.consumer_process", pipeline.topic, pipeline.group.name)
    await processes.wait_for_crash(await processes.start(*program, crash_at="after_effect_before_offset"))
    assert await pipeline.effects()
    await pipeline.publish(("C", 0))
    await processes.start(*program)
    effects = await pipeline.wait_for_effects(len(COATS) + 1, seconds=120)
    assert sorted(effects) == sorted([*COATS, ("C", 0)])
    for seat in "AB":
        assert [coat for each, coat in effects if each == seat] == list(range(5))


@pytest.mark.parametrize("point", ["after_dead_letter_before_row", "after_dead_letter_before_offset"])
async def test_a_dead_letter_whose_consumer_died_is_stored_once_and_blocks_nothing(
    pipeline: Pipeline, processes: Processes, point: str
) -> None:
    await pipeline.publish(("A", 0), ("A", BAD), ("A", 1))
    await processes.worker("relay")
    program = ("tests.crashes.consumer_process", pipeline.topic, pipeline.group.name)
    await processes.wait_for_crash(await processes.start(*program, crash_at=point))
    assert await pipeline.effects() == [("A", 0)]
    await processes.start(*program)
    assert await pipeline.wait_for_effects(2, seconds=120) == [("A", 0), ("A", 1)]
    async with pipeline.database.transaction() as session:
        kept = await session.scalars(
            text("select message_id from dead_letters where consumer = :group"), {"group": pipeline.group.name}
        )
        assert len(list(kept)) == 1
