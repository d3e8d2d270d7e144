"""The seats of an event and their layout, as JSON bytes built by Postgres and sent without being parsed.

A stadium has 100,000 seats: one Python object per seat would block the event loop for seconds.
"""

import asyncio
import gzip
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.modules import venues
from ticketing.modules.events.inventory.seats import FREE
from ticketing.modules.events.models import Event

#: Cached layouts per process, gzipped: about 200 kB for an arena.
LAYOUTS_MAX = 32

Status = Literal["available", "held", "sold", "blocked"]
LayoutKey = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The response to a request for a seat map, gzipped, and its ETag."""

    etag: str
    gzipped: bytes

    @property
    def plain(self) -> bytes:
        return zlib.decompress(self.gzipped, wbits=31)


#: Cache-Control for the layout of a published event: it never changes for a version of the plan.
PUBLIC_LAYOUT = "public, max-age=31536000, immutable"
#: The layout of an event without seats.
NO_SEATS = orjson.dumps({"plan_version": None, "width": 0, "height": 0, "seats": [], "categories": [], "areas": []})

# LATERAL with OFFSET 0 forces one look-up by primary key per seat. Without it, a planner whose statistics show few rows
# compares every seat with every other.
_SEATS = f"""
select convert_to(coalesce(json_agg(s), '[]')::text, 'UTF8') from (
    select e.number, e.label, p.section, p."row", p.seat, e.category,
           case when {FREE} then 'available' when status = 'h' then 'held'
                when status = 's' then 'sold' else 'blocked' end as status,
           case when t.id is not null then json_build_object('amount', t.price_minor,
                                                             'currency', %s::text) end as price,
           p.x, p.y, e.version
      from event_seats e
      join lateral (
          select section, "row", seat, x, y from plan_seats
           where organization_id = e.organization_id and venue_id = %s and plan_version = %s
             and number = e.number
          offset 0) p on true
      left join category_prices c on c.organization_id = e.organization_id and c.event_id = e.event_id
                                 and c.category = e.category
      left join ticket_types t on t.id = c.ticket_type_id
     where e.organization_id = %s and e.event_id = %s
       and (%s::text is null or p.section = %s)
     order by e.number) s
 where %s::text is null or s.status = %s"""  # noqa: S608 (only constants)
_LAYOUT = """
select convert_to(coalesce(json_agg(s), '[]')::text, 'UTF8') from (
    select number, label, section, "row", seat, category, x, y from plan_seats
     where organization_id = %s and venue_id = %s and plan_version = %s
     order by number) s"""

_layouts: OrderedDict[LayoutKey, Layout] = OrderedDict()
_locks: WeakValueDictionary[LayoutKey, asyncio.Lock] = WeakValueDictionary()


async def list_seats(session: AsyncSession, event: Event, section: str | None, status: Status | None) -> bytes:
    """The envelope with the event's seats in order of number, with their current status."""
    plan = (event.venue_id, event.plan_version)
    values = (event.currency, *plan, event.organization_id, event.id, section, section, status, status)
    return wrap(await _scalar(session, _SEATS, *values))


async def get_layout(session: AsyncSession, event: Event) -> Layout | None:
    """The layout of the plan that the event has copied, cached; None without one."""
    if event.venue_id is None or event.plan_version is None:
        return None
    key = (event.venue_id, event.plan_version)
    async with _locks.setdefault(key, asyncio.Lock()):
        if key not in _layouts:
            _layouts[key] = await _make_layout(session, event.organization_id, *key)
        _layouts.move_to_end(key)
        while len(_layouts) > LAYOUTS_MAX:
            _layouts.popitem(last=False)
        return _layouts[key]


async def _make_layout(session: AsyncSession, organization_id: UUID, venue_id: UUID, version: int) -> Layout:
    plan = await venues.get_plan(session, organization_id, venue_id, version)
    seats = await _scalar(session, _LAYOUT, organization_id, venue_id, version)
    head = orjson.dumps({"plan_version": version, **plan.layout})
    body = wrap(head[:-1] + b',"seats":' + seats + b"}")
    return Layout(f'W/"{venue_id}-{version}"', await asyncio.to_thread(gzip.compress, body, 6))


async def _scalar(session: AsyncSession, query: str, *values: object) -> bytes:
    ((body,),) = await (await statements.execute(session, query, *values)).fetchall()
    return bytes(body)


def wrap(data: bytes) -> bytes:
    """The envelope of a successful response around encoded JSON."""
    return b'{"success":true,"message":"OK","data":' + data + b',"meta":null}'
