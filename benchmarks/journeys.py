"""All the way to a ticket: hold, order, payment, the provider's webhook, and the ticket that a worker issues."""

import time
from collections.abc import Iterator

from benchmarks import proof
from benchmarks.crowd import HOLD, Crowd, Show, write_json
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, by_turns, hold_round, tell

CONNECTIONS = 64
#: More than anybody completes in a second.
JOURNEYS_PER_SECOND = 2000
TICKETS_SECONDS = 120
#: How often a buyer comes back who was asked to.
TRIES = 100

WEBHOOK = "/api/v1/payments/webhooks/mock"


def run(crowd: Crowd) -> list[Result]:
    """Journeys by turns with bare holds."""
    with crowd.stage.workers_at_work():
        ratio = by_turns(lambda: _journeys(crowd), lambda: hold_round(crowd, CONNECTIONS).rate)
        proof.keeps_invariants(crowd)
    meaning = "journeys a second from the hold to the ticket, the last ticket awaited, in times of holds a second"
    return [Result("journey_to_holds", ratio, 0.125, meaning, at_most=False)]


def _journeys(crowd: Crowd) -> float:
    show = crowd.show(int(SECONDS * JOURNEYS_PER_SECOND))
    journeys = steps_for(crowd, show, show.labels)
    # Orders and payments wait for a connection of the pool; who has waited too long is asked to come back, and does.
    load = crowd.stage.generator.run(journeys, CONNECTIONS, seconds=SECONDS, retries=TRIES)
    paid = load.expect(200, 201).count(200, step=3)
    await_tickets(crowd, show, paid)
    # The generator's own start and its requests' making are left out, the wait for the last ticket is not.
    seconds, lag = float(load.seen["seconds"]), _ticket_lag(crowd, show)
    rate = paid / (seconds + lag)
    tell("paid", paid / seconds)
    tell("from the last payment to the last ticket", lag, " s")
    tell(f"journeys x {CONNECTIONS}", rate)
    return rate


def steps_for(crowd: Crowd, show: Show, seats: list[str]) -> Iterator[tuple[bytes, ...]]:
    """A journey for each of these seats, in random order, by one buyer after the other."""
    wanted = list(seats)
    crowd.random.shuffle(wanted)
    for number, label in enumerate(wanted):
        buyer = {"email": f"buyer-{number}@example.com", "name": "Buyer"}
        yield (
            crowd.request(number, HOLD, {"event_id": str(show.id), "seats": [label]}),
            crowd.request(number, "/api/v1/orders", {"reservation_id": _later("0", 36), "buyer": buyer}),
            crowd.request(number, "/api/v1/payments", {"order_id": _later("1", 36), "provider": "mock"}),
            _webhook(),
        )


def await_tickets(crowd: Crowd, show: Show, count: int) -> None:
    """Ends the benchmark when workers have not issued these tickets in time."""
    deadline = time.monotonic() + TICKETS_SECONDS
    while (issued := crowd.database.execute(_ISSUED, [show.id]).fetchone()) != (count,):
        if time.monotonic() > deadline:
            raise SystemExit(f"{count} were paid, and {issued} tickets were issued")
        time.sleep(0.02)


def _ticket_lag(crowd: Crowd, show: Show) -> float:
    """Seconds from the last payment to the last ticket."""
    row = crowd.database.execute(_LAG, {"event": show.id}).fetchone()
    return max(0.0, float(row[0])) if row else 0.0


def _webhook() -> bytes:
    fields = {"id": f"evt_{_later('2', 36)}", "type": "payment.succeeded", "provider_ref": _later("P", 37)}
    raw = write_json({**fields, "amount": 4500, "currency": "EUR"})
    return (
        f"POST {WEBHOOK} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Mock-Signature: t={_later('T', 10)},v1={_later('S', 64)}\r\nContent-Length: {len(raw)}\r\n\r\n{raw}"
    ).encode()


def _later(what: str, width: int) -> str:
    """Where the generator puts something that only an answer will tell it; see `fill` in load.c."""
    return f"\1{what}".ljust(width, ".")


_ISSUED = "select count(*) from tickets where event_id = %s"
_LAG = """
select extract(epoch from (select max(created_at) from tickets where event_id = %(event)s)
                        - (select max(paid_at) from orders where event_id = %(event)s))"""
