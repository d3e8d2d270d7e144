"""Reading orders: by the buyer, by staff, and by reference; in pages and with filters."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import run
from tests.support.world import API, Person, Show, World, data, refusal


async def order_for(world: World, buyer: Person, show: Show, label: str, name: str, email: str = "") -> Any:
    reservation = await world.hold(buyer, show, label)
    body = {"reservation_id": reservation["id"], "buyer": {"email": email or buyer.email, "name": name}}
    return data(await buyer.post("/orders", body), 201)


async def test_a_reference_and_its_email_open_an_order_without_logging_in(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await order_for(world, buyer, show, "Stalls-A-1", "Ada", "Ada.Byron@Example.com")
    typed = order["reference"].lower().replace("-", "")
    for reference, email in ((order["reference"], "ada.byron@example.com"), (typed, "ADA.Byron@example.COM")):
        path = f"{API}/orders/by-reference/{reference}"
        assert data(await world.client.get(path, params={"email": email}))["id"] == order["id"]


async def test_a_wrong_email_looks_like_an_unknown_reference(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    order = await order_for(world, await world.person(), show, "Stalls-A-1", "Ada", "ada@example.com")
    answers = []
    for reference, email in (
        (order["reference"], "eve@example.com"),
        ("2222-2222", "ada@example.com"),
        ("nonsense", "ada@example.com"),
        ("%00", "ada@example.com"),
        (order["reference"], "a\x00@example.com"),
    ):
        error = refusal(await world.client.get(f"{API}/orders/by-reference/{reference}", params={"email": email}), 404)
        answers.append(error)
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("params", [{}, {"email": ""}, {"email": "a" * 255}])
async def test_a_reference_requires_an_email_address(world: World, params: dict[str, str]) -> None:
    answer = await world.client.get(f"{API}/orders/by-reference/2222-2222", params=params)
    assert refusal(answer, 422)["field"] == "email"


async def test_only_the_buyer_and_staff_can_read_an_order(world: World) -> None:
    tenant = await world.tenant()
    show = await world.show(tenant, rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await order_for(world, buyer, show, "Stalls-A-1", "Ada")
    for reader in (buyer, tenant.admin, await world.member(tenant, "ORG_STAFF")):
        assert data(await reader.get(f"/orders/{order['id']}")) == order
    outsiders = (await world.person(), await world.member(tenant, "ORG_SCANNER"), (await world.tenant()).admin)
    for reader in outsiders:
        refusal(await reader.get(f"/orders/{order['id']}"), 404)
    refusal(await buyer.get(f"/orders/{uuid4()}"), 404)
    assert refusal(await buyer.get("/orders/nonsense"), 422)["field"] == "order_id"


async def test_my_orders_come_newest_first_in_pages(world: World) -> None:
    show = await world.show(rows=1, seats=6)
    buyer = await world.person("buyer")
    made = [(await order_for(world, buyer, show, label, "Ada"))["id"] for label in show.labels[:5]]
    await order_for(world, await world.person(), show, show.labels[5], "Eve")
    seen, cursor = [], None
    for size in (2, 2, 1):
        answer = await buyer.get("/me/orders", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        page = data(answer)
        assert len(page) == size
        seen += [order["id"] for order in page]
        cursor = answer.json()["meta"]["next_cursor"]
    assert cursor is None
    assert seen == made[::-1]


async def test_staff_filter_orders_by_event_status_and_text(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    show, other = await world.show(tenant, rows=1, seats=4), await world.show(tenant, rows=1, seats=4)
    buyer = await world.person("buyer")
    ada = await order_for(world, buyer, show, "Stalls-A-1", "Ada Byron", "ada@example.com")
    eve = await order_for(world, buyer, show, "Stalls-A-2", "Eve 100%", "eve@example.com")
    late = await order_for(world, buyer, other, "Stalls-A-1", "Ada Lovelace", "lovelace@example.com")
    data(await world.webhook("payment.succeeded", await world.payment(buyer, eve)))

    async def found(**params: str) -> list[str]:
        return [order["id"] for order in data(await tenant.admin.get(tenant.path("/orders"), params=params))]

    assert await found() == [late["id"], eve["id"], ada["id"]]
    assert await found(event_id=show.id) == [eve["id"], ada["id"]]
    assert await found(status="paid") == [eve["id"]]
    assert await found(q="ada") == [late["id"], ada["id"]]
    assert await found(q="LOVELACE@") == [late["id"]]
    assert await found(q=ada["reference"].lower()) == [ada["id"]]
    assert await found(q=ada["reference"].replace("-", "").lower()) == [ada["id"]]
    assert await found(q=ada["reference"].replace("-", "\u2013")) == [ada["id"]]
    assert await found(q=ada["reference"][2:7].replace("-", "")) == [ada["id"]]
    await run(app, "update orders set buyer_name = 'Adá Lóvelace' where buyer_name = 'Ada Lovelace'")
    assert await found(q="LOVELACE ada") == await found(q="lóvel") == [late["id"]]
    assert await found(q="100%") == [eve["id"]]
    assert await found(q="%") == [eve["id"]]
    assert await found(q="_") == []
    assert await found(q="ada", event_id=show.id, status="pending") == [ada["id"]]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"event_id": "x"}, "event_id"),
        ({"status": "lost"}, "status"),
        ({"q": ""}, "q"),
        ({"q": "a" * 201}, "q"),
        ({"q": "\x00"}, "q"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
async def test_a_bad_filter_names_its_field(world: World, params: dict[str, Any], field: str) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.get(tenant.path("/orders"), params=params), 422)["field"] == field


async def test_an_organizations_orders_are_for_its_staff(world: World) -> None:
    tenant = await world.tenant()
    stranger = (await world.tenant()).admin
    scanner = await world.member(tenant, "ORG_SCANNER")
    for path in ("/orders", "/orders.csv"):
        data(await tenant.admin.get(tenant.path("/orders")))
        refusal(await stranger.get(tenant.path(path)), 404)
        refusal(await scanner.get(tenant.path(path)), 403)
        refusal(await world.client.get(f"{API}{tenant.path(path)}"), 401)


async def test_one_organization_never_sees_anothers_orders(world: World) -> None:
    buyer = await world.person("buyer")
    mine, theirs = await world.show(rows=1, seats=2), await world.show(rows=1, seats=2)
    await order_for(world, buyer, theirs, "Stalls-A-1", "Ada")
    for path in ("/orders", f"/orders?event_id={theirs.id}", "/orders?q=Ada"):
        assert data(await mine.tenant.admin.get(mine.tenant.path(path))) == []
    assert len((await mine.tenant.admin.get(mine.tenant.path("/orders.csv"))).text.splitlines()) == 1
