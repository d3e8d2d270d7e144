"""The throughput of the relay with a backlog, relative to a bare producer; and after an old transaction has ended."""

import os
import sys
import time
from collections.abc import Sequence

import psycopg

from benchmarks.messages.bare_producer import PREFIX
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, ratio_of, report
from benchmarks.testbed import backlog
from benchmarks.testbed.kafka import KafkaTestbed

#: BENCH_LOG_ROWS=20000 is enough for a trial.
ROWS = int(os.environ.get("BENCH_LOG_ROWS", "200000"))
ROWS -= ROWS % backlog.ROWS_PER_TRANSACTION
#: Rows that an old transaction keeps from being read.
PINNED_ROWS = min(ROWS, 50_048)
TIMEOUT_SECONDS = 300


def run(kafka: KafkaTestbed) -> list[Result]:
    """Both publish the same rows, alternately; the rate is from the first to the last append time of the broker."""
    kafka.create_topics(PREFIX + topic for topic in backlog.TOPICS)
    ratio = ratio_of(lambda: _relay(kafka, ROWS), lambda: _bare(kafka, ROWS), FEW_ROUNDS)
    after_pin = ratio_of(lambda: _after_pin(kafka), lambda: _relay(kafka, PINNED_ROWS), FEW_ROUNDS)
    meaning = f"messages per second of {PINNED_ROWS:,} that an old transaction had held up, relative to as many others"
    return [
        Result("rate_after_pin", after_pin, 0.9, meaning, at_most=False),
        Result(
            "relay_to_producer",
            ratio,
            0.5,
            f"messages per second of the relay, of {ROWS:,}, relative to a bare producer",
            at_most=False,
        ),
    ]


def _relay(kafka: KafkaTestbed, rows: int) -> float:
    backlog.append(kafka.database, rows)
    return measure_rate(kafka, "the relay", backlog.TOPICS, rows, "ticketing.cli", "worker", "--only", "relay")


def _after_pin(kafka: KafkaTestbed) -> float:
    """The rate of the relay after the end of a transaction that was older than all rows it could read."""
    before = kafka.ends(backlog.TOPICS)
    with kafka.testbed.running("ticketing.cli", "worker", "--only", "relay", name="publisher"):
        with psycopg.connect(kafka.testbed.owner_url) as old:
            old.execute("select pg_current_xact_id()")
            backlog.append(kafka.database, PINNED_ROWS)
            if kafka.ends(backlog.TOPICS) != before:
                raise SystemExit(
                    "rows were published although an older transaction could still have appended earlier ones"
                )
        wait_for_records(kafka, backlog.TOPICS, sum(before.values()) + PINNED_ROWS)
    return _rate(kafka, "the relay, after an old transaction", before)


def _bare(kafka: KafkaTestbed, rows: int) -> float:
    topics = [PREFIX + topic for topic in backlog.TOPICS]
    arguments = ["benchmarks.messages.bare_producer", kafka.testbed.owner_url, kafka.broker.bootstrap, str(rows)]
    return measure_rate(kafka, "a bare producer", topics, rows, *arguments)


def measure_rate(kafka: KafkaTestbed, label: str, topics: Sequence[str], rows: int, *program: str) -> float:
    """Messages per second of a program that publishes this number of rows to these topics."""
    before = kafka.ends([*topics])
    with kafka.testbed.running(*program, name="publisher"):
        wait_for_records(kafka, [*topics], sum(before.values()) + rows)
    return _rate(kafka, label, before)


def _rate(kafka: KafkaTestbed, label: str, before: dict[tuple[str, int], int]) -> float:
    """The rate from the first to the last append, by the broker's clock."""
    after = kafka.ends(sorted({topic for topic, _ in before}))
    times = [record.timestamp()[1] for record in kafka.records(before, after)]
    rate = len(times) / ((max(times) - min(times)) / 1000)
    report(label, rate, " messages/s")
    return rate


def wait_for_records(kafka: KafkaTestbed, topics: list[str], count: int) -> None:
    """Abort the benchmark if the topics do not reach this number of records in time."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (there := sum(kafka.ends(topics).values())) < count:
        if time.monotonic() > deadline:
            raise SystemExit(
                f"{there} of {count} records: {(kafka.testbed.folder / 'publisher.log').read_text()[-2000:]}"
            )
        time.sleep(0.5)
    if there > count:
        sys.stdout.write(f"  {there - count} duplicate records\n")
