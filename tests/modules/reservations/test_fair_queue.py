"""The queue before the batches: in order, bounded, and fair between organizations."""

import asyncio
from uuid import UUID, uuid4

import pytest

from ticketing.infra.log import Cause
from ticketing.modules.reservations.hold import fair_queue
from ticketing.modules.reservations.hold.fair_queue import FairQueue
from ticketing.modules.reservations.hold.pending import PendingHold
from ticketing.modules.reservations.hold_request import HoldRequest

RUSH, QUIET = uuid4(), uuid4()


def pending_hold(event_id: UUID | None = None) -> PendingHold:
    request = HoldRequest(uuid4(), uuid4().hex, [b""], event_id or uuid4(), ("A-1",))
    return PendingHold(request, Cause("", "", ""), asyncio.get_running_loop().create_future())


def filled(*organizations: UUID, batch_max: int = 3) -> tuple[FairQueue, list[PendingHold]]:
    queue, holds = FairQueue(workers_per_organization=2, batch_max=batch_max), [pending_hold() for _ in organizations]
    for organization_id, one in zip(organizations, holds, strict=True):
        assert queue.add(organization_id, one)
    return queue, holds


async def test_a_batch_has_the_oldest_holds_of_one_organization() -> None:
    queue, holds = filled(RUSH, QUIET, RUSH, RUSH, RUSH)
    assert queue.take() == (RUSH, [holds[0], holds[2], holds[3]])
    assert queue.take() == (QUIET, [holds[1]])
    assert queue.take() == (RUSH, [holds[4]])
    assert queue.take() is None


async def test_a_rush_has_a_bounded_number_of_workers_and_other_organizations_are_served() -> None:
    queue, holds = filled(*[RUSH] * 9, QUIET)
    assert [queue.take()[0] for _ in range(3)] == [RUSH, QUIET, RUSH]
    assert not queue.has_work, "the rush has as many workers as one organization may have"
    assert queue.take() is None
    queue.release(RUSH)
    assert queue.has_work
    assert queue.take() == (RUSH, holds[6:9])


async def test_a_retried_hold_is_served_first() -> None:
    queue, holds = filled(RUSH, RUSH)
    retried = pending_hold()
    queue.requeue(RUSH, retried)
    assert queue.take() == (RUSH, [retried, *holds])


async def test_a_full_queue_refuses_holds_until_a_batch_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "PENDING_MAX", 3)
    queue, _ = filled(RUSH, RUSH, QUIET)
    assert not queue.add(QUIET, pending_hold())
    queue.take()
    assert queue.add(QUIET, pending_hold())


async def test_one_event_fills_only_its_own_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "PENDING_OF_EVENT_MAX", 2)
    queue, event_id = FairQueue(2, 3), uuid4()
    assert [queue.add(RUSH, pending_hold(event_id)) for _ in range(3)] == [True, True, False]
    assert queue.add(RUSH, pending_hold())


async def test_a_cancelled_request_is_dropped() -> None:
    queue, holds = filled(RUSH, RUSH)
    holds[0].response.cancel()
    assert queue.take() == (RUSH, [holds[1]])
