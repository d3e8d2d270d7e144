"""The real application for the state machine: one show, a few buyers, and the state in the database."""

import asyncio
import gc
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx2
from fastapi import FastAPI

from tests.infra.db.test_cancelled_requests import cancel_at
from tests.modules.payments.purchases import end_hold, rows
from tests.support.platform import eventually
from tests.support.world import Person, Show, Tenant, World
from ticketing import invariants
from ticketing.infra.db import Database
from ticketing.modules import reservations

TIMEOUT_SECONDS = 60
PLACES = 6


@dataclass(frozen=True)
class ShowState:
    """A show in the database at one moment: status and owner of each seat, and the available places."""

    seats: dict[str, tuple[str, str | None]]
    places: int


@dataclass(frozen=True)
class Application:
    """A tenant and its buyers. All actions go through the API, except that holds lapse by SQL."""

    app: FastAPI
    world: World
    tenant: Tenant
    buyers: list[Person]
    loop: asyncio.AbstractEventLoop
    #: Number of occurrences by outcome, over all runs.
    counts: Counter[str] = field(default_factory=Counter)

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the application's event loop, from the thread of the state machine."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT_SECONDS)

    async def open_show(self) -> Show:
        return await self.world.show(self.tenant, rows=2, seats=4, capacity=PLACES, price=1000, area_price=500)

    async def hold(self, buyer: int, show: Show, labels: frozenset[str], places: int) -> httpx2.Response:
        body: dict[str, Any] = {"event_id": show.id}
        if labels:
            body["seats"] = sorted(labels)
        if places:
            body["items"] = [{"ticket_type_id": show.area_type_id, "quantity": places}]
        return await self.buyers[buyer].post("/reservations", body)

    async def hold_best(self, buyer: int, show: Show, quantity: int) -> httpx2.Response:
        body = {"event_id": show.id, "best_available": {"quantity": quantity}}
        return await self.buyers[buyer].post("/reservations", body)

    async def at_once(self, *work: Coroutine[Any, Any, httpx2.Response]) -> list[httpx2.Response]:
        return await asyncio.gather(*work)

    async def let_lapse(self, reservation_id: str) -> None:
        await end_hold(self.app, reservation_id, -1)

    async def sweep(self) -> None:
        async with self.app.state.worker_database.transaction() as session:
            await reservations.expire_due(session)

    async def cancel_at(self, work: Coroutine[Any, Any, httpx2.Response], at: int) -> httpx2.Response | None:
        """Cancel the work when it waits for the `at`-th time; returns the response if it came before that."""
        answers: list[httpx2.Response] = []

        async def remember() -> None:
            answers.append(await work)

        await cancel_at(remember(), at)
        return answers[0] if answers else None

    async def settle(self) -> None:
        """Wait until the database has no running transaction of the application."""
        if not await self._is_quiet():
            # The driver closes an abandoned connection when it is garbage collected.
            gc.collect()
            await eventually(self._is_quiet)

    async def _is_quiet(self) -> bool:
        return not await rows(self.app, _AT_WORK, role=self.app.state.get(Database).engine.url.username)

    async def check(self) -> None:
        async with self.app.state.worker_database.transaction() as session:
            found = {v.invariant.name: v.offenders for v in await invariants.check(session) if v.count}
        assert found == {}

    async def find_new(self, show: Show, known: set[str]) -> list[str]:
        """Reservations of the show whose ids no response has returned."""
        found = await rows(self.app, "select id::text from reservations where event_id = :e", e=show.id)
        return [name for (name,) in found if name not in known]

    async def read_state(self, show: Show) -> ShowState:
        """Read the state of a show. A lapsed hold does not count."""
        seats = await rows(self.app, _SEATS, e=show.id)
        places = await rows(self.app, _PLACES, e=show.id)
        return ShowState({label: (status, owner) for label, status, owner in seats}, places[0][0])


_AT_WORK = """
select pid from pg_stat_activity
 where datname = current_database() and usename = :role and state <> 'idle'"""
_IS_NOT_LAPSED = "status <> 'h' or held_until > now()"
_SEATS = f"""
select label, case when {_IS_NOT_LAPSED} then status else 'a' end,
       case when {_IS_NOT_LAPSED} then reservation_id::text end
  from event_seats where event_id = :e"""
_PLACES = """
select t.capacity - t.held - t.sold + coalesce(sum(i.quantity) filter (
           where r.status = 'active' and r.expires_at <= now()), 0)::integer
  from ticket_types t
  left join (reservation_items i join reservations r on r.id = i.reservation_id) on i.ticket_type_id = t.id
 where t.event_id = :e and t.capacity is not null group by t.id"""
