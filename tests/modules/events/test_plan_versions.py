"""An event moves to a new version of its venue's plan; seats that are held or sold keep their owner, or it stays."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.events.seat_driver import EARLIER, Stage
from tests.modules.reservations.test_lock_order import assert_consistent
from tests.support.drain import drain
from tests.support.platform import eventually
from tests.support.world import API, Show, World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules import events

Rows = dict[str, int]


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    return Stage(database, await world.show(rows=1, seats=4))


def sections(rows: Rows, name: str = "Stalls", category: str = "Stalls") -> dict[str, Any]:
    listed = [{"name": row, "seats": seats} for row, seats in rows.items()]
    return {"sections": [{"name": name, "category": category, "rows": listed}]}


async def renew(show: Show, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    """Give the show's venue another version of its plan."""
    path = show.tenant.path(f"/venues/{show.venue_id}/plans")
    answer: dict[str, Any] = data(await show.tenant.admin.post(path, body), status)
    return answer


async def sync(show: Show, **query: Any) -> Any:
    return await show.tenant.admin.post(show.path("/seats/sync"), params=query)


async def try_sync(show: Show) -> dict[str, Any]:
    answer: dict[str, Any] = data(await sync(show, dry_run=True))
    return answer


async def seatmap_of(world: World, show: Show) -> dict[str, Any]:
    answer: dict[str, Any] = data(await world.client.get(f"{API}/events/{show.id}/seatmap"))
    return answer


async def test_a_label_keeps_its_number_in_all_versions(world: World, stage: Stage) -> None:
    show = stage.show
    versions = [sections({"B": 1, "A": 2}), sections({"A": 3}), sections({"C": 1, "A": 5, "B": 1})]
    known = {f"Stalls-A-{n + 1}": n for n in range(4)}
    for number, body in enumerate(versions, start=2):
        venue = await renew(show, body)
        assert (venue["plan_version"], venue["capacity"]) == (
            number,
            sum(r["seats"] for r in body["sections"][0]["rows"]),
        )
        data(await sync(show))
        seats = (await seatmap_of(world, show))["seats"]
        for seat in seats:
            assert known.setdefault(seat["label"], seat["number"]) == seat["number"]
        assert len(set(known.values())) == len(known), "no number is of two labels"
        in_order = sorted(seats, key=lambda seat: seat.get("position", seat["number"]))
        assert [seat["label"] for seat in in_order] == [
            f"Stalls-{row['name']}-{n + 1}" for row in body["sections"][0]["rows"] for n in range(row["seats"])
        ]


async def test_seats_of_both_plans_keep_status_and_owner(app: FastAPI, world: World, stage: Stage) -> None:
    show, buyer = stage.show, await world.person()
    order = await world.buy(buyer, show, "Stalls-A-2")
    hold = await world.hold(buyer, show, "Stalls-A-3")
    data(await show.tenant.admin.post(show.path("/seats/block"), {"seats": ["Stalls-A-4"]}))
    await drain(app)
    await renew(show, sections({"B": 2, "A": 5}))
    changes = (await try_sync(show))["changes"]
    assert (changes["kept"], changes["added"], changes["removed"], changes["lost"]) == (4, 3, 0, [])
    assert await stage.letters() == "ashb", "a dry run changes nothing"
    assert data(await sync(show)) == {"seats": 7, "plan_version": 2}
    assert await stage.letters() == "ashbaaa"
    (ticket,) = data(await buyer.get("/me/tickets"))
    assert ticket["seat"] == "Stalls-A-2"
    assert data(await buyer.get(f"/orders/{order['id']}"))["total"] == order["total"]
    payment = await world.payment(buyer, await world.order(buyer, hold))
    data(await world.webhook("payment.succeeded", payment))
    assert await stage.letters() == "assbaaa"
    await assert_consistent(app)


