"""A run: each kind of ground is opened once, and its faults come by turns until all rounds are played."""

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
from tests.chaos.round import Arena, Outcome
from tests.support.kafka_broker import KafkaBroker, kafka_available

KAFKA_DISK_MIB = 200
KINDS: tuple[Kind, ...] = ("own", "wired", "small")


async def play_all(faults: Sequence[Fault], rounds: int, short: bool, folder: Path, table: Table) -> None:
    """Play so many rounds in all; what cannot run on this machine is left out, and said so."""
    turns = Counter(fault.name for fault in islice(cycle(faults), rounds))
    for kind in KINDS:
        mine = [fault for fault in faults if fault.kind == kind]
        order = _by_turns(mine, turns)
        if not order:
            continue
        if kind == "wired" and (reason := kafka_available()):
            table.complaints.append(f"left out, {reason}: {', '.join(fault.name for fault in mine)}")
            continue
        await play_on(kind, order, short, folder / kind, table)


async def play_on(
    kind: Kind,
    order: Sequence[Fault],
    short: bool,
    folder: Path,
    table: Table,
    view_seconds: float = VIEW_SECONDS,
    buyers: int = BUYERS,
) -> None:
    """Rounds on one ground; it is closed in the end, and nothing of it may be left."""
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
        ground, complaints = await stack.enter_async_context(opened(kind, folder, broker))
        async with Arena(ground, view_seconds, buyers).open() as arena:
            for number, fault in enumerate(order, 1):
                outcome = await arena.play(fault, fault.short_seconds if short else fault.seconds)
                table.add(outcome)
                _tell(number, len(order), outcome)
    table.complaints += complaints
    table.write()


def _by_turns(faults: Sequence[Fault], turns: Counter[str]) -> list[Fault]:
    """By turns, so that no fault finds the platform in the state that the same one has left."""
    most = max((turns[fault.name] for fault in faults), default=0)
    return [fault for turn in range(most) for fault in faults if turn < turns[fault.name]]


def _tell(number: int, of: int, outcome: Outcome) -> None:
    wrong = "; ".join(outcome.violations) or "nothing lost, nothing twice"
    line = (
        f"{number:4}/{of} {outcome.fault:<24} {outcome.recovery_seconds:6.2f} s  viewers {outcome.view_seconds:4.1f} s"
    )
    sys.stdout.write(f"{line}  {outcome.purchases:4} purchases  {wrong}\n")
    sys.stdout.flush()
