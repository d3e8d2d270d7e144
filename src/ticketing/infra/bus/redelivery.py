"""What an operator does about dead letters: find them, bring them to their consumer again, or drop them.

It is the same whichever road a message took, and needs no Kafka. The letter goes in the transaction that makes the
effect, so a crash leaves one of the two; its inbox row stays throughout, so no redelivery slips in between.
"""

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
from ticketing.infra.bus.dead_letters import DeadLetter, tell_error
from ticketing.infra.bus.delivery import AnyGroup, Group, OutwardGroup
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery
from ticketing.infra.system.retry import OUTAGES

_ATTEMPTS_MAX = 32_767  # what the column holds
_DELIVERY = TypeAdapter(Delivery)
_log = log.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters: those that fit everything that is said; all of them when nothing is."""

    ids: Sequence[int] = ()
    topic: str | None = None
    consumer: str | None = None
    since: ColumnElement[Any] | None = None

    def select(self) -> Select[DeadLetter]:
        """In the order in which they were given up."""
        wanted = select(DeadLetter).order_by(DeadLetter.id)
        wanted = wanted.where(DeadLetter.id.in_(self.ids)) if self.ids else wanted
        wanted = wanted.where(DeadLetter.topic == self.topic) if self.topic else wanted
        wanted = wanted.where(DeadLetter.consumer == self.consumer) if self.consumer else wanted
        return wanted.where(DeadLetter.created_at >= self.since) if self.since is not None else wanted


class Outcome(StrEnum):
    """What became of a letter that was brought again."""

    DONE = "done"
    FAILED = "failed"
    #: What the handler needs is away; the message is not at fault, and its letter is as it was.
    WAITS = "waits"
    #: Somebody else brings it at this moment.
    TAKEN = "taken"
    GONE = "gone"


class NotReplayable(Exception):
    """Nobody here could take this message: its consumer, its topic or its form is unknown."""


class Gone(Exception):
    """Somebody else has dealt with this letter meanwhile."""


async def redeliver(database: Database, groups: Mapping[str, AnyGroup], letter_id: int) -> tuple[Outcome, str]:
    """Bring a letter's message to its consumer once; what became of it, and why. A failure is written on the letter."""
    async with _alone(database, letter_id) as is_alone:
        if not is_alone:
            return Outcome.TAKEN, "somebody else brings it at this moment"
        async with database.transaction() as session:
            letter = await session.get(DeadLetter, letter_id)
        if letter is None:
            return Outcome.GONE, "there is no such letter"
        return await _try(database, groups, letter)


async def _try(database: Database, groups: Mapping[str, AnyGroup], letter: DeadLetter) -> tuple[Outcome, str]:
    facts = {"letter": letter.id, "group": letter.consumer, "topic": letter.topic}
    try:
        group, delivery = read_letter(letter, groups)
        with bus.caused_by(delivery):
            await _bring(database, group, delivery, letter.id)
    except Gone:
        return Outcome.GONE, "there is no such letter any more"
    except NotReplayable as error:
        return Outcome.FAILED, str(error)
    except OUTAGES as error:
        _log.warning("dead_letter_waits", **facts, error=type(error).__name__)
        return Outcome.WAITS, f"something that it needs is away ({type(error).__name__})"
    except Exception as error:
        await _note(database, letter.id, error)
        _log.warning("dead_letter_failed", **facts, error=type(error).__name__)
        return Outcome.FAILED, last_line(tell_error(error))
    _log.info("dead_letter_done", **facts, message_id=str(letter.message_id))
    return Outcome.DONE, ""


def read_letter(letter: DeadLetter, groups: Mapping[str, AnyGroup]) -> tuple[AnyGroup, Delivery]:
    """The consumer and the message. Raises NotReplayable."""
    if (group := groups.get(letter.consumer)) is None:
        raise NotReplayable(f"there is no consumer {letter.consumer} in this release")
    if letter.topic not in group.topics:
        raise NotReplayable(f"{letter.consumer} does not react to {letter.topic} in this release")
    try:
        return group, _DELIVERY.validate_python(letter.message)
    except ValidationError:
        raise NotReplayable("it is none of our messages: it can only be dropped") from None


async def _bring(database: Database, group: AnyGroup, delivery: Delivery, letter_id: int) -> None:
    if not isinstance(group, Group):
        await group.consume(database, [delivery])
    else:
        found = group.read(delivery)
        assert found is not None  # read_letter has looked
        handler, message = found
        if not isinstance(group, OutwardGroup):
            async with database.transaction() as session:
                # First, for that is the lock: whoever comes second finds nothing, and has no effect.
                await _settle(session, group, delivery, letter_id)
                await handler(session, message)
            return
        async with database.transaction() as session:
            errand = await handler(session, message)
        if errand is not None:
            await group.run(errand, delivery.message_id)
    async with database.transaction() as session:
        await _settle(session, group, delivery, letter_id)


async def _settle(session: AsyncSession, group: AnyGroup, delivery: Delivery, letter_id: int) -> None:
    gone = await session.scalar(delete(DeadLetter).where(DeadLetter.id == letter_id).returning(DeadLetter.id))
    if gone is None:
        raise Gone
    # It is there already, unless the letter is older than what the inbox remembers.
    await bus.mark_done(session, group.name, delivery.message_id)


async def _note(database: Database, letter_id: int, error: Exception) -> None:
    attempts = func.least(DeadLetter.attempts + 1, _ATTEMPTS_MAX)
    values = {"error": tell_error(error), "attempts": attempts, "failed_at": func.now()}
    async with database.transaction() as session:
        await session.execute(update(DeadLetter).where(DeadLetter.id == letter_id).values(values))


async def drop(database: Database, letter_id: int) -> bool:
    """Let go of a letter for good: its effect will never be; False when it is gone already."""
    async with _alone(database, letter_id) as is_alone:
        if not is_alone:
            return False
        async with database.transaction() as session:
            row = (
                await session.execute(
                    delete(DeadLetter)
                    .where(DeadLetter.id == letter_id)
                    .returning(DeadLetter.consumer, DeadLetter.topic, DeadLetter.message_id)
                )
            ).one_or_none()
    if row is not None:
        _log.info("dead_letter_dropped", letter=letter_id, group=row[0], topic=row[1], message_id=str(row[2]))
    return row is not None


def last_line(error: str) -> str:
    """What a traceback ends with: the error itself."""
    return (error.strip().splitlines() or [""])[-1]


@asynccontextmanager
async def _alone(database: Database, letter_id: int) -> AsyncIterator[bool]:
    """True for one at a time, also while no transaction is open: a letter by mail must not go out twice."""
    key = func.hashtextextended(f"dead letter:{letter_id}", 0)
    async with database.engine.connect() as pooled:
        connection = await pooled.execution_options(isolation_level="AUTOCOMMIT")
        is_alone = bool(await connection.scalar(select(func.pg_try_advisory_lock(key))))
        try:
            yield is_alone
        finally:
            if is_alone:
                await connection.execute(select(func.pg_advisory_unlock(key)))
