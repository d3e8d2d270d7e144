"""Messages become frames: what has changed on an event's map, with a version, for every process that shows it.

The version is raised here and nowhere else: a request that raised it would queue behind every other one of its event.
Its row lock puts publishers in order. States are read in a later statement of the same transaction, after the messages'
own commits, and are absolute: a frame can be repeated, and one that is lost costs its viewers a snapshot and no more.
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
from ticketing.infra.redis.commit_notifications import copies_key
from ticketing.modules import events, reservations, tickets
from ticketing.modules.realtime import queries

#: `seats:<event_id>`; a hub listens to all of them at once.
CHANNEL = "seats:"
#: A frame with more changes than this costs more than a fresh map, and says so instead.
CHANGES_MAX = 2000
PUBLISH_SECONDS = 2

#: What may change a letter or a counter on the map. `SeatsSynced` changes them all.
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


@dataclass(slots=True)
class Touched:
    """What a batch of messages has changed at one event."""

    organization_id: UUID
    seat_numbers: set[int] = field(default_factory=set)
    ticket_type_ids: set[UUID] = field(default_factory=set)
    is_all_new: bool = False

    def add(self, message: Any) -> None:
        self.seat_numbers.update(message.seat_numbers)
        self.ticket_type_ids.update(message.ticket_type_ids)
        self.is_all_new |= isinstance(message, events.SeatsSynced) or len(self.seat_numbers) > CHANGES_MAX


class SeatFrames:
    """The consumer group that tells viewers. A batch makes one frame per event, however many messages it holds.

    There is no inbox: a redelivered message makes one more frame, with the states of that moment.
    """

    name = "realtime"
    #: Viewers are told of an event four times a second at most.
    rest_seconds = 0.1

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @property
    def topics(self) -> list[str]:
        return sorted(_TYPES)

    async def consume(self, database: Database, deliveries: list[Delivery]) -> None:
        """Publish what these messages have changed. Without Redis nothing is published, and viewers poll."""
        touched = collect(deliveries)
        if not touched:
            return
        async with database.transaction() as session:
            frames = await make_frames(session, touched)
        crash_points.at("after_version_before_frames")
        # After the commit: a viewer that hears of a version can find it in the database.
        await self._publish(frames)
        crash_points.at("after_frames_before_cursor")

    async def _publish(self, frames: dict[UUID, bytes]) -> None:
        try:
            async with asyncio.timeout(PUBLISH_SECONDS), self._redis.pipeline(transaction=False) as pipe:
                # The version is a part of the answer: who hears of it no longer finds one that is older.
                pipe.unlink(*map(copies_key, frames))
                for event_id, frame in frames.items():
                    pipe.publish(f"{CHANNEL}{event_id}", frame)
                await pipe.execute()
        except (RedisError, OSError) as error:
            _log.warning("frames_lost", frames=len(frames), error=type(error).__name__)


def collect(deliveries: Iterable[Delivery]) -> dict[UUID, Touched]:
    """What changed, by event; in the order of ids, so that two publishers never wait for each other in a circle."""
    touched: dict[UUID, Touched] = {}
    for delivery in deliveries:
        if delivery.topic not in _TYPES:
            continue
        try:
            message: Any = _TYPES[delivery.topic].model_validate(delivery.payload)
        except ValidationError:
            # The map is a hint: one message that can't be read must not keep the others from it.
            _log.error("message_unreadable", topic=delivery.topic, message_id=str(delivery.message_id))
            continue
        if message.organization_id is not None:
            touched.setdefault(message.event_id, Touched(message.organization_id)).add(message)
    return dict(sorted(touched.items()))


async def make_frames(session: AsyncSession, touched: dict[UUID, Touched]) -> dict[UUID, bytes]:
    """Raise the version of each event, then read what its touched seats and areas are now."""
    # The epoch is the row's own, drawn when the row is made; a row that was there keeps the one it has.
    versions = await queries.raise_versions(
        session, {event_id: one.organization_id for event_id, one in touched.items()}, secrets.token_hex(4)
    )
    listed = {event_id: one for event_id, one in touched.items() if not one.is_all_new}
    seats = await queries.seat_states(session, [(t.organization_id, e, t.seat_numbers) for e, t in listed.items()])
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
