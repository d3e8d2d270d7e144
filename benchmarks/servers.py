"""HTTP servers and Pythons beside each other: requests a second, memory, and a clean stop.

Compared with what we run, uvicorn on the first of PYTHONS. BENCH_SECONDS and BENCH_ROUNDS set the rounds; PYTHONS and
SERVERS leave some out, and BENCH_HOLDS=off the holds.
"""

import itertools
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import proof
from benchmarks.crowd import HOLD, NO_OP, Crowd
from benchmarks.generator import Load, Missing
from benchmarks.servers_running import COMMANDS, Candidate, prepare, running
from benchmarks.servers_stop import Stop, stop_under_load
from benchmarks.stage import open_stage, servers

PYTHONS = os.environ.get("PYTHONS", "3.11 3.12 3.13").split()
SERVERS = os.environ.get("SERVERS", " ".join(COMMANDS)).split()
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
HOLDS = os.environ.get("BENCH_HOLDS", "on") == "on"
CONNECTIONS = 64
#: More than any of them holds in a second.
SEATS_PER_SECOND = 6_000


@dataclass(slots=True)
class Row:
    """What was measured of one candidate: answers a second and their cost by round, MiB, and how it stopped."""

    candidate: Candidate
    no_ops: list[float] = field(default_factory=list)
    #: CPU seconds of an answer to the no-op: a server with more threads gets more of a busy machine, at no less cost.
    costs: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    memory_start_mib: float = 0.0
    memory_end_mib: float = 0.0
    stop: Stop = field(default_factory=Stop)

    def no_op_ratios(self, baseline: "Row") -> list[float]:
        return _ratios(self.no_ops, baseline.no_ops)

    def cost_ratios(self, baseline: "Row") -> list[float]:
        return _ratios(self.costs, baseline.costs)

    def hold_ratios(self, baseline: "Row") -> list[float]:
        return _ratios(self.holds, baseline.holds)


def main() -> int:
    """The exit status is 1 when something that it takes is missing, or nothing could be compared."""
    try:
        rows = run()
    except Missing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in table(rows))
    return 0 if rows else 1


def run() -> list[Row]:
    """Measure every server on every Python by turns; the first row is what the others are compared with.

    Raises Missing when a compiler is not installed; a missing Python is named, and left out.
    """
    pythons = {version: python for version in PYTHONS if (python := _prepared(version))}
    with servers() as (folder, postgres, valkey), open_stage(folder, postgres, valkey) as stage, ExitStack() as stack:
        crowd = Crowd(stage)
        rows = [
            Row(stack.enter_context(running(stage, server, version, python)))
            for version, python in pythons.items()
            for server in SERVERS
        ]
        _measure(crowd, rows)
        for row in rows:
            row.stop = stop_under_load(row.candidate, _no_ops(crowd))
            _tell(f"{row.candidate.name}: {row.stop}")
        return rows


def table(rows: list[Row]) -> Iterator[str]:
    """The rows as a table of a document: medians, and in brackets the quartiles of the rounds."""
    heads = (
        "no-ops a second",
        "CPU time of a no-op",
        "holds a second",
        "MiB at start, after load",
        "stopped under load",
    )
    yield f"| server, Python | {' | '.join(heads)} |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        ratios = (row.no_op_ratios(rows[0]), row.cost_ratios(rows[0]), row.hold_ratios(rows[0]))
        memory = f"{row.memory_start_mib:.0f}, {row.memory_end_mib:.0f}"
        yield f"| {row.candidate.name} | {' | '.join(map(_spread, ratios))} | {memory} | {row.stop} |"


def _measure(crowd: Crowd, rows: list[Row]) -> None:
    for row in rows:
        _no_op_round(crowd, row.candidate)  # warms up
        row.memory_start_mib = row.candidate.memory_mib
    for number in range(ROUNDS):
        # Each has every place in the order once: what the machine does meanwhile falls on all alike.
        for row in [*rows[number % len(rows) :], *rows[: number % len(rows)]]:
            rate, cost = _no_op_round(crowd, row.candidate)
            row.no_ops.append(rate)
            row.costs.append(cost)
            _tell(f"{row.candidate.name}: {rate:,.0f} no-ops/s, {cost * 1e6:,.0f} µs of CPU each")
            if HOLDS:
                row.holds.append(_hold_round(crowd, row.candidate))
                _tell(f"{row.candidate.name}: {row.holds[-1]:,.0f} holds/s")
    for row in rows:
        row.memory_end_mib = row.candidate.memory_mib
    proof.keeps_invariants(crowd)


def _no_op_round(crowd: Crowd, candidate: Candidate) -> tuple[float, float]:
    """Answers a second, and the CPU seconds that each took."""
    requests = itertools.islice(_no_ops(crowd), int(SECONDS * SEATS_PER_SECOND))
    used = candidate.cpu_seconds
    load = _load(crowd, candidate, ((request,) for request in requests))
    return load.rate, (candidate.cpu_seconds - used) / sum(load.statuses.values())


def _hold_round(crowd: Crowd, candidate: Candidate) -> float:
    show = crowd.show(int(SECONDS * SEATS_PER_SECOND))
    load = _load(crowd, candidate, crowd.requests(show, HOLD))
    proof.is_right(crowd, show, load)
    return load.rate


def _load(crowd: Crowd, candidate: Candidate, chains: Iterator[tuple[bytes]]) -> Load:
    return crowd.stage.generator.run(chains, CONNECTIONS, seconds=SECONDS, port=candidate.port).expect(201)


def _no_ops(crowd: Crowd) -> Iterator[bytes]:
    """Without end, buyer after buyer."""
    body = {"event_id": str(crowd.template), "seats": ["S0-1-1"]}
    return (crowd.request(number, NO_OP, body) for number in itertools.count())


def _prepared(version: str) -> Path | None:
    try:
        return prepare(version)
    except Missing as missing:
        _tell(f"left out: {missing}")
        return None


def _ratios(own: list[float], others: list[float]) -> list[float]:
    return [a / b for a, b in zip(own, others, strict=True)]


def _spread(ratios: list[float]) -> str:
    if len(ratios) < 2:
        return " ".join(f"{ratio:.2f}" for ratio in ratios) or "not measured"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
