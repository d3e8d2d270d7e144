"""One account cannot hold a whole house: a limit on what it holds at one time, and a rest for seats that it let go."""

import asyncio
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import end_hold, rows
from tests.support.platform import eventually
from tests.support.world import Person, Show, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.modules import reservations

LIMIT, REST_SECONDS = 40, 2


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the default limit, and a shorter rest."""
    fields = Settings.model_fields
    assert fields["held_places_max"].default == LIMIT
    assert fields["seat_rest_seconds"].default > 0
    return settings.model_copy(update={"held_places_max": LIMIT, "seat_rest_seconds": REST_SECONDS})


async def post(buyer: Person, show: Show, *seats: str, **body: Any) -> httpx2.Response:
    wanted = {"event_id": show.id, **({"seats": list(seats)} if seats else {}), **body}
    return await buyer.post("/reservations", wanted)


async def held_by(app: FastAPI, buyer: Person) -> int:
    held = """
        select coalesce(sum(i.quantity), 0) from reservations r
          join reservation_items i on i.reservation_id = r.id where r.user_id = :id and r.status = 'active'"""
    return int((await rows(app, held, id=buyer.id))[0][0])


async def test_one_account_does_not_hold_a_whole_house(app: FastAPI, world: World) -> None:
    """By single seats, by the best available, and by standing places, all at once."""
    show = await world.show(rows=4, seats=25, capacity=50)
    greedy, other = await world.person(), await world.person()
    places = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    wanted = [post(greedy, show, label) for label in show.labels[:60]]
    wanted += [post(greedy, show, best_available={"quantity": 2}) for _ in range(10)]
    wanted += [post(greedy, show, items=places) for _ in range(30)]
    statuses = {answer.status_code for answer in await asyncio.gather(*wanted)}
    assert statuses <= {201, 409, 422}
    assert await held_by(app, greedy) <= LIMIT
    # Until the limit is reached exactly.
    while (left := LIMIT - await held_by(app, greedy)) > 0:
        data(await post(greedy, show, items=[{**places[0], "quantity": min(left, 10)}]), 201)
    error = refusal(await post(greedy, show, items=places), 422)
    assert (error["code"], error["limit"], error["left"]) == ("limit_exceeded", LIMIT, 0)
    data(await post(other, show, show.labels[-1]), 201)


async def test_two_processes_count_one_account_together(app: FastAPI, world: World) -> None:
    """A count that another transaction has locked is waited for, and no other buyer waits with it."""
    show, slow, quick = (
        await world.show(rows=1, seats=5, max_held_per_buyer=1),
        await world.person(),
        await world.person(),
    )
    lock = "select pg_advisory_xact_lock(uuid_hash_extended(:user, uuid_hash_extended(:event, 1)))"
    async with app.state.worker_database.transaction() as session:
        await session.execute(text(lock), {"user": slow.id, "event": show.id})
        data(await post(quick, show, "Stalls-A-1"), 201)
        waiting = asyncio.create_task(post(slow, show, "Stalls-A-2"))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
    data(await waiting, 201)
    assert refusal(await post(slow, show, "Stalls-A-3"), 422)["limit"] == 1


async def test_places_that_end_or_are_bought_do_not_count(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=0, capacity=50, max_held_per_buyer=2), await world.person()
    two = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    await world.buy(buyer, show, items=two)
    held = data(await post(buyer, show, items=two), 201)
    assert refusal(await post(buyer, show, items=two), 422)["left"] == 0
    data(await buyer.delete(f"/reservations/{held['id']}"))
    held = data(await post(buyer, show, items=two), 201)
    await end_hold(app, held["id"], -1)
    data(await post(buyer, show, items=two), 201)


async def test_the_limit_of_an_event_replaces_that_of_the_platform(world: World) -> None:
    """A group holds what one order may have, in any event; the organizer can allow more or less."""
    show, buyer = await world.show(seats=0, capacity=500, max_per_order=60), await world.person()
    many = [{"ticket_type_id": show.area_type_id, "quantity": 60}]
    data(await post(buyer, show, items=many), 201)
    assert refusal(await post(buyer, show, items=many), 422)["limit"] == 60
    assert data(await show.tenant.admin.patch(show.path(), {"max_held_per_buyer": 120}))["max_held_per_buyer"] == 120
    data(await post(buyer, show, items=many), 201)
    assert refusal(await post(buyer, show, items=many), 422)["limit"] == 120
    for wrong in (0, 100_001, "9"):
        refusal(await show.tenant.admin.patch(show.path(), {"max_held_per_buyer": wrong}), 422)
    assert data(await show.tenant.admin.patch(show.path(), {"max_held_per_buyer": None}))["max_held_per_buyer"] is None


@pytest.mark.parametrize("ending", ["cancelled", "lapsed", "swept"])
async def test_seats_that_were_let_go_rest_for_their_holder_only(app: FastAPI, world: World, ending: str) -> None:
    show, buyer, other = await world.show(rows=1, seats=4), await world.person(), await world.person()
    held = data(await post(buyer, show, "Stalls-A-1", "Stalls-A-2"), 201)
    if ending == "cancelled":
        data(await buyer.delete(f"/reservations/{held['id']}"))
    else:
        await end_hold(app, held["id"], -0.1)
    if ending == "swept":
        async with app.state.worker_database.transaction() as session:
            await reservations.expire_due(session)
    key = "the same key"
    again = {"event_id": show.id, "seats": ["Stalls-A-2", "Stalls-A-3"]}
    answer = await buyer.post("/reservations", again, key=key)
    error = refusal(answer, 409)
    assert (error["code"], error["seats"]) == ("seat_resting", ["Stalls-A-2"])
    assert answer.headers["Retry-After"] == str(REST_SECONDS)
    assert refusal(await post(buyer, show, best_available={"quantity": 4}), 409)["code"] == "seat_resting"
    data(await post(other, show, "Stalls-A-1"), 201)
    data(await post(buyer, show, "Stalls-A-4"), 201)

    async def held_again() -> bool:
        return (await buyer.post("/reservations", again, key=key)).status_code == 201

    await eventually(held_again)
