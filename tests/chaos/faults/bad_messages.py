"""Messages that no consumer can process, one of each kind, among the messages of buyers: in the log and on Kafka."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import psycopg

from tests.chaos.faults.fault import Fault
from tests.chaos.load.buyers import Load
from tests.chaos.platform import Platform
from tests.infra.bus.bad_messages import FOREIGN, HEADERS, VALUES, Bad, insert_row
from tests.infra.kafka.foreign_client import ForeignClient, write_header_name

#: A topic with a group that takes one message at a time (tickets), and one of the group that takes many (realtime).
TOPICS = ("order.paid", "reservation.created")
UNKNOWN_ORDER = Bad("an unknown order", orjson.dumps({"order_id": str(uuid4())}))
#: Rows of the year 99999 would stay in the default partition, for which there is an alert.
IN_THE_LOG = [UNKNOWN_ORDER, *VALUES, *(bad for bad in HEADERS if "occurred_at" not in bad.headers)]
ON_KAFKA = [UNKNOWN_ORDER, *VALUES, *HEADERS, *FOREIGN]
WAIT_SECONDS = 120


async def append_to_log(platform: Platform, load: Load) -> list[str]:
    """Append the rows that Postgres accepts."""
    count, failed = 0, _group_failures(platform)
    for bad in IN_THE_LOG:
        for topic in TOPICS:
            with suppress(ValueError, psycopg.DataError):
                # Each under a key of its own, because no message of an order is published twice.
                headers = bad.headers | {"occurred_at": datetime.now(UTC).isoformat().encode()}
                row = replace(bad, key=str(uuid4()).encode(), headers=headers)
                statement, values = insert_row(row, topic)
                await platform.query(statement, *values)
                count += topic == TOPICS[0]
    return await _become_dead_letters(platform, count, failed)


async def write_to_kafka(platform: Platform, load: Load) -> list[str]:
    """Write records past the relay."""
    assert platform.broker is not None
    failed = _group_failures(platform)

    def write(bootstrap: str) -> int:
        client = ForeignClient(bootstrap)
        for topic in TOPICS:
            for bad in ON_KAFKA:
                client.write(topic, bad)
        client.flush()
        return len(ON_KAFKA) + write_header_name(bootstrap, TOPICS[0], b"\xff")

    return await _become_dead_letters(platform, await asyncio.to_thread(write, platform.broker.bootstrap), failed)


def _group_failures(platform: Platform) -> int:
    """How often a consumer group has failed so far, also in earlier rounds."""
    return (platform.folder / "logs" / "consumers.log").read_text(errors="replace").count("consumer_group_failed")


async def _become_dead_letters(platform: Platform, count: int, failed_before: int) -> list[str]:
    """All of the first topic become dead letters. They are removed, so that the next round starts without them."""
    query = "select count(*) from dead_letters where consumer = 'tickets'"
    for _ in range(WAIT_SECONDS * 10):
        ((found,),) = await platform.query(query)
        if found >= count:
            break
        await asyncio.sleep(0.1)
    else:
        return [f"{found} of {count} bad messages became dead letters"]
    restarts = _group_failures(platform) - failed_before
    await platform.query("delete from dead_letters")
    return [f"consumer groups failed {restarts} times"] if restarts else []


async def no_fault(platform: Platform) -> None:
    """The fault is in what is written during the round."""


BAD_MESSAGES = [
    Fault("poison", "words", no_fault, act=append_to_log),
    Fault("poison over kafka", "words", no_fault, act=write_to_kafka, kind="wired"),
]
