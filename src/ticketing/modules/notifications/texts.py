"""The texts of all emails, in English. `emails` fills in the placeholders in braces."""

from datetime import datetime

from babel.dates import format_date, format_datetime, format_time

LOCALE = "en_GB"

# Without a name: names are chosen by users, and an attacker could register a victim's address with an advertisement as
# the name.
GREETING = "Hello,"
FOOTER = "You got this email because of your account or your order at {place}. Replies to it are not read."
COPY_LINK = "If the button does nothing, copy this address into your browser:"

VERIFY_SUBJECT = "Please confirm your e-mail address"
VERIFY_TEXT = (
    "somebody, most likely you, has opened an account with this address. The link below confirms that it is yours.",
    "It works for 24 hours. If it was not you, do nothing: the address then stays unconfirmed.",
)
VERIFY_BUTTON = "Confirm this address"

RESET_SUBJECT = "A new password"
RESET_TEXT = (
    "somebody, most likely you, has asked for a new password for your account. You can choose one with the link below.",
    "It works for 30 minutes, once. If it was not you, do nothing: your password stays as it is.",
)
RESET_BUTTON = "Choose a new password"

CHANGED_SUBJECT = "Your password was changed"
CHANGED_TEXT = (
    "the password of your account has just been changed, and you were logged out elsewhere.",
    "If it was not you, choose a new password at once; nobody can do that without your mailbox.",
)
CHANGED_BUTTON = "Choose a new password"

TICKETS_SUBJECT = "Your tickets: {title} ({reference})"
TICKETS_TEXT = ("you're in. This is what you bought:",)
TICKETS_ENCLOSED = "The tickets are enclosed as a PDF. You also find them, with their codes, here:"
TICKETS_ONLINE = "You find the tickets, with their codes, here:"
TICKETS_BUTTON = "Show my tickets"
TICKETS_MORE = "and {count} more"

REFUND_SUBJECT = "{amount} is on its way back to you ({reference})"
REFUND_TEXT = (
    "we have sent {amount} back to you for your order {reference}: {title}.",
    "It arrives the way you paid; banks take a few days.",
)
REFUND_REASON = "The reason: {reason}"
REFUND_BUTTON = "Show the order"

EVENT, WHEN, WHERE, ORDER, TICKETS = "Event", "When", "Where", "Order", "Tickets"


def seat(section: str, row: str, number: str) -> str:
    """`Stalls, row A, seat 12`."""
    return f"{section}, row {row}, seat {number}"


def when(start: datetime, end: datetime | None, zone_label: str) -> str:
    """`Saturday, 1 June 2030, 21:00 (Amsterdam time)`. Both times are in the venue's local time."""
    day = format_date(start, "EEEE, d MMMM y", locale=LOCALE)
    until = f" \N{EN DASH} {_until(start, end)}" if end else ""
    return f"{day}, {format_time(start, 'HH:mm', locale=LOCALE)}{until} ({zone_label})"


def _until(start: datetime, end: datetime) -> str:
    if start.date() == end.date():
        return str(format_time(end, "HH:mm", locale=LOCALE))
    return str(format_datetime(end, "EEEE, d MMMM y, HH:mm", tzinfo=end.tzinfo, locale=LOCALE))
