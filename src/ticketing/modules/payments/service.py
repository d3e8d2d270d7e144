"""Start a payment in three steps: reserve its row, open it at the provider, record what the provider answered.

No transaction is open during the second step. Between the first and the third, the payment is pending without a
`provider_ref`: it counts as the order's open payment, and no client sees it. After a crash or an outage, the next
request for the order continues with the same row, hence with the same idempotency key towards the provider.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, outbox
from ticketing.infra.db import new_id, statements, tenancy
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import Conflict, NotFound, Unavailable
from ticketing.infra.http import idempotency
from ticketing.modules import orders
from ticketing.modules.payments import providers
from ticketing.modules.payments.messages import PaymentCreated
from ticketing.modules.payments.models import Payment, PaymentStatus
from ticketing.modules.payments.providers import Checkout, Provider, ProviderUnreachable
from ticketing.modules.payments.queries import lock_payment
from ticketing.modules.payments.webhooks import apply_waiting

crash_points.register("after_payment_before_start", "a payment is stored, and its provider does not know it")
crash_points.register("after_start_before_record", "a provider knows a payment, and its reference is not stored")


class AlreadyPaid(Conflict):
    """This order has been paid already."""

    code = "already_paid"


class ProviderDown(Unavailable):
    """The payment provider is not answering; please try again in a moment."""


COLUMNS = (
    "id",
    "organization_id",
    "order_id",
    "provider",
    "provider_ref",
    "status",
    "amount_minor",
    "refunded_minor",
    "currency",
    "checkout_url",
    "created_at",
)
_SELECT_OPEN = f"""
select {", ".join(COLUMNS)} from payments where order_id = %s and status = 'pending'"""  # noqa: S608 (constants)
_INSERT = """
insert into payments (id, organization_id, order_id, provider, status, amount_minor, currency)
values (%s, %s, %s, %s, 'pending', %s, %s) returning created_at"""
_CHANGE_PROVIDER = "update payments set provider = %s where id = %s and provider_ref is null"


async def reserve_payment(
    session: AsyncSession, claim: idempotency.Claim, user_id: UUID, order_id: UUID, provider: str
) -> Payment:
    """Return the order's open payment, or insert one. It has a `provider_ref` if the provider is known to have it.

    The returned model is detached. A payment that no provider is known to have moves to `provider`: its buyer has seen
    no checkout of the other one.

    Raises:
        idempotency.Replay and errors of `query_claim`.
        NotFound: the order is unknown or belongs to another user.
        AlreadyPaid, orders.HoldHasEnded, events.EventNotOnSale.
    """
    async with statements.round_trip(session) as connection:
        claimed = await idempotency.query_claim(connection, claim)
        await tenancy.enter_owner_of(connection, "orders where id = %s and user_id = %s", order_id, user_id)
        locked = await orders.lock_order_row(connection, "%s", order_id)
        payable = await orders.query_payable(connection, [order_id])
        selected = PendingQuery(_first, await send(connection, _SELECT_OPEN, order_id))
    await claimed.fetch()
    order = await locked.fetch()
    if order is None or order.user_id != user_id:
        raise NotFound
    _check_payable(order, await payable.fetch())
    payment = await selected.fetch()
    if payment is None:
        return await _insert(session, order, provider)
    if payment.provider_ref is None and payment.provider != provider:
        await statements.execute(session, _CHANGE_PROVIDER, provider, payment.id)
        payment.provider = provider
    return payment


def _check_payable(order: orders.LockedOrder, payable: Mapping[UUID, orders.Payable]) -> None:
    if order.status in orders.PAID_STATUSES:
        raise AlreadyPaid
    payable[order.id].check()


def _first(found: Sequence[tuple[Any, ...]]) -> Payment | None:
    return Payment(**dict(zip(COLUMNS, found[0], strict=True))) if found else None


async def _insert(session: AsyncSession, order: orders.LockedOrder, provider: str) -> Payment:
    payment = new_payment(order, provider)
    values = (payment.id, order.organization_id, order.id, provider, order.total_minor, order.currency)
    # The lock on the order keeps concurrent requests from inserting a second open payment, which the index rejects.
    created_at = await (await statements.execute(session, _INSERT, *values)).fetchone()
    assert created_at is not None
    payment.created_at = created_at[0]
    return payment


def new_payment(order: orders.LockedOrder, provider: str) -> Payment:
    """A payment that no provider has yet. The model is detached: it is not in any session."""
    return Payment(
        id=new_id(),
        organization_id=order.organization_id,
        order_id=order.id,
        provider=provider,
        status=PaymentStatus.PENDING,
        amount_minor=order.total_minor,
        refunded_minor=0,
        currency=order.currency,
    )


async def open_payment(provider: Provider, payment: Payment) -> Checkout:
    """Open a reserved payment at the provider, outside of any transaction.

    Raises:
        ProviderDown: the provider may or may not have the payment; a further request continues with it.
    """
    crash_points.at("after_payment_before_start")
    try:
        checkout = await providers.start(provider, payment)
    except ProviderUnreachable as error:
        raise ProviderDown from error
    crash_points.at("after_start_before_record")
    return checkout


_SELECT_PAYMENT = f"select {', '.join(COLUMNS)} from payments where id = %s for update"  # noqa: S608 (constants)
_RECORD = "update payments set provider_ref = %s, checkout_url = %s where id = %s"
# COALESCE keeps the planner from the partial index on events that wait: it would read all of them.
_HAS_WAITING_EVENTS = """
select exists (select from payment_events
                where provider = %s and provider_ref = %s and coalesce(processed_at, 'infinity') = 'infinity')"""


async def record_payment(session: AsyncSession, user_id: UUID, reserved: Payment, checkout: Checkout | None) -> Payment:
    """Store the provider's answer, and apply webhooks that have arrived before it.

    Concurrent requests for an order record the same payment; the first answer stays. Once the order cannot be paid any
    more, the answer is discarded: no client has seen its checkout.

    Raises:
        AlreadyPaid, orders.HoldHasEnded, events.EventNotOnSale: while the payment is still pending.
        ProviderDown: another request has moved the payment to another provider, which has not answered yet.
    """
    async with statements.round_trip(session) as connection:
        await tenancy.enter_owner_of(connection, "orders where id = %s and user_id = %s", reserved.order_id, user_id)
        locked = await orders.lock_order_row(connection, "%s", reserved.order_id)
        selected = PendingQuery(_first, await send(connection, _SELECT_PAYMENT, reserved.id))
        payable = await orders.query_payable(connection, [reserved.order_id])
    order, payment = await locked.fetch(), await selected.fetch()
    if order is None or payment is None:
        raise NotFound
    is_new = payment.provider_ref is None
    if is_new and (checkout is None or payment.provider != reserved.provider):
        raise ProviderDown
    if await _record(session, payment, checkout if is_new else None):
        # The provider's webhook has arrived earlier and is waiting: apply it now.
        await apply_waiting(session, await lock_payment(session, payment.id))
        payment = await lock_payment(session, payment.id)
    if payment.status in (PaymentStatus.PENDING, PaymentStatus.SUPERSEDED, PaymentStatus.CANCELLED):
        _check_payable(order, await payable.fetch())
    return payment


async def _record(session: AsyncSession, payment: Payment, checkout: Checkout | None) -> bool:
    """Returns whether stored webhooks are waiting for the payment."""
    async with statements.round_trip(session) as connection:
        if checkout is not None:
            payment.provider_ref, payment.checkout_url = checkout.provider_ref, checkout.checkout_url
            await send(connection, _RECORD, checkout.provider_ref, checkout.checkout_url, payment.id)
            outbox.publish(session, PaymentCreated.of(payment))
        waiting = await send(connection, _HAS_WAITING_EVENTS, payment.provider, payment.provider_ref)
    return await waiting.fetchone() == (True,)
