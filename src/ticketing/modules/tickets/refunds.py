"""Refunds by staff: return money, void tickets, or both.

Rows are locked in the order of `orders.service`.
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
from ticketing.modules.tickets.service import TicketVoided, issue_for_order, void_tickets


class NotPaid(Conflict):
    """This order has not been paid, so there is nothing to refund."""

    code = "not_paid"


@dataclass(frozen=True, slots=True)
class _RefundPlan:
    """The tickets to void and the amount to refund in minor units: None is the whole remainder, 0 is no money."""

    tickets: Sequence[Ticket]
    amount_minor: int | None


async def refund(session: AsyncSession, order_id: UUID, staff: iam.Identity, body: RefundOrder) -> OrderRefundOut:
    """Refund money and void tickets as requested; see `RefundOrder`.

    Raises:
        NotFound, Forbidden, NotPaid, TicketVoided, Invalid, payments.NothingToRefund, payments.RefundTooLarge.
    """
    order = await orders.get_order(session, order_id)
    access = await _enter(session, order, staff)
    order = await orders.lock_order(session, order_id)
    if order.status in orders.PAID_STATUSES:
        # The consumer of OrderPaid may not have issued the tickets yet. Issue them now, so that they can be voided;
        # otherwise the consumer would issue valid tickets for a refunded order.
        await issue_for_order(session, order.id)
    elif body.payment_id is None:
        raise NotPaid
    plan = await _plan_refund(session, order, body)
    made = await _request_refund(session, order, plan, body, staff.user_id)
    if plan.tickets:
        await void_tickets(session, order, list(plan.tickets))
    result = _result(order, plan, made, body.reason)
    organizations.record(session, access, "order.refunded", f"order:{order.id}", None, result.model_dump(mode="json"))
    return result


async def _enter(session: AsyncSession, order: orders.Order, user: iam.Identity) -> organizations.Access:
    access = await organizations.find_access(session, order.organization_id, user)
    if access is None:
        raise Forbidden if order.user_id == user.user_id else NotFound
    access.require(organizations.Permission.REFUND_ORDERS)
    await tenancy.enter(session, order.organization_id)
    return access


async def _plan_refund(session: AsyncSession, order: orders.Order, body: RefundOrder) -> _RefundPlan:
    if body.payment_id is not None or (body.ticket_ids is None and body.amount is not None):
        return _RefundPlan([], body.amount)
    tickets = await list_of_order(session, order, is_locked=True)
    if body.ticket_ids is None:
        return _RefundPlan([t for t in tickets if t.status != TicketStatus.VOIDED], None)
    chosen = _choose(tickets, body.ticket_ids)
    prices = {line.position: line.price_minor for line in await orders.list_lines(session, order)}
    total = sum(prices[ticket.position] for ticket in chosen)
    if body.amount is not None and body.amount > total:
        raise Invalid(f"These tickets cost {total} together; send that or less.", field="amount")
    return _RefundPlan(chosen, total if body.amount is None else body.amount)


def _choose(tickets: Sequence[Ticket], ids: Collection[UUID]) -> list[Ticket]:
    known = {ticket.id: ticket for ticket in tickets}
    if unknown := [str(i) for i in ids if i not in known]:
        raise Invalid("These are not tickets of this order.", field="ticket_ids", ticket_ids=unknown)
    if voided := [str(i) for i in ids if known[i].status == TicketStatus.VOIDED]:
        raise TicketVoided("These tickets are voided already.", field="ticket_ids", ticket_ids=voided)
    return [known[i] for i in ids]


async def _request_refund(
    session: AsyncSession, order: orders.Order, plan: _RefundPlan, body: RefundOrder, requested_by: UUID
) -> payments.Refund | None:
    if plan.amount_minor == 0:
        return None
    try:
        return await payments.refund_order(
            session, order, plan.amount_minor, body.reason, requested_by, body.payment_id
        )
    except payments.NothingToRefund:
        # A full refund of an order that was free, or is fully refunded already, only voids its tickets.
        if plan.amount_minor is not None or not plan.tickets:
            raise
        return None


def _result(order: orders.Order, plan: _RefundPlan, made: payments.Refund | None, reason: str) -> OrderRefundOut:
    return OrderRefundOut(
        id=made.id if made else None,
        order_id=order.id,
        amount=Money(amount=made.amount_minor if made else 0, currency=order.currency),
        status=made.status if made else None,
        reason=reason,
        voided_ticket_ids=[ticket.id for ticket in plan.tickets],
    )
