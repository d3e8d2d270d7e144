"""Holds over HTTP, beside the same server's no-op: how much of the framework's own speed is left to a real hold."""

from benchmarks import proof
from benchmarks.crowd import Crowd
from benchmarks.result import Result
from benchmarks.rounds import by_turns, fresh_show, hold_round, no_op_round

CONNECTIONS = (64, 256)


def run(crowd: Crowd) -> list[Result]:
    """Hold and do nothing by turns, through 64 and through 256 connections."""
    results = [_compare(crowd, connections) for connections in CONNECTIONS]
    proof.keeps_invariants(crowd)
    return results


def _compare(crowd: Crowd, connections: int) -> Result:
    shown = fresh_show(crowd)
    ratio = by_turns(
        lambda: hold_round(crowd, connections).rate,
        lambda: no_op_round(crowd, connections, shown).rate,
    )
    meaning = f"holds a second through {connections} connections, in times of the no-op's answers a second"
    return Result(f"holds_to_noop_{connections}", ratio, 0.8, meaning, at_most=False)
