"""Compares HTTP servers and Python versions: requests per second, memory, and shutdown under load.

The baseline is uvicorn on the first of PYTHONS. BENCH_SECONDS and BENCH_ROUNDS set the rounds; PYTHONS and SERVERS
select candidates, and BENCH_HOLDS=off omits holds.
"""

import itertools
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generator.generator import Load, Missing
from benchmarks.servers.candidates import COMMANDS, Candidate, prepare, running
from benchmarks.servers.shutdown import Shutdown, stop_under_load
from benchmarks.testbed import verification
from benchmarks.testbed.testbed import embedded_servers, open_testbed
from benchmarks.testbed.workload import HOLD, NO_OP, Workload

PYTHONS = os.environ.get("PYTHONS", "3.11 3.12 3.13").split()
SERVERS = os.environ.get("SERVERS", " ".join(COMMANDS)).split()
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
HOLDS = os.environ.get("BENCH_HOLDS", "on") == "on"
CONNECTIONS = 64
#: More than can be held in a second.
SEATS_PER_SECOND = 6_000


@dataclass(slots=True)
class Row:
    """The measurements of a candidate: responses per second and CPU time by round, memory, and shutdown."""

    candidate: Candidate
    no_ops: list[float] = field(default_factory=list)
    #: CPU seconds per no-op. A server with more threads gets a larger share of a busy machine, at the same cost.
    costs: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    memory_start_mib: float = 0.0
    memory_end_mib: float = 0.0
    stop: Shutdown = field(default_factory=Shutdown)

    def no_op_ratios(self, baseline: "Row") -> list[float]:
        return _ratios(self.no_ops, baseline.no_ops)

    def cost_ratios(self, baseline: "Row") -> list[float]:
        return _ratios(self.costs, baseline.costs)

    def hold_ratios(self, baseline: "Row") -> list[float]:
        return _ratios(self.holds, baseline.holds)


def main() -> int:
    """Returns the exit status: 1 if a required program is missing, or nothing could be compared."""
    try:
        rows = run()
    except Missing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in table(rows))
    return 0 if rows else 1


def run() -> list[Row]:
    """Measure every server on every Python version, alternately; the first row is the baseline.

    Raises Missing if there is no C compiler. A missing Python version is reported and skipped.
    """
    pythons = {version: python for version in PYTHONS if (python := _prepared(version))}
    with (
        embedded_servers() as (folder, postgres, valkey),
        open_testbed(folder, postgres, valkey) as testbed,
        ExitStack() as stack,
    ):
        workload = Workload(testbed)
        rows = [
            Row(stack.enter_context(running(testbed, server, version, python)))
            for version, python in pythons.items()
            for server in SERVERS
        ]
        _measure(workload, rows)
        for row in rows:
            row.stop = stop_under_load(row.candidate, _no_ops(workload))
            _report(f"{row.candidate.name}: {row.stop}")
        return rows


def table(rows: list[Row]) -> Iterator[str]:
    """The rows as a Markdown table: medians, with the quartiles of the rounds in brackets."""
    headings = (
        "no-ops per second",
        "CPU time of a no-op",
        "holds per second",
        "MiB at start, after load",
        "shutdown under load",
    )
    yield f"| server, Python | {' | '.join(headings)} |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        ratios = (row.no_op_ratios(rows[0]), row.cost_ratios(rows[0]), row.hold_ratios(rows[0]))
        memory = f"{row.memory_start_mib:.0f}, {row.memory_end_mib:.0f}"
        yield f"| {row.candidate.name} | {' | '.join(map(_spread, ratios))} | {memory} | {row.stop} |"


def _measure(workload: Workload, rows: list[Row]) -> None:
    for row in rows:
        _no_op_round(workload, row.candidate)  # warms up
        row.memory_start_mib = row.candidate.memory_mib
    for number in range(ROUNDS):
        # The order rotates, so that other load on the machine affects all candidates alike.
        for row in [*rows[number % len(rows) :], *rows[: number % len(rows)]]:
            rate, cost = _no_op_round(workload, row.candidate)
            row.no_ops.append(rate)
            row.costs.append(cost)
            _report(f"{row.candidate.name}: {rate:,.0f} no-ops/s, {cost * 1e6:,.0f} µs of CPU each")
            if HOLDS:
                row.holds.append(_hold_round(workload, row.candidate))
                _report(f"{row.candidate.name}: {row.holds[-1]:,.0f} holds/s")
    for row in rows:
        row.memory_end_mib = row.candidate.memory_mib
    verification.check_invariants(workload)


def _no_op_round(workload: Workload, candidate: Candidate) -> tuple[float, float]:
    """Responses per second, and CPU seconds per response."""
    requests = itertools.islice(_no_ops(workload), int(SECONDS * SEATS_PER_SECOND))
    used = candidate.cpu_seconds
    load = _load(workload, candidate, ((request,) for request in requests))
    return load.rate, (candidate.cpu_seconds - used) / sum(load.statuses.values())


def _hold_round(workload: Workload, candidate: Candidate) -> float:
    show = workload.show(int(SECONDS * SEATS_PER_SECOND))
    load = _load(workload, candidate, workload.requests(show, HOLD))
    verification.check_holds(workload, show, load)
    return load.rate


def _load(workload: Workload, candidate: Candidate, chains: Iterator[tuple[bytes]]) -> Load:
    return workload.testbed.generator.run(chains, CONNECTIONS, seconds=SECONDS, port=candidate.port).expect(201)


def _no_ops(workload: Workload) -> Iterator[bytes]:
    """An endless sequence of no-ops, each by the next buyer."""
    body = {"event_id": str(workload.template), "seats": ["S0-1-1"]}
    return (workload.request(number, NO_OP, body) for number in itertools.count())


def _prepared(version: str) -> Path | None:
    try:
        return prepare(version)
    except Missing as missing:
        _report(f"skipped: {missing}")
        return None


def _ratios(own: list[float], others: list[float]) -> list[float]:
    return [a / b for a, b in zip(own, others, strict=True)]


def _spread(ratios: list[float]) -> str:
    if len(ratios) < 2:
        return " ".join(f"{ratio:.2f}" for ratio in ratios) or "not measured"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
