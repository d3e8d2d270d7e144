"""A batch of requests with idempotency keys: replay stored responses, and store new ones in the batch's transaction."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, NamedTuple, Protocol, TypeVar

from starlette.responses import Response

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection
from ticketing.infra.group_commit.pending import Pending, Unusual
from ticketing.infra.http.idempotency import Claim, IdempotencyInFlight, IdempotencyMismatch, Replay, unseal_body
from ticketing.infra.http.idempotency_batch import (
    ClaimedKeys,
    KeyClaim,
    Stored,
    claim_keys,
    response_row,
    store_responses,
)
from ticketing.infra.log import Cause


class Answer(NamedTuple):
    """A response that is stored for its key; `body` is JSON."""

    status: int
    body: bytes

    def as_response(self) -> Response:
        return Response(self.body, self.status, media_type="application/json")


class Keyed(Protocol):
    """A request with an idempotency key."""

    @property
    def claim(self) -> Claim: ...


K = TypeVar("K", bound=Keyed)
#: What a request gets: an `Answer`, or something that is not a response yet.
A = TypeVar("A")


def pend(request: K, _: type[A]) -> Pending[K, A]:
    """The request with the context of the current task, to be added to a batch."""
    return Pending(request, Cause.here(), asyncio.get_running_loop().create_future())


class RunningKeys:
    """The keys that this process is working on: inside one transaction, a database lock does not tell two apart."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str]] = set()

    @contextmanager
    def running(self, claim: Claim) -> Iterator[None]:
        """Raises IdempotencyInFlight when another request with this key is running."""
        name = claim.caller, claim.key
        if name in self._names:
            raise IdempotencyInFlight
        self._names.add(name)
        try:
            yield
        finally:
            self._names.discard(name)


class KeyedBatch(Generic[K, A]):
    """The outcomes of a batch: answers, errors, and `undecided` requests. `deliver` them after the commit."""

    def __init__(self, batch: Sequence[Pending[K, A]]) -> None:
        self._batch = batch
        self._answers: dict[Pending[K, A], A] = {}
        self._errors: dict[Pending[K, A], Exception] = {}

    async def claim(self, connection: DriverConnection) -> PendingQuery[ClaimedKeys]:
        """Lock and look up the keys, in the round trip of the caller."""
        claims = (pending.request.claim for pending in self._batch)
        return await claim_keys(connection, [KeyClaim(claim.caller, claim.key) for claim in claims])

    def replay(self, in_flight: set[int], stored: dict[int, Stored]) -> None:
        """Take over what `claim` has found. A stored response is raised as Replay, as without batches."""
        for n in in_flight:
            self._errors[self._batch[n]] = IdempotencyInFlight()
        for n, (fingerprint, status, body) in stored.items():
            claim = self._batch[n].request.claim
            is_same = fingerprint in claim.fingerprint
            replay = Replay(status, unseal_body(body, claim.caller, claim.key)) if is_same else None
            self._errors[self._batch[n]] = replay or IdempotencyMismatch()

    @property
    def undecided(self) -> list[Pending[K, A]]:
        return [pending for pending in self._batch if pending not in self._answers and pending not in self._errors]

    def answer(self, pending: Pending[K, A], answer: A) -> None:
        self._answers[pending] = answer

    async def store(self, connection: DriverConnection) -> None:
        """Store the responses among the answers, in the round trip of the caller."""
        new = [(pending.request.claim, answer) for pending, answer in self._answers.items()]
        if stored := [response_row(claim, a.status, a.body) for claim, a in new if isinstance(a, Answer)]:
            await store_responses(connection, stored)

    def deliver(self) -> None:
        """Answer the clients. Requests that the batch has not decided are unusual."""
        for pending in self._batch:
            if (answer := self._answers.get(pending)) is not None:
                pending.answer(answer)
            else:
                pending.fail(self._errors.get(pending) or Unusual())
