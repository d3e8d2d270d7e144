"""Refused holds: the rate of 409 responses for held seats, relative to the rate of holds."""

from collections.abc import Iterator

from benchmarks.result import Result
from benchmarks.rounds import SECONDS, hold_round, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.workload import HOLD, Show, Workload

CONNECTIONS = 64
SEATS = 2000
#: More than can be refused in a second.
REQUESTS_PER_SECOND = 20_000


def run(workload: Workload) -> list[Result]:
    """Hold all seats of an event, then request them again, alternately with holds of available seats."""
    held = workload.show(SEATS)
    load = workload.testbed.generator.run(workload.requests(held), CONNECTIONS).expect(201)

    def refuse() -> float:
        refused = workload.testbed.generator.run(_requests(workload, held), CONNECTIONS, seconds=SECONDS).expect(409)
        report(f"refused holds x {CONNECTIONS}", refused.rate)
        return refused.rate

    ratio = ratio_of(refuse, lambda: hold_round(workload, CONNECTIONS).rate)
    verification.check_holds(workload, held, load)
    verification.check_invariants(workload)
    meaning = f"409 responses per second for {SEATS} held seats, relative to holds per second"
    return [Result("losers_to_holds", ratio, 1.5, meaning, at_most=False)]


def _requests(workload: Workload, held: Show) -> Iterator[tuple[bytes]]:
    labels = held.labels
    for number in range(int(SECONDS * REQUESTS_PER_SECOND)):
        body = {"event_id": str(held.id), "seats": [workload.random.choice(labels)]}
        yield (workload.request(number, HOLD, body),)
