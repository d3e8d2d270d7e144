"""Whether a hold gets dearer as the platform grows: ten million seats in a thousand events, beside one small event.

An on-sale is one event, so that is what the bar is for. Buyers spread over all events are the other extreme: each batch
asks for as many events as it has holds.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import proof
from benchmarks.crowd import HOLD, Crowd, Show, label_of
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, by_turns, tell
from benchmarks.stage import open_stage

CONNECTIONS = 64
SMALL_SEATS = 20_000
EVENTS = 1000
#: Fewer, to try it out: BENCH_SEATS=200000.
SEATS = int(os.environ.get("BENCH_SEATS", "10000000"))


def run(crowd: Crowd) -> list[Result]:
    """Two databases on one server, each with its own API process, by turns: one on-sale among many, or all at once."""
    with ExitStack() as stack:
        servers = crowd.stage.servers
        small, large = (
            Crowd(stack.enter_context(open_stage(*servers, database=name, number=number)))
            for number, name in enumerate(("small", "large"), 1)
        )
        few, many = [small.show(SMALL_SEATS)], _fill(large)
        one = by_turns(lambda: _hold(large, [large.random.choice(many)]), lambda: _hold(small, few))
        spread = by_turns(lambda: _hold(large, many), lambda: _hold(small, few), FEW_ROUNDS)
        proof.keeps_invariants(small)
        proof.keeps_invariants(large)
    beside = f"with {SEATS:,} seats in {EVENTS:,} events, in times of those with {SMALL_SEATS:,} in one"
    return [
        Result("growth_10m", one, 0.9, f"holds a second of one event {beside}", at_most=False),
        Result("growth_10m_spread", spread, None, f"holds a second spread over all events {beside}"),
    ]


def _fill(crowd: Crowd) -> list[Show]:
    """A thousand events, without asking each row for its event: the event was made a line before."""
    crowd.database.execute("set session_replication_role = replica")
    shows = [crowd.show(SEATS // EVENTS) for _ in range(EVENTS)]
    crowd.database.execute("reset session_replication_role")
    crowd.database.execute("vacuum (analyze) event_seats")
    return shows


def _hold(crowd: Crowd, shows: list[Show]) -> float:
    """One round of at most SMALL_SEATS holds; then all of them are taken back."""
    load = crowd.stage.generator.run(_requests(crowd, shows), CONNECTIONS, seconds=SECONDS).expect(201)
    events = [show.id for show in shows]
    taken = crowd.database.execute(_RELEASE, {"events": events}).rowcount
    if taken != load.count(201):
        raise SystemExit(f"{load.count(201)} seats were given, {taken} were taken")
    crowd.database.execute(_CANCEL)
    crowd.database.execute("vacuum event_seats, reservations")
    tell(f"holds in {len(shows):,} events", load.rate)
    return load.rate


def _requests(crowd: Crowd, shows: list[Show]) -> Iterator[tuple[bytes]]:
    each = shows[0].seats
    for number, at in enumerate(crowd.random.sample(range(len(shows) * each), min(SMALL_SEATS, len(shows) * each))):
        body = {"event_id": str(shows[at // each].id), "seats": [label_of(at % each)]}
        yield (crowd.request(number, HOLD, body),)


_RELEASE = """
update event_seats set status = 'a', reservation_id = null, held_until = null, version = version + 1
 where (organization_id, event_id, number) in (
       select i.organization_id, i.event_id, i.seat_number from reservation_items i
         join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
        where r.status = 'active' and r.event_id = any(%(events)s))
   and status = 'h'"""
_CANCEL = """
update reservations set status = 'cancelled', ended_at = now(), version = version + 1 where status = 'active'"""
