"""The CSV export of orders: complete, paginated, and safe against CSV injection."""

import csv
import io

import pytest
from fastapi import FastAPI

from tests.modules.orders.test_queries import order_for
from tests.modules.payments.purchases import run
from tests.support.world import World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules.orders import queries


async def exported(world: World, tenant, **params: str) -> list[dict[str, str]]:  # type: ignore[no-untyped-def]
    answer = await tenant.admin.get(tenant.path("/orders.csv"), params=params)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_the_export_has_every_order_with_amounts_in_major_units(world: World) -> None:
    tenant = await world.tenant()
    show = await world.show(tenant, rows=1, seats=4, title="Hamlet, at last")
    buyer = await world.person("buyer")
    await world.buy(buyer, show, "Stalls-A-1", "Stalls-A-2")
    pending = await order_for(world, buyer, show, "Stalls-A-3", 'Ada "the" Byron')
    first, second = await exported(world, tenant)
    assert (first["status"], first["event"], first["total"], first["currency"]) == (
        "paid",
        "Hamlet, at last",
        "90.00",
        "EUR",
    )
    assert (first["quantity"], first["seats"]) == ("2", "Stalls-A-1 Stalls-A-2")
    assert first["paid_at"].endswith("Z")
    assert (second["reference"], second["buyer_name"], second["paid_at"]) == (
        pending["reference"],
        'Ada "the" Byron',
        "",
    )
    assert [row["status"] for row in await exported(world, tenant, status="paid")] == ["paid"]


@pytest.mark.parametrize("name", ['=cmd|"/c calc"!A1', "+1", "-1", "@SUM(A1)"])
async def test_buyer_input_is_never_a_formula(world: World, name: str) -> None:
    show = await world.show(rows=1, seats=1)
    await order_for(world, await world.person(), show, "Stalls-A-1", name, "=x@example.com")
    (row,) = await exported(world, show.tenant)
    assert (row["buyer_name"], row["buyer_email"]) == (f"'{name}", "'=x@example.com")


async def test_a_currency_without_decimals_is_written_without_decimals(world: World) -> None:
    show = await world.show(rows=1, seats=1, price=5000, currency="JPY")
    await order_for(world, await world.person(), show, "Stalls-A-1", "Ada")
    assert [(row["total"], row["currency"]) for row in await exported(world, show.tenant)] == [("5000", "JPY")]


async def test_the_export_reads_many_pages_and_holds_no_connection_between_them(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EXPORT_PAGE_ROWS", 2)
    show = await world.show(rows=1, seats=5)
    buyer = await world.person("buyer")
    made = [(await order_for(world, buyer, show, label, "Ada"))["reference"] for label in show.labels]
    assert [row["reference"] for row in await exported(world, show.tenant)] == made
    await run(app, "update orders set buyer_name = 'Eve'")
    walk = queries.iterate_pages(app.state.get(Database), show.tenant.id, queries.OrderFilter())
    assert len(await anext(walk)) == 2
    assert app.state.get(Database).engine.pool.checkedout() == 0
    await walk.aclose()


async def test_a_bad_filter_names_its_field(world: World) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.get(tenant.path("/orders.csv"), params={"status": "lost"}), 422)["field"]
    assert data(await tenant.admin.get(tenant.path("/orders"))) == []
