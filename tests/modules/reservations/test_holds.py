"""Holds of seats and places: all or nothing, once per key, until they expire, and never two for one seat."""

import asyncio
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.drain import drain
from tests.support.world import API, Show, World, data, refusal


async def statuses(world: World, show: Show) -> str:
    answer = data(await world.client.get(f"{API}/events/{show.id}/seats?limit=100"))
    return "".join(seat["status"][0] for seat in sorted(answer, key=lambda s: s["number"]))


async def backdate(app: FastAPI, reservation_id: str, seconds: float = 1) -> None:
    """Make a hold lapse without waiting."""
    async with app.state.worker_database.transaction() as session:
        values = {"id": reservation_id, "seconds": seconds}
        past = "now() - make_interval(secs => :seconds)"
        await session.execute(text(f"update reservations set expires_at = {past} where id = :id"), values)
        await session.execute(
            text(f"update event_seats set held_until = {past} where reservation_id = :id"),
            values,
        )


async def test_a_buyer_holds_seats(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1, hold_seconds=120), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-3", "Stalls-A-2")
    assert held["status"] == "active"
    assert [item["seat"] for item in held["items"]] == ["Stalls-A-3", "Stalls-A-2"]
    assert {item["quantity"] for item in held["items"]} == {1}
    assert held["items"][0]["price"] == {"amount": 4500, "currency": "EUR", "digits": 2}
    assert held["total"] == {"amount": 9000, "currency": "EUR", "digits": 2}
    assert held["expires_at"].endswith("Z")
    assert await statuses(world, show) == "ahha"
    assert data(await buyer.get(f"/reservations/{held['id']}")) == held


