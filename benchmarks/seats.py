"""Making an event of a hall: what the set-based sync costs beside the bare INSERT, and how it grows."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg

from benchmarks.result import Result

ROUNDS = 5
#: Rows of the small and of the large hall, each of 100 seats.
SMALL_ROWS, LARGE_ROWS = 160, 1000


def run(url: str, folder: Path) -> list[Result]:
    """Sync a hall of 16,000 seats and one of 100,000, each several times, and copy the same rows by hand."""
    with httpx2.Client(base_url=f"{url}/api/v1", timeout=120) as client, _connect(folder) as database:
        organizer = _Organizer(client)
        small, large = organizer.venue(SMALL_ROWS), organizer.venue(LARGE_ROWS)
        small_seconds = _median(lambda: organizer.sync(small))
        large_seconds = _median(lambda: organizer.sync(large))
        bare_seconds = _median(lambda: _copy(database, large))
    per_seat = (large_seconds / LARGE_ROWS) / (small_seconds / SMALL_ROWS)
    return [
        Result(
            "sync_to_insert",
            large_seconds / bare_seconds,
            3,
            "seats/sync of 100,000 seats over HTTP, in times of one INSERT … SELECT of the same rows",
        ),
        Result(
            "sync_growth",
            per_seat,
            1.5,
            "time per seat of a sync of 100,000 seats, in times of one of 16,000",
        ),
    ]


def _connect(folder: Path) -> psycopg.Connection[Any]:
    port = (folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[3]
    password = (folder / "postgres" / "password").read_text().strip()
    return psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/ticketing", autocommit=True)


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(ROUNDS))


def _copy(database: psycopg.Connection[Any], venue: str) -> float:
    """Seconds for the bare INSERT, into a table with the same columns, constraints and keys."""
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


class _Organizer:
    """Somebody with an organization, who speaks to the API as anybody would."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        account = {"email": f"{uuid4().hex}@example.com", "password": "correct horse battery"}
        token = client.post("/auth/register", json=account).json()["data"]["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self._org = f"/orgs/{self._post('/orgs', {'name': 'Bench', 'slug': uuid4().hex})['id']}"

    def venue(self, rows: int) -> str:
        """A hall of so many rows of 100 seats, in sections of 40 rows."""
        names = [str(n) for n in range(1, rows + 1)]
        sections = [
            {"name": f"S{at}", "category": "Any", "rows": [{"name": n, "seats": 100} for n in names[at : at + 40]]}
            for at in range(0, rows, 40)
        ]
        body = {"name": f"Hall of {rows}", "timezone": "UTC", "sections": sections}
        return str(self._post(f"{self._org}/venues", body)["id"])

    def sync(self, venue: str) -> float:
        """Seconds for the sync of a new event."""
        body = {"title": "Bench", "venue_id": venue, "starts_at": "2035-01-01T20:00:00Z", "currency": "EUR"}
        event = self._post(f"{self._org}/events", body)["id"]
        started = time.perf_counter()
        self._post(f"{self._org}/events/{event}/seats/sync", None)
        return time.perf_counter() - started

    def _post(self, path: str, body: Any) -> Any:
        answer = self._client.post(path, json=body, headers=self._headers)
        if answer.is_error:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()["data"]
