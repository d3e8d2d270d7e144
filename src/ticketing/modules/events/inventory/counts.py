"""The numbers of available, held, sold and blocked seats of an event, by category; a lapsed hold counts as available.

A count reads every seat of the event, which takes milliseconds for an arena. Concurrent requests for one event are
coalesced: a request that arrives during a count shares the next one. A process runs one count per event at a time, and
no client sees a state older than its request.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.modules.events.inventory.seats import FREE
from ticketing.modules.events.models import Event

#: Maximal age of a count in a list of events.
RECENT_SECONDS = 1.0
#: Counts that a process caches. The cache is cleared when it is full.
CACHED_MAX = 10_000

_COUNT = f"""
select e.event_id, e.category,
       count(*) filter (where {FREE}) as available,
       count(*) filter (where status = 'h' and held_until > now()) as held,
       count(*) filter (where status = 's') as sold,
       count(*) filter (where status = 'b') as blocked
  from unnest(%s::uuid[], %s::uuid[]) as wanted (organization_id, event_id)
  join event_seats e on e.organization_id = wanted.organization_id and e.event_id = wanted.event_id
 group by e.event_id, e.category"""  # noqa: S608 (only constants)


class CategoryCounts(NamedTuple):
    """The seats of one category."""

    available: int
    held: int
    sold: int
    blocked: int


@dataclass(frozen=True, slots=True)
class SeatCounts:
    """The seats of an event."""

    available: int = 0
    held: int = 0
    sold: int = 0
    blocked: int = 0
    categories: Mapping[str, CategoryCounts] = field(default_factory=dict)

    @classmethod
    def of(cls, categories: Mapping[str, CategoryCounts]) -> Self:
        """Add the categories up."""
        available, held, sold, blocked = (sum(counts[n] for counts in categories.values()) for n in range(4))
        return cls(available, held, sold, blocked, categories)

    @property
    def capacity(self) -> int:
        return self.available + self.held + self.sold + self.blocked


Count = Callable[[AsyncSession, Sequence[Event]], Awaitable[dict[UUID, SeatCounts]]]

_cached: dict[UUID, tuple[float, SeatCounts]] = {}
_locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()


async def count_now(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    """Count the seats as this transaction sees them, its own changes included."""
    owners = [e.organization_id for e in events], [e.id for e in events]
    found = await (await statements.execute(session, _COUNT, *owners)).fetchall()
    categories: dict[UUID, dict[str, CategoryCounts]] = defaultdict(dict)
    for event_id, category, *numbers in found:
        categories[event_id][category] = CategoryCounts(*numbers)
    return {event.id: SeatCounts.of(categories[event.id]) for event in events}


async def count_shared(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    """Count, or share a count that began after this request arrived. For read-only transactions."""
    arrived = time.monotonic()
    return {event.id: await _count_since(session, event, arrived) for event in events}


async def _count_since(session: AsyncSession, event: Event, arrived: float) -> SeatCounts:
    lock = _locks.setdefault(event.id, asyncio.Lock())
    async with lock:
        began, counts = _cached.get(event.id, (0.0, SeatCounts()))
        if began < arrived:
            counts = (await _count_and_cache(session, [event]))[event.id]
        return counts


async def count_recent(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    """Counts at most RECENT_SECONDS old. For lists, in read-only transactions."""
    oldest = time.monotonic() - RECENT_SECONDS
    known = {event.id: _cached[event.id] for event in events if event.id in _cached}
    recent = {event_id: counts for event_id, (began, counts) in known.items() if began >= oldest}
    stale = [event for event in events if event.id not in recent]
    return recent | await _count_and_cache(session, stale) if stale else recent


async def _count_and_cache(session: AsyncSession, events: Sequence[Event]) -> dict[UUID, SeatCounts]:
    began = time.monotonic()
    counts = await count_now(session, events)
    if len(_cached) > CACHED_MAX:
        _cached.clear()
    _cached.update({event_id: (began, count) for event_id, count in counts.items()})
    return counts
