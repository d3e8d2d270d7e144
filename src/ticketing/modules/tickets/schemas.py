"""What holders and staff send and receive about tickets."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ticketing.infra.http.fields import AMOUNT_MAX, Body, Email, LongText, Moment, Money, Out
from ticketing.modules import events
from ticketing.modules.tickets.models import Ticket, TicketStatus

#: As many as an order can have.
TICKETS_MAX = 1000


class TicketVenueOut(Out):
    """Where it is."""

    name: str
    city: str | None


class TicketEventOut(Out):
    """What it is for. Times are in UTC; `timezone` is the venue's."""

    id: UUID
    title: str
    status: events.EventStatus
    starts_at: Moment
    ends_at: Moment | None
    timezone: str
    venue: TicketVenueOut | None


class TicketOut(Out):
    """A ticket. Code and picture are there for whoever holds it (and staff), as long as it is not voided."""

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
    #: Where the code is as an SVG; needs the same Authorization.
    qr: str | None
    event: TicketEventOut

    @classmethod
    def of(cls, ticket: Ticket, event: TicketEventOut, code: str | None) -> Self:
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
    """To whom: the e-mail address of somebody with an account."""

    email: Email


class TransferOut(Out):
    """What the giver is told; the ticket is the new holder's now."""

    ticket_id: UUID
    email: str


def _unique(ids: list[UUID]) -> list[UUID]:
    if len(set(ids)) < len(ids):
        raise ValueError("names a ticket twice")
    return ids


class RefundOrder(Body):
    """How much, for which tickets, and why. `amount` is in minor units of the order's currency.

    Nothing: all money that is left, and every ticket is voided. `amount` alone: money only, the tickets stay.
    `ticket_ids`: these are voided, and their prices go back; or `amount` of that, which may be 0.
    """

    ticket_ids: Annotated[list[UUID], Field(min_length=1, max_length=TICKETS_MAX), AfterValidator(_unique)] | None = (
        None
    )
    amount: Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX)] | None = None
    reason: LongText = ""

    @field_validator("amount")
    @classmethod
    def _gives_something(cls, amount: int | None, known: ValidationInfo) -> int | None:
        # Tickets that are not well-formed are missing here, and are the mistake to talk about.
        if amount == 0 and known.data.get("ticket_ids", []) is None:
            raise ValueError("must be at least 1 when no tickets are voided")
        return amount


class OrderRefundOut(Out):
    """What became of it. `id` and `status` are null when tickets were voided without money."""

    id: UUID | None
    order_id: UUID
    amount: Money
    status: str | None
    reason: str
    voided_ticket_ids: list[UUID]
