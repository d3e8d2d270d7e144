"""The primary becomes read-only and its standby is promoted, while clients keep their connections to the old server."""

import asyncio
import os
import subprocess

import psycopg

from tests.chaos.faults.fault import Fault
from tests.chaos.platform import Platform
from ticketing.infra.embedded.postgres import SUPERUSER, EmbeddedPostgres
from ticketing.infra.embedded.run_as import hand_over

STANDBY_SECONDS = 60
FOLLOWS = "select true from pg_stat_replication where sync_state = 'sync'"


class Standby(EmbeddedPostgres):
    """A server that follows another one."""

    def _is_ready(self) -> bool:
        try:
            return self.pid_file.read_text().splitlines()[7].strip() in {"standby", "ready"}
        except (OSError, IndexError):
            return False


async def start_standby(platform: Platform) -> None:
    """Copy the primary, follow it, and let each of its commits wait for the copy: nothing acknowledged may be lost."""
    primary = platform.postgres
    assert primary is not None
    base = primary.base.with_name(f"postgres-{len(platform.standbys) + 2}")
    await asyncio.to_thread(_copy, primary, base)
    standby = Standby(base)
    platform.standbys.append(standby)
    standby.start(STANDBY_SECONDS)  # in this thread: the server ends with the thread that started it
    await _administer(primary, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
    async with asyncio.timeout(STANDBY_SECONDS):
        while not await _administer(primary, FOLLOWS):  # noqa: ASYNC110 (polls a database)
            await asyncio.sleep(0.05)


async def promote_standby(platform: Platform) -> None:
    """The old primary keeps its connections and becomes read-only; new connections reach the new one."""
    old, new = platform.postgres, platform.standbys[-1]
    assert old is not None
    await _administer(old, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
    await _administer(new, "select pg_promote()")
    platform.wires["postgres"].connect = lambda: asyncio.open_connection("127.0.0.1", new.port)
    platform.postgres = new


def _copy(primary: EmbeddedPostgres, base: os.PathLike[str]) -> None:
    standby = Standby(base)
    standby.base.mkdir(mode=0o700)
    for password in primary.base.glob("password*"):
        (standby.base / password.name).write_text(password.read_text())
    hand_over(standby.base, primary._identity, recursive=True)
    target = ["--pgdata", str(standby.data), "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast"]
    source = ["--host", "127.0.0.1", "--port", str(primary.port), "--username", SUPERUSER, "--no-sync"]
    subprocess.run(
        [*primary._identity.prefix, str(primary._programs / "pg_basebackup"), *target, *source],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": primary.password()},
        cwd="/",
        check=True,
        **primary._identity.popen_options(),
    )


async def _administer(server: EmbeddedPostgres, *statements: str) -> bool:
    """Run the statements as the superuser; whether the last one has returned a row."""
    url = server.url().replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5) as connection:
        for statement in statements:
            cursor = await connection.execute(statement.encode())
        return cursor.description is not None and await cursor.fetchone() is not None


FAILOVER = [
    Fault("standby promoted", "outages", promote_standby, kind="wired", is_outage=True, prepare=start_standby),
]
