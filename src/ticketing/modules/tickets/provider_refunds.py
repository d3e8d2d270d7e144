"""Void the tickets of an order whose money has all gone back at the payment provider, if its organization wants it."""

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.modules import orders, organizations, payments
from ticketing.modules.tickets.models import TicketStatus
from ticketing.modules.tickets.queries import list_of_order
from ticketing.modules.tickets.service import issue_for_order, void_tickets

ACTION = "tickets.voided"


async def void_refunded(session: AsyncSession, message: payments.RefundSucceeded | payments.DisputeCreated) -> None:
    """Void every ticket, including one that was checked in. Idempotent.

    Nothing is voided while the order has money left, since no provider says which ticket a part was for, nor once the
    money has come back: a dispute may have been won before this message was consumed.
    """
    if message.origin != payments.RefundOrigin.PROVIDER:
        return
    payment = await session.get_one(payments.Payment, message.payment_id)
    organization = await organizations.get_organization(session, payment.organization_id)
    if organization.provider_refund_tickets != organizations.ProviderRefundTickets.VOID or payment.is_returned:
        return
    order = await orders.lock_order(session, message.order_id)
    if order.status != orders.OrderStatus.REFUNDED:
        return
    # The message that issues the tickets may still wait (see `refunds.refund`).
    await issue_for_order(session, order.id)
    tickets = await list_of_order(session, order, is_locked=True)
    valid = [ticket for ticket in tickets if ticket.status != TicketStatus.VOIDED]
    if not valid:
        return
    await void_tickets(session, order, valid)
    actor, after = f"provider:{payment.provider}", {"ticket_ids": [str(ticket.id) for ticket in valid]}
    organizations.record_by(session, order.organization_id, actor, ACTION, f"order:{order.id}", None, after)
