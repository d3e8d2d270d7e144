"""Reading payments and refunds."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.errors import NotFound
from ticketing.modules import iam, orders
from ticketing.modules.payments.models import Payment, Refund


async def get_visible_payment(session: AsyncSession, payment_id: UUID, viewer: iam.Identity) -> Payment:
    """A payment of an order that the viewer may see. Raises NotFound."""
    payment = await session.get(Payment, payment_id)
    if payment is None:
        raise NotFound
    await orders.get_visible_order(session, payment.order_id, viewer)
    return payment


async def enter_by_reference(session: AsyncSession, provider: str, provider_ref: str) -> UUID | None:
    """Enter the organization of the payment or refund that the provider calls so; None when there is none."""
    return await tenancy.enter_by(session, "organization_of_payment", provider, provider_ref)


async def find_payment(session: AsyncSession, provider: str, provider_ref: str) -> Payment | None:
    """By the provider's name for it."""
    known = (Payment.provider == provider) & (Payment.provider_ref == provider_ref)
    return await session.scalar(select(Payment).where(known))


async def lock_payment(session: AsyncSession, payment_id: UUID) -> Payment:
    """The row, fresh and locked until the transaction ends; its order has to be locked before it. Raises NotFound."""
    query = select(Payment).where(Payment.id == payment_id).with_for_update()
    payment = await session.scalar(query.execution_options(populate_existing=True))
    if payment is None:
        raise NotFound
    return payment


async def list_payments(session: AsyncSession, order: orders.Order) -> list[Payment]:
    """Every attempt to pay this order, oldest first."""
    mine = (Payment.organization_id == order.organization_id) & (Payment.order_id == order.id)
    return list(await session.scalars(select(Payment).where(mine).order_by(Payment.id)))


async def list_refunds(session: AsyncSession, payments: Sequence[Payment]) -> dict[UUID, list[Refund]]:
    """Each payment's refunds, oldest first."""
    found: dict[UUID, list[Refund]] = {payment.id: [] for payment in payments}
    query = select(Refund).where(Refund.payment_id.in_(found)).order_by(Refund.id)
    for refund in (await session.scalars(query)).all():
        found[refund.payment_id].append(refund)
    return found
