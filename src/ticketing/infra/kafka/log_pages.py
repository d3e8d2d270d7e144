"""The relay's way through the log: pages of plain text, the next one read while the one before it is on its way.

One statement moves the cursor past what is acknowledged, opens the next window when this one is done and renews the
lease; one brings a page. Nothing is parsed here: what Postgres prints is what Kafka gets.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
import psycopg

from ticketing.infra.db import Database, as_sqlalchemy_says
from ticketing.infra.db.pipeline import Wire, pipelined, send, wire_of
from ticketing.infra.kafka.client import Record
from ticketing.infra.outbox import Delivery
from ticketing.infra.outbox.reader import FINDS_NOTHING, LEASE_SECONDS, QUICKLY, LeaseLost, LogReader, clocks

#: So many rows are read together at first, and at most. Between two pages the broker has nothing to do for a moment.
PAGE_ROWS_MIN, PAGE_ROWS_MAX = 500, 10_000

#: A row of the log, printed: what `_PAGE` makes of it. A page is one text, for to make eleven objects of each row costs
#: as much as to send it; it is taken apart when its turn comes. No topic, id or JSON text has such characters in it.
Line = str
_END, _BETWEEN = "\x1e", "\x1f"


def log_id_of(line: Line) -> int:
    return int(line[: line.index(_BETWEEN)])


def topic_of(line: Line) -> str:
    return line.split(_BETWEEN, 2)[1]


def record_of(line: Line) -> Record:
    """What Kafka is given of a row. Headers are text, and read so by `kafka.read_delivery`."""
    _, topic, key, payload, message_id, occurred_at, version, correlation_id, traceparent, actor, organization_id = (
        line.split(_BETWEEN)
    )
    headers = {
        "message_id": message_id,
        "occurred_at": occurred_at[1:-1],
        "schema_version": version,
        "correlation_id": correlation_id,
        "traceparent": traceparent,
        "actor": actor,
        "organization_id": organization_id,
    }
    return Record(topic, key, payload, headers)


def delivery_of(line: Line) -> Delivery:
    """The same for those who look into it."""
    topic, key, payload, headers = record_of(line)
    assert isinstance(headers, dict)
    return Delivery(
        message_id=UUID(headers["message_id"]),
        topic=topic,
        key=str(key),
        schema_version=int(headers["schema_version"]),
        occurred_at=datetime.fromisoformat(headers["occurred_at"]),
        organization_id=UUID(headers["organization_id"]) if headers["organization_id"] else None,
        payload=orjson.loads(payload or ""),
        correlation_id=headers["correlation_id"],
        traceparent=headers["traceparent"],
        actor=headers["actor"],
        log_id=log_id_of(line),
    )


def line_of(delivery: Delivery) -> Line:
    """The way back, for what is published once more."""
    columns = (
        delivery.log_id,
        delivery.topic,
        delivery.key,
        orjson.dumps(delivery.payload).decode(),
        delivery.message_id,
        orjson.dumps(delivery.occurred_at).decode(),
        delivery.schema_version,
        delivery.correlation_id,
        delivery.traceparent,
        delivery.actor,
        delivery.organization_id or "",
    )
    return _BETWEEN.join(map(str, columns))


@dataclass(slots=True)
class _Place:
    """How far a reader has come in its window, by the ids of rows."""

    given: int = 0
    done: int = 0
    #: No row of the window comes behind `given`.
    at_end: bool = False

    @property
    def is_under_way(self) -> bool:
        return self.given > self.done

    @property
    def closes(self) -> bool:
        return self.at_end and not self.is_under_way


class PageReader(LogReader):
    """Reads for the relay, under the lease and with the fence of every reader (see outbox_reader.py)."""

    def __init__(self, database: Database, reader: str, owner: str, page_rows: int = PAGE_ROWS_MIN) -> None:
        super().__init__(database, reader, owner)
        #: How many rows a page has at most. Whoever carries them may change it; who begins again begins with few.
        self.page_rows = self._first_rows = page_rows
        self._place = _Place()

    async def acquire(self) -> bool:
        """As every reader does; what was given and not acknowledged is given again."""
        self._place, self.page_rows = _Place(), self._first_rows
        return await super().acquire()

    async def turn(self) -> list[Line]:
        """The next page; none when nobody has written anything, or when what was given has to be acknowledged first.

        Raises:
            LeaseLost: another process has taken over.
        """
        place = self._place
        if (place.at_end and place.is_under_way) or (place == _Place() and await self.is_up_to_date()):
            return []
        page_rows = self.page_rows
        has_window, page = await self._turn(page_rows)
        if place.closes:
            self._place = place = _Place()
        if page:
            place.given, place.at_end = log_id_of(page[-1]), len(page) < page_rows
        elif has_window:
            # It was read to its end: by us, or by a reader that died before it could close the window.
            place.at_end = True
            return [] if place.is_under_way else await self.turn()
        self.is_resting = not page
        return page

    def acknowledge(self, page: Sequence[Line]) -> None:
        """This page is done for good; the cursor moves with the next turn."""
        self._place.done = log_id_of(page[-1])

    async def settle(self) -> None:
        """Move the cursor past what is acknowledged, and read nothing. Raises LeaseLost."""
        async with self._wire() as wire:
            await self._move(wire)

    async def _finds_nothing(self) -> bool:
        async with self._wire() as wire:
            return await (await send(wire, FINDS_NOTHING, self._fence, self._reader)).fetchone() == (True,)

    async def _turn(self, page_rows: int) -> tuple[bool, list[Line]]:
        place, me = self._place, (self._reader, self._fence)
        async with self._wire() as wire:
            if not await self._move(wire):
                return False, []
            # Nothing is locked here; whoever is stopped in the middle of it is in nobody's way.
            async with pipelined(wire):
                await send(wire, _UNSORTED)
                page = await send(wire, _PAGE, place.given if place.is_under_way else 0, *me, *me, *me, page_rows)
            ((printed,),) = await page.fetchall()
            return True, printed.split(_END) if printed else []

    async def _move(self, wire: Wire) -> bool:
        """Renew the lease and move the cursor; whether there is a window. Raises LeaseLost."""
        place, reader, asked_at = self._place, self._reader, clocks()
        moved = await send(wire, _MOVE, place.closes, place.done, reader, LEASE_SECONDS, reader, self._fence)
        cursor = await moved.fetchone()
        if cursor is None:
            raise LeaseLost(self._reader)
        self.held_at, self.held_at_time = asked_at
        return bool(cursor[0])

    @asynccontextmanager
    async def _wire(self) -> AsyncIterator[Wire]:
        """A connection on which each statement is a transaction, so that none waits for us to end it.

        A process that is stopped between a statement and its commit keeps the cursor's lock, and its successor waiting.
        """
        async with self.database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            try:
                yield await wire_of(connection)
            except psycopg.OperationalError as error:
                await connection.invalidate(error)
                raise as_sqlalchemy_says(connection.dialect, error) from error


# As in outbox_reader.py, the fence alone decides. Where no window is to be opened nobody looks for the end of one.
_MOVE = f"""
with told as materialized (select %s::boolean as closes, %s::bigint as done, {QUICKLY}),
     mine as materialized (
        select case when told.closes then c.window_to else c.window_from end as window_from,
               told.closes or c.window_to is null as opens
          from outbox_cursor c, told where c.reader = %s),
     open as materialized (
        select window_from, outbox_window_end(window_from, pg_snapshot_xmin(pg_current_snapshot())) as window_to
          from mine where opens),
     waiting as materialized (
        select min(o.id) as first_id from outbox o, open where o.xid >= open.window_from and o.xid < open.window_to)
