"""The whole platform, as `make run` starts it: two API processes, consumers, scheduler, Postgres and Valkey.

One platform serves all tests of the session that need one. Their folder's conftest imports `client` and `world` from
here, which override the fixtures that call the application in-process.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.plugins.distribution import closing
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import WEBHOOK_SECRET, Person, World, data
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import wait_for

OPEN_SECONDS = 120


@dataclass
class Platform:
    """A running platform."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Query the database as its superuser."""
        with psycopg.connect(self.database_url()) as connection:
            return connection.execute(sql.encode()).fetchall()

    def database_url(self) -> str:
        line = (self.folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
        password = (self.folder / "postgres" / "password").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{line[3]}/ticketing"

    def logs(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text()


@contextmanager
def opened(folder: Path, **variables: str) -> Iterator[Platform]:
    """Run `ticketing up` as a child process for the duration of the block; it must exit with status 0."""
    port, output = free_port(), folder.with_suffix(".out")
    command = [sys.executable, "-m", "ticketing.cli", "up", "--no-demo", "--with-parent", "--workers", "2"]
    with output.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder), "--port", str(port)],
            env={**os.environ, "MOCK_WEBHOOK_SECRET": WEBHOOK_SECRET, "LOG_LEVEL": "info", **variables},
            cwd=folder.parent,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        is_open = wait_for(lambda: b"is ready" in output.read_bytes() or process.poll() is not None, OPEN_SECONDS)
        assert is_open, output.read_text()
        assert process.poll() is None, output.read_text()
        yield Platform(f"http://127.0.0.1:{port}", folder, process)
    finally:
        process.terminate()
        assert process.wait(60) == 0, output.read_text()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with ExitStack() as stack:
        platform = stack.enter_context(opened(tmp_path_factory.mktemp("platform") / "data"))
        closing["platform"] = stack.close
        yield platform


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with up to 100 connections to the running server."""
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx2.AsyncClient(base_url=platform.url, limits=limits, timeout=30) as client:
        yield client


@pytest.fixture
def world(client: httpx2.AsyncClient) -> World:
    return World(client)


async def eventually(ask: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS) -> Any:
    """Poll until the result is true, and return it; fails when it does not become true in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := await ask():
            return answer
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.05)


async def assert_taken_over_in_time(next_buyer: Person, held: dict[str, Any]) -> None:
    """Request the seat of a hold until it is granted: never before the hold lapses, always from one second after.

    Compares the time of the request with the end of the hold, and so does not depend on the speed of the test.
    """
    ends = datetime.fromisoformat(held["expires_at"])
    body = {"event_id": held["event_id"], "seats": [item["seat"] for item in held["items"]]}
    while True:
        asked = datetime.now(UTC)
        answer = await next_buyer.post("/reservations", body)
        if answer.status_code != 409:
            break
        assert asked < ends + timedelta(seconds=1), "the seat is not available one second after its hold lapsed"
        await asyncio.sleep(0.05)
    assert answer.status_code == 201, answer.text
    assert datetime.now(UTC) >= ends


async def tickets_of(
    buyer: Person, order: dict[str, Any], count: int, seconds: float = PATIENCE_SECONDS
) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]] | None:
        mine = [t for t in data(await buyer.get("/me/tickets")) if t["order_id"] == order["id"]]
        return mine if len(mine) == count else None

    found: list[dict[str, Any]] = await eventually(ask, seconds)
    return found


class Viewer:
    """A viewer of an event's seat map: the state that a browser has after each frame."""

    def __init__(self, stream: httpx2.Response) -> None:
        self._lines = stream.aiter_lines()
        self.seats = ""

    async def until(self, seats: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Read frames until the map equals `seats`; fails when it does not in time."""
        async with asyncio.timeout(seconds):
            while self.seats != seats:
                await self._take_frame()

    async def _take_frame(self) -> None:
        name = ""
        async for line in self._lines:
            if line.startswith("event:"):
                name = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                self._apply(name, json.loads(line.removeprefix("data:")))
                return
        raise AssertionError("the stream has ended")

    def _apply(self, name: str, frame: dict[str, Any]) -> None:
        if name == "snapshot":
            self.seats = frame["seats"]
        elif name == "seats.updated":
            statuses = list(self.seats)
            for number, status in frame["changes"]:
                statuses[number] = status
            self.seats = "".join(statuses)
