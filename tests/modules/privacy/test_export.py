"""An export contains all personal data of its user and none of others."""

from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import run
from tests.support.drain import drain
from tests.support.world import API, Person, World, data, refusal
from ticketing.modules.privacy import PARTS, export


async def exported(person: Person) -> dict[str, Any]:
    answer = await person.get("/me/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    document: dict[str, Any] = orjson.loads(answer.content)
    return document


async def test_an_export_contains_everything_about_a_buyer(world: World, app: FastAPI) -> None:
    show = await world.show()
    ada = await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2")
    await drain(app)
    ticket = data(await ada.get("/me/tickets"))[0]
    data(await show.tenant.admin.post(show.path("/check-ins"), {"code": ticket["code"], "gate": "North"}))
    refund = {"amount": 100, "reason": "A broken chair"}
    data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", refund), 201)
    document = await exported(ada)
    assert document.keys() == {"exported_at", *(part.name for part in PARTS)}
    assert document["account"][0]["email"] == ada.email
    assert document["account"][0]["display_name"] == "Ada"
    assert [session["user_agent"] for session in document["sessions"]] == [f"python-httpx2/{httpx2.__version__}"]
    assert [o["reference"] for o in document["orders"]] == [order["reference"]]
    assert document["orders"][0]["buyer_email"] == ada.email
    assert [line["seat_label"] for line in document["order_lines"]] == ["Stalls-A-1", "Stalls-A-2"]
    assert [r["id"] for r in document["reservations"]] == [order["reservation_id"]]
    assert len(document["reservation_items"]) == len(document["tickets"]) == 2
    assert document["payments"][0]["amount_minor"] == order["total"]["amount"]
    assert document["payment_webhooks"][0]["type"] == "payment.succeeded"
    assert [(r["amount_minor"], r["reason"]) for r in document["refunds"]] == [(100, "A broken chair")]
    assert [(c["ticket_id"], c["gate"]) for c in document["check_ins"]] == [(ticket["id"], "North")]
    assert document["audit_entries_caused"] == document["memberships"] == []


async def test_an_export_contains_the_actions_of_a_staff_member(world: World, app: FastAPI) -> None:
    show = await world.show()
    scanner = await world.member(show.tenant, "ORG_SCANNER")
    ada = await world.person("ada")
    await world.buy(ada, show, "Stalls-A-1")
    await drain(app)
    code = data(await ada.get("/me/tickets"))[0]["code"]
    data(await scanner.post(show.path("/check-ins"), {"code": code}))
    data(await show.tenant.admin.patch(show.tenant.path(f"/members/{scanner.id}"), {"role": "ORG_STAFF"}))
    document = await exported(scanner)
    assert [(m["organization_id"], m["role"]) for m in document["memberships"]] == [(show.tenant.id, "ORG_STAFF")]
    assert [c["result"] for c in document["check_ins_made"]] == ["admitted"]
    assert [e["action"] for e in document["audit_entries_caused"]] == ["member.added"]  # accepted by themselves
    assert [e["action"] for e in document["audit_entries_about"]] == ["member.role_changed"]
    # Actor and client are personal data of the admin.
    assert show.tenant.admin.id not in str(document["audit_entries_about"])
    theirs = await exported(show.tenant.admin)
    assert [e["action"] for e in theirs["audit_entries_caused"]][:1] == ["organization.created"]
    assert document["orders"] == theirs["orders"] == []


async def test_an_export_contains_nothing_about_others(world: World, app: FastAPI) -> None:
    show = await world.show()
    ada, bob = await world.person("ada"), await world.person("bob")
    await world.buy(ada, show, "Stalls-A-1")
    await world.buy(bob, show, "Stalls-A-2")
    await drain(app)
    text = (await ada.get("/me/export")).text
    assert bob.email not in text
    assert bob.id not in text
    assert "Stalls-A-2" not in text


async def test_an_export_contains_no_secrets(world: World, app: FastAPI) -> None:
    show = await world.show()
    ada = await world.person("ada")
    await world.buy(ada, show, "Stalls-A-1")
    await drain(app)
    code = data(await ada.get("/me/tickets"))[0]["code"]
    text = (await ada.get("/me/export")).text
    secrets = [code, ada.token, ada.refresh_token, "$argon2"]
    assert [secret for secret in secrets if secret in text] == []


async def test_a_large_export_is_spooled_to_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE_ROWS", 2)
    monkeypatch.setattr(export, "SPOOL_BYTES", 64)
    monkeypatch.setattr(export, "CHUNK_BYTES", 100)
    show = await world.show(rows=1, seats=10)
    ada = await world.person("ada")
    await world.hold(ada, show, *show.labels[:7])
    assert [item["seat_label"] for item in (await exported(ada))["reservation_items"]] == show.labels[:7]


async def test_an_export_is_one_snapshot(world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await world.person("ada")
    rows = export._rows

    async def slowly(session, part, user_id, tenants):  # type: ignore[no-untyped-def]
        if part.name == "sessions":
            await run(app, "delete from refresh_tokens; delete from sessions")
        async for row in rows(session, part, user_id, tenants):
            yield row

    monkeypatch.setattr(export, "_rows", slowly)
    assert len((await exported(ada))["sessions"]) == 1
    assert (await exported(ada))["sessions"] == []


async def test_an_export_requires_a_login(world: World) -> None:
    refusal(await world.client.get(f"{API}/me/export"), 401)
