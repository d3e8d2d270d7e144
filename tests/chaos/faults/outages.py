"""Servers that are away, empty, full or silent for a while, and a reader that sleeps through its lease."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import psycopg
from redis.asyncio import Redis

from tests.chaos.environments import can_mount
from tests.chaos.faults.fault import Fault, Kind
from tests.chaos.faults.kills import PARTS
from tests.chaos.platform import Ground, until

MINUTE, MOMENT = 60.0, 4.0
#: The file that leaves no room for anything else.
BALLAST = "ballast"
#: More of them than lie ready to be used again.
SEGMENTS = 64
CHUNK_BYTES = 1024 * 1024
WIRES = ("postgres", "valkey", "kafka")


def away(server: str) -> Fault:
    """Nobody answers at its address: connections are reset, and new ones refused."""

    async def inflict(ground: Ground) -> None:
        ground.wires[server].cut()

    async def heal(ground: Ground) -> None:
        ground.wires[server].mend()

    return Fault(f"{server} away", "outages", inflict, heal, MINUTE, MOMENT, "wired", is_outage=True)


async def kill_broker(ground: Ground) -> None:
    assert ground.broker is not None
    await asyncio.to_thread(ground.broker.kill)


async def start_broker(ground: Ground) -> None:
    assert ground.broker is not None
    if not ground.broker.running:
        ground.broker.spawn()  # in this thread: it ends with the one that started it
    await asyncio.to_thread(ground.broker.wait_until_ready)


async def empty_valkey(ground: Ground) -> None:
    """Everything that Valkey knows is gone: limits, copies, generations."""
    async with Redis(unix_socket_path=str(ground.folder / "valkey" / "valkey.sock")) as valkey:
        await valkey.flushall()


async def start_second_reader(ground: Ground) -> None:
    """Another process stands by, as on another machine."""
    await ground.start_beside(PARTS["consumers"], b"consumers_ready", "worker", "--only", "consumers")


async def put_reader_to_sleep(ground: Ground) -> None:
    """The process that has the leases is stopped."""
    ground.sleeper = ground.send(PARTS["consumers"], signal.SIGSTOP)


async def wake_reader(ground: Ground) -> None:
    """It believes that it has its leases still; then the other one ends."""
    ground.wake()
    await asyncio.sleep(1)
    ground.end_helpers()


def full_disk(server: str, kind: Kind) -> Fault:
    """Not a byte is left on the disk of this server."""

    async def inflict(ground: Ground) -> None:
        await asyncio.to_thread(fill, disk_of(ground, server) / BALLAST)

    async def heal(ground: Ground) -> None:
        (disk_of(ground, server) / BALLAST).unlink()
        if server == "kafka":  # it ends itself; whoever runs it starts it again
            await start_broker(ground)

    return Fault(f"{server} disk full", "disks", inflict, heal, 20.0, MOMENT, kind, is_outage=True)


async def run_out_of_wal(ground: Ground) -> None:
    """Not a byte is left, and the log of the database needs one: it panics, and can't start again."""
    server = ground.find(PARTS["postgres"])
    await asyncio.to_thread(fill, disk_of(ground, "postgres") / BALLAST)
    with suppress(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(ground.database_url(), autocommit=True) as connection:
            for _ in range(SEGMENTS):
                await connection.execute("select pg_logical_emit_message(false, 'chaos', 'on to the next segment')")
                await connection.execute("select pg_switch_wal()")
    if not await until(lambda: server not in dict(ground.processes()), MOMENT):
        raise AssertionError("it did not run out of segments")


async def make_room(ground: Ground) -> None:
    (disk_of(ground, "postgres") / BALLAST).unlink()


def disk_of(ground: Ground, server: str) -> Path:
    disk = ground.small_disk if server == "postgres" else ground.broker and ground.broker.base / "data"
    assert disk
    return disk


def fill(path: Path) -> None:
    """Write until nothing goes any more."""
    with path.open("wb", buffering=0) as file:
        size = CHUNK_BYTES
        while size:
            try:
                if file.write(bytes(size)) < size:
                    size //= 2
            except OSError:
                size //= 2


def wire_fault(server: str, what: str) -> Fault:
    """The network between the platform and a server does one of the things that networks do."""

    async def inflict(ground: Ground) -> None:
        wire = ground.wires[server]
        if what == "latency":
            wire.latency_seconds = 0.05
        elif what == "reset":
            wire.reset()
        elif what == "half-open":
            wire.forget_clients()
        else:
            wire.passes.clear()

    async def heal(ground: Ground) -> None:
        ground.wires[server].mend()

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
    Fault(
        "sleeping reader", "outages", put_reader_to_sleep, wake_reader, prepare=start_second_reader, is_taken_over=True
    ),
    *(away(server) for server in WIRES),
    Fault("kill kafka", "outages", kill_broker, start_broker, MINUTE, MOMENT, "wired", is_outage=True),
    *(wire_fault(server, what) for what in ("latency", "reset", "half-open", "blackhole") for server in WIRES),
    *(SMALL_DISKS if can_mount() else ()),
]
