"""The cost of row-level security per hold: the same holds with a role subject to it, and with one that bypasses it."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
from sqlalchemy import make_url

from benchmarks.result import Result
from benchmarks.testbed.organizer import Organizer, connect
from ticketing.infra.config import get_settings
from ticketing.infra.db import Database
from ticketing.infra.group_commit import GroupCommit
from ticketing.modules.reservations import HoldRequest, HoldRules, Holds

#: Short alternating rounds, so that other load on the machine affects both roles alike.
ROUNDS, HOLDS, CONCURRENCY = 40, 60, 4
ROWS = 60


def run(url: str, folder: Path) -> list[Result]:
    """Hold seats, each in a separate transaction, alternately with both roles."""
    with httpx2.Client(base_url=f"{url}/api/v1", timeout=120) as client:
        organizer = Organizer(client)
        buyer, event = UUID(organizer.user_id), UUID(organizer.show(ROWS))
    labels = (f"S{row // 40 * 40}-{row + 1}-{seat}" for row in range(ROWS) for seat in range(1, 101))
    ratio = asyncio.run(_compare(*_urls(folder), buyer, event, labels))
    return [Result("holds_walled", ratio, 1.03, "duration of a hold with row-level security, relative to one without")]


async def _compare(bound: str, unbound: str, buyer: UUID, event: UUID, labels: Iterator[str]) -> float:
    databases = [Database(get_settings(), url=url) for url in (bound, unbound)]
    holds = [Holds(database, GroupCommit(database), HoldRules(1)) for database in databases]
    seconds: list[list[float]] = [[], []]
    for number in range(ROUNDS + 2):
        for side in (0, 1) if number % 2 else (1, 0):
            taken = await _round(holds[side], buyer, event, labels)
            if number >= 2:  # the first rounds open connections and prepare statements
                seconds[side].append(taken)
    for database in databases:
        await database.close()
    return statistics.median(a / b for a, b in zip(*seconds, strict=True))


async def _round(holds: Holds, buyer: UUID, event: UUID, labels: Iterator[str]) -> float:
    requests = iter([HoldRequest(buyer, uuid4().hex, [b""], event, (next(labels),)) for _ in range(HOLDS)])

    async def hold() -> None:
        for request in requests:
            response = await holds.submit(request)
            if response.status != 201:
                raise SystemExit(f"a hold was refused: {response.body.decode()}")

    started = time.perf_counter()
    await asyncio.gather(*(hold() for _ in range(CONCURRENCY)))
    return time.perf_counter() - started


def _urls(folder: Path) -> tuple[str, str]:
    """The database URLs with the application's role, and with a role of the same rights that bypasses the policies."""
    with connect(folder) as database:
        password = (folder / "postgres" / "password").read_text().strip()
        database.execute(f"create role unbound login bypassrls password '{password}'".encode())
        database.execute("grant ticketing_requests to unbound")
        owner = make_url(f"postgresql+psycopg://postgres:{password}@127.0.0.1:{database.info.port}/ticketing")
    own = (folder / "postgres" / "password-ticketing_app").read_text().strip()
    bound, unbound = owner.set(username="ticketing_app", password=own), owner.set(username="unbound")
    return bound.render_as_string(hide_password=False), unbound.render_as_string(hide_password=False)
