"""The bounded queue before the batches: first come, first served within a lane, round robin between lanes.

A lane has the requests of one kind and one organization. A rush at one organization does not delay the others, and a
rush of one kind does not delay the other kinds of its organization.
"""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.infra.group_commit.pending import Committer, Pending

#: Pending requests in total, and of one kind per subject: about half a second of work. A rush for one subject fills
#: only its own share.
PENDING_MAX, PENDING_OF_SUBJECT_MAX = 8000, 2000

AnyPending = Pending[Any, Any]


class Lane(NamedTuple):
    """The requests of one organization that one committer decides."""

    organization_id: UUID
    committer: Committer[Any]


class FairQueue:
    """One queue per lane; batch workers take batches from them in turn."""

    def __init__(self, workers_per_organization: int, batch_max: int) -> None:
        self._workers_max, self._batch_max = workers_per_organization, batch_max
        # In round-robin order; a lane without pending requests has no entry.
        self._queues: dict[Lane, deque[AnyPending]] = {}
        self._workers: Counter[UUID] = Counter()
        self._of_subject: Counter[tuple[Committer[Any], UUID]] = Counter()
        self._of_kind: Counter[Committer[Any]] = Counter()
        self._size = 0

    def add(self, lane: Lane, pending: AnyPending) -> bool:
        """Append a request. Returns False when the queue, or its subject's share of it, is full."""
        subject_id = pending.subject_id
        if self._size >= PENDING_MAX:
            return False
        if subject_id is not None and self._of_subject[lane.committer, subject_id] >= PENDING_OF_SUBJECT_MAX:
            return False
        self._queues.setdefault(lane, deque()).append(pending)
        self._count(lane, pending, 1)
        return True

    def requeue(self, lane: Lane, pending: AnyPending) -> None:
        """Put a request that has to be retried at the front, whatever the limits: it has waited longest."""
        self._queues.setdefault(lane, deque()).appendleft(pending)
        self._count(lane, pending, 1)

    @property
    def has_work(self) -> bool:
        """Whether `take` would return a batch."""
        return any(self._workers[lane.organization_id] < self._workers_max for lane in self._queues)

    def take(self) -> tuple[Lane, Sequence[AnyPending]] | None:
        """Take a batch of the next lane whose organization may have one more worker; `release` frees that worker."""
        for lane, queue in self._queues.items():
            if self._workers[lane.organization_id] < self._workers_max:
                return lane, self._take_from(lane, queue)
        return None

    def release(self, lane: Lane) -> None:
        """Free the worker slot of a batch that `take` returned."""
        self._workers[lane.organization_id] -= 1
        if not self._workers[lane.organization_id]:
            del self._workers[lane.organization_id]

    def _take_from(self, lane: Lane, queue: deque[AnyPending]) -> list[AnyPending]:
        del self._queues[lane]
        taken = list(islice(queue, self._batch_max))
        for pending in taken:
            queue.popleft()
            self._count(lane, pending, -1)
        if queue:  # to the end of the round
            self._queues[lane] = queue
        self._workers[lane.organization_id] += 1
        # Requests whose client has disconnected are dropped.
        return [pending for pending in taken if not pending.response.done()]

    def _count(self, lane: Lane, pending: AnyPending, by: int) -> None:
        self._size += by
        if (subject_id := pending.subject_id) is not None:
            of_subject = lane.committer, subject_id
            self._of_subject[of_subject] += by
            if not self._of_subject[of_subject]:
                del self._of_subject[of_subject]
        self._of_kind[lane.committer] += by
        lane.committer.waiting.set(self._of_kind[lane.committer])
