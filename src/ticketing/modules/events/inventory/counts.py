"""How many seats of an event are available, held, sold and blocked; a hold that has run out counts as available.

Counting reads every seat of the event, milliseconds for an arena. So that a crowd looking at one event costs no more
than a few of them, a request that arrives during a count waits for the next one and shares it: nobody is shown a
state older than their own request, and an event is counted once at a time in a process.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.modules.events.inventory.seats import FREE
from ticketing.modules.events.models import Event

#: How old a count in a list of events may be.
LATELY_SECONDS = 1.0
#: Counts that a process remembers; beyond that it begins anew.
REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class SeatCounts:
    available: int = 0
    held: int = 0
    sold: int = 0
    blocked: int = 0

    @property
    def capacity(self) -> int:
        return self.available + self.held + self.sold + self.blocked


Count = Callable[[AsyncSession, Sequence[Event]], Awaitable[dict[UUID, SeatCounts]]]

_counted: dict[UUID, tuple[float, SeatCounts]] = {}
_turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()


async def count_now(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    """Count as this transaction sees it, what it has changed itself included."""
    owners = {"organization_ids": [e.organization_id for e in events], "event_ids": [e.id for e in events]}
    rows = (await session.execute(_COUNT, owners)).all()
    counts = {row.event_id: SeatCounts(row.available, row.held, row.sold, row.blocked) for row in rows}
    return {event.id: counts.get(event.id, SeatCounts()) for event in events}


async def count_shared(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    """Count, or share a count that began after this request arrived. For transactions that only read."""
    arrived = time.monotonic()
    return {event.id: await _count_since(session, event, arrived) for event in events}


async def _count_since(session: AsyncSession, event: Event, arrived: float) -> SeatCounts:
    turn = _turns.setdefault(event.id, asyncio.Lock())
    async with turn:
        began, counts = _counted.get(event.id, (0.0, SeatCounts()))
        if began < arrived:
            counts = (await _count_and_remember(session, [event]))[event.id]
        return counts


async def count_lately(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    """Counts that are at most LATELY_SECONDS old. For lists, and for transactions that only read."""
    horizon = time.monotonic() - LATELY_SECONDS
    known = {event.id: _counted[event.id] for event in events if event.id in _counted}
    recent = {event_id: counts for event_id, (began, counts) in known.items() if began >= horizon}
    stale = [event for event in events if event.id not in recent]
    return recent | await _count_and_remember(session, stale) if stale else recent


async def _count_and_remember(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    began = time.monotonic()
    counts = await count_now(session, events)
    if len(_counted) > REMEMBERED_MAX:
        _counted.clear()
    _counted.update({event_id: (began, count) for event_id, count in counts.items()})
    return counts


_COUNT = text(f"""
select e.event_id,
       count(*) filter (where {FREE}) as available,
       count(*) filter (where status = 'h' and held_until > now()) as held,
       count(*) filter (where status = 's') as sold,
       count(*) filter (where status = 'b') as blocked
  from unnest(cast(:organization_ids as uuid[]), cast(:event_ids as uuid[])) as wanted (organization_id, event_id)
  join event_seats e on e.organization_id = wanted.organization_id and e.event_id = wanted.event_id
 group by e.event_id""")  # noqa: S608 (only constants)
