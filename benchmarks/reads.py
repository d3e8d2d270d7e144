"""Reading how a large event stands, beside holding its seats."""

from collections.abc import Iterator
from uuid import UUID

import httpx2

from benchmarks import proof
from benchmarks.crowd import Crowd
from benchmarks.organizer import Organizer
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, by_turns, hold_round, tell

CONNECTIONS = 64
#: Rows of a hundred seats each.
ROWS = 160
READS_PER_SECOND = 40_000


def run(crowd: Crowd) -> list[Result]:
    """`GET /availability` of 16,000 seats by turns with holds: whole and compressed, and for those who have it."""
    with httpx2.Client(base_url=f"{crowd.stage.url}/api/v1", timeout=120) as client:
        event = UUID(Organizer(client).show(ROWS))
        tag = client.get(f"/events/{event}/availability", headers={"Accept-Encoding": "gzip"}).headers["etag"]
    whole = by_turns(lambda: _read(crowd, event, 200), lambda: hold_round(crowd, CONNECTIONS).rate)
    known = by_turns(lambda: _read(crowd, event, 304, tag), lambda: hold_round(crowd, CONNECTIONS).rate, FEW_ROUNDS)
    proof.keeps_invariants(crowd)
    meaning = f"answers a second to GET /availability of {ROWS * 100:,} seats"
    return [
        Result("reads_to_holds", whole, 5, f"{meaning}, gzip, in times of holds a second", at_most=False),
        Result("known_reads_to_holds", known, None, f"{meaning} with If-None-Match, in times of holds a second"),
    ]


def _read(crowd: Crowd, event: UUID, status: int, tag: str = "") -> float:
    load = crowd.stage.generator.run(_requests(crowd, event, tag), CONNECTIONS, seconds=SECONDS).expect(status)
    tell(f"reads ({status}) x {CONNECTIONS}", load.rate)
    return load.rate


def _requests(crowd: Crowd, event: UUID, tag: str) -> Iterator[tuple[bytes]]:
    condition = f"If-None-Match: {tag}\r\n" if tag else ""
    for number in range(int(SECONDS * READS_PER_SECOND)):
        headers = f"{crowd.buyers[number % len(crowd.buyers)]}Accept-Encoding: gzip\r\n{condition}"
        yield (f"GET /api/v1/events/{event}/availability HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode(),)
