"""Processes of the platform that die at a crash point, so that a test can check what they leave behind."""

import asyncio
import os
import signal
from pathlib import Path

import httpx2
from sqlalchemy import text

from tests.support import forking
from tests.support.forking import Forked
from tests.support.platform import eventually
from tests.support.world import WEBHOOK_SECRET
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.system.ports import free_port

DEATH_SECONDS = 120


class Processes:
    """Starts processes on one database, and kills those that are still running at the end."""

    def __init__(self, settings: Settings, database: Database, folder: Path) -> None:
        self._settings, self._database, self._folder = settings, database, folder
        self._processes: list[Forked] = []
        self.port = free_port()

    async def start(self, *arguments: str, crash_at: str = "", **variables: str) -> Forked:
        """`python -m …`, with the addresses of this test's database and servers."""
        environment = os.environ | {
            "DATABASE_URL": self._settings.database_url,
            "WORKER_DATABASE_URL": self._settings.worker_database_url,
            "REDIS_URL": self._settings.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": self._settings.kafka_bootstrap_servers,
            "KAFKA_PARTITIONS": str(self._settings.kafka_partitions),
            "SMTP_URL": self._settings.smtp_url.get_secret_value(),
            "MOCK_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PORT": str(self.port),
            "CRASH_AT": crash_at,
            **variables,
        }
        output = (self._folder / f"{len(self._processes)}.log").open("wb")
        with output:
            process = forking.start(*arguments, env=environment, output=output)
        self._processes.append(process)
        return process

    async def worker(self, name: str, crash_at: str = "", **variables: str) -> Forked:
        return await self.start("ticketing.cli", "worker", "--only", name, crash_at=crash_at, **variables)

    async def api(self, crash_at: str = "") -> Forked:
        """An API process that serves requests at `self.port`."""
        process = await self.start("ticketing.cli", "serve", crash_at=crash_at)

        async def answers() -> bool:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
                try:
                    return (await client.get("/health/ready")).status_code == 200
                except httpx2.TransportError:
                    return False

        assert await eventually(answers, DEATH_SECONDS)
        return process

    async def wait_for_crash(self, process: Forked) -> None:
        """Wait until the process was killed at its crash point; any other end, or none, fails the test."""
        async with asyncio.timeout(DEATH_SECONDS):
            code = await process.wait()
        assert code == -signal.SIGKILL, self.output()
        # Expire the lease of a dead reader, so that the test need not wait for it.
        async with self._database.transaction() as session:
            await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 second'"))

    def output(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self._folder.glob("*.log")))

    async def close(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()
