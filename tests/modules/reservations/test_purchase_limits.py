"""Purchase limits hold per person: over all orders, and over all accounts with the same mailbox."""

import asyncio
import random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import end_hold, rows
from tests.modules.reservations.limited_buyer import LIMIT, LimitedBuyer, left, limited, post_hold
from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra.db.pipeline import driver_connection
from ticketing.modules.reservations import purchase_limits


async def registered(world: World, email: str) -> Person:
    body = {"email": email, "password": PASSWORD}
    answer = data(await world.client.post(f"{API}/auth/register", json=body), 201)
    return Person(world.client, answer["user"]["id"], email, answer["access_token"], answer["refresh_token"])


async def order(buyer: Person, held: Any, email: str) -> httpx2.Response:
    body = {"reservation_id": held["id"], "buyer": {"email": email, "name": "Ada Byron"}}
    return await buyer.post("/orders", body)


async def test_the_refusal_names_the_limit_and_the_rest(world: World) -> None:
    show, buyer = await limited(world), await world.person()
    data(await post_hold(buyer, show, 3), 201)
    error = refusal(await post_hold(buyer, show, 2), 422)
    assert error == {
        "code": "limit_exceeded",
        "message": "One person may have at most 4 tickets of this event, over all orders; you can have 1 more.",
        "field": "items",
        "limit": 4,
        "left": 1,
    }
    data(await post_hold(buyer, show, 1), 201)
    assert await left(buyer, show) == 0
    assert await left(await world.person(), show) == 4


async def test_seats_and_the_best_available_count_like_standing_places(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=10, capacity=10, max_per_buyer=LIMIT), await world.person()
    data(await post_hold(buyer, show, 1), 201)
    await world.hold(buyer, show, "Stalls-A-1", "Stalls-A-2")
    seats = {"event_id": show.id, "seats": ["Stalls-A-3", "Stalls-A-4"]}
    assert refusal(await buyer.post("/reservations", seats), 422)["field"] == "seats"
    best = {"event_id": show.id, "best_available": {"quantity": 2}}
    assert refusal(await buyer.post("/reservations", best), 422)["field"] == "best_available.quantity"
    assert len(await rows(app, "select 1 from event_seats where status = 'h'")) == 2
    await world.hold(buyer, show, best_available={"quantity": 1})


async def test_a_limit_that_is_set_later_counts_earlier_purchases(world: World) -> None:
    show, name = await limited(world, None), uuid4().hex
    buyer, twin = await registered(world, f"{name}@example.com"), await registered(world, f"{name}+2@example.com")
    data(await post_hold(buyer, show, 5), 201)
    data(await post_hold(buyer, show, 1), 201)
    assert data(await show.tenant.admin.patch(show.path(), {"max_per_buyer": 7}))["max_per_buyer"] == 7
    assert [await left(buyer, show), await left(twin, show)] == [1, 1]
    assert data(await show.tenant.admin.patch(show.path(), {"max_per_buyer": 2}))["max_per_buyer"] == 2
    assert await left(buyer, show) == 0
    assert data(await show.tenant.admin.patch(show.path(), {"max_per_buyer": None}))["max_per_buyer"] is None
    data(await post_hold(buyer, show, 10), 201)


@pytest.mark.parametrize("limit", [0, -1, 1001, 2.5, "4"])
async def test_a_limit_is_between_one_and_a_thousand(world: World, limit: object) -> None:
    show = await limited(world, None)
    error = refusal(await show.tenant.admin.patch(show.path(), {"max_per_buyer": limit}), 422)
    assert (error["code"], error["field"]) == ("invalid", "max_per_buyer")


async def test_each_event_has_its_own_allowance(world: World) -> None:
    buyer, first = await world.person(), await limited(world)
    second = await world.show(first.tenant, seats=0, capacity=10, max_per_buyer=LIMIT)
    data(await post_hold(buyer, first, 4), 201)
    data(await post_hold(buyer, second, 4), 201)


TWINS = [
    ("{}@example.com", "{}+second@example.com"),
    ("{}+a@example.com", "{}+b+c@example.com"),
    ("{}@EXAMPLE.com", "{}+1@example.com"),
    ("A.{}@gmail.com", "a{}+fan@googlemail.com"),
    ("{}@bücher.example", "{}+1@xn--bcher-kva.example"),
]
STRANGERS = [("a.{}@example.com", "a{}@example.com"), ("{}@gmail.com", "{}@example.com"), ("{}-1@x.com", "{}-2@x.com")]


@pytest.mark.parametrize(("first", "second", "rest"), [(*t, 1) for t in TWINS] + [(*s, 4) for s in STRANGERS])
async def test_addresses_of_one_mailbox_share_an_allowance(world: World, first: str, second: str, rest: int) -> None:
    show, name = await limited(world), uuid4().hex
    data(await post_hold(await registered(world, first.format(name)), show, 3), 201)
    assert await left(await registered(world, second.format(name)), show) == rest


