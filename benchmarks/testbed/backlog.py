"""A backlog of messages in the log, created and appended by the code of the hot path."""

import random
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg

from ticketing.infra.db import new_id
from ticketing.infra.db.pipeline import rows
from ticketing.infra.log import Cause
from ticketing.infra.outbox import Message
from ticketing.infra.outbox.publish import APPEND, MessageRow, message_row
from ticketing.modules.orders.messages import OrderPaid
from ticketing.modules.reservations.messages import ReservationCreated

#: The size of a full batch of holds.
ROWS_PER_TRANSACTION = 64
TOPICS = [ReservationCreated.topic, OrderPaid.topic]
#: The same messages in every run.
_random = random.Random(6)
_CAUSE = Cause(str(uuid4()), f"00-{uuid4().hex}-{uuid4().hex[:16]}-01", f"user:{uuid4()}")


def append(database: psycopg.Connection[tuple[object, ...]], count: int) -> None:
    """Append messages about holds and orders alternately, in transactions of ROWS_PER_TRANSACTION."""
    organization, event = new_id(), new_id()
    for _ in range(count // ROWS_PER_TRANSACTION):
        messages = [_message(organization, event, number) for number in range(ROWS_PER_TRANSACTION)]
        database.execute(APPEND.encode(), [organization, rows(messages)])
    database.execute("vacuum (analyze) outbox")


def _message(organization: UUID, event: UUID, number: int) -> MessageRow:
    message = _order(organization, event) if number % 2 else _reservation(organization, event)
    payload = message.model_dump(mode="json")
    return message_row(type(message), payload[message.key_field], payload, _CAUSE)


def _reservation(organization: UUID, event: UUID) -> Message:
    return ReservationCreated(
        organization_id=organization,
        reservation_id=new_id(),
        event_id=event,
        user_id=new_id(),
        seat_numbers=[_random.randrange(60_000) for _ in range(_random.randint(1, 4))],
        ticket_type_ids=[],
        expires_at=datetime.now(UTC),
        total_minor=4500,
        currency="EUR",
    )


def _order(organization: UUID, event: UUID) -> Message:
    return OrderPaid(
        organization_id=organization,
        order_id=new_id(),
        event_id=event,
        reservation_id=new_id(),
        user_id=new_id(),
        reference="".join(_random.choices("ACDEFGHJKLMNPQRTUVWXY34679", k=10)),
        total_minor=4500,
        currency="EUR",
    )
