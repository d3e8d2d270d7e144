"""A bare producer, to which the relay is compared: the same settings, with all records in memory.

`python -m benchmarks.messages.bare_producer DATABASE_URL BOOTSTRAP ROWS` sends the last ROWS rows to separate topics.
"""

import sys

import psycopg
from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from ticketing.infra.kafka import client_settings
from ticketing.infra.kafka.producer import PRODUCER_SETTINGS

PREFIX = "bare."

_LAST = """
select * from (
    select id, topic, key, payload::text, message_id::text, occurred_at::text, schema_version::text, correlation_id,
           traceparent, actor, organization_id::text
      from outbox order by id desc limit %s) as o
 order by id"""
_HEADERS = (
    "message_id",
    "occurred_at",
    "schema_version",
    "correlation_id",
    "traceparent",
    "actor",
    "organization_id",
)


def main(url: str, bootstrap: str, count: int) -> None:
    """Read all rows, then send them."""
    with psycopg.connect(url) as database:
        rows = database.execute(_LAST, [count]).fetchall()
    records = [
        (PREFIX + topic, value.encode(), key.encode(), [(n, v.encode()) for n, v in zip(_HEADERS, heads, strict=True)])
        for _, topic, key, value, *heads in rows
    ]
    failed: list[str] = []

    def on_delivery(error: KafkaError | None, _: KafkaMessage) -> None:
        if error is not None:
            failed.append(error.str())

    # Hundreds of thousands of records are in flight, so they need a larger buffer and a longer timeout than a page.
    buffering = {"message.timeout.ms": 120_000, "queue.buffering.max.messages": count + 1}
    producer = Producer({**client_settings(bootstrap, "bare"), **PRODUCER_SETTINGS, **buffering})
    # Connect first, like the relay: records produced before the connection is open would be sent in a burst, and their
    # append times would not include the time to produce them.
    topic, value, key, headers = records[0]
    producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery)
    producer.flush(10)
    for number, (topic, value, key, headers) in enumerate(records[1:]):
        producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery)
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    if left or failed:
        raise SystemExit(f"{left} left, {len(failed)} failed: {failed[:1]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
