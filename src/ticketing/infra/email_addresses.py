"""Email addresses and URLs of mail servers: validation, and the forms in which they are compared and sent."""

import re
import unicodedata
from email.utils import parseaddr
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

#: Characters that a parser of headers might take for the end of a line.
_BREAKS = re.compile("[\\s\x00-\x1f\x7f\x85\u2028\u2029]+")

#: The domain of generated addresses, such as those of load tests. RFC 2606 §3 reserves it, so it has no mailboxes.
UNDELIVERABLE_DOMAIN = "rehearsal.example.com"


def normalize_email(email: str) -> str:
    """Normalize an address for comparison: ignores case and the Unicode composition of accents.

    The only such function: accounts are found by its result, and rate limits count it.
    """
    return unicodedata.normalize("NFC", email.strip()).lower()


def is_undeliverable(email: str) -> bool:
    """Whether this address has no mailbox, so that no email is sent to it."""
    return email.endswith(f"@{UNDELIVERABLE_DOMAIN}")


def is_smtp_url(url: str) -> bool:
    """Whether this is the URL of a mail server, without parts that would be ignored."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    has_rest = parts.path.strip("/") or parts.query or parts.fragment
    return parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and has_port and not has_rest


def is_mailbox(text: str) -> bool:
    """Whether this is one address, with or without a display name, on one line."""
    name, address = parseaddr(text)
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return text.isprintable() and text in {address, f"{name} <{address}>", f'"{name}" <{address}>'}


def address_of(email: str) -> str:
    """The address in ASCII, with the domain in its xn-- form; unchanged if the part before the @ is not ASCII.

    Raises:
        EmailNotValidError: this is not one address.
    """
    return validate_email(email, check_deliverability=False).ascii_email or email


def domain_of(sender: str) -> str:
    """The domain of `name@example.com` or `Some Name <name@example.com>`."""
    return parseaddr(sender)[1].rpartition("@")[2]


def one_line(text: str) -> str:
    """Replace line breaks and control characters by spaces: a header is one line."""
    return _BREAKS.sub(" ", text).strip()
