"""Request and response bodies of tickets."""

from datetime import datetime
from typing import Annotated, NamedTuple, Self
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from ticketing.infra.http.fields import AMOUNT_MAX, Body, Email, LongText, Moment, Money, Out
from ticketing.modules import events
from ticketing.modules.tickets.models import Ticket, TicketStatus

#: The largest number of tickets of one order.
TICKETS_MAX = 1000


class TicketVenueOut(Out):
    """The venue of the event."""

    name: str
    city: str | None


class TicketEventOut(Out):
    """The event of a ticket. Times are in UTC; `timezone` is an IANA name."""

    id: UUID
    title: str
    status: events.EventStatus
    starts_at: Moment
    ends_at: Moment | None
    timezone: str
    venue: TicketVenueOut | None


class TicketRow(NamedTuple):
    """The columns of a ticket that its response needs."""

    id: UUID
    order_id: UUID
    event_id: UUID
    ticket_type_id: UUID
    name: str
    seat_label: str | None
    holder_name: str
    status: TicketStatus
    checked_in_at: datetime | None


class TicketOut(Out):
    """A ticket. `code` and `qr` are null unless the caller is its holder or staff, and for voided tickets."""

    id: UUID
    order_id: UUID
    event_id: UUID
    ticket_type_id: UUID
    name: str
    seat: str | None
    holder_name: str
    status: TicketStatus
    checked_in_at: Moment | None
    code: str | None
    #: Path of the code as an SVG. It requires the same Authorization header.
    qr: str | None
    event: TicketEventOut

    @classmethod
    def of(cls, ticket: Ticket | TicketRow, event: TicketEventOut, code: str | None) -> Self:
        return cls(
            id=ticket.id,
            order_id=ticket.order_id,
            event_id=ticket.event_id,
            ticket_type_id=ticket.ticket_type_id,
            name=ticket.name,
            seat=ticket.seat_label,
            holder_name=ticket.holder_name,
            status=ticket.status,
            checked_in_at=ticket.checked_in_at,
            code=code,
            qr=f"/api/v1/tickets/{ticket.id}/qr.svg" if code else None,
            event=event,
        )


class TransferTicket(Body):
    """The new holder: the email address of an account."""

    email: Email


class TransferOut(Out):
    """A completed transfer, as the previous holder sees it."""

    ticket_id: UUID
    email: str


def _unique(ids: list[UUID]) -> list[UUID]:
    if len(set(ids)) < len(ids):
        raise ValueError("names a ticket twice")
    return ids


class RefundOrder(Body):
    """A refund. `amount` is in minor units of the order's currency.

    Without `amount` and `ticket_ids`: refund the whole remainder and void every ticket. With `amount` alone: refund
    money, and leave the tickets valid. With `ticket_ids`: void these tickets and refund their prices, or `amount` when
    it is given, which may be 0. With `payment_id`: refund money of this payment of the order, and void nothing; a
    payment that arrived twice or too late, whose refund failed, is refunded again this way.
    """

    ticket_ids: Annotated[list[UUID], Field(min_length=1, max_length=TICKETS_MAX), AfterValidator(_unique)] | None = (
        None
    )
    amount: Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX)] | None = None
    payment_id: UUID | None = None
    reason: LongText = ""

    @model_validator(mode="after")
    def _is_about_money_or_tickets(self) -> Self:
        if self.payment_id is not None and self.ticket_ids is not None:
            raise ValueError("must have ticket_ids or payment_id, not both")
        return self

    @field_validator("amount")
    @classmethod
    def _has_effect(cls, amount: int | None, info: ValidationInfo) -> int | None:
        # Malformed ticket ids are missing from `info.data` and are reported by their own error.
        if amount == 0 and info.data.get("ticket_ids", []) is None:
            raise ValueError("must be at least 1 when no tickets are voided")
        return amount


class OrderRefundOut(Out):
    """A requested refund. `id` and `status` are null when tickets were voided without a refund."""

    id: UUID | None
    order_id: UUID
    amount: Money
    status: str | None
    reason: str
    voided_ticket_ids: list[UUID]
