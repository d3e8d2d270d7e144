"""A message that a consumer gave up is kept for a person to look at: who gave it up, why, and the whole of it."""

import traceback
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Identity, Index, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra import log, metrics
from ticketing.infra.bus import Group, Poison, mark_done
from ticketing.infra.db import Base, Database
from ticketing.infra.outbox import Delivery

ERROR_CHARACTERS_MAX = 8000

_log = log.get_logger(__name__)


class DeadLetter(Base):
    """A message that a consumer of the log gave up on. With Kafka the same goes to `<topic>.dlq`."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index("ix_dead_letters_organization_id_id", "organization_id", "id"),)

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


def tell_error(error: BaseException) -> str:
    """The error and the last places it came through, without the values of any row."""
    return log.without_values("".join(traceback.format_exception(error, limit=-5)))[-ERROR_CHARACTERS_MAX:]


async def bury(database: Database, group: Group, delivery: Delivery, poison: Poison) -> None:
    """Keep a poisonous message for a person to look at, and count it as done."""
    async with database.transaction() as session:
        if not await mark_done(session, group.name, delivery.message_id):
            return
        session.add(
            DeadLetter(
                consumer=group.name,
                organization_id=delivery.organization_id,
                topic=delivery.topic,
                key=delivery.key,
                message_id=delivery.message_id,
                message=orjson.loads(orjson.dumps(delivery)),
                error=tell_error(poison.error),
                attempts=poison.attempts,
            )
        )
    metrics.DEAD_LETTERS.labels(group.name, delivery.topic).inc()
    _log.error("dead_letter", group=group.name, topic=delivery.topic, message_id=str(delivery.message_id))
