"""Emails about a moved or a cancelled event: one per change and recipient, with a file that replaces earlier ones."""

from email.message import EmailMessage
from typing import Any

import pytest
from fastapi import FastAPI
from icalendar import Calendar, Component
from sqlalchemy import text

from tests.modules.notifications.smtp_server import SmtpServer, body_of, link_in
from tests.modules.tickets.ticket_sale import TicketSale, sell_tickets
from tests.support.drain import drain
from tests.support.world import API, Person, World, data
from ticketing.modules.notifications import event_notices

MOVED = {"starts_at": "2030-06-02T18:00:00Z"}


async def run(app: FastAPI, statement: str) -> None:
    async with app.state.worker_database.transaction() as session:
        await session.execute(text(statement))


async def verify_all(app: FastAPI) -> None:
    await run(app, "update users set email_verified_at = now()")


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    """Two tickets of a buyer with a verified address; the emails about the purchase are sent."""
    sale = await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2", title="Müller & <Söhne>")
    await verify_all(app)
    return sale


def notices(smtp: SmtpServer, person: Person) -> list[EmailMessage]:
    prefixes = ("New time or place", "Cancelled")
    return [each for each in smtp.to(person.email) if each["Subject"].startswith(prefixes)]


def enclosed(email: EmailMessage) -> tuple[str, list[Component]]:
    """The method of the calendar file, as the file and the part's type name it, and its entries."""
    [part] = email.iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == ("text/calendar", "event.ics")
    calendar = Calendar.from_ical(part.get_payload(decode=True))
    method = str(calendar["METHOD"])
    assert part.get_param("method") == method
    assert part.get_param("charset") == "utf-8"
    return method, calendar.walk("VEVENT")


async def download(person: Person, ticket: dict[str, Any]) -> Component:
    answer = await person.get(f"/tickets/{ticket['id']}/calendar.ics")
    [entry] = Calendar.from_ical(answer.content).walk("VEVENT")
    return entry


def key(entry: Component) -> tuple[str, int, str]:
    return str(entry["UID"]), entry["SEQUENCE"], str(entry["STATUS"])


async def test_a_moved_event_sends_its_buyer_one_email_with_the_new_file(
    app: FastAPI, sale: TicketSale, smtp: SmtpServer
) -> None:
    before = [await download(sale.buyer, ticket) for ticket in sale.tickets]
    data(await sale.admin.patch(sale.show.path(), MOVED))
    await drain(app)
    [email] = notices(smtp, sale.buyer)
    assert email["Subject"] == "New time or place: “Müller & <Söhne>”"
    plain = body_of(email)
    for line in ("Sunday, 2 June 2030, 20:00 (Amsterdam time)", "Hall, Utrecht", sale.order["reference"], "seat 2"):
        assert line in plain
    assert "refund" not in plain
    assert link_in(email).endswith(f"/o/{sale.order['reference']}")
    method, entries = enclosed(email)
    assert method == "PUBLISH"
    after = [await download(sale.buyer, ticket) for ticket in sale.tickets]
    assert [key(entry) for entry in entries] == [key(entry) for entry in after]
    for old, new in zip(before, after, strict=True):
        assert (old["UID"], old["SEQUENCE"] + 1) == (new["UID"], new["SEQUENCE"])
        assert new["DTSTART"].dt > old["DTSTART"].dt
        assert new["LAST-MODIFIED"].dt >= old["LAST-MODIFIED"].dt, "in whole seconds"


async def test_a_cancelled_event_sends_one_email_that_promises_no_refund(
    app: FastAPI, sale: TicketSale, smtp: SmtpServer
) -> None:
    data(await sale.admin.post(sale.show.path("/cancel")))
    await drain(app)
    [email] = notices(smtp, sale.buyer)
    assert email["Subject"] == "Cancelled: “Müller & <Söhne>”"
    assert "It does not take place" in body_of(email)
    assert "This email is about the event only." in body_of(email)
    method, entries = enclosed(email)
    assert method == "CANCEL"
    downloaded = [key(await download(sale.buyer, ticket)) for ticket in sale.tickets]
    assert [key(entry) for entry in entries] == downloaded
    assert {entry[1:] for entry in downloaded} == {(1, "CANCELLED")}
    assert not any("on its way back" in each["Subject"] for each in smtp.to(sale.buyer.email))


@pytest.mark.parametrize(
    ("change", "is_revision", "is_told"),
    [
        ({"starts_at": "2030-06-01T19:30:00Z"}, True, True),
        ({"ends_at": "2030-06-01T23:00:00Z"}, True, True),
        ({"title": "Another title"}, True, False),
        ({"sales_start_at": "2026-01-01T00:00:00Z"}, True, False),
        ({"description": "Bring a book.", "max_per_order": 4}, False, False),
        ({"starts_at": "2030-06-01T19:00:00Z", "title": "Müller & <Söhne>"}, False, False),
    ],
)
async def test_which_changes_replace_a_file_and_which_send_an_email(
    app: FastAPI, sale: TicketSale, smtp: SmtpServer, change: dict[str, Any], is_revision: bool, is_told: bool
) -> None:
    data(await sale.admin.patch(sale.show.path(), change))
    await drain(app)
    assert len(notices(smtp, sale.buyer)) == is_told
    assert (await download(sale.buyer, sale.tickets[0]))["SEQUENCE"] == is_revision
    event = data(await sale.world.client.get(f"{API}/events/{sale.show.id}"))
    assert event["calendar_sequence"] == is_revision


