"""Payments, the providers' webhooks that settle them, and refunds. Each attempt is a row."""

from fastapi import APIRouter

from ticketing.modules.payments import api, personal_data
from ticketing.modules.payments.messages import (
    DisputeCreated,
    DisputeLost,
    DisputeWon,
    PaymentCancelled,
    PaymentCreated,
    PaymentFailed,
    PaymentReturned,
    PaymentSucceeded,
    PaymentSuperseded,
    RefundFailed,
    RefundRecorded,
    RefundRequested,
    RefundSent,
    RefundSucceeded,
)
from ticketing.modules.payments.mock import use_transport
from ticketing.modules.payments.mock_page import router as pages
from ticketing.modules.payments.models import Payment, PaymentStatus, Refund, RefundKind, RefundOrigin, RefundStatus
from ticketing.modules.payments.providers import Provider, list_providers
from ticketing.modules.payments.queries import list_payments, list_refunds
from ticketing.modules.payments.refunds import (
    ClaimedRefund,
    NothingToRefund,
    RefundTooLarge,
    claim_refunds,
    queue_refund,
    refund_order,
    request_refund,
    send_refund,
)
from ticketing.modules.payments.retention import clean_events
from ticketing.modules.payments.sale.record_batch import PaymentRecords
from ticketing.modules.payments.sale.reserve_batch import PaymentReservations
from ticketing.modules.payments.sale.settlement_batch import Settlements
from ticketing.modules.payments.schemas import PaymentOut, RefundOut
from ticketing.modules.payments.settlement import close_payment
from ticketing.modules.payments.webhooks import retry_waiting_event

router = APIRouter()
router.include_router(api.router)
router.include_router(api.inbound)

__all__ = [
    "ClaimedRefund",
    "DisputeCreated",
    "DisputeLost",
    "DisputeWon",
    "NothingToRefund",
    "Payment",
    "PaymentCancelled",
    "PaymentCreated",
    "PaymentFailed",
    "PaymentOut",
    "PaymentRecords",
    "PaymentReservations",
    "PaymentReturned",
    "PaymentStatus",
    "PaymentSucceeded",
    "PaymentSuperseded",
    "Provider",
    "Refund",
    "RefundFailed",
    "RefundKind",
    "RefundOrigin",
    "RefundOut",
    "RefundRecorded",
    "RefundRequested",
    "RefundSent",
    "RefundStatus",
    "RefundSucceeded",
    "RefundTooLarge",
    "Settlements",
    "claim_refunds",
    "clean_events",
    "close_payment",
    "list_payments",
    "list_providers",
    "list_refunds",
    "pages",
    "personal_data",
    "queue_refund",
    "refund_order",
    "request_refund",
    "retry_waiting_event",
    "router",
    "send_refund",
    "use_transport",
]
