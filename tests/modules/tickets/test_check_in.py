import asyncio
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tests.modules.tickets.stage import Stage, set_stage
from tests.support.world import Person, World, data, refusal
from ticketing.infra.db import new_id
from ticketing.modules.tickets import CheckIn


@pytest.fixture
async def stage(app: FastAPI, world: World) -> Stage:
    return await set_stage(app, world, "Stalls-A-1", "Stalls-A-2")


async def scan(stage: Stage, code: str, scanner: Person | None = None, **body: object) -> httpx2.Response:
    return await (scanner or stage.admin).post(stage.door(), {"code": code, **body})


async def scans(app: FastAPI) -> dict[str, int]:
    async with app.state.worker_database.transaction() as session:
        rows = await session.execute(select(CheckIn.result, func.count()).group_by(CheckIn.result))
        return {row[0]: row[1] for row in rows}


async def test_a_scanner_lets_a_ticket_in(stage: Stage, world: World) -> None:
    scanner = await world.member(stage.show.tenant, "ORG_SCANNER")
    answer = data(await scan(stage, stage.code, scanner, gate="North"))
    assert answer["result"] == "admitted"
    ticket = answer["ticket"]
    assert (ticket["id"], ticket["seat"], ticket["gate"]) == (stage.tickets[0]["id"], "Stalls-A-1", "North")
    assert (ticket["status"], ticket["holder_name"]) == ("checked_in", "Ada Byron")
    assert data(await stage.buyer.get(f"/tickets/{ticket['id']}"))["status"] == "checked_in"


async def test_a_machine_with_a_key_lets_a_ticket_in(stage: Stage, client: httpx2.AsyncClient) -> None:
    made = data(
        await stage.admin.post(stage.show.tenant.path("/api-keys"), {"name": "Gate 1", "role": "ORG_SCANNER"}), 201
    )
    headers = {"Authorization": f"ApiKey {made['key']}"}
    data(await client.post(f"/api/v1{stage.door()}", json={"code": stage.code}, headers=headers))


async def test_the_second_scan_is_told_when_and_where_the_first_was(app: FastAPI, stage: Stage) -> None:
    data(await scan(stage, stage.code, gate="North", scanned_at="2030-06-01T18:30:00Z"))
    refused = refusal(await scan(stage, stage.code, gate="South"), 409)
    assert refused["code"] == "already_checked_in"
    assert (refused["first_scanned_at"], refused["gate"]) == ("2030-06-01T18:30:00Z", "North")
    assert await scans(app) == {"admitted": 1, "already_checked_in": 1}


