"""The way of a request to pay: reserve the payment, call its provider outside of any transaction, record the answer.

Both transactions are batches (`reserve_batch`, `record_batch`); what these leave over goes through `service`.
"""

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from ticketing.infra import app_state
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.group_commit import Unusual
from ticketing.infra.group_commit.keyed_batch import Answer
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import as_json, envelope
from ticketing.modules.payments import queries, service
from ticketing.modules.payments.models import Payment, PaymentStatus
from ticketing.modules.payments.providers import Checkout, Provider
from ticketing.modules.payments.sale.record_batch import PaymentRecords, RecordRequest
from ticketing.modules.payments.sale.reserve_batch import PaymentReservations, ReserveRequest, StartRequest
from ticketing.modules.payments.schemas import PaymentOut


async def start_payment(request: Request, provider: Provider, wanted: StartRequest) -> Response:
    """Start a payment, or return the open one of the order. Raises what `service` raises."""
    idempotency.hold_claim(request, wanted.claim)
    payment = await _reserve(request, ReserveRequest(*wanted, provider.name))
    checkout = None if payment.provider_ref is not None else await service.open_payment(provider, payment)
    if checkout is not None:
        records = app_state.of(request.app).get(PaymentRecords)
        try:
            opened = RecordRequest(wanted.claim, wanted.user_id, payment, checkout, site_of(request))
            return (await records.submit(opened)).as_response()
        except Unusual:
            pass

    async def record(session: AsyncSession) -> Response:
        return await _record(session, request, wanted, payment, checkout)

    return await idempotency.respond_once(request, wanted.claim, wanted.user_id, record)


async def _reserve(request: Request, wanted: ReserveRequest) -> Payment:
    state = app_state.of(request.app)
    try:
        return await state.get(PaymentReservations).submit(wanted)
    except Unusual:
        async with state.get(Database).transaction(wanted.user_id) as session:
            return await service.reserve_payment(session, *wanted)


async def _record(
    session: AsyncSession, request: Request, wanted: StartRequest, reserved: Payment, checkout: Checkout | None
) -> Response:
    payment = await service.record_payment(session, wanted.user_id, reserved, checkout)
    is_own = checkout is not None and checkout.provider_ref == payment.provider_ref
    client_secret = checkout.client_secret if checkout is not None and is_own else None
    # A pending payment has no refunds.
    refunds = (
        [] if payment.status == PaymentStatus.PENDING else (await queries.list_refunds(session, [payment]))[payment.id]
    )
    out = PaymentOut.of(payment, refunds, site_of(request), client_secret)
    return Answer(201, as_json(envelope(out, "Payment started"))).as_response()


def site_of(request: Request) -> str:
    """Return PUBLIC_URL, or else the base URL of this request."""
    return app_state.of(request.app).get(Settings).public_url or str(request.base_url).rstrip("/")
