"""Staff give money back, void tickets, or both: two acts that may go together and need not.

Locks: order, tickets, payment, reservation, seats, places. Nobody else takes two of these the other way round.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import Conflict, Forbidden, Invalid, NotFound
from ticketing.infra.http.fields import Money
from ticketing.modules import iam, orders, organizations, payments
from ticketing.modules.tickets.models import Ticket, TicketStatus
from ticketing.modules.tickets.queries import list_of_order
from ticketing.modules.tickets.schemas import OrderRefundOut, RefundOrder
from ticketing.modules.tickets.service import TicketVoided, issue_for, void_tickets


class NotPaid(Conflict):
    """This order has not been paid, so there is nothing to give back."""

    code = "not_paid"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What to void, and how much to give back: None is all that is left, 0 is nothing."""

    tickets: Sequence[Ticket]
    amount_minor: int | None


async def refund(session: AsyncSession, order_id: UUID, staff: iam.Identity, body: RefundOrder) -> OrderRefundOut:
    """Give money back and void tickets; what `RefundOrder` says which way.

    Raises:
        NotFound, Forbidden, NotPaid, TicketVoided, Invalid, payments.NothingToRefund, payments.RefundTooLarge.
    """
    order = await orders.get_order(session, order_id)
    access = await _enter(session, order, staff)
    order = await orders.lock_order(session, order_id)
    if order.status not in orders.SETTLED:
        raise NotPaid
    # The message of the payment may still be on its way. Issued here, the tickets can be voided; the message finds
    # them later and issues none, whereas else it would issue tickets for what has been given back.
    await issue_for(session, order.id)
    wish = await _understand(session, order, body)
    made = await _give_back(session, order, wish, body.reason, staff.user_id)
    if wish.tickets:
        await void_tickets(session, order, list(wish.tickets))
    answer = _answer(order, wish, made, body.reason)
    organizations.record(session, access, "order.refunded", f"order:{order.id}", None, answer.model_dump(mode="json"))
    return answer


async def _enter(session: AsyncSession, order: orders.Order, user: iam.Identity) -> organizations.Access:
    access = await organizations.find_access(session, order.organization_id, user)
    if access is None:
        raise Forbidden if order.user_id == user.user_id else NotFound
    access.require(organizations.Permission.REFUND_ORDERS)
    await tenancy.enter(session, order.organization_id)
    return access


async def _understand(session: AsyncSession, order: orders.Order, body: RefundOrder) -> _Wish:
    if body.ticket_ids is None and body.amount is not None:
        return _Wish([], body.amount)
    tickets = await list_of_order(session, order, is_locked=True)
    if body.ticket_ids is None:
        return _Wish([t for t in tickets if t.status != TicketStatus.VOIDED], None)
    chosen = _choose(tickets, body.ticket_ids)
    prices = {line.position: line.price_minor for line in await orders.list_lines(session, order)}
    worth = sum(prices[ticket.position] for ticket in chosen)
    if body.amount is not None and body.amount > worth:
        raise Invalid(f"These tickets cost {worth} together; send that or less.", field="amount")
    return _Wish(chosen, worth if body.amount is None else body.amount)


def _choose(tickets: Sequence[Ticket], ids: Collection[UUID]) -> list[Ticket]:
    known = {ticket.id: ticket for ticket in tickets}
    if unknown := [str(i) for i in ids if i not in known]:
        raise Invalid("These are not tickets of this order.", field="ticket_ids", ticket_ids=unknown)
    if voided := [str(i) for i in ids if known[i].status == TicketStatus.VOIDED]:
        raise TicketVoided("These tickets are voided already.", field="ticket_ids", ticket_ids=voided)
    return [known[i] for i in ids]


async def _give_back(
    session: AsyncSession, order: orders.Order, wish: _Wish, reason: str, by: UUID
) -> payments.Refund | None:
    if wish.amount_minor == 0:
        return None
    try:
        return await payments.refund_order(session, order, wish.amount_minor, reason, by)
    except payments.NothingToRefund:
        # "Everything" of an order that was free, or whose money is back already, is its tickets.
        if wish.amount_minor is not None or not wish.tickets:
            raise
        return None


def _answer(order: orders.Order, wish: _Wish, made: payments.Refund | None, reason: str) -> OrderRefundOut:
    return OrderRefundOut(
        id=made.id if made else None,
        order_id=order.id,
        amount=Money(amount=made.amount_minor if made else 0, currency=order.currency),
        status=made.status if made else None,
        reason=reason,
        voided_ticket_ids=[ticket.id for ticket in wish.tickets],
    )
