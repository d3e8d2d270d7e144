"""Syncing offline scans: the earliest scan of a ticket is its admission, whatever the order of syncs."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from tests.modules.tickets.ticket_sale import TicketSale, date_back, sell_tickets
from tests.support.world import World, data, refusal
from ticketing.modules.tickets import CheckIn


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    return await _sell(app, world, standing=3)


#: The doors opened two hours ago, and the tickets were issued before that.
OPENED_AT = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)


def at(minute: int) -> str:
    return (OPENED_AT + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


async def _sell(app: FastAPI, world: World, **show: Any) -> TicketSale:
    sale = await sell_tickets(app, world, **show)
    await date_back(app, OPENED_AT)
    return sale


def scan(code: str, minute: int, nonce: str, gate: str = "North") -> dict[str, str]:
    return {"code": code, "gate": gate, "scanned_at": at(minute), "nonce": nonce}


async def sync(sale: TicketSale, *scans: dict[str, str]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = data(await sale.admin.post(sale.door("/sync"), {"scans": list(scans)}))["results"]
    return answer


async def count_scans(app: FastAPI) -> int:
    async with app.state.worker_database.transaction() as session:
        return int(await session.scalar(select(func.count()).select_from(CheckIn)) or 0)


async def test_the_earliest_scan_is_the_admission_in_any_request_order(sale: TicketSale) -> None:
    late, early = scan(sale.code, 40, "b", "South"), scan(sale.code, 30, "a", "North")
    results = await sync(sale, late, early)
    assert [(r["nonce"], r["result"]) for r in results] == [("b", "already_checked_in"), ("a", "admitted")]
    assert {(r["first_scanned_at"], r["gate"]) for r in results} == {(at(30), "North")}


async def test_the_result_does_not_depend_on_the_order_of_syncs(app: FastAPI, world: World) -> None:
    sale = await _sell(app, world, standing=6)
    for n, order in enumerate(permutations((10, 20, 30))):
        code = sale.tickets[n]["code"]
        for minute in order:
            await sync(sale, scan(code, minute, f"{n}-{minute}", f"Gate {minute}"))
        results = await sync(sale, *(scan(code, minute, f"{n}-{minute}", f"Gate {minute}") for minute in (10, 20, 30)))
        assert [r["result"] for r in results] == ["admitted", "already_checked_in", "already_checked_in"]
        ticket = data(await sale.buyer.get(f"/tickets/{sale.tickets[n]['id']}"))
        assert (ticket["status"], ticket["checked_in_at"]) == ("checked_in", at(10))
    assert (await sale.stats())["by_gate"] == [{"gate": "Gate 10", "checked_in": 6}]


async def test_a_repeated_sync_gets_the_same_results_and_adds_nothing(app: FastAPI, sale: TicketSale) -> None:
    codes = [ticket["code"] for ticket in sale.tickets]
    scans = [scan(codes[n % 3], n, f"n{n}") for n in range(9)]
    first = await sync(sale, *scans)
    assert await sync(sale, *scans) == first
    assert await sync(sale, *scans, *scans) == first * 2
    assert [r["result"] for r in first] == ["admitted"] * 3 + ["already_checked_in"] * 6
    assert await count_scans(app) == 9


async def test_concurrent_syncs_of_one_batch_record_it_once(app: FastAPI, sale: TicketSale) -> None:
    scans = [scan(t["code"], n, f"n{n}") for n, t in enumerate(sale.tickets)]
    answers = await asyncio.gather(*(sync(sale, *(scans if n % 2 else scans[::-1])) for n in range(8)))
    assert {r["result"] for answer in answers for r in answer} == {"admitted"}
    assert await count_scans(app) == 3


async def test_each_scan_gets_its_own_result(app: FastAPI, world: World, sale: TicketSale) -> None:
    other = await sell_tickets(app, world)
    friend = await world.person("friend")
    good, voided, given = sale.tickets
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {"ticket_ids": [voided["id"]]}), 201)
    data(await sale.buyer.post(f"/tickets/{given['id']}/transfer", {"email": friend.email}))
    results = await sync(
        sale,
        scan("TK1.no.such.code", 1, "a"),
        scan(other.code, 2, "b"),
        scan(voided["code"], 3, "c"),
        scan(given["code"], 4, "d"),
        scan(good["code"], 5, "e"),
        scan(data(await friend.get("/me/tickets"))[0]["code"], 6, "e"),
    )
    expected = ["invalid_code", "wrong_event", "voided", "invalid_code", "admitted", "nonce_used"]
    assert [r["result"] for r in results] == expected
    assert [r["nonce"] for r in results] == ["a", "b", "c", "d", "e", "e"]
    assert await count_scans(app) == 2


async def test_an_online_scan_and_an_earlier_offline_scan_make_one_admission(sale: TicketSale) -> None:
    data(await sale.admin.post(sale.door(), scan(sale.code, 40, "online", "South")))
    (result,) = await sync(sale, scan(sale.code, 30, "offline", "North"))
    assert result["result"] == "admitted"
    stats = await sale.stats()
    assert stats["by_gate"] == [{"gate": "North", "checked_in": 1}]
    assert stats["refused"] == {"already_checked_in": 1}


async def test_a_batch_has_at_most_a_thousand_scans(sale: TicketSale) -> None:
    scans = [scan(sale.code, n % 60, f"n{n}") for n in range(1000)]
    results = await sync(sale, *scans)
    assert [r["result"] for r in results].count("admitted") == 1
    refused = await sale.admin.post(sale.door("/sync"), {"scans": [*scans, scan(sale.code, 1, "more")]})
    assert refusal(refused, 422)["field"] == "scans"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nonce": None}, "scans.0.nonce"),
        ({"nonce": "x" * 101}, "scans.0.nonce"),
        ({"scanned_at": None}, "scans.0.scanned_at"),
        ({"scanned_at": "2030-06-01T18:00:00"}, "scans.0.scanned_at"),
        ({"code": "x" * 201}, "scans.0.code"),
        ({"gate": "\u0000"}, "scans.0.gate"),
        ({"door": "North"}, "scans.0.door"),
    ],
)
async def test_an_invalid_scan_names_the_field_and_nothing_is_merged(
    app: FastAPI, sale: TicketSale, change: dict[str, object], field: str
) -> None:
    body = {"scans": [{**scan(sale.code, 1, "a"), **change}, scan(sale.code, 2, "b")]}
    assert refusal(await sale.admin.post(sale.door("/sync"), body), 422)["field"] == field
    assert await count_scans(app) == 0


async def test_the_offline_list_has_every_ticket_and_only_initials_of_holders(
    app: FastAPI, sale: TicketSale, world: World
) -> None:
    friend = await world.person("friend")
    checked_in, given, voided = sale.tickets
    data(await sale.admin.post(sale.door(), {"code": checked_in["code"]}))
    data(await sale.buyer.post(f"/tickets/{given['id']}/transfer", {"email": friend.email}))
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {"ticket_ids": [voided["id"]]}), 201)
    scanner = await world.member(sale.show.tenant, "ORG_SCANNER")
    listed = {row["id"]: row for row in data(await scanner.get(sale.door("/offline-list")))}
    assert listed.keys() == {checked_in["id"], given["id"], voided["id"]}
    assert listed[checked_in["id"]] == {
        "id": checked_in["id"],
        "code_version": 1,
        "status": "checked_in",
        "seat": None,
        "name": "Standing",
        "holder_initial": "A",
        "refusal": None,
    }
    assert (listed[given["id"]]["code_version"], listed[given["id"]]["holder_initial"]) == (2, "F")
    assert (listed[voided["id"]]["status"], listed[voided["id"]]["refusal"]) == ("voided", "voided")


async def test_the_offline_list_is_paginated(sale: TicketSale) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer: httpx2.Response = await sale.admin.get(sale.door(f"/offline-list?limit=2&cursor={cursor}"))
        seen += [row["id"] for row in data(answer)]
        cursor = answer.json()["meta"]["next_cursor"]
    assert sorted(seen) == sorted(ticket["id"] for ticket in sale.tickets)
    for bad, field in (("limit=0", "limit"), ("limit=5001", "limit"), ("cursor=nonsense", "cursor")):
        assert refusal(await sale.admin.get(sale.door(f"/offline-list?{bad}")), 422)["field"] == field


async def test_offline_scanners_refuse_the_tickets_of_a_cancelled_event(app: FastAPI, sale: TicketSale) -> None:
    before, after = scan(sale.tickets[0]["code"], 10, "before"), scan(sale.tickets[1]["code"], 20, "after")
    assert (await sync(sale, before))[0]["result"] == "admitted"
    data(await sale.admin.post(sale.show.path("/cancel")))
    results = await sync(sale, before, after)
    assert [one["result"] for one in results] == ["admitted", "event_cancelled"]
    assert await count_scans(app) == 1
    listed = data(await sale.admin.get(sale.door("/offline-list")))
    assert {(ticket["status"], ticket["refusal"]) for ticket in listed} == {("voided", "event_cancelled")}
