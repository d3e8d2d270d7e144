"""A rehearsal has no side effects outside: its event is on no list, and no email is sent."""

from urllib.parse import quote

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.drain import drain
from tests.support.world import World, data
from ticketing.infra.email_addresses import is_undeliverable
from ticketing.modules import events
from ticketing.rehearsal import names, scratch_event


async def test_the_copy_of_an_event_is_on_no_list_and_can_be_read_by_its_id(
    app: FastAPI, world: World, client: httpx2.AsyncClient
) -> None:
    show, other = await world.show(title="Findable"), await world.show(title="Findable too")
    async with app.state.owner_database.transaction() as session:
        moved = {"id": show.id, "at": scratch_event.STARTS_AT}
        await session.execute(
            text("update events set starts_at = cast(:at as text)::timestamptz where id = :id"), moved
        )
    for query in (
        "",
        "?sort=-starts_at",
        "?q=Findable",
        f"?organization={show.tenant.id}",
        "?from=2200-01-01T00:00:00Z",
    ):
        listed = {event["id"] for event in data(await client.get(f"/api/v1/events{quote(query, safe='?=&')}"))}
        assert show.id not in listed, query
    assert {event["id"] for event in data(await client.get("/api/v1/events"))} == {other.id}
    async with app.state.worker_database.transaction() as session:
        assert [str(event.id) for event in await events.describe_upcoming(session)] == [other.id]
    assert data(await client.get(f"/api/v1/events/{show.id}"))["id"] == show.id


@pytest.mark.parametrize("is_rehearsal", [True, False], ids=["a rehearsal", "a sale"])
async def test_no_email_goes_to_a_buyer_of_a_rehearsal(
    app: FastAPI, world: World, capsys: pytest.CaptureFixture[str], is_rehearsal: bool
) -> None:
    email = names.order_email("0123456789ab", 1) if is_rehearsal else "ada@example.com"
    assert is_undeliverable(email) == is_rehearsal
    show, buyer = await world.show(seats=0, capacity=3, area_price=0), await world.person()
    held = await world.hold(buyer, show, items=[{"ticket_type_id": show.area_type_id, "quantity": 1}])
    body = {"reservation_id": held["id"], "buyer": {"email": email, "name": "Nobody"}}
    assert data(await buyer.post("/orders", body), 201)["status"] == "paid"
    await drain(app)
    assert (f"To: {email}" in capsys.readouterr().out) != is_rehearsal
    assert len(data(await buyer.get("/me/tickets"))) == 1
