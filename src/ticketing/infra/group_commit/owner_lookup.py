"""Find the organizations of rows that requests name: all requests that wait share one statement.

A batch belongs to one organization, and a request names a row by its id. The look-ups are the database functions
`organization_of_…`, the only queries that cross tenants: each reveals an organization only to a caller who may know it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra.db.pipeline import pipelined, rows, send
from ticketing.infra.group_commit.failures import client_error
from ticketing.infra.group_commit.group_commit import GroupCommit
from ticketing.infra.group_commit.metrics import WAITING
from ticketing.infra.group_commit.pending import Pending
from ticketing.infra.group_commit.transaction import batch_transaction
from ticketing.infra.log import Cause

#: The lane of look-ups, which belong to no organization.
_NO_ORGANIZATION = UUID(int=0)


class OwnerLookup:
    """Look-ups of one kind. `query` takes `rows` with a number `n` each, and returns `n` and an organization."""

    def __init__(self, group_commit: GroupCommit, kind: str, query: str) -> None:
        self._group_commit, self._query = group_commit, query
        self.waiting = WAITING.labels(kind)

    async def find(self, **names: object) -> UUID | None:
        """The organization that owns the row with these names. Raises Overloaded or Unavailable."""
        found: asyncio.Future[UUID | None] = asyncio.get_running_loop().create_future()
        pending: Pending[dict[str, Any], UUID | None] = Pending(names, Cause("", "", ""), found)
        self._group_commit.add(self, _NO_ORGANIZATION, pending)
        return await found

    async def commit(
        self, connection: AsyncConnection, _: UUID, batch: Sequence[Pending[dict[str, Any], UUID | None]]
    ) -> None:
        wanted = rows([{"n": n, **pending.request} for n, pending in enumerate(batch)])
        async with batch_transaction(connection) as driver, pipelined(driver) as round_trip:
            cursor = await send(driver, self._query, wanted)
            round_trip.commits = True
        owners: dict[int, UUID] = dict(await cursor.fetchall())
        for n, pending in enumerate(batch):
            pending.answer(owners.get(n))

    def error_for_client(self, error: Exception) -> Exception:
        return client_error(error)
