"""The delay from a message's commit to its effect in a consumer at 1,000 holds per second, over both transports.

Both timestamps come from Postgres: the commit of the publishing transaction, and the commit of the consumer's.
"""

import time
from contextlib import ExitStack
from statistics import quantiles

from benchmarks.messages.effect_consumer import GROUPS, TABLE
from benchmarks.result import Result
from benchmarks.rounds import report
from benchmarks.testbed import verification
from benchmarks.testbed.kafka import KafkaTestbed
from benchmarks.testbed.workload import Workload

RATE, CONNECTIONS, SECONDS = 1000, 64, 20
BAR_SECONDS = 0.15
TIMEOUT_SECONDS = 120

_COUNT = "select count(*) from inbox where consumer = %s"
_DELAYS = """
select extract(epoch from pg_xact_commit_timestamp(i.xmin) - pg_xact_commit_timestamp(o.xid::text::bigint::text::xid))
  from inbox i join outbox o using (message_id)
 where i.consumer = %s and o.id > %s"""


def run(kafka: KafkaTestbed) -> list[Result]:
    """The relay and the product's consumers run on the same cores, with the API, the database and the broker."""
    workload = kafka.workload
    kafka.database.execute(TABLE)
    # Kafka is second: the relay then also publishes the messages of the first, so that the whole log is read.
    results = [_measure(kafka, workload, is_over_kafka) for is_over_kafka in (False, True)]
    verification.check_invariants(workload)
    return results


def _measure(kafka: KafkaTestbed, workload: Workload, is_over_kafka: bool) -> Result:
    testbed, transport = kafka.testbed, "kafka" if is_over_kafka else "log"
    testbed.environment["KAFKA_BOOTSTRAP_SERVERS"] = kafka.broker.bootstrap if is_over_kafka else ""
    with ExitStack() as processes:
        if is_over_kafka:
            processes.enter_context(testbed.running("ticketing.cli", "worker", "--only", "relay", name="relay"))
        processes.enter_context(testbed.running("ticketing.cli", "worker", "--only", "consumers", name="consumers"))
        processes.enter_context(testbed.running("benchmarks.messages.effect_consumer", name="effects"))
        _hold(kafka, workload, is_over_kafka, seconds=2)
        last = _one(kafka, "select max(id) from outbox")
        report("holds", _hold(kafka, workload, is_over_kafka, seconds=SECONDS))
    rows = kafka.database.execute(_DELAYS, [GROUPS[is_over_kafka], last]).fetchall()
    cuts = quantiles([float(str(row[0])) for row in rows], n=100)
    report(f"median from commit to effect, {transport}", 1000 * cuts[49], " ms")
    report(f"p99 from commit to effect, {transport}", 1000 * cuts[98], " ms")
    meaning = f"p99 of the seconds from commit to effect at {RATE:,} holds per second, over {transport}"
    return Result(f"commit_to_effect_p99_{transport}", cuts[98], BAR_SECONDS, meaning)


def _hold(kafka: KafkaTestbed, workload: Workload, is_over_kafka: bool, seconds: int) -> float:
    """Hold seats for this time, and wait until each hold has had its effect. Returns the holds per second."""
    show = workload.show(RATE * seconds)
    # The messages of the other transport have their effect too, before these.
    wanted = _one(kafka, "select count(*) from outbox where topic = 'reservation.created'")
    load = workload.testbed.generator.run(workload.requests(show), CONNECTIONS, rate=RATE, seconds=seconds).expect(201)
    wanted += load.count(201)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (done := _one(kafka, _COUNT, GROUPS[is_over_kafka])) < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"{done} of {wanted} messages had their effect")
        time.sleep(0.2)
    return load.rate


def _one(kafka: KafkaTestbed, query: str, *values: object) -> int:
    row = kafka.database.execute(query.encode(), values).fetchone()
    return int(str(row[0])) if row and row[0] is not None else 0
