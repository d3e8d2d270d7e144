"""What a buyer reads after buying, and after money went back."""

import io

import httpx2
import pytest
from fastapi import FastAPI
from pypdf import PdfReader
from sqlalchemy import text

from tests.modules.notifications.post_office import Box, link_in, words_of
from tests.support.drain import drain
from tests.support.world import World, data
from ticketing.modules.notifications import emails


async def test_whoever_pays_gets_their_tickets_by_mail(app: FastAPI, world: World, box: Box) -> None:
    show, ada = await world.show(title="Müller & <Söhne>"), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2")
    await drain(app)
    [letter] = [each for each in box.to(ada.email) if "tickets" in each["Subject"]]
    assert letter["Subject"] == f"Your tickets: Müller & <Söhne> ({order['reference']})"
    plain = words_of(letter)
    for line in (
        "Müller & <Söhne>",
        "Saturday, 1 June 2030, 21:00 (Amsterdam time)",
        "Hall, Utrecht",
        "Stalls, row A, seat 1",
        "Stalls, row A, seat 2",
        order["reference"],
    ):
        assert line in plain
    assert link_in(letter) == f"http://127.0.0.1:8000/o/{order['reference']}"
    html = words_of(letter, "html")
    assert "Müller &amp; &lt;Söhne&gt;" in html
    assert "<Söhne>" not in html
    assert "<img" not in html, "nothing tells us that the letter was opened"
    [pdf] = letter.iter_attachments()
    assert (pdf.get_content_type(), pdf.get_filename()) == ("application/pdf", f"tickets-{order['reference']}.pdf")
    assert len(PdfReader(io.BytesIO(pdf.get_content())).pages) == 2


async def test_the_letter_goes_where_the_order_says(app: FastAPI, world: World, box: Box) -> None:
    show, ada = await world.show(price=0), await world.person("ada")
    reservation = await world.hold(ada, show, "Stalls-A-1")
    body = {"reservation_id": reservation["id"], "buyer": {"email": "guests@example.org", "name": "See www.evil.test"}}
    data(await ada.post("/orders", body), 201)
    await drain(app)
    [letter] = box.to("guests@example.org")
    assert "evil" not in words_of(letter), "a stranger can't put their words into our letters"


async def test_many_tickets_are_named_in_part_and_fetched_from_the_page(
    app: FastAPI, world: World, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "TICKETS_MAX", 2)
    show, ada = await world.show(), await world.person("ada")
    await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    await drain(app)
    letter = box.to(ada.email)[-1]
    assert "and 1 more" in words_of(letter)
    assert "seat 3" not in words_of(letter)
    assert list(letter.iter_attachments()) == []


async def test_tickets_that_are_gone_before_the_letter_is_written_are_not_sent(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    show, ada, bob = await world.show(), await world.person("ada"), await world.person("bob")
    await world.buy(ada, show, "Stalls-A-1")
    await drain(app)
    before = len(box.letters)
    # The same fact again, as after a crash, when Bob has the ticket.
    [ticket] = data(await ada.get("/me/tickets"))
    data(await ada.post(f"/tickets/{ticket['id']}/transfer", {"email": bob.email}))
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("delete from inbox where consumer = 'notifications'"))
        await session.execute(text("delete from outbox_cursor where reader = 'notifications'"))
        await session.execute(text("delete from mail_tokens"))
    await drain(app)
    assert len(box.letters) == before


async def test_a_refund_is_told_with_its_amount(app: FastAPI, world: World, box: Box) -> None:
    show, ada = await world.show(), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2")
    await drain(app)
    wish = {"amount": 4550, "reason": "We suspect fraud"}
    data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", wish), 201)
    await drain(app)
    letter = box.to(ada.email)[-1]
    assert letter["Subject"] == f"€45.50 is on its way back to you ({order['reference']})"
    assert "Show" in words_of(letter)
    assert "fraud" not in words_of(letter), "what staff write down is for their books"
    assert link_in(letter).endswith(f"/o/{order['reference']}")


async def test_money_that_came_twice_goes_back_with_a_word_about_why(app: FastAPI, world: World, box: Box) -> None:
    show, ada = await world.show(), await world.person("ada")
    order = await world.order(ada, await world.hold(ada, show, "Stalls-A-1"))
    first = await world.payment(ada, order)
    data(await world.webhook("payment.failed", first))
    second = await world.payment(ada, order)
    data(await world.webhook("payment.succeeded", second))
    data(await world.webhook("payment.succeeded", first))
    await drain(app)
    [letter] = [each for each in box.to(ada.email) if each["Subject"].startswith("€45.00 is on its way back")]
    assert "The reason: This order had been paid already." in words_of(letter)
