"""What the map shows: letters of seats, counters of areas, and the version that both belong to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.modules import events, reservations

#: `{ticket_type_id: {"capacity": …, "available": …}}`
Areas = dict[str, dict[str, int]]


class Position(NamedTuple):
    """A place in an event's stream. It travels as the `id` of what is sent, and comes back as `Last-Event-ID`."""

    epoch: str
    version: int

    def __str__(self) -> str:
        return f"{self.epoch or 0}:{self.version}"


@dataclass(frozen=True, slots=True)
class Availability:
    """A map at one moment. `seats` has one letter per seat, at the index of its number."""

    position: Position
    seats: str
    areas: Areas
    #: Until the first of the seats' holds runs out, from the beginning of the transaction; None when none runs.
    lapses_in_seconds: float | None = None


async def get_availability(session: AsyncSession, organization_id: UUID, event_id: UUID) -> Availability:
    """The whole map. A hold that has run out counts as available, whether it was swept or not.

    Version and letters come from one statement; the counters may be a moment newer, never older. What changes later
    comes in a frame with a higher version.
    """
    row = (await session.execute(_MAP, {"organization_id": organization_id, "event_id": event_id})).one()
    types = [t for t in await events.list_ticket_types(session, event_id) if t.capacity is not None]
    areas = await _areas(session, event_id, types) if types else {}
    return Availability(Position(row.epoch, row.version), row.seats, areas, row.lapses_in_seconds)


async def area_states(session: AsyncSession, ticket_type_ids: Collection[UUID]) -> dict[UUID, Areas]:
    """The counters of these ticket types, by event; those that price seats have none."""
    if not ticket_type_ids:
        return {}
    rows = (await session.execute(_TYPES, {"ids": sorted(ticket_type_ids)})).all()
    by_event = defaultdict(list)
    for row in rows:
        by_event[row.event_id].append(row)
    return {event_id: await _areas(session, event_id, types) for event_id, types in by_event.items()}


async def _areas(session: AsyncSession, event_id: UUID, types: Iterable[Any]) -> Areas:
    lapsed = await reservations.lapsed_places(session, event_id)
    return {
        str(t.id): {"capacity": t.capacity, "available": t.capacity - t.held - t.sold + lapsed.get(t.id, 0)}
        for t in types
    }


async def raise_versions(
    session: AsyncSession, organizations: Mapping[UUID, UUID], new_epoch: str
) -> dict[UUID, Position]:
    """Raise the version of each event (its id, and its organization's) by one, locking rows in the order given."""
    ids = {"event_ids": list(organizations), "organization_ids": list(organizations.values()), "epoch": new_epoch}
    return {row.event_id: Position(row.epoch, row.version) for row in await session.execute(_RAISE, ids)}


async def seat_states(
    session: AsyncSession, wanted: Iterable[tuple[UUID, UUID, Collection[int]]]
) -> dict[UUID, list[list[Any]]]:
    """`[[number, letter], …]` by event, for (organization, event, numbers)."""
    places = [(organization_id, event_id, n) for organization_id, event_id, numbers in wanted for n in sorted(numbers)]
    if not places:
        return {}
    columns = dict(zip(("organization_ids", "event_ids", "numbers"), map(list, zip(*places, strict=True)), strict=True))
    states: dict[UUID, list[list[Any]]] = defaultdict(list)
    for row in await session.execute(_SEATS, columns):
        states[row.event_id].append([row.number, row.letter])
    return states


async def versions(session: AsyncSession, event_ids: Collection[UUID]) -> dict[UUID, Position]:
    """Epoch and version of each event that has ever had a frame."""
    rows = await session.execute(_VERSIONS, {"ids": list(event_ids)})
    return {row.event_id: Position(row.epoch, row.version) for row in rows}


_LETTER = "case when s.status = 'h' and s.held_until <= now() then 'a' else s.status end"

# Ordered by the primary key, so the letters are joined as they are read.
_MAP = text(f"""
select coalesce(map.seats, '') as seats, cast(extract(epoch from map.lapses_at - now()) as float) as lapses_in_seconds,
       coalesce(e.epoch, '') as epoch, coalesce(e.version, 0) as version
  from (select string_agg({_LETTER}, '' order by s.number) as seats,
               min(s.held_until) filter (where s.status = 'h' and s.held_until > now()) as lapses_at
          from event_seats s where s.organization_id = :organization_id and s.event_id = :event_id) map
  left join event_streams e on e.organization_id = :organization_id and e.event_id = :event_id""")  # noqa: S608

_SEATS = text(f"""
select s.event_id, s.number, {_LETTER} as letter
  from unnest(cast(:organization_ids as uuid[]), cast(:event_ids as uuid[]), cast(:numbers as integer[]))
       as t (organization_id, event_id, number)
  join event_seats s using (organization_id, event_id, number)""")  # noqa: S608

_TYPES = text("""
select id, event_id, capacity, held, sold from ticket_types where id = any(:ids) and capacity is not null""")

_RAISE = text("""
insert into event_streams as s (organization_id, event_id, epoch, version)
select t.organization_id, t.event_id, cast(:epoch as text), 1
  from unnest(cast(:organization_ids as uuid[]), cast(:event_ids as uuid[])) with ordinality
       as t (organization_id, event_id, position)
 order by t.position
on conflict (organization_id, event_id) do update set version = s.version + 1
returning s.event_id, s.epoch, s.version""")

_VERSIONS = text("select event_id, epoch, version from event_streams where event_id = any(:ids)")
