"""The whole platform, as `make run` opens it: two API processes, consumers, scheduler, Postgres and Valkey.

One platform serves every test of the session that needs a real one. A folder whose tests do imports `client` and
`world` from here into its conftest, and these then stand in front of the ones that speak to the app itself.
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

from tests.support.distribution import closing
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
        """Ask the database what is true."""
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
    """`ticketing up` in a process of its own, for as long as the block lasts; it has to end well."""
    port, output = free_port(), folder.with_suffix(".out")
    command = [sys.executable, "-m", "ticketing.cli", "up", "--no-demo", "--workers", "2"]
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
        is_open = wait_for(lambda: b"is open" in output.read_bytes() or process.poll() is not None, OPEN_SECONDS)
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
    """Many sockets to the real server."""
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx2.AsyncClient(base_url=platform.url, limits=limits, timeout=30) as client:
        yield client


@pytest.fixture
def world(client: httpx2.AsyncClient) -> World:
    return World(client)


async def eventually(ask: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := await ask():
            return answer
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.05)


async def is_taken_over_in_time(next_buyer: Person, held: dict[str, Any]) -> None:
    """Ask for the seat of a hold until it is granted: not before the hold's end, and at once when asked a second later.

    Compares the times of request and hold, not how soon this test notices.
    """
    ends = datetime.fromisoformat(held["expires_at"])
    body = {"event_id": held["event_id"], "seats": [item["seat"] for item in held["items"]]}
    while True:
        asked = datetime.now(UTC)
        answer = await next_buyer.post("/reservations", body)
        if answer.status_code != 409:
            break
        assert asked < ends + timedelta(seconds=1), "the seat is not back a second after the end of its hold"
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
    """Somebody who watches the map of an event: what a browser knows after each frame."""

    def __init__(self, stream: httpx2.Response) -> None:
        self._lines = stream.aiter_lines()
        self.seats = ""

    async def until(self, seats: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Read frames until the map says so; fails when it does not in time."""
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
            letters = list(self.seats)
            for number, letter in frame["changes"]:
                letters[number] = letter
            self.seats = "".join(letters)
