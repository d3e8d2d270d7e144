"""Deliver messages to handlers: exactly one effect each, in order, retried during outages, dead letters for poison.

It is the same for messages read from the outbox log and from Kafka. See batches.py for several messages at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra import crash_points, log, metrics
from ticketing.infra.bus.attempts import Attempts, UnknownVersion, WrongOrganization, bounded_attempt
from ticketing.infra.bus.pace import Pace
from ticketing.infra.db import Base, Database, statements
from ticketing.infra.db.pipeline import send
from ticketing.infra.log import Cause
from ticketing.infra.outbox import Delivery, Message
from ticketing.infra.system.retry import Stopped, retry

Handler = Callable[[AsyncSession, Any], Awaitable[object]]

_log = log.get_logger(__name__)


class Caused(NamedTuple):
    """A message with the context that its effect's own messages and log lines get."""

    message: Any
    cause: Cause


@dataclass(frozen=True, slots=True)
class Together:
    """A handler that takes consecutive messages of a batch at once, in as few statements as if they were one."""

    handle_all: Callable[[AsyncSession, Sequence[Caused]], Awaitable[None]]

    async def __call__(self, session: AsyncSession, message: Message) -> None:
        await self.handle_all(session, [Caused(message, Cause.here())])


#: No limit on concurrent transactions.
UNLIMITED = nullcontext()

#: Called directly before an external effect. Raises Retry when another process may have taken the message over.
OwnershipCheck = Callable[[], None]


