"""Paid orders whose money moves at the provider, for the tests of refunds and disputes that begin there."""

from typing import Any

from fastapi import FastAPI

from tests.modules.payments.purchases import order_of, order_with_payment, payment_of
from tests.support.world import Person, Show, World, data


class ProviderSale:
    """A show with paid orders of one buyer."""

    def __init__(self, app: FastAPI, world: World, show: Show, buyer: Person) -> None:
        self.app, self.world, self.show, self.buyer = app, world, show, buyer

    @property
    def admin(self) -> Person:
        return self.show.tenant.admin

    async def pay(self, label: str) -> Any:
        """An order of 45.00 EUR and its payment."""
        _, order, payment = await order_with_payment(self.world, self.show, label, buyer=self.buyer)
        data(await self.world.webhook("payment.succeeded", payment))
        return order, payment

    async def report(self, kind: str, payment: Any, ref: str = "re_1", status: int = 200, **changes: Any) -> None:
        data(await self.world.webhook(kind, payment, object_ref=ref, **changes), status)

    async def money(self, order: Any, payment: Any) -> tuple[str, int, str, int]:
        """The status and refunded amount of the order, and of its payment."""
        order, payment = await order_of(self.buyer, order), await payment_of(self.buyer, payment)
        return order["status"], order["refunded"]["amount"], payment["status"], payment["refunded"]["amount"]

    async def refund(self, order: Any, **body: Any) -> Any:
        return await self.admin.post(f"/orders/{order['id']}/refunds", body)
