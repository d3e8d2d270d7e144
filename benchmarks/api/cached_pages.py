"""Pages and lists from memory, relative to the availability of the same event."""

from collections.abc import Iterator
from functools import partial
from uuid import UUID

import httpx2

from benchmarks.result import Result
from benchmarks.rounds import SECONDS, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.organizer import Organizer
from benchmarks.testbed.workload import Workload

CONNECTIONS = 64
#: Rows of a hundred seats each.
ROWS = 5
#: As many as the start page shows.
EVENTS = 50
READS_PER_SECOND = 20_000
API = "/api/v1/events"
#: The path of each figure.
PATHS = {
    "start": "/",
    "list": f"{API}?limit=24",
    "search": f"{API}?limit=24&q=bench",
    "event_page": "/e/{event}",
    "seats": f"{API}/{{event}}/seats",
}


def run(workload: Workload) -> list[Result]:
    """Each path alternately with `GET /availability`, both with gzip and without a token, as on a first visit."""
    with httpx2.Client(base_url=f"{workload.testbed.url}/api/v1", timeout=120) as client:
        event = Organizer(client).show(ROWS)
    for _ in range(EVENTS):
        workload.show(ROWS * 100, UUID(event))
    results = []
    for name, path in PATHS.items():
        one, other = path.format(event=event), f"{API}/{event}/availability"
        ratio = ratio_of(partial(_read, workload, one), partial(_read, workload, other))
        meaning = f"answers per second to GET {path.format(event='…')}, relative to those to GET {API}/…/availability"
        results.append(Result(f"{name}_to_availability", ratio, 0.5, meaning, at_most=False))
    verification.check_invariants(workload)
    return results


def _read(workload: Workload, path: str) -> float:
    load = workload.testbed.generator.run(_requests(workload, path), CONNECTIONS, seconds=SECONDS).expect(200)
    report(f"GET {path} x {CONNECTIONS}", load.rate)
    return load.rate


def _requests(workload: Workload, path: str) -> Iterator[tuple[bytes]]:
    for number in range(int(SECONDS * READS_PER_SECOND)):
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\nX-Forwarded-For: {address}\r\n\r\n"
        yield (head.encode(),)