async def test_removed_seats_leave_gaps_that_cannot_be_bought(app: FastAPI, world: World, stage: Stage) -> None:
    show, buyer = stage.show, await world.person()
    await world.buy(buyer, show, "Stalls-A-1")
    data(await show.tenant.admin.post(show.path("/seats/block"), {"seats": ["Stalls-A-3"]}))
    await renew(show, {"sections": [*sections({"A": 2})["sections"], *sections({"B": 2}, "Circle")["sections"]]})
    changes = (await try_sync(show))["changes"]
    assert (changes["removed"], changes["removed_blocked"], changes["is_possible"]) == (2, 1, True)
    assert data(await sync(show)) == {"seats": 4, "plan_version": 2}
    availability = data(await world.client.get(f"{API}/events/{show.id}/availability"))
    assert (availability["seats"], availability["plan_version"]) == ("sabbaa", 2)
    event = data(await world.client.get(f"{API}/events/{show.id}"))
    assert event["availability"] | {"capacity": 4, "available": 3, "sold": 1} == event["availability"]
    wanted = {"event_id": show.id, "seats": ["Stalls-A-3"]}
    assert refusal(await buyer.post("/reservations", wanted), 422)["code"] == "seat_unknown"
    best = await world.hold(buyer, show, best_available={"quantity": 2})
    assert [item["seat"] for item in best["items"]] == ["Circle-B-1", "Circle-B-2"]
    await assert_consistent(app)


async def test_best_seats_are_side_by_side_in_the_new_plan(world: World, stage: Stage) -> None:
    show, buyer = stage.show, await world.person()
    await renew(show, sections({"A": 2, "B": 1}))
    await renew(show, sections({"A": 6, "B": 2}))
    data(await sync(show))
    best = await world.hold(buyer, show, best_available={"quantity": 6})
    assert [item["seat"] for item in best["items"]] == [f"Stalls-A-{n}" for n in range(1, 7)]


@pytest.mark.parametrize("status", ["held", "sold"])
async def test_a_plan_without_a_seat_in_use_is_refused(world: World, stage: Stage, status: str) -> None:
    show, buyer = stage.show, await world.person()
    if status == "held":
        await world.hold(buyer, show, "Stalls-A-4")
    else:
        await world.buy(buyer, show, "Stalls-A-4")
    await renew(show, sections({"A": 3}))
    lost = [{"number": 3, "label": "Stalls-A-4", "status": status}]
    changes = (await try_sync(show))["changes"]
    assert (changes["is_possible"], changes["lost_count"], changes["lost"]) == (False, 1, lost)
    error = refusal(await sync(show), 409)
    assert (error["code"], error["seats"], error["lost"], error["lost_count"]) == (
        "seats_in_use",
        ["Stalls-A-4"],
        lost,
        1,
    )
    assert len(await stage.letters()) == 4
    assert (await seatmap_of(world, show))["plan_version"] == 1
    # A version that has the seat again is possible, although the one between does not have it.
    await renew(show, sections({"A": 4, "B": 1}))
    assert (await try_sync(show))["changes"]["is_possible"] is True
    assert data(await sync(show)) == {"seats": 5, "plan_version": 3}


async def test_a_lapsed_hold_loses_its_seat(app: FastAPI, stage: Stage) -> None:
    await stage.take(["Stalls-A-4"], uuid4(), EARLIER)
    await renew(stage.show, sections({"A": 3}))
    assert data(await sync(stage.show)) == {"seats": 3, "plan_version": 2}


async def test_a_sold_seat_of_another_category_keeps_its_price(app: FastAPI, world: World, stage: Stage) -> None:
    show, buyer = stage.show, await world.person()
    order = await world.buy(buyer, show, "Stalls-A-1")
    await renew(show, sections({"A": 4}, category="Gold"))
    changes = (await try_sync(show))["changes"]
    assert (changes["recategorized"], changes["unpriced"], changes["is_possible"]) == (4, ["Gold"], False)
    assert refusal(await sync(show), 422)["categories"] == ["Gold"]
    assert (await seatmap_of(world, show))["plan_version"] == 1
    gold = {"name": "Gold", "price": 9000, "categories": ["Gold"]}
    data(await show.tenant.admin.post(show.path("/ticket-types"), gold), 201)
    assert data(await sync(show))["plan_version"] == 2
    assert data(await buyer.get(f"/orders/{order['id']}"))["lines"] == order["lines"]
    hold = await world.hold(buyer, show, "Stalls-A-2")
    assert hold["total"]["amount"] == 9000
    await assert_consistent(app)


