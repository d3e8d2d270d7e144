"""Emails to buyers and account holders, each composed from a message."""

from ticketing.modules.notifications.emails import (
    compose_invitation,
    compose_password_changed,
    compose_password_reset,
    compose_refund,
    compose_tickets,
    compose_verification,
    request_tickets_emails,
)
from ticketing.modules.notifications.limits import clean_limits
from ticketing.modules.notifications.messages import TicketsEmailRequested
from ticketing.modules.notifications.models import EmailLimit

__all__ = [
    "EmailLimit",
    "TicketsEmailRequested",
    "clean_limits",
    "compose_invitation",
    "compose_password_changed",
    "compose_password_reset",
    "compose_refund",
    "compose_tickets",
    "compose_verification",
    "request_tickets_emails",
]
