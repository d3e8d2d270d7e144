"""A process that dies in the middle: after the seats were written, and before the commit."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.platform import eventually

# Whoever tells a fact waits here. By then all else that the transaction wants to do has been done, or is about to be.
_STOP = "lock table outbox in share mode"
# Asked of the locks: what pg_stat_activity says would stay what it was when this transaction first looked.
_WAITING = "select pid from pg_locks where not granted and relation = 'outbox'::regclass"


async def die_before_commit(app: FastAPI, work: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
    """Do the work, and cut its connection to the database while it waits to write its fact.

    The answer is what the caller would have seen; work that tells nothing is simply done.
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
