"""What the relay is compared with: a bare producer with the relay's settings, and the same records ready in memory.

`python -m benchmarks.bare_producer DATABASE_URL BOOTSTRAP ROWS` sends the last so many rows to topics of its own.
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
    """Read everything, then send everything."""
    with psycopg.connect(url) as database:
        rows = database.execute(_LAST, [count]).fetchall()
    records = [
        (PREFIX + topic, value.encode(), key.encode(), [(n, v.encode()) for n, v in zip(_HEADERS, heads, strict=True)])
        for _, topic, key, value, *heads in rows
    ]
    failed: list[str] = []

    def settle(error: KafkaError | None, _: KafkaMessage) -> None:
        if error is not None:
            failed.append(error.str())

    # It has hundreds of thousands of records under way: they wait longer than those of a page, and all fit.
    patient = {"message.timeout.ms": 120_000, "queue.buffering.max.messages": count + 1}
    producer = Producer({**client_settings(bootstrap, "bare"), **PRODUCER_SETTINGS, **patient})
    # Connected first, as the relay is: what is handed over while nothing can leave yet would leave faster afterwards
    # than anybody can hand it over, and the broker's clock would not have seen it.
    topic, value, key, headers = records[0]
    producer.produce(topic, value, key, headers=headers, on_delivery=settle)
    producer.flush(10)
    for number, (topic, value, key, headers) in enumerate(records[1:]):
        producer.produce(topic, value, key, headers=headers, on_delivery=settle)
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    if left or failed:
        raise SystemExit(f"{left} left, {len(failed)} failed: {failed[:1]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