async def test_fifty_holds_at_once_of_one_person_stay_within_the_limit(app: FastAPI, world: World) -> None:
    show, buyer = await limited(world), await world.person()
    answers = await asyncio.gather(*[post_hold(buyer, show, 1) for _ in range(50)])
    assert sorted(answer.status_code for answer in answers) == [201] * LIMIT + [422] * 46
    assert [row.held for row in await rows(app, "select held from ticket_types")] == [LIMIT]


async def test_fifty_holds_at_once_of_two_accounts_with_one_mailbox_stay_within_the_limit(world: World) -> None:
    show, name = await limited(world), uuid4().hex
    twins = [await registered(world, f"{name}+{n}@example.com") for n in range(2)]
    answers = await asyncio.gather(*[post_hold(twins[n % 2], show, 1) for n in range(50)])
    assert sorted(answer.status_code for answer in answers) == [201] * LIMIT + [422] * 46


async def test_buyers_do_not_wait_for_each_other(app: FastAPI, world: World) -> None:
    """While one buyer's allowance is locked, another buyer of the same event can hold."""
    show, slow, quick = await limited(world), await world.person(), await world.person()
    async with app.state.worker_database.transaction() as session:
        await purchase_limits.lock_address(session, UUID(show.id), slow.email)
        data(await post_hold(quick, show, 1), 201)
        waiting = asyncio.create_task(post_hold(slow, show, 1))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
    data(await waiting, 201)


async def test_a_batch_locks_and_counts_several_buyers_at_once(app: FastAPI, world: World) -> None:
    show, name = await limited(world), uuid4().hex
    people = [await registered(world, f"{name}{tag}@example.com") for tag in ("", "+1", "x")]
    data(await post_hold(people[0], show, 3), 201)
    data(await post_hold(people[2], show, 1), 201)
    buyers = [purchase_limits.Buyer(show.id, person.id) for person in people]

    async def count() -> list[int]:
        async with app.state.worker_database.engine.connect() as connection:
            pending = await purchase_limits.lock_allowances(
                await driver_connection(connection), show.tenant.id, random.sample(buyers, 3)
            )
            by_person = {buyer.user_id: allowance for buyer, allowance in (await pending.fetch()).items()}
            assert by_person[people[0].id].identity == by_person[people[1].id].identity
            return [by_person[person.id].places for person in people]

    assert [await count() for _ in range(3)] == [[3, 3, 1]] * 3


async def test_the_address_on_the_order_has_an_allowance_too(world: World) -> None:
    show, name = await limited(world), uuid4().hex
    first, second, third = [await world.person() for _ in range(3)]
    kept = data(await post_hold(first, show, 3), 201)
    data(await order(first, kept, f"{name}@example.com"), 201)
    held = data(await post_hold(second, show, 2), 201)
    error = refusal(await order(second, held, f"{name.upper()}+friend@example.com"), 422)
    assert (error["code"], error["field"], error["limit"], error["left"]) == ("limit_exceeded", "buyer.email", 4, 1)
    assert data(await second.get(f"/reservations/{held['id']}"))["status"] == "active"
    data(await order(second, held, second.email), 201)
    data(await order(third, data(await post_hold(third, show, 1), 201), f"{name}@example.com"), 201)


async def test_ten_orders_at_once_to_one_address_stay_within_the_limit(world: World) -> None:
    show, email = await limited(world), f"{uuid4().hex}@example.com"
    buyers = [await world.person() for _ in range(10)]
    holds = [data(await post_hold(buyer, show, 1), 201) for buyer in buyers]
    answers = await asyncio.gather(*[order(b, h, email) for b, h in zip(buyers, holds, strict=True)])
    assert sorted(answer.status_code for answer in answers) == [201] * LIMIT + [422] * 6


async def test_cancelled_and_expired_orders_return_the_allowance_of_the_address(app: FastAPI, world: World) -> None:
    show, email = await limited(world), f"{uuid4().hex}@example.com"
    for ended in ("cancelled", "expired"):
        buyer = await world.person()
        held = data(await post_hold(buyer, show, 4), 201)
        data(await order(buyer, held, email), 201)
        if ended == "cancelled":
            data(await buyer.delete(f"/reservations/{held['id']}"))
        else:
            await end_hold(app, held["id"], -1)
    buyer = await world.person()
    data(await order(buyer, data(await post_hold(buyer, show, 4), 201), email), 201)


@pytest.mark.parametrize("seed", range(4))
async def test_holds_and_orders_that_end_return_their_allowance(app: FastAPI, world: World, seed: int) -> None:
    buyer = LimitedBuyer(app, world, await limited(world), await world.person(), random.Random(seed))
    for _ in range(25):
        await buyer.step()
        assert await left(buyer.buyer, buyer.show) == buyer.left
