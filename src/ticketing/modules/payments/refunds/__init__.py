"""Refunds: requested by the platform or begun at the provider, sent, completed, failed; and disputes."""

from ticketing.modules.payments.refunds.at_provider import apply_event
from ticketing.modules.payments.refunds.outcomes import bounded
from ticketing.modules.payments.refunds.requests import NothingToRefund, RefundTooLarge, refund_order, request_refund
from ticketing.modules.payments.refunds.sender import ClaimedRefund, claim_refunds, queue_refund, send_refund

__all__ = [
    "ClaimedRefund",
    "NothingToRefund",
    "RefundTooLarge",
    "apply_event",
    "bounded",
    "claim_refunds",
    "queue_refund",
    "refund_order",
    "request_refund",
    "send_refund",
]