async def test_the_message_is_in_the_log_with_the_hold(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-3")
    async with app.state.worker_database.transaction() as session:
        query = text("select key, payload, actor, correlation_id from outbox where topic = 'reservation.created'")
        row = (await session.execute(query)).one()
    assert row.key == held["id"]
    assert row.payload["seat_numbers"] == [2]
    assert row.actor == f"user:{buyer.id}"
    assert row.correlation_id


async def test_a_taken_seat_is_refused_by_name_and_nothing_is_held(world: World) -> None:
    show, first, second = await world.show(seats=4, rows=1), await world.person(), await world.person()
    await world.hold(first, show, "Stalls-A-2")
    wanted = {"event_id": show.id, "seats": ["Stalls-A-1", "Stalls-A-2", "Stalls-A-3"]}
    error = refusal(await second.post("/reservations", wanted), 409)
    assert error["code"] == "seat_unavailable"
    assert error["seats"] == ["Stalls-A-2"]
    assert await statuses(world, show) == "ahaa"


async def test_fifty_requests_for_one_seat_have_one_winner(world: World) -> None:
    show = await world.show(seats=2, rows=1)
    buyers = await asyncio.gather(*[world.person() for _ in range(10)])
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    answers = await asyncio.gather(*[buyer.post("/reservations", body) for buyer in buyers for _ in range(5)])
    assert sorted(a.status_code for a in answers) == [201] + [409] * 49
    assert {refusal(a, 409)["code"] for a in answers if a.status_code == 409} <= {"seat_unavailable", "seat_contended"}


async def test_overlapping_requests_never_share_a_seat(app: FastAPI, world: World) -> None:
    show = await world.show(seats=12, rows=1)
    buyers = await asyncio.gather(*[world.person() for _ in range(12)])
    wanted = [[show.labels[n], show.labels[(n + 1) % 12]] for n in range(12)]
    answers = await asyncio.gather(
        *[b.post("/reservations", {"event_id": show.id, "seats": w}) for b, w in zip(buyers, wanted, strict=True)]
    )
    won = [item["seat"] for a in answers if a.status_code == 201 for item in data(a, 201)["items"]]
    assert won
    assert len(won) == len(set(won))
    async with app.state.worker_database.transaction() as session:
        assert await session.scalar(text("select count(*) from event_seats where status = 'h'")) == len(won)


async def test_places_are_taken_from_a_counter_and_never_oversold(app: FastAPI, world: World) -> None:
    show = await world.show(seats=0, capacity=10)
    buyers = await asyncio.gather(*[world.person() for _ in range(8)])
    items = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    answers = await asyncio.gather(*[b.post("/reservations", {"event_id": show.id, "items": items}) for b in buyers])
    assert sorted(a.status_code for a in answers) == [201] * 3 + [409] * 5
    assert {refusal(a, 409)["code"] for a in answers if a.status_code == 409} == {"sold_out"}
    async with app.state.worker_database.transaction() as session:
        assert await session.scalar(text("select held from ticket_types")) == 9


async def test_seats_and_places_in_one_hold(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1, capacity=5), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    held = await world.hold(buyer, show, "Stalls-A-1", items=items)
    assert held["total"]["amount"] == 4500 + 2 * 2500
    assert held["items"][1] == {**items[0], "seat": None, "price": {"amount": 2500, "currency": "EUR", "digits": 2}}


async def test_without_enough_places_the_seats_stay_free(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1, capacity=1), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    answer = await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"], "items": items})
    assert refusal(answer, 409)["code"] == "sold_out"
    assert await statuses(world, show) == "aaaa"


async def test_the_best_available_seats_are_together(world: World) -> None:
    show, buyer = await world.show(seats=6, rows=2), await world.person()
    await world.hold(await world.person(), show, "Stalls-A-3")
    held = await world.hold(buyer, show, best_available={"quantity": 4})
    assert [item["seat"] for item in held["items"]] == ["Stalls-B-1", "Stalls-B-2", "Stalls-B-3", "Stalls-B-4"]


async def test_the_best_available_seats_are_beside_the_named_ones(world: World) -> None:
    show, buyer = await world.show(seats=12, rows=3, capacity=5), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    held = await world.hold(buyer, show, "Stalls-B-4", items=items, best_available={"quantity": 2})
    # The middle of the row is to the right.
    assert [item["seat"] for item in held["items"]] == ["Stalls-B-4", "Stalls-B-5", "Stalls-B-6", None]


@pytest.mark.parametrize(("named", "code"), [("Stalls-A-1", "seat_unavailable"), ("Stalls-Z-1", "seat_unknown")])
async def test_a_named_seat_that_is_not_free_refuses_the_best_available_ones_too(
    world: World, named: str, code: str
) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    await world.hold(await world.person(), show, "Stalls-A-1")
    body = {"event_id": show.id, "seats": [named], "best_available": {"quantity": 2}}
    assert refusal(await buyer.post("/reservations", body), 409 if named in show.labels else 422)["code"] == code
    assert await statuses(world, show) == "haaa"


async def test_thirty_parallel_retries_of_one_key_make_one_reservation(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    answers = await asyncio.gather(*[buyer.post("/reservations", body, key="one") for _ in range(30)])
    made = [a for a in answers if a.status_code == 201]
    assert made
    assert len({a.content for a in made}) == 1
    assert sum("Idempotency-Replayed" not in a.headers for a in made) == 1
    assert {refusal(a, 409)["code"] for a in answers if a.status_code != 201} <= {"idempotency_in_flight"}
    async with app.state.worker_database.transaction() as session:
        assert await session.scalar(text("select count(*) from reservations")) == 1


async def test_a_replay_is_identical_even_after_the_hold_has_ended(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    first = await buyer.post("/reservations", body, key="k")
    data(await buyer.delete(f"/reservations/{data(first, 201)['id']}"))
    again = await buyer.post("/reservations", body, key="k")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == first.content
    assert await statuses(world, show) == "aaaa"


async def test_a_key_used_for_another_seat_is_a_mismatch(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    data(await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]}, key="k"), 201)
    other = await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-2"]}, key="k")
    assert refusal(other, 422)["code"] == "idempotency_mismatch"


async def test_a_refusal_is_replayed_too(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    held = await world.hold(await world.person(), show, "Stalls-A-1")
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    first = await buyer.post("/reservations", body, key="k")
    assert first.status_code == 409
    assert held
    again = await buyer.post("/reservations", body, key="k")
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_the_same_key_of_two_buyers_is_two_keys(world: World) -> None:
    show = await world.show(seats=4, rows=1)
    for label in ("Stalls-A-1", "Stalls-A-2"):
        buyer = await world.person()
        data(await buyer.post("/reservations", {"event_id": show.id, "seats": [label]}, key="k"), 201)


async def test_a_lapsed_hold_is_free_at_once_without_the_scheduler(app: FastAPI, world: World) -> None:
    show, first, second = await world.show(seats=4, rows=1), await world.person(), await world.person()
    held = await world.hold(first, show, "Stalls-A-1", "Stalls-A-2")
    await backdate(app, held["id"])
    assert await statuses(world, show) == "aaaa"
    assert data(await first.get(f"/reservations/{held['id']}"))["status"] == "expired"
    await world.hold(second, show, "Stalls-A-2")
    # The overtaken reservation ended in the same transaction, and its other seat with it.
    assert await statuses(world, show) == "ahaa"
    async with app.state.worker_database.transaction() as session:
        topics = await session.scalars(text("select topic from outbox where topic like 'reservation%' order by id"))
        assert topics.all() == ["reservation.created", "reservation.expired", "reservation.created"]


async def test_places_of_a_lapsed_hold_are_free_at_once(app: FastAPI, world: World) -> None:
    show, first, second = await world.show(seats=0, capacity=3), await world.person(), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    held = await world.hold(first, show, items=items)
    await backdate(app, held["id"])
    assert (await world.hold(second, show, items=items))["status"] == "active"


async def test_a_hold_can_be_extended_once(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1, hold_seconds=60), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    longer = data(await buyer.post(f"/reservations/{held['id']}/extend"))
    assert longer["expires_at"] > held["expires_at"]
    assert longer["extensions_left"] == 0
    again = await buyer.post(f"/reservations/{held['id']}/extend")
    assert refusal(again, 409)["code"] == "extension_limit"


async def test_a_lapsed_hold_can_neither_be_extended_nor_cancelled(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    await backdate(app, held["id"])
    for answer in (
        await buyer.post(f"/reservations/{held['id']}/extend"),
        await buyer.delete(f"/reservations/{held['id']}"),
    ):
        assert refusal(answer, 409)["code"] == "reservation_expired"


async def test_a_cancelled_hold_is_free_at_once(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1, capacity=2), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    held = await world.hold(buyer, show, "Stalls-A-1", items=items)
    assert data(await buyer.delete(f"/reservations/{held['id']}"))["status"] == "cancelled"
    assert data(await buyer.delete(f"/reservations/{held['id']}"))["status"] == "cancelled"
    await world.hold(await world.person(), show, "Stalls-A-1", items=items)


async def test_another_buyers_reservation_is_not_found(world: World) -> None:
    show, buyer, other = await world.show(seats=4, rows=1), await world.person(), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    for path in (f"/reservations/{held['id']}", f"/reservations/{uuid4()}"):
        assert refusal(await other.get(path), 404)["code"] == "not_found"
        assert refusal(await other.delete(path), 404)["code"] == "not_found"
        assert refusal(await other.post(f"{path}/extend"), 404)["code"] == "not_found"
    assert data(await show.tenant.admin.get(f"/reservations/{held['id']}"))["id"] == held["id"]


async def test_my_reservations_are_paged_newest_first(world: World) -> None:
    show, buyer = await world.show(seats=5, rows=1), await world.person()
    held = [(await world.hold(buyer, show, label))["id"] for label in show.labels]
    seen, cursor = [], ""
    while cursor is not None:
        answer = await buyer.get("/me/reservations", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [r["id"] for r in data(answer)]
        cursor = answer.json()["meta"]["next_cursor"]
    assert seen == held[::-1]


@pytest.mark.parametrize("state", ["draft", "cancelled", "not yet", "over"])
async def test_only_an_event_on_sale_can_be_held(world: World, state: str) -> None:
    window = {
        "not yet": {"sales_start_at": "2029-01-01T00:00:00Z"},
        "over": {"sales_start_at": "2020-01-01T00:00:00Z", "sales_end_at": "2020-02-01T00:00:00Z"},
    }.get(state, {})
    show, buyer = await world.show(seats=4, rows=1, publish=state != "draft", **window), await world.person()
    if state == "cancelled":
        data(await show.tenant.admin.post(show.path("/cancel")))
    answer = await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]})
    if state == "draft":
        assert refusal(answer, 404)["code"] == "not_found"
    else:
        assert refusal(answer, 422)["code"] == "event_not_on_sale"


async def test_no_order_may_have_more_than_the_event_allows(world: World) -> None:
    show, buyer = await world.show(seats=6, rows=1, max_per_order=3), await world.person()
    answer = await buyer.post("/reservations", {"event_id": show.id, "seats": show.labels[:4]})
    assert refusal(answer, 422)["code"] == "limit_exceeded"
    assert await statuses(world, show) == "aaaaaa"


async def test_without_a_key_nothing_is_held(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    answer = await buyer.request("POST", "/reservations", json=body)
    assert refusal(answer, 400)["code"] == "idempotency_key_missing"
    assert await statuses(world, show) == "aaaa"


BAD_BODIES: list[tuple[dict[str, object], int, str, str]] = [
    ({"event_id": None}, 422, "invalid", "event_id"),
    ({"event_id": "x"}, 422, "invalid", "event_id"),
    ({"event_id": str(uuid4())}, 404, "not_found", ""),
    ({"seats": "Stalls-A-1"}, 422, "invalid", "seats"),
    ({"seats": []}, 422, "invalid", "body"),
    ({"seats": ["Stalls-A-1", "Stalls-A-1"]}, 422, "invalid", "seats"),
    ({"seats": ["Stalls-Z-99"]}, 422, "seat_unknown", "seats"),
    ({"seats": ["x" * 201]}, 422, "invalid", "seats.0"),
    ({"seats": ["Stalls-A-1\u0000"]}, 422, "invalid", "seats.0"),
    ({"seats": [f"s{n}" for n in range(1001)]}, 422, "invalid", "seats"),
    ({"seats": [], "items": [{"ticket_type_id": str(uuid4()), "quantity": 1}]}, 422, "invalid", "items.ticket_type_id"),
    ({"seats": [], "items": [{"ticket_type_id": str(uuid4()), "quantity": 0}]}, 422, "invalid", "items.0.quantity"),
    (
        {"seats": [], "items": [{"ticket_type_id": str(uuid4()), "quantity": 10**12}]},
        422,
        "invalid",
        "items.0.quantity",
    ),
    ({"seats": [], "best_available": {"quantity": -1}}, 422, "invalid", "best_available.quantity"),
    ({"best_available": {"quantity": 10}}, 422, "limit_exceeded", "best_available.quantity"),
    ({"seatz": []}, 422, "invalid", "seatz"),
]


@pytest.mark.parametrize(("change", "status", "code", "field"), BAD_BODIES)
async def test_invalid_input_is_named_and_changes_nothing(
    world: World, change: dict[str, object], status: int, code: str, field: str
) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    answer = await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"], **change})
    error = refusal(answer, status)
    assert error["code"] == code
    assert error.get("field", "") == field
    assert await statuses(world, show) == "aaaa"


async def test_a_hold_needs_a_login(client: httpx2.AsyncClient, world: World) -> None:
    show = await world.show(seats=4, rows=1)
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    answer = await client.post(f"{API}/reservations", json=body, headers={"Idempotency-Key": "k"})
    assert refusal(answer, 401)["code"] == "unauthenticated"


async def test_consuming_the_log_keeps_the_hold(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    assert await drain(app) > 0
    assert await drain(app) == 0
    assert data(await buyer.get(f"/reservations/{held['id']}"))["status"] == "active"