def always_owned() -> None:
    """For a process that delivers without competitors."""


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: a name, and a handler for each message that it reacts to. It skips all other messages."""

    name: str
    handlers: Mapping[type[Message], Handler]
    #: Most messages per transaction. 1 for handlers that call other services.
    batch_max: int = field(default=32, kw_only=True)
    #: Pause between two reads of the log: under load it is read in pages instead of row by row.
    pause_seconds: ClassVar[float] = 0.02

    @property
    def topics(self) -> list[str]:
        return sorted(message.topic for message in self.handlers)

    def find(self, topic: str) -> tuple[type[Message], Handler] | None:
        return next(((m, h) for m, h in self.handlers.items() if m.topic == topic), None)

    def read(self, delivery: Delivery) -> tuple[Handler, Message] | None:
        """The handler and the parsed message; None for a topic that this group skips.

        Raises:
            UnknownVersion: its schema version is newer than this release's. An older one only lacks fields.
            ValidationError: the payload does not match the message's class.
            WrongOrganization: the payload belongs to another organization than the delivery.
        """
        if (found := self.find(delivery.topic)) is None:
            return None
        kind, handler = found
        if delivery.schema_version > kind.schema_version:
            known = kind.schema_version
            raise UnknownVersion(
                f"{delivery.topic} has schema version {delivery.schema_version}, and {known} is the newest known here"
            )
        return handler, parse(kind, delivery)


@dataclass(frozen=True, slots=True)
class ExternalGroup(Group):
    """A group with an effect outside the database whose duration is not under our control, such as an email.

    A handler prepares the effect in a transaction, which commits. Then `run` performs what it returned, with the
    message's id, while no transaction is open: a waiting one would delay every reader of the log. After a crash in
    between, both are repeated: the effect happens at least once.
    """

    run: Callable[[Any, UUID], Awaitable[None]]
    #: Which effects can wait, if any.
    pace: Pace | None = field(default=None, kw_only=True)


class BatchGroup(Protocol):
    """A group that takes many messages at once. Its effect is idempotent, so it needs no inbox."""

    @property
    def name(self) -> str: ...

    @property
    def topics(self) -> list[str]: ...

    @property
    def pause_seconds(self) -> float: ...

    async def consume(self, database: Database, deliveries: list[Delivery]) -> None:
        """Process all of them, and skip those of other topics."""


AnyGroup = Group | BatchGroup


M = TypeVar("M", bound=Message)


def parse(kind: type[M], delivery: Delivery) -> M:
    """The message of a delivery. Raises ValidationError or WrongOrganization."""
    message = kind.model_validate(delivery.payload)
    # The header labels dead letters and log lines, and handlers act on the payload: they must not differ.
    if message.organization_id not in (None, delivery.organization_id):
        raise WrongOrganization(f"{delivery.topic} names another organization in its payload than in its headers")
    return message


class InboxRow(Base):
    """This consumer has processed this message. Commits together with the effect."""

    __tablename__ = "inbox"

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    done_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


async def deliver(database: Database, group: Group, delivery: Delivery) -> bool:
    """Run the group's handler in one transaction with its inbox row; False for a message that was processed before.

    Raises:
        Exception: whatever the handler raised; the transaction was rolled back.
    """
    if isinstance(group, ExternalGroup):
        return await _ExternalDelivery(database, group, delivery, always_owned).attempt()
    if (found := group.read(delivery)) is None:
        return False
    handler, message = found
    async with database.transaction() as session:
        if not await mark_done(session, group.name, delivery.message_id):
            return False
        await handler(session, message)
        crash_points.at("before_effect_commits")
    return True


class _ExternalDelivery:
    """The delivery of one message of an external group. This process performs the effect once, however many attempts
    it needs to record it."""

    def __init__(
        self, database: Database, group: ExternalGroup, delivery: Delivery, check_ownership: OwnershipCheck
    ) -> None:
        self._database, self._group, self._delivery = database, group, delivery
        self._check_ownership, self._is_performed = check_ownership, False

    async def attempt(self) -> bool:
        """As `deliver`."""
        if (found := self._group.read(self._delivery)) is None:
            return False
        handler, message = found
        if not self._is_performed:
            async with self._database.transaction() as session:
                if await _is_done(session, self._group, self._delivery):
                    return False
                effect = await handler(session, message)
            if effect is not None:
                self._check_ownership()
                await self._group.run(effect, self._delivery.message_id)
                crash_points.at("after_letter_before_inbox")
            self._is_performed = True
        async with self._database.transaction() as session:
            return await mark_done(session, self._group.name, self._delivery.message_id)


async def _is_done(session: AsyncSession, group: Group, delivery: Delivery) -> bool:
    async with statements.round_trip(session) as connection:
        found = await send(connection, _SELECT, group.name, delivery.message_id)
    return await found.fetchone() is not None


async def mark_done(session: AsyncSession, consumer: str, message_id: UUID) -> bool:
    """Write the inbox row in the transaction of the effect; False when it exists already."""
    async with statements.round_trip(session) as connection:
        written = await send(connection, _INSERT, consumer, message_id)
    return written.rowcount == 1


async def deliver_with_retries(
    database: Database,
    group: Group,
    delivery: Delivery,
    attempts_max: int,
    stop: asyncio.Event,
    slots: AbstractAsyncContextManager[None] = UNLIMITED,
    check_ownership: OwnershipCheck = always_owned,
) -> None:
    """Deliver a message, with retries throughout outages, and up to `attempts_max` attempts of a failing handler.

    Which errors are outages is defined in failures.py.

    `slots` limits concurrent transactions; it is held during an attempt, and not during the back-off. No external
    effect begins once `stop` is set.

    Raises:
        Poison: the handler failed for a reason other than an outage.
        Stopped: `stop` was set during the back-off; the message was not processed.
    """
    attempts = Attempts(attempts_max, group=group.name, topic=delivery.topic)

    def check() -> None:
        if stop.is_set():
            raise Stopped
        check_ownership()

    external = _ExternalDelivery(database, group, delivery, check) if isinstance(group, ExternalGroup) else None

    async def attempt() -> bool:
        async with slots, bounded_attempt(database):
            return await (external.attempt() if external else deliver(database, group, delivery))

    def on_error(error: Exception) -> None:
        attempts.on_error(error)
        metrics.RETRIES.labels(group.name, delivery.topic).inc()

    with caused_by(delivery):
        record_outcome(group, delivery, await retry(attempt, on_error, stop))


def record_outcome(group: Group, delivery: Delivery, is_done: bool) -> None:
    """Count and log a message that was processed or skipped."""
    metrics.CONSUMED.labels(group.name, delivery.topic, "done" if is_done else "seen").inc()
    log.log_message("message_done" if is_done else "message_seen", group.name, delivery.topic)


def cause_of(delivery: Delivery) -> Cause:
    return Cause(delivery.correlation_id, delivery.traceparent, delivery.actor)


@contextmanager
def caused_by(delivery: Delivery) -> Iterator[None]:
    """Give the block's log lines and messages the correlation id, trace and actor of this message."""
    tokens = [variable.set(value) for variable, value in zip(_CAUSE, cause_of(delivery), strict=True)]
    try:
        yield
    finally:
        for variable, token in zip(_CAUSE, tokens, strict=True):
            variable.reset(token)


_CAUSE = (log.correlation_id, log.traceparent, log.actor)
_SELECT = "select from inbox where consumer = %s and message_id = %s"
_INSERT = "insert into inbox (consumer, message_id) values (%s, %s) on conflict do nothing"
