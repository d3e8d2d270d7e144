"""The parts of a rehearsal by themselves: what it counts, what it proves, whom it asks, and what it may delete."""

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
from ticketing.rehearsal.assertions import prove
from ticketing.rehearsal.load import http_client
from ticketing.rehearsal.load.availability import Stock
from ticketing.rehearsal.load.http_client import NoAnswer, Wire
from ticketing.rehearsal.load.statistics import Tally, Times
from ticketing.rehearsal.load.virtual_buyer import Buyer, Crowd
from ticketing.rehearsal.load.workload import Sale
from ticketing.rehearsal.scratch_event import share
from ticketing.rehearsal.target import Platform


def test_no_customer_can_have_a_name_that_the_clean_up_deletes_by() -> None:
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


def test_every_buyer_has_an_address_of_their_own() -> None:
    addresses = [names.address_of(number) for number in range(100_000)]
    assert len(set(addresses)) == len(addresses)
    assert (addresses[0], addresses[65_536]) == ("198.18.0.0", "198.19.0.0")


@pytest.mark.parametrize(("people", "parts"), [(1, 1), (7, 3), (60, 2), (10_000, 32)])
def test_people_are_shared_out_without_loss(people: int, parts: int) -> None:
    ids = [UUID(int=n) for n in range(people)]
    shares = share(ids, parts)
    assert [one for _, part in shares for one in part] == ids
    assert [first for first, _ in shares] == [ids.index(part[0]) for _, part in shares]


def test_quantiles_are_true_to_two_percent() -> None:
    times = Times()
    for milliseconds in range(1, 1001):
        times.add(milliseconds / 1000)
    for part in (0.5, 0.95, 0.99, 1.0):
        assert times.quantile(part) == pytest.approx(part, rel=0.021)
    assert Times().quantile(0.99) == 0


def test_tallies_add_up_and_survive_the_journey() -> None:
    total = Tally()
    for n in range(2):
        one = Tally()
        one.note("hold", 201, 0.010)
        one.note("hold", 409, 0.020)
        one.note("order", 201, 0.030)
        one.holds_by_second[1000 + n] += 1
        one.ends["bought"] += 1
        one.wrong("fault", f"hold: 50{n}")
        total.add(Tally.of_json(orjson.loads(orjson.dumps(one.as_json(), option=orjson.OPT_NON_STR_KEYS))))
    assert (total.count(), total.count("hold"), total.count("hold", 201), total.count(status=201)) == (6, 4, 2, 4)
    assert total.holds_by_second == {1000: 1, 1001: 1}
    assert (total.wrongs["fault"], total.examples, total.times["hold"].count) == (2, ["hold: 500", "hold: 501"], 4)


def a_sale(**changes: Any) -> Sale:
    times = dict.fromkeys(("opens_at", "ramp_seconds", "herd_seconds", "think_seconds", "limit_seconds"), 0.0)
    shares = dict.fromkeys(("abandon_share", "cancel_share", "replay_share"), 0.0)
    plain = {"base_url": "", "run": "", "event_id": "", "user_ids": [], "first_number": 0, "connections": 1, "seed": 1}
    rest = {"hold_seconds": 5, "tries": 1, "payments": True, "labels": [], "places": {}, "quantity_max": 4}
    return Sale(**{**times, **shares, **plain, **rest, **changes})


def test_a_wish_is_for_what_is_there_and_never_for_more_than_is_allowed() -> None:
    chance = Random(1)
    stock = Stock(a_sale(labels=["A-1", None, "A-3", "A-4"], places={"standing": 3}, quantity_max=2))
    kinds = set()
    for _ in range(300):
        wish = stock.wish(chance)
        assert wish is not None
        ((kind, wanted),) = wish.items()
        kinds.add(kind)
        if kind == "seats":
            assert set(wanted) <= {"A-1", "A-3", "A-4"}
            assert 1 <= len(wanted) == len(set(wanted)) <= 2
        else:
            assert 1 <= (wanted[0] if kind == "items" else wanted)["quantity"] <= 2
    assert kinds == {"seats", "items", "best_available"}
    stock.free, stock.places = [], {"standing": 0}
    assert (stock.wish(chance), stock.is_empty) == (None, True)


