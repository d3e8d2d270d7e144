"""Letters to people: what has happened, in words, to the address that they gave."""

from ticketing.modules.notifications.emails import (
    write_password_changed,
    write_refund,
    write_reset,
    write_tickets,
    write_verification,
)

__all__ = ["write_password_changed", "write_refund", "write_reset", "write_tickets", "write_verification"]
