"""Runs the benchmarks that were named, or all; prints a table, and writes it to benchmarks/results.json.

`python -m benchmarks holds losers`. BENCH_SECONDS is the length of a round, BENCH_ROUNDS how many there are of each.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.kafka_broker import kafka_available

from benchmarks import (
    drain,
    effects,
    growth,
    herd,
    holds,
    idle,
    journeys,
    log_ins,
    log_size,
    losers,
    neighbour,
    outages,
    pgbench,
    pressure,
    promptness,
    reads,
    seats,
    trust,
    walls,
)
from benchmarks.backbone_stage import Backbone, open_backbone
from benchmarks.crowd import Crowd
from benchmarks.generator import Missing, need
from benchmarks.platform import platform
from benchmarks.result import Result
from benchmarks.stage import open_stage, servers

RESULTS = Path(__file__).parent / "results.json"

#: What asks a platform as `make run` opens it.
AT_A_PLATFORM: Mapping[str, Callable[[str, Path], list[Result]]] = {
    "seats": seats.run,
    "walls": walls.run,
    "log_ins": log_ins.run,
}
#: What is measured with a crowd, limits on, at one API process.
AT_A_STAGE: Mapping[str, Callable[[Crowd], list[Result]]] = {
    "trust": trust.run,
    "holds": holds.run,
    "pgbench": pgbench.run,
    "losers": losers.run,
    "pressure": pressure.run,
    "neighbour": neighbour.run,
    "reads": reads.run,
    "journeys": journeys.run,
    "herd": herd.run,
    "growth": growth.run,
}
#: What is measured with a broker, to which the relay carries the log.
AT_A_BROKER: Mapping[str, Callable[[Backbone], list[Result]]] = {
    "effects": effects.run,  # before the log is full of what others have appended
    # Before there is a backlog, which workers would be reading.
    "idle": idle.run,
    "drain": drain.run,
    "promptness": promptness.run,
    "outages": outages.run,
    "log_size": log_size.run,
}
NAMES = (*AT_A_PLATFORM, *AT_A_STAGE, *AT_A_BROKER)


def main(names: Sequence[str]) -> int:
    """The exit status is 1 when a bar is missed, and 2 when the benchmarks could not run."""
    if list(names) == ["servers"]:
        # It makes an environment for each Python that there is, so it runs when it is asked for, and alone.
        from benchmarks import servers as compared

        return compared.main()
    if unknown := set(names) - set(NAMES):
        sys.stderr.write(
            f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}, and servers alone.\n"
        )
        return 2
    results = []
    try:
        _check_programs(names or NAMES)
        for result in _measure(names or NAMES):
            results.append(result)
            _keep(results, is_all=not names)
    except Missing as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    _show(results)
    return 0 if all(result.holds for result in results) else 1


def _check_programs(names: Sequence[str]) -> None:
    """Before anything is measured. Raises Missing."""
    if set(names) & (set(AT_A_STAGE) | set(AT_A_BROKER)):
        if sys.platform != "linux":
            raise Missing(f"The load generator is written for Linux; here there are {', '.join(AT_A_PLATFORM)}.")
        need("cc", "gcc libc6-dev")
    if "trust" in names:
        need("wrk", "wrk")
    if set(names) & set(AT_A_BROKER) and (missing := kafka_available()):
        raise Missing(f"`make bench` compares with Kafka: {missing}.")


def _measure(names: Sequence[str]) -> Iterator[Result]:
    """Results as they come: a run of a quarter of an hour that fails at its end has not been for nothing."""
    if wanted := [name for name in AT_A_PLATFORM if name in names]:
        with platform() as (url, folder):
            for name in wanted:
                _announce(name)
                yield from AT_A_PLATFORM[name](url, folder)
    if wanted := [name for name in AT_A_STAGE if name in names]:
        with servers() as (folder, postgres, valkey), open_stage(folder, postgres, valkey) as stage:
            crowd = Crowd(stage)
            for name in wanted:
                _announce(name)
                yield from AT_A_STAGE[name](crowd)
    if wanted := [name for name in AT_A_BROKER if name in names]:
        with open_backbone() as backbone:
            for name in wanted:
                _announce(name)
                yield from AT_A_BROKER[name](backbone)


def _announce(name: str) -> None:
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()


def _keep(results: Sequence[Result], is_all: bool) -> None:
    """A run of some benchmarks leaves the figures of the others as they were."""
    kept = {} if is_all or not RESULTS.exists() else json.loads(RESULTS.read_text())
    RESULTS.write_text(json.dumps({**kept, **{r.name: r.as_entry() for r in results}}, indent=2) + "\n")


def _show(results: Sequence[Result]) -> None:
    width = max((len(result.name) for result in results), default=0)
    for result in results:
        sys.stdout.write(f"{result.name:<{width}}  {result.value:8.2f}  bar {result.bar_text:<8}  {result.verdict}\n")
        sys.stdout.write(f"{'':<{width}}  {result.meaning}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
