"""Creating the seats of an event: the cost of `seats/sync` relative to a bare INSERT, and how it grows."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from benchmarks.result import Result
from benchmarks.testbed.organizer import Organizer, connect

ROUNDS = 5
#: Rows of the small and of the large venue, with 100 seats each.
SMALL_ROWS, LARGE_ROWS = 160, 1000


def run(url: str, folder: Path) -> list[Result]:
    """Sync venues with 16,000 and with 100,000 seats several times, and copy the same rows with one INSERT."""
    with httpx2.Client(base_url=f"{url}/api/v1", timeout=120) as client, connect(folder) as database:
        organizer = Organizer(client)
        small, large = organizer.venue(SMALL_ROWS), organizer.venue(LARGE_ROWS)
        small_seconds = _median(lambda: _sync(organizer, small))
        large_seconds = _median(lambda: _sync(organizer, large))
        bare_seconds = _median(lambda: _copy(database, large))
    per_seat = (large_seconds / LARGE_ROWS) / (small_seconds / SMALL_ROWS)
    return [
        Result(
            "sync_to_insert",
            large_seconds / bare_seconds,
            3,
            "seats/sync of 100,000 seats over HTTP, relative to one INSERT … SELECT of the same rows",
        ),
        Result(
            "sync_growth",
            per_seat,
            1.5,
            "time per seat of a sync of 100,000 seats, relative to one of 16,000",
        ),
    ]


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(ROUNDS))


def _copy(database: psycopg.Connection[Any], venue: str) -> float:
    """Seconds for a bare INSERT into a table with the same columns, constraints and keys."""
    database.execute("create table bare (like event_seats including all)")
    started = time.perf_counter()
    database.execute(
        """insert into bare (organization_id, event_id, number, label, category)
           select organization_id, venue_id, number, label, category from plan_seats where venue_id = %s""",
        [venue],
    )
    seconds = time.perf_counter() - started
    database.execute("drop table bare")
    return seconds


def _sync(organizer: Organizer, venue: str) -> float:
    """Seconds for the sync of a new event."""
    event = organizer.event(venue)
    started = time.perf_counter()
    organizer.post(f"{event}/seats/sync")
    return time.perf_counter() - started
