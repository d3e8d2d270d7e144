"""What is left, as buyers see it: one map for all buyers of a process, looked at again when it is old.

A browser hears of every change over its stream. Ten thousand streams are another rehearsal; here a map that is half a
second old stands for them, so that buyers go for seats that they have reason to think are there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import orjson

from ticketing.rehearsal.load.http_client import Answer
from ticketing.rehearsal.load.workload import Sale

OLD_SECONDS = 0.5

#: A GET of the availability; None when it can't be had at the moment.
Look = Callable[[], Awaitable[Answer | None]]


class Stock:
    """The seats and places that were there at the last look."""

    def __init__(self, sale: Sale) -> None:
        self._sale, self._looked_at = sale, 0.0
        self._looking: asyncio.Task[None] | None = None
        self.free = [number for number, label in enumerate(sale.labels) if label is not None]
        self.places = dict(sale.places)

    @property
    def is_empty(self) -> bool:
        return not self.free and not any(self.places.values())

    async def refresh(self, look: Look) -> None:
        """See that the map is young; of all who ask at once, one looks."""
        if time.monotonic() - self._looked_at < OLD_SECONDS:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(look))
        # Whoever goes home meanwhile must not take the map from the others.
        await asyncio.shield(self._looking)

    async def _look(self, look: Look) -> None:
        answer = await look()
        self._looked_at = time.monotonic()
        if answer is not None and answer.status == 200:
            seen = orjson.loads(answer.body)["data"]
            self.free = [number for number, letter in enumerate(seen["seats"]) if letter == "a"]
            self.places = {name: area["available"] for name, area in (seen["areas"] or {}).items()}

    def wish(self, chance: Random) -> dict[str, Any] | None:
        """The body of a hold for what somebody would like to have now; None when nothing is left."""
        quantity = min(chance.choice((1, 2, 2, 2, 3, 4)), self._sale.quantity_max)
        seats, places = len(self.free), sum(self.places.values())
        if seats + places == 0:
            return None
        if chance.random() * (seats + places) >= seats:
            return {"items": [self._area(chance, quantity)]}
        if chance.random() < 0.3:
            return {"best_available": {"quantity": min(quantity, seats)}}
        return {"seats": self._pick(chance, quantity)}

    def _area(self, chance: Random, quantity: int) -> dict[str, Any]:
        names = [name for name, left in self.places.items() if left > 0]
        name = chance.choices(names, [self.places[name] for name in names])[0]
        return {"ticket_type_id": name, "quantity": min(quantity, self.places[name])}

    def _pick(self, chance: Random, quantity: int) -> list[str]:
        # Everybody wants to sit in front, and numbers begin there: squared, half of them go for the best quarter.
        start = int(chance.random() ** 2 * len(self.free))
        chosen = self.free[start : start + quantity]
        return [label for number in chosen if (label := self._sale.labels[number]) is not None]
