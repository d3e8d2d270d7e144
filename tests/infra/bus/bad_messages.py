"""Messages that no consumer can process, one of each kind, in the form of Kafka records and of rows of the log."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra import outbox
from ticketing.infra.bus import AnyGroup, Group
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.bus.redelivery import Selection
from ticketing.infra.db import Database

ORGANIZATION = UUID("00000000-0000-4000-8000-00000000000a")
#: Sent in a header to make a handler fail: by an ordinary error, or by an extraordinary one.
FAILING_COATS = range(900, 905)

Headers = dict[str, bytes | None]


def deep(levels: int) -> bytes:
    return b'{"seat":"A","coat":' + b"[" * levels + b"]" * levels + b"}"


def good_value(seat: str, coat: int) -> bytes:
    return orjson.dumps({"organization_id": ORGANIZATION, "seat": seat, "coat": coat})


def good_headers() -> Headers:
    return {
        "message_id": str(uuid4()).encode(),
        "occurred_at": b"2026-11-21T12:00:00+00:00",
        "schema_version": b"1",
        "correlation_id": b"c",
        "traceparent": b"",
        "actor": b"",
        "organization_id": str(ORGANIZATION).encode(),
    }


@dataclass(frozen=True)
class Bad:
    """One kind: what differs from a good message. A header without a value here is left out."""

    name: str
    value: bytes | None = good_value("A", 7)
    key: bytes = b"A"
    headers: Headers = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def all_headers(self) -> list[tuple[str, bytes | None]]:
        return [(n, v) for n, v in (good_headers() | self.headers).items() if n not in self.without]


#: Values that are also rows of the log, where Postgres accepts them as JSON.
VALUES = [
    Bad("not JSON", b"\xff not JSON"),
    Bad("empty", b""),
    Bad("a tombstone", None),
    Bad("a JSON list", b"[1, 2]"),
    Bad("a JSON null", b"null"),
    Bad("a JSON number", b"7"),
    Bad("NaN", b'{"seat":"A","coat":NaN}'),
    Bad("an infinite number", b'{"seat":"A","coat":1e999}'),
    Bad("an integer beyond 64 bits", b'{"seat":"A","coat":%d}' % 10**30),
    Bad("an integer beyond its column", b'{"seat":"A","coat":%d}' % 2**40),
    Bad("a lone surrogate", b'{"seat":"\\ud800","coat":7}'),
    Bad("an escaped NUL", b'{"seat":"\\u0000","coat":7}'),
    Bad("JSON 255 deep", deep(254)),
    Bad("JSON 1,000 deep", deep(999)),
    Bad("JSON 3,000 deep", deep(2999)),
    Bad("a missing field", b'{"seat":"A"}'),
    Bad("a field of another type", b'{"seat":{},"coat":"red"}'),
    Bad("another organization in the payload", good_value("A", 7).replace(b"00000a", b"00000b")),
    Bad("a megabyte", b'{"seat":"%s","coat":"red"}' % (b"A" * 999_300)),
    *(Bad(f"a failing handler ({coat})", good_value("A", coat)) for coat in FAILING_COATS),
]

#: Headers that are also columns of the log, as far as Postgres accepts them.
HEADERS = [
    Bad("a version beyond 64 bits", headers={"schema_version": b"%d" % 10**30}),
    Bad("a version beyond 16 bits", headers={"schema_version": b"40000"}),
    Bad("a newer version", headers={"schema_version": b"2"}),
    Bad("an infinite time", headers={"occurred_at": b"infinity"}),
    Bad("a time after the year 9999", headers={"occurred_at": b"99999-01-01T00:00:00+00:00"}),
]

#: What only a Kafka record can have.
FOREIGN = [
    Bad("more than the relay writes", b'{"seat":"A","coat":7,"x":"%s"}' % (b"x" * 1_020_000)),
    Bad("no headers", without=tuple(good_headers())),
    *(Bad(f"no {name}", without=(name,)) for name in ("message_id", "schema_version", "organization_id")),
    *(
        Bad(f"{what} in {name}", headers={name: value})
        for name in ("actor", "correlation_id", "traceparent")
        for what, value in (("a NUL", b"a\0b"), ("a separator of rows", b"a\x1eb\x1f"), ("no UTF-8", b"\xff"))
    ),
    Bad("a long actor", headers={"actor": b"a" * 2000}),
    Bad("headers of a megabyte", headers={"actor": b"a" * 900_000}),
    Bad("a version that is no number", headers={"schema_version": b"one"}),
    Bad("version 0", headers={"schema_version": b"0"}),
    Bad("a version without a value", headers={"schema_version": None}),
    Bad("an id that is none", headers={"message_id": b"7"}),
    Bad("a time without zone", headers={"occurred_at": b"2026-11-21T12:00:00"}),
    Bad("a word as time", headers={"occurred_at": b"yesterday"}),
    Bad("an organization that is none", headers={"organization_id": b"acme"}),
    Bad("another organization in the headers", headers={"organization_id": str(UUID(int=7)).encode()}),
    Bad("a key that is no UTF-8", key=b"\xff\xfe"),
    Bad("a NUL in the key", key=b"A\0"),
    Bad("a long key", key=b"A" * 5000),
]


class Unprintable(Exception):
    """An error without a text."""

    def __str__(self) -> str:
        raise RuntimeError("this error has no text")


def failure(coat: int) -> BaseException | None:
    """What a handler raises at this coat: errors that are hard to store, or to recognize as errors."""
    errors: dict[int, Callable[[], BaseException]] = {
        900: lambda: RuntimeError("this coat does not dry"),
        901: lambda: ValueError("NUL \0, a lone surrogate \ud800 and a great deal of text" + "x" * 100_000),
        902: Unprintable,
        903: asyncio.CancelledError,
        904: lambda: TimeoutError("too slow"),
    }
    return errors[coat]() if coat in errors else None


@dataclass(frozen=True)
class Consumed:
    """What the groups did with good messages, by group, and their dead letters, by group and message."""

    effects: dict[str, list[int]]
    letters: dict[str, list[DeadLetter]]


class Painters:
    """Three groups: one of each kind that reads the topic of the bad messages, and one that reads another topic."""

    def __init__(self, database: Database, suffix: str) -> None:
        self._database = database
        self.message = type("SeatPainted", (SeatPainted,), {"topic": f"seat.painted.{suffix}"})
        self.other = type("SeatPainted", (SeatPainted,), {"topic": f"seat.primed.{suffix}"})
        self.names = [f"{name}.{suffix}" for name in ("single", "bulk", "others")]

    def groups(self, *_: Any) -> list[AnyGroup]:
        single, bulk, others = self.names
        return [
            Group(single, {self.message: self._handler(single)}),
            Bulk(bulk, self.message, self._handler(bulk)),
            Group(others, {self.other: self._handler(others)}),
        ]

    def _handler(self, name: str) -> Any:
        async def paint(session: AsyncSession, message: SeatPainted) -> None:
            if (error := failure(message.coat)) is not None:
                raise error
            values = {"name": name, "seat": message.seat, "coat": message.coat}
            await session.execute(text("insert into effects (name, seat, coat) values (:name, :seat, :coat)"), values)

        return paint

    async def make_table(self, owner: Database) -> None:
        async with owner.transaction() as session:
            await session.execute(text("create table effects (id serial primary key, name text, seat text, coat int)"))
            await session.execute(text("grant all on effects, effects_id_seq to public"))

    async def wait(self, good: Collection[int], bad: int) -> Consumed:
        """Wait until both groups of the topic have had the good messages, and have `bad` dead letters."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = await self._read()
            missing = [
                f"{name}: {len(found.letters[name])} of {bad} letters, missed {set(good) - set(found.effects[name])}"
                for name in self.names[:2]
                if len(found.letters[name]) < bad or not set(good) <= set(found.effects[name])
            ]
            if not missing and found.effects[self.names[2]]:
                return found
            assert time.monotonic() < end, (missing, found.effects[self.names[2]])
            await asyncio.sleep(0.05)

    async def _read(self) -> Consumed:
        found = Consumed({name: [] for name in self.names}, {name: [] for name in self.names})
        async with self._database.transaction() as session:
            for name, coat in await session.execute(text("select name, coat from effects order by id")):
                found.effects[name].append(coat)
            for letter in await session.scalars(Selection().select()):
                found.letters[letter.consumer].append(letter)
        return found


