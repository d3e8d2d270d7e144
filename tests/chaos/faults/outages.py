"""Servers that are unreachable, empty, full or silent for a while, and a reader suspended past its lease."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import psycopg
from redis.asyncio import Redis

from tests.chaos.environments import can_mount
from tests.chaos.faults.fault import Fault, Kind
from tests.chaos.faults.kills import PARTS
from tests.chaos.platform import Platform, until

MINUTE, MOMENT = 60.0, 4.0
#: The file that fills the disk.
BALLAST = "ballast"
#: More WAL segments than the server keeps for reuse.
SEGMENTS = 64
CHUNK_BYTES = 1024 * 1024
WIRES = ("postgres", "valkey", "kafka")


def away(server: str) -> Fault:
    """Reset all connections to the server, and refuse new ones."""

    async def inflict(platform: Platform) -> None:
        platform.wires[server].cut()

    async def heal(platform: Platform) -> None:
        platform.wires[server].restore()

    return Fault(f"{server} away", "outages", inflict, heal, MINUTE, MOMENT, "wired", is_outage=True)


async def kill_broker(platform: Platform) -> None:
    assert platform.broker is not None
    await asyncio.to_thread(platform.broker.kill)


async def start_broker(platform: Platform) -> None:
    assert platform.broker is not None
    if not platform.broker.running:
        platform.broker.spawn()  # in this thread: the broker ends with the thread that started it
    await asyncio.to_thread(platform.broker.wait_until_ready)


async def empty_valkey(platform: Platform) -> None:
    """Delete everything in Valkey: rate limits, cached responses, generations."""
    async with Redis(unix_socket_path=str(platform.folder / "valkey" / "valkey.sock")) as valkey:
        await valkey.flushall()


async def start_second_reader(platform: Platform) -> None:
    """Start a second consumer process, which waits for the leases."""
    await platform.start_second(PARTS["consumers"], b"consumers_ready", "worker", "--only", "consumers")


async def suspend_reader(platform: Platform) -> None:
    """Suspend the process that holds the leases."""
    platform.suspended = platform.send(PARTS["consumers"], signal.SIGSTOP)


async def resume_reader(platform: Platform) -> None:
    """Resume it while it assumes that its leases are valid, then end the second process."""
    platform.resume()
    await asyncio.sleep(1)
    platform.end_helpers()


def full_disk(server: str, kind: Kind) -> Fault:
    """Fill the disk of this server."""

    async def inflict(platform: Platform) -> None:
        await asyncio.to_thread(fill, disk_of(platform, server) / BALLAST)

    async def heal(platform: Platform) -> None:
        (disk_of(platform, server) / BALLAST).unlink()
        if server == "kafka":  # a broker with a full disk shuts down
            await start_broker(platform)

    return Fault(f"{server} disk full", "disks", inflict, heal, 20.0, MOMENT, kind, is_outage=True)


async def run_out_of_wal(platform: Platform) -> None:
    """Fill the disk and use up the WAL: the server panics and cannot restart."""
    server = platform.find(PARTS["postgres"])
    await asyncio.to_thread(fill, disk_of(platform, "postgres") / BALLAST)
    with suppress(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(platform.database_url(), autocommit=True) as connection:
            for _ in range(SEGMENTS):
                await connection.execute("select pg_logical_emit_message(false, 'chaos', 'next segment')")
                await connection.execute("select pg_switch_wal()")
    if not await until(lambda: server not in dict(platform.processes()), MOMENT):
        raise AssertionError("the server did not run out of WAL")


async def make_room(platform: Platform) -> None:
    (disk_of(platform, "postgres") / BALLAST).unlink()


def disk_of(platform: Platform, server: str) -> Path:
    disk = platform.small_disk if server == "postgres" else platform.broker and platform.broker.base / "data"
    assert disk
    return disk


def fill(path: Path) -> None:
    """Write until the disk is full to the last byte."""
    with path.open("wb", buffering=0) as file:
        size = CHUNK_BYTES
        while size:
            try:
                if file.write(bytes(size)) < size:
                    size //= 2
            except OSError:
                size //= 2


def wire_fault(server: str, what: str) -> Fault:
    """One kind of network failure between the platform and a server."""

    async def inflict(platform: Platform) -> None:
        wire = platform.wires[server]
        if what == "latency":
            wire.latency_seconds = 0.05
        elif what == "reset":
            wire.reset()
        elif what == "half-open":
            wire.half_open()
        else:
            wire.passes.clear()

    async def heal(platform: Platform) -> None:
        platform.wires[server].restore()

    lasts = what in {"latency", "blackhole"}
    seconds = (20.0, MOMENT) if lasts else (0.0, 0.0)
    return Fault(f"{server} {what}", "tcp", inflict, heal, *seconds, "wired", is_outage=lasts)


SMALL_DISKS = [
    full_disk("kafka", "wired"),
    full_disk("postgres", "small"),
    Fault("postgres out of wal", "disks", run_out_of_wal, make_room, 20.0, MOMENT, "small", is_outage=True),
]
OUTAGES = [
    Fault("empty valkey", "outages", empty_valkey),
    Fault("sleeping reader", "outages", suspend_reader, resume_reader, prepare=start_second_reader, is_taken_over=True),
    *(away(server) for server in WIRES),
    Fault("kill kafka", "outages", kill_broker, start_broker, MINUTE, MOMENT, "wired", is_outage=True),
    *(wire_fault(server, what) for what in ("latency", "reset", "half-open", "blackhole") for server in WIRES),
    *(SMALL_DISKS if can_mount() else ()),
]