async def test_fifty_gates_and_one_ticket_make_one_admission(app: FastAPI, stage: Stage) -> None:
    answers = await asyncio.gather(*(scan(stage, stage.code, gate=f"Gate {n}") for n in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    admitted = next(data(answer) for answer in answers if answer.status_code == 200)
    refused = [refusal(answer, 409) for answer in answers if answer.status_code == 409]
    assert {(r["code"], r["gate"]) for r in refused} == {("already_checked_in", admitted["ticket"]["gate"])}
    assert await scans(app) == {"admitted": 1, "already_checked_in": 49}
    assert (await stage.stats())["checked_in"] == 1


async def test_the_database_itself_refuses_a_second_admission(app: FastAPI, stage: Stage) -> None:
    data(await scan(stage, stage.code))
    async with app.state.worker_database.transaction() as session:
        first = (await session.scalars(select(CheckIn))).one()
        names = set(CheckIn.__mapper__.columns.keys()) - {"id", "created_at"}
        values = {name: getattr(first, name) for name in names}
        with pytest.raises(IntegrityError, match="uq_check_ins_one_admission"):
            await session.execute(insert(CheckIn).values(**values, id=new_id()))
        await session.rollback()


async def test_a_scan_that_is_sent_again_gets_its_first_answer(app: FastAPI, stage: Stage) -> None:
    first = await scan(stage, stage.code, nonce="scan-1", gate="North")
    again = await scan(stage, stage.code, nonce="scan-1", gate="North")
    assert data(again) == data(first)
    refused = await scan(stage, stage.code, nonce="scan-2")
    assert refusal(await scan(stage, stage.code, nonce="scan-2"), 409) == refusal(refused, 409)
    assert await scans(app) == {"admitted": 1, "already_checked_in": 1}


async def test_one_scan_that_is_sent_thirty_times_at_once_is_one_scan(app: FastAPI, stage: Stage) -> None:
    answers = await asyncio.gather(*(scan(stage, stage.code, nonce="scan-1") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert await scans(app) == {"admitted": 1}


async def test_a_nonce_belongs_to_one_ticket(app: FastAPI, stage: Stage) -> None:
    data(await scan(stage, stage.code, nonce="scan-1"))
    refused = refusal(await scan(stage, stage.tickets[1]["code"], nonce="scan-1"), 422)
    assert (refused["code"], refused["field"]) == ("nonce_used", "nonce")
    assert await scans(app) == {"admitted": 1}


async def test_two_tickets_under_one_nonce_at_once_are_not_both_admitted(app: FastAPI, stage: Stage) -> None:
    answers = await asyncio.gather(*(scan(stage, t["code"], nonce="scan-1") for t in stage.tickets))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert (await stage.stats())["checked_in"] == 1


async def test_a_voided_ticket_is_refused_and_the_scan_is_kept(app: FastAPI, stage: Stage) -> None:
    data(await stage.admin.post(f"/orders/{stage.order['id']}/refunds", {}), 201)
    assert refusal(await scan(stage, stage.code), 409)["code"] == "voided"
    assert await scans(app) == {"voided": 1}


async def test_a_ticket_of_another_event_is_refused_at_this_door(app: FastAPI, stage: Stage, world: World) -> None:
    other = await set_stage(app, world, tenant=stage.show.tenant)
    assert refusal(await scan(stage, other.code), 409)["code"] == "wrong_event"
    assert await scans(app) == {}


async def test_a_scanner_of_one_tenant_can_do_nothing_with_tickets_of_another(
    app: FastAPI, stage: Stage, world: World
) -> None:
    rival = await set_stage(app, world)
    assert refusal(await scan(rival, stage.code), 409)["code"] == "wrong_event"
    stranger = await world.person("stranger")
    mixed = rival.show.tenant.path(f"/events/{stage.show.id}/check-ins")
    unknown = rival.show.tenant.path(f"/events/{uuid4()}/check-ins")
    absent = refusal(await rival.admin.post(unknown, {"code": stage.code}), 404)
    assert refusal(await rival.admin.post(mixed, {"code": stage.code}), 404) == absent
    for path in ("", "/stats", "/offline-list", "/sync"):
        body = {"code": stage.code, "scans": []}
        for person in (rival.admin, stranger, stage.buyer):
            ask = person.post(stage.door(path), body) if path in {"", "/sync"} else person.get(stage.door(path))
            assert refusal(await ask, 404) in (absent, refusal(await stranger.get(stage.door("/stats")), 404))
    assert refusal(await rival.admin.get(f"{mixed}/stats"), 404) == absent
    assert refusal(await rival.admin.get(f"{mixed}/offline-list"), 404) == absent
    assert await scans(app) == {}


@pytest.mark.parametrize("damage", ["TK1.A.B.C", "x", "", " ", "\u0000", "🎟" * 50, "A" * 201, 7, None])
async def test_what_is_no_code_is_refused_by_name(app: FastAPI, stage: Stage, damage: object) -> None:
    assert refusal(await stage.admin.post(stage.door(), {"code": damage}), 422)["field"] == "code"
    assert await scans(app) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gate", ""),
        ("gate", "x" * 51),
        ("scanned_at", "yesterday"),
        ("scanned_at", 5),
        ("nonce", "a b"),
        ("nonce", "x" * 101),
        ("gates", "North"),
    ],
)
async def test_bad_input_at_the_door_is_named_and_changes_nothing(
    app: FastAPI, stage: Stage, field: str, value: object
) -> None:
    assert refusal(await scan(stage, stage.code, **{field: value}), 422)["field"] == field
    assert await scans(app) == {}
    assert (await stage.stats())["checked_in"] == 0


async def test_the_door_sees_how_far_it_is(app: FastAPI, world: World) -> None:
    stage = await set_stage(app, world, standing=5)
    codes = [ticket["code"] for ticket in stage.tickets]
    data(await stage.admin.post(f"/orders/{stage.order['id']}/refunds", {"ticket_ids": [stage.tickets[4]["id"]]}), 201)
    for code, gate in zip(codes, ("North", "North", "South", None), strict=False):
        data(await scan(stage, code, **({"gate": gate} if gate else {})))
    refusal(await scan(stage, codes[0]), 409)
    refusal(await scan(stage, codes[4]), 409)
    stats = await stage.stats()
    assert (stats["issued"], stats["checked_in"], stats["voided"]) == (4, 4, 1)
    counts = {row["gate"]: row["checked_in"] for row in stats["by_gate"]}
    assert counts == {"North": 2, "South": 1, None: 1}
    assert stats["refused"] == {"already_checked_in": 1, "voided": 1}
