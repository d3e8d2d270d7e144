"""The bounded queue before the batches: first come, first served within an organization, round robin between them.

A rush at one organization does not delay the others.
"""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from ticketing.modules.reservations.hold import metrics
from ticketing.modules.reservations.hold.pending import PendingHold

#: Pending holds in total and per event: about half a second of work. A sale with more demand fills only its own share.
PENDING_MAX, PENDING_OF_EVENT_MAX = 8000, 2000


class FairQueue:
    """One queue per organization; batch workers take batches from them in turn."""

    def __init__(self, workers_per_organization: int, batch_max: int) -> None:
        self._workers_max, self._batch_max = workers_per_organization, batch_max
        # In round-robin order; an organization without pending holds has no entry.
        self._queues: dict[UUID, deque[PendingHold]] = {}
        self._workers: Counter[UUID] = Counter()
        self._of_event: Counter[UUID] = Counter()
        self._size = 0

    def add(self, organization_id: UUID, hold: PendingHold) -> bool:
        """Append a hold. Returns False when the queue, or the event's share of it, is full."""
        event_id = hold.request.event_id
        if self._size >= PENDING_MAX or self._of_event[event_id] >= PENDING_OF_EVENT_MAX:
            return False
        self._queues.setdefault(organization_id, deque()).append(hold)
        self._count(event_id, 1)
        return True

    def requeue(self, organization_id: UUID, hold: PendingHold) -> None:
        """Put a hold that has to be retried at the front, whatever the limits: it has waited longest."""
        self._queues.setdefault(organization_id, deque()).appendleft(hold)
        self._count(hold.request.event_id, 1)

    @property
    def has_work(self) -> bool:
        """Whether `take` would return a batch."""
        return any(self._workers[organization_id] < self._workers_max for organization_id in self._queues)

    def take(self) -> tuple[UUID, Sequence[PendingHold]] | None:
        """Take a batch of the next organization that may have one more worker; `release` frees that worker slot."""
        for organization_id, queue in self._queues.items():
            if self._workers[organization_id] < self._workers_max:
                return organization_id, self._take_from(organization_id, queue)
        return None

    def release(self, organization_id: UUID) -> None:
        """Free the worker slot of a batch that `take` returned."""
        self._workers[organization_id] -= 1
        if not self._workers[organization_id]:
            del self._workers[organization_id]

    def _take_from(self, organization_id: UUID, queue: deque[PendingHold]) -> list[PendingHold]:
        del self._queues[organization_id]
        taken = list(islice(queue, self._batch_max))
        for hold in taken:
            queue.popleft()
            self._count(hold.request.event_id, -1)
        if queue:  # to the end of the round
            self._queues[organization_id] = queue
        self._workers[organization_id] += 1
        # Requests whose client has disconnected are dropped.
        return [hold for hold in taken if not hold.response.done()]

    def _count(self, event_id: UUID, by: int) -> None:
        self._size += by
        self._of_event[event_id] += by
        if not self._of_event[event_id]:
            del self._of_event[event_id]
        metrics.HOLDS_WAITING.set(self._size)
