"""Holders of tickets: reading a ticket and its files, and transferring it."""

import asyncio
import io
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from icalendar import Calendar
from pypdf import PdfReader

from tests.modules.tickets.ticket_sale import TicketSale, sell_tickets, tickets_of
from tests.support.world import Person, World, data, refusal
from ticketing.modules.tickets.codes import keyring

FILES = {"pdf": "application/pdf", "qr.svg": "image/svg+xml", "calendar.ics": "text/calendar; charset=utf-8"}


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    return await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2")


async def test_a_holder_finds_their_tickets_newest_first_and_page_by_page(sale: TicketSale) -> None:
    first = await sale.buyer.get("/me/tickets?limit=1")
    (newest,) = data(first)
    assert newest["id"] == sale.tickets[1]["id"]
    second = await sale.buyer.get(f"/me/tickets?limit=1&cursor={first.json()['meta']['next_cursor']}")
    assert [t["id"] for t in data(second)] == [sale.tickets[0]["id"]]
    assert second.json()["meta"]["next_cursor"] is None


async def test_a_ticket_has_the_code_that_scanners_read(sale: TicketSale) -> None:
    ticket = data(await sale.buyer.get(f"/tickets/{sale.tickets[0]['id']}"))
    assert ticket == sale.tickets[0]
    claims = keyring().read(ticket["code"])
    assert (claims.ticket_id, claims.event_id) == (UUID(ticket["id"]), UUID(sale.show.id))
    assert ticket["qr"] == f"/api/v1/tickets/{ticket['id']}/qr.svg"


async def test_the_files_of_a_ticket_have_the_right_type_and_are_not_cached(sale: TicketSale) -> None:
    for name, media_type in FILES.items():
        answer = await sale.buyer.get(f"/tickets/{sale.tickets[0]['id']}/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Cache-Control"] == "no-store"
        assert sale.order["reference"] in answer.headers["Content-Disposition"]


async def test_the_pdf_shows_section_row_and_seat_of_the_plan(sale: TicketSale) -> None:
    answer = await sale.buyer.get(f"/tickets/{sale.tickets[1]['id']}/pdf")
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    words = page.extract_text().split("\n")
    assert {"Stalls", "A", "2", "Ada Byron", sale.order["reference"], "€45.00"} <= set(words)


async def test_the_pdf_of_an_order_has_a_page_for_each_ticket_that_the_viewer_holds(
    sale: TicketSale, world: World
) -> None:
    path = f"/orders/{sale.order['id']}/tickets.pdf"
    assert len(PdfReader(io.BytesIO((await sale.buyer.get(path)).content)).pages) == 2
    friend = await world.person("friend")
    data(await sale.buyer.post(f"/tickets/{sale.tickets[0]['id']}/transfer", {"email": friend.email}))
    assert len(PdfReader(io.BytesIO((await sale.buyer.get(path)).content)).pages) == 1
    data(await sale.buyer.post(f"/tickets/{sale.tickets[1]['id']}/transfer", {"email": friend.email}))
    assert refusal(await sale.buyer.get(path), 409)["code"] == "no_tickets"


async def test_the_calendar_entry_links_to_the_order(sale: TicketSale) -> None:
    answer = await sale.buyer.get(f"/tickets/{sale.tickets[0]['id']}/calendar.ics")
    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert str(event["URL"]).endswith(f"/o/{sale.order['reference']}")


async def test_general_admission_has_a_pdf_and_a_calendar_too(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, standing=1)
    for name in FILES:
        assert (await sale.buyer.get(f"/tickets/{sale.tickets[0]['id']}/{name}")).status_code == 200


async def _paths(sale: TicketSale) -> list[str]:
    ticket, order = f"/tickets/{sale.tickets[0]['id']}", f"/orders/{sale.order['id']}"
    return [ticket, *(f"{ticket}/{name}" for name in FILES), f"{order}/tickets", f"{order}/tickets.pdf"]


async def test_a_ticket_is_not_found_for_anyone_else(sale: TicketSale, world: World) -> None:
    stranger, rival = await world.person("stranger"), (await world.tenant("rival")).admin
    scanner = await world.member(sale.show.tenant, "ORG_SCANNER")
    for path in await _paths(sale):
        unknown = path.replace(sale.tickets[0]["id"], str(uuid4())).replace(sale.order["id"], str(uuid4()))
        absent = refusal(await stranger.get(unknown), 404)
        for person in (stranger, rival, scanner):
            assert refusal(await person.get(path), 404) == absent


