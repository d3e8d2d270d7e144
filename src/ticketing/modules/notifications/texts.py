"""The texts of all emails, in English. `emails` fills in the placeholders in braces."""

import unicodedata
from datetime import datetime
from typing import NamedTuple

from babel.dates import format_date

from ticketing.infra.formats.directions import isolate
from ticketing.infra.formats.local_time import clock, zone_label

LOCALE = "en_GB"

# Without a name: names are chosen by users, and an attacker could register a victim's address with an advertisement as
# the name.
GREETING = "Hello,"
FOOTER = "You got this email because of your account or your order at {place}. Replies to it are not read."
COPY_LINK = "If the button does nothing, copy this address into your browser:"

VERIFY_SUBJECT = "Please confirm your e-mail address"
VERIFY_TEXT = (
    "somebody, most likely you, has opened an account with this address. The link below confirms that it is yours.",
    "It works for 24 hours. Tickets are sent to confirmed addresses only.",
    "If it was not you, do nothing: the address then stays unconfirmed.",
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

CONFIRM_SUBJECT = "Please confirm your address for order {reference}"
CONFIRM_TEXT = (
    "order {reference} was placed with this e-mail address. Confirm with the link below that its tickets, and the "
    "e-mails about other orders of its buyer, are to be sent here.",
    "If you know nothing of an order, do nothing: no tickets are sent then.",
)
CONFIRM_BUTTON = "Confirm this address"

INVITED_SUBJECT = "You are invited to an organization"
INVITED_TEXT = (
    "an organizer has invited this address to work with them. The page behind the link shows who it is, and you decide "
    "there.",
    "The invitation ends in 14 days. If you know nothing of it, do nothing.",
)
INVITED_BUTTON = "Show the invitation"

TICKETS_SUBJECT = "Your tickets for {title} ({reference})"
TICKETS_TEXT = ("you're in. This is what you bought:",)
TICKETS_ENCLOSED = "The tickets are enclosed as a PDF. You also find them, with their codes, here:"
TICKETS_ONLINE = "You find the tickets, with their codes, here:"
TICKETS_BUTTON = "Show my tickets"
TICKETS_MORE = "and {count} more"

REFUND_SUBJECT = "{amount} is on its way back to you ({reference})"
REFUND_TEXT = (
    "we have sent {amount} back to you for your order {reference}{title}.",
    "It arrives the way you paid; banks take a few days.",
)
REFUND_TITLE = ": {title}"
REFUND_REASON = "The reason: {reason}"
REFUND_BUTTON = "Show the order"


class EventNotice(NamedTuple):
    """The texts of an email about a moved or cancelled event. `enclosed` is about the calendar file."""

    subject: str
    paragraphs: tuple[str, ...]
    enclosed: str


MOVED = EventNotice(
    "New time or place: {title}",
    (
        "the organizer has changed the time or the place of an event that you have an order or tickets for.",
        "Tickets stay valid as they are, also those that show the former time or place.",
    ),
    "The enclosed file updates the event in your calendar, if you have added it there.",
)
CANCELLED = EventNotice(
    "Cancelled: {title}",
    (
        "the organizer has cancelled an event that you have an order or tickets for. It does not take place, and its "
        "tickets admit nobody.",
        "This email is about the event only. A refund has an email of its own, which goes to the buyer.",
    ),
    "The enclosed file marks the event as cancelled in your calendar, if you have added it there.",
)
#: In place of the title, for an address that is not confirmed.
UNNAMED_EVENT = "an event of your order"
EVENT_BUTTON = "Show my tickets"


class Notice(NamedTuple):
    """The texts of an email to an organization's admins."""

    subject: str
    paragraphs: tuple[str, ...]


#: By the topic of what happened.
REFUND_NOTICES = {
    "refund.recorded": Notice(
        "{amount} of order {reference} was refunded at the payment provider",
        (
            "{amount} of order {reference} for {title} was refunded at the payment provider, not from here. The order "
            "counts it, and only the rest can be refunded from now on.",
            "Tickets stay valid, unless all of the order's money is back and your organization has set that they are "
            "voided then.",
        ),
    ),
    "refund.failed": Notice(
        "A refund of {amount} has failed ({reference})",
        (
            "the refund of {amount} for order {reference} ({title}) has failed: the payment provider or the buyer's "
            "bank did not accept it.",
            "The buyer does not get this money. You can refund the amount again, or return it in another way.",
        ),
    ),
    "dispute.created": Notice(
        "{amount} of order {reference} was charged back",
        (
            "the buyer's bank disputes the payment of order {reference} for {title}. The payment provider has taken "
            "{amount} back until the dispute is decided; the order counts it as refunded.",
            "Answer the dispute at the payment provider, within the time that it gives you. Tickets stay valid, unless "
            "all of the order's money is back and your organization has set that they are voided then.",
        ),
    ),
    "dispute.won": Notice(
        "The dispute about order {reference} was won",
        (
            "the dispute about order {reference} for {title} was decided in your favour, and {amount} came back. The "
            "order is paid again.",
            "Tickets that were voided stay void: if the buyer is to attend, sell or give them new ones.",
        ),
    ),
    "dispute.lost": Notice(
        "The dispute about order {reference} was lost",
        (
            "the dispute about order {reference} for {title} was decided for the buyer. {amount} is gone; the order "
            "has counted it as refunded since the dispute began.",
        ),
    ),
}
NOTICE_REASON = "The provider's reason: {reason}"
NOTICE_BUTTON = "Show the orders"

EVENT, WHEN, WHERE, ORDER, TICKETS = "Event", "When", "Where", "Order", "Tickets"


#: Characters of an organizer's text in a subject or a sentence, and in a row of a table.
QUOTED_MAX, CLEAN_MAX = 60, 200


def clean(text: str, length_max: int = CLEAN_MAX) -> str:
    """Return an organizer's text on one line, bounded, without characters that hide or reorder it, and isolated.

    An Arabic or Hebrew title then leaves the order of the sentence or the subject around it as it is.
    """
    return isolate(_one_line(text, length_max))


def quote(text: str) -> str:
    """Return an organizer's text in quotation marks, which it cannot close, so that it is not taken for ours."""
    inner = isolate(_one_line(text, QUOTED_MAX).translate(_NO_QUOTES))
    return f"\N{LEFT DOUBLE QUOTATION MARK}{inner}\N{RIGHT DOUBLE QUOTATION MARK}"


def _one_line(text: str, length_max: int) -> str:
    visible = "".join(c for c in text if c.isspace() or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE)
    line = " ".join(visible.split())
    return line if len(line) <= length_max else f"{line[: length_max - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


#: Control, format (bidi, zero width) and surrogate characters; separators become spaces. Unassigned and private ones
#: stay: programs show them as boxes, and a newer one may know them.
_INVISIBLE = {"Cc", "Cf", "Cs"}
#: Format characters that Persian, scripts of India, and emoji need.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_NO_QUOTES = {ord(mark): "'" for mark in '\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"'}


def seat(section: str, row: str, number: str) -> str:
    """`Stalls, row A, seat 12`."""
    return f"{clean(section)}, row {clean(row)}, seat {clean(number)}"


def where(*parts: str | None) -> str:
    """`Hall, Utrecht`, of the parts that are known."""
    return ", ".join(clean(part) for part in parts if part)


def when(start: datetime, end: datetime | None, timezone: str) -> str:
    """`Saturday, 1 June 2030, 21:00 (Amsterdam time)`. Both times are local, `timezone` is their zone's IANA name."""
    day = format_date(start, "EEEE, d MMMM y", locale=LOCALE)
    until = f" \N{EN DASH} {_until(start, end)}" if end else ""
    return f"{day}, {clock(start)}{until} ({zone_label(timezone)})"


def _until(start: datetime, end: datetime) -> str:
    if start.date() == end.date():
        return clock(end)
    return f"{format_date(end, 'EEEE, d MMMM y', locale=LOCALE)}, {clock(end)}"
