"""A process that crashes after the seats were written and before the commit."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.platform import eventually

# A transaction that publishes a message waits for this lock. By then its other writes are done, or about to be.
_STOP = "lock table outbox in share mode"
# From pg_locks: within a transaction, pg_stat_activity keeps its first snapshot.
_WAITING = "select pid from pg_locks where not granted and relation = 'outbox'::regclass"


async def die_before_commit(app: FastAPI, work: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
    """Do the work, and terminate its database connection while it waits to write its message.

    Returns the response that the client would have received. Work that publishes nothing completes.
    """
    async with app.state.owner_database.transaction() as session:
        await session.execute(text(_STOP))
        task = asyncio.ensure_future(work)

        async def killed() -> bool:
            if task.done():
                return True
            victims = list(await session.scalars(text(_WAITING)))
            for pid in victims:
                await session.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
            return bool(victims)

        await eventually(killed)
    return await task
