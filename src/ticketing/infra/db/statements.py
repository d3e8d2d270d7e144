"""Plain SQL inside of a session's transaction, for the few paths where a model per row would cost more than the row.

What is sent in one block travels together and is answered together. Statements still run one after the other, each with
a snapshot of its own: one that comes after a lock sees what the lock's last holder has committed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.db.pipeline import Cursor, Waiting, Wire, rows, send, send_waiting, wire_of
from ticketing.infra.db.session import as_sqlalchemy_says

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
    appended: dict[tuple[str, Any], list[Any]] = {}
    session.info["appended"] = appended
    try:
        async with wire.pipeline():
            await send_waiting(wire)
            yield wire
            for (query, key), added in appended.items():
                await send(wire, query, key, rows(added))
    except psycopg.Error as error:
        raise await _as_sqlalchemy_says(session, wire, error) from error
    finally:
        del session.info["appended"]


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
    if "appended" in session.info:  # a round trip is open, and takes it along
        await send(wire, query, *values)
        return
    waiting = _waiting(wire)
    waiting.append((query, values))
    if len(waiting) >= LATER_MAX:
        async with round_trip(session):
            pass


def append_row(session: AsyncSession, query: str, key: Any, row: Any) -> bool:
    """Let a row travel with what the transaction sends next: `query` takes a key and `rows` of what was given for it.

    In an open round trip, all rows of a query and key are one of its last statements. Where statements wait for the
    next one (see `later`), the row waits behind them. Returns False when neither is the case.
    """
    if (appended := session.info.get("appended")) is not None:
        appended.setdefault((query, key), []).append(row)
        return True
    known: tuple[object, Wire] | None = session.info.get("wire")
    if known is not None and known[0] is session.sync_session.get_transaction() and (waiting := _waiting(known[1])):
        waiting.append((query, (key, rows([row]))))
        return True
    return False


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
