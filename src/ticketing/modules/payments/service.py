"""Beginning to pay: one open payment per order, however often and from however many windows a buyer asks."""

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
    async with statements.round_trip(session) as connection:
        await tenancy.enter_owner_of(connection, "orders where id = %s and user_id = %s", order_id, user_id)
        locked = await orders.lock_order_row(connection, "%s", order_id)
        payable = await orders.check_payable(connection, order_id)
        known = await send(connection, _LOOK, order_id)
    order = await locked.fetch()
    if order is None or order.user_id != user_id:
        raise NotFound
    if order.status in orders.PAID_STATUSES:
        raise AlreadyPaid
    await payable.fetch()
    now, open_id = (await known.fetchall())[0]
    if open_id is not None:
        payment = await lock_payment(session, open_id)
        await apply_waiting(session, payment)
        return await lock_payment(session, open_id), None
    return await _begin(session, order, provider, now)


async def _begin(
    session: AsyncSession, order: orders.LockedOrder, provider: Provider, now: datetime
) -> tuple[Payment, str | None]:
    """The payment as it was written: a model that no session knows, unless its money is here already."""
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
    # The order is locked, so nobody else begins one beside us; the index would refuse a second open payment without it.
    checkout = await provider.start(payment)
    payment.provider_ref, payment.checkout_url = checkout.provider_ref, checkout.checkout_url
    if await _insert(session, payment):
        # A webhook has overtaken us: its money is already there, and is looked at now.
        payment = await lock_payment(session, payment.id)
        await apply_waiting(session, payment)
        payment = await lock_payment(session, payment.id)
    return payment, checkout.client_secret


async def _insert(session: AsyncSession, payment: Payment) -> bool:
    """Whether webhooks wait that speak of it."""
    async with statements.round_trip(session) as connection:
        await send(connection, _INSERT, *[getattr(payment, name) for name in _COLUMNS])
        waiting = await send(connection, _WAITING, payment.provider, payment.provider_ref)
        outbox.publish(session, PaymentCreated.of(payment))
    return await waiting.fetchone() == (True,)


_LOOK = "select now(), (select id from payments where order_id = %s and status = 'pending')"
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
_WAITING = """
select exists (select from payment_events where provider = %s and provider_ref = %s and processed_at is null)"""
