"""Queries of payments and refunds."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import NotFound
from ticketing.modules import iam, orders, organizations
from ticketing.modules.payments.models import Payment, Refund


async def get_visible_payment(session: AsyncSession, payment_id: UUID, viewer: iam.Identity) -> Payment:
    """Return a payment of an order that the viewer may see. Raises NotFound."""
    payment = await session.get(Payment, payment_id)
    if payment is None or payment.provider_ref is None:
        raise NotFound
    await orders.get_visible_order(session, payment.order_id, viewer)
    return payment


async def is_staff(session: AsyncSession, organization_id: UUID, viewer: iam.Identity) -> bool:
    """Whether the viewer may read all payments of this organization."""
    may_read = organizations.Permission.READ_ORDERS
    return await organizations.is_allowed(session, organization_id, viewer.user_id, may_read)


async def enter_by_reference(session: AsyncSession, provider: str, provider_ref: str) -> UUID | None:
    """Enter the organization of the payment or refund with this provider reference. Returns None when it is unknown."""
    return await tenancy.enter_by(session, "organization_of_payment", provider, provider_ref)


async def find_payment(session: AsyncSession, provider: str, provider_ref: str) -> Payment | None:
    """Find a payment by the provider's reference."""
    is_it = (Payment.provider == provider) & (Payment.provider_ref == provider_ref)
    return await session.scalar(select(Payment).where(is_it))


async def lock_payment(session: AsyncSession, payment_id: UUID) -> Payment:
    """Return the payment, freshly read and locked until the transaction ends. Lock its order first. Raises NotFound."""
    query = select(Payment).where(Payment.id == payment_id).with_for_update()
    payment = await session.scalar(query.execution_options(populate_existing=True))
    if payment is None:
        raise NotFound
    return payment


async def list_payments(session: AsyncSession, order: orders.Order) -> list[Payment]:
    """Return all payments of this order that a provider is known to have, oldest first."""
    of_order = (Payment.organization_id == order.organization_id) & (Payment.order_id == order.id)
    of_order &= Payment.provider_ref.is_not(None)
    return list(await session.scalars(select(Payment).where(of_order).order_by(Payment.id)))


async def list_refunds(session: AsyncSession, payments: Sequence[Payment]) -> dict[UUID, list[Refund]]:
    """Return each payment's refunds, oldest first."""
    found: dict[UUID, list[Refund]] = {payment.id: [] for payment in payments}
    query = select(Refund).where(Refund.payment_id.in_(found)).order_by(Refund.id)
    for refund in (await session.scalars(query)).all():
        found[refund.payment_id].append(refund)
    return found