async def test_a_dry_run_needs_the_right_to_edit_events(world: World, stage: Stage) -> None:
    scanner, other = await world.member(stage.show.tenant, "ORG_SCANNER"), await world.tenant("other")
    for person, status in ((scanner, 403), (other.admin, 404)):
        refusal(await person.post(stage.show.path("/seats/sync?dry_run=true")), status)
        path = stage.show.tenant.path(f"/venues/{stage.show.venue_id}/plans")
        refusal(await person.post(path, sections({"A": 1})), status)
    path = other.path(f"/venues/{stage.show.venue_id}/plans")
    assert refusal(await other.admin.post(path, sections({"A": 1})), 404)["code"] == "not_found"


async def test_holds_that_race_a_sync_never_lose_their_seat(app: FastAPI, world: World, database: Database) -> None:
    """Each hold either has its seat in the end, or was refused; a sync that would take one away was refused."""
    show = await world.show(rows=2, seats=10)
    stage, buyers = Stage(database, show), [await world.person() for _ in range(4)]
    outcomes = set()
    for turn in range(6):
        # Row B comes and goes.
        await renew(show, sections({"A": 10} if turn % 2 == 0 else {"A": 10, "B": 10}))
        label = f"Stalls-{'B' if turn % 2 == 0 else 'A'}-{turn + 1}"
        others = [f"Stalls-A-{10 - n}" for n in range(3)]
        holds = [
            buyer.post("/reservations", {"event_id": show.id, "seats": [seat]})
            for buyer, seat in zip(buyers, [label, *others], strict=True)
        ]
        synced, *held = await asyncio.gather(sync(show), *holds)
        assert synced.status_code in (200, 409), synced.text
        assert {answer.status_code for answer in held} <= {201, 409, 422}
        owners = {seat.label: str(seat.reservation_id) for seat in await stage.seats() if seat.status == "h"}
        for answer in held:
            if answer.status_code == 201:
                made = data(answer, 201)
                assert owners[made["items"][0]["seat"]] == made["id"]
        outcomes.add((synced.status_code, held[0].status_code))
        await assert_consistent(app)
        for answer, buyer in zip(held, buyers, strict=True):
            if answer.status_code == 201:
                data(await buyer.delete(f"/reservations/{data(answer, 201)['id']}"))
    assert all((sync_status == 409) <= (hold_status == 201) for sync_status, hold_status in outcomes), outcomes


async def test_a_hold_in_progress_keeps_its_seat_from_a_sync(stage: Stage) -> None:
    """The sync waits for the hold's transaction, and then finds the seat held."""
    await renew(stage.show, sections({"A": 3}))
    async with stage.batch() as connection:
        locked = await stage.lock(connection, ["Stalls-A-4"])
        waiting = asyncio.ensure_future(sync(stage.show))
        async with stage.database.transaction() as session:
            query = text("select count(*) > 0 from pg_locks where not granted")
            await eventually(lambda: session.scalar(query))
        held = [stage.held(seat.number, uuid4()) for seat in locked.values()]
        await events.hold_locked(connection, stage.organization_id, held)
    assert refusal(await waiting, 409)["code"] == "seats_in_use"
    assert await stage.letters() == "aaah"


async def test_two_new_versions_at_once_get_two_numbers(stage: Stage) -> None:
    made = await asyncio.gather(*(renew(stage.show, sections({"A": 4, row: 1})) for row in "BCDE"))
    assert sorted(venue["plan_version"] for venue in made) == [2, 3, 4, 5]
    async with stage.database.transaction() as session:
        doubles = "select number from plan_seats where venue_id = :id group by number having count(distinct label) > 1"
        assert not (await session.execute(text(doubles), {"id": stage.show.venue_id})).all()
