"""Dead letters: messages that a consumer could not process, stored with the consumer, the error and the whole message.

One table holds those from the outbox log and from Kafka. The inbox marks a dead letter as processed: only an operator
redelivers it (see redelivery.py).
"""

import traceback
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Identity, Index, SmallInteger, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra import log, metrics
from ticketing.infra.bus.delivery import AnyGroup, Poison, mark_done
from ticketing.infra.db import Base, Database
from ticketing.infra.outbox import Delivery

ERROR_CHARACTERS_MAX = 8000

_log = log.get_logger(__name__)


class DeadLetter(Base):
    """A message that a consumer could not process. With Kafka, it is also in `<topic>.dlq`.

    `message` is a Delivery, or `{"value": …, "headers": …}` in base64 for a Kafka record that is not a message.
    """

    __tablename__ = "dead_letters"
    __table_args__ = (
        UniqueConstraint("consumer", "message_id"),
        Index("ix_dead_letters_organization_id_id", "organization_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    consumer: Mapped[str] = mapped_column(Text)
    organization_id: Mapped[UUID | None]
    topic: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    message_id: Mapped[UUID]
    message: Mapped[dict[str, Any]]
    error: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    #: Where it was read: `outbox/4711`, or `topic/partition/offset` in Kafka.
    origin: Mapped[str] = mapped_column(Text, server_default="")
    #: Time of the last attempt.
    failed_at: Mapped[datetime] = mapped_column(server_default=func.now())


def format_error(error: BaseException) -> str:
    """The error with the end of its traceback, without row values."""
    text = log.redact("".join(traceback.format_exception(error, limit=-5)))[-ERROR_CHARACTERS_MAX:]
    return text.replace("\0", "\ufffd")  # the only character that Postgres cannot store


async def store_poison(database: Database, group: AnyGroup, delivery: Delivery, poison: Poison) -> None:
    """Store a poison message of the outbox log as a dead letter, and mark it as processed."""
    await store(database, make_dead_letter(group.name, delivery, poison, f"outbox/{delivery.log_id}"))


def make_dead_letter(consumer: str, delivery: Delivery, poison: Poison, origin: str) -> DeadLetter:
    """The dead letter of a message."""
    return DeadLetter(
        consumer=consumer,
        organization_id=delivery.organization_id,
        topic=delivery.topic,
        key=delivery.key,
        message_id=delivery.message_id,
        message=orjson.loads(orjson.dumps(delivery)),
        error=format_error(poison.error),
        attempts=poison.attempts,
        origin=origin,
    )


async def store(database: Database, dead_letter: DeadLetter) -> None:
    """Write it together with the inbox row. Does nothing when the message was processed or stored before."""
    async with database.transaction() as session:
        if not await mark_done(session, dead_letter.consumer, dead_letter.message_id):
            return
        await _write(session, dead_letter)
    metrics.DEAD_LETTERS.labels(dead_letter.consumer, dead_letter.topic).inc()
    _log.error(
        "dead_letter", group=dead_letter.consumer, topic=dead_letter.topic, message_id=str(dead_letter.message_id)
    )


async def _write(session: AsyncSession, dead_letter: DeadLetter) -> None:
    values = {name: value for name, value in vars(dead_letter).items() if not name.startswith("_")}
    changes = {name: values[name] for name in ("error", "attempts", "origin")} | {"failed_at": func.now()}
    # A message may come again after its inbox row was deleted, and fail again: its dead letter exists already.
    await session.execute(
        insert(DeadLetter)
        .values(**values)
        .on_conflict_do_update(index_elements=[DeadLetter.consumer, DeadLetter.message_id], set_=changes)
    )
