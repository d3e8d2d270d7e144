"""The queue before the batches: in order, bounded, and fair between organizations."""

import asyncio
from uuid import UUID, uuid4

import pytest

from ticketing.infra.log import Cause
from ticketing.modules.reservations.hold import fair_queue
from ticketing.modules.reservations.hold.fair_queue import Waiting
from ticketing.modules.reservations.hold.requests import HoldRequest, Wish

RUSH, QUIET = uuid4(), uuid4()


def wish(event_id: UUID | None = None) -> Wish:
    request = HoldRequest(uuid4(), uuid4().hex, [b""], event_id or uuid4(), ("A-1",))
    return Wish(request, Cause("", "", ""), asyncio.get_running_loop().create_future())


def filled(*organizations: UUID, batch_max: int = 3) -> tuple[Waiting, list[Wish]]:
    queue, wishes = Waiting(lanes_of_organization=2, batch_max=batch_max), [wish() for _ in organizations]
    for organization_id, one in zip(organizations, wishes, strict=True):
        assert queue.add(organization_id, one)
    return queue, wishes


async def test_a_batch_is_what_came_first_of_one_organization() -> None:
    queue, wishes = filled(RUSH, QUIET, RUSH, RUSH, RUSH)
    assert queue.take() == (RUSH, [wishes[0], wishes[2], wishes[3]])
    assert queue.take() == (QUIET, [wishes[1]])
    assert queue.take() == (RUSH, [wishes[4]])
    assert queue.take() is None


async def test_a_rush_has_so_many_lanes_and_the_others_are_served_beside_it() -> None:
    queue, wishes = filled(*[RUSH] * 9, QUIET)
    assert [queue.take()[0] for _ in range(3)] == [RUSH, QUIET, RUSH]
    assert not queue.has_work, "the rush has all the lanes that it may have"
    assert queue.take() is None
    queue.give_back(RUSH)
    assert queue.has_work
    assert queue.take() == (RUSH, wishes[6:9])


async def test_what_could_not_be_decided_is_served_first() -> None:
    queue, wishes = filled(RUSH, RUSH)
    again = wish()
    queue.add_again(RUSH, again)
    assert queue.take() == (RUSH, [again, *wishes])


async def test_a_full_queue_takes_nobody_until_somebody_was_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "WAITING_MAX", 3)
    queue, _ = filled(RUSH, RUSH, QUIET)
    assert not queue.add(QUIET, wish())
    queue.take()
    assert queue.add(QUIET, wish())


async def test_one_event_fills_its_own_share_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "WAITING_OF_EVENT_MAX", 2)
    queue, event_id = Waiting(2, 3), uuid4()
    assert [queue.add(RUSH, wish(event_id)) for _ in range(3)] == [True, True, False]
    assert queue.add(RUSH, wish())


async def test_whoever_has_left_is_not_served() -> None:
    queue, wishes = filled(RUSH, RUSH)
    wishes[0].answered.cancel()
    assert queue.take() == (RUSH, [wishes[1]])
