"""A message that a consumer gave up is kept for a person to look at: who gave it up, why, and the whole of it.

There is one table, whichever road the message took. A letter counts as done for its consumer, by the inbox: only a
person brings it again (see redelivery.py).
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
    """A message that a consumer gave up on. With Kafka the same goes to `<topic>.dlq`.

    `message` is a Delivery; or `{"value": …, "headers": …}` in base64, for a record that is none of ours.
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
    #: The place it came from: `outbox/4711`, or `topic/partition/offset` over Kafka.
    origin: Mapped[str] = mapped_column(Text, server_default="")
    #: When it was last tried.
    failed_at: Mapped[datetime] = mapped_column(server_default=func.now())


def tell_error(error: BaseException) -> str:
    """The error and the last places it came through, without the values of any row."""
    told = log.redact("".join(traceback.format_exception(error, limit=-5)))[-ERROR_CHARACTERS_MAX:]
    return told.replace("\0", "\ufffd")  # Postgres keeps every character but this one


async def bury(database: Database, group: AnyGroup, delivery: Delivery, poison: Poison) -> None:
    """Keep a poisonous message for a person to look at, and count it as done."""
    await keep(database, letter(group.name, delivery, poison, f"outbox/{delivery.log_id}"))


def letter(consumer: str, delivery: Delivery, poison: Poison, origin: str) -> DeadLetter:
    """The letter about a message of ours."""
    return DeadLetter(
        consumer=consumer,
        organization_id=delivery.organization_id,
        topic=delivery.topic,
        key=delivery.key,
        message_id=delivery.message_id,
        message=orjson.loads(orjson.dumps(delivery)),
        error=tell_error(poison.error),
        attempts=poison.attempts,
        origin=origin,
    )


async def keep(database: Database, letter: DeadLetter) -> None:
    """Write it together with the inbox row; does nothing when the message was done, or given up, before."""
    async with database.transaction() as session:
        if not await mark_done(session, letter.consumer, letter.message_id):
            return
        await _write(session, letter)
    metrics.DEAD_LETTERS.labels(letter.consumer, letter.topic).inc()
    _log.error("dead_letter", group=letter.consumer, topic=letter.topic, message_id=str(letter.message_id))


async def _write(session: AsyncSession, letter: DeadLetter) -> None:
    told = {name: value for name, value in vars(letter).items() if not name.startswith("_")}
    news = {name: told[name] for name in ("error", "attempts", "origin")} | {"failed_at": func.now()}
    # One that came again, after its inbox row was forgotten, and failed again: there is a letter about it already.
    await session.execute(
        insert(DeadLetter)
        .values(**told)
        .on_conflict_do_update(index_elements=[DeadLetter.consumer, DeadLetter.message_id], set_=news)
    )
