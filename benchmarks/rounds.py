"""Rounds by turns: what disturbs the machine disturbs both sides of a ratio alike."""

import os
import statistics
import sys
from collections.abc import Callable

from benchmarks import proof
from benchmarks.crowd import NO_OP, Crowd, Show
from benchmarks.generator import Load

#: The length of a round, and how many count; the one before them warms up.
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
#: For figures that are only told.
FEW_ROUNDS = min(ROUNDS, 2)
#: More than is held in a second: a round that runs out of seats is shorter, not wrong.
SEATS_PER_SECOND = 10_000


def by_turns(first: Callable[[], float], second: Callable[[], float], rounds: int = ROUNDS) -> float:
    """The median over the rounds of first ÷ second; who goes first changes every time."""
    ratios = []
    for number in range(rounds + 1):
        if number % 2:
            below, above = second(), first()
        else:
            above, below = first(), second()
        if number > 0:
            ratios.append(above / below)
    return statistics.median(ratios)


def fresh_show(crowd: Crowd) -> Show:
    """An event with enough seats for one round."""
    return crowd.show(int(SECONDS * SEATS_PER_SECOND))


def hold_round(crowd: Crowd, connections: int) -> Load:
    """Hold single seats of a fresh show, as fast as answers come; the database is checked."""
    show = fresh_show(crowd)
    load = crowd.stage.generator.run(crowd.requests(show), connections, seconds=SECONDS).expect(201)
    proof.is_right(crowd, show, load)
    tell(f"holds x {connections}", load.rate)
    return load


def no_op_round(crowd: Crowd, connections: int, show: Show) -> Load:
    """Ask for seats of a show in the same way, of the endpoint that does nothing."""
    requests = crowd.requests(show, NO_OP)
    load = crowd.stage.generator.run(requests, connections, seconds=SECONDS).expect(201)
    tell(f"no-ops x {connections}", load.rate)
    return load


def tell(what: str, figure: float, unit: str = "/s") -> None:
    """Print what was measured as it comes; only ratios are kept."""
    sys.stdout.write(f"  {what}: {figure:,.4g}{unit}\n" if figure < 100 else f"  {what}: {figure:,.0f}{unit}\n")
    sys.stdout.flush()
