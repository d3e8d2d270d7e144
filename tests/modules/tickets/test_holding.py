import asyncio
import io
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from icalendar import Calendar
from pypdf import PdfReader

from tests.modules.tickets.stage import Stage, set_stage, tickets_of
from tests.support.world import Person, World, data, refusal
from ticketing.modules.tickets.codes import keyring
from ticketing.modules.tickets.documents import files as documents

FILES = {"pdf": "application/pdf", "qr.svg": "image/svg+xml", "calendar.ics": "text/calendar; charset=utf-8"}


@pytest.fixture
async def stage(app: FastAPI, world: World) -> Stage:
    return await set_stage(app, world, "Stalls-A-1", "Stalls-A-2")


async def test_a_holder_finds_their_tickets_newest_first_and_page_by_page(stage: Stage) -> None:
    first = await stage.buyer.get("/me/tickets?limit=1")
    (newest,) = data(first)
    assert newest["id"] == stage.tickets[1]["id"]
    second = await stage.buyer.get(f"/me/tickets?limit=1&cursor={first.json()['meta']['next_cursor']}")
    assert [t["id"] for t in data(second)] == [stage.tickets[0]["id"]]
    assert second.json()["meta"]["next_cursor"] is None


async def test_a_ticket_carries_the_code_that_the_door_reads(stage: Stage) -> None:
    ticket = data(await stage.buyer.get(f"/tickets/{stage.tickets[0]['id']}"))
    assert ticket == stage.tickets[0]
    claims = keyring().read(ticket["code"])
    assert (claims.ticket_id, claims.event_id) == (UUID(ticket["id"]), UUID(stage.show.id))
    assert ticket["qr"] == f"/api/v1/tickets/{ticket['id']}/qr.svg"


async def test_the_files_of_a_ticket_are_what_they_say(stage: Stage) -> None:
    for name, media_type in FILES.items():
        answer = await stage.buyer.get(f"/tickets/{stage.tickets[0]['id']}/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Cache-Control"] == "no-store"
        assert stage.order["reference"] in answer.headers["Content-Disposition"]


async def test_the_pdf_shows_section_row_and_seat_of_the_plan(stage: Stage) -> None:
    answer = await stage.buyer.get(f"/tickets/{stage.tickets[1]['id']}/pdf")
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    words = page.extract_text().split("\n")
    assert {"Stalls", "A", "2", "Ada Byron", stage.order["reference"], "€45.00"} <= set(words)


async def test_the_pdf_of_an_order_has_a_page_for_each_ticket_that_one_holds(stage: Stage, world: World) -> None:
    path = f"/orders/{stage.order['id']}/tickets.pdf"
    assert len(PdfReader(io.BytesIO((await stage.buyer.get(path)).content)).pages) == 2
    friend = await world.person("friend")
    data(await stage.buyer.post(f"/tickets/{stage.tickets[0]['id']}/transfer", {"email": friend.email}))
    assert len(PdfReader(io.BytesIO((await stage.buyer.get(path)).content)).pages) == 1
    data(await stage.buyer.post(f"/tickets/{stage.tickets[1]['id']}/transfer", {"email": friend.email}))
    assert refusal(await stage.buyer.get(path), 409)["code"] == "no_tickets"


async def test_the_calendar_points_to_the_order(stage: Stage) -> None:
    answer = await stage.buyer.get(f"/tickets/{stage.tickets[0]['id']}/calendar.ics")
    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert str(event["URL"]).endswith(f"/o/{stage.order['reference']}")


async def test_general_admission_has_a_pdf_and_a_calendar_too(app: FastAPI, world: World) -> None:
    stage = await set_stage(app, world, standing=1)
    for name in FILES:
        assert (await stage.buyer.get(f"/tickets/{stage.tickets[0]['id']}/{name}")).status_code == 200


async def _paths(stage: Stage) -> list[str]:
    ticket, order = f"/tickets/{stage.tickets[0]['id']}", f"/orders/{stage.order['id']}"
    return [ticket, *(f"{ticket}/{name}" for name in FILES), f"{order}/tickets", f"{order}/tickets.pdf"]


async def test_nobody_else_sees_a_ticket_and_it_looks_as_if_there_were_none(stage: Stage, world: World) -> None:
    stranger, rival = await world.person("stranger"), (await world.tenant("rival")).admin
    scanner = await world.member(stage.show.tenant, "ORG_SCANNER")
    for path in await _paths(stage):
        unknown = path.replace(stage.tickets[0]["id"], str(uuid4())).replace(stage.order["id"], str(uuid4()))
        absent = refusal(await stranger.get(unknown), 404)
        for person in (stranger, rival, scanner):
            assert refusal(await person.get(path), 404) == absent


async def test_staff_of_the_organization_see_it(stage: Stage, world: World) -> None:
    staff = await world.member(stage.show.tenant, "ORG_STAFF")
    for path in await _paths(stage):
        assert (await staff.get(path)).status_code == 200


