"""Erasure removes a user's personal data and keeps what was sold."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import message_counts, rows, run
from tests.support.authenticator import switch_on
from tests.support.drain import drain
from tests.support.world import API, PASSWORD, Person, Show, World, data, refusal
from ticketing.modules import iam, orders, privacy, tickets

GIVE_UP = {"password": PASSWORD, "give_up_tickets": True}


async def erase(person: Person, body: dict[str, Any] = GIVE_UP) -> None:
    data(await person.post("/me/erase", body))


async def log_in(world: World, email: str) -> Any:
    return await world.client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD})


async def traces(app: FastAPI, *words: str) -> list[str]:
    """Return every table and column of the database that contains one of these words."""
    async with app.state.worker_database.transaction() as session:
        listed = "select table_name from information_schema.tables where table_schema = 'public'"
        names = (await session.scalars(text(listed))).all()
        return [
            f"{name}: {row}"
            for name in names
            for row in (await session.scalars(text(f'select t::text from "{name}" t'))).all()
            if any(word.lower() in row.lower() for word in words)
        ]


async def bought(world: World, app: FastAPI) -> tuple[Person, Show, dict[str, Any]]:
    show, ada = await world.show(), await world.person("zebedee")
    order = await world.order(ada, await world.hold(ada, show, "Stalls-A-1", "Stalls-A-2"))
    payment = await world.payment(ada, order)
    data(await world.webhook("payment.succeeded", payment))
    # Payment providers add the payer to their webhooks.
    await run(
        app,
        "update payment_events set body = body || jsonb_build_object('payer', cast(:email as text))",
        email=ada.email,
    )
    await drain(app)
    return ada, show, order


async def test_erasure_leaves_no_personal_data_anywhere(world: World, app: FastAPI) -> None:
    ada, _, order = await bought(world, app)
    (payment,) = data(await ada.get(f"/orders/{order['id']}/payments"))
    for number, kind in enumerate(("refund.created", "refund.failed", "dispute.created")):
        words = {"object_ref": f"ref_{number}", "amount": 100, "reason": f"{kind} as {ada.email} wished"}
        data(await world.webhook(kind, payment, **words))
    assert await traces(app, ada.email, "Zebedee", "Ada Byron") != []
    await erase(ada)
    await drain(app)
    assert await traces(app, ada.email, "Zebedee", "Ada Byron") == []


async def test_an_order_is_kept_without_a_name(world: World, app: FastAPI) -> None:
    ada, show, order = await bought(world, app)
    await erase(ada)
    await drain(app)
    kept = data(await show.tenant.admin.get(show.tenant.path("/orders")))[0]
    assert (kept["reference"], kept["status"], kept["total"]) == (order["reference"], "paid", order["total"])
    assert kept["lines"] == order["lines"]
    assert kept["buyer"] == {"email": "", "name": ""}
    by_reference = f"{API}/orders/by-reference/{order['reference']}"
    refusal(await world.client.get(by_reference, params={"email": ada.email}), 404)
    refusal(await world.client.get(by_reference, params={"email": "   "}), 404)
    refund = {"amount": 100, "reason": "A broken chair"}
    data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", refund), 201)


async def test_a_ticket_of_an_erased_buyer_still_admits(world: World, app: FastAPI) -> None:
    ada, show, _ = await bought(world, app)
    ticket = data(await ada.get("/me/tickets"))[0]
    await erase(ada)
    await drain(app)
    admitted = data(await show.tenant.admin.post(show.path("/check-ins"), {"code": ticket["code"]}))
    assert admitted["result"] == "admitted"
    assert ada.email not in str(admitted)


async def test_erasure_names_tickets_for_future_events_first(world: World, app: FastAPI) -> None:
    ada, show, _ = await bought(world, app)
    ids = {ticket["id"] for ticket in data(await ada.get("/me/tickets"))}
    error = refusal(await ada.post("/me/erase", {"password": PASSWORD}), 409)
    assert error["code"] == "tickets_left"
    assert {ticket["id"] for ticket in error["tickets"]} == ids
    assert {ticket["event_id"] for ticket in error["tickets"]} == {show.id}
    data(await log_in(world, ada.email))
    await run(app, "update events set starts_at = now() - interval '1 day'")
    await erase(ada, {"password": PASSWORD})


async def test_the_account_is_gone_at_once_and_its_address_is_free(world: World, app: FastAPI) -> None:
    ada = await world.person("ada")
    await erase(ada)
    assert refusal(await log_in(world, ada.email), 401)["code"] == "bad_credentials"
    refusal(await world.client.post(f"{API}/auth/refresh", json={"refresh_token": ada.refresh_token}), 401)
    refusal(await ada.get("/me"), 401)
    again = {"email": ada.email, "password": PASSWORD}
    assert data(await world.client.post(f"{API}/auth/register", json=again), 201)["user"]["id"] != ada.id


@pytest.mark.parametrize("email", ["", " ", "erased:{id}"])
async def test_an_erased_account_cannot_log_in(world: World, app: FastAPI, email: str) -> None:
    ada = await world.person("ada")
    await erase(ada)
    refusal(await log_in(world, email.format(id=ada.id)), 422)


async def test_a_wrong_password_erases_nothing(world: World) -> None:
    ada = await world.person("ada")
    error = refusal(await ada.post("/me/erase", {"password": "not mine at all"}), 422)
    assert error["field"] == "password"
    assert data(await ada.get("/me"))["email"] == ada.email


async def test_erasure_requires_the_second_factor(world: World, app: FastAPI) -> None:
    ada = await world.person("ada")
    _, recovery_codes = await switch_on(ada)
    error = refusal(await ada.post("/me/erase", {"password": PASSWORD}), 401)
    assert error["code"] == "second_factor_required"
    await erase(ada, {"password": PASSWORD, "code": recovery_codes[0]})
    assert await rows(app, "select * from second_factors") == []


async def test_erasure_ends_active_holds(world: World, app: FastAPI) -> None:
    show, ada, bob = await world.show(), await world.person("ada"), await world.person("bob")
    await world.hold(ada, show, "Stalls-A-1")
    await erase(ada)
    assert (await world.hold(bob, show, "Stalls-A-1"))["status"] == "active"


async def test_the_last_admin_cannot_be_erased(world: World) -> None:
    tenant = await world.tenant()
    error = refusal(await tenant.admin.post("/me/erase", GIVE_UP), 409)
    assert error["code"] == "last_admin"
    assert error["organization"]["id"] == tenant.id
    assert data(await tenant.admin.get("/me"))["email"] == tenant.admin.email


@pytest.mark.parametrize("role", ["ORG_ADMIN", "ORG_STAFF", "ORG_SCANNER"])
async def test_an_erased_member_leaves_and_is_audited_by_id(world: World, app: FastAPI, role: str) -> None:
    tenant = await world.tenant()
    bob = await world.member(tenant, role)
    await erase(bob)
    await drain(app)
    entry = data(await tenant.admin.get(tenant.path("/audit-log")))[0]
    assert (entry["action"], entry["actor"], entry["subject"]) == ("member.removed", f"user:{bob.id}", f"user:{bob.id}")
    assert [m["user_id"] for m in data(await tenant.admin.get(tenant.path("/members")))] == [tenant.admin.id]
    assert await traces(app, bob.email) == []


async def test_erasure_is_idempotent_and_publishes_one_message(world: World, app: FastAPI) -> None:
    ada, _, _ = await bought(world, app)
    await asyncio.gather(*(ada.post("/me/erase", GIVE_UP) for _ in range(4)))
    await drain(app)
    assert (await message_counts(app, {"id": ada.id}))["user.erased"] == 1
    before = await rows(app, "select * from orders")
    async with app.state.worker_database.transaction() as session:
        await privacy.forget_person(session, iam.UserErased(user_id=ada.id))
    assert await rows(app, "select * from orders") == before


async def test_another_persons_ticket_keeps_its_name(world: World, app: FastAPI) -> None:
    ada, _, _ = await bought(world, app)
    bob = await world.person("bob")
    ticket = data(await ada.get("/me/tickets"))[0]
    data(await ada.post(f"/tickets/{ticket['id']}/transfer", {"email": bob.email}))
    await erase(ada)
    await drain(app)
    assert [t["holder_name"] for t in data(await bob.get("/me/tickets"))] == ["Bob"]


async def test_a_ticket_that_is_issued_after_the_erasure_has_no_name(world: World, app: FastAPI) -> None:
    show, ada = await world.show(), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1")
    async with (
        app.state.worker_database.transaction() as issuing,
        app.state.worker_database.transaction() as forgetting,
    ):
        await privacy.forget_person(forgetting, iam.UserErased(user_id=ada.id))
        message = orders.OrderPaid.of(await orders.get_order(issuing, order["id"]))
        issue = asyncio.create_task(tickets.issue_tickets(issuing, message))
        await asyncio.sleep(0.2)
        await forgetting.commit()
        await issue
    assert [row.holder_name for row in await rows(app, "select holder_name from tickets")] == [""]


async def test_data_written_during_an_erasure_is_erased_later(world: World, app: FastAPI) -> None:
    ada, _, _ = await bought(world, app)
    await erase(ada)
    await drain(app)
    await run(app, "update orders set buyer_name = 'Zebedee'")
    async with app.state.worker_database.transaction() as session:
        await privacy.finish_erasures(session)
    assert await traces(app, "Zebedee") == []
