"""The effect of many connections: on throughput, and on latency below the peak rate."""

import statistics
from collections.abc import Mapping

from benchmarks.result import Result
from benchmarks.rounds import ROUNDS, SECONDS, hold_round, ratio_of, report, show_for_round
from benchmarks.testbed import verification
from benchmarks.testbed.workload import Workload

FEW, MANY = 32, 256
SHARE_OF_PEAK = 0.7
BATCH = "ticketing_hold_batch_seconds"


def run(workload: Workload) -> list[Result]:
    """Holds through few and through many connections alternately, then at 70 % of the peak of these rounds."""
    peaks: list[float] = []

    def hold(connections: int) -> float:
        peaks.append(hold_round(workload, connections).rate)
        return peaks[-1]

    growth = ratio_of(lambda: hold(MANY), lambda: hold(FEW))
    # The best round may be an outlier: the sustained peak is the median of the faster half.
    peak = statistics.median(sorted(peaks)[len(peaks) // 2 :])
    latencies = statistics.median([_latency(workload, peak * SHARE_OF_PEAK) for _ in range(ROUNDS)])
    verification.check_invariants(workload)
    throughput = f"holds per second through {MANY} connections, relative to {FEW}"
    latency = "p99 of holds at a fixed 70 % of the peak rate, relative to the mean duration of a batch commit"
    return [
        Result("throughput_256_to_32", growth, 0.95, throughput, at_most=False),
        Result("p99_at_70_to_commit", latencies, 10, latency),
    ]


def _latency(workload: Workload, rate: float) -> float:
    """The p99 at this rate, relative to the mean duration of a batch commit in the same round."""
    show = show_for_round(workload)
    before = workload.testbed.read_metrics()
    load = workload.testbed.generator.run(workload.requests(show), MANY, seconds=SECONDS, rate=rate).expect(201)
    after = workload.testbed.read_metrics()
    verification.check_holds(workload, show, load)
    commit = mean_commit_seconds(before, after)
    report(f"p99 at {rate:,.0f} holds/s", load.p99 * 1000, " ms")
    report("mean commit of a batch", commit * 1000, " ms")
    return load.p99 / commit


def mean_commit_seconds(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """The mean duration of a batch commit between two readings of /metrics."""
    if f"{BATCH}_count" not in after:
        raise SystemExit(f"/metrics does not contain {BATCH}, to which latencies are compared")
    seconds, count = (after[f"{BATCH}_{part}"] - before.get(f"{BATCH}_{part}", 0) for part in ("sum", "count"))
    return seconds / count
