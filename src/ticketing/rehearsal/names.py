"""Names that mark the rows of a rehearsal, and that no route of the API accepts.

The cleanup deletes by these names, so customers must not be able to have them: the API requires a slug to start with a
letter or a digit, and rejects every email address under `.invalid` (RFC 2606 §2).
"""

import re

SLUG_PREFIX = "~rehearsal-"
RUN = re.compile(r"[0-9a-f]{12}")


def slug_of(run: str) -> str:
    """The slug of a run's scratch organization, by which the cleanup finds it and all that belongs to it."""
    return SLUG_PREFIX + run


def account_prefix(run: str) -> str:
    """The common prefix of the email addresses of all scratch accounts of a run."""
    return f"rehearsal-{run}-"


def account_email(run: str, number: int) -> str:
    """The email address of a scratch account, which cannot be registered and is not used to log in."""
    return f"{account_prefix(run)}{number:06d}@rehearsal.invalid"


def admin_email(run: str) -> str:
    """The email address of the scratch organization's administrator, which is never used to log in."""
    return f"{account_prefix(run)}admin@rehearsal.invalid"


def order_email(run: str, number: int) -> str:
    """The email address on an order. The API requires a plausible one; RFC 2606 §3 reserves the domain."""
    return f"{account_prefix(run)}{number:06d}@rehearsal.example.com"


def address_of(number: int) -> str:
    """The IP address of a virtual buyer, for platforms that trust X-Forwarded-For: RFC 2544's benchmarking block."""
    host = number % (1 << 17)
    return f"198.{18 + (host >> 16)}.{host >> 8 & 255}.{host & 255}"