update outbox_cursor c
   set window_from = mine.window_from,
       window_to = case when not opens then c.window_to when first_id is not null then open.window_to end,
       last_id = case when opens then coalesce(first_id - 1, 0) else greatest(c.last_id, done) end,
       lease_until = clock_timestamp() + make_interval(secs => %s), updated_at = now()
  from told, mine left join open on true, waiting
 where c.reader = %s and c.fence = %s
returning c.window_to is not null"""  # noqa: S608 (settings of our own)

_UNSORTED = "select set_config('enable_sort', 'off', true)"

# Where it begins is asked for apart, so that rows come in the order of the primary key. A null there ends it at once.
# They are put together in the order in which they come. To the JSON of a time nobody's style of dates matters.
_PAGE = f"""
select string_agg(concat_ws(E'{_BETWEEN}', id, topic, key, payload, message_id, to_json(occurred_at), schema_version,
                            correlation_id, traceparent, actor, coalesce(organization_id::text, '')), E'{_END}')
  from (select *
          from outbox
         where id > (select greatest(last_id, %s::bigint) from outbox_cursor
                      where reader = %s and fence = %s and window_to is not null)
           and xid >= (select window_from from outbox_cursor where reader = %s and fence = %s)
           and xid < (select window_to from outbox_cursor where reader = %s and fence = %s)
         order by id limit %s) as page"""  # noqa: S608 (characters of our own)
