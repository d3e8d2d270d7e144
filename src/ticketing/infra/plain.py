"""Plain SQL inside of a session's transaction, for the few paths where a model per row would cost more than the row.

What is sent in one block travels together and is answered together. Statements still run one after the other, each with
a snapshot of its own: one that comes after a lock sees what the lock's last holder has committed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, outbox_batch, tenancy
from ticketing.infra.db import as_sqlalchemy_says
from ticketing.infra.log import Cause
from ticketing.infra.outbox import Message
from ticketing.infra.wire import Cursor, Waiting, Wire, rows, send, send_waiting, wire_of

#: More than this does not wait for whatever comes next.
LATER_MAX = 100

#: Sends statements along with those of whoever calls it.
Write = Callable[[Wire], Awaitable[None]]


@asynccontextmanager
async def round_trip(session: AsyncSession) -> AsyncIterator[Wire]:
    """Send what the block executes in one round trip; the answers are there when it has ended.

    Raises:
        DBAPIError: what failed, as the session itself would raise it.
    """
    wire = await _wire_of(session)
    facts: list[Message] = []
    session.info["facts"] = facts
    try:
        async with wire.pipeline():
            await send_waiting(wire)
            yield wire
            if facts:
                await send(wire, outbox_batch.APPEND, *_facts_of(session, facts))
    except psycopg.Error as error:
        raise await _as_sqlalchemy_says(session, wire, error) from error
    finally:
        del session.info["facts"]


async def execute(session: AsyncSession, query: str, *values: Any) -> Cursor:
    """One statement that is not its transaction's first: alone it costs half of a round trip for many.

    Raises:
        DBAPIError: it failed, as the session itself would raise it.
    """
    wire = await _wire_of(session)
    if _waiting(wire):
        async with round_trip(session) as wire:
            answer = await send(wire, query, *values)
        return answer
    try:
        return await send(wire, query, *values)
    except psycopg.Error as error:
        raise await _as_sqlalchemy_says(session, wire, error) from error


async def later(session: AsyncSession, query: str, *values: Any) -> None:
    """A statement whose answer nobody needs: it goes along with the next one of its transaction, or before its commit.

    So messages that share a transaction don't wait for each of their writes. Order stays: whatever asks after it sees
    what it did. What fails there fails the transaction, at its next statement or at its commit.
    """
    wire = await _wire_of(session)
    if "facts" in session.info:  # a round trip is open, and takes it along
        await send(wire, query, *values)
        return
    waiting = _waiting(wire)
    waiting.append((query, values))
    if len(waiting) >= LATER_MAX:
        async with round_trip(session):
            pass


def publish(session: AsyncSession, *messages: Message) -> None:
    """`outbox.publish` inside of a round trip: its facts, all of one organization, are its last statement."""
    session.info["facts"].extend(messages)


async def publish_later(session: AsyncSession, *messages: Message) -> None:
    """The same as what `later` sends."""
    await later(session, outbox_batch.APPEND, *_facts_of(session, messages))


def _facts_of(session: AsyncSession, messages: Sequence[Message]) -> tuple[UUID, str]:
    """What the statement takes that appends them."""
    cause, facts = Cause.here(), []
    for message in messages:
        outbox.announce(session, message)
        payload = message.model_dump(mode="json")
        facts.append(outbox_batch.fact(type(message), payload[message.key_field], payload, cause))
    assert messages[0].organization_id is not None  # noqa: S101 (facts about people are not published here)
    return messages[0].organization_id, rows(facts)


def _waiting(wire: Wire) -> Waiting:
    waiting: Waiting = wire.later  # type: ignore[attr-defined]
    return waiting


async def _wire_of(session: AsyncSession) -> Wire:
    """The connection. When the transaction has just begun and who calls is still to be said (see db.py), that waits.

    It is asked for once in a transaction: the way through SQLAlchemy costs as much as a statement. What was done to
    models before comes first.
    """
    if session.new or session.dirty or session.deleted:
        await session.flush()
    transaction = session.sync_session.get_transaction()
    known: tuple[object, Wire] | None = session.info.get("wire")
    if known is not None and known[0] is transaction and transaction is not None:
        return known[1]
    session.info["says_who_calls"] = True
    wire = await wire_of(await session.connection())
    # Taken by whoever asks when a transaction begins; one that ran before has said it.
    if not session.info.pop("says_who_calls", False) and (user_id := session.info.get("user_id")) is not None:
        _waiting(wire).append((tenancy.NAMING, (str(user_id),)))
    session.info["wire"] = session.sync_session.get_transaction(), wire
    return wire


async def _as_sqlalchemy_says(session: AsyncSession, wire: Wire, error: psycopg.Error) -> BaseException:
    if wire.closed:
        await (await session.connection()).invalidate(error)
    return as_sqlalchemy_says(session.get_bind().dialect, error)
