"""Routes of payments."""

from uuid import UUID

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from ticketing.infra import app_state, crash_points
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, Db
from ticketing.infra.group_commit import Unusual
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.idempotency import IdempotencyKey
from ticketing.modules import iam, orders
from ticketing.modules.payments import queries, webhooks
from ticketing.modules.payments.models import Payment
from ticketing.modules.payments.providers import Provider, ProviderEvent, choose_provider, get_provider
from ticketing.modules.payments.sale import checkout, opening
from ticketing.modules.payments.sale.reserve_batch import StartRequest
from ticketing.modules.payments.sale.settlement_batch import Settlements, Webhook
from ticketing.modules.payments.schemas import CheckoutOut, PaymentOut, StartCheckout, StartPayment

WEBHOOK_BYTES_MAX = 64 * 1024

# Not idempotency.Route: webhooks are deduplicated by event id, and nothing may be stored before verification.
inbound = APIRouter(tags=["payments"])
router = APIRouter(tags=["payments"], route_class=idempotency.Route)
# It claims its key in the transactions of its batches.
starting = APIRouter()


class Taken(BaseModel):
    """`is_applied` is false when the payment is not known yet: the webhook is stored and retried."""

    is_applied: bool


@inbound.post("/payments/webhooks/{provider}", responses={202: {"model": Envelope[Taken]}})
async def take_webhook(provider: str, request: Request, response: Response) -> Envelope[Taken]:
    """Receive a signed webhook from a payment provider."""
    known = get_provider(app_state.of(request.app).get(Settings), provider)
    event = _verify(known, request, await _read(request))
    is_applied = await _receive(request, Webhook(known.name, event))
    response.status_code = 200 if is_applied else 202
    return envelope(Taken(is_applied=is_applied), "Taken")


async def _receive(request: Request, webhook: Webhook) -> bool:
    """Returns False when its payment is not known yet."""
    state = app_state.of(request.app)
    try:
        await state.get(Settlements).submit(webhook)
    except Unusual:
        async with state.get(Database).transaction() as session:
            is_applied = await webhooks.receive_event(session, webhook.provider, webhook.event)
        if "changed_topics" in session.info:
            crash_points.at("after_commit_before_ack")
        return is_applied
    return True


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


@starting.post("/payments", status_code=201, response_model=Envelope[PaymentOut])
async def start_payment(body: StartPayment, key: IdempotencyKey, buyer: iam.CurrentUser, request: Request) -> Response:
    """Start a payment of an order. A further request returns the open payment."""
    provider = choose_provider(app_state.of(request.app).get(Settings), body.provider)
    claim = await idempotency.claim_of(request, key)
    return await opening.start_payment(request, provider, StartRequest(claim, buyer.user_id, body.order_id))


@starting.post("/checkout", status_code=201, response_model=Envelope[CheckoutOut])
async def check_out(body: StartCheckout, key: IdempotencyKey, buyer: iam.CurrentUser, request: Request) -> Response:
    """Turn an active reservation into an order, and start its payment.

    If the payment fails to start, the order stays: repeat the request with the same key, or start a payment of it.
    """
    provider = choose_provider(app_state.of(request.app).get(Settings), body.provider)
    claim = await idempotency.claim_of(request, key)
    return await checkout.check_out(request, provider, claim, buyer, body)


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
    site = opening.site_of(request)
    return [PaymentOut.of(payment, refunds[payment.id], site, is_for_staff=is_staff) for payment in payments]


router.include_router(starting)