async def test_staff_of_the_organization_see_a_ticket(sale: TicketSale, world: World) -> None:
    staff = await world.member(sale.show.tenant, "ORG_STAFF")
    for path in await _paths(sale):
        assert (await staff.get(path)).status_code == 200


async def test_reading_tickets_requires_a_login(sale: TicketSale, client: httpx2.AsyncClient) -> None:
    for path in [*await _paths(sale), "/me/tickets"]:
        assert refusal(await client.get(f"/api/v1{path}"), 401)["code"] == "unauthenticated"


async def test_the_public_keys_are_published(sale: TicketSale, client: httpx2.AsyncClient) -> None:
    answer = await client.get("/.well-known/ticketing-keys.json")
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["kid"]) == ("OKP", "Ed25519", sale.code.split(".")[1])


async def transfer(person: Person, ticket: dict[str, str], email: str) -> httpx2.Response:
    return await person.post(f"/tickets/{ticket['id']}/transfer", {"email": email})


async def test_a_transferred_ticket_belongs_to_the_new_holder(sale: TicketSale, world: World) -> None:
    friend = await world.person("friend")
    given, kept = sale.tickets
    answer = data(await transfer(sale.buyer, given, friend.email.upper()))
    assert answer["ticket_id"] == given["id"]
    (theirs,) = data(await friend.get("/me/tickets"))
    assert (theirs["id"], theirs["holder_name"]) == (given["id"], "Friend")
    assert theirs["code"] != given["code"]
    assert [t["id"] for t in data(await sale.buyer.get("/me/tickets"))] == [kept["id"]]
    refusal(await sale.buyer.get(f"/tickets/{given['id']}"), 404)


async def test_the_buyer_of_a_transferred_ticket_sees_it_without_its_code(sale: TicketSale, world: World) -> None:
    friend = await world.person("friend")
    data(await transfer(sale.buyer, sale.tickets[0], friend.email))
    given, kept = await tickets_of(sale.buyer, sale.order)
    assert (given["code"], given["qr"]) == (None, None)
    assert kept == sale.tickets[1]
    refusal(await friend.get(f"/orders/{sale.order['id']}/tickets"), 404)


async def test_a_transfer_invalidates_the_old_code(sale: TicketSale, world: World) -> None:
    friend = await world.person("friend")
    data(await transfer(sale.buyer, sale.tickets[0], friend.email))
    refused = refusal(await sale.admin.post(sale.door(), {"code": sale.code}), 422)
    assert (refused["code"], refused["field"]) == ("invalid_code", "code")
    assert "given to somebody else" in refused["message"]
    (theirs,) = data(await friend.get("/me/tickets"))
    data(await sale.admin.post(sale.door(), {"code": theirs["code"]}))


async def test_a_ticket_is_transferred_to_existing_accounts_only(sale: TicketSale) -> None:
    for email in (f"{uuid4().hex}@example.com", "not an address", sale.buyer.email):
        assert refusal(await transfer(sale.buyer, sale.tickets[0], email), 422)["field"] == "email"
    assert await tickets_of(sale.buyer, sale.order) == sale.tickets


async def test_only_the_holder_or_staff_transfer_a_ticket(sale: TicketSale, world: World) -> None:
    friend, scanner = await world.person("friend"), await world.member(sale.show.tenant, "ORG_SCANNER")
    for person in (friend, scanner):
        refusal(await transfer(person, sale.tickets[0], friend.email), 404)
    data(await transfer(sale.admin, sale.tickets[0], friend.email))
    log = data(await sale.admin.get(sale.show.tenant.path("/audit-log")))
    assert log[0]["action"] == "ticket.transferred"
    refusal(await transfer(sale.buyer, sale.tickets[0], sale.admin.email), 404)


async def test_a_checked_in_or_voided_ticket_cannot_be_transferred(sale: TicketSale, world: World) -> None:
    friend = await world.person("friend")
    used, voided = sale.tickets
    data(await sale.admin.post(sale.door(), {"code": used["code"]}))
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {"ticket_ids": [voided["id"]]}), 201)
    assert refusal(await transfer(sale.buyer, used, friend.email), 409)["code"] == "already_checked_in"
    assert refusal(await transfer(sale.buyer, voided, friend.email), 409)["code"] == "voided"


async def test_concurrent_transfers_of_a_ticket_have_one_recipient(sale: TicketSale, world: World) -> None:
    friends = [await world.person("friend") for _ in range(4)]
    answers = await asyncio.gather(*(transfer(sale.buyer, sale.tickets[0], f.email) for f in friends))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    held = [data(await friend.get("/me/tickets")) for friend in friends]
    assert sorted(len(tickets) for tickets in held) == [0, 0, 0, 1]
