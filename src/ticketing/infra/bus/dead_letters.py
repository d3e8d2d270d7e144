"""Dead letters: messages that a consumer could not process, stored with the consumer, the error and the whole message.

One table holds those from the outbox log and from Kafka. The inbox marks a dead letter as processed: only an operator
redelivers it (see redelivery.py).

Every message has a dead letter, whatever it contains. There are three forms, and the first one that can be made and
stored is used: the message as JSON; its bytes; without its bytes, their size and hash. Only an outage prevents that.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Identity, Index, SmallInteger, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra import log, metrics
from ticketing.infra.bus.attempts import Poison
from ticketing.infra.bus.delivery import mark_done
from ticketing.infra.bus.error_text import format_error
from ticketing.infra.bus.failures import Failure, classify
from ticketing.infra.bus.raw_messages import VALUE_BYTES_MAX, RawMessage
from ticketing.infra.db import Base, Database
from ticketing.infra.system.retry import Retry, retry

#: What the column `attempts` can store.
ATTEMPTS_MAX = 2**15 - 1
#: The part of an unreadable key that is shown.
KEY_CHARACTERS_MAX = 200

_log = log.get_logger(__name__)
T = TypeVar("T")


class DeadLetter(Base):
    """A message that a consumer could not process. With Kafka, it is also in `<topic>.dlq`.

    `message` is a Delivery; or `{"key": …, "value": …, "headers": …}` in base64 for what is not a message, or is one
    that JSON columns can't store; or `{"value_bytes": …, "value_sha256": …}` for what is too large.
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


async def first_possible(forms: Sequence[Callable[[], T]], accept: Callable[[T], Awaitable[object]]) -> None:
    """Make the first form and pass it on; if either fails, for another reason than an outage, take the next form.

    Raises:
        Exception: an outage.
        Retry: not even the last form was accepted, so the fault is not in the form.
    """
    for form in forms:
        try:
            await accept(form())
            return
        except Exception as error:
            if classify(error) is Failure.OUTAGE:
                raise
            _log.warning(
                "dead_letter_form_rejected", form=_name(form), error=type(error).__name__, reason=str(error)[:500]
            )
    raise Retry("a dead letter was rejected in every form")


async def store_poison(
    database: Database, consumer: str, message: RawMessage, poison: Poison, stop: asyncio.Event
) -> None:
    """Store the dead letter of a message, and mark it as processed; retried until an outage ends.

    Raises:
        Stopped: `stop` was set first.
    """

    def on_error(error: Exception) -> None:
        level = _log.warning if classify(error) is Failure.OUTAGE and not isinstance(error, Retry) else _log.error
        level("dead_letter_waits", group=consumer, origin=message.origin, error=type(error).__name__)

    await retry(partial(store, database, consumer, message, poison), on_error, stop)


async def store(database: Database, consumer: str, message: RawMessage, poison: Poison) -> None:
    """Store the dead letter in the first possible form.

    Raises:
        Exception: an outage; nothing was stored.
    """
    forms = [partial(form, consumer, message, poison) for form in (as_json, as_bytes, as_reference)]
    await first_possible(forms, partial(_store, database))


def as_json(consumer: str, message: RawMessage, poison: Poison) -> DeadLetter:
    """The dead letter of a message that is one. Raises ValueError, or TypeError for what JSON can't express."""
    if (delivery := message.delivery) is None:
        raise ValueError("it is not a message of this platform")
    letter = _dead_letter(consumer, message, poison, orjson.loads(orjson.dumps(delivery)))
    letter.organization_id, letter.key = delivery.organization_id, delivery.key
    return letter


def as_bytes(consumer: str, message: RawMessage, poison: Poison) -> DeadLetter:
    """The dead letter with all bytes of a message. Raises ValueError if there are too many of them."""
    parts = [message.key, message.value, *(value for _, value in message.headers)]
    if sum(len(part or b"") for part in parts) > VALUE_BYTES_MAX:
        raise ValueError("it is too large")
    headers = [[_storable(name), _as_text(value)] for name, value in message.headers]
    content = {"key": _as_text(message.key), "value": _as_text(message.value), "headers": headers}
    return _dead_letter(consumer, message, poison, content)


def as_reference(consumer: str, message: RawMessage, poison: Poison) -> DeadLetter:
    """The dead letter without the message, which is still where it was read for as long as that is kept."""
    value = message.value or b""
    content = {"value_bytes": len(value), "value_sha256": sha256(value).hexdigest()}
    return _dead_letter(consumer, message, poison, content)


def _dead_letter(consumer: str, message: RawMessage, poison: Poison, content: dict[str, Any]) -> DeadLetter:
    return DeadLetter(
        consumer=consumer,
        organization_id=None,
        topic=_storable(message.topic),
        key=_storable((message.key or b"").decode(errors="replace"))[:KEY_CHARACTERS_MAX],
        message_id=message.message_id,
        message=content,
        error=format_error(poison.error),
        attempts=min(poison.attempts, ATTEMPTS_MAX),
        origin=message.origin,
    )


async def _store(database: Database, dead_letter: DeadLetter) -> None:
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


def _storable(text: str) -> str:
    """Without the one character that Postgres can't store."""
    return text.replace("\0", "\ufffd")


def _as_text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _name(form: Callable[[], object]) -> str:
    function = form.func if isinstance(form, partial) else form
    return function.__name__
