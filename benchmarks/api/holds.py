"""Holds over HTTP, relative to a no-op on the same server: the share of the framework's speed that a hold reaches."""

from benchmarks.result import Result
from benchmarks.rounds import hold_round, no_op_round, ratio_of, show_for_round
from benchmarks.testbed import verification
from benchmarks.testbed.workload import Workload

CONNECTIONS = (64, 256)


def run(workload: Workload) -> list[Result]:
    """Holds and no-ops alternately, through 64 and through 256 connections."""
    results = [_compare(workload, connections) for connections in CONNECTIONS]
    verification.check_invariants(workload)
    return results


def _compare(workload: Workload, connections: int) -> Result:
    shown = show_for_round(workload)
    ratio = ratio_of(
        lambda: hold_round(workload, connections).rate,
        lambda: no_op_round(workload, connections, shown).rate,
    )
    meaning = f"holds per second through {connections} connections, relative to no-op responses per second"
    return Result(f"holds_to_noop_{connections}", ratio, 0.8, meaning, at_most=False)
