"""What a batch writes and answers by hand is what the models say, to the letter."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest

from ticketing.infra.http.envelope import envelope
from ticketing.infra.http.fields import Money
from ticketing.infra.log import Cause
from ticketing.modules import events
from ticketing.modules.reservations.hold import writes
from ticketing.modules.reservations.hold.inventory import Item
from ticketing.modules.reservations.hold.requests import HoldRequest, Wish
from ticketing.modules.reservations.messages import ReservationCreated
from ticketing.modules.reservations.models import ReservationStatus
from ticketing.modules.reservations.schemas import ReservationItemOut, ReservationOut

SEAT = events.Offer(uuid4(), "Seat", 4500, None, False)
STANDING = events.Offer(uuid4(), "Standing", 2500, None, True)
ITEMS = (Item(SEAT, 1, 7, "Stalls-Ä-8"), Item(SEAT, 1, 0, 'Quote"-1'), Item(STANDING, 3))


@pytest.fixture(params=["whole second", "microseconds"])
async def hold(request: pytest.FixtureRequest) -> writes.Hold:
    until = datetime(2027, 5, 1, 19, 30, 0, 0 if request.param == "whole second" else 123_456, tzinfo=UTC)
    sale = events.Sale(uuid4(), uuid4(), None, None, "EUR", 10, None, until)
    asked = HoldRequest(uuid4(), "key", [b""], sale.event_id)
    wish = Wish(asked, Cause("correlation", "", "user:x"), asyncio.get_running_loop().create_future())
    return writes.Hold.of(wish, sale, ITEMS)


async def test_the_answer_is_what_the_model_would_dump(hold: writes.Hold) -> None:
    answer = writes.answer_of(hold, extensions_max=2)
    out = ReservationOut(
        id=hold.id,
        event_id=hold.sale.event_id,
        status=ReservationStatus.ACTIVE,
        expires_at=hold.sale.expires_at,
        extensions_left=2,
        items=[
            ReservationItemOut(
                seat=item.seat_label,
                ticket_type_id=item.offer.id,
                quantity=item.quantity,
                price=Money(amount=item.offer.price_minor, currency="EUR"),
            )
            for item in ITEMS
        ],
        total=Money(amount=2 * 4500 + 3 * 2500, currency="EUR"),
    )
    dumped = envelope(out, "Held for you").model_dump(mode="json")
    assert orjson.loads(answer.body) == dumped
    assert list(orjson.loads(answer.body)["data"]) == list(dumped["data"]), "in the same order"
    assert (answer.status, answer.outcome) == (201, "held")


async def test_the_fact_is_what_its_model_reads_and_would_dump(hold: writes.Hold) -> None:
    stored = orjson.loads(orjson.dumps(writes.facts_of(hold)))
    fact = ReservationCreated.model_validate(stored)
    assert fact.model_dump(mode="json") == stored
    assert (fact.seat_numbers, fact.ticket_type_ids, fact.key) == ([7, 0], [STANDING.id], str(hold.id))


async def test_a_refusal_is_what_the_error_handler_would_say(hold: writes.Hold) -> None:
    error = events.SeatContended(field="seats", seats=["A-1"])
    answer = writes.refusal_of(hold.wish, error)
    assert (answer.status, answer.outcome, answer.retry_after_seconds) == (409, "seat_contended", 1)
    body = orjson.loads(answer.body)
    assert body["errors"] == [{"code": "seat_contended", "message": error.message, "field": "seats", "seats": ["A-1"]}]
    assert body["meta"] == {"correlation_id": "correlation"}
