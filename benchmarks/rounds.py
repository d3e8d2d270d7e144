"""Alternating rounds: other load on the machine affects both sides of a ratio alike."""

import os
import statistics
import sys
from collections.abc import Callable

from benchmarks.generator.generator import Load
from benchmarks.testbed import verification
from benchmarks.testbed.workload import NO_OP, Show, Workload

#: The length of a round, and the number of rounds that count, after one warm-up round.
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
#: For figures without a bar.
FEW_ROUNDS = min(ROUNDS, 2)
#: More than can be held in a second. A round that runs out of seats is shorter, but not wrong.
SEATS_PER_SECOND = 10_000


def ratio_of(first: Callable[[], float], second: Callable[[], float], rounds: int = ROUNDS) -> float:
    """The median of first ÷ second over the rounds. The side that goes first alternates."""
    ratios = []
    for number in range(rounds + 1):
        if number % 2:
            denominator, numerator = second(), first()
        else:
            numerator, denominator = first(), second()
        if number > 0:
            ratios.append(numerator / denominator)
    return statistics.median(ratios)


def show_for_round(workload: Workload) -> Show:
    """An event with enough seats for one round."""
    return workload.show(int(SECONDS * SEATS_PER_SECOND))


def hold_round(workload: Workload, connections: int) -> Load:
    """Hold single seats of a new event as fast as responses arrive, then verify the database."""
    show = show_for_round(workload)
    load = workload.testbed.generator.run(workload.requests(show), connections, seconds=SECONDS).expect(201)
    verification.check_holds(workload, show, load)
    report(f"holds x {connections}", load.rate)
    return load


def no_op_round(workload: Workload, connections: int, show: Show) -> Load:
    """Send the same requests to the no-op endpoint."""
    requests = workload.requests(show, NO_OP)
    load = workload.testbed.generator.run(requests, connections, seconds=SECONDS).expect(201)
    report(f"no-ops x {connections}", load.rate)
    return load


def report(what: str, figure: float, unit: str = "/s") -> None:
    """Print a measurement immediately. Only ratios are saved."""
    sys.stdout.write(f"  {what}: {figure:,.4g}{unit}\n" if figure < 100 else f"  {what}: {figure:,.0f}{unit}\n")
    sys.stdout.flush()
