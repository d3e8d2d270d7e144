"""Emails to buyers, account holders and organizers, each composed from a message."""

from ticketing.modules.notifications.emails import (
    compose_invitation,
    compose_password_changed,
    compose_password_reset,
    compose_refund,
    compose_tickets,
    compose_verification,
    request_tickets_emails,
)
from ticketing.modules.notifications.event_notices import (
    compose_event_notice,
    continue_notices,
    request_cancellation_notices,
    request_move_notices,
)
from ticketing.modules.notifications.limits import clean_limits
from ticketing.modules.notifications.messages import (
    EventNoticeRequested,
    EventNoticesContinued,
    RefundNoticeRequested,
    TicketsEmailRequested,
)
from ticketing.modules.notifications.models import EmailLimit
from ticketing.modules.notifications.refund_notices import compose_refund_notice, request_refund_notices

__all__ = [
    "EmailLimit",
    "EventNoticeRequested",
    "EventNoticesContinued",
    "RefundNoticeRequested",
    "TicketsEmailRequested",
    "clean_limits",
    "compose_event_notice",
    "compose_invitation",
    "compose_password_changed",
    "compose_password_reset",
    "compose_refund",
    "compose_refund_notice",
    "compose_tickets",
    "compose_verification",
    "continue_notices",
    "request_cancellation_notices",
    "request_move_notices",
    "request_refund_notices",
    "request_tickets_emails",
]
