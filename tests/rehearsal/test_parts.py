"""The parts of a rehearsal, each alone: names, statistics, virtual buyers, the HTTP client, and assertions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text

from tests.support.drain import drain
from tests.support.silent_server import silent_server
from tests.support.world import World
from ticketing.infra.http.fields import Email, Slug
from ticketing.rehearsal import names
from ticketing.rehearsal.assertions import check_assertions
from ticketing.rehearsal.load import http_client
from ticketing.rehearsal.load.availability import Availability
from ticketing.rehearsal.load.http_client import HttpClient, NoResponse
from ticketing.rehearsal.load.statistics import Histogram, Statistics
from ticketing.rehearsal.load.virtual_buyer import BuyerContext, VirtualBuyer
from ticketing.rehearsal.load.workload import Workload
from ticketing.rehearsal.scratch_event import split
from ticketing.rehearsal.target import Target


def test_no_customer_can_have_a_name_that_the_cleanup_deletes_by() -> None:
    run = "0123456789ab"
    for kind, name in (
        (Slug, names.slug_of(run)),
        (Email, names.account_email(run, 1)),
        (Email, names.admin_email(run)),
    ):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(name)
    assert TypeAdapter(Email).validate_python(names.order_email(run, 1))
    assert names.account_email(run, 1).startswith(names.account_prefix(run))


def test_every_buyer_has_a_separate_ip_address() -> None:
    addresses = [names.address_of(number) for number in range(100_000)]
    assert len(set(addresses)) == len(addresses)
    assert (addresses[0], addresses[65_536]) == ("198.18.0.0", "198.19.0.0")


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (7, 3), (60, 2), (10_000, 32)])
def test_accounts_are_split_without_loss(count: int, parts: int) -> None:
    ids = [UUID(int=n) for n in range(count)]
    split_ids = split(ids, parts)
    assert [each for _, part in split_ids for each in part] == ids
    assert [first for first, _ in split_ids] == [ids.index(part[0]) for _, part in split_ids]


def test_quantiles_are_exact_to_two_percent() -> None:
    times = Histogram()
    for milliseconds in range(1, 1001):
        times.add(milliseconds / 1000)
    for part in (0.5, 0.95, 0.99, 1.0):
        assert times.quantile(part) == pytest.approx(part, rel=0.021)
    assert Histogram().quantile(0.99) == 0


def test_statistics_can_be_added_and_sent_as_json() -> None:
    total = Statistics()
    for n in range(2):
        one = Statistics()
        one.record("hold", 201, 0.010)
        one.record("hold", 409, 0.020)
        one.record("order", 201, 0.030)
        one.holds_by_second[1000 + n] += 1
        one.outcomes["bought"] += 1
        one.record_error("fault", f"hold: 50{n}")
        total.add(Statistics.of_json(orjson.loads(orjson.dumps(one.as_json(), option=orjson.OPT_NON_STR_KEYS))))
    assert (total.count(), total.count("hold"), total.count("hold", 201), total.count(status=201)) == (6, 4, 2, 4)
    assert total.holds_by_second == {1000: 1, 1001: 1}
    assert (total.errors["fault"], total.examples, total.times["hold"].count) == (2, ["hold: 500", "hold: 501"], 4)


def a_workload(**changes: Any) -> Workload:
    times = dict.fromkeys(("opens_at", "ramp_seconds", "herd_seconds", "think_seconds", "limit_seconds"), 0.0)
    shares = dict.fromkeys(("abandon_share", "cancel_share", "replay_share"), 0.0)
    plain = {"base_url": "", "run": "", "event_id": "", "user_ids": [], "first_number": 0, "connections": 1, "seed": 1}
    rest = {"hold_seconds": 5, "tries": 1, "payments": True, "labels": [], "places": {}, "quantity_max": 4}
    return Workload(**{**times, **shares, **plain, **rest, **changes})


def test_a_buyer_chooses_what_is_available_and_no_more_than_is_allowed() -> None:
    random = Random(1)
    availability = Availability(a_workload(labels=["A-1", None, "A-3", "A-4"], places={"standing": 3}, quantity_max=2))
    kinds = set()
    for _ in range(300):
        choice = availability.choose(random)
        assert choice is not None
        ((kind, wanted),) = choice.items()
        kinds.add(kind)
        if kind == "seats":
            assert set(wanted) <= {"A-1", "A-3", "A-4"}
            assert 1 <= len(wanted) == len(set(wanted)) <= 2
        else:
            assert 1 <= (wanted[0] if kind == "items" else wanted)["quantity"] <= 2
    assert kinds == {"seats", "items", "best_available"}
    availability.free, availability.places = [], {"standing": 0}
    assert (availability.choose(random), availability.is_empty) == (None, True)


@asynccontextmanager
async def a_server(*responses: bytes) -> AsyncIterator[str]:
    """Sends these responses, one per request, and closes the connection after the last."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_a_connection_is_reused_unless_it_was_closed() -> None:
    first = b"HTTP/1.1 201 Created\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    second = b"HTTP/1.1 503 Later\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"
    async with a_server(first, second) as url:
        client = HttpClient(url, 1)
        for _ in range(2):
            one, two = await client.request("GET", "/a", {}), await client.request("POST", "/b", {}, b"")
            assert (one.status, one.body, one.headers[b"x-one"]) == (201, b"abc", b"1")
            assert (two.status, two.headers[b"retry-after"]) == (503, b"2")
        client.close()


