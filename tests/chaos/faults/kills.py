"""Kill one process, or the supervisor."""

import asyncio
import os
import signal

from tests.chaos.faults.fault import Fault, Kind
from tests.chaos.platform import ORPHAN_SECONDS, Platform, until

PARTS = {
    "api": "serve --fd",
    "consumers": "--only consumers",
    "scheduler": "--only scheduler",
    "relay": "--only relay",
    "postgres": "bin/postgres -D",
    "valkey": "valkey-server",
}


def kill(part: str, kind: Kind = "own") -> Fault:
    """SIGKILL one process; the supervisor restarts it."""

    async def inflict(platform: Platform) -> None:
        platform.send(PARTS[part])

    return Fault(f"kill {part}" + (" over kafka" if kind == "wired" else ""), "kills", inflict, kind=kind)


async def kill_parent(platform: Platform) -> None:
    """Kill the supervisor: all children must end on their own before the platform is started again."""
    assert platform.process is not None
    children = {pid for pid, _ in platform.processes()} - {platform.process.pid}
    os.kill(platform.process.pid, signal.SIGKILL)
    await asyncio.to_thread(platform.process.wait)
    if not await until(lambda: not children & {pid for pid, _ in platform.processes()}, ORPHAN_SECONDS):
        raise AssertionError(f"orphans: {platform.processes()}")
    await platform.open()


async def restart_postgres(platform: Platform) -> None:
    """Fast shutdown: connections are closed, and the supervisor restarts the server."""
    platform.send(PARTS["postgres"], signal.SIGINT)


KILLS = [
    *(kill(part) for part in ("api", "consumers", "scheduler", "postgres", "valkey")),
    kill("relay", "wired"),
    kill("consumers", "wired"),
    Fault("kill parent", "kills", kill_parent),
    Fault("restart postgres", "kills", restart_postgres),
]
