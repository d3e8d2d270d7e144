"""The availability of seats as virtual buyers see it: one seat map per load process, refreshed when it is old.

A browser receives every change over its event stream. A rehearsal does not open ten thousand streams; instead, a seat
map that is at most half a second old makes buyers choose seats that are probably available.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import orjson

from ticketing.rehearsal.load.http_client import Response
from ticketing.rehearsal.load.workload import Workload

MAX_AGE_SECONDS = 0.5

#: Requests the availability; None if there is no response.
Fetch = Callable[[], Awaitable[Response | None]]


class Availability:
    """The seats and places that were available at the last refresh."""

    def __init__(self, workload: Workload) -> None:
        self._workload, self._fetched_at = workload, 0.0
        self._fetching: asyncio.Task[None] | None = None
        self.free = [number for number, label in enumerate(workload.labels) if label is not None]
        self.places = dict(workload.places)

    @property
    def is_empty(self) -> bool:
        return not self.free and not any(self.places.values())

    async def refresh(self, fetch: Fetch) -> None:
        """Fetch the seat map if it is too old. Concurrent calls share one request."""
        if time.monotonic() - self._fetched_at < MAX_AGE_SECONDS:
            return
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch(fetch))
        # A buyer that is cancelled meanwhile must not cancel the request that others wait for.
        await asyncio.shield(self._fetching)

    async def _fetch(self, fetch: Fetch) -> None:
        response = await fetch()
        self._fetched_at = time.monotonic()
        if response is not None and response.status == 200:
            content = orjson.loads(response.body)["data"]
            self.free = [number for number, status in enumerate(content["seats"]) if status == "a"]
            self.places = {name: area["available"] for name, area in (content["areas"] or {}).items()}

    def choose(self, random: Random) -> dict[str, Any] | None:
        """A part of the body of a hold: seats, best available, or places, at random; None if nothing is available."""
        quantity = min(random.choice((1, 2, 2, 2, 3, 4)), self._workload.quantity_max)
        seats, places = len(self.free), sum(self.places.values())
        if seats + places == 0:
            return None
        if random.random() * (seats + places) >= seats:
            return {"items": [self._places(random, quantity)]}
        if random.random() < 0.3:
            return {"best_available": {"quantity": min(quantity, seats)}}
        return {"seats": self._seats(random, quantity)}

    def _places(self, random: Random, quantity: int) -> dict[str, Any]:
        names = [name for name, left in self.places.items() if left > 0]
        name = random.choices(names, [self.places[name] for name in names])[0]
        return {"ticket_type_id": name, "quantity": min(quantity, self.places[name])}

    def _seats(self, random: Random, quantity: int) -> list[str]:
        # Buyers prefer the front rows, which have the lowest numbers: squared, half of them choose the best quarter.
        start = int(random.random() ** 2 * len(self.free))
        chosen = self.free[start : start + quantity]
        return [label for number in chosen if (label := self._workload.labels[number]) is not None]
