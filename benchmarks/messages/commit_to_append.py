"""The delay from a message's commit to its append in Kafka at 1,000 holds per second."""

from datetime import datetime
from statistics import quantiles

from benchmarks.messages.relay_throughput import wait_for_records
from benchmarks.result import Result
from benchmarks.rounds import report
from benchmarks.testbed import verification
from benchmarks.testbed.kafka import KafkaTestbed
from benchmarks.testbed.workload import Workload
from ticketing.modules.reservations.messages import ReservationCreated

RATE, CONNECTIONS, SECONDS = 1000, 64, 20
BAR_SECONDS = 0.05
TOPICS = [ReservationCreated.topic]

_COMMITS = """
select message_id::text, pg_xact_commit_timestamp(xid::xid)
  from outbox where topic = any(%s) and id > %s"""


def run(kafka: KafkaTestbed) -> list[Result]:
    """Commit times come from Postgres, append times from the broker (truncated to milliseconds), on one machine."""
    workload = kafka.workload
    with kafka.testbed.running("ticketing.cli", "worker", "--only", "relay", name="publisher"):
        _warm_up(kafka, workload)
        delays = _delays(kafka, workload)
    verification.check_invariants(workload)
    cuts = quantiles(delays, n=100)
    report("median from commit to append", 1000 * cuts[49], " ms")
    report("p99 from commit to append", 1000 * cuts[98], " ms")
    meaning = f"p99 of the seconds from commit to append at {RATE:,} holds per second"
    return [Result("commit_to_ack_p99", cuts[98], BAR_SECONDS, meaning)]


def _warm_up(kafka: KafkaTestbed, workload: Workload) -> None:
    """One second of holds, until all are published: the relay needs some seconds to start and create its topics."""
    show, before = workload.show(RATE), kafka.ends(TOPICS)
    load = workload.testbed.generator.run(workload.requests(show), CONNECTIONS, rate=RATE, seconds=1).expect(201)
    wait_for_records(kafka, TOPICS, sum(before.values()) + load.count(201))


def _delays(kafka: KafkaTestbed, workload: Workload) -> list[float]:
    show, last = workload.show(RATE * SECONDS), _last_id(kafka)
    before = kafka.ends(TOPICS)
    load = workload.testbed.generator.run(workload.requests(show), CONNECTIONS, rate=RATE, seconds=SECONDS).expect(201)
    report("holds", load.rate)
    count = load.count(201)
    wait_for_records(kafka, TOPICS, sum(before.values()) + count)
    commits: dict[str, datetime] = dict(kafka.database.execute(_COMMITS, [TOPICS, last]).fetchall())
    delays = []
    for record in kafka.records(before, kafka.ends(TOPICS)):
        message_id = dict(record.headers() or [])["message_id"].decode()
        if message_id in commits:
            delays.append(record.timestamp()[1] / 1000 - commits[message_id].timestamp())
    return delays


def _last_id(kafka: KafkaTestbed) -> int:
    row = kafka.database.execute("select coalesce(max(id), 0) from outbox").fetchone()
    return int(str(row[0])) if row else 0
