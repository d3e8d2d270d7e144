"""What a provider's reference names, as plain values, locked: with it begins all that a webhook does to a payment."""

from typing import NamedTuple
from uuid import UUID

from ticketing.infra.db import tenancy
from ticketing.infra.db.pipeline import Cursor, Wire, send
from ticketing.modules import orders


class Due(NamedTuple):
    """A payment that waits for money, or did; `amount_minor` is in minor units of `currency`."""

    id: UUID
    organization_id: UUID
    order_id: UUID
    provider: str
    status: str
    amount_minor: int
    currency: str


class LockedDue:
    """What a provider's reference names, its organization entered: the order locked first, then payment and hold."""

    def __init__(self, order: Cursor, payment: Cursor, deal: orders.Deal) -> None:
        self._order, self._payment, self._deal = order, payment, deal

    @classmethod
    async def ask(cls, wire: Wire, provider: str, provider_ref: str) -> "LockedDue":
        names = (provider, provider_ref)
        await tenancy.enter_where(wire, _ORGANIZATION, *names)
        order = await orders.LockedOrder.ask(wire, _ORDER, *names)
        payment = await send(wire, _LOCK_PAYMENT, *names)
        return cls(order, payment, await orders.Deal.ask(wire, _ORDER, *names))

    async def read(self) -> tuple[orders.LockedOrder, Due, orders.Deal] | None:
        """None when nobody here knows the payment."""
        order, payment = await orders.LockedOrder.read(self._order), await self._payment.fetchone()
        return (order, Due(*payment), self._deal) if order is not None and payment is not None else None


_ORGANIZATION = "organization_of_payment(%s, %s) as organization_id where organization_id is not null"
_NAMED = "provider = %s and provider_ref = %s"
_ORDER = f"(select order_id from payments where {_NAMED})"  # noqa: S608 (only constants)
_DUE = ", ".join(Due._fields)
_LOCK_PAYMENT = f"select {_DUE} from payments where {_NAMED} for update"  # noqa: S608
