"""The neighbour: another tenant's buyers, before and while thousands want seats of an on-sale on the same server."""

import time
from pathlib import Path
from uuid import UUID

import httpx2

from benchmarks import proof
from benchmarks.crowd import Crowd, Show
from benchmarks.organizer import Organizer
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, by_turns, fresh_show, hold_round, tell

#: Holds a second that the neighbour's buyers make, whoever else there is, and over how many connections.
CALM_RATE, CALM_CONNECTIONS = 50, 8
ON_SALE_CONNECTIONS = 64
SHARE_OF_PEAK = 0.7
#: The on-sale begins so long before the neighbour's round, and ends so long after it.
MARGIN_SECONDS = 0.5
#: A p99 wants some hundred answers.
ROUND_SECONDS = 2 * SECONDS


def run(crowd: Crowd) -> list[Result]:
    """The neighbour's p99 by turns in quiet and during an on-sale: at 70 % of the peak, and as hard as it can."""
    with httpx2.Client(base_url=f"{crowd.stage.url}/api/v1", timeout=120) as client:
        template = UUID(Organizer(client).show(1))
    peak = hold_round(crowd, ON_SALE_CONNECTIONS).rate
    busy = by_turns(lambda: _during(crowd, template, peak * SHARE_OF_PEAK), lambda: _quiet(crowd, template), FEW_ROUNDS)
    full = by_turns(lambda: _during(crowd, template, 0), lambda: _quiet(crowd, template))
    proof.keeps_invariants(crowd)
    meaning = f"p99 of another tenant's {CALM_RATE} holds a second during an on-sale"
    return [
        Result("neighbour_p99", full, 1.2, f"{meaning} as fast as answers come, in times of before"),
        Result("neighbour_p99_at_70", busy, None, f"{meaning} at 70 % of its peak, in times of before"),
    ]


def _quiet(crowd: Crowd, template: UUID) -> float:
    return _calm(crowd, _prepare(crowd, template), "in quiet")


def _during(crowd: Crowd, template: UUID, rate: float) -> float:
    show, prepared, generator = fresh_show(crowd), _prepare(crowd, template), crowd.stage.generator
    requests = generator.write(crowd.requests(show))
    on_sale = generator.start(requests, ON_SALE_CONNECTIONS, seconds=ROUND_SECONDS + 2 * MARGIN_SECONDS, rate=rate)
    time.sleep(MARGIN_SECONDS)
    p99 = _calm(crowd, prepared, f"during an on-sale of {rate:,.0f} holds/s" if rate else "during a full on-sale")
    proof.is_right(crowd, show, generator.wait(on_sale).expect(201))
    return p99


def _prepare(crowd: Crowd, template: UUID) -> tuple[Show, Path]:
    """The neighbour's seats and requests, made before anything is measured: that takes a core as well."""
    show = crowd.show(int(ROUND_SECONDS * CALM_RATE) + 1, copy_of=template)
    return show, crowd.stage.generator.write(crowd.requests(show))


def _calm(crowd: Crowd, prepared: tuple[Show, Path], when: str) -> float:
    show, requests = prepared
    load = crowd.stage.generator.run(requests, CALM_CONNECTIONS, seconds=ROUND_SECONDS, rate=CALM_RATE)
    proof.is_right(crowd, show, load.expect(201))
    tell(f"the neighbour's p99 {when}", load.p99 * 1000, " ms")
    return load.p99
