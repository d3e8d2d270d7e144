"""Reads and a write behind a log-in, relative to a bare ASGI answer on the same server: what the stack leaves of it."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from benchmarks.api.purchases import purchase_requests, wait_for_tickets
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, no_op_round, ratio_of, report, show_for_round
from benchmarks.testbed import verification
from benchmarks.testbed.cpu_time import cpu_seconds
from benchmarks.testbed.workload import Workload
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import wait_for

CONNECTIONS = 64
PURCHASES = 1000
#: More than can be answered in a second.
BARE_PER_SECOND, READS_PER_SECOND, WRITES_PER_SECOND = 40_000, 8_000, 4_000
START_SECONDS = 30

_BOUGHT = """
select o.user_id, o.id, (select min(t.id::text) from tickets t where t.order_id = o.id)
  from orders o where o.event_id = %s"""
_BARE = b"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

#: The requests of a round.
Requests = Callable[[], Iterator[tuple[bytes]]]


def run(workload: Workload) -> list[Result]:
    """Each kind of request, and the no-op, alternately with bare answers."""
    kinds = _reads(workload, _buy(workload))
    show = show_for_round(workload)
    with _bare_server(workload) as bare:
        reads = [
            Result(
                f"{name}_reads_to_bare",
                ratio_of(lambda made=made: _rate(workload, made, 200), bare),  # type: ignore[misc]
                0.06,
                f"answers per second to GET {path}, relative to a bare ASGI answer on the same server",
                at_most=False,
            )
            for name, path, made in kinds
        ]
        writes = ratio_of(lambda: _rate(workload, lambda: _writes(workload), 201), bare)
        no_op = ratio_of(lambda: no_op_round(workload, CONNECTIONS, show).rate, bare, FEW_ROUNDS)
    verification.check_invariants(workload)
    of = "per second, relative to a bare ASGI answer on the same server"
    return [
        *reads,
        Result("writes_to_bare", writes, 0.03, f"organizations created, with an idempotency key, {of}", at_most=False),
        Result("noop_to_bare", no_op, None, f"no-op responses {of}"),
    ]


def _buy(workload: Workload) -> list[tuple[str, UUID, str]]:
    """Paid orders with a ticket each: the buyer's headers, the order, and the ticket."""
    show = workload.show(PURCHASES)
    with workload.testbed.workers_running():
        load = workload.testbed.generator.run(purchase_requests(workload, show, show.labels), 16, retries=100)
        wait_for_tickets(workload, show, load.expect(200, 201).count(200, step=3))
    headers = dict(zip(workload.buyer_ids, workload.buyers, strict=True))
    rows = workload.database.execute(_BOUGHT, [show.id]).fetchall()
    return [(headers[user], order, ticket) for user, order, ticket in rows]


def _reads(workload: Workload, bought: list[tuple[str, UUID, str]]) -> list[tuple[str, str, Requests]]:
    def of(path: str) -> Requests:
        def requests() -> Iterator[tuple[bytes]]:
            for number in range(int(SECONDS * READS_PER_SECOND)):
                headers, order, ticket = bought[number % len(bought)]
                target = path.format(order_id=order, ticket_id=ticket)
                yield (f"GET /api/v1{target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode(),)

        return requests

    paths = {"me": "/me", "order": "/orders/{order_id}", "ticket": "/tickets/{ticket_id}", "tickets": "/me/tickets"}
    return [(name, path, of(path)) for name, path in paths.items()]


def _writes(workload: Workload) -> Iterator[tuple[bytes]]:
    for number in range(int(SECONDS * WRITES_PER_SECOND)):
        yield (workload.request(number, "/api/v1/orgs", {"name": "Bench", "slug": f"b-{uuid4().hex}"}),)


def _rate(workload: Workload, requests: Requests, status: int) -> float:
    before = cpu_seconds(workload.testbed)
    load = workload.testbed.generator.run(requests(), CONNECTIONS, seconds=SECONDS).expect(status)
    for process, seconds in cpu_seconds(workload.testbed).items():
        report(f"CPU time of {process} per response", (seconds - before[process]) / load.count(status) * 1e6, " µs")
    report(f"responses ({status}) x {CONNECTIONS}", load.rate)
    return load.rate


@contextmanager
def _bare_server(workload: Workload) -> Iterator[Callable[[], float]]:
    """Measures bare answers per second during the block."""
    testbed, port = workload.testbed, free_port()

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def measure() -> float:
        requests = ((_BARE,) for _ in range(int(SECONDS * BARE_PER_SECOND)))
        load = testbed.generator.run(requests, CONNECTIONS, seconds=SECONDS, port=port).expect(200)
        report(f"bare x {CONNECTIONS}", load.rate)
        return load.rate

    with testbed.running("benchmarks.bare", str(port), name="bare"):
        if not wait_for(answers, START_SECONDS):
            raise SystemExit("the bare server did not start")
        yield measure
