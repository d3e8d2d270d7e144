"""What waits for a batch, and what commits a batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra.log import Cause
from ticketing.infra.metrics import Gauge

R = TypeVar("R")
A = TypeVar("A")


class Unusual(Exception):
    """A batch does not decide this request: it goes through its ordinary transaction, which knows every case."""


@dataclass(slots=True, eq=False)
class Pending(Generic[R, A]):
    """A request that waits for its batch, and the answer."""

    request: R
    cause: Cause
    response: "asyncio.Future[A]"

    @property
    def subject_id(self) -> UUID | None:
        """Requests about one subject fill at most a share of the queue; None: no such share."""
        return None

    def answer(self, answer: A) -> None:
        if not self.response.done():  # cancelled when the client disconnects
            self.response.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(error)


P = TypeVar("P", bound=Pending[Any, Any])
P_contra = TypeVar("P_contra", bound=Pending[Any, Any], contravariant=True)


class Committer(Protocol[P_contra]):
    """Decides the batches of one kind of request."""

    #: The number of requests of this kind that wait for a batch.
    waiting: Gauge

    async def commit(self, connection: AsyncConnection, organization_id: UUID, batch: Sequence[P_contra]) -> None:
        """Decide and commit, then answer, fail or retry each request.

        If this raises, nothing was changed, unless the connection broke during the commit.
        """

    def error_for_client(self, error: Exception) -> Exception:
        """The error of a request that failed in a batch of one."""
