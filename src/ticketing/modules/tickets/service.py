"""Issue, transfer and void tickets. Issuing is idempotent: a repeated OrderPaid message issues nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.bus import Caused, Together
from ticketing.infra.db import new_id, statements, tenancy
from ticketing.infra.db.pipeline import rows, send
from ticketing.infra.errors import Conflict, Invalid, NotFound
from ticketing.infra.log import Cause
from ticketing.infra.metrics import Counter
from ticketing.modules import iam, orders, organizations, reservations
from ticketing.modules.tickets.messages import TicketsIssued, TicketsVoided, TicketTransferred
from ticketing.modules.tickets.models import Ticket, TicketStatus
from ticketing.modules.tickets.queries import get_visible_ticket, lock_ticket

TICKETS_ISSUED = Counter("ticketing_tickets_issued_total", "Tickets issued")

#: Limit on transfers of one ticket, against abuse.
CODE_VERSION_MAX = 100


class TicketVoided(Conflict):
    """This ticket was voided and does not admit."""

    code = "voided"


class TicketUsed(Conflict):
    """This ticket has been checked in and cannot be transferred."""

    code = "already_checked_in"


class RecipientUnknown(Invalid):
    """There is no account with this email address: ask them to register first."""


class TransferredTooOften(Conflict):
    """This ticket has been transferred too many times."""

    code = "transfer_limit"


class _MissingTicket(NamedTuple):
    """A unit of an order line that has no ticket yet."""

    position: int
    unit: int
    seat_number: int | None
    seat_label: str | None
    ticket_type_id: UUID
    name: str


async def _issue_tickets(session: AsyncSession, paid: Sequence[Caused]) -> None:
    """Issue the tickets of paid orders, all of them in one round trip. Raises NotFound."""
    await issue_for_orders(session, {one.message.order_id: one.cause for one in paid})


#: The handler of OrderPaid.
issue_tickets = Together(_issue_tickets)


# Lateral queries are looked up one after the other by their keys, whatever the planner knows about the tables.
_SELECT_MISSING = """
select w.id::uuid, m.*
  from json_array_elements_text(%s::json) as w (id)
 cross join lateral (select organization_id from orders where id = w.id::uuid offset 0) as o
 cross join lateral (
       select l.position, u.unit, l.seat_number, l.seat_label, l.ticket_type_id, l.name
         from order_lines l
        cross join generate_series(1, l.quantity) as u (unit)
         left join tickets t on t.organization_id = l.organization_id and t.order_id = l.order_id
                            and t.position = l.position and t.unit = u.unit
        where l.organization_id = o.organization_id and l.order_id = w.id::uuid and t.id is null
        order by l.position, u.unit offset 0) as m"""


async def issue_for_orders(session: AsyncSession, causes: Mapping[UUID, Cause]) -> None:
    """Issue one ticket per unit of each order line that has none yet; by order. Idempotent. Raises NotFound."""
    async with statements.round_trip(session) as connection:
        # The lock on the order serializes issuing with itself and with erasure. An erasure that runs first has removed
        # the buyer's name from the order; one that runs later finds the issued tickets.
        locked = await orders.lock_orders_of_all(connection, causes)
        missing = await send(connection, _SELECT_MISSING, rows(list(causes)))
    found = await locked.fetch()
    if len(found) < len(causes):
        raise NotFound
    units: dict[UUID, list[_MissingTicket]] = {}
    for order_id, *unit in await missing.fetchall():
        units.setdefault(order_id, []).append(_MissingTicket(*unit))
    # In the order of the messages, so that those about tickets keep it.
    issued = [(found[order_id], units[order_id], cause) for order_id, cause in causes.items() if order_id in units]
    if issued:
        await _issue(session, issued)


async def issue_for_order(session: AsyncSession, order_id: UUID) -> None:
    """`issue_for_orders`, for one. Raises NotFound."""
    await issue_for_orders(session, {order_id: Cause.here()})


_INSERT = """
insert into tickets (organization_id, order_id, event_id, user_id, holder_name, id, position, unit, seat_number,
                     seat_label, ticket_type_id, name, status)
select organization_id, order_id, event_id, user_id, holder_name, id, position, unit, seat_number, seat_label,
       ticket_type_id, name, 'issued'
  from json_to_recordset(%s::json) as w (organization_id uuid, order_id uuid, event_id uuid, user_id uuid,
                                         holder_name text, id uuid, position smallint, unit smallint,
                                         seat_number integer, seat_label text, ticket_type_id uuid, name text)"""


async def _issue(
    session: AsyncSession, issued: Sequence[tuple[orders.LockedOrder, Sequence[_MissingTicket], Cause]]
) -> None:
    tickets = []
    async with statements.round_trip(session) as connection:
        for order, units, cause in issued:
            of_order = [_ticket_row(order, unit) for unit in units]
            tickets += of_order
            outbox.publish(session, _issued(order, of_order), cause=cause)
        await send(connection, _INSERT, rows(tickets))
    TICKETS_ISSUED.inc(len(tickets))


def _ticket_row(order: orders.LockedOrder, unit: _MissingTicket) -> dict[str, Any]:
    return {
        "id": new_id(),
        "organization_id": order.organization_id,
        "order_id": order.id,
        "event_id": order.event_id,
        "user_id": order.user_id,
        "holder_name": order.buyer_name,
        **unit._asdict(),
    }


def _issued(order: orders.LockedOrder, tickets: Sequence[Mapping[str, Any]]) -> TicketsIssued:
    return TicketsIssued(
        organization_id=order.organization_id,
        order_id=order.id,
        event_id=order.event_id,
        user_id=order.user_id,
        ticket_ids=[ticket["id"] for ticket in tickets],
    )


async def transfer_ticket(session: AsyncSession, ticket_id: UUID, caller: iam.Identity, email: str) -> Ticket:
    """Transfer a ticket to the account with this email address. The previous code becomes invalid.

    The caller is the holder, or staff with the permission to transfer tickets.

    Raises:
        NotFound, RecipientUnknown, TicketVoided, TicketUsed, TransferredTooOften, Invalid.
    """
    visible = await get_visible_ticket(session, ticket_id, caller)
    await tenancy.enter(session, visible.organization_id)
    ticket = await lock_ticket(session, ticket_id)
    is_holder = ticket.user_id == caller.user_id
    access = await organizations.find_access(session, ticket.organization_id, caller)
    is_staff = access is not None and access.holds(organizations.Permission.TRANSFER_TICKETS)
    if not is_holder and not is_staff:  # transferred while this transaction waited for the lock
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
    """Void tickets of a locked order and put their seats and places on sale again. Moves no money.

    The caller has locked the tickets, and none of them is voided yet.
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
