"""A run: each environment is opened once, and its faults are injected in turn until all rounds are done."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle, islice
from pathlib import Path

from tests.chaos.assertions import VIEW_SECONDS
from tests.chaos.environments import can_mount, mount_small, opened
from tests.chaos.faults.fault import Fault, Kind
from tests.chaos.load.buyers import BUYERS
from tests.chaos.results_table import Table
from tests.chaos.round import Experiment, RoundResult
from tests.support.kafka_broker import KafkaBroker, kafka_available

KAFKA_DISK_MIB = 200
KINDS: tuple[Kind, ...] = ("own", "wired", "small")


async def run_all(faults: Sequence[Fault], rounds: int, short: bool, folder: Path, table: Table) -> None:
    """Run this many rounds in all; faults that cannot run on this machine are skipped and reported."""
    counts = Counter(fault.name for fault in islice(cycle(faults), rounds))
    for kind in KINDS:
        mine = [fault for fault in faults if fault.kind == kind]
        order = _interleaved(mine, counts)
        if not order:
            continue
        if kind == "wired" and (reason := kafka_available()):
            table.problems.append(f"skipped, {reason}: {', '.join(fault.name for fault in mine)}")
            continue
        await run_rounds(kind, order, short, folder / kind, table)


async def run_rounds(
    kind: Kind,
    order: Sequence[Fault],
    short: bool,
    folder: Path,
    table: Table,
    view_seconds: float = VIEW_SECONDS,
    buyers: int = BUYERS,
) -> None:
    """Run rounds on one platform; at the end it shuts down and may leave nothing behind."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 (once, at the start)
    async with AsyncExitStack() as stack:
        broker = None
        if kind == "wired":
            broker = KafkaBroker(folder / "kafka", wired=True)
            if can_mount():
                mount_small(broker.base / "data", stack, KAFKA_DISK_MIB)
            broker.spawn()
            await asyncio.to_thread(broker.wait_until_ready)
            stack.callback(broker.stop)
        platform, problems = await stack.enter_async_context(opened(kind, folder, broker))
        async with Experiment(platform, view_seconds, buyers).open() as experiment:
            for number, fault in enumerate(order, 1):
                result = await experiment.run(fault, fault.short_seconds if short else fault.seconds)
                table.add(result)
                _print_line(number, len(order), result)
    table.problems += problems
    table.write()


def _interleaved(faults: Sequence[Fault], counts: Counter[str]) -> list[Fault]:
    """Interleaved, so that no fault meets the state that the same fault has just left."""
    most = max((counts[fault.name] for fault in faults), default=0)
    return [fault for turn in range(most) for fault in faults if turn < counts[fault.name]]


def _print_line(number: int, of: int, result: RoundResult) -> None:
    wrong = "; ".join(result.violations) or "nothing lost, nothing duplicated"
    line = f"{number:4}/{of} {result.fault:<24} {result.recovery_seconds:6.2f} s  viewers {result.view_seconds:4.1f} s"
    sys.stdout.write(f"{line}  {result.purchases:4} purchases  {wrong}\n")
    sys.stdout.flush()
