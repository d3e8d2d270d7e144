"""`ticketing check` finds what contradicts itself, and nothing where all is well."""

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.drain import drain
from tests.world import World, data
from ticketing import invariants


async def offended(app: FastAPI) -> set[str]:
    async with app.state.worker_database.transaction() as session:
        return {verdict.invariant.name for verdict in await invariants.check(session) if verdict.count}


async def live(app: FastAPI, world: World) -> None:
    """A day in the life of the database: held, bought, checked in, given back, in seats and in places."""
    show, buyer = await world.show(seats=8, rows=1, capacity=20), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    await world.hold(buyer, show, "Stalls-A-1", items=items)
    data(await buyer.delete(f"/reservations/{(await world.hold(buyer, show, 'Stalls-A-2'))['id']}"))
    await world.buy(buyer, show, "Stalls-A-3", "Stalls-A-4", items=items)
    refunded = await world.buy(buyer, show, "Stalls-A-5", items=items)
    await drain(app)
    tickets = data(await buyer.get(f"/orders/{refunded['id']}/tickets"))
    ids = [tickets[0]["id"], tickets[1]["id"]]
    data(await show.tenant.admin.post(f"/orders/{refunded['id']}/refunds", {"ticket_ids": ids}), 201)
    body = {"code": tickets[2]["code"]}
    data(await show.tenant.admin.post(show.path("/check-ins"), body))
    await drain(app)


async def test_a_lively_database_contradicts_nothing(app: FastAPI, world: World) -> None:
    await live(app, world)
    assert await offended(app) == set()


BROKEN = {
    "held_seat_has_its_hold": "update reservations set status = 'cancelled' where status = 'active'",
    "sold_seat_has_its_sale": "update reservation_items set is_confirmed = false",
    "running_hold_has_its_seats": (
        "update event_seats set status = 'a', reservation_id = null, held_until = null where status = 'h'"
    ),
    "held_places_are_counted": "update ticket_types set held = held + 1 where capacity is not null",
    "sold_places_are_counted": "update ticket_types set sold = sold - 1 where capacity is not null",
    "paid_order_has_its_tickets": "update orders set paid_at = now() - interval '2 minutes'; delete from check_ins;"
    " delete from tickets",
    "live_ticket_has_its_seat": "update tickets set seat_number = 7 where seat_number = 3",
    "returned_units_are_voided": "update reservation_items set returned = 0",
    "money_pays_or_goes_back": "update orders set paid_at = null",
    "refunds_add_up": "update payments set refunded_minor = 1",
    "admission_is_recorded": "delete from check_ins",
    "readers_are_behind_the_log": "update outbox_cursor set last_id = 1000000",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_each_contradiction_is_found(app: FastAPI, world: World, name: str) -> None:
    await live(app, world)
    async with app.state.owner_database.transaction() as session:
        for statement in ("set local session_replication_role = replica", *BROKEN[name].split(";")):
            await session.execute(text(statement))
    assert name in await offended(app)


def test_every_invariant_can_be_broken() -> None:
    assert {invariant.name for invariant in invariants.INVARIANTS} == set(BROKEN)
