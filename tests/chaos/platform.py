"""The platform under test: `ticketing up` as a child process whose own processes can be found, killed and restarted."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.proxy import Proxy
from tests.support.kafka_broker import KafkaBroker
from tests.support.world import WEBHOOK_SECRET
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.infra.system.ports import free_port
from ticketing.up.child import LIFELINE

OPEN_SECONDS = 120
CLOSE_SECONDS = 60
#: Children of a killed parent notice it by their lifeline and shut down gracefully first.
ORPHAN_SECONDS = 25
#: No round keeps the database away for longer.
QUERY_SECONDS = 30
VARIABLES = {
    "MOCK_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "ARGON2_MEMORY_KIB": "64",
    "LOG_LEVEL": "info",
    "RATE_LIMITS": "on",
    # Few accounts hold much, and the same seats again.
    "HELD_PLACES_MAX": "100000",
    "SEAT_REST_SECONDS": "0",
    # Each buyer has its own client address.
    "TRUSTED_PROXIES": "127.0.0.1",
    "ACCESS_TOKEN_SECONDS": "3600",
    "KAFKA_PARTITIONS": "3",
}


@dataclass
class Platform:
    """One platform, its external servers, and the proxies in between."""

    folder: Path
    #: Settings with the addresses of external servers.
    variables: dict[str, str] = field(default_factory=dict)
    wires: dict[str, Proxy] = field(default_factory=dict)
    #: The Postgres behind a proxy; None where the platform runs its embedded one.
    postgres: EmbeddedPostgres | None = None
    broker: KafkaBroker | None = None
    #: The small file system of the platform's Postgres, in environments that have one.
    small_disk: Path | None = None
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    #: The process id that a fault suspended, and the processes it started in addition.
    suspended: int = 0
    helpers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    #: Servers that follow, or have followed, the one before them.
    standbys: list[EmbeddedPostgres] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> Path:
        return self.folder.with_suffix(".out")

    async def open(self) -> None:
        """Start the platform, and wait until it prints that it is open."""
        command = [sys.executable, "-m", "ticketing.cli", "up", "--no-demo", "--with-parent", "--workers", "2"]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(  # noqa: ASYNC220 (a fork is short)
                [*command, "--data-dir", str(self.folder), "--port", str(self.port)],
                env={**os.environ, **VARIABLES, **self.variables},
                cwd=self.folder.parent,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = self.process
        await until(lambda: self._is_open() or process.poll() is not None, OPEN_SECONDS)
        if not self._is_open() or process.poll() is not None:
            raise RuntimeError(f"the platform does not open:\n{self.output.read_text()}")

    def _is_open(self) -> bool:
        return b"is ready" in self.output.read_bytes()

    async def close(self) -> list[str]:
        """Stop the platform gracefully; returns what went wrong."""
        self.end_helpers()
        wrong = []
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            if not await until(lambda: self.process is None or self.process.poll() is not None, CLOSE_SECONDS):
                self.process.kill()
                wrong.append("the platform did not close")
            elif self.process.returncode != 0:
                wrong.append(f"the platform closed with status {self.process.returncode}")
        for standby in self.standbys:
            await asyncio.to_thread(standby.stop)
        if not await until(lambda: not self.processes(), ORPHAN_SECONDS):
            wrong.append(f"left behind: {[line for _, line in self.processes()]}")
        return wrong

    def processes(self) -> list[tuple[int, str]]:
        """The id and command line of every process that belongs to this platform."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                about = line + (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            # A zombie has no command line; a server that has just ended is one.
            if line and str(self.folder) in about:
                found.append((int(entry.name), line))
        return sorted(found)

    def find(self, part: str) -> int:
        """The id of the first process whose command line contains `part`. Raises LookupError."""
        for pid, line in self.processes():
            if part in line:
                return pid
        raise LookupError(f"there is no process {part}")

    def send(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process; returns its process id."""
        os.kill(pid := self.find(part), number)
        return pid

    async def start_second(self, part: str, ready: bytes, *arguments: str) -> None:
        """Start a second process with the environment of a running one, as on another machine.

        Returns when its output contains `ready`.
        """
        command = [sys.executable, "-m", "ticketing.cli", *arguments]
        # The lifeline is a file descriptor that this process does not inherit.
        environment = {name: value for name, value in self.environment_of(part).items() if name != LIFELINE}
        output = self.folder / "logs" / "second.log"
        with output.open("wb") as log:
            self.helpers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))  # noqa: ASYNC220
        if not await until(lambda: ready in output.read_bytes(), OPEN_SECONDS):
            raise RuntimeError(f"the second {part} does not start:\n{output.read_text()}")

    def resume(self) -> None:
        """Resume the suspended process."""
        with suppress(ProcessLookupError):
            os.kill(self.suspended, signal.SIGCONT)

    def end_helpers(self) -> None:
        for helper in self.helpers:
            helper.kill()
            helper.wait(10)
        self.helpers.clear()

    def environment_of(self, part: str) -> dict[str, str]:
        """The environment that a process was started with."""
        raw = Path(f"/proc/{self.find(part)}/environ").read_bytes().decode()
        return dict(pair.split("=", 1) for pair in raw.split("\0") if "=" in pair)

    def database_url(self) -> str:
        """The database as its superuser, bypassing every proxy."""
        if self.postgres is not None:
            return self.postgres.url("ticketing").replace("+psycopg", "")
        lines = (self.folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
        password = (self.folder / "postgres" / "password").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{lines[3]}/ticketing"

    async def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Query the database, and retry while it starts."""
        end = time.monotonic() + QUERY_SECONDS
        while True:
            try:
                return await self._ask(sql, values)
            except (psycopg.OperationalError, OSError, IndexError):
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(0.1)

    async def _ask(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        connection = await psycopg.AsyncConnection.connect(self.database_url(), autocommit=True, connect_timeout=5)
        async with connection:
            cursor = await connection.execute(sql.encode(), values or None)
            return await cursor.fetchall() if cursor.description else []


async def until_true(platform: Platform, seconds: float, sql: str, *values: Any) -> bool:
    """Query until the answer is true; False when it did not come true in time."""
    end = time.monotonic() + seconds
    while not (await platform.query(sql, *values))[0][0]:
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll the condition; False when it did not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True
