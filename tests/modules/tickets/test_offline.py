import asyncio
from itertools import permutations
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from tests.modules.tickets.stage import Stage, set_stage
from tests.support.world import World, data, refusal
from ticketing.modules.tickets import CheckIn


@pytest.fixture
async def stage(app: FastAPI, world: World) -> Stage:
    return await set_stage(app, world, standing=3)


def scan(code: str, minute: int, nonce: str, gate: str = "North") -> dict[str, str]:
    return {"code": code, "gate": gate, "scanned_at": f"2030-06-01T18:{minute:02}:00Z", "nonce": nonce}


async def sync(stage: Stage, *scans: dict[str, str]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = data(await stage.admin.post(stage.door("/sync"), {"scans": list(scans)}))["results"]
    return answer


async def rows(app: FastAPI) -> int:
    async with app.state.worker_database.transaction() as session:
        return int(await session.scalar(select(func.count()).select_from(CheckIn)) or 0)


async def test_the_earliest_scan_wins_whatever_the_order_in_which_they_are_sent(stage: Stage) -> None:
    late, early = scan(stage.code, 40, "b", "South"), scan(stage.code, 30, "a", "North")
    results = await sync(stage, late, early)
    assert [(r["nonce"], r["result"]) for r in results] == [("b", "already_checked_in"), ("a", "admitted")]
    assert {(r["first_scanned_at"], r["gate"]) for r in results} == {("2030-06-01T18:30:00Z", "North")}


async def test_devices_may_come_back_in_any_order_and_the_outcome_is_the_same(app: FastAPI, world: World) -> None:
    stage = await set_stage(app, world, standing=6)
    for n, order in enumerate(permutations((10, 20, 30))):
        code = stage.tickets[n]["code"]
        for minute in order:
            await sync(stage, scan(code, minute, f"{n}-{minute}", f"Gate {minute}"))
        results = await sync(stage, *(scan(code, minute, f"{n}-{minute}", f"Gate {minute}") for minute in (10, 20, 30)))
        assert [r["result"] for r in results] == ["admitted", "already_checked_in", "already_checked_in"]
        ticket = data(await stage.buyer.get(f"/tickets/{stage.tickets[n]['id']}"))
        assert (ticket["status"], ticket["checked_in_at"]) == ("checked_in", "2030-06-01T18:10:00Z")
    assert (await stage.stats())["by_gate"] == [{"gate": "Gate 10", "checked_in": 6}]


async def test_sending_again_gives_the_same_answers_and_adds_nothing(app: FastAPI, stage: Stage) -> None:
    codes = [ticket["code"] for ticket in stage.tickets]
    scans = [scan(codes[n % 3], n, f"n{n}") for n in range(9)]
    first = await sync(stage, *scans)
    assert await sync(stage, *scans) == first
    assert await sync(stage, *scans, *scans) == first * 2
    assert [r["result"] for r in first] == ["admitted"] * 3 + ["already_checked_in"] * 6
    assert await rows(app) == 9


async def test_the_same_batch_many_times_at_once_is_one_batch(app: FastAPI, stage: Stage) -> None:
    scans = [scan(t["code"], n, f"n{n}") for n, t in enumerate(stage.tickets)]
    answers = await asyncio.gather(*(sync(stage, *(scans if n % 2 else scans[::-1])) for n in range(8)))
    assert {r["result"] for answer in answers for r in answer} == {"admitted"}
    assert await rows(app) == 3


async def test_each_scan_gets_its_own_answer(app: FastAPI, world: World, stage: Stage) -> None:
    other = await set_stage(app, world)
    friend = await world.person("friend")
    good, voided, given = stage.tickets
    data(await stage.admin.post(f"/orders/{stage.order['id']}/refunds", {"ticket_ids": [voided["id"]]}), 201)
    data(await stage.buyer.post(f"/tickets/{given['id']}/transfer", {"email": friend.email}))
    results = await sync(
        stage,
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
    assert await rows(app) == 2


async def test_a_scan_with_a_network_and_an_earlier_one_without_make_one_admission(stage: Stage) -> None:
    data(await stage.admin.post(stage.door(), scan(stage.code, 40, "online", "South")))
    (result,) = await sync(stage, scan(stage.code, 30, "offline", "North"))
    assert result["result"] == "admitted"
    stats = await stage.stats()
    assert stats["by_gate"] == [{"gate": "North", "checked_in": 1}]
    assert stats["refused"] == {"already_checked_in": 1}


async def test_a_thousand_scans_are_merged_at_once_and_one_more_is_too_many(stage: Stage) -> None:
    scans = [scan(stage.code, n % 60, f"n{n}") for n in range(1000)]
    results = await sync(stage, *scans)
    assert [r["result"] for r in results].count("admitted") == 1
    refused = await stage.admin.post(stage.door("/sync"), {"scans": [*scans, scan(stage.code, 1, "more")]})
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
async def test_bad_scans_are_named_and_nothing_is_merged(
    app: FastAPI, stage: Stage, change: dict[str, object], field: str
) -> None:
    body = {"scans": [{**scan(stage.code, 1, "a"), **change}, scan(stage.code, 2, "b")]}
    assert refusal(await stage.admin.post(stage.door("/sync"), body), 422)["field"] == field
    assert await rows(app) == 0


async def test_the_list_for_offline_scanners_has_every_ticket_and_little_about_people(
    app: FastAPI, stage: Stage, world: World
) -> None:
    friend = await world.person("friend")
    checked_in, given, voided = stage.tickets
    data(await stage.admin.post(stage.door(), {"code": checked_in["code"]}))
    data(await stage.buyer.post(f"/tickets/{given['id']}/transfer", {"email": friend.email}))
    data(await stage.admin.post(f"/orders/{stage.order['id']}/refunds", {"ticket_ids": [voided["id"]]}), 201)
    scanner = await world.member(stage.show.tenant, "ORG_SCANNER")
    listed = {row["id"]: row for row in data(await scanner.get(stage.door("/offline-list")))}
    assert listed.keys() == {checked_in["id"], given["id"], voided["id"]}
    assert listed[checked_in["id"]] == {
        "id": checked_in["id"],
        "code_version": 1,
        "status": "checked_in",
        "seat": None,
        "name": "Standing",
        "holder_initial": "A",
    }
    assert (listed[given["id"]]["code_version"], listed[given["id"]]["holder_initial"]) == (2, "F")
    assert listed[voided["id"]]["status"] == "voided"


async def test_the_list_comes_in_pages(stage: Stage) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer: httpx2.Response = await stage.admin.get(stage.door(f"/offline-list?limit=2&cursor={cursor}"))
        seen += [row["id"] for row in data(answer)]
        cursor = answer.json()["meta"]["next_cursor"]
    assert sorted(seen) == sorted(ticket["id"] for ticket in stage.tickets)
    for bad, field in (("limit=0", "limit"), ("limit=5001", "limit"), ("cursor=nonsense", "cursor")):
        assert refusal(await stage.admin.get(stage.door(f"/offline-list?{bad}")), 422)["field"] == field
