"""The effect of the size of the database on holds: ten million seats in 1,000 events, relative to one small event.

The bar is for one event, as in an on-sale. Holds spread over all events are the other extreme: each batch reads as many
events as it has holds.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, ratio_of, report
from benchmarks.testbed import verification
from benchmarks.testbed.testbed import open_testbed
from benchmarks.testbed.workload import HOLD, Show, Workload, label_of

CONNECTIONS = 64
SMALL_SEATS = 20_000
EVENTS = 1000
#: BENCH_SEATS=200000 is enough for a trial.
SEATS = int(os.environ.get("BENCH_SEATS", "10000000"))


def run(workload: Workload) -> list[Result]:
    """Two databases on one server, each with an API process, alternately: one event of many, then all events."""
    with ExitStack() as stack:
        servers = workload.testbed.servers
        small, large = (
            Workload(stack.enter_context(open_testbed(*servers, database=name, number=number)))
            for number, name in enumerate(("small", "large"), 1)
        )
        few, many = [small.show(SMALL_SEATS)], _fill(large)
        one = ratio_of(lambda: _hold(large, [large.random.choice(many)]), lambda: _hold(small, few))
        spread = ratio_of(lambda: _hold(large, many), lambda: _hold(small, few), FEW_ROUNDS)
        verification.check_invariants(small)
        verification.check_invariants(large)
    sizes = f"with {SEATS:,} seats in {EVENTS:,} events, relative to {SMALL_SEATS:,} seats in one event"
    return [
        Result("growth_10m", one, 0.9, f"holds per second in one event {sizes}", at_most=False),
        Result("growth_10m_spread", spread, None, f"holds per second spread over all events {sizes}"),
    ]


def _fill(workload: Workload) -> list[Show]:
    """Create all events with triggers and foreign keys disabled, since the data is known to be consistent."""
    workload.database.execute("set session_replication_role = replica")
    shows = [workload.show(SEATS // EVENTS) for _ in range(EVENTS)]
    workload.database.execute("reset session_replication_role")
    workload.database.execute("vacuum (analyze) event_seats")
    return shows


def _hold(workload: Workload, shows: list[Show]) -> float:
    """One round of at most SMALL_SEATS holds, which are cancelled afterwards."""
    load = workload.testbed.generator.run(_requests(workload, shows), CONNECTIONS, seconds=SECONDS).expect(201)
    events = [show.id for show in shows]
    released = workload.database.execute(_RELEASE, {"events": events}).rowcount
    if released != load.count(201):
        raise SystemExit(f"{load.count(201)} seats were held, {released} were released")
    workload.database.execute(_CANCEL)
    workload.database.execute("vacuum event_seats, reservations")
    report(f"holds in {len(shows):,} events", load.rate)
    return load.rate


def _requests(workload: Workload, shows: list[Show]) -> Iterator[tuple[bytes]]:
    each = shows[0].seats
    for number, at in enumerate(workload.random.sample(range(len(shows) * each), min(SMALL_SEATS, len(shows) * each))):
        body = {"event_id": str(shows[at // each].id), "seats": [label_of(at % each)]}
        yield (workload.request(number, HOLD, body),)


_RELEASE = """
update event_seats set status = 'a', reservation_id = null, held_until = null, version = version + 1
 where (organization_id, event_id, number) in (
       select i.organization_id, i.event_id, i.seat_number from reservation_items i
         join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
        where r.status = 'active' and r.event_id = any(%(events)s))
   and status = 'h'"""
_CANCEL = """
update reservations set status = 'cancelled', ended_at = now(), version = version + 1 where status = 'active'"""
