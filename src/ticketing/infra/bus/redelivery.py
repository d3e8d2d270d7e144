"""What an operator can do with dead letters: select them, redeliver them to their consumer, or drop them.

It is the same for messages from the outbox log and from Kafka, and needs no Kafka. The dead letter is deleted in the
transaction of the effect, so a crash leaves exactly one of the two. Its inbox row stays throughout, so that consumers
keep skipping the message.
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.bus import delivery as bus
from ticketing.infra.bus import raw_messages
from ticketing.infra.bus.dead_letters import ATTEMPTS_MAX, DeadLetter
from ticketing.infra.bus.delivery import AnyGroup, ExternalGroup, Group
from ticketing.infra.bus.error_text import first_line, format_error
from ticketing.infra.bus.failures import Failure, classify
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery

_DELIVERY = TypeAdapter(Delivery)
_log = log.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects the dead letters that match all given conditions; without any, all dead letters."""

    ids: Sequence[int] = ()
    topic: str | None = None
    consumer: str | None = None
    since: ColumnElement[Any] | None = None

    def select(self) -> Select[DeadLetter]:
        """The query, in the order in which they were stored."""
        query = select(DeadLetter).order_by(DeadLetter.id)
        query = query.where(DeadLetter.id.in_(self.ids)) if self.ids else query
        query = query.where(DeadLetter.topic == self.topic) if self.topic else query
        query = query.where(DeadLetter.consumer == self.consumer) if self.consumer else query
        return query.where(DeadLetter.created_at >= self.since) if self.since is not None else query


class Outcome(StrEnum):
    """The result of redelivering a dead letter."""

    DONE = "done"
    FAILED = "failed"
    #: An outage: the dead letter is unchanged.
    WAITS = "waits"
    #: Another process is redelivering it.
    TAKEN = "taken"
    GONE = "gone"


class NotReplayable(Exception):
    """This release has no handler for the message: its consumer, its topic or its form is unknown."""


class Gone(Exception):
    """The dead letter has been redelivered or dropped meanwhile."""


async def redeliver(database: Database, groups: Mapping[str, AnyGroup], dead_letter_id: int) -> tuple[Outcome, str]:
    """Deliver a dead letter's message to its consumer once; the outcome and its reason. A failure is recorded in it."""
    async with _lock(database, dead_letter_id) as is_locked:
        if not is_locked:
            return Outcome.TAKEN, "another process is redelivering it"
        async with database.transaction() as session:
            dead_letter = await session.get(DeadLetter, dead_letter_id)
        if dead_letter is None:
            return Outcome.GONE, "there is no such dead letter"
        return await _try(database, groups, dead_letter)


async def _try(database: Database, groups: Mapping[str, AnyGroup], dead_letter: DeadLetter) -> tuple[Outcome, str]:
    fields = {"letter": dead_letter.id, "group": dead_letter.consumer, "topic": dead_letter.topic}
    try:
        group, delivery = decode(dead_letter, groups)
        with bus.caused_by(delivery):
            await _deliver(database, group, delivery, dead_letter.id)
    except Gone:
        return Outcome.GONE, "it is gone already"
    except NotReplayable as error:
        return Outcome.FAILED, str(error)
    except Exception as error:
        if classify(error) is Failure.OUTAGE:
            _log.warning("dead_letter_waits", **fields, error=type(error).__name__)
            return Outcome.WAITS, f"a server that it needs is unavailable ({type(error).__name__})"
        await _record_failure(database, dead_letter.id, error)
        _log.warning("dead_letter_failed", **fields, error=type(error).__name__)
        return Outcome.FAILED, first_line(format_error(error))
    _log.info("dead_letter_done", **fields, message_id=str(dead_letter.message_id))
    return Outcome.DONE, ""


