"""Messages meet their handlers here: once each, in order, with patience for outages and dead letters for poison.

The road that a message took (the outbox log itself, or Kafka) makes no difference: both bring it here (see runs.py for
those that come many at a time).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Text, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra import crash_points, log, metrics
from ticketing.infra.db import Base, Database, statements
from ticketing.infra.db.pipeline import send
from ticketing.infra.outbox import Delivery, Message
from ticketing.infra.system.retry import OUTAGES, retry

Handler = Callable[[AsyncSession, Any], Awaitable[object]]

_log = log.get_logger(__name__)


#: For those whose tries need not wait for others'.
ANY_TIME = nullcontext()


class UnknownVersion(ValueError):
    """A newer version of us wrote this message, and what it says there can't be guessed."""


#: No try will ever end better, so there is one: these are poison at once.
HOPELESS = (ValidationError, UnknownVersion)


class Poison(Exception):
    """This message failed every time while everything around it worked."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        self.error, self.attempts = error, attempts
        super().__init__(f"{type(error).__name__} after {attempts} attempts")


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: a name, and the handler of each message it reacts to. It skips all others."""

    name: str
    handlers: Mapping[type[Message], Handler]
    #: So many messages share a transaction at most. A handler that asks the world outside wants one of its own.
    together_max: int = field(default=32, kw_only=True)
    #: After a look at the log, so long until the next: a rush is read in pages, and not row by row.
    rest_seconds: ClassVar[float] = 0.02

    @property
    def topics(self) -> list[str]:
        return sorted(message.topic for message in self.handlers)

    def find(self, topic: str) -> tuple[type[Message], Handler] | None:
        return next(((m, h) for m, h in self.handlers.items() if m.topic == topic), None)

    def read(self, delivery: Delivery) -> tuple[Handler, Message] | None:
        """The handler and the message that it takes; None for a topic that this group skips.

        Raises:
            UnknownVersion: its schema version is newer than what is known here. An older one only lacks fields.
            ValidationError: the payload is not what its class says.
        """
        if (found := self.find(delivery.topic)) is None:
            return None
        kind, handler = found
        if delivery.schema_version > kind.schema_version:
            known = kind.schema_version
            raise UnknownVersion(
                f"{delivery.topic} has schema version {delivery.schema_version}, and {known} is the newest known here"
            )
        return handler, kind.model_validate(delivery.payload)


@dataclass(frozen=True, slots=True)
class OutwardGroup(Group):
    """A group whose effect lies outside of the database and takes as long as others please: a letter, say.

    Handlers prepare in a transaction that commits; what they return is run, with the message's id, while none is open:
    one that waits would hold back every reader of the log. After a crash in between both come again.
    """

    run: Callable[[Any, UUID], Awaitable[None]]


class BatchGroup(Protocol):
    """A group that takes many messages at once, and needs no inbox because its effect is the same however often."""

    @property
    def name(self) -> str: ...

    @property
    def topics(self) -> list[str]: ...

    @property
    def rest_seconds(self) -> float: ...

    async def consume(self, database: Database, deliveries: list[Delivery]) -> None:
        """Deal with all of them; those of other topics are skipped."""


AnyGroup = Group | BatchGroup


class InboxRow(Base):
    """This consumer has done this message. Commits together with the effect."""

    __tablename__ = "inbox"

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    done_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


async def deliver(database: Database, group: Group, delivery: Delivery) -> bool:
    """Run the group's handler in one transaction with its inbox row; False when this was a redelivery.

    Raises:
        Exception: whatever the handler raised; nothing was changed then.
    """
    if (found := group.read(delivery)) is None:
        return False
    handler, message = found
    if isinstance(group, OutwardGroup):
        return await _deliver_outward(database, group, delivery, message, handler)
    async with database.transaction() as session:
        if not await mark_done(session, group.name, delivery.message_id):
            return False
        await handler(session, message)
        crash_points.at("before_effect_commits")
    return True


async def _deliver_outward(
    database: Database, group: OutwardGroup, delivery: Delivery, message: Message, handler: Handler
) -> bool:
    async with database.transaction() as session:
        if await _is_done(session, group, delivery):
            return False
        errand = await handler(session, message)
    if errand is not None:
        await group.run(errand, delivery.message_id)
        crash_points.at("after_letter_before_inbox")
    async with database.transaction() as session:
        return await mark_done(session, group.name, delivery.message_id)


async def _is_done(session: AsyncSession, group: Group, delivery: Delivery) -> bool:
    async with statements.round_trip(session) as connection:
        found = await send(connection, _FIND, group.name, delivery.message_id)
    return await found.fetchone() is not None


async def mark_done(session: AsyncSession, consumer: str, message_id: UUID) -> bool:
    """Write the inbox row, in the transaction of the effect; False when it was there."""
    async with statements.round_trip(session) as connection:
        written = await send(connection, _NOTE, consumer, message_id)
    return written.rowcount == 1


async def deliver_patiently(
    database: Database,
    group: Group,
    delivery: Delivery,
    attempts_max: int,
    stop: asyncio.Event,
    places: AbstractAsyncContextManager[None] = ANY_TIME,
) -> None:
    """Deliver, whatever it takes: wait through outages, and give a failing message `attempts_max` tries in its place.

    A place is taken for each try, and not for the waiting in between.

    Raises:
        Poison: the message itself is at fault.
        Stopped: `stop` was set while waiting; the message was not taken.
    """
    attempts = Attempts(attempts_max, group=group.name, topic=delivery.topic)

    async def attempt() -> bool:
        async with places:
            return await deliver(database, group, delivery)

    def on_error(error: Exception) -> None:
        attempts.on_error(error)
        metrics.RETRIES.labels(group.name, delivery.topic).inc()

    with caused_by(delivery):
        tell_outcome(group, delivery, await retry(attempt, on_error, stop))


class Attempts:
    """The error handler of a delivery: it logs each failure, and counts those that are not due to an outage."""

    def __init__(self, attempts_max: int, **fields: str) -> None:
        """`fields` go into every log line."""
        self._max, self._fields, self._failed = attempts_max, fields, 0

    def on_error(self, error: Exception) -> None:
        """Raises Poison after `attempts_max` failures, or at once after one that every retry would repeat."""
        if isinstance(error, OUTAGES):
            _log.warning("consumer_waits", **self._fields, error=type(error).__name__)
            return
        self._failed += 1
        _log.warning("consumer_failed", **self._fields, attempt=self._failed, exc_info=error)
        if self._failed >= self._max or isinstance(error, HOPELESS):
            raise Poison(error, self._failed) from error


def tell_outcome(group: Group, delivery: Delivery, is_done: bool) -> None:
    """Count a message that was dealt with, and write its line."""
    metrics.CONSUMED.labels(group.name, delivery.topic, "done" if is_done else "seen").inc()
    log.log_message("message_done" if is_done else "message_seen", group.name, delivery.topic)


@contextmanager
def caused_by(delivery: Delivery) -> Iterator[None]:
    """Lines and facts of this block carry the message's correlation id, trace and actor."""
    values = (delivery.correlation_id, delivery.traceparent, delivery.actor)
    tokens = [variable.set(value) for variable, value in zip(_CAUSE, values, strict=True)]
    try:
        yield
    finally:
        for variable, token in zip(_CAUSE, tokens, strict=True):
            variable.reset(token)


_CAUSE = (log.correlation_id, log.traceparent, log.actor)
_FIND = "select from inbox where consumer = %s and message_id = %s"
_NOTE = "insert into inbox (consumer, message_id) values (%s, %s) on conflict do nothing"
