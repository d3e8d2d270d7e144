"""Routes of payments."""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from ticketing.infra import app_state
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.idempotency import IdempotencyKey
from ticketing.modules import iam, orders
from ticketing.modules.payments import queries, service, webhooks
from ticketing.modules.payments.models import Payment, PaymentStatus
from ticketing.modules.payments.providers import Checkout, Provider, ProviderEvent, choose_provider, get_provider
from ticketing.modules.payments.schemas import PaymentOut, StartPayment

WEBHOOK_BYTES_MAX = 64 * 1024

# Not idempotency.Route: webhooks are deduplicated by event id, and nothing may be stored before verification.
inbound = APIRouter(tags=["payments"])
router = APIRouter(tags=["payments"], route_class=idempotency.Route)


class Taken(BaseModel):
    """`is_applied` is false when the payment is not known yet: the webhook is stored and retried."""

    is_applied: bool


@inbound.post("/payments/webhooks/{provider}", responses={202: {"model": Envelope[Taken]}})
async def take_webhook(provider: str, request: Request, response: Response, session: Db) -> Envelope[Taken]:
    """Receive a signed webhook from a payment provider."""
    known = get_provider(app_state.of(request.app).get(Settings), provider)
    event = _verify(known, request, await _read(request))
    is_applied = await webhooks.receive_event(session, known.name, event)
    response.status_code = 200 if is_applied else 202
    return envelope(Taken(is_applied=is_applied), "Taken")


async def _read(request: Request) -> bytes:
    """Read the raw body, buffering little more than WEBHOOK_BYTES_MAX at most. Raises HTTPException 413."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > WEBHOOK_BYTES_MAX:
            raise HTTPException(413)
    return bytes(raw)


def _verify(provider: Provider, request: Request, raw: bytes) -> ProviderEvent:
    try:
        return provider.verify(request.headers, raw)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


class Opened(NamedTuple):
    """A reserved payment, and the provider's answer if this request called the provider."""

    payment: Payment
    checkout: Checkout | None


async def open_payment(body: StartPayment, key: IdempotencyKey, buyer: iam.CurrentUser, request: Request) -> Opened:
    """Reserve the payment in a transaction of its own, and call the provider.

    It runs before the idempotency claim, the first statement of the request's transaction.
    """
    state = app_state.of(request.app)
    provider = choose_provider(state.get(Settings), body.provider)
    claim = await idempotency.claim_of(request, key)
    idempotency.hold_claim(request, claim)
    async with state.get(Database).transaction(buyer.user_id) as session:
        payment = await service.reserve_payment(session, claim, buyer.user_id, body.order_id, provider.name)
    is_open = payment.provider_ref is not None
    return Opened(payment, None if is_open else await service.open_payment(provider, payment))


@router.post("/payments", status_code=201, dependencies=[Depends(open_payment), Depends(idempotency.claim)])
async def start_payment(
    opened: Annotated[Opened, Depends(open_payment)], buyer: iam.CurrentUser, request: Request, session: Db
) -> Envelope[PaymentOut]:
    """Start a payment of an order. A further request returns the open payment."""
    payment = await service.record_payment(session, buyer.user_id, *opened)
    is_own = opened.checkout is not None and opened.checkout.provider_ref == payment.provider_ref
    client_secret = opened.checkout.client_secret if opened.checkout is not None and is_own else None
    # A pending payment has no refunds.
    refunds = (
        [] if payment.status == PaymentStatus.PENDING else (await queries.list_refunds(session, [payment]))[payment.id]
    )
    return envelope(PaymentOut.of(payment, refunds, _site(request), client_secret), "Payment started")


@router.get("/payments/{payment_id}")
async def get_payment(payment_id: UUID, viewer: iam.CurrentUser, request: Request, session: Db) -> Envelope[PaymentOut]:
    """Get a payment as its buyer or as staff of its organization."""
    payment = await queries.get_visible_payment(session, payment_id, viewer)
    return envelope((await _out(session, [payment], request, viewer))[0])


@router.get("/orders/{order_id}/payments")
async def list_payments(
    order_id: UUID, viewer: iam.CurrentUser, request: Request, session: Db
) -> Envelope[list[PaymentOut]]:
    """List all payments of an order, oldest first, with their refunds."""
    order = await orders.get_visible_order(session, order_id, viewer)
    return envelope(await _out(session, await queries.list_payments(session, order), request, viewer))


async def _out(session: Db, payments: list[Payment], request: Request, viewer: iam.Identity) -> list[PaymentOut]:
    """`payments` are those of one order, which the viewer may see."""
    refunds = await queries.list_refunds(session, payments)
    is_staff = bool(payments) and await queries.is_staff(session, payments[0].organization_id, viewer)
    site = _site(request)
    return [PaymentOut.of(payment, refunds[payment.id], site, is_for_staff=is_staff) for payment in payments]


def _site(request: Request) -> str:
    """Return PUBLIC_URL, or else the base URL of this request."""
    return app_state.of(request.app).get(Settings).public_url or str(request.base_url).rstrip("/")
