"""Who waits to be decided, in order of arrival, organization by organization: a rush at one holds up no other."""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from ticketing.modules.reservations.hold import metrics
from ticketing.modules.reservations.hold.requests import Wish

#: In all, and of one event: half a second's work or so. A sale that draws more than that fills its own share only.
WAITING_MAX, WAITING_OF_EVENT_MAX = 8000, 2000


class Waiting:
    """Bounded queues, from which lanes take batches by turns."""

    def __init__(self, lanes_of_organization: int, batch_max: int) -> None:
        self._lanes_max, self._batch_max = lanes_of_organization, batch_max
        # In the order in which they have their turns; one without wishes is not there.
        self._queues: dict[UUID, deque[Wish]] = {}
        self._lanes: Counter[UUID] = Counter()
        self._of_event: Counter[UUID] = Counter()
        self._size = 0

    def add(self, organization_id: UUID, wish: Wish) -> bool:
        """False when there is no room."""
        event_id = wish.request.event_id
        if self._size >= WAITING_MAX or self._of_event[event_id] >= WAITING_OF_EVENT_MAX:
            return False
        self._queues.setdefault(organization_id, deque()).append(wish)
        self._count(event_id, 1)
        return True

    def add_again(self, organization_id: UUID, wish: Wish) -> None:
        """One that was taken and could not be decided: it has waited longest, and is not sent away."""
        self._queues.setdefault(organization_id, deque()).appendleft(wish)
        self._count(wish.request.event_id, 1)

    @property
    def has_work(self) -> bool:
        """Whether a lane would find something to take."""
        return any(self._lanes[organization_id] < self._lanes_max for organization_id in self._queues)

    def take(self) -> tuple[UUID, Sequence[Wish]] | None:
        """A batch of the organization whose turn it is, which has one lane more from then on; see `give_back`."""
        for organization_id, queue in self._queues.items():
            if self._lanes[organization_id] < self._lanes_max:
                return organization_id, self._take_from(organization_id, queue)
        return None

    def give_back(self, organization_id: UUID) -> None:
        """A lane is done with a batch of this organization."""
        self._lanes[organization_id] -= 1
        if not self._lanes[organization_id]:
            del self._lanes[organization_id]

    def _take_from(self, organization_id: UUID, queue: deque[Wish]) -> list[Wish]:
        del self._queues[organization_id]
        taken = list(islice(queue, self._batch_max))
        for wish in taken:
            queue.popleft()
            self._count(wish.request.event_id, -1)
        if queue:  # behind everybody else
            self._queues[organization_id] = queue
        self._lanes[organization_id] += 1
        # Whoever has left in the meantime is not held anything.
        return [wish for wish in taken if not wish.answered.done()]

    def _count(self, event_id: UUID, by: int) -> None:
        self._size += by
        self._of_event[event_id] += by
        if not self._of_event[event_id]:
            del self._of_event[event_id]
        metrics.HOLDS_WAITING.set(self._size)
