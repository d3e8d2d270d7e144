"""The seats of an event and their layout, as bytes that Postgres wrote and nobody here parses again.

A stadium has 100,000 of them: a Python object per seat would hold up every other request for seconds.
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
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.modules import venues
from ticketing.modules.events.inventory.seats import FREE
from ticketing.modules.events.models import Event

#: Layouts that a process keeps, gzipped: about 200 kB for an arena.
LAYOUTS_MAX = 32

Status = Literal["available", "held", "sold", "blocked"]
LayoutKey = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The answer to a request for a seat map, gzipped, and the tag by which a browser knows it again."""

    etag: str
    gzipped: bytes

    @property
    def plain(self) -> bytes:
        return zlib.decompress(self.gzipped, wbits=31)


#: How the layout of a published event may be kept: it never changes for a version of the plan.
PUBLIC_LAYOUT = "public, max-age=31536000, immutable"
#: What an event without seats has.
NO_SEATS = orjson.dumps({"plan_version": None, "width": 0, "height": 0, "seats": [], "categories": [], "areas": []})

_layouts: OrderedDict[LayoutKey, Layout] = OrderedDict()
_turns: WeakValueDictionary[LayoutKey, asyncio.Lock] = WeakValueDictionary()


async def list_seats(session: AsyncSession, event: Event, section: str | None, status: Status | None) -> bytes:
    """The envelope with the event's seats in the order of their numbers, with the state of this moment."""
    place = {"organization_id": event.organization_id, "event_id": event.id, "currency": event.currency}
    plan = {"venue_id": event.venue_id, "plan_version": event.plan_version}
    rows = await session.scalar(_SEATS, {**place, **plan, "section": section, "status": status})
    return wrap(rows)


async def get_layout(session: AsyncSession, event: Event) -> Layout | None:
    """The layout of the plan that the event has copied; None without one. It never changes, so it is made once."""
    if event.venue_id is None or event.plan_version is None:
        return None
    key = (event.venue_id, event.plan_version)
    async with _turns.setdefault(key, asyncio.Lock()):
        if key not in _layouts:
            _layouts[key] = await _make_layout(session, event.organization_id, *key)
        _layouts.move_to_end(key)
        while len(_layouts) > LAYOUTS_MAX:
            _layouts.popitem(last=False)
        return _layouts[key]


async def _make_layout(session: AsyncSession, organization_id: UUID, venue_id: UUID, version: int) -> Layout:
    plan = await venues.get_plan(session, organization_id, venue_id, version)
    place = {"organization_id": organization_id, "venue_id": venue_id, "plan_version": version}
    seats: bytes = await session.scalar(_LAYOUT, place) or b"[]"
    around = orjson.dumps({"plan_version": version, **plan.layout})
    answer = wrap(around[:-1] + b',"seats":' + seats + b"}")
    return Layout(f'W/"{venue_id}-{version}"', await asyncio.to_thread(gzip.compress, answer, 6))


def wrap(data: bytes) -> bytes:
    """The envelope of a success around JSON that is there already."""
    return b'{"success":true,"message":"OK","data":' + data + b',"meta":null}'


# LATERAL with OFFSET: one look-up by the whole key for each seat, whatever the statistics say. Left to choose, and told
# of few rows, the planner compares every seat with every other.
_SEATS = text(f"""
select convert_to(coalesce(json_agg(s), '[]')::text, 'UTF8') from (
    select e.number, e.label, p.section, p."row", p.seat, e.category,
           case when {FREE} then 'available' when status = 'h' then 'held'
                when status = 's' then 'sold' else 'blocked' end as status,
           case when t.id is not null then json_build_object('amount', t.price_minor,
                                                             'currency', cast(:currency as text)) end as price,
           p.x, p.y, e.version
      from event_seats e
      join lateral (
          select section, "row", seat, x, y from plan_seats
           where organization_id = e.organization_id and venue_id = :venue_id and plan_version = :plan_version
             and number = e.number
          offset 0) p on true
      left join category_prices c on c.organization_id = e.organization_id and c.event_id = e.event_id
                                 and c.category = e.category
      left join ticket_types t on t.id = c.ticket_type_id
     where e.organization_id = :organization_id and e.event_id = :event_id
       and (cast(:section as text) is null or p.section = :section)
     order by e.number) s
 where cast(:status as text) is null or s.status = :status""")  # noqa: S608 (only constants)
_LAYOUT = text("""
select convert_to(coalesce(json_agg(s), '[]')::text, 'UTF8') from (
    select number, label, section, "row", seat, category, x, y from plan_seats
     where organization_id = :organization_id and venue_id = :venue_id and plan_version = :plan_version
     order by number) s""")
