"""The CPU usage of idle workers, as a share of a core."""

import time
from pathlib import Path

from benchmarks.result import Result
from benchmarks.rounds import report
from benchmarks.testbed.kafka import KafkaTestbed
from ticketing.infra.system.processes import wait_for

SECONDS = 20
START_SECONDS = 60
#: Polling becomes less frequent during this time.
SETTLE_SECONDS = 5
TICKS_PER_SECOND = 100


def run(kafka: KafkaTestbed) -> list[Result]:
    """One relay that holds its lease, and all workers without Kafka in one process."""
    relay = _idle(kafka, "relay", "--only", "relay")
    workers = _idle(kafka, "workers without Kafka", KAFKA_BOOTSTRAP_SERVERS="")
    return [
        Result("relay_idle_cpu", relay, 0.01, f"share of a core that an idle relay uses, over {SECONDS} s"),
        Result(
            "workers_idle_cpu",
            workers,
            None,
            "the same for workers without Kafka: consumers that read the log, and the scheduler",
        ),
    ]


def _idle(kafka: KafkaTestbed, label: str, *only: str, **settings: str) -> float:
    with kafka.testbed.running("ticketing.cli", "worker", *only, name="idle", **settings) as process:
        wait_for(lambda: _has_lease(kafka, process.pid), START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        before = _cpu_seconds(process.pid)
        time.sleep(SECONDS)
        share = (_cpu_seconds(process.pid) - before) / SECONDS
        if process.poll() is not None:
            raise SystemExit((kafka.testbed.folder / "idle.log").read_text()[-2000:])
    report(f"idle: {label}", 100 * share, " % of a core")
    return share


def _has_lease(kafka: KafkaTestbed, pid: int) -> bool:
    """Whether the process holds a lease, which shows that it has started."""
    held = "select exists (select from outbox_cursor where split_part(lease_owner, ':', 2) = %s)"
    return kafka.database.execute(held, [str(pid)]).fetchone() == (True,)


def _cpu_seconds(pid: int) -> float:
    """The CPU time of all threads, in user and system mode (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
