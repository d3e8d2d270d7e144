"""A noisy neighbour: the latency of one tenant's holds before and during another tenant's on-sale."""

import time
from pathlib import Path
from uuid import UUID

import httpx2

from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, SECONDS, hold_round, ratio_of, report, show_for_round
from benchmarks.testbed import verification
from benchmarks.testbed.organizer import Organizer
from benchmarks.testbed.workload import Show, Workload

#: The constant rate of the measured tenant's holds, and its connections.
TENANT_RATE, TENANT_CONNECTIONS = 50, 8
ON_SALE_CONNECTIONS = 64
SHARE_OF_PEAK = 0.7
#: The on-sale starts this much earlier than the measured round, and ends this much later.
MARGIN_SECONDS = 0.5
#: A p99 requires some hundred responses.
ROUND_SECONDS = 2 * SECONDS


def run(workload: Workload) -> list[Result]:
    """The p99 alternately without an on-sale and during one, at 70 % of the peak rate and at full load."""
    with httpx2.Client(base_url=f"{workload.testbed.url}/api/v1", timeout=120) as client:
        template = UUID(Organizer(client).show(1))
    peak = hold_round(workload, ON_SALE_CONNECTIONS).rate
    busy = ratio_of(
        lambda: _during(workload, template, peak * SHARE_OF_PEAK), lambda: _undisturbed(workload, template), FEW_ROUNDS
    )
    full = ratio_of(lambda: _during(workload, template, 0), lambda: _undisturbed(workload, template))
    verification.check_invariants(workload)
    meaning = f"p99 of a tenant's {TENANT_RATE} holds per second during another's on-sale"
    return [
        Result("neighbour_p99", full, 2, f"{meaning} at full load, relative to before"),
        Result("neighbour_p99_at_70", busy, None, f"{meaning} at 70 % of its peak, relative to before"),
    ]


def _undisturbed(workload: Workload, template: UUID) -> float:
    return _measure(workload, _prepare(workload, template), "without an on-sale")


def _during(workload: Workload, template: UUID, rate: float) -> float:
    show, prepared, generator = show_for_round(workload), _prepare(workload, template), workload.testbed.generator
    requests = generator.write(workload.requests(show))
    on_sale = generator.start(requests, ON_SALE_CONNECTIONS, seconds=ROUND_SECONDS + 2 * MARGIN_SECONDS, rate=rate)
    time.sleep(MARGIN_SECONDS)
    p99 = _measure(
        workload, prepared, f"during an on-sale of {rate:,.0f} holds/s" if rate else "during an on-sale at full load"
    )
    verification.check_holds(workload, show, generator.wait(on_sale).expect(201))
    return p99


def _prepare(workload: Workload, template: UUID) -> tuple[Show, Path]:
    """Create seats and requests before the measurement, because that needs CPU time as well."""
    show = workload.show(int(ROUND_SECONDS * TENANT_RATE) + 1, copy_of=template)
    return show, workload.testbed.generator.write(workload.requests(show))


def _measure(workload: Workload, prepared: tuple[Show, Path], when: str) -> float:
    show, requests = prepared
    load = workload.testbed.generator.run(requests, TENANT_CONNECTIONS, seconds=ROUND_SECONDS, rate=TENANT_RATE)
    verification.check_holds(workload, show, load.expect(201))
    report(f"p99 {when}", load.p99 * 1000, " ms")
    return load.p99