@pytest.mark.parametrize("sent", [b"", b"SMTP ready\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_an_incomplete_response_is_an_error(sent: bytes) -> None:
    async with a_server(sent) as url:
        with pytest.raises(NoResponse):
            await HttpClient(url, 1).request("GET", "/", {})


async def test_a_silent_server_causes_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "RESPONSE_SECONDS", 0.2)
    async with silent_server() as port:
        with pytest.raises(NoResponse, match="no response"):
            await HttpClient(f"http://127.0.0.1:{port}", 1).request("GET", "/", {})


def a_response(status: int, content: Any = None, **headers: str) -> bytes:
    body = orjson.dumps({"data": content})
    fields = {**{name.replace("_", "-"): value for name, value in headers.items()}, "Content-Length": str(len(body))}
    head = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(head).encode() + body


MAP = a_response(200, {"seats": "a", "areas": {}})
HELD = a_response(201, {"id": "r1"})
AGAIN = a_response(201, {"id": "r1"}, Idempotency_Replayed="true")

#: The responses to a buyer that holds seats, repeats the request with the same key, and abandons them;
#: the errors that are recorded, and the outcome.
RESPONSES = {
    "no error": ([HELD, AGAIN], {}, "abandoned"),
    "busy for a moment": ([a_response(503, None, Retry_After="0"), HELD, AGAIN], {}, "abandoned"),
    "limited for a moment": ([a_response(429, None, Retry_After="0"), HELD, AGAIN], {}, "abandoned"),
    "another hold": ([HELD, a_response(201, {"id": "r2"}, Idempotency_Replayed="true")], {"replay": 1}, "abandoned"),
    "not marked as a replay": ([HELD, HELD], {"replay": 1}, "abandoned"),
    "a fault": ([a_response(500)], {"fault": 1}, "went_home"),
    "busy without end": ([a_response(503)], {"fault": 1}, "went_home"),
    "not expected": ([a_response(422)], {"surprise": 1}, "went_home"),
    "lost to another buyer": ([a_response(409)], {}, "went_home"),
}


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_buyer_records_each_kind_of_response(name: str) -> None:
    responses, errors, outcome = RESPONSES[name]
    async with a_server(MAP, *responses) as url:
        workload = a_workload(
            base_url=url, labels=["A-1"], user_ids=[str(UUID(int=1))], replay_share=1.0, abandon_share=1.0
        )
        context = BuyerContext(workload, HttpClient(url, 1), Availability(workload), Statistics())
        await VirtualBuyer(context, 0).run()
        context.client.close()
    assert (dict(context.statistics.errors), dict(context.statistics.outcomes)) == (errors, {outcome: 1})


@pytest.mark.parametrize(
    ("left", "limits"), [((9, 8, 7, 9), "each"), ((9, 8, 7, 6), "shared"), ((None,) * 4, "off")], ids=lambda x: str(x)
)
async def test_the_kind_of_rate_limits_is_detected(left: tuple[int | None, ...], limits: str) -> None:
    sent = [{} if n is None else {"RateLimit_Remaining": str(n)} for n in left]
    async with a_server(*(a_response(422, None, **headers) for headers in sent)) as url:
        target = Target(url)
        assert await target.detect_rate_limits() == limits
        target.close()


#: By words of the assertion: SQL that breaks it, after dropping the constraints that would prevent this.
BROKEN = {
    "sold twice": "alter table event_seats disable trigger user; drop index uq_reservation_items_confirmed_seat;"
    " update reservation_items set seat_number = 0, seat_label = 'Stalls-A-1' where seat_number is not null",
    "No more places": "update ticket_types set sold = sold - 1 where capacity is not null",
    "has its tickets": "delete from tickets where id = (select min(id::text)::uuid from tickets)",
    "has paid its order": "update orders set paid_at = null",
    "dead letter": "insert into dead_letters"
    " (consumer, organization_id, topic, key, message_id, message, error, attempts)"
    " select 'tickets', id, 'order.paid', '', gen_random_uuid(), '{}', '', 8 from organizations",
}


async def a_finished_sale(app: FastAPI, world: World) -> UUID:
    show, buyer = await world.show(rows=1, seats=4, capacity=9), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    for seat in ("Stalls-A-1", "Stalls-A-2"):
        await world.buy(buyer, show, seat, items=items)
    await drain(app)
    return UUID(show.tenant.id)


async def offended(app: FastAPI, organization_id: UUID) -> list[str]:
    async with app.state.worker_database.transaction() as session:
        return [each.sentence for each in await check_assertions(session, organization_id) if each.count]


async def test_a_correct_sale_contradicts_no_assertion(app: FastAPI, world: World) -> None:
    assert await offended(app, await a_finished_sale(app, world)) == []


@pytest.mark.parametrize("name", BROKEN)
async def test_each_contradiction_is_found(app: FastAPI, world: World, name: str) -> None:
    organization_id = await a_finished_sale(app, world)
    async with app.state.owner_database.transaction() as session:
        for statement in BROKEN[name].split(";"):
            await session.execute(text(statement))
    found = await offended(app, organization_id)
    assert [sentence for sentence in found if name in sentence], found
