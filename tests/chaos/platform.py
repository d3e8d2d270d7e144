"""A platform to be hurt: `ticketing up` in a process of its own, whose parts can be found, killed and opened again."""

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
#: Children of a killed parent end by their lifeline, politely first.
ORPHAN_SECONDS = 25
#: A database that does not answer for longer is no part of any round.
QUERY_SECONDS = 30
VARIABLES = {
    "MOCK_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "ARGON2_MEMORY_KIB": "64",
    "LOG_LEVEL": "info",
    "RATE_LIMITS": "on",
    # Each buyer comes from an address of their own.
    "TRUSTED_PROXIES": "127.0.0.1",
    "ACCESS_TOKEN_SECONDS": "3600",
    "KAFKA_PARTITIONS": "3",
}


@dataclass
class Ground:
    """One platform, what it leans on, and the wires between."""

    folder: Path
    #: Addresses of servers that are not the platform's own.
    variables: dict[str, str] = field(default_factory=dict)
    wires: dict[str, Proxy] = field(default_factory=dict)
    #: The Postgres behind a wire; None where the platform runs its own.
    postgres: EmbeddedPostgres | None = None
    broker: KafkaBroker | None = None
    #: The file system on which the platform's Postgres lives, where it is a small one.
    small_disk: Path | None = None
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    #: Started beside the platform by a fault.
    sleeper: int = 0
    helpers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> Path:
        return self.folder.with_suffix(".out")

    async def open(self) -> None:
        """Start it, and wait until it says that it is open."""
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
        return b"is open" in self.output.read_bytes()

    async def close(self) -> list[str]:
        """End it politely; what was wrong about its end."""
        self.end_helpers()
        wrong = []
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            if not await until(lambda: self.process is None or self.process.poll() is not None, CLOSE_SECONDS):
                self.process.kill()
                wrong.append("the platform did not close")
            elif self.process.returncode != 0:
                wrong.append(f"the platform closed with status {self.process.returncode}")
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
            # Zombies have no command line, and a server that was ended a moment ago is one.
            if line and str(self.folder) in about:
                found.append((int(entry.name), line))
        return sorted(found)

    def find(self, what: str) -> int:
        """The first process whose command line has these words. Raises LookupError."""
        for pid, line in self.processes():
            if what in line:
                return pid
        raise LookupError(f"there is no {what}")

    def send(self, what: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a part; its process id."""
        os.kill(pid := self.find(what), number)
        return pid

    async def start_beside(self, what: str, sign: bytes, *arguments: str) -> None:
        """Another process like a part that runs, with the same environment: on another machine it would be so.

        Returns when its output has the sign that it is ready.
        """
        command = [sys.executable, "-m", "ticketing.cli", *arguments]
        # Its lifeline is the part's own and not inherited here.
        environment = {name: value for name, value in self.environment_of(what).items() if name != LIFELINE}
        output = self.folder / "logs" / "beside.log"
        with output.open("wb") as log:
            self.helpers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))  # noqa: ASYNC220
        if not await until(lambda: sign in output.read_bytes(), OPEN_SECONDS):
            raise RuntimeError(f"{what} does not start beside the other:\n{output.read_text()}")

    def wake(self) -> None:
        """The process that was put to sleep goes on where it was."""
        with suppress(ProcessLookupError):
            os.kill(self.sleeper, signal.SIGCONT)

    def end_helpers(self) -> None:
        for helper in self.helpers:
            helper.kill()
            helper.wait(10)
        self.helpers.clear()

    def environment_of(self, what: str) -> dict[str, str]:
        """What a part was started with: another one can be started beside it."""
        raw = Path(f"/proc/{self.find(what)}/environ").read_bytes().decode()
        return dict(pair.split("=", 1) for pair in raw.split("\0") if "=" in pair)

    def database_url(self) -> str:
        """The database as its superuser, past every wire."""
        if self.postgres is not None:
            return self.postgres.url("ticketing").replace("+psycopg", "")
        lines = (self.folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
        password = (self.folder / "postgres" / "password").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{lines[3]}/ticketing"

    async def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database what is true, again and again while it starts."""
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


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True
