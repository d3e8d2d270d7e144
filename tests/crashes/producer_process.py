"""A process that publishes page after page: `python -m tests.crashes.producer_process <bootstrap> <topic>`."""

import asyncio
import os
import sys
import time
from itertools import pairwise

from ticketing.infra.kafka import Record
from ticketing.infra.kafka.producer import DeliveryFailed, KafkaProducer
from ticketing.infra.outbox.reader import LEASE_SECONDS
from ticketing.workers.relay import PAGE_SECONDS_MAX

PAGE = 10_000
VALUE = os.urandom(150).hex()


async def main(bootstrap: str, topic: str) -> None:
    """Publish each page under a new lease time, until publishing fails or this process was stopped for too long."""
    producer = KafkaProducer(bootstrap, "stopped")
    records = [Record(topic, f"S{n % 50}", VALUE, {"message_id": str(n)}) for n in range(PAGE)]
    clocks = iter(lambda: (time.monotonic(), time.time()), None)
    for before, (held_at, held_at_time) in pairwise(clocks):
        if held_at - before[0] > LEASE_SECONDS / 2:
            return
        try:
            await producer.publish(records, held_at + PAGE_SECONDS_MAX, held_at_time)
        except DeliveryFailed:
            return


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
