"""Start a payment. An order has at most one open payment, whatever the number of concurrent requests."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, statements, tenancy
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import Conflict, NotFound
from ticketing.modules import orders
from ticketing.modules.payments.messages import PaymentCreated
from ticketing.modules.payments.models import Payment, PaymentStatus
from ticketing.modules.payments.providers import Provider
from ticketing.modules.payments.queries import lock_payment
from ticketing.modules.payments.webhooks import apply_waiting


class AlreadyPaid(Conflict):
    """This order has been paid already."""

    code = "already_paid"


_SELECT_OPEN_PAYMENT = "select now(), (select id from payments where order_id = %s and status = 'pending')"


async def start_payment(
    session: AsyncSession, user_id: UUID, order_id: UUID, provider: Provider
) -> tuple[Payment, str | None]:
    """Return the order's open payment, or start one. The second value is the provider's client secret of a new payment.

    Raises:
        NotFound: the order is unknown or belongs to another user.
        AlreadyPaid, orders.HoldHasEnded, events.EventNotOnSale.
    """
    async with statements.round_trip(session) as connection:
        await tenancy.enter_owner_of(connection, "orders where id = %s and user_id = %s", order_id, user_id)
        locked = await orders.lock_order_row(connection, "%s", order_id)
        payable = await orders.check_payable(connection, order_id)
        selected = await send(connection, _SELECT_OPEN_PAYMENT, order_id)
    order = await locked.fetch()
    if order is None or order.user_id != user_id:
        raise NotFound
    if order.status in orders.PAID_STATUSES:
        raise AlreadyPaid
    await payable.fetch()
    now, open_id = (await selected.fetchall())[0]
    if open_id is not None:
        payment = await lock_payment(session, open_id)
        await apply_waiting(session, payment)
        return await lock_payment(session, open_id), None
    return await _start(session, order, provider, now)


async def _start(
    session: AsyncSession, order: orders.LockedOrder, provider: Provider, now: datetime
) -> tuple[Payment, str | None]:
    """Insert a payment. The returned model is detached, unless a stored webhook was waiting for the payment."""
    payment = Payment(
        id=new_id(),
        organization_id=order.organization_id,
        order_id=order.id,
        provider=provider.name,
        status=PaymentStatus.PENDING,
        amount_minor=order.total_minor,
        refunded_minor=0,
        currency=order.currency,
        created_at=now,
    )
    # The lock on the order keeps concurrent requests from inserting a second open payment, which the index rejects.
    checkout = await provider.start(payment)
    payment.provider_ref, payment.checkout_url = checkout.provider_ref, checkout.checkout_url
    if await _insert(session, payment):
        # The provider's webhook arrived before this insert and is waiting: apply it now.
        payment = await lock_payment(session, payment.id)
        await apply_waiting(session, payment)
        payment = await lock_payment(session, payment.id)
    return payment, checkout.client_secret


_COLUMNS = (
    "id",
    "organization_id",
    "order_id",
    "provider",
    "provider_ref",
    "status",
    "amount_minor",
    "currency",
    "checkout_url",
)
_INSERT = f"insert into payments ({', '.join(_COLUMNS)}) values ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608
_HAS_WAITING_EVENTS = """
select exists (select from payment_events where provider = %s and provider_ref = %s and processed_at is null)"""


async def _insert(session: AsyncSession, payment: Payment) -> bool:
    """Insert the payment. Returns whether stored webhooks are waiting for it."""
    async with statements.round_trip(session) as connection:
        await send(connection, _INSERT, *[getattr(payment, name) for name in _COLUMNS])
        waiting = await send(connection, _HAS_WAITING_EVENTS, payment.provider, payment.provider_ref)
        outbox.publish(session, PaymentCreated.of(payment))
    return await waiting.fetchone() == (True,)
