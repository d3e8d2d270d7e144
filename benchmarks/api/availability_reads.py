"""Reading the availability of a large event, relative to holding seats."""

from collections.abc import Iterator
from uuid import UUID

import httpx2

from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, hold_round, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.organizer import Organizer
from benchmarks.testbed.workload import Workload

CONNECTIONS = 64
#: Rows of a hundred seats each.
ROWS = 160
READS_PER_SECOND = 40_000


def run(workload: Workload) -> list[Result]:
    """`GET /availability` of 16,000 seats alternately with holds: compressed in full, and with If-None-Match."""
    with httpx2.Client(base_url=f"{workload.testbed.url}/api/v1", timeout=120) as client:
        event = UUID(Organizer(client).show(ROWS))
        tag = client.get(f"/events/{event}/availability", headers={"Accept-Encoding": "gzip"}).headers["etag"]
    full = ratio_of(lambda: _read(workload, event, 200), lambda: hold_round(workload, CONNECTIONS).rate)
    unchanged = ratio_of(
        lambda: _read(workload, event, 304, tag), lambda: hold_round(workload, CONNECTIONS).rate, FEW_ROUNDS
    )
    verification.check_invariants(workload)
    meaning = f"answers per second to GET /availability of {ROWS * 100:,} seats"
    return [
        Result("reads_to_holds", full, 5, f"{meaning}, gzip, relative to holds per second", at_most=False),
        Result("known_reads_to_holds", unchanged, None, f"{meaning} with If-None-Match, relative to holds per second"),
    ]


def _read(workload: Workload, event: UUID, status: int, tag: str = "") -> float:
    load = workload.testbed.generator.run(_requests(workload, event, tag), CONNECTIONS, seconds=SECONDS).expect(status)
    report(f"reads ({status}) x {CONNECTIONS}", load.rate)
    return load.rate


def _requests(workload: Workload, event: UUID, tag: str) -> Iterator[tuple[bytes]]:
    condition = f"If-None-Match: {tag}\r\n" if tag else ""
    for number in range(int(SECONDS * READS_PER_SECOND)):
        headers = f"{workload.buyers[number % len(workload.buyers)]}Accept-Encoding: gzip\r\n{condition}"
        yield (f"GET /api/v1/events/{event}/availability HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode(),)
