"""Locked rows of a payment, found by the provider's reference. Every webhook begins with them."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.infra.db import tenancy
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.modules import orders


class LockedPayment(NamedTuple):
    """A payment locked until the transaction ends. `amount_minor` is in minor units of `currency`."""

    id: UUID
    organization_id: UUID
    order_id: UUID
    provider: str
    status: str
    amount_minor: int
    currency: str


class PendingPayment(NamedTuple):
    """The order and payment of a provider's reference, None when it is unknown, and what the order's sale needs."""

    order: PendingQuery[orders.LockedOrder | None]
    payment: PendingQuery[LockedPayment | None]
    sale: orders.PendingSale


_ORGANIZATION = "organization_of_payment(%s, %s) as organization_id where organization_id is not null"
_NAMED = "provider = %s and provider_ref = %s"
_ORDER = f"(select order_id from payments where {_NAMED})"  # noqa: S608 (constants)
_COLUMNS = ", ".join(LockedPayment._fields)
_LOCK_PAYMENT = f"select {_COLUMNS} from payments where {_NAMED} for update"  # noqa: S608


async def lock_payment_of(connection: DriverConnection, provider: str, provider_ref: str) -> PendingPayment:
    """Enter the organization of a provider's reference and lock its order, payment and hold, in this order."""
    names = (provider, provider_ref)
    await tenancy.enter_owner_of(connection, _ORGANIZATION, *names)
    order = await orders.lock_order_row(connection, _ORDER, *names)
    payment = PendingQuery(_first, await send(connection, _LOCK_PAYMENT, *names))
    return PendingPayment(order, payment, await orders.lock_sale(connection, _ORDER, *names))


def _first(found: Sequence[tuple[Any, ...]]) -> LockedPayment | None:
    return LockedPayment(*found[0]) if found else None
