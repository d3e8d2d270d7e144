"""The CSV export of orders: complete, paginated, and safe against CSV injection."""

import csv
import io
from datetime import datetime
from zoneinfo import ZoneInfo

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


async def test_excel_reads_local_times_and_amounts_of_the_country(world: World) -> None:
    tenant = await world.tenant()
    show = await world.show(tenant, rows=1, seats=1, title="Müller; =1+1")
    order = await order_for(world, await world.person(), show, "Stalls-A-1", "José, -1")
    event = order["event"]
    local = datetime.fromisoformat(event["starts_at"]).astimezone(ZoneInfo(event["timezone"]))
    for variant, separator, total in (("excel", ";", "45,00"), ("excel-point", ",", "45.00")):
        answer = await tenant.admin.get(tenant.path("/orders.csv"), params={"variant": variant})
        assert answer.content.startswith(b"\xef\xbb\xbfreference")
        text = answer.content.decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        assert (row["event"], row["buyer_name"]) == ("Müller; '=1+1", "José, '-1")
        assert (row["total"], row["currency"], row["quantity"]) == (total, "EUR", "1")
        assert (row["starts_at"], row["timezone"]) == (f"{local:%Y-%m-%d %H:%M:%S}", event["timezone"])
        assert datetime.fromisoformat(row["created_at"]).tzinfo is None
        assert row["paid_at"] == ""
    refused = await tenant.admin.get(tenant.path("/orders.csv"), params={"variant": "ods"})
    assert refusal(refused, 422)["field"] == "variant"


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
