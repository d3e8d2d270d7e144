"""Turn messages into frames: the changes of an event's map, with a version, for every process with viewers.

The version is incremented here only: requests would queue for its row lock. The lock also puts publishers in order.
Statuses are read in a later statement of the same transaction, after the messages' commits, and are absolute: a frame
can be repeated, and a lost frame only costs its viewers a snapshot.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log
from ticketing.infra.bus import parse
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery, Message
from ticketing.modules import events, reservations, tickets
from ticketing.modules.realtime import queries

#: `seats:<event_id>`; a hub subscribes to all of them with one pattern.
CHANNEL = "seats:"
#: A frame with more changes than this would cost more than a new snapshot, which it requests instead.
CHANGES_MAX = 2000
#: The most changes that are read for one batch of messages; events beyond that get a new snapshot.
BATCH_CHANGES_MAX = 20_000
#: Seat numbers that the column can store.
SEAT_NUMBERS = range(2**31)
PUBLISH_SECONDS = 2

#: Messages that may change a status or a counter on the map. `SeatsSynced` changes all of them.
SHOWN: tuple[type[Message], ...] = (
    events.TicketTypeCreated,
    events.SeatsSynced,
    events.SeatsBlocked,
    events.SeatsUnblocked,
    reservations.ReservationCreated,
    reservations.ReservationConfirmed,
    reservations.ReservationExpired,
    reservations.ReservationCancelled,
    tickets.TicketsVoided,
)
#: Organization and event: a forged message may name the event of another organization.
EventKey = tuple[UUID, UUID]
_TYPES = {message.topic: message for message in SHOWN}

_log = log.get_logger(__name__)
crash_points.register(
    "after_version_before_frames", "the version of a seat map is incremented, and no viewer has been sent the frame"
)
crash_points.register(
    "after_frames_before_cursor", "frames of a seat map are sent, and their reader's cursor is before their messages"
)


@dataclass(slots=True)
class EventChanges:
    """The changes of one event in a batch of messages."""

    seat_numbers: set[int] = field(default_factory=set)
    ticket_type_ids: set[UUID] = field(default_factory=set)
    needs_snapshot: bool = False

    @property
    def count(self) -> int:
        return len(self.seat_numbers) + len(self.ticket_type_ids)

    def add(self, message: Any) -> None:
        self.seat_numbers.update(message.seat_numbers)
        self.ticket_type_ids.update(message.ticket_type_ids)
        self.needs_snapshot |= isinstance(message, events.SeatsSynced) or self.count > CHANGES_MAX


class SeatFrames:
    """The consumer group that publishes frames. A batch of messages makes one frame per event.

    It has no inbox: a redelivered message makes one more frame, with the statuses at that time.
    """

    name = "realtime"
    #: Viewers get at most four frames per second of an event.
    pause_seconds = 0.1

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @property
    def topics(self) -> list[str]:
        return sorted(_TYPES)

    async def consume(self, database: Database, deliveries: list[Delivery]) -> None:
        """Publish the changes of these messages. Without Redis nothing is published, and hubs poll Postgres."""
        changes = collect(deliveries)
        if not changes:
            return
        async with database.transaction() as session:
            frames = await make_frames(session, changes)
        crash_points.at("after_version_before_frames")
        # After the commit, so that a hub that receives a version finds it in the database.
        await self._publish(frames)
        crash_points.at("after_frames_before_cursor")

    async def _publish(self, frames: dict[UUID, bytes]) -> None:
        try:
            async with asyncio.timeout(PUBLISH_SECONDS), self._redis.pipeline(transaction=False) as pipe:
                for event_id, frame in frames.items():
                    pipe.publish(f"{CHANNEL}{event_id}", frame)
                await pipe.execute()
        except (RedisError, OSError) as error:
            _log.warning("frames_lost", frames=len(frames), error=type(error).__name__)


def collect(deliveries: Iterable[Delivery]) -> dict[EventKey, EventChanges]:
    """The changes by event, in order of event ids, so that two publishers can't deadlock."""
    changes: dict[EventKey, EventChanges] = {}
    for delivery in deliveries:
        if delivery.topic not in _TYPES:
            continue
        try:
            message = read(delivery)
        except ValueError as error:
            # The live map is a hint: one invalid message must not block the others.
            _log.error(
                "message_unreadable",
                topic=delivery.topic,
                message_id=str(delivery.message_id),
                error=type(error).__name__,
            )
            continue
        if message.organization_id is not None:
            changes.setdefault((message.organization_id, message.event_id), EventChanges()).add(message)
    return dict(sorted(changes.items(), key=lambda item: item[0][::-1]))


def read(delivery: Delivery) -> Any:
    """The message. Raises ValueError, also for a seat number that no map has."""
    message: Any = parse(_TYPES[delivery.topic], delivery)
    numbers = message.seat_numbers
    if numbers and not (min(numbers) in SEAT_NUMBERS and max(numbers) in SEAT_NUMBERS):
        raise ValueError("a seat number is out of range")
    return message


async def make_frames(session: AsyncSession, changes: dict[EventKey, EventChanges]) -> dict[UUID, bytes]:
    """Increment the version of each event, then read the current state of its changed seats and areas.

    There is no frame of an event that does not exist.
    """
    # The epoch is only used for a new row; an existing row keeps its own.
    versions = await queries.increment_versions(session, changes, secrets.token_hex(4))
    listed = choose_listed({key: changes[key] for key in versions})
    seats = await queries.seat_statuses(session, [(*key, one.seat_numbers) for key, one in listed.items()])
    areas = await queries.area_states(session, {i for one in listed.values() for i in one.ticket_type_ids})
    frames = {}
    for key, (epoch, version) in versions.items():
        _, event_id = key
        frame: dict[str, Any] = {"epoch": epoch, "version": version}
        if key in listed:
            frame["changes"] = seats.get(event_id, [])
            frame["areas"] = areas.get(event_id, {})
        else:
            frame["resync"] = True
        frames[event_id] = orjson.dumps(frame)
    return frames


def choose_listed(changes: dict[EventKey, EventChanges]) -> dict[EventKey, EventChanges]:
    """The events whose changes are read and listed in their frame; the others get a new snapshot."""
    listed, total = {}, 0
    for key, one in changes.items():
        if not one.needs_snapshot and total + one.count <= BATCH_CHANGES_MAX:
            listed[key], total = one, total + one.count
    return listed
