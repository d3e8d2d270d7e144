"""Processes that are killed, one at a time, and the parent of them all."""

import asyncio
import os
import signal

from tests.chaos.faults.fault import Fault, Kind
from tests.chaos.platform import ORPHAN_SECONDS, Ground, until

PARTS = {
    "api": "serve --fd",
    "consumers": "--only consumers",
    "scheduler": "--only scheduler",
    "relay": "--only relay",
    "postgres": "bin/postgres -D",
    "valkey": "valkey-server",
}


def kill(part: str, kind: Kind = "own") -> Fault:
    """SIGKILL of one process; the supervisor starts it again."""

    async def inflict(ground: Ground) -> None:
        ground.send(PARTS[part])

    return Fault(f"kill {part}" + (" over kafka" if kind == "wired" else ""), "kills", inflict, kind=kind)


async def kill_parent(ground: Ground) -> None:
    """The supervisor is gone: all its children have to end by themselves before somebody opens it again."""
    assert ground.process is not None
    children = {pid for pid, _ in ground.processes()} - {ground.process.pid}
    os.kill(ground.process.pid, signal.SIGKILL)
    await asyncio.to_thread(ground.process.wait)
    if not await until(lambda: not children & {pid for pid, _ in ground.processes()}, ORPHAN_SECONDS):
        raise AssertionError(f"orphans: {ground.processes()}")
    await ground.open()


async def restart_postgres(ground: Ground) -> None:
    """As an administrator does it: connections are cut, and it starts again."""
    ground.send(PARTS["postgres"], signal.SIGINT)


KILLS = [
    *(kill(part) for part in ("api", "consumers", "scheduler", "postgres", "valkey")),
    kill("relay", "wired"),
    kill("consumers", "wired"),
    Fault("kill parent", "kills", kill_parent),
    Fault("restart postgres", "kills", restart_postgres),
]
