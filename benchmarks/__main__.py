"""Runs the named benchmarks, or all; prints a table, and writes it to benchmarks/results.json.

Example: `python -m benchmarks holds losers`. BENCH_SECONDS is the length of a round, BENCH_ROUNDS the number of rounds.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.kafka_broker import kafka_available

from benchmarks.api import (
    availability_reads,
    cached_pages,
    concurrency,
    database_size,
    fresh_database,
    generator_accuracy,
    herd,
    holds,
    latency,
    noisy_neighbour,
    ordinary_requests,
    pgbench,
    purchases,
    refused_holds,
)
from benchmarks.embedded import login_timing, row_level_security, seat_sync
from benchmarks.generator.generator import Missing, need
from benchmarks.messages import commit_to_append, commit_to_effect, idle_cpu, log_size, outages, relay_throughput
from benchmarks.result import Result
from benchmarks.servers import comparison
from benchmarks.testbed.kafka import KafkaTestbed, open_kafka_testbed
from benchmarks.testbed.platform import platform
from benchmarks.testbed.testbed import embedded_servers, open_testbed
from benchmarks.testbed.workload import Workload

RESULTS = Path(__file__).parent / "results.json"

#: Benchmarks of a platform started with `ticketing up`.
EMBEDDED: Mapping[str, Callable[[str, Path], list[Result]]] = {
    "seats": seat_sync.run,
    "walls": row_level_security.run,
    "log_ins": login_timing.run,
}
#: Benchmarks of one API process under load, with rate limits on.
API: Mapping[str, Callable[[Workload], list[Result]]] = {
    "trust": generator_accuracy.run,
    "holds": holds.run,
    "pgbench": pgbench.run,
    "losers": refused_holds.run,
    "pressure": concurrency.run,
    "latency": latency.run,
    "fresh": fresh_database.run,
    "neighbour": noisy_neighbour.run,
    "reads": availability_reads.run,
    "pages": cached_pages.run,
    "ordinary": ordinary_requests.run,
    "journeys": purchases.run,
    "herd": herd.run,
    "growth": database_size.run,
}
#: Benchmarks with a Kafka broker, to which the relay publishes the log.
MESSAGES: Mapping[str, Callable[[KafkaTestbed], list[Result]]] = {
    "effects": commit_to_effect.run,  # first, while the log is still short
    # Before there is a backlog, which would keep workers busy.
    "idle": idle_cpu.run,
    "drain": relay_throughput.run,
    "promptness": commit_to_append.run,
    "outages": outages.run,
    "log_size": log_size.run,
}
NAMES = (*EMBEDDED, *API, *MESSAGES)


def main(names: Sequence[str]) -> int:
    """Returns the exit status: 1 if a bar is missed, 2 if the benchmarks could not run."""
    if list(names) == ["servers"]:
        # It creates an environment for each Python version, so it runs only alone and on request.
        return comparison.main()
    if unknown := set(names) - set(NAMES):
        sys.stderr.write(
            f"Unknown benchmark: {', '.join(sorted(unknown))}. Benchmarks: {', '.join(NAMES)}; servers (alone).\n"
        )
        return 2
    results = []
    try:
        _check_programs(names or NAMES)
        for result in _measure(names or NAMES):
            results.append(result)
            _save(results, is_all=not names)
    except Missing as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    _print(results)
    return 0 if all(result.is_met for result in results) else 1


def _check_programs(names: Sequence[str]) -> None:
    """Check that all programs are installed, before anything is measured. Raises Missing."""
    if set(names) & (set(API) | set(MESSAGES)):
        if sys.platform != "linux":
            raise Missing(f"The load generator requires Linux; on this system, only {', '.join(EMBEDDED)} can run.")
        need("cc", "gcc libc6-dev")
    if "trust" in names:
        need("wrk", "wrk")
    if set(names) & set(MESSAGES) and (missing := kafka_available()):
        raise Missing(f"These benchmarks require Kafka: {missing}.")


def _measure(names: Sequence[str]) -> Iterator[Result]:
    """Yield each result as soon as it is measured, so that a late failure does not lose the earlier ones."""
    if wanted := [name for name in EMBEDDED if name in names]:
        with platform() as (url, folder):
            for name in wanted:
                _announce(name)
                yield from EMBEDDED[name](url, folder)
    if wanted := [name for name in API if name in names]:
        with embedded_servers() as (folder, postgres, valkey), open_testbed(folder, postgres, valkey) as testbed:
            workload = Workload(testbed)
            for name in wanted:
                _announce(name)
                yield from API[name](workload)
    if wanted := [name for name in MESSAGES if name in names]:
        with open_kafka_testbed() as kafka:
            for name in wanted:
                _announce(name)
                yield from MESSAGES[name](kafka)


def _announce(name: str) -> None:
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()


def _save(results: Sequence[Result], is_all: bool) -> None:
    """Write the results. A run of some benchmarks keeps the figures of the others."""
    figures = {} if is_all or not RESULTS.exists() else json.loads(RESULTS.read_text())
    RESULTS.write_text(json.dumps({**figures, **{r.name: r.as_entry() for r in results}}, indent=2) + "\n")


def _print(results: Sequence[Result]) -> None:
    width = max((len(result.name) for result in results), default=0)
    for result in results:
        sys.stdout.write(f"{result.name:<{width}}  {result.value:8.2f}  bar {result.bar_text:<8}  {result.verdict}\n")
        sys.stdout.write(f"{'':<{width}}  {result.meaning}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
