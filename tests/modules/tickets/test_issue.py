"""Issuing tickets: once per paid order, one ticket per unit of each line."""

import asyncio

import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tests.modules.tickets.ticket_sale import sell_tickets, tickets_of
from tests.support.drain import drain
from tests.support.world import World, data
from ticketing.infra.db import Database
from ticketing.infra.outbox import OutboxRow
from ticketing.modules import orders, tickets
from ticketing.modules.tickets import Ticket


async def payloads(app: FastAPI, topic: str) -> list[dict[str, object]]:
    async with app.state.worker_database.transaction() as session:
        rows = await session.scalars(select(OutboxRow.payload).where(OutboxRow.topic == topic).order_by(OutboxRow.id))
        return list(rows)


async def keys_of(app: FastAPI, *topics: str) -> set[str]:
    async with app.state.worker_database.transaction() as session:
        return set(await session.scalars(select(OutboxRow.key).where(OutboxRow.topic.in_(topics))))


async def test_a_paid_order_has_a_ticket_for_each_seat(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2")
    assert [t["seat"] for t in sale.tickets] == ["Stalls-A-1", "Stalls-A-2"]
    assert {t["status"] for t in sale.tickets} == {"issued"}
    assert {t["holder_name"] for t in sale.tickets} == {"Ada Byron"}
    assert {t["ticket_type_id"] for t in sale.tickets} == {sale.show.seat_type_id}
    event = sale.tickets[0]["event"]
    assert (event["title"], event["starts_at"], event["timezone"]) == (
        "Show",
        "2030-06-01T19:00:00Z",
        "Europe/Amsterdam",
    )
    assert event["venue"] == {"name": "Hall", "city": "Utrecht"}


async def test_three_standing_places_are_three_tickets_with_three_codes(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, standing=3)
    assert [t["seat"] for t in sale.tickets] == [None] * 3
    assert len({t["code"] for t in sale.tickets}) == 3


async def test_a_free_order_has_tickets_too(app: FastAPI, world: World) -> None:
    show = await world.show(price=0)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    await drain(app)
    assert len(await tickets_of(buyer, order)) == 1


async def test_repeated_and_concurrent_messages_issue_tickets_once(
    app: FastAPI, world: World, database: Database
) -> None:
    show = await world.show(seats=0, capacity=10)
    buyer = await world.person("buyer")
    items = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    order = await world.buy(buyer, show, items=items)
    (payload,) = await payloads(app, "order.paid")
    paid = orders.OrderPaid.model_validate(payload)

    async def deliver() -> None:
        async with database.transaction() as session:
            await tickets.issue_tickets(session, paid)

    await asyncio.gather(*(deliver() for _ in range(8)))
    await drain(app)
    await deliver()
    assert len(await tickets_of(buyer, order)) == 3
    (issued,) = await payloads(app, "tickets.issued")
    assert len(issued["ticket_ids"]) == 3  # type: ignore[arg-type]


async def test_an_unpaid_order_has_no_tickets(app: FastAPI, world: World) -> None:
    show = await world.show()
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    await drain(app)
    assert await tickets_of(buyer, order) == []


async def test_the_database_rejects_a_second_ticket_for_a_seat(app: FastAPI, world: World) -> None:
    await sell_tickets(app, world)
    async with app.state.worker_database.transaction() as session:
        row = (await session.scalars(select(Ticket))).one()
        names = set(Ticket.__mapper__.columns.keys()) - {"id", "created_at", "unit"}
        values = {name: getattr(row, name) for name in names}
        with pytest.raises(IntegrityError, match="uq_tickets_one_per_seat"):
            await session.execute(insert(Ticket).values(**values, unit=2))
        await session.rollback()


async def test_every_change_of_a_ticket_publishes_a_message(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2")
    friend = await world.person("friend")
    first, second = (t["id"] for t in sale.tickets)
    data(await sale.admin.post(sale.door(), {"code": sale.code, "gate": "North"}))
    data(await sale.buyer.post(f"/tickets/{second}/transfer", {"email": friend.email}))
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {"ticket_ids": [second]}), 201)
    (checked_in,) = await payloads(app, "ticket.checked_in")
    (transferred,) = await payloads(app, "ticket.transferred")
    (voided,) = await payloads(app, "tickets.voided")
    assert (checked_in["ticket_id"], checked_in["gate"], checked_in["is_correction"]) == (first, "North", False)
    assert (transferred["from_user_id"], transferred["to_user_id"]) == (sale.buyer.id, friend.id)
    assert (voided["ticket_ids"], voided["seat_numbers"]) == ([second], [1])
    topics = ("tickets.issued", "ticket.checked_in", "ticket.transferred", "tickets.voided")
    assert await keys_of(app, *topics) == {sale.order["id"]}
