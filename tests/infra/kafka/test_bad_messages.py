"""A record that anyone may have written becomes a dead letter, and neither its neighbours nor other groups wait."""

import asyncio
import base64
import ctypes
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import confluent_kafka
import pytest
from confluent_kafka import Producer

from tests.infra.bus.bad_messages import FOREIGN, HEADERS, VALUES, Bad, Painters, good_headers, good_value
from tests.infra.kafka.pipeline import Pipeline
from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import ensure_topics
from ticketing.workers import consumers

pytestmark = pytest.mark.kafka

KINDS = [*VALUES, *HEADERS, *FOREIGN]


class ForeignClient:
    """Writes any record, larger ones than the platform too."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 1_048_000, "log_level": 2})
        self._errors: list[Any] = []

    def write(self, topic: str, bad: Bad) -> None:
        self._producer.produce(
            topic, bad.value, bad.key, headers=bad.all_headers, on_delivery=lambda error, _: self._errors.append(error)
        )

    def flush(self) -> None:
        assert self._producer.flush(20) == 0
        assert not any(self._errors), self._errors


def write_header_name(bootstrap: str, topic: str, name: bytes) -> bool:
    """Write a record with this name of a header, which the Python client can't; False where librdkafka is not found."""
    folders = Path(confluent_kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka*")
    if (path := next(folders, None)) is None:
        return False
    library, pointer, integer = ctypes.CDLL(str(path)), ctypes.c_void_p, ctypes.c_int
    for function in ("conf_new", "new", "headers_new"):
        getattr(library, f"rd_kafka_{function}").restype = pointer
    error = ctypes.create_string_buffer(512)
    settings = pointer(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", bootstrap.encode(), error, 512)
    client = pointer(library.rd_kafka_new(0, settings, error, 512))
    headers = pointer(library.rd_kafka_headers_new(ctypes.c_size_t(1)))
    library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"x", ctypes.c_ssize_t(1))
    # The tags of the arguments are those of rd_kafka_vtype_t: topic, value, flags (copy the value), headers, end.
    value = (integer(4), good_value("A", 7), ctypes.c_size_t(len(good_value("A", 7))))
    assert not library.rd_kafka_producev(
        client, integer(1), topic.encode(), *value, integer(7), integer(2), integer(10), headers, integer(0)
    )
    assert not library.rd_kafka_flush(client, 20_000)
    library.rd_kafka_destroy(client)
    return True


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
