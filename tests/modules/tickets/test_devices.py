"""Devices: scanners with a token for check-ins at one event."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.tickets.ticket_sale import TicketSale, sell_tickets
from tests.support.world import API, Show, World, data, refusal
from ticketing.infra.db import Database


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    return await sell_tickets(app, world)


async def _make(show: Show, **body: Any) -> dict[str, Any]:
    request = {"name": "Volunteer's phone", "gate": "North", **body}
    device: dict[str, Any] = data(await show.tenant.admin.post(show.path("/devices"), request), 201)
    return device


def _device(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Device {token}", **more}


async def _stats(client: httpx2.AsyncClient, show: Show, token: str) -> httpx2.Response:
    return await client.get(f"{API}{show.path('/check-ins/stats')}", headers=_device(token))


async def test_a_token_is_shown_once_and_only_its_hash_is_stored(sale: TicketSale, database: Database) -> None:
    made = await _make(sale.show)
    token = made.pop("token")
    assert token.startswith("td_")
    assert len(token) > 40
    listed = data(await sale.admin.get(sale.show.path("/devices")))
    assert listed == [made]
    assert (made["gate"], made["last_used_at"], made["revoked_at"]) == ("North", None, None)
    async with database.transaction() as session:
        for table in ("devices", "idempotency_keys", "audit_log", "outbox"):
            rows = str((await session.execute(text(f"select * from {table}"))).all())
            assert token.removeprefix("td_") not in rows, table


async def test_a_device_checks_in_at_its_gate_as_its_own_actor(
    client: httpx2.AsyncClient, sale: TicketSale, database: Database
) -> None:
    made = await _make(sale.show)
    url = f"{API}{sale.door()}"
    ticket = data(await client.post(url, json={"code": sale.code}, headers=_device(made["token"])))["ticket"]
    assert ticket["gate"] == "North"
    error = refusal(await client.post(url, json={"code": sale.code}, headers=_device(made["token"])), 409)
    assert (error["code"], error["gate"]) == ("already_checked_in", "North")
    async with database.transaction() as session:
        scans = list(await session.scalars(text("select distinct scanned_by from check_ins")))
        actors = list(await session.scalars(text("select actor from outbox where topic = 'ticket.checked_in'")))
    assert scans == actors == [f"device:{made['id']}"]
    assert data(await sale.admin.get(sale.show.path("/devices")))[0]["last_used_at"].endswith("Z")


async def test_a_device_syncs_scans_and_reads_the_offline_list(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    headers = _device((await _make(sale.show))["token"])
    listed = data(await client.get(f"{API}{sale.door('/offline-list')}", headers=headers))
    assert len(listed) == len(sale.tickets)
    scan = {"code": sale.code, "scanned_at": "2026-06-01T19:00:00Z", "nonce": uuid4().hex}
    [result] = data(await client.post(f"{API}{sale.door('/sync')}", json={"scans": [scan]}, headers=headers))["results"]
    assert (result["result"], result["gate"]) == ("admitted", "North")


async def test_a_device_has_access_to_its_own_event_only(
    client: httpx2.AsyncClient, sale: TicketSale, world: World
) -> None:
    token = (await _make(sale.show))["token"]
    sibling, stranger = await world.show(sale.show.tenant), await world.show()
    nowhere = Show(sale.show.tenant, str(uuid4()), "", None, None)
    data(await _stats(client, sale.show, token))
    for show in (sibling, stranger, nowhere):
        assert refusal(await _stats(client, show, token), 404)["code"] == "not_found"
    body = {"code": sale.code}
    for show in (sibling, stranger, nowhere):
        url = f"{API}{show.path('/check-ins')}"
        refusal(await client.post(url, json=body, headers=_device(token)), 404)


async def test_a_device_has_access_to_check_ins_only(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    headers = _device((await _make(sale.show))["token"])
    tenant = sale.show.tenant
    for path in (tenant.path(), tenant.path("/events"), sale.show.path(), sale.show.path("/devices"), "/me", "/orgs"):
        refusal(await client.get(f"{API}{path}", headers=headers), 401)
    refusal(await client.post(f"{API}{sale.show.path('/devices')}", json={"name": "Child"}, headers=headers), 401)
    assert data(await client.get(f"{API}/events/{sale.show.id}", headers=headers))["id"] == sale.show.id


async def test_a_revoked_device_is_refused(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    made, other = await _make(sale.show), await _make(sale.show)
    path = sale.show.path(f"/devices/{made['id']}")
    data(await sale.admin.delete(path))
    assert refusal(await _stats(client, sale.show, made["token"]), 401)["code"] == "unauthenticated"
    data(await _stats(client, sale.show, other["token"]))
    refusal(await sale.admin.delete(path), 404)


async def test_a_device_is_revoked_under_its_own_event_only(sale: TicketSale, world: World) -> None:
    made, sibling = await _make(sale.show), await world.show(sale.show.tenant)
    refusal(await sale.admin.delete(sibling.path(f"/devices/{made['id']}")), 404)
    assert data(await sale.admin.get(sibling.path("/devices"))) == []


@pytest.mark.parametrize(
    ("times", "status"),
    [
        ("ends_at = now() - interval '23 hours', starts_at = now() - interval '26 hours'", 200),
        ("ends_at = now() - interval '25 hours', starts_at = now() - interval '26 hours'", 401),
        ("ends_at = null, starts_at = now() - interval '47 hours'", 200),
        ("ends_at = null, starts_at = now() - interval '49 hours'", 401),
    ],
)
async def test_a_device_expires_a_day_after_its_event(
    client: httpx2.AsyncClient, sale: TicketSale, database: Database, times: str, status: int
) -> None:
    token = (await _make(sale.show))["token"]
    async with database.transaction() as session:
        await session.execute(text(f"update events set {times}"))
    assert (await _stats(client, sale.show, token)).status_code == status


async def test_a_device_shows_its_expiry(sale: TicketSale) -> None:
    show = await sale.world.show(sale.show.tenant, ends_at="2030-06-01T22:00:00Z")
    assert (await _make(show))["expires_at"] == "2030-06-02T22:00:00Z"


@pytest.mark.parametrize("change", ["", "x", "td_", "{0}x", "{0} x", "é{0}"])
async def test_a_damaged_token_is_refused(client: httpx2.AsyncClient, sale: TicketSale, change: str) -> None:
    header = f"Device {change.format((await _make(sale.show))['token'])}".encode("latin-1")
    url = f"{API}{sale.door('/stats')}"
    refusal(await client.get(url, headers={"Authorization": header}), 401)


async def test_device_tokens_and_api_keys_are_not_interchangeable(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    token = (await _make(sale.show))["token"]
    body = {"name": "Till", "role": "ORG_ADMIN"}
    key = data(await sale.admin.post(sale.show.tenant.path("/api-keys"), body), 201)["key"]
    url = f"{API}{sale.door('/stats')}"
    for header in (f"ApiKey {token}", f"Device {key}", f"Bearer {token}"):
        refusal(await client.get(url, headers={"Authorization": header}), 401)


async def test_an_api_key_cannot_make_devices(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    body = {"name": "Till", "role": "ORG_ADMIN"}
    key = data(await sale.admin.post(sale.show.tenant.path("/api-keys"), body), 201)["key"]
    url = f"{API}{sale.show.path('/devices')}"
    answer = await client.post(url, json={"name": "Child"}, headers={"Authorization": f"ApiKey {key}"})
    assert refusal(answer, 403)["message"].startswith("Only a user")
    assert data(await sale.admin.get(sale.show.path("/devices"))) == []


async def test_two_devices_may_use_one_idempotency_key(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    url, again = f"{API}{sale.door()}", {"Idempotency-Key": "scan-1"}
    tokens = [(await _make(sale.show, gate=gate))["token"] for gate in ("North", "South")]
    first, second = [
        await client.post(url, json={"code": sale.code}, headers=_device(token, **again)) for token in tokens
    ]
    assert data(first)["ticket"]["gate"] == "North"
    assert refusal(second, 409)["gate"] == "North"
    assert "Idempotency-Replayed" not in second.headers


async def test_fifty_devices_admit_one_ticket_once(client: httpx2.AsyncClient, sale: TicketSale) -> None:
    tokens = [(await _make(sale.show, gate=f"Gate {n}"))["token"] for n in range(10)]
    url, body = f"{API}{sale.door()}", {"code": sale.code}
    answers = await asyncio.gather(*(client.post(url, json=body, headers=_device(t)) for t in tokens * 5))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
