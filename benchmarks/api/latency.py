"""The latency of single holds: relative to their commit, and with a few connections relative to one."""

import statistics
from collections.abc import Iterator
from uuid import UUID

import httpx2

from benchmarks.api.concurrency import mean_commit_seconds
from benchmarks.generator.generator import Load
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, ROUNDS, SECONDS, hold_round, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.organizer import Organizer
from benchmarks.testbed.workload import HOLD, Workload

CONNECTIONS = 8
#: More places than can be held in all rounds.
PLACES = 1_000_000
REQUESTS_PER_SECOND = 4000


def run(workload: Workload) -> list[Result]:
    """Holds of seats and of places through one connection and through eight."""
    alone = statistics.median([_alone(workload) for _ in range(ROUNDS)])
    crowded = ratio_of(lambda: _seats(workload, CONNECTIONS), lambda: _seats(workload, 1))
    verification.check_invariants(workload)
    with httpx2.Client(base_url=f"{workload.testbed.url}/api/v1", timeout=120) as client:
        event, counter = Organizer(client).general_admission(PLACES)
    places = ratio_of(
        lambda: _places(workload, event, counter, CONNECTIONS),
        lambda: _places(workload, event, counter, 1),
        FEW_ROUNDS,
    )
    verification.check_invariants(workload)
    meaning = f"p50 of holds through {CONNECTIONS} connections, relative to one"
    return [
        Result(
            "hold_alone_to_commit", alone, 3, "p50 of a hold alone, relative to the mean commit of its batch of one"
        ),
        Result("p50_8_to_1", crowded, 2, meaning),
        Result("places_p50_8_to_1", places, 2, f"{meaning}, of places of one counter"),
    ]


def _alone(workload: Workload) -> float:
    before = workload.testbed.read_metrics()
    p50 = _seats(workload, 1)
    commit = mean_commit_seconds(before, workload.testbed.read_metrics())
    report("mean commit of a batch of one", commit * 1000, " ms")
    return p50 / commit


def _seats(workload: Workload, connections: int) -> float:
    return _p50(hold_round(workload, connections), "seats", connections)


def _places(workload: Workload, event: UUID, counter: UUID, connections: int) -> float:
    requests = _requests(workload, event, counter)
    load = workload.testbed.generator.run(requests, connections, seconds=SECONDS).expect(201)
    return _p50(load, "places", connections)


def _p50(load: Load, what: str, connections: int) -> float:
    report(f"p50 of {what} x {connections}", load.p50 * 1000, " ms")
    return load.p50


def _requests(workload: Workload, event: UUID, counter: UUID) -> Iterator[tuple[bytes]]:
    body = {"event_id": str(event), "items": [{"ticket_type_id": str(counter), "quantity": 1}]}
    for number in range(int(SECONDS * REQUESTS_PER_SECOND)):
        yield (workload.request(number, HOLD, body),)
