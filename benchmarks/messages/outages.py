"""Holds during an outage of Kafka or Valkey: the p99 at a constant rate, relative to rounds without an outage.

A round starts some time after the outage has begun: the first holds of an outage wait a quarter of a second for the
server, which is not measured here. Rounds without an outage start when the relay has published its backlog.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from benchmarks.generator.generator import Load
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.kafka import KafkaTestbed
from ticketing.infra.outbox import UNREAD

RATE, CONNECTIONS = 300, 32
#: A p99 requires some hundred responses.
ROUND_SECONDS = 2 * SECONDS
#: Holds before each round of an outage, which are not measured.
MARGIN_SECONDS = 1.0
BACKLOG_SECONDS = 120
BAR = 1.1

_UNREAD = f"select exists (select from outbox o, outbox_cursor r where r.reader = 'relay' and {UNREAD})"  # noqa: S608 (a constant)

Outage = Callable[[KafkaTestbed], AbstractContextManager[None]]


def run(kafka: KafkaTestbed) -> list[Result]:
    """All workers run meanwhile."""
    with ExitStack() as stack:
        stack.enter_context(kafka.testbed.running("ticketing.cli", "worker", name="workers"))
        results = [_compare(kafka, name, outage) for name, outage in OUTAGES.items()]
    verification.check_invariants(kafka.workload)
    return results


def _compare(kafka: KafkaTestbed, name: str, outage: Outage) -> Result:
    def without() -> float:
        with outage(kafka):
            _hold(kafka, MARGIN_SECONDS)
            return _p99(kafka, f"without {name}")

    ratio = ratio_of(without, lambda: _p99(kafka, "without an outage"))
    meaning = f"p99 of {RATE} holds per second without {name}, relative to all servers running"
    return Result(f"hold_p99_without_{name.replace(' ', '_')}", ratio, BAR, meaning)


def _p99(kafka: KafkaTestbed, when: str) -> float:
    p99 = _hold(kafka, ROUND_SECONDS).p99
    report(f"p99 of a hold {when}", p99 * 1000, " ms")
    return p99


def _hold(kafka: KafkaTestbed, seconds: float) -> Load:
    workload, generator = kafka.workload, kafka.testbed.generator
    show = workload.show(int(RATE * seconds))
    requests = generator.write(workload.requests(show))
    load = generator.run(requests, CONNECTIONS, seconds=seconds, rate=RATE)
    verification.check_holds(workload, show, load.expect(201))
    return load


@contextmanager
def _no_kafka(kafka: KafkaTestbed) -> Iterator[None]:
    """The broker is suspended: it accepts connections and does not respond. A restart would take many seconds."""
    with _suspended(kafka.broker.pid or 0):
        yield
    _wait_until_relayed(kafka)


@contextmanager
def _no_valkey(kafka: KafkaTestbed) -> Iterator[None]:
    """Valkey is killed: connections are refused."""
    valkey = kafka.testbed.servers[2]
    if valkey.process is not None:
        valkey.process.kill()
        valkey.process.wait()
    yield
    valkey.launch()
    valkey.wait_until_ready()
    _wait_until_relayed(kafka)


@contextmanager
def _silent_valkey(kafka: KafkaTestbed) -> Iterator[None]:
    """Valkey is suspended: it accepts connections and does not respond."""
    process = kafka.testbed.servers[2].process
    with _suspended(process.pid if process else 0):
        yield
    _wait_until_relayed(kafka)


@contextmanager
def _suspended(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _wait_until_relayed(kafka: KafkaTestbed) -> None:
    deadline = time.monotonic() + BACKLOG_SECONDS
    while kafka.database.execute(_UNREAD.encode()).fetchone() != (False,):
        if time.monotonic() > deadline:
            raise SystemExit("the relay does not publish its backlog")
        time.sleep(0.2)
    time.sleep(MARGIN_SECONDS)


OUTAGES: dict[str, Outage] = {"kafka": _no_kafka, "valkey": _no_valkey, "word of valkey": _silent_valkey}
