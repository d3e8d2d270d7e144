"""The content of the map: seat statuses, counters of areas, and their version."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import rows
from ticketing.modules import events, reservations
from ticketing.modules.realtime.models import EventStream

#: `{ticket_type_id: {"capacity": …, "available": …}}`
Areas = dict[str, dict[str, int]]


class Position(NamedTuple):
    """A position in an event's stream: the `id` of each event, which a client returns as `Last-Event-ID`."""

    epoch: str
    version: int

    def __str__(self) -> str:
        return f"{self.epoch or 0}:{self.version}"


@dataclass(frozen=True, slots=True)
class Availability:
    """A map at one moment. `seats` has one status letter per seat, at the index of its number.

    A number without a seat in this version of the plan has the letter `b`.
    """

    position: Position
    seats: str
    areas: Areas
    #: Seconds from the start of the transaction until the first hold lapses; None without active holds.
    lapses_in_seconds: float | None = None
    #: Of the seat map that the letters are of; None without seats.
    plan_version: int | None = None

    def as_payload(self) -> dict[str, Any]:
        """The map as clients get it."""
        version = self.position.version
        return {"version": version, "seats": self.seats, "areas": self.areas, "plan_version": self.plan_version}


_STATUS = "case when s.status = 'h' and s.held_until <= now() then 'a' else s.status end"

# Ordered by the primary key, so that the statuses are concatenated as they are read.
_MAP = f"""
select coalesce(case when map.last = map.count - 1 then map.seats
                     else {events.padded_statuses(_STATUS, "map.last", "w.organization_id", "w.event_id")} end, ''),
       extract(epoch from map.lapses_at - now())::float, coalesce(e.epoch, ''), coalesce(e.version, 0),
       (select plan_version from events p where p.organization_id = w.organization_id and p.id = w.event_id)
  from (select %s::uuid as organization_id, %s::uuid as event_id) w
 cross join lateral
       (select string_agg({_STATUS}, '' order by s.number) as seats, max(s.number) as last, count(*) as count,
               min(s.held_until) filter (where s.status = 'h' and s.held_until > now()) as lapses_at
          from event_seats s where s.organization_id = w.organization_id and s.event_id = w.event_id) map
  left join event_streams e on e.organization_id = w.organization_id and e.event_id = w.event_id"""  # noqa: S608

_STATUSES = f"""
select s.event_id, s.number, {_STATUS}
  from json_to_recordset(%s::json) as t (organization_id uuid, event_id uuid, number integer)
  join event_seats s using (organization_id, event_id, number)"""  # noqa: S608 (only constants)

# Over Kafka, anyone with access to the broker can write a message about an event that does not exist.
_INCREMENT = """
insert into event_streams as s (organization_id, event_id, epoch, version)
select t.organization_id, t.event_id, %s::text, 1
  from unnest(%s::uuid[], %s::uuid[]) with ordinality as t (organization_id, event_id, position)
  join events e on e.organization_id = t.organization_id and e.id = t.event_id
 order by t.position
on conflict (organization_id, event_id) do update set version = s.version + 1
returning s.organization_id, s.event_id, s.epoch, s.version"""


async def get_availability(session: AsyncSession, organization_id: UUID, event_id: UUID) -> Availability:
    """The whole map. A lapsed hold counts as available, expired or not.

    Version and statuses come from one statement; the counters may be slightly newer, never older. Later changes come in
    a frame with a higher version.
    """
    (found,) = await (await statements.execute(session, _MAP, organization_id, event_id)).fetchall()
    seats, lapses_in_seconds, epoch, version, plan_version = found
    types = [t for t in await events.list_ticket_types(session, event_id) if t.capacity is not None]
    areas = await _areas(session, event_id, types) if types else {}
    return Availability(Position(epoch, version), seats, areas, lapses_in_seconds, plan_version)


async def area_states(session: AsyncSession, ticket_type_ids: Collection[UUID]) -> dict[UUID, Areas]:
    """The counters of these ticket types, by event; types that price seats have none."""
    if not ticket_type_ids:
        return {}
    type_ = events.TicketType
    columns = (type_.id, type_.event_id, type_.capacity, type_.held, type_.sold)
    # One array: a parameter for each id is limited to 65,535 of them.
    wanted = any_(literal([*ticket_type_ids], ARRAY(Uuid)))
    counted = select(*columns).where(type_.id == wanted, type_.capacity.is_not(None))
    by_event = defaultdict(list)
    for row in await session.execute(counted):
        by_event[row.event_id].append(row)
    return {event_id: await _areas(session, event_id, types) for event_id, types in by_event.items()}


async def _areas(session: AsyncSession, event_id: UUID, types: Iterable[Any]) -> Areas:
    lapsed = await reservations.lapsed_places(session, event_id)
    return {
        str(t.id): {"capacity": t.capacity, "available": t.capacity - t.held - t.sold + lapsed.get(t.id, 0)}
        for t in types
    }


async def increment_versions(
    session: AsyncSession, keys: Collection[tuple[UUID, UUID]], new_epoch: str
) -> dict[tuple[UUID, UUID], Position]:
    """Increment the version of each event, by organization and event, locking rows in the given order.

    An event that its organization does not have gets no version.
    """
    ids = ([organization_id for organization_id, _ in keys], [event_id for _, event_id in keys])
    found = await (await statements.execute(session, _INCREMENT, new_epoch, *ids)).fetchall()
    return {
        (organization_id, event_id): Position(epoch, version) for organization_id, event_id, epoch, version in found
    }


async def seat_statuses(
    session: AsyncSession, wanted: Iterable[tuple[UUID, UUID, Collection[int]]]
) -> dict[UUID, list[list[Any]]]:
    """`[[number, status], …]` by event, for (organization, event, numbers)."""
    seats = [
        {"organization_id": organization_id, "event_id": event_id, "number": number}
        for organization_id, event_id, numbers in wanted
        for number in sorted(numbers)
    ]
    if not seats:
        return {}
    statuses: dict[UUID, list[list[Any]]] = defaultdict(list)
    for event_id, number, status in await (await statements.execute(session, _STATUSES, rows(seats))).fetchall():
        statuses[event_id].append([number, status])
    return statuses


async def versions(session: AsyncSession, event_ids: Collection[UUID]) -> dict[UUID, Position]:
    """The position of each of these events that has had a frame."""
    stream = EventStream
    found = await session.execute(
        select(stream.event_id, stream.epoch, stream.version).where(stream.event_id.in_(event_ids))
    )
    return {event_id: Position(epoch, version) for event_id, epoch, version in found}