async def test_without_a_log_in_there_are_no_tickets(stage: Stage, client: httpx2.AsyncClient) -> None:
    for path in [*await _paths(stage), "/me/tickets"]:
        assert refusal(await client.get(f"/api/v1{path}"), 401)["code"] == "unauthenticated"


async def test_the_keys_are_published_where_scanners_look(stage: Stage, client: httpx2.AsyncClient) -> None:
    answer = await client.get("/.well-known/ticketing-keys.json")
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["kid"]) == ("OKP", "Ed25519", stage.code.split(".")[1])


async def test_more_drawings_than_we_can_make_soon_are_refused_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/tickets/{stage.tickets[0]['id']}/pdf"
    monkeypatch.setattr(documents, "QUEUE_MAX", 1)
    answers = await asyncio.gather(*(stage.buyer.get(path) for _ in range(4)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert (await stage.buyer.get(path)).status_code == 200


async def transfer(giver: Person, ticket: dict[str, str], email: str) -> httpx2.Response:
    return await giver.post(f"/tickets/{ticket['id']}/transfer", {"email": email})


async def test_a_ticket_that_was_given_away_is_the_new_holders(stage: Stage, world: World) -> None:
    friend = await world.person("friend")
    given, kept = stage.tickets
    answer = data(await transfer(stage.buyer, given, friend.email.upper()))
    assert answer["ticket_id"] == given["id"]
    (theirs,) = data(await friend.get("/me/tickets"))
    assert (theirs["id"], theirs["holder_name"]) == (given["id"], "Friend")
    assert theirs["code"] != given["code"]
    assert [t["id"] for t in data(await stage.buyer.get("/me/tickets"))] == [kept["id"]]
    refusal(await stage.buyer.get(f"/tickets/{given['id']}"), 404)


async def test_the_buyer_still_sees_that_they_bought_it_but_not_its_code(stage: Stage, world: World) -> None:
    friend = await world.person("friend")
    data(await transfer(stage.buyer, stage.tickets[0], friend.email))
    given, kept = await tickets_of(stage.buyer, stage.order)
    assert (given["code"], given["qr"]) == (None, None)
    assert kept == stage.tickets[1]
    refusal(await friend.get(f"/orders/{stage.order['id']}/tickets"), 404)


async def test_the_old_code_opens_nothing_and_the_new_one_does(stage: Stage, world: World) -> None:
    friend = await world.person("friend")
    data(await transfer(stage.buyer, stage.tickets[0], friend.email))
    refused = refusal(await stage.admin.post(stage.door(), {"code": stage.code}), 422)
    assert (refused["code"], refused["field"]) == ("invalid_code", "code")
    assert "given to somebody else" in refused["message"]
    (theirs,) = data(await friend.get("/me/tickets"))
    data(await stage.admin.post(stage.door(), {"code": theirs["code"]}))


async def test_a_ticket_goes_to_people_with_an_account_only(stage: Stage) -> None:
    for email in (f"{uuid4().hex}@example.com", "not an address", stage.buyer.email):
        assert refusal(await transfer(stage.buyer, stage.tickets[0], email), 422)["field"] == "email"
    assert await tickets_of(stage.buyer, stage.order) == stage.tickets


async def test_only_the_holder_or_staff_give_a_ticket_away(stage: Stage, world: World) -> None:
    friend, scanner = await world.person("friend"), await world.member(stage.show.tenant, "ORG_SCANNER")
    for person in (friend, scanner):
        refusal(await transfer(person, stage.tickets[0], friend.email), 404)
    data(await transfer(stage.admin, stage.tickets[0], friend.email))
    log = data(await stage.admin.get(stage.show.tenant.path("/audit-log")))
    assert log[0]["action"] == "ticket.transferred"
    refusal(await transfer(stage.buyer, stage.tickets[0], stage.admin.email), 404)


async def test_a_used_or_voided_ticket_stays_where_it_is(stage: Stage, world: World) -> None:
    friend = await world.person("friend")
    used, voided = stage.tickets
    data(await stage.admin.post(stage.door(), {"code": used["code"]}))
    data(await stage.admin.post(f"/orders/{stage.order['id']}/refunds", {"ticket_ids": [voided["id"]]}), 201)
    assert refusal(await transfer(stage.buyer, used, friend.email), 409)["code"] == "already_checked_in"
    assert refusal(await transfer(stage.buyer, voided, friend.email), 409)["code"] == "voided"


async def test_two_who_get_the_same_ticket_at_once_do_not_both_get_it(stage: Stage, world: World) -> None:
    friends = [await world.person("friend") for _ in range(4)]
    answers = await asyncio.gather(*(transfer(stage.buyer, stage.tickets[0], f.email) for f in friends))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    held = [data(await friend.get("/me/tickets")) for friend in friends]
    assert sorted(len(tickets) for tickets in held) == [0, 0, 0, 1]