async def test_each_holder_gets_their_own_tickets_and_a_buyer_without_tickets_those_of_the_order(
    app: FastAPI, sale: TicketSale, world: World, smtp: SmtpServer
) -> None:
    first, second = sale.tickets
    bob, carol = await world.person("bob"), await world.person("carol")
    third = await world.buy(sale.buyer, sale.show, "Stalls-A-3")
    other = await world.buy(await world.person("other"), await world.show(sale.show.tenant), "Stalls-A-1")
    await drain(app)
    await verify_all(app)
    data(await sale.buyer.post(f"/tickets/{first['id']}/transfer", {"email": bob.email}))
    data(await sale.admin.patch(sale.show.path(), MOVED))
    await drain(app)
    [to_bob], [to_buyer] = notices(smtp, bob), notices(smtp, sale.buyer)
    assert [str(entry["UID"]) for entry in enclosed(to_bob)[1]] == [f"{first['id']}@ticketing"]
    assert link_in(to_bob).endswith("/me")
    assert f"{second['id']}@ticketing" in {str(entry["UID"]) for entry in enclosed(to_buyer)[1]}
    assert len(enclosed(to_buyer)[1]) == 2, "of both orders"
    assert third["reference"] in body_of(to_buyer)
    for ticket in data(await sale.buyer.get("/me/tickets")):
        data(await sale.buyer.post(f"/tickets/{ticket['id']}/transfer", {"email": carol.email}))
    data(await sale.admin.post(sale.show.path("/cancel")))
    await drain(app)
    assert [len(notices(smtp, person)) for person in (bob, carol, sale.buyer)] == [2, 1, 2]
    assert len(enclosed(notices(smtp, carol)[0])[1]) == 2
    assert not any(other["reference"] in body_of(each) for each in smtp.emails if "Cancelled" in each["Subject"])


async def test_a_message_that_is_delivered_again_sends_nothing_again(
    app: FastAPI, sale: TicketSale, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_notices, "PAGE_ROWS", 1)
    data(await sale.admin.patch(sale.show.path(), MOVED))
    await drain(app)
    # As after a crash between the effect of a message and the cursor of its reader.
    for _ in range(2):
        await run(app, "delete from outbox_cursor where reader in ('notifications', 'event_notices')")
        await drain(app)
    assert len(notices(smtp, sale.buyer)) == 1


async def test_pages_of_recipients_tell_each_of_them_once(
    app: FastAPI, world: World, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_notices, "PAGE_ROWS", 2)
    sale = await sell_tickets(app, world, standing=4)
    friends = [await world.person(f"friend{n}") for n in range(4)]
    for friend, ticket in zip(friends, sale.tickets, strict=True):
        data(await sale.buyer.post(f"/tickets/{ticket['id']}/transfer", {"email": friend.email}))
    await verify_all(app)
    data(await sale.admin.post(sale.show.path("/cancel")))
    await drain(app)
    assert [len(notices(smtp, person)) for person in (*friends, sale.buyer)] == [1] * 5


async def test_a_voided_ticket_and_an_unpaid_order_are_told_nothing(
    app: FastAPI, sale: TicketSale, world: World, smtp: SmtpServer
) -> None:
    waiting = await world.person("waiting")
    await verify_all(app)
    await world.order(waiting, await world.hold(waiting, sale.show, "Stalls-B-1"))
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {}), 201)
    await drain(app)
    data(await sale.admin.patch(sale.show.path(), MOVED))
    data(await sale.admin.post(sale.show.path("/cancel")))
    await drain(app)
    assert notices(smtp, sale.buyer) == notices(smtp, waiting) == []


async def test_a_move_before_a_cancellation_is_not_told_as_a_move(
    app: FastAPI, sale: TicketSale, smtp: SmtpServer
) -> None:
    data(await sale.admin.patch(sale.show.path(), MOVED))
    data(await sale.admin.post(sale.show.path("/cancel")))
    await drain(app)
    [email] = notices(smtp, sale.buyer)
    assert email["Subject"].startswith("Cancelled")
    assert {entry["SEQUENCE"] for entry in enclosed(email)[1]} == {2}


async def test_an_unconfirmed_address_is_told_without_an_organizers_words(
    app: FastAPI, world: World, smtp: SmtpServer
) -> None:
    sale = await sell_tickets(app, world, title="Win a prize at evil.example")
    data(await sale.admin.patch(sale.show.path(), MOVED))
    await drain(app)
    [email] = notices(smtp, sale.buyer)
    assert email["Subject"] == "New time or place: an event of your order"
    assert "evil" not in email.as_string()
    assert list(email.iter_attachments()) == []


async def test_an_erased_buyer_and_an_order_without_tickets_yet(app: FastAPI, world: World, smtp: SmtpServer) -> None:
    show, erased, early = await world.show(), await world.person("erased"), await world.person("early")
    await world.buy(erased, show, "Stalls-A-1")
    await drain(app)
    await verify_all(app)
    await run(app, f"update orders set buyer_email = '' where user_id = '{erased.id}'")
    await world.buy(early, show, "Stalls-A-2")
    data(await show.tenant.admin.post(show.path("/cancel")))
    await drain(app)
    assert notices(smtp, erased) == []
    [email] = notices(smtp, early)
    assert "Show" in body_of(email)
