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
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery, Message
from ticketing.modules import events, reservations, tickets
from ticketing.modules.realtime import queries

#: `seats:<event_id>`; a hub subscribes to all of them with one pattern.
CHANNEL = "seats:"
#: A frame with more changes than this would cost more than a new snapshot, which it requests instead.
CHANGES_MAX = 2000
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

    organization_id: UUID
    seat_numbers: set[int] = field(default_factory=set)
    ticket_type_ids: set[UUID] = field(default_factory=set)
    needs_snapshot: bool = False

    def add(self, message: Any) -> None:
        self.seat_numbers.update(message.seat_numbers)
        self.ticket_type_ids.update(message.ticket_type_ids)
        self.needs_snapshot |= isinstance(message, events.SeatsSynced) or len(self.seat_numbers) > CHANGES_MAX


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


def collect(deliveries: Iterable[Delivery]) -> dict[UUID, EventChanges]:
    """The changes by event, in order of ids, so that two publishers can't deadlock."""
    changes: dict[UUID, EventChanges] = {}
    for delivery in deliveries:
        if delivery.topic not in _TYPES:
            continue
        try:
            message: Any = _TYPES[delivery.topic].model_validate(delivery.payload)
        except ValidationError:
            # The live map is a hint: one invalid message must not block the others.
            _log.error("message_unreadable", topic=delivery.topic, message_id=str(delivery.message_id))
            continue
        if message.organization_id is not None:
            changes.setdefault(message.event_id, EventChanges(message.organization_id)).add(message)
    return dict(sorted(changes.items()))


async def make_frames(session: AsyncSession, changes: dict[UUID, EventChanges]) -> dict[UUID, bytes]:
    """Increment the version of each event, then read the current state of its changed seats and areas."""
    # The epoch is only used for a new row; an existing row keeps its own.
    versions = await queries.increment_versions(
        session, {event_id: one.organization_id for event_id, one in changes.items()}, secrets.token_hex(4)
    )
    listed = {event_id: one for event_id, one in changes.items() if not one.needs_snapshot}
    seats = await queries.seat_statuses(session, [(t.organization_id, e, t.seat_numbers) for e, t in listed.items()])
    areas = await queries.area_states(session, {i for t in listed.values() for i in t.ticket_type_ids})
    frames = {}
    for event_id, (epoch, version) in versions.items():
        frame: dict[str, Any] = {"epoch": epoch, "version": version}
        if event_id in listed:
            frame["changes"] = seats.get(event_id, [])
            frame["areas"] = areas.get(event_id, {})
        else:
            frame["resync"] = True
        frames[event_id] = orjson.dumps(frame)
    return frames
