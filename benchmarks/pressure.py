"""What more buyers do to a server: whether many connections slow it down, and how long they wait below its peak."""

import statistics

from benchmarks import proof
from benchmarks.crowd import Crowd
from benchmarks.result import Result
from benchmarks.rounds import ROUNDS, SECONDS, by_turns, fresh_show, hold_round, tell

FEW, MANY = 32, 256
SHARE_OF_PEAK = 0.7
BATCH = "ticketing_hold_batch_seconds"


def run(crowd: Crowd) -> list[Result]:
    """Hold through few and through many connections by turns, then at 70 % of the best of these rounds."""
    peaks: list[float] = []

    def hold(connections: int) -> float:
        peaks.append(hold_round(crowd, connections).rate)
        return peaks[-1]

    growth = by_turns(lambda: hold(MANY), lambda: hold(FEW))
    # The best round may have been a lucky one: what the server keeps up is the median of the better side.
    peak = statistics.median(sorted(peaks)[len(peaks) // 2 :])
    waiting = statistics.median([_wait(crowd, peak * SHARE_OF_PEAK) for _ in range(ROUNDS)])
    proof.keeps_invariants(crowd)
    slower = f"holds a second through {MANY} connections, in times of those through {FEW}"
    longer = "p99 of holds that come at 70 % of the peak rate whoever waits, in times of the mean commit of one batch"
    return [
        Result("throughput_256_to_32", growth, 0.95, slower, at_most=False),
        Result("p99_at_70_to_commit", waiting, 10, longer),
    ]


def _wait(crowd: Crowd, rate: float) -> float:
    """The p99 at this rate, in times of the mean commit of a batch in the same seconds."""
    show = fresh_show(crowd)
    before = crowd.stage.read_metrics()
    load = crowd.stage.generator.run(crowd.requests(show), MANY, seconds=SECONDS, rate=rate).expect(201)
    after = crowd.stage.read_metrics()
    proof.is_right(crowd, show, load)
    if f"{BATCH}_count" not in after:
        raise SystemExit(f"/metrics says nothing of {BATCH}, and the waiting time is told in times of it.")
    seconds, count = (after[f"{BATCH}_{part}"] - before.get(f"{BATCH}_{part}", 0) for part in ("sum", "count"))
    tell(f"p99 at {rate:,.0f} holds/s", load.p99 * 1000, " ms")
    tell("mean commit of a batch", seconds / count * 1000, " ms")
    return load.p99 / (seconds / count)
