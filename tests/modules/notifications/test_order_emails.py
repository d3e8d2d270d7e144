"""Emails about orders: tickets and refunds."""

import io

import httpx2
import pytest
from fastapi import FastAPI
from pypdf import PdfReader
from sqlalchemy import text

from tests.modules.notifications.smtp_server import SmtpServer, body_of, link_in
from tests.support.drain import drain
from tests.support.world import Person, World, data
from ticketing.modules.notifications import emails


async def verified(app: FastAPI, world: World, name: str) -> Person:
    """A person with a verified address."""
    person = await world.person(name)
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("update users set email_verified_at = now() where id = :id"), {"id": person.id})
    return person


async def test_a_paid_order_gets_its_tickets_by_email(app: FastAPI, world: World, smtp: SmtpServer) -> None:
    show, ada = await world.show(title="Müller & <Söhne>"), await verified(app, world, "ada")
    order = await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2")
    await drain(app)
    [email] = [each for each in smtp.to(ada.email) if "tickets" in each["Subject"]]
    assert email["Subject"] == f"Your tickets for “Müller & <Söhne>” ({order['reference']})"
    plain = body_of(email)
    for line in (
        "Müller & <Söhne>",
        "Saturday, 1 June 2030, 21:00 (Amsterdam time)",
        "Hall, Utrecht",
        "Stalls, row A, seat 1",
        "Stalls, row A, seat 2",
        order["reference"],
    ):
        assert line in plain
    assert link_in(email) == f"http://127.0.0.1:8000/o/{order['reference']}"
    html = body_of(email, "html")
    assert "Müller &amp; &lt;Söhne&gt;" in html
    assert "<Söhne>" not in html
    assert "<img" not in html, "no tracking of opened emails"
    [pdf] = email.iter_attachments()
    assert (pdf.get_content_type(), pdf.get_filename()) == ("application/pdf", f"tickets-{order['reference']}.pdf")
    assert len(PdfReader(io.BytesIO(pdf.get_content())).pages) == 2


async def test_an_email_with_many_tickets_lists_some_and_links_to_the_rest(
    app: FastAPI, world: World, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "TICKETS_MAX", 2)
    show, ada = await world.show(), await verified(app, world, "ada")
    await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    await drain(app)
    email = smtp.to(ada.email)[-1]
    assert "and 1 more" in body_of(email)
    assert "seat 3" not in body_of(email)
    assert list(email.iter_attachments()) == []


async def test_tickets_transferred_before_the_email_is_sent_are_left_out(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    show, ada, bob = await world.show(), await verified(app, world, "ada"), await world.person("bob")
    await world.buy(ada, show, "Stalls-A-1")
    await drain(app)
    before = len(smtp.emails)
    # Redeliver the message, as after a crash, when Bob has the ticket.
    [ticket] = data(await ada.get("/me/tickets"))
    data(await ada.post(f"/tickets/{ticket['id']}/transfer", {"email": bob.email}))
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("delete from inbox where consumer = 'notifications'"))
        await session.execute(text("delete from outbox_cursor where reader = 'notifications'"))
        await session.execute(text("delete from mail_tokens"))
    await drain(app)
    assert len(smtp.emails) == before


async def test_a_refund_email_has_the_amount(app: FastAPI, world: World, smtp: SmtpServer) -> None:
    show, ada = await world.show(), await verified(app, world, "ada")
    order = await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2")
    await drain(app)
    body = {"amount": 4550, "reason": "We suspect fraud"}
    data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", body), 201)
    await drain(app)
    email = smtp.to(ada.email)[-1]
    assert email["Subject"] == f"€45.50 is on its way back to you ({order['reference']})"
    assert "Show" in body_of(email)
    assert "fraud" not in body_of(email), "a reason entered by staff is internal"
    assert link_in(email).endswith(f"/o/{order['reference']}")


async def test_the_email_about_a_returned_payment_has_the_reason(app: FastAPI, world: World, smtp: SmtpServer) -> None:
    show, ada = await world.show(), await world.person("ada")
    order = await world.order(ada, await world.hold(ada, show, "Stalls-A-1"))
    first = await world.payment(ada, order)
    data(await world.webhook("payment.failed", first))
    second = await world.payment(ada, order)
    data(await world.webhook("payment.succeeded", second))
    data(await world.webhook("payment.succeeded", first))
    await drain(app)
    [email] = [each for each in smtp.to(ada.email) if each["Subject"].startswith("€45.00 is on its way back")]
    assert "The reason: This order had been paid already." in body_of(email)
