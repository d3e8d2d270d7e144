"""The relay and consumers of Kafka die around an acknowledgement: nothing is left out, and nothing happens twice."""

import asyncio

import orjson
import pytest
from sqlalchemy import text

from tests.crashes.painter import BAD
from tests.crashes.stage import Stage
from tests.infra.kafka.kafka_line import Line
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
async def line(database: Database, owner: Database, settings: Settings) -> Line:
    line = Line(database, settings)
    await line.make_table(owner)
    return line


@pytest.mark.parametrize(("point", "copies"), [("before_produce", 1), ("after_produce_before_cursor", 2)])
async def test_a_relay_that_dies_around_the_acknowledgement_leaves_nothing_out(
    line: Line, stage: Stage, point: str, copies: int
) -> None:
    await line.tell(*COATS)
    await stage.dies(await stage.worker("relay", point))
    await stage.worker("relay")
    records = await asyncio.to_thread(line.records, copies * len(COATS), seconds=120)
    assert len(records) == copies * len(COATS)
    firsts = {dict(record.headers())["message_id"]: record for record in reversed(records)}.values()
    told = [orjson.loads(record.value()) for record in reversed(firsts)]
    for seat in "AB":  # in the log's order, when those that came before are skipped
        assert [fact["coat"] for fact in told if fact["seat"] == seat] == list(range(5))


async def test_a_consumer_that_dies_before_its_offset_has_each_effect_once(line: Line, stage: Stage) -> None:
    await line.tell(*COATS)
    await stage.worker("relay")
    program = ("tests.crashes.painter", line.topic, line.group.name)
    await stage.dies(await stage.start(*program, crash_at="after_effect_before_offset"))
    assert await line.effects()
    await line.tell(("C", 0))
    await stage.start(*program)
    effects = await line.until_effects(len(COATS) + 1, seconds=120)
    assert sorted(effects) == sorted([*COATS, ("C", 0)])
    for seat in "AB":
        assert [coat for each, coat in effects if each == seat] == list(range(5))


@pytest.mark.parametrize("point", ["after_dead_letter_before_row", "after_dead_letter_before_offset"])
async def test_a_dead_letter_whose_consumer_died_is_there_and_holds_nobody_up(
    line: Line, stage: Stage, point: str
) -> None:
    await line.tell(("A", 0), ("A", BAD), ("A", 1))
    await stage.worker("relay")
    program = ("tests.crashes.painter", line.topic, line.group.name)
    await stage.dies(await stage.start(*program, crash_at=point))
    assert await line.effects() == [("A", 0)]
    await stage.start(*program)
    assert await line.until_effects(2, seconds=120) == [("A", 0), ("A", 1)]
    async with line.database.transaction() as session:
        kept = await session.scalars(
            text("select message_id from dead_letters where consumer = :group"), {"group": line.group.name}
        )
        assert len(list(kept)) == 1
