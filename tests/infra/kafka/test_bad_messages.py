"""A record that anyone may have written becomes a dead letter, and neither its neighbours nor other groups wait."""

import asyncio
import base64
from hashlib import sha256
from uuid import uuid4

import pytest

from tests.infra.bus.bad_messages import FOREIGN, HEADERS, VALUES, Bad, Painters, good_headers, good_value
from tests.infra.kafka.foreign_client import ForeignClient, write_header_name
from tests.infra.kafka.pipeline import Pipeline
from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import ensure_topics
from ticketing.workers import consumers

pytestmark = pytest.mark.kafka

KINDS = [*VALUES, *HEADERS, *FOREIGN]


def write_all(bootstrap: str, painters: Painters) -> list[int]:
    """Every kind of bad record, each with a good one behind it; the coats of the good ones."""
    client, coats = ForeignClient(bootstrap), range(len(KINDS))
    for coat in coats:
        client.write(painters.message.topic, KINDS[coat])
        client.write(painters.message.topic, Bad("good", good_value("A", coat), headers=good_headers()))
    client.write(painters.other.topic, Bad("good", good_value("A", 1), headers=good_headers()))
    client.flush()
    return [*coats]


async def start(settings: Settings, database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch) -> Painters:
    painters = Painters(database, uuid4().hex[:8])
    monkeypatch.setattr(consumers, "groups", painters.groups)
    topics = [painters.message.topic, painters.other.topic]
    await ensure_topics(settings.kafka_bootstrap_servers, topics, partitions=1)
    return painters


async def test_bad_records_of_every_kind_become_dead_letters_and_stop_no_group(
    pipeline: Pipeline, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pipeline.settings.model_copy(update={"kafka_partitions": 1})
    async with owner.transaction() as session:
        await (await session.connection()).exec_driver_sql("drop table effects")
    log.configure("json", "critical", "consumers")  # a line of a megabyte takes a second
    painters, stop = await start(settings, pipeline.database, owner, monkeypatch), asyncio.Event()
    await painters.make_table(owner)
    bootstrap = settings.kafka_bootstrap_servers
    good = await asyncio.to_thread(write_all, bootstrap, painters)
    unnamed = await asyncio.to_thread(write_header_name, bootstrap, painters.message.topic, b"\xff")
    count = len(KINDS) + unnamed
    running = asyncio.create_task(consumers.run(settings, pipeline.database, stop))
    waiting = asyncio.create_task(painters.wait(good, count))
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), running.exception()
    found = await waiting
    stop.set()
    await running
    single, bulk, _ = painters.names
    assert found.effects[single] == good, "in order, each once"
    assert {len(found.letters[name]) for name in (single, bulk)} == {count}
    for bad, letter in zip(KINDS, found.letters[single], strict=False):
        content = letter.message
        if "value_sha256" in content:
            assert content["value_sha256"] == sha256(bad.value or b"").hexdigest(), bad.name
        elif "value" in content:
            assert content["value"] == (None if bad.value is None else base64.b64encode(bad.value).decode()), bad.name
            assert len(content["headers"]) == len(bad.all_headers), bad.name
        else:
            assert content["payload"] is not None, bad.name
    # Both groups have copied every record to the topic of dead letters, some of them without their values.
    copies = await asyncio.to_thread(pipeline.records, 2 * count, f"{painters.message.topic}.dlq")
    assert len(copies) == 2 * count
    assert len([copy for copy in copies if "dlq_value_sha256" in dict(copy.headers())]) == 4
