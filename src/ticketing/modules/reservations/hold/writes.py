"""What a granted hold writes and responds, built as plain values: a model per hold would cost more than its seat.

`tests/modules/reservations/test_hold_rows.py` compares both with the models and schemas that define them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from ticketing.infra.db import new_id
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.errors import TicketingError
from ticketing.infra.formats.currencies import digits_of
from ticketing.infra.formats.times import rfc3339
from ticketing.infra.http.envelope import error_body
from ticketing.modules import events
from ticketing.modules.reservations.hold.inventory import GrantedItem
from ticketing.modules.reservations.hold.pending import HoldResponse, PendingHold


class GrantedHold(NamedTuple):
    """A pending hold that was granted."""

    id: UUID
    pending: PendingHold
    sale: events.SaleTerms
    items: Sequence[GrantedItem]
    total_minor: int

    @classmethod
    def of(cls, pending: PendingHold, sale: events.SaleTerms, items: Sequence[GrantedItem]) -> "GrantedHold":
        total = sum(item.offer.price_minor * item.quantity for item in items)
        return cls(new_id(), pending, sale, items, total)


def response_to(hold: GrantedHold, extensions_max: int) -> HoldResponse:
    """201 with the reservation, as `ReservationOut` describes it."""
    scale = {"currency": hold.sale.currency, "digits": digits_of(hold.sale.currency)}
    reservation = {
        "id": hold.id,
        "event_id": hold.sale.event_id,
        "status": "active",
        "expires_at": rfc3339(hold.sale.expires_at),
        "extensions_left": extensions_max,
        "items": [
            {
                "seat": item.seat_label,
                "ticket_type_id": item.offer.id,
                "quantity": item.quantity,
                "price": {"amount": item.offer.price_minor, **scale},
            }
            for item in hold.items
        ],
        "total": {"amount": hold.total_minor, **scale},
    }
    body = {"success": True, "message": "Held for you", "data": reservation, "meta": None}
    return HoldResponse(201, orjson.dumps(body), "held")


def error_response(hold: PendingHold, error: TicketingError) -> HoldResponse:
    """The error's envelope, with the correlation id of the request."""
    body = error_body(error.message, [error.as_entry()], hold.cause.correlation_id)
    return HoldResponse(error.status, body, error.code, error.retry_after_seconds)


def message_payload(hold: GrantedHold) -> dict[str, Any]:
    """The payload of `ReservationCreated`."""
    seats = [item.seat_number for item in hold.items if item.seat_number is not None]
    return {
        "organization_id": hold.sale.organization_id,
        "reservation_id": hold.id,
        "event_id": hold.sale.event_id,
        "user_id": hold.pending.request.user_id,
        "seat_numbers": seats,
        "ticket_type_ids": [item.offer.id for item in hold.items if item.seat_number is None],
        "expires_at": rfc3339(hold.sale.expires_at),
        "total_minor": hold.total_minor,
        "currency": hold.sale.currency,
    }


# The buyer's mailbox identity is stored with the hold, because purchase limits compare it. If the buyer's account is
# gone, the foreign key rejects the row.
_INSERT_RESERVATIONS = """
insert into reservations (organization_id, id, event_id, user_id, buyer_identity, status, currency, expires_at,
                          extensions, total_minor)
select %s, w.id, w.event_id, w.user_id, buyer_identity(w.event_id, u.email_normalized), 'active', w.currency,
       w.expires_at, 0, w.total_minor
  from json_to_recordset(%s::json) as w (id uuid, event_id uuid, user_id uuid, currency text,
                                         expires_at timestamptz, total_minor bigint)
  left join users u on u.id = w.user_id"""

_INSERT_ITEMS = """
insert into reservation_items (organization_id, reservation_id, position, event_id, seat_number, seat_label,
                               ticket_type_id, quantity, price_minor)
select %s, reservation_id, position, event_id, seat_number, seat_label, ticket_type_id, quantity, price_minor
  from json_to_recordset(%s::json) as w (reservation_id uuid, position smallint, event_id uuid, seat_number integer,
                                         seat_label text, ticket_type_id uuid, quantity integer, price_minor bigint)"""


async def insert_holds(connection: DriverConnection, organization_id: UUID, holds: Sequence[GrantedHold]) -> None:
    """Insert the reservations and their items."""
    reservations = [
        {
            "id": hold.id,
            "event_id": hold.sale.event_id,
            "user_id": hold.pending.request.user_id,
            "currency": hold.sale.currency,
            "expires_at": hold.sale.expires_at,
            "total_minor": hold.total_minor,
        }
        for hold in holds
    ]
    items = [
        {
            "reservation_id": hold.id,
            "position": position,
            "event_id": hold.sale.event_id,
            "seat_number": item.seat_number,
            "seat_label": item.seat_label,
            "ticket_type_id": item.offer.id,
            "quantity": item.quantity,
            "price_minor": item.offer.price_minor,
        }
        for hold in holds
        for position, item in enumerate(hold.items)
    ]
    await send(connection, _INSERT_RESERVATIONS, organization_id, rows(reservations))
    await send(connection, _INSERT_ITEMS, organization_id, rows(items))