def decode(dead_letter: DeadLetter, groups: Mapping[str, AnyGroup]) -> tuple[AnyGroup, Delivery]:
    """The consumer and the message of a dead letter. Raises NotReplayable."""
    if (group := groups.get(dead_letter.consumer)) is None:
        raise NotReplayable(f"there is no consumer {dead_letter.consumer} in this release")
    if dead_letter.topic not in group.topics:
        raise NotReplayable(f"{dead_letter.consumer} does not react to {dead_letter.topic} in this release")
    try:
        return group, _decode_message(dead_letter)
    except ValidationError:
        reason = "its content is unknown"
    except ValueError as error:
        reason = str(error)
    raise NotReplayable(f"it is not a message of this platform ({reason}): it can only be dropped")


def _decode_message(dead_letter: DeadLetter) -> Delivery:
    """Raises ValueError."""
    message = dead_letter.message
    if "value_sha256" in message:
        raise NotReplayable(f"it was too large to be kept; while that is retained, it is at {dead_letter.origin}")
    if "value" not in message:
        return _DELIVERY.validate_python(message)
    headers = [(str(name), _as_bytes(value)) for name, value in message.get("headers") or ()]
    # Dead letters of earlier releases have no key.
    key = _as_bytes(message["key"]) if "key" in message else dead_letter.key.encode()
    return raw_messages.read(dead_letter.topic, key, _as_bytes(message["value"]), headers)


def _as_bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def _deliver(database: Database, group: AnyGroup, delivery: Delivery, dead_letter_id: int) -> None:
    if not isinstance(group, Group):
        await group.consume(database, [delivery])
    else:
        found = group.read(delivery)
        assert found is not None  # decode has checked it
        handler, message = found
        if not isinstance(group, ExternalGroup):
            async with database.transaction() as session:
                # Deleted first, because that locks the row: a concurrent redelivery finds nothing and has no effect.
                await _delete(session, group, delivery, dead_letter_id)
                await handler(session, message)
            return
        async with database.transaction() as session:
            effect = await handler(session, message)
        if effect is not None:
            await group.run(effect, delivery.message_id)
    async with database.transaction() as session:
        await _delete(session, group, delivery, dead_letter_id)


async def _delete(session: AsyncSession, group: AnyGroup, delivery: Delivery, dead_letter_id: int) -> None:
    gone = await session.scalar(delete(DeadLetter).where(DeadLetter.id == dead_letter_id).returning(DeadLetter.id))
    if gone is None:
        raise Gone
    # It exists already, unless the dead letter is older than the retention of the inbox.
    await bus.mark_done(session, group.name, delivery.message_id)


async def _record_failure(database: Database, dead_letter_id: int, error: Exception) -> None:
    attempts = func.least(DeadLetter.attempts + 1, ATTEMPTS_MAX)
    values = {"error": format_error(error), "attempts": attempts, "failed_at": func.now()}
    async with database.transaction() as session:
        await session.execute(update(DeadLetter).where(DeadLetter.id == dead_letter_id).values(values))


async def drop(database: Database, dead_letter_id: int) -> bool:
    """Delete a dead letter without its effect; False when it is gone, or another process is redelivering it."""
    async with _lock(database, dead_letter_id) as is_locked:
        if not is_locked:
            return False
        async with database.transaction() as session:
            row = (
                await session.execute(
                    delete(DeadLetter)
                    .where(DeadLetter.id == dead_letter_id)
                    .returning(DeadLetter.consumer, DeadLetter.topic, DeadLetter.message_id)
                )
            ).one_or_none()
    if row is not None:
        _log.info("dead_letter_dropped", letter=dead_letter_id, group=row[0], topic=row[1], message_id=str(row[2]))
    return row is not None


@asynccontextmanager
async def _lock(database: Database, dead_letter_id: int) -> AsyncIterator[bool]:
    """True for one process at a time, also while no transaction is open, so that an email is not sent twice."""
    key = func.hashtextextended(f"dead letter:{dead_letter_id}", 0)
    async with database.engine.connect() as pooled:
        connection = await pooled.execution_options(isolation_level="AUTOCOMMIT")
        is_locked = bool(await connection.scalar(select(func.pg_try_advisory_lock(key))))
        try:
            yield is_locked
        finally:
            if is_locked:
                await connection.execute(select(func.pg_advisory_unlock(key)))
