"""Emails that a person can cause in a mailbox of somebody else: few, and without a word of theirs."""

import asyncio
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.notifications.smtp_server import SmtpServer, body_of, token_in
from tests.modules.notifications.test_order_emails import verified
from tests.support.drain import drain
from tests.support.world import API, PASSWORD, Person, Show, Tenant, World, data
from ticketing.infra.db import Database
from ticketing.modules.notifications import limits, texts

LURE = "evil.example"
STRANGER = "stranger@example.org"


async def lure(world: World, admin: Person) -> Show:
    """A free event in whose every text is a lure."""
    tenant = data(await admin.post("/orgs", {"name": f"Bank {LURE}", "slug": f"bank-{uuid4().hex[:8]}"}), 201)
    place = Tenant(tenant["id"], tenant["slug"], admin)
    return await world.show(place, seats=0, capacity=100, area_price=0, title=f"Account locked: https://{LURE}/")


async def order_for(world: World, buyer: Person, show: Show, email: str) -> dict[str, Any]:
    items = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    hold = data(await buyer.post("/reservations", {"event_id": show.id, "items": items}), 201)
    body = {"reservation_id": hold["id"], "buyer": {"email": email, "name": f"Call {LURE}"}}
    order: dict[str, Any] = data(await buyer.post("/orders", body), 201)
    return order


def everything(email: EmailMessage) -> str:
    return str(email["Subject"]) + body_of(email) + body_of(email, "html")


async def test_a_stranger_gets_few_emails_and_no_word_of_their_sender(
    app: FastAPI, world: World, smtp: SmtpServer
) -> None:
    references = set()
    for number in range(8):
        attacker = await verified(app, world, f"attacker-{number}")
        show = await lure(world, attacker)
        for tag in ("", f"+{number}"):
            order = await order_for(world, attacker, show, STRANGER.replace("@", f"{tag}@"))
            references.add(order["reference"])
    for number in range(8):  # again, from the last account
        await order_for(world, attacker, show, f"Stranger+{number}@EXAMPLE.org")
    await drain(app)
    received = [email for email in smtp.emails if str(email["To"]).lower().endswith("@example.org")]
    assert len(received) == limits.BURST
    for email in received:
        assert str(email["Subject"]).startswith("Please confirm your address for order ")
        assert LURE not in everything(email)
        assert list(email.iter_attachments()) == []


