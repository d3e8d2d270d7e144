"""The whole map: statuses, counters, and 304 for an unchanged map."""

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.world import API, World, data, refusal


async def let_holds_lapse(app: FastAPI) -> None:
    """Make every hold lapse without expiring it."""
    async with app.state.worker_database.transaction() as session:
        await session.execute(
            text("update event_seats set held_until = now() - interval '1 second' where status = 'h'")
        )
        await session.execute(text("update reservations set expires_at = now() - interval '1 second'"))


async def test_one_letter_per_seat_at_the_index_of_its_number(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=5), await world.person()
    await world.hold(buyer, show, "Stalls-A-2")
    await world.buy(buyer, show, "Stalls-A-4")
    data(await show.tenant.admin.post(show.path("/seats/block"), {"seats": ["Stalls-A-5"]}))
    answer = data(await world.client.get(f"{API}/events/{show.id}/availability"))
    assert answer == {"version": 0, "seats": "ahasb", "areas": {}, "plan_version": 1}


async def test_lapsed_holds_are_available_for_seats_and_places(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=2, capacity=10), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 4}]
    await world.hold(buyer, show, "Stalls-A-1", items=items)
    path = f"{API}/events/{show.id}/availability"
    before = data(await world.client.get(path))
    assert (before["seats"], before["areas"][show.area_type_id]) == ("ha", {"capacity": 10, "available": 6})
    await let_holds_lapse(app)
    after = data(await world.client.get(path))
    assert (after["seats"], after["areas"][show.area_type_id]) == ("aa", {"capacity": 10, "available": 10})


async def test_an_unchanged_map_is_not_sent_again(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    first = await world.client.get(path)
    etag = first.headers["ETag"]
    again = await world.client.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    await world.hold(await world.person(), show, "Stalls-A-1")
    changed = await world.client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


async def test_a_draft_is_shown_to_its_organization_only(world: World) -> None:
    draft, stranger = await world.show(rows=1, seats=2, publish=False), await world.person()
    path = f"/events/{draft.id}/availability"
    assert refusal(await world.client.get(f"{API}{path}"), 404)["code"] == "not_found"
    assert refusal(await stranger.get(path), 404)["code"] == "not_found"
    assert data(await draft.tenant.admin.get(path))["seats"] == "aa"


@pytest.mark.parametrize(("event_id", "status"), [("01a1fcaa-0000-7000-8000-000000000000", 404), ("nonsense", 422)])
async def test_an_unknown_event_is_not_found(world: World, event_id: str, status: int) -> None:
    for path in ("availability", "stream"):
        refusal(await world.client.get(f"{API}/events/{event_id}/{path}"), status)
