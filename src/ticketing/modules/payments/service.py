"""Beginning to pay: one open payment per order, however often and from however many windows a buyer asks."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, tenancy
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict, NotFound
from ticketing.modules import orders
from ticketing.modules.payments.messages import PaymentCreated
from ticketing.modules.payments.models import Payment
from ticketing.modules.payments.providers import Checkout, Provider
from ticketing.modules.payments.queries import find_open_payment, lock_payment
from ticketing.modules.payments.webhooks import apply_waiting


class AlreadyPaid(Conflict):
    """This order is paid already."""

    code = "already_paid"


async def start_payment(
    session: AsyncSession, user_id: UUID, order_id: UUID, provider: Provider
) -> tuple[Payment, str | None]:
    """The order's open payment, begun now unless there is one, and the provider's client secret where it has one.

    Raises:
        NotFound: the order is unknown, or somebody else's.
        AlreadyPaid, orders.HoldHasEnded, events.EventNotOnSale.
    """
    order = await orders.get_order(session, order_id)
    if order.user_id != user_id:
        raise NotFound
    await tenancy.enter(session, order.organization_id)
    order = await orders.lock_order(session, order_id)
    if order.status in orders.SETTLED:
        raise AlreadyPaid
    await orders.check_payable(session, order)
    payment = await find_open_payment(session, order) or await _insert(session, order, provider)
    checkout = await _start(session, payment, provider)
    # A webhook may have overtaken us: its money is already there, and is looked at now.
    await apply_waiting(session, payment)
    return await lock_payment(session, payment.id), checkout.client_secret if checkout else None


async def _insert(session: AsyncSession, order: orders.Order, provider: Provider) -> Payment:
    payment_id = new_id()
    row = insert(Payment).values(
        id=payment_id,
        organization_id=order.organization_id,
        order_id=order.id,
        provider=provider.name,
        provider_ref=_provisional(payment_id),
        amount_minor=order.total_minor,
        currency=order.currency,
    )
    row = row.on_conflict_do_nothing(index_elements=["order_id"], index_where=text("status = 'pending'"))
    payment: Payment | None = await session.scalar(row.returning(Payment))
    if payment is not None:
        return payment
    # The order's lock makes this impossible, and the index would have refused a second open payment without it.
    open_payment = await find_open_payment(session, order)
    assert open_payment is not None  # noqa: S101 (the row that was in the way has committed)
    return open_payment


async def _start(session: AsyncSession, payment: Payment, provider: Provider) -> Checkout | None:
    """Tell the provider, once: the row is written first, so that one who loses a race tells nobody."""
    if payment.provider_ref != _provisional(payment.id):
        return None
    checkout = await provider.start(payment)
    payment.provider_ref, payment.checkout_url = checkout.provider_ref, checkout.checkout_url
    outbox.publish(session, PaymentCreated.of(payment))
    return checkout


def _provisional(payment_id: UUID) -> str:
    return f"starting_{payment_id.hex}"