async def test_a_confirmed_recipient_gets_the_tickets_of_this_buyer_only(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada, eve = await verified(app, world, "ada"), await verified(app, world, "eve")
    show = await world.show(seats=0, capacity=100, area_price=0)
    orders = [await order_for(world, ada, show, STRANGER) for _ in range(2)]
    await drain(app)
    [asked] = smtp.to(STRANGER)
    assert orders[0]["reference"] in everything(asked)
    confirmed = await asyncio.gather(
        *(client.post(f"{API}/auth/verify-email", json={"token": token_in(asked)}) for _ in range(3))
    )
    assert {answer.status_code for answer in confirmed} == {200}
    await drain(app)
    tickets = smtp.to(STRANGER)[1:]
    assert len(tickets) == len(orders)
    for order in orders:
        [email] = [each for each in tickets if order["reference"] in each["Subject"]]
        assert [file.get_content_type() for file in email.iter_attachments()] == ["application/pdf"]
    later = await order_for(world, ada, show, STRANGER.upper())
    await order_for(world, eve, await lure(world, eve), STRANGER)
    await drain(app)
    one, other = [str(email["Subject"]) for email in smtp.to(STRANGER)[3:]]
    assert later["reference"] in one
    assert one.startswith("Your tickets")
    assert other.startswith("Please confirm"), "what Ada may send, Eve may not"
    assert data(await ada.get("/me"))["email_verified"] is True
    export = (await ada.get("/me/export")).json()
    assert [each["email"] for each in export["recipients"]] == [STRANGER]


async def test_the_tickets_of_a_new_account_follow_the_verification_of_its_address(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    show, ada = await world.show(), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1")
    await drain(app)
    [asked] = smtp.to(ada.email)  # the email of the registration asks for the same
    data(await client.post(f"{API}/auth/verify-email", json={"token": token_in(asked)}))
    await drain(app)
    [tickets] = smtp.to(ada.email)[1:]
    assert order["reference"] in tickets["Subject"]


async def test_an_unverified_account_whose_link_has_expired_is_asked_again_by_its_order(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    show, ada = await world.show(), await world.person("ada")
    await drain(app)
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("update mail_tokens set expires_at = now() - interval '1 hour'"))
    order = await world.buy(ada, show, "Stalls-A-1")
    await drain(app)
    asked = smtp.to(ada.email)[-1]
    assert order["reference"] in asked["Subject"]
    data(await client.post(f"{API}/auth/verify-email", json={"token": token_in(asked)}))
    assert data(await ada.get("/me"))["email_verified"] is True
    await drain(app)
    assert str(smtp.to(ada.email)[-1]["Subject"]).startswith("Your tickets for")


async def test_refunds_to_a_stranger_have_no_word_of_the_organizer(
    app: FastAPI, world: World, smtp: SmtpServer
) -> None:
    buyer = await verified(app, world, "buyer")
    show = await world.show(title=f"See {LURE}")
    hold = await world.hold(buyer, show, "Stalls-A-1")
    body = {"reservation_id": hold["id"], "buyer": {"email": STRANGER, "name": LURE}}
    order = data(await buyer.post("/orders", body), 201)
    data(await world.webhook("payment.succeeded", await world.payment(buyer, order)))
    await drain(app)
    for _ in range(limits.BURST + 3):
        refund = {"amount": 1, "reason": LURE}
        data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", refund), 201)
        await drain(app)
    received = smtp.to(STRANGER)
    assert len(received) == 1 + limits.BURST  # one asks for confirmation
    assert not [email for email in received if LURE in everything(email)]


async def test_every_kind_of_email_that_anybody_can_cause_is_limited_per_mailbox(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer, database: Database
) -> None:
    names = [f"stranger+{number}@example.org" for number in range(limits.BURST + 2)]
    for name in names:
        data(await client.post(f"{API}/auth/register", json={"email": name, "password": PASSWORD}), 201)
    await drain(app)
    assert len(smtp.emails) == limits.BURST
    for name in names:
        assert (await client.post(f"{API}/auth/password-reset", json={"email": name})).status_code == 202
    await drain(app)
    assert len(smtp.emails) == 2 * limits.BURST
    async with database.transaction() as session:
        assert await limits.clean_limits(session) == 0
        await session.execute(text("update email_limits set full_at = full_at - interval '4 hours'"))
        assert [await limits.may_send(session, "verification", each) for each in names[:2]] == [True, False]
        await session.execute(text("update email_limits set full_at = now() - interval '1 second'"))
        assert await limits.clean_limits(session) == 2


async def test_concurrent_emails_to_one_mailbox_stay_within_the_limit(database: Database) -> None:
    async def send(number: int) -> bool:
        async with database.transaction() as session:
            return await limits.may_send(session, "confirmation", f"stranger+{number}@example.org")

    assert sum(await asyncio.gather(*(send(number) for number in range(3 * limits.BURST)))) == limits.BURST


async def test_an_erasure_takes_confirmed_recipients_along(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer, database: Database
) -> None:
    ada, bob = await verified(app, world, "ada"), await verified(app, world, "bob")
    show = await world.show(seats=0, capacity=10, area_price=0)
    for buyer, recipient in ((ada, STRANGER), (bob, ada.email)):
        await order_for(world, buyer, show, recipient)
        await drain(app)
        data(await client.post(f"{API}/auth/verify-email", json={"token": token_in(smtp.to(recipient)[-1])}))
    data(await ada.post("/me/erase", {"password": PASSWORD, "give_up_tickets": True}))
    async with database.transaction() as session:
        assert (await session.scalars(text("select email from confirmed_recipients"))).all() == []
        left = await session.scalars(
            text("select email from mail_tokens where email = any(:them)"), {"them": [ada.email]}
        )
        assert left.all() == []
    assert UUID(bob.id)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Jazz", "“Jazz”"),
        ("Jazz” from your bank: “call", "“Jazz' from your bank: 'call”"),
        ("a\r\nBcc: b@example.com", "“a Bcc: b@example.com”"),
        ("pay\u202egnp.exe\u2066x\u200b\ufeff", "“paygnp.exex”"),
        ("line\u2028break\u0085", "“line break”"),
        ("x" * 200, f"“{'x' * 59}…”"),
        ("\U000e0041tag", "“tag”"),
        ("ערב (2027)", "“\u2068ערב (2027)\u2069”"),
        ("نم\u200cکن", "“\u2068نم\u200cکن\u2069”"),
        ("क्\u200dष 👩\u200d👧", "“क्\u200dष 👩\u200d👧”"),
        ("new \U0001fae9 own \ue000", "“new \U0001fae9 own \ue000”"),
    ],
)
def test_an_organizers_text_is_quoted_and_bounded(written: str, shown: str) -> None:
    assert texts.quote(written) == shown