class SeatPainted(outbox.Message):
    """A message of these tests only."""

    topic: ClassVar[str] = "seat.painted"
    key_field: ClassVar[str] = "seat"
    seat: str
    coat: int


class Bulk:
    """A batch group with the same handler."""

    pause_seconds = 0.01

    def __init__(self, name: str, message: type[SeatPainted], handler: Any) -> None:
        self.name, self.topics, self._message, self._handler = name, [message.topic], message, handler

    async def consume(self, database: Database, deliveries: list[outbox.Delivery]) -> None:
        async with database.transaction() as session:
            for delivery in deliveries:
                if delivery.schema_version > 1 or delivery.payload["organization_id"] != str(delivery.organization_id):
                    raise ValueError("it is not for this group")
                await self._handler(session, self._message.model_validate(delivery.payload))


def insert_row(bad: Bad, topic: str) -> tuple[str, tuple[Any, ...]]:
    """The statement that appends it to the log, and its values. Raises ValueError where that is not possible."""
    headers = dict(bad.all_headers)
    text = {name: (value or b"").decode() for name, value in headers.items()}
    statement = """
        insert into outbox (topic, key, payload, message_id, occurred_at, schema_version, correlation_id, traceparent,
                            actor, organization_id)
        values (%s, %s, %s::json, %s, %s, %s, %s, %s, %s, %s)"""
    names = ("message_id", "occurred_at", "schema_version", "correlation_id", "traceparent", "actor", "organization_id")
    return statement, (topic, bad.key.decode(), (bad.value or b"").decode(), *(text.get(name, "") for name in names))
