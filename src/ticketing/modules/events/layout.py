"""The layout of an event's seats, as JSON bytes built by Postgres and sent without being parsed.

A stadium has 100,000 seats: one Python object per seat would block the event loop for seconds.
"""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.modules import venues
from ticketing.modules.events.models import Event

#: Cached layouts per process, gzipped: about 200 kB for an arena.
LAYOUTS_MAX = 32
#: Seats per statement: 200,000 in one took seconds on a busy server, near the limit of a statement.
CHUNK_SEATS = 10_000
PIECE_BYTES = 64 * 1024

LayoutKey = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The response to a request for a seat map, gzipped, and its ETag."""

    etag: str
    gzipped: bytes

    async def plain(self) -> AsyncIterator[bytes]:
        """Yield the response decompressed. A client that reads slowly holds one piece, and not 22 MB for a stadium."""
        inflate, rest = zlib.decompressobj(wbits=31), self.gzipped
        while piece := inflate.decompress(rest, PIECE_BYTES):
            yield piece
            rest = inflate.unconsumed_tail


#: Cache-Control for the layout of a published event: it never changes for a version of the plan.
PUBLIC_LAYOUT = "public, max-age=31536000, immutable"
#: The layout of an event without seats.
NO_SEATS = orjson.dumps({"plan_version": None, "width": 0, "height": 0, "seats": [], "categories": [], "areas": []})

# Most seats have none of the last three columns, which would be a third of the layout.
_CHUNK = """
select convert_to(string_agg(json_strip_nulls(row_to_json(s))::text, ',' order by number), 'UTF8') from (
    select number, label, section, "row", seat, category, x, y, row_label, seat_label, position from plan_seats
     where organization_id = %s and venue_id = %s and plan_version = %s and number >= %s and number < %s) s"""
_LAST = "select max(number) from plan_seats where organization_id = %s and venue_id = %s and plan_version = %s"

_layouts: OrderedDict[LayoutKey, Layout] = OrderedDict()
_locks: WeakValueDictionary[LayoutKey, asyncio.Lock] = WeakValueDictionary()


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
    before, after = wrap(orjson.dumps({"plan_version": version, **plan.layout, "seats": []})).rsplit(b'"seats":[]', 1)
    deflate = zlib.compressobj(6, wbits=31)
    pieces, comma = [deflate.compress(before + b'"seats":[')], b""
    async for seats in _chunks(session, organization_id, venue_id, version):
        pieces.append(await asyncio.to_thread(deflate.compress, comma + seats))
        comma = b","
    pieces.append(deflate.compress(b"]" + after) + deflate.flush())
    return Layout(f'W/"{venue_id}-{version}"', b"".join(pieces))


async def _chunks(session: AsyncSession, *plan: object) -> AsyncIterator[bytes]:
    """Seats as JSON without brackets, in order of number. A later version of a plan has gaps in its numbers."""
    ((last,),) = await (await statements.execute(session, _LAST, *plan)).fetchall()
    for first in range(0, -1 if last is None else last + 1, CHUNK_SEATS):
        found = await statements.execute(session, _CHUNK, *plan, first, first + CHUNK_SEATS)
        ((seats,),) = await found.fetchall()
        if seats is not None:
            yield bytes(seats)


def wrap(data: bytes) -> bytes:
    """The envelope of a successful response around encoded JSON."""
    return b'{"success":true,"message":"OK","data":' + data + b',"meta":null}'
