"""Complete purchases: hold, order, payment, the provider's webhook, and the ticket that a worker issues."""

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.result import Result
from benchmarks.rounds import SECONDS, hold_round, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.cpu_time import cpu_seconds
from benchmarks.testbed.workload import HOLD, Show, Workload, write_json
from ticketing.infra.outbox.status import UNREAD

CONNECTIONS = 64

#: More than can be completed in a second.
PURCHASES_PER_SECOND = 2000
TICKETS_SECONDS, READERS_SECONDS = 120, 120
#: How often a request is retried after 503.
TRIES = 100

WEBHOOK = "/api/v1/payments/webhooks/mock"


class _Round(NamedTuple):
    """Purchases or holds per second, the CPU time of all processes that each took, and the wait for the last ticket."""

    rate: float
    cpu_seconds: float
    lag_seconds: float = 0.0


def run(workload: Workload) -> list[Result]:
    """Purchases alternately with holds."""
    purchases: list[_Round] = []
    holds: list[_Round] = []
    with workload.testbed.workers_running():
        ratio = ratio_of(
            lambda: _append(purchases, _purchases(workload)).rate, lambda: _append(holds, _holds(workload)).rate
        )
        verification.check_invariants(workload)
    counted = list(zip(purchases[1:], holds[1:], strict=True))  # without the warm-up round
    cpu = statistics.median(purchase.cpu_seconds / hold.cpu_seconds for purchase, hold in counted)
    lag = max(purchase.lag_seconds for purchase, _ in counted)
    return [
        Result("journey_to_holds", ratio, 0.125, _MEANING, at_most=False),
        Result("journey_cpu_to_hold_cpu", cpu, 10, "CPU time of all processes per purchase, relative to one hold"),
        Result("last_ticket_seconds", lag, 2, "seconds from the last payment of a round to its last ticket, maximum"),
    ]


def wait_for_readers(workload: Workload) -> None:
    """Wait until the log's readers have nothing left: emails of a round must not slow down the next one."""
    deadline = time.monotonic() + READERS_SECONDS
    while workload.database.execute(_HAS_UNREAD).fetchone() != (False,):
        if time.monotonic() > deadline:
            raise SystemExit("the readers of the log do not catch up")
        time.sleep(0.05)


def _append(rounds: list[_Round], new: _Round) -> _Round:
    rounds.append(new)
    return new


def _holds(workload: Workload) -> _Round:
    wait_for_readers(workload)
    before = cpu_seconds(workload.testbed)
    load = hold_round(workload, CONNECTIONS)
    return _Round(load.rate, _report_cpu(workload, before, load.count(201), "hold"))


def _purchases(workload: Workload) -> _Round:
    show = workload.show(int(SECONDS * PURCHASES_PER_SECOND))
    requests = workload.testbed.generator.write(purchase_requests(workload, show, show.labels))
    wait_for_readers(workload)
    before = cpu_seconds(workload.testbed)
    # Orders and payments wait for a pooled connection. After a timeout they get a 503, and are retried.
    load = workload.testbed.generator.run(requests, CONNECTIONS, seconds=SECONDS, retries=TRIES)
    paid = load.expect(200, 201).count(200, step=3)
    wait_for_tickets(workload, show, paid)
    cpu = _report_cpu(workload, before, paid, "purchase")
    # Excludes the start of the generator; includes the wait for the last ticket.
    seconds, lag = float(load.figures["seconds"]), _ticket_lag(workload, show)
    rate = paid / (seconds + lag)
    report("paid", paid / seconds)
    report("from the last payment to the last ticket", lag, " s")
    report(f"purchases x {CONNECTIONS}", rate)
    return _Round(rate, cpu, lag)


def _report_cpu(workload: Workload, before: Mapping[str, float], count: int, what: str) -> float:
    """Returns the CPU seconds of all processes together, per purchase or hold."""
    used = {name: (after - before[name]) / count for name, after in cpu_seconds(workload.testbed).items()}
    for name, seconds in used.items():
        report(f"CPU time per {what}: {name}", seconds * 1000, " ms")
    return sum(used.values())


def purchase_requests(workload: Workload, show: Show, seats: list[str]) -> Iterator[tuple[bytes, ...]]:
    """The requests of a purchase for each seat, in random order, each by the next buyer."""
    wanted = list(seats)
    workload.random.shuffle(wanted)
    for number, label in enumerate(wanted):
        buyer = {"email": f"buyer-{number}@example.com", "name": "Buyer"}
        yield (
            workload.request(number, HOLD, {"event_id": str(show.id), "seats": [label]}),
            workload.request(number, "/api/v1/orders", {"reservation_id": _placeholder("0", 36), "buyer": buyer}),
            workload.request(number, "/api/v1/payments", {"order_id": _placeholder("1", 36), "provider": "mock"}),
            _webhook(),
        )


def wait_for_tickets(workload: Workload, show: Show, count: int) -> None:
    """Abort the benchmark if the workers have not issued this number of tickets in time."""
    deadline = time.monotonic() + TICKETS_SECONDS
    while (issued := workload.database.execute(_ISSUED, [show.id]).fetchone()) != (count,):
        if time.monotonic() > deadline:
            raise SystemExit(f"{count} orders were paid, and {issued} tickets were issued")
        time.sleep(0.02)


def _ticket_lag(workload: Workload, show: Show) -> float:
    """Seconds from the last payment to the last ticket."""
    row = workload.database.execute(_LAG, {"event": show.id}).fetchone()
    return max(0.0, float(row[0])) if row else 0.0


def _webhook() -> bytes:
    fields = {"id": f"evt_{_placeholder('2', 36)}", "type": "payment.succeeded", "provider_ref": _placeholder("P", 37)}
    raw = write_json({**fields, "amount": 4500, "currency": "EUR"})
    return (
        f"POST {WEBHOOK} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Mock-Signature: t={_placeholder('T', 10)},v1={_placeholder('S', 64)}\r\n"
        f"Content-Length: {len(raw)}\r\n\r\n{raw}"
    ).encode()


def _placeholder(what: str, width: int) -> str:
    """A placeholder for a value from an earlier response; see `fill` in load_fill.h."""
    return f"\1{what}".ljust(width, ".")


_MEANING = "purchases per second from the hold to the last ticket, relative to holds per second"
_HAS_UNREAD = f"select exists (select from outbox_readers r where exists (select from outbox o where {UNREAD}))"  # noqa: S608
_ISSUED = "select count(*) from tickets where event_id = %s"
_LAG = """
select extract(epoch from (select max(created_at) from tickets where event_id = %(event)s)
                        - (select max(paid_at) from orders where event_id = %(event)s))"""
