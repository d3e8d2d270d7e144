"""The password policy: a minimum length, and not one of the passwords that attackers try first.

There are no rules about character classes, and passwords do not expire (NIST SP 800-63B §3.1.1.2, ASVS 5.0 §6.2).
Error messages complete the sentence "<field> …".
"""

import unicodedata
from pathlib import Path
from uuid import UUID

from ticketing.infra import security
from ticketing.infra.db import Database
from ticketing.infra.email_addresses import normalize_email
from ticketing.infra.errors import Invalid
from ticketing.modules.iam.queries import get_user

LENGTH_MIN, LENGTH_MAX = 10, 128

#: The most frequent passwords of known leaks: keyboard rows, sequences, a word and a year. Lower case, one per line.
COMMON_PASSWORDS = frozenset(Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines())


class WrongPassword(Invalid):
    """This is not your password."""


def normalize_password(password: str) -> str:
    """Normalize to NFKC: keyboards produce different code points for the same characters."""
    return unicodedata.normalize("NFKC", password)


def refuse_guessable(password: str) -> str:
    """Check a normalized password. Raises ValueError when it is too short or one of the most frequent ones."""
    if len(password) < LENGTH_MIN:
        raise ValueError(f"must have at least {LENGTH_MIN} characters")
    if password.casefold() in COMMON_PASSWORDS:
        raise ValueError("is one of the passwords that are tried first; choose another")
    return password


def refuse_own_address(password: str, email: str, field: str = "password") -> None:
    """Raises Invalid when the password is the user's email address or its local part."""
    address = normalize_email(email)
    if password.casefold() in {address, address.partition("@")[0]}:
        raise Invalid("must not be your e-mail address; choose another", field=field)


async def confirm_password(database: Database, user_id: UUID, password: str) -> None:
    """Verify that the account's owner makes the request, not just an open browser. Raises WrongPassword, Overloaded.

    No database connection is held while argon2 runs.
    """
    async with database.transaction() as session:
        user = await get_user(session, user_id)
    if not await security.verify_password(password, user.password_hash):
        raise WrongPassword(field="password")
