"""What tells a rehearsal's rows from everybody else's: names that no route of the API would take.

The clean-up deletes by these names, so they have to be impossible for customers: a slug of the API begins with a letter
or a digit, and an address under `.invalid` (RFC 2606 §2) is refused wherever somebody types one.
"""

import re

SLUG_PREFIX = "~rehearsal-"
RUN = re.compile(r"[0-9a-f]{12}")


def slug_of(run: str) -> str:
    """The slug of the scratch organization of a run, and with it the mark of all that belongs to it."""
    return SLUG_PREFIX + run


def account_prefix(run: str) -> str:
    """What the e-mail addresses of all scratch accounts of a run begin with."""
    return f"rehearsal-{run}-"


def account_email(run: str, number: int) -> str:
    """The address of a scratch account; nobody can register it, and nobody logs in with it."""
    return f"{account_prefix(run)}{number:06d}@rehearsal.invalid"


def admin_email(run: str) -> str:
    """The address of the one who runs the scratch organization, on paper."""
    return f"{account_prefix(run)}admin@rehearsal.invalid"


def order_email(run: str, number: int) -> str:
    """The address on a scratch order: the API wants one that could exist; RFC 2606 §3 keeps it without a mailbox."""
    return f"{account_prefix(run)}{number:06d}@rehearsal.example.com"


def address_of(number: int) -> str:
    """Where a scratch buyer asks from, for a platform that believes us: RFC 2544's block for benchmarks."""
    host = number % (1 << 17)
    return f"198.{18 + (host >> 16)}.{host >> 8 & 255}.{host & 255}"
