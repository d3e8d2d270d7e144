"""Plain SQL inside of a session's transaction, for the few paths where a model per row would cost more than the row.

What is sent in one block travels together and is answered together. Statements still run one after the other, each with
a snapshot of its own: one that comes after a lock sees what the lock's last holder has committed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, outbox_batch, tenancy
from ticketing.infra.log import Cause
from ticketing.infra.outbox import Message
from ticketing.infra.wire import Cursor, Wire, send, wire_of

#: Sends statements along with those of whoever calls it.
Write = Callable[[Wire], Awaitable[None]]


@asynccontextmanager
async def round_trip(session: AsyncSession) -> AsyncIterator[Wire]:
    """Send what the block executes in one round trip; the answers are there when it has ended.

    Raises:
        DBAPIError: what failed, as the session itself would raise it.
    """
    wire, is_first = await _wire_of(session)
    facts: list[Message] = []
    session.info["facts"] = facts
    try:
        async with wire.pipeline():
            if is_first and (user_id := session.info.get("user_id")) is not None:
                await send(wire, tenancy.NAMING, str(user_id))
            yield wire
            if facts:
                await _append(session, wire, facts)
    except psycopg.Error as error:
        raise await _as_sqlalchemy_says(session, wire, error) from error
    finally:
        del session.info["facts"]


async def execute(session: AsyncSession, query: str, *values: Any) -> Cursor:
    """One statement that is not the transaction's first: alone it costs half of what a round trip for many does.

    Raises:
        DBAPIError: it failed, as the session itself would raise it.
    """
    wire, _ = await _wire_of(session)
    try:
        return await send(wire, query, *values)
    except psycopg.Error as error:
        raise await _as_sqlalchemy_says(session, wire, error) from error


def publish(session: AsyncSession, *messages: Message) -> None:
    """`outbox.publish` inside of a round trip: its facts, all of one organization, are its last statement."""
    session.info["facts"].extend(messages)


async def _append(session: AsyncSession, wire: Wire, messages: Sequence[Message]) -> None:
    cause, facts = Cause.here(), []
    for message in messages:
        outbox.announce(session, message)
        payload = message.model_dump(mode="json")
        facts.append(outbox_batch.fact(type(message), payload[message.key_field], payload, cause))
    assert messages[0].organization_id is not None  # noqa: S101 (facts about people are not published here)
    await outbox_batch.publish_all(wire, messages[0].organization_id, facts)


async def _wire_of(session: AsyncSession) -> tuple[Wire, bool]:
    """The connection, and whether the transaction has just begun and who calls is still to be said (see db.py).

    It is asked for once in a transaction: the way through SQLAlchemy costs as much as a statement. What was done to
    models before comes first.
    """
    if session.new or session.dirty or session.deleted:
        await session.flush()
    transaction = session.sync_session.get_transaction()
    known: tuple[object, Wire] | None = session.info.get("wire")
    if known is not None and known[0] is transaction and transaction is not None:
        return known[1], False
    session.info["says_who_calls"] = True
    wire = await wire_of(await session.connection())
    # Taken by whoever asks when a transaction begins; one that ran before has said it.
    is_first = not session.info.pop("says_who_calls", False)
    session.info["wire"] = session.sync_session.get_transaction(), wire
    return wire, is_first


async def _as_sqlalchemy_says(session: AsyncSession, wire: Wire, error: psycopg.Error) -> BaseException:
    if wire.closed:
        await (await session.connection()).invalidate(error)
    return DBAPIError.instance(
        None, None, error, psycopg.Error, hide_parameters=True, dialect=session.get_bind().dialect
    )
