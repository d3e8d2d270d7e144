"""Tickets are issued once, when an order is paid, and never twice however often we are told."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import metrics, outbox, tenancy
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict, Invalid, NotFound
from ticketing.modules import iam, orders, organizations, reservations
from ticketing.modules.tickets.messages import TicketsIssued, TicketsVoided, TicketTransferred
from ticketing.modules.tickets.models import Ticket, TicketStatus
from ticketing.modules.tickets.queries import get_visible_ticket, lock_ticket

#: A ticket that has changed hands so often is being passed round for something else.
CODE_VERSION_MAX = 100


class TicketVoided(Conflict):
    """This ticket was voided; it opens nothing."""

    code = "voided"


class TicketUsed(Conflict):
    """This ticket has been used at the door; it stays with whoever used it."""

    code = "already_checked_in"


class RecipientUnknown(Invalid):
    """Nobody has an account with this e-mail address: ask them to register first."""


class TransferredTooOften(Conflict):
    """This ticket has changed hands too often."""

    code = "transfer_limit"


async def issue_tickets(session: AsyncSession, message: orders.OrderPaid) -> None:
    """One ticket per unit of each line of a paid order."""
    # Locked, so that an erasure comes before us and its order has no name any more, or after us and finds the tickets.
    await issue_for(session, await orders.lock_order(session, message.order_id))


async def issue_for(session: AsyncSession, order: orders.Order) -> None:
    """The same for whoever has the order at hand: the line and the unit are the key, so once is enough and all."""
    rows = [row for line in await orders.list_lines(session, order) for row in _rows(order, line)]
    line_and_unit = ["organization_id", "order_id", "position", "unit"]
    # Only this conflict is harmless. A second ticket for a seat is not: it must fail, and it does.
    once = insert(Ticket).on_conflict_do_nothing(index_elements=line_and_unit).returning(Ticket.id)
    issued = list(await session.scalars(once, rows))
    if not issued:
        return
    metrics.TICKETS.inc(len(issued))
    outbox.publish(
        session,
        TicketsIssued(
            organization_id=order.organization_id,
            order_id=order.id,
            event_id=order.event_id,
            user_id=order.user_id,
            ticket_ids=issued,
        ),
    )


def _rows(order: orders.Order, line: orders.OrderLine) -> Iterable[dict[str, Any]]:
    for unit in range(1, line.quantity + 1):
        yield {
            "id": new_id(),
            "organization_id": order.organization_id,
            "order_id": order.id,
            "event_id": order.event_id,
            "user_id": order.user_id,
            "position": line.position,
            "unit": unit,
            "seat_number": line.seat_number,
            "seat_label": line.seat_label,
            "ticket_type_id": line.ticket_type_id,
            "name": line.name,
            "holder_name": order.buyer_name,
        }


async def transfer_ticket(session: AsyncSession, ticket_id: UUID, giver: iam.Identity, email: str) -> Ticket:
    """Make somebody else the holder; the code that was shown until now opens nothing from here on.

    Raises:
        NotFound, RecipientUnknown, TicketVoided, TicketUsed, TransferredTooOften, Invalid.
    """
    seen = await get_visible_ticket(session, ticket_id, giver)
    await tenancy.enter(session, seen.organization_id)
    ticket = await lock_ticket(session, ticket_id)
    is_holder = ticket.user_id == giver.user_id
    access = await organizations.find_access(session, ticket.organization_id, giver)
    is_staff = access is not None and access.holds(organizations.Permission.TRANSFER_TICKETS)
    if not is_holder and not is_staff:  # it was given away while we waited for the lock
        raise NotFound
    _check_transferable(ticket)
    recipient = await _find_recipient(session, ticket, email)
    previous, ticket.user_id = ticket.user_id, recipient.id
    ticket.holder_name = recipient.display_name or recipient.email
    ticket.code_version += 1
    if not is_holder and access is not None:
        parties = {"user_id": str(previous)}, {"user_id": str(recipient.id)}
        organizations.record(session, access, "ticket.transferred", f"ticket:{ticket.id}", *parties)
    outbox.publish(session, _transferred(ticket, previous))
    return ticket


def _check_transferable(ticket: Ticket) -> None:
    if ticket.status == TicketStatus.VOIDED:
        raise TicketVoided
    if ticket.status == TicketStatus.CHECKED_IN:
        raise TicketUsed
    if ticket.code_version >= CODE_VERSION_MAX:
        raise TransferredTooOften


async def _find_recipient(session: AsyncSession, ticket: Ticket, email: str) -> iam.User:
    recipient = await iam.find_user(session, email)
    if recipient is None:
        raise RecipientUnknown(field="email")
    if recipient.id == ticket.user_id:
        raise Invalid("This ticket is theirs already.", field="email")
    return recipient


def _transferred(ticket: Ticket, previous: UUID) -> TicketTransferred:
    return TicketTransferred(
        organization_id=ticket.organization_id,
        order_id=ticket.order_id,
        event_id=ticket.event_id,
        ticket_id=ticket.id,
        from_user_id=previous,
        to_user_id=ticket.user_id,
        code_version=ticket.code_version,
    )


async def void_tickets(session: AsyncSession, order: orders.Order, tickets: list[Ticket]) -> None:
    """These tickets of a locked order open nothing any more, and their seats and places are on sale again.

    Money is not moved. The tickets must be locked and not voided yet.
    """
    ids = [ticket.id for ticket in tickets]
    await session.execute(update(Ticket).where(Ticket.id.in_(ids)).values(status=TicketStatus.VOIDED))
    units: dict[int, int] = {}
    for ticket in tickets:
        units[ticket.position] = units.get(ticket.position, 0) + 1
    seats, types = await reservations.release_confirmed(session, order.reservation_id, units)
    outbox.publish(
        session,
        TicketsVoided(
            organization_id=order.organization_id,
            order_id=order.id,
            event_id=order.event_id,
            ticket_ids=ids,
            seat_numbers=seats,
            ticket_type_ids=types,
        ),
    )
