"""Emails to buyers and account holders, each composed from a message."""

from ticketing.modules.notifications.emails import (
    compose_password_changed,
    compose_password_reset,
    compose_refund,
    compose_tickets,
    compose_verification,
)

__all__ = [
    "compose_password_changed",
    "compose_password_reset",
    "compose_refund",
    "compose_tickets",
    "compose_verification",
]
