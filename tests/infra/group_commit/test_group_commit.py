"""The workers of the group commit: every request is decided, whenever it arrives."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from ticketing.infra.group_commit import GroupCommit, Pending
from ticketing.infra.group_commit import group_commit as module
from ticketing.infra.group_commit.metrics import WAITING
from ticketing.infra.log import Cause


class Answering:
    waiting = WAITING.labels("test")

    async def commit(self, connection: Any, organization_id: UUID, batch: Sequence[Pending[int, int]]) -> None:
        for pending in batch:
            pending.answer(pending.request)

    def error_for_client(self, error: Exception) -> Exception:
        return error


async def test_a_request_that_arrives_while_the_last_worker_ends_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Returning a connection to the pool takes a moment, in which the worker counts and takes no more batches."""
    monkeypatch.setattr(module, "WORKERS", 1)
    may_end = asyncio.Event()

    @asynccontextmanager
    async def connect() -> AsyncIterator[None]:
        yield
        await may_end.wait()

    database: Any = SimpleNamespace(engine=SimpleNamespace(connect=connect))
    group_commit, committer, organization_id = GroupCommit(database), Answering(), uuid4()

    def add(request: int) -> "asyncio.Future[int]":
        response: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        group_commit.add(committer, organization_id, Pending(request, Cause("", "", ""), response))
        return response

    assert await add(1) == 1
    second = add(2)
    may_end.set()
    assert await asyncio.wait_for(second, 10) == 2
