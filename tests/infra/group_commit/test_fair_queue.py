"""The queue before the batches: in order, bounded, and fair between organizations and kinds of requests."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra.group_commit import Pending, fair_queue
from ticketing.infra.group_commit.fair_queue import FairQueue, Lane
from ticketing.infra.group_commit.metrics import WAITING
from ticketing.infra.log import Cause


@dataclass(slots=True, eq=False)
class PendingRequest(Pending[UUID, None]):
    @property
    def subject_id(self) -> UUID:
        return self.request


class NoCommitter:
    waiting = WAITING.labels("test")

    async def commit(
        self, connection: AsyncConnection, organization_id: UUID, batch: Sequence[Pending[UUID, None]]
    ) -> None:
        raise NotImplementedError

    def error_for_client(self, error: Exception) -> Exception:
        return error


ONE_KIND, OTHER_KIND = NoCommitter(), NoCommitter()
RUSH, QUIET = Lane(uuid4(), ONE_KIND), Lane(uuid4(), ONE_KIND)
RUSH_OF_OTHER_KIND = Lane(RUSH.organization_id, OTHER_KIND)


def pending_request(subject_id: UUID | None = None) -> PendingRequest:
    return PendingRequest(subject_id or uuid4(), Cause("", "", ""), asyncio.get_running_loop().create_future())


def filled(*lanes: Lane, batch_max: int = 3) -> tuple[FairQueue, list[PendingRequest]]:
    queue, requests = FairQueue(workers_per_organization=2, batch_max=batch_max), [pending_request() for _ in lanes]
    for lane, one in zip(lanes, requests, strict=True):
        assert queue.add(lane, one)
    return queue, requests


async def test_a_batch_has_the_oldest_requests_of_one_lane() -> None:
    queue, requests = filled(RUSH, QUIET, RUSH, RUSH, RUSH)
    assert queue.take() == (RUSH, [requests[0], requests[2], requests[3]])
    assert queue.take() == (QUIET, [requests[1]])
    assert queue.take() == (RUSH, [requests[4]])
    assert queue.take() is None


async def test_kinds_of_one_organization_take_turns_and_are_never_mixed() -> None:
    queue, requests = filled(RUSH, RUSH, RUSH, RUSH, RUSH_OF_OTHER_KIND)
    assert queue.take() == (RUSH, requests[:3])
    assert queue.take() == (RUSH_OF_OTHER_KIND, requests[4:])


async def test_a_rush_has_a_bounded_number_of_workers_and_other_organizations_are_served() -> None:
    queue, requests = filled(*[RUSH] * 9, RUSH_OF_OTHER_KIND, QUIET)
    assert [queue.take()[0] for _ in range(3)] == [RUSH, RUSH_OF_OTHER_KIND, QUIET]
    assert not queue.has_work, "the rush has as many workers as one organization may have, of all kinds together"
    assert queue.take() is None
    queue.release(RUSH_OF_OTHER_KIND)
    assert queue.has_work
    assert queue.take() == (RUSH, requests[3:6])


async def test_a_retried_request_is_served_first() -> None:
    queue, requests = filled(RUSH, RUSH)
    retried = pending_request()
    queue.requeue(RUSH, retried)
    assert queue.take() == (RUSH, [retried, *requests])


async def test_a_full_queue_refuses_requests_until_a_batch_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "PENDING_MAX", 3)
    queue, _ = filled(RUSH, RUSH, QUIET)
    assert not queue.add(QUIET, pending_request())
    queue.take()
    assert queue.add(QUIET, pending_request())


async def test_one_subject_fills_only_its_own_share_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "PENDING_OF_SUBJECT_MAX", 2)
    queue, subject_id = FairQueue(2, 3), uuid4()
    assert [queue.add(RUSH, pending_request(subject_id)) for _ in range(3)] == [True, True, False]
    assert queue.add(RUSH, pending_request())
    assert queue.add(RUSH_OF_OTHER_KIND, pending_request(subject_id)), "a rush of holds does not refuse their orders"


async def test_a_cancelled_request_is_dropped() -> None:
    queue, requests = filled(RUSH, RUSH)
    requests[0].response.cancel()
    assert queue.take() == (RUSH, [requests[1]])
