"""Check-ins at the door: one admission per ticket, and every refusal with its reason."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tests.modules.tickets.ticket_sale import TicketSale, date_back, sell_tickets
from tests.support.world import Person, World, data, refusal
from ticketing.infra.db import new_id
from ticketing.modules.tickets import CheckIn


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    return await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2")


async def scan(sale: TicketSale, code: str, scanner: Person | None = None, **body: object) -> httpx2.Response:
    return await (scanner or sale.admin).post(sale.door(), {"code": code, **body})


async def scans(app: FastAPI) -> dict[str, int]:
    async with app.state.worker_database.transaction() as session:
        rows = await session.execute(select(CheckIn.result, func.count()).group_by(CheckIn.result))
        return {row[0]: row[1] for row in rows}


async def test_a_scanner_checks_in_a_ticket(sale: TicketSale, world: World) -> None:
    scanner = await world.member(sale.show.tenant, "ORG_SCANNER")
    answer = data(await scan(sale, sale.code, scanner, gate="North"))
    assert answer["result"] == "admitted"
    ticket = answer["ticket"]
    assert (ticket["id"], ticket["seat"], ticket["gate"]) == (sale.tickets[0]["id"], "Stalls-A-1", "North")
    assert (ticket["status"], ticket["holder_name"]) == ("checked_in", "Ada Byron")
    assert data(await sale.buyer.get(f"/tickets/{ticket['id']}"))["status"] == "checked_in"


async def test_an_api_key_checks_in_a_ticket(sale: TicketSale, client: httpx2.AsyncClient) -> None:
    made = data(
        await sale.admin.post(sale.show.tenant.path("/api-keys"), {"name": "Gate 1", "role": "ORG_SCANNER"}), 201
    )
    headers = {"Authorization": f"ApiKey {made['key']}"}
    data(await client.post(f"/api/v1{sale.door()}", json={"code": sale.code}, headers=headers))


async def test_a_second_scan_is_refused_with_time_and_gate_of_the_first(app: FastAPI, sale: TicketSale) -> None:
    await date_back(app, datetime(2026, 5, 1, tzinfo=UTC))
    data(await scan(sale, sale.code, gate="North", scanned_at="2026-06-01T18:30:00Z"))
    refused = refusal(await scan(sale, sale.code, gate="South"), 409)
    assert refused["code"] == "already_checked_in"
    assert (refused["first_scanned_at"], refused["gate"]) == ("2026-06-01T18:30:00Z", "North")
    assert await scans(app) == {"admitted": 1, "already_checked_in": 1}


async def test_fifty_gates_and_one_ticket_make_one_admission(app: FastAPI, sale: TicketSale) -> None:
    answers = await asyncio.gather(*(scan(sale, sale.code, gate=f"Gate {n}") for n in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    admitted = next(data(answer) for answer in answers if answer.status_code == 200)
    refused = [refusal(answer, 409) for answer in answers if answer.status_code == 409]
    assert {(r["code"], r["gate"]) for r in refused} == {("already_checked_in", admitted["ticket"]["gate"])}
    assert await scans(app) == {"admitted": 1, "already_checked_in": 49}
    assert (await sale.stats())["checked_in"] == 1


async def test_the_database_rejects_a_second_admission(app: FastAPI, sale: TicketSale) -> None:
    data(await scan(sale, sale.code))
    async with app.state.worker_database.transaction() as session:
        first = (await session.scalars(select(CheckIn))).one()
        names = set(CheckIn.__mapper__.columns.keys()) - {"id", "created_at"}
        values = {name: getattr(first, name) for name in names}
        with pytest.raises(IntegrityError, match="uq_check_ins_one_admission"):
            await session.execute(insert(CheckIn).values(**values, id=new_id()))
        await session.rollback()


async def test_a_repeated_scan_gets_the_same_response(app: FastAPI, sale: TicketSale) -> None:
    first = await scan(sale, sale.code, nonce="scan-1", gate="North")
    again = await scan(sale, sale.code, nonce="scan-1", gate="North")
    assert data(again) == data(first)
    refused = await scan(sale, sale.code, nonce="scan-2")
    assert refusal(await scan(sale, sale.code, nonce="scan-2"), 409) == refusal(refused, 409)
    assert await scans(app) == {"admitted": 1, "already_checked_in": 1}


async def test_thirty_concurrent_requests_with_one_nonce_are_one_scan(app: FastAPI, sale: TicketSale) -> None:
    answers = await asyncio.gather(*(scan(sale, sale.code, nonce="scan-1") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert await scans(app) == {"admitted": 1}


async def test_a_nonce_belongs_to_one_ticket(app: FastAPI, sale: TicketSale) -> None:
    data(await scan(sale, sale.code, nonce="scan-1"))
    refused = refusal(await scan(sale, sale.tickets[1]["code"], nonce="scan-1"), 422)
    assert (refused["code"], refused["field"]) == ("nonce_used", "nonce")
    assert await scans(app) == {"admitted": 1}


async def test_two_tickets_with_one_nonce_are_not_both_admitted(app: FastAPI, sale: TicketSale) -> None:
    answers = await asyncio.gather(*(scan(sale, t["code"], nonce="scan-1") for t in sale.tickets))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert (await sale.stats())["checked_in"] == 1


async def test_a_voided_ticket_is_refused_and_the_scan_is_recorded(app: FastAPI, sale: TicketSale) -> None:
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {}), 201)
    assert refusal(await scan(sale, sale.code), 409)["code"] == "voided"
    assert await scans(app) == {"voided": 1}


async def test_a_ticket_of_another_event_is_refused(app: FastAPI, sale: TicketSale, world: World) -> None:
    other = await sell_tickets(app, world, tenant=sale.show.tenant)
    assert refusal(await scan(sale, other.code), 409)["code"] == "wrong_event"
    assert await scans(app) == {}


async def test_a_scanner_cannot_use_tickets_of_another_tenant(app: FastAPI, sale: TicketSale, world: World) -> None:
    rival = await sell_tickets(app, world)
    assert refusal(await scan(rival, sale.code), 409)["code"] == "wrong_event"
    stranger = await world.person("stranger")
    mixed = rival.show.tenant.path(f"/events/{sale.show.id}/check-ins")
    unknown = rival.show.tenant.path(f"/events/{uuid4()}/check-ins")
    absent = refusal(await rival.admin.post(unknown, {"code": sale.code}), 404)
    assert refusal(await rival.admin.post(mixed, {"code": sale.code}), 404) == absent
    for path in ("", "/stats", "/offline-list", "/sync"):
        body = {"code": sale.code, "scans": []}
        for person in (rival.admin, stranger, sale.buyer):
            request = person.post(sale.door(path), body) if path in {"", "/sync"} else person.get(sale.door(path))
            assert refusal(await request, 404) in (absent, refusal(await stranger.get(sale.door("/stats")), 404))
    assert refusal(await rival.admin.get(f"{mixed}/stats"), 404) == absent
    assert refusal(await rival.admin.get(f"{mixed}/offline-list"), 404) == absent
    assert await scans(app) == {}


@pytest.mark.parametrize("code", ["TK1.A.B.C", "x", "", " ", "\u0000", "🎟" * 50, "A" * 201, 7, None])
async def test_a_malformed_code_names_the_field(app: FastAPI, sale: TicketSale, code: object) -> None:
    assert refusal(await sale.admin.post(sale.door(), {"code": code}), 422)["field"] == "code"
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
async def test_invalid_input_names_the_field_and_records_nothing(
    app: FastAPI, sale: TicketSale, field: str, value: object
) -> None:
    assert refusal(await scan(sale, sale.code, **{field: value}), 422)["field"] == field
    assert await scans(app) == {}
    assert (await sale.stats())["checked_in"] == 0


async def test_statistics_count_tickets_gates_and_refusals(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, standing=5)
    codes = [ticket["code"] for ticket in sale.tickets]
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {"ticket_ids": [sale.tickets[4]["id"]]}), 201)
    for code, gate in zip(codes, ("North", "North", "South", None), strict=False):
        data(await scan(sale, code, **({"gate": gate} if gate else {})))
    refusal(await scan(sale, codes[0]), 409)
    refusal(await scan(sale, codes[4]), 409)
    stats = await sale.stats()
    assert (stats["issued"], stats["checked_in"], stats["voided"]) == (4, 4, 1)
    counts = {row["gate"]: row["checked_in"] for row in stats["by_gate"]}
    assert counts == {"North": 2, "South": 1, None: 1}
    assert stats["refused"] == {"already_checked_in": 1, "voided": 1}


async def test_a_cancelled_event_admits_nobody(sale: TicketSale) -> None:
    admitted, nonce = sale.tickets[0]["code"], uuid4().hex
    data(await scan(sale, admitted, nonce=nonce))
    data(await sale.admin.post(sale.show.path("/cancel")))
    assert refusal(await scan(sale, admitted), 409)["code"] == "event_cancelled"
    # The same scan again, whose answer was lost, keeps its result.
    assert data(await scan(sale, admitted, nonce=nonce))["result"] == "admitted"
    assert (await sale.stats())["checked_in"] == 1
