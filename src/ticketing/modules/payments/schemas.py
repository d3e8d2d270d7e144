"""Request and response bodies of payments and refunds."""

from collections.abc import Iterable
from typing import Literal, Self
from uuid import UUID

from ticketing.infra.http.fields import Body, Moment, Money, Out, ShortName
from ticketing.modules import orders
from ticketing.modules.payments.models import Payment, PaymentStatus, Refund, RefundKind, RefundOrigin, RefundStatus


class StartPayment(Body):
    order_id: UUID
    provider: Literal["mock", "stripe"]


class StartCheckout(Body):
    """An order and its payment in one request; see `orders.CreateOrder` and `StartPayment`."""

    reservation_id: UUID
    buyer: orders.Buyer
    provider: Literal["mock", "stripe"]
    promo_code: ShortName | None = None


class RefundOut(Out):
    id: UUID
    order_id: UUID
    payment_id: UUID
    status: RefundStatus
    #: `provider` for one that began at the provider: in its dashboard, or by a dispute.
    origin: RefundOrigin
    #: `chargeback` for the money of a disputed payment.
    kind: RefundKind
    amount: Money
    reason: str
    #: Why it failed, for staff; null for the buyer, and unless the status is `failed`.
    failure_reason: str | None
    created_at: Moment

    @classmethod
    def of(cls, refund: Refund, *, is_for_staff: bool = False) -> Self:
        return cls(
            id=refund.id,
            order_id=refund.order_id,
            payment_id=refund.payment_id,
            status=refund.status,
            origin=refund.origin,
            kind=refund.kind,
            amount=Money(amount=refund.amount_minor, currency=refund.currency),
            reason=refund.reason,
            failure_reason=refund.failure_reason if is_for_staff else None,
            created_at=refund.created_at,
        )


class PaymentOut(Out):
    id: UUID
    order_id: UUID
    provider: str
    provider_ref: str
    status: PaymentStatus
    amount: Money
    #: The sum of all requested refunds that have not failed.
    refunded: Money
    refunds: list[RefundOut]
    created_at: Moment
    arrived_at: Moment | None
    checkout_url: str | None
    client_secret: str | None

    @classmethod
    def of(
        cls,
        payment: Payment,
        refunds: Iterable[Refund],
        site: str,
        client_secret: str | None = None,
        *,
        is_for_staff: bool = False,
    ) -> Self:
        """`site` is the platform's base URL as the caller sees it: relative checkout URLs are resolved against it."""
        assert payment.provider_ref is not None  # queries leave out payments that no provider is known to have
        url = payment.checkout_url
        return cls(
            id=payment.id,
            order_id=payment.order_id,
            provider=payment.provider,
            provider_ref=payment.provider_ref,
            status=payment.status,
            amount=Money(amount=payment.amount_minor, currency=payment.currency),
            refunded=Money(amount=payment.refunded_minor, currency=payment.currency),
            refunds=[RefundOut.of(refund, is_for_staff=is_for_staff) for refund in refunds],
            created_at=payment.created_at,
            arrived_at=payment.arrived_at,
            checkout_url=site + url if url and url.startswith("/") else url,
            client_secret=client_secret,
        )


class CheckoutOut(Out):
    """`payment` is null for an order with a total of 0, which is paid at once."""

    order: orders.OrderOut
    payment: PaymentOut | None