@asynccontextmanager
async def a_server(*answers: bytes) -> AsyncIterator[str]:
    """Says these, one per request, and closes the connection after the last."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_a_connection_is_used_again_and_one_that_was_closed_is_not() -> None:
    first = b"HTTP/1.1 201 Created\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    second = b"HTTP/1.1 503 Later\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"
    async with a_server(first, second) as url:
        line = Wire(url, 1)
        for _ in range(2):
            one, two = await line.ask("GET", "/a", {}), await line.ask("POST", "/b", {}, b"")
            assert (one.status, one.body, one.headers[b"x-one"]) == (201, b"abc", b"1")
            assert (two.status, two.headers[b"retry-after"]) == (503, b"2")
        line.close()


@pytest.mark.parametrize("said", [b"", b"SMTP ready\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_half_an_answer_is_none(said: bytes) -> None:
    async with a_server(said) as url:
        with pytest.raises(NoAnswer):
            await Wire(url, 1).ask("GET", "/", {})


async def test_a_server_that_stays_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "ANSWER_SECONDS", 0.2)
    async with silent_server() as port:
        with pytest.raises(NoAnswer, match="no answer"):
            await Wire(f"http://127.0.0.1:{port}", 1).ask("GET", "/", {})


def an_answer(status: int, content: Any = None, **headers: str) -> bytes:
    body = orjson.dumps({"data": content})
    fields = {**{name.replace("_", "-"): value for name, value in headers.items()}, "Content-Length": str(len(body))}
    head = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(head).encode() + body


MAP = an_answer(200, {"seats": "a", "areas": {}})
HELD = an_answer(201, {"id": "r1"})
AGAIN = an_answer(201, {"id": "r1"}, Idempotency_Replayed="true")

#: What a platform answers to a buyer who looks, holds, asks again with the same key, and walks away.
ANSWERS = {
    "all is well": ([HELD, AGAIN], {}, "abandoned"),
    "busy for a moment": ([an_answer(503, None, Retry_After="0"), HELD, AGAIN], {}, "abandoned"),
    "limited for a moment": ([an_answer(429, None, Retry_After="0"), HELD, AGAIN], {}, "abandoned"),
    "another hold": ([HELD, an_answer(201, {"id": "r2"}, Idempotency_Replayed="true")], {"replay": 1}, "abandoned"),
    "not said to be a replay": ([HELD, HELD], {"replay": 1}, "abandoned"),
    "a fault": ([an_answer(500)], {"fault": 1}, "went_home"),
    "busy for ever": ([an_answer(503)], {"fault": 1}, "went_home"),
    "not foreseen": ([an_answer(422)], {"surprise": 1}, "went_home"),
    "lost to somebody": ([an_answer(409)], {}, "went_home"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_buyer_takes_every_answer_for_what_it_is(name: str) -> None:
    answers, wrongs, end = ANSWERS[name]
    async with a_server(MAP, *answers) as url:
        sale = a_sale(base_url=url, labels=["A-1"], user_ids=[str(UUID(int=1))], replay_share=1.0, abandon_share=1.0)
        crowd = Crowd(sale, Wire(url, 1), Stock(sale), Tally())
        await Buyer(crowd, 0).live()
        crowd.wire.close()
    assert (dict(crowd.tally.wrongs), dict(crowd.tally.ends)) == (wrongs, {end: 1})


@pytest.mark.parametrize(
    ("left", "limits"), [((9, 8, 7, 9), "each"), ((9, 8, 7, 6), "shared"), ((None,) * 4, "off")], ids=lambda x: str(x)
)
async def test_it_is_noticed_whom_the_platform_counts(left: tuple[int | None, ...], limits: str) -> None:
    told = [{} if n is None else {"RateLimit_Remaining": str(n)} for n in left]
    async with a_server(*(an_answer(422, None, **headers) for headers in told)) as url:
        platform = Platform(url)
        assert await platform.find_limits() == limits
        platform.close()


#: By the words of its proof: what breaks it. Constraints that would refuse it are taken away first.
BROKEN = {
    "sold twice": "alter table event_seats disable trigger user; drop index uq_reservation_items_confirmed_seat;"
    " update reservation_items set seat_number = 0, seat_label = 'Stalls-A-1' where seat_number is not null",
    "not there": "update ticket_types set sold = sold - 1 where capacity is not null",
    "has its tickets": "delete from tickets where id = (select min(id::text)::uuid from tickets)",
    "paid for nothing": "update orders set paid_at = null",
    "dead letter": "insert into dead_letters"
    " (consumer, organization_id, topic, key, message_id, message, error, attempts)"
    " select 'tickets', id, 'order.paid', '', gen_random_uuid(), '{}', '', 8 from organizations",
}


async def a_sale_that_is_over(app: FastAPI, world: World) -> UUID:
    show, buyer = await world.show(rows=1, seats=4, capacity=9), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    for seat in ("Stalls-A-1", "Stalls-A-2"):
        await world.buy(buyer, show, seat, items=items)
    await drain(app)
    return UUID(show.tenant.id)


async def offended(app: FastAPI, organization_id: UUID) -> list[str]:
    async with app.state.worker_database.transaction() as session:
        return [proof.sentence for proof in await prove(session, organization_id) if proof.count]


async def test_a_good_sale_proves_everything(app: FastAPI, world: World) -> None:
    assert await offended(app, await a_sale_that_is_over(app, world)) == []


@pytest.mark.parametrize("name", BROKEN)
async def test_each_thing_that_went_wrong_is_found(app: FastAPI, world: World, name: str) -> None:
    organization_id = await a_sale_that_is_over(app, world)
    async with app.state.owner_database.transaction() as session:
        for statement in BROKEN[name].split(";"):
            await session.execute(text(statement))
    found = await offended(app, organization_id)
    assert [sentence for sentence in found if name in sentence], found
