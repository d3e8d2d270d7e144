"""Environments for faults: embedded servers, external servers behind proxies, and a small disk."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.faults import clocks
from tests.chaos.faults.fault import Kind
from tests.chaos.platform import Platform
from tests.chaos.proxy import Proxy
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.embedded.postgres import APPLICATION, OWNER, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey

SMALL_DISK_MIB = 320


@asynccontextmanager
async def opened(
    kind: Kind, folder: Path, broker: KafkaBroker | None = None
) -> AsyncIterator[tuple[Platform, list[str]]]:
    """A platform for the duration of the block. After it, the list contains what went wrong at shutdown."""
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        if kind == "wired":
            platform = await _wired(folder, broker, stack)
        elif kind == "small":
            platform = await _small(folder, stack)
        else:
            platform = Platform(folder / "data", clocks.movable(folder))
        # The mock provider sends its webhooks through a proxy.
        provider = await _wire(stack, lambda: asyncio.open_connection("127.0.0.1", platform.port))
        platform.wires["provider"] = provider
        platform.variables["MOCK_WEBHOOK_URL"] = f"http://127.0.0.1:{provider.port}"
        await platform.open()
        try:
            yield platform, problems
        finally:
            problems += await platform.close()


async def _wired(folder: Path, broker: KafkaBroker | None, stack: AsyncExitStack) -> Platform:
    """External Postgres, Valkey and Kafka, each behind a proxy."""
    postgres = stack.enter_context(EmbeddedPostgres(folder / "servers" / "postgres"))
    valkey = stack.enter_context(EmbeddedValkey(folder / "servers" / "valkey"))
    postgres.create_database("ticketing")
    postgres.hand_to_owner("ticketing")
    wires = {
        "postgres": await _wire(stack, lambda: asyncio.open_connection("127.0.0.1", postgres.port)),
        "valkey": await _wire(stack, lambda: asyncio.open_unix_connection(valkey.socket_path)),
    }
    variables = {
        "MIGRATION_DATABASE_URL": postgres.url("ticketing", OWNER),
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
    return Platform(folder / "data", variables, wires, postgres, broker)


def _through(wire: Proxy, postgres: EmbeddedPostgres, role: str) -> str:
    return postgres.url("ticketing", role).replace(f":{postgres.port}/", f":{wire.port}/")


async def _wire(stack: AsyncExitStack, connect: object) -> Proxy:
    proxy = await Proxy(connect).open()  # type: ignore[arg-type]
    stack.push_async_callback(proxy.close)
    return proxy


async def _small(folder: Path, stack: AsyncExitStack) -> Platform:
    """The embedded Postgres, on a file system small enough to fill."""
    disk = folder / "data" / "postgres"
    disk.mkdir(parents=True)
    mount_small(disk, stack, SMALL_DISK_MIB)
    return Platform(folder / "data", small_disk=disk)


def mount_small(where: Path, stack: AsyncExitStack, mib: int) -> None:
    """Mount a small file system for the lifetime of the stack. Needs root."""
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(where)], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(where)], check=False)


def can_mount() -> bool:
    return os.geteuid() == 0 and Path("/proc/self/mountinfo").exists()
