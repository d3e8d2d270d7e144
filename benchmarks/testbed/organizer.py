"""An organizer, who uses the API of the platform under test."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg


def connect(folder: Path) -> psycopg.Connection[Any]:
    """A connection to the platform's database as its superuser."""
    port = (folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[3]
    password = (folder / "postgres" / "password").read_text().strip()
    return psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/ticketing", autocommit=True)


class Organizer:
    """An account and its organization. Paths are those of the API."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        account = {"email": f"{uuid4().hex}@example.com", "password": "correct horse battery"}
        response = client.post("/auth/register", json=account).json()["data"]
        self.user_id = str(response["user"]["id"])
        self._headers = {"Authorization": f"Bearer {response['access_token']}"}
        self._path = f"/orgs/{self.post('/orgs', {'name': 'Bench', 'slug': uuid4().hex})['id']}"

    def venue(self, rows: int) -> str:
        """Create a venue with rows of 100 seats in sections of 40 rows. Its first label is `S0-1-1`. Returns its ID."""
        names = [str(n) for n in range(1, rows + 1)]
        sections = [
            {"name": f"S{at}", "category": "Any", "rows": [{"name": n, "seats": 100} for n in names[at : at + 40]]}
            for at in range(0, rows, 40)
        ]
        body = {"name": f"Hall of {rows}", "timezone": "UTC", "sections": sections}
        return str(self.post(f"{self._path}/venues", body)["id"])

    def event(self, venue: str, **fields: Any) -> str:
        """Create a draft event without seats at this venue. Returns its path."""
        body = {"title": "Bench", "venue_id": venue, "starts_at": "2035-01-01T20:00:00Z", "currency": "EUR", **fields}
        return f"{self._path}/events/{self.post(f'{self._path}/events', body)['id']}"

    def show(self, rows: int) -> str:
        """Create and publish an event with available seats. Returns its ID."""
        event = self.event(self.venue(rows), hold_seconds=3600)
        self.post(f"{event}/ticket-types", {"name": "Seat", "price": 4500, "categories": ["Any"]})
        self.post(f"{event}/seats/sync")
        self.post(f"{event}/publish")
        return event.rpartition("/")[2]

    def general_admission(self, places: int) -> tuple[UUID, UUID]:
        """Create and publish an event with one counter of places. Returns the IDs of both."""
        event = self.event(self.venue(1), hold_seconds=3600)
        counter = self.post(f"{event}/ticket-types", {"name": "Place", "price": 4500, "capacity": places})["id"]
        self.post(f"{event}/publish")
        return UUID(event.rpartition("/")[2]), UUID(counter)

    def post(self, path: str, body: Any = None) -> Any:
        response = self._client.post(path, json=body, headers=self._headers)
        if response.is_error:
            raise SystemExit(f"{path}: {response.status_code} {response.text[:500]}")
        return response.json()["data"]
