"""Where faults happen: platforms with servers of their own, with wires between, and with a small disk."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.faults.fault import Kind
from tests.chaos.platform import Ground
from tests.chaos.proxy import Proxy
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey

SMALL_DISK_MIB = 320


@asynccontextmanager
async def opened(
    kind: Kind, folder: Path, broker: KafkaBroker | None = None
) -> AsyncIterator[tuple[Ground, list[str]]]:
    """A platform for as long as the block lasts; the list has what was wrong about its end, afterwards."""
    complaints: list[str] = []
    async with AsyncExitStack() as stack:
        if kind == "wired":
            ground = await _wired(folder, broker, stack)
        elif kind == "small":
            ground = await _small(folder, stack)
        else:
            ground = Ground(folder / "data")
        await ground.open()
        try:
            yield ground, complaints
        finally:
            complaints += await ground.close()


async def _wired(folder: Path, broker: KafkaBroker | None, stack: AsyncExitStack) -> Ground:
    """Postgres, Valkey and Kafka behind proxies; they are the harness's and not the platform's."""
    postgres = stack.enter_context(EmbeddedPostgres(folder / "servers" / "postgres"))
    valkey = stack.enter_context(EmbeddedValkey(folder / "servers" / "valkey"))
    postgres.create_database("ticketing")
    wires = {
        "postgres": await _wire(stack, lambda: asyncio.open_connection("127.0.0.1", postgres.port)),
        "valkey": await _wire(stack, lambda: asyncio.open_unix_connection(valkey.socket_path)),
    }
    variables = {
        "MIGRATION_DATABASE_URL": postgres.url("ticketing"),
        "DATABASE_URL": _through(wires["postgres"], postgres, APPLICATION),
        "WORKER_DATABASE_URL": _through(wires["postgres"], postgres, WORKER),
        "REDIS_URL": f"redis://127.0.0.1:{wires['valkey'].port}/0",
    }
    if broker is not None:
        variables["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap
        if broker.wire_port:
            kafka = Proxy(lambda: asyncio.open_connection("127.0.0.1", broker.port))
            kafka.port = broker.wire_port
            wires["kafka"] = await kafka.open()
            stack.push_async_callback(kafka.close)
    return Ground(folder / "data", variables, wires, postgres, broker)


def _through(wire: Proxy, postgres: EmbeddedPostgres, role: str) -> str:
    return postgres.url("ticketing", role).replace(f":{postgres.port}/", f":{wire.port}/")


async def _wire(stack: AsyncExitStack, connect: object) -> Proxy:
    proxy = await Proxy(connect).open()  # type: ignore[arg-type]
    stack.push_async_callback(proxy.close)
    return proxy


async def _small(folder: Path, stack: AsyncExitStack) -> Ground:
    """The platform's own Postgres, on a file system that can be filled."""
    disk = folder / "data" / "postgres"
    disk.mkdir(parents=True)
    mount_small(disk, stack, SMALL_DISK_MIB)
    return Ground(folder / "data", small_disk=disk)


def mount_small(where: Path, stack: AsyncExitStack, mib: int) -> None:
    """A file system of its own for as long as the stack lasts. Needs root."""
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(where)], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(where)], check=False)


def can_mount() -> bool:
    return os.geteuid() == 0 and Path("/proc/self/mountinfo").exists()
