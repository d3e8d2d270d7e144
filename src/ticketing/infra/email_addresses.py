"""Addresses of people and of mail servers: what is a good one, and how it is written on the way."""

import re
from email.utils import parseaddr
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

#: Whatever a reader of a header might take for the end of its line.
_BREAKS = re.compile("[\\s\x00-\x1f\x7f\x85\u2028\u2029]+")

#: Where buyers of a rehearsal have their addresses: a name that RFC 2606 §3 keeps, so nobody ever has a mailbox there.
NOBODYS_DOMAIN = "rehearsal.example.com"


def is_nobodys(email: str) -> bool:
    """Whether a letter to this address could reach nobody, and is not to be sent."""
    return email.endswith(f"@{NOBODYS_DOMAIN}")


def is_smtp_url(url: str) -> bool:
    """Whether this names a mail server, with nothing in it that would be passed over."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    has_rest = parts.path.strip("/") or parts.query or parts.fragment
    return parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and has_port and not has_rest


def is_mailbox(text: str) -> bool:
    """Whether this is one address, with or without a name before it, on one line."""
    name, address = parseaddr(text)
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return text.isprintable() and text in {address, f"{name} <{address}>", f'"{name}" <{address}>'}


def address_of(email: str) -> str:
    """The address as servers know it: the domain in its xn-- form, unless the part before the @ needs more anyway.

    Raises:
        EmailNotValidError: this is not one address.
    """
    return validate_email(email, check_deliverability=False).ascii_email or email


def domain_of(sender: str) -> str:
    """What stands behind the @ of `name@example.com` or `Some Name <name@example.com>`."""
    return parseaddr(sender)[1].rpartition("@")[2]


def one_line(text: str) -> str:
    """A header is one line: whatever breaks lines in a title becomes a space."""
    return _BREAKS.sub(" ", text).strip()
