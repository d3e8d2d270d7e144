"""The payloads that a batch builds by hand are identical to those of the models."""

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
from ticketing.modules.reservations.hold.inventory import GrantedItem
from ticketing.modules.reservations.hold.pending import PendingHold
from ticketing.modules.reservations.hold_request import HoldRequest
from ticketing.modules.reservations.messages import ReservationCreated
from ticketing.modules.reservations.models import ReservationStatus
from ticketing.modules.reservations.schemas import ReservationItemOut, ReservationOut

SEAT = events.Offer(uuid4(), "Seat", 4500, None, False)
STANDING = events.Offer(uuid4(), "Standing", 2500, None, True)
ITEMS = (GrantedItem(SEAT, 1, 7, "Stalls-Ä-8"), GrantedItem(SEAT, 1, 0, 'Quote"-1'), GrantedItem(STANDING, 3))


@pytest.fixture(params=["whole second", "microseconds"])
async def hold(request: pytest.FixtureRequest) -> writes.GrantedHold:
    until = datetime(2027, 5, 1, 19, 30, 0, 0 if request.param == "whole second" else 123_456, tzinfo=UTC)
    sale = events.SaleTerms(uuid4(), uuid4(), None, None, "EUR", 10, None, None, until)
    wanted = HoldRequest(uuid4(), "key", [b""], sale.event_id)
    pending = PendingHold(wanted, Cause("correlation", "", "user:x"), asyncio.get_running_loop().create_future())
    return writes.GrantedHold.of(pending, sale, ITEMS)


async def test_the_response_is_identical_to_the_schemas(hold: writes.GrantedHold) -> None:
    response = writes.response_to(hold, extensions_max=2)
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
    assert orjson.loads(response.body) == dumped
    assert list(orjson.loads(response.body)["data"]) == list(dumped["data"]), "in the same order"
    assert (response.status, response.outcome) == (201, "held")


async def test_the_message_is_identical_to_the_models(hold: writes.GrantedHold) -> None:
    stored = orjson.loads(orjson.dumps(writes.message_payload(hold)))
    message = ReservationCreated.model_validate(stored)
    assert message.model_dump(mode="json") == stored
    assert (message.seat_numbers, message.ticket_type_ids, message.key) == ([7, 0], [STANDING.id], str(hold.id))


async def test_a_refusal_is_identical_to_the_error_handlers(hold: writes.GrantedHold) -> None:
    error = events.SeatContended(field="seats", seats=["A-1"])
    response = writes.error_response(hold.pending, error)
    assert (response.status, response.outcome, response.retry_after_seconds) == (409, "seat_contended", 1)
    body = orjson.loads(response.body)
    assert body["errors"] == [{"code": "seat_contended", "message": error.message, "field": "seats", "seats": ["A-1"]}]
    assert body["meta"] == {"correlation_id": "correlation"}
